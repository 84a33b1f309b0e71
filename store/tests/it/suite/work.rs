//! Who does the work behind a push, and what becomes of its reply.

use reqwest::StatusCode;
use serde_json::{Value, json};
use weir_store_api::read::{Message, Reply, ReplyState, StoredEvent, User};
use weir_store_api::{EventStatus, Work, WorkState};

use crate::world::{ACCOUNT, T0, World, about, claim, claimed, event, given, late, push_to, text};

on_both_databases! {
    the_first_claimant_gets_the_work_also_when_it_asks_again,
    claims_in_one_batch_are_as_if_one_came_after_the_other,
    an_event_stored_before_can_still_be_claimed,
    the_same_id_of_another_source_is_other_work,
    a_claim_without_a_lease_is_for_ever,
    a_claim_that_ran_out_goes_to_who_has_a_lease_too,
    whoever_asks_after_the_reply_gets_it_and_nobody_may_send_it,
    a_reply_of_nothing_is_done_too,
    the_first_reply_holds,
    a_reply_may_come_before_its_claim,
    a_late_reply_is_sent_by_one_and_told_to_nobody,
    a_send_may_be_claimed_before_anything_is_known_of_the_push,
    a_send_that_ended_is_not_granted_again,
    the_end_of_a_send_is_noted_once,
    a_batch_may_tell_the_whole_story,
    a_claim_on_an_event_of_any_type_is_answered,
    what_carries_no_claim_is_told_nothing,
    a_claim_that_names_nobody_is_rejected,
    events_about_replies_are_in_the_log_and_tell_nothing_of_users,
    data_that_is_not_what_its_type_promises_changes_no_work,
    replies_are_listed_by_account_and_state,
    claims_are_counted_by_what_they_were_told,
}

use WorkState::{Done, Elsewhere, Sent, Yours};

/// What each event was told.
async fn told(world: &World, events: &[Value]) -> Vec<Option<Work>> {
    let answer = world.post(events).await;
    answer
        .results
        .into_iter()
        .map(|result| {
            assert_ne!(result.status, EventStatus::Rejected, "{result:?}");
            result.work
        })
        .collect()
}

async fn states(world: &World, events: &[Value]) -> Vec<Option<WorkState>> {
    let told = told(world, events).await;
    told.into_iter()
        .map(|work| work.map(|work| work.state))
        .collect()
}

/// What one claim was told.
async fn one(world: &World, event: Value) -> Work {
    told(world, &[event]).await.pop().flatten().unwrap()
}

async fn state(world: &World, event: Value) -> WorkState {
    one(world, event).await.state
}

fn leased(mut event: Value, lease_ms: u32) -> Value {
    event["weirleasems"] = json!(lease_ms);
    event
}

async fn replies(world: &World, query: &str) -> Vec<Reply> {
    world.list(&format!("/v1/replies{query}"), 2).await
}

/// The one reply there is.
async fn reply(world: &World) -> Reply {
    let mut replies = replies(world, "").await;
    assert_eq!(replies.len(), 1, "{replies:?}");
    replies.remove(0)
}

async fn the_first_claimant_gets_the_work_also_when_it_asks_again(world: World) {
    let first = one(&world, claim("p", "a")).await;
    assert_eq!((first.state, first.age_ms), (Yours, 0));
    assert_eq!((first.reply, first.create_time), (None, None));
    assert_eq!(state(&world, claim("p", "b")).await, Elsewhere);
    // Its first answer may have been lost on the way.
    assert_eq!(state(&world, claim("p", "a")).await, Yours);
    assert_eq!(state(&world, claim("p", "b")).await, Elsewhere);
}

async fn claims_in_one_batch_are_as_if_one_came_after_the_other(world: World) {
    let batch = [
        claim("p", "a"),
        claim("q", "b"),
        claim("p", "b"),
        text("r", "oA", T0, "hello"),
        claim("q", "b"),
        claim("q", "a"),
        claim("p", "a"),
    ];
    let expected = [
        Some(Yours),
        Some(Yours),
        Some(Elsewhere),
        None,
        Some(Yours),
        Some(Elsewhere),
        Some(Yours),
    ];
    assert_eq!(states(&world, &batch).await, expected);
    assert_eq!(states(&world, &batch).await, expected);
}

async fn an_event_stored_before_can_still_be_claimed(world: World) {
    world.create(&[text("p", "oA", T0, "hello")]).await;
    assert_eq!(state(&world, claim("p", "a")).await, Yours);
    assert_eq!(state(&world, claim("p", "b")).await, Elsewhere);
}

async fn the_same_id_of_another_source_is_other_work(world: World) {
    let fields = json!({"MsgType": "text", "Content": "hello"});
    let other = push_to("other", "weir.message.text", "p", "oA", T0, fields);
    assert_eq!(state(&world, claim("p", "a")).await, Yours);
    assert_eq!(state(&world, claimed(other.clone(), "b")).await, Yours);
    world
        .create(&[given("g", "p", &json!({"text": "hi"}))])
        .await;
    assert_eq!(state(&world, claimed(other, "a")).await, Elsewhere);
    assert_eq!(state(&world, claim("p", "a")).await, Done);
}

async fn a_claim_without_a_lease_is_for_ever(world: World) {
    assert_eq!(state(&world, claim("p", "a")).await, Yours);
    // Not even to one whose own claim runs out at once.
    assert_eq!(state(&world, leased(claim("p", "b"), 0)).await, Elsewhere);
    // The first one cannot take its word back either: somebody may have been told.
    assert_eq!(state(&world, leased(claim("p", "a"), 0)).await, Yours);
    assert_eq!(state(&world, leased(claim("p", "b"), 0)).await, Elsewhere);
}

async fn a_claim_that_ran_out_goes_to_who_has_a_lease_too(world: World) {
    let hour = 3_600_000;
    assert_eq!(state(&world, leased(claim("p", "a"), 0)).await, Yours);
    assert_eq!(state(&world, claim("p", "b")).await, Elsewhere);
    assert_eq!(state(&world, leased(claim("p", "b"), hour)).await, Yours);
    // It changed hands, and the new lease counts.
    assert_eq!(state(&world, leased(claim("p", "a"), 0)).await, Elsewhere);
    assert_eq!(state(&world, claim("p", "b")).await, Yours);
    // In one batch too, to and fro.
    let batch = [
        leased(claim("q", "a"), 0),
        leased(claim("q", "b"), 0),
        leased(claim("q", "a"), hour),
        leased(claim("q", "b"), 0),
    ];
    let expected = [Yours, Yours, Yours, Elsewhere].map(Some);
    assert_eq!(states(&world, &batch).await, expected);
}

async fn whoever_asks_after_the_reply_gets_it_and_nobody_may_send_it(world: World) {
    state(&world, claim("p", "a")).await;
    state(&world, claim("p", "b")).await;
    world
        .create(&[given("g", "p", &json!({"text": "你好 😀"}))])
        .await;
    for claimant in ["b", "a", "c"] {
        let work = one(&world, claim("p", claimant)).await;
        assert_eq!(work.state, Done);
        assert_eq!(work.reply.as_deref(), Some(r#"{"text":"你好 😀"}"#));
        assert_eq!(work.create_time, Some(T0 as u64));
    }
    let late = one(&world, late("p", "a")).await;
    assert_eq!((late.state, late.reply), (Done, None));
    assert_eq!(state(&world, claim("p", "d")).await, Done);
    assert_eq!(reply(&world).await.state, ReplyState::Answered);
}

async fn a_reply_of_nothing_is_done_too(world: World) {
    state(&world, claim("p", "a")).await;
    let mut nothing = given("g", "p", &Value::Null);
    nothing["data"]["failed"] = json!("timeout");
    world.create(&[nothing]).await;
    let work = one(&world, claim("p", "b")).await;
    assert_eq!((work.state, work.reply), (Done, None));
    assert_eq!(work.create_time, Some(T0 as u64));
    assert_eq!(reply(&world).await.failed.as_deref(), Some("timeout"));
}

async fn the_first_reply_holds(world: World) {
    state(&world, claim("p", "a")).await;
    world
        .create(&[given("g", "p", &json!({"text": "one"}))])
        .await;
    // The same event, and another one.
    world
        .post(&[given("g", "p", &json!({"text": "two"}))])
        .await;
    world
        .create(&[given("h", "p", &json!({"text": "three"}))])
        .await;
    let work = one(&world, claim("p", "a")).await;
    assert_eq!(work.reply.as_deref(), Some(r#"{"text":"one"}"#));
}

async fn a_reply_may_come_before_its_claim(world: World) {
    world
        .create(&[given("g", "p", &json!({"text": "hi"}))])
        .await;
    let found = reply(&world).await;
    assert_eq!(
        (found.claimed_at, found.state),
        (None, ReplyState::Answered)
    );
    let work = one(&world, claim("p", "a")).await;
    assert_eq!((work.state, work.age_ms), (Done, 0));
    assert_eq!(state(&world, late("p", "a")).await, Done);
    assert!(reply(&world).await.claimed_at.is_some());
}

async fn a_late_reply_is_sent_by_one_and_told_to_nobody(world: World) {
    state(&world, claim("p", "a")).await;
    world
        .create(&[given("g", "p", &json!({"text": "hi"}))])
        .await;
    assert_eq!(state(&world, late("p", "a")).await, Yours);
    assert_eq!(state(&world, late("p", "b")).await, Sent);
    assert_eq!(state(&world, late("p", "a")).await, Yours);
    for claimant in ["a", "b"] {
        let work = one(&world, claim("p", claimant)).await;
        assert_eq!((work.state, work.reply), (Sent, None));
    }
    // Until its end is known it is not said to be sent.
    assert_eq!(reply(&world).await.state, ReplyState::Answered);
    world.create(&[about("sent", "s", "p", json!({}))]).await;
    assert_eq!(reply(&world).await.state, ReplyState::Sent);
    assert_eq!(state(&world, claim("p", "c")).await, Sent);
}

async fn a_send_may_be_claimed_before_anything_is_known_of_the_push(world: World) {
    let first = one(&world, late("p", "a")).await;
    assert_eq!((first.state, first.age_ms), (Yours, 0));
    assert_eq!(state(&world, late("p", "b")).await, Sent);
    // There is nothing left to be done for an attempt.
    assert_eq!(state(&world, claim("p", "b")).await, Sent);
    world
        .create(&[given("g", "p", &json!({"text": "hi"}))])
        .await;
    assert_eq!(state(&world, claim("p", "b")).await, Sent);
}

async fn a_send_that_ended_is_not_granted_again(world: World) {
    assert_eq!(state(&world, late("p", "a")).await, Yours);
    world.create(&[about("sent", "s", "p", json!({}))]).await;
    for claimant in ["a", "b"] {
        assert_eq!(state(&world, late("p", claimant)).await, Sent);
    }
    // Also when the end is all that is known.
    let end = about("undeliverable", "u", "q", json!({"reason": "not_allowed"}));
    world.create(&[end]).await;
    assert_eq!(state(&world, late("q", "a")).await, Sent);
    assert_eq!(state(&world, claim("q", "a")).await, Sent);
}

async fn the_end_of_a_send_is_noted_once(world: World) {
    let refused = json!({"reason": "refused", "errcode": 45015});
    world
        .create(&[
            claim("p", "a"),
            given("g", "p", &json!({"text": "hi"})),
            late("p", "a"),
            about("undeliverable", "u", "p", refused),
            about("undeliverable", "v", "p", json!({"reason": "unknown"})),
            about("sent", "s", "p", json!({})),
        ])
        .await;
    let found = reply(&world).await;
    assert_eq!(found.state, ReplyState::Undeliverable);
    assert_eq!(found.reason.as_deref(), Some("refused"));
    assert_eq!(found.errcode, Some(45015));
}

async fn a_batch_may_tell_the_whole_story(world: World) {
    let answered = [
        claim("p", "a"),
        claim("p", "b"),
        given("g", "p", &json!({"text": "hi"})),
        claim("p", "b"),
        late("p", "a"),
    ];
    let expected = [Some(Yours), Some(Elsewhere), None, Some(Done), Some(Done)];
    assert_eq!(states(&world, &answered).await, expected);
    let sent = [
        claim("q", "a"),
        given("h", "q", &json!({"text": "hi"})),
        late("q", "a"),
        claim("q", "b"),
        about("sent", "s", "q", json!({})),
        late("q", "a"),
    ];
    let expected = [Some(Yours), None, Some(Yours), Some(Sent), None, Some(Sent)];
    assert_eq!(states(&world, &sent).await, expected);
}

async fn a_claim_on_an_event_of_any_type_is_answered(world: World) {
    let mut any = event("com.example.any", "x", T0, &json!(1));
    any["source"] = json!("/elsewhere");
    assert_eq!(state(&world, claimed(any.clone(), "a")).await, Yours);
    assert_eq!(state(&world, claimed(any, "b")).await, Elsewhere);
    // An event that tells of a reply has work of its own, under its own name.
    let reply = claimed(given("g", "p", &json!({"text": "hi"})), "a");
    assert_eq!(state(&world, reply).await, Yours);
    assert_eq!(state(&world, claim("p", "a")).await, Done);
    let found = replies(&world, "").await;
    let accounts: Vec<_> = found
        .iter()
        .map(|reply| (reply.push.as_str(), reply.account.as_deref()))
        .collect();
    assert_eq!(accounts.len(), 3);
    assert_eq!(accounts[2], ("x", None));
}

async fn what_carries_no_claim_is_told_nothing(world: World) {
    let batch = [
        text("p", "oA", T0, "hello"),
        given("g", "p", &json!({"text": "hi"})),
        about("late", "l", "q", json!({})),
        about("sent", "s", "r", json!({})),
        about("undeliverable", "u", "t", json!({"reason": "unknown"})),
    ];
    assert_eq!(states(&world, &batch).await, [None; 5]);
    let body = serde_json::to_string(&world.post(&batch).await).unwrap();
    assert!(!body.contains("work"), "{body}");
    // Late alone is only logged.
    let mut known: Vec<_> = replies(&world, "").await;
    known.sort_by(|a, b| a.push.cmp(&b.push));
    let pushes: Vec<_> = known.iter().map(|reply| reply.push.as_str()).collect();
    assert_eq!(pushes, ["p", "r", "t"]);
}

async fn a_claim_that_names_nobody_is_rejected(world: World) {
    let long = "x".repeat(65);
    for claimant in ["", long.as_str(), "a\u{7}"] {
        let answer = world.post(&[claim("p", claimant)]).await;
        assert_eq!(answer.results[0].status, EventStatus::Rejected);
        let reason = answer.results[0].reason.as_deref().unwrap();
        assert!(reason.contains("weirclaim"), "{reason}");
    }
    let longest = claim("p", &long[..64]);
    assert_eq!(state(&world, longest).await, Yours);
}

async fn events_about_replies_are_in_the_log_and_tell_nothing_of_users(world: World) {
    world
        .create(&[
            given("g", "p", &json!({"text": "hi"})),
            late("p", "a"),
            about("sent", "s", "p", json!({})),
        ])
        .await;
    let users: Vec<User> = world.list("/v1/users", 50).await;
    assert!(users.is_empty());
    let messages: Vec<Message> = world.list("/v1/messages", 50).await;
    assert!(messages.is_empty());
    let log: Vec<StoredEvent> = world
        .list(&format!("/v1/events?account={ACCOUNT}"), 50)
        .await;
    assert_eq!(log.len(), 3);
    assert_eq!(world.metric("weir_store_events_unread_total").await, 0.0);
}

async fn data_that_is_not_what_its_type_promises_changes_no_work(world: World) {
    let mut no_push = given("g", "p", &json!({"text": "hi"}));
    no_push["data"].as_object_mut().unwrap().remove("push");
    let mut timeless = given("h", "p", &json!({"text": "hi"}));
    timeless["data"]["create_time"] = json!("now");
    let mut lost = late("p", "a");
    lost["data"] = json!([]);
    let batch = [no_push, timeless, lost];
    assert_eq!(states(&world, &batch).await, [None; 3]);
    assert_eq!(replies(&world, "").await, []);
    assert_eq!(world.metric("weir_store_events_unread_total").await, 3.0);
    let log: Vec<StoredEvent> = world.list("/v1/events", 50).await;
    assert_eq!(log.len(), 3);
}

async fn replies_are_listed_by_account_and_state(world: World) {
    for push in ["waiting", "answered", "sent", "undeliverable"] {
        world.create(&[claim(push, "a")]).await;
    }
    let fields = json!({"MsgType": "text", "Content": "hello"});
    let other = push_to("other", "weir.message.text", "other", "oB", T0, fields);
    world.create(&[claimed(other, "a")]).await;
    world
        .create(&[
            given("1", "answered", &json!({"text": "hi"})),
            given("2", "sent", &json!({"text": "hi"})),
            given("3", "undeliverable", &json!({"text": "hi"})),
            about("sent", "4", "sent", json!({})),
            about(
                "undeliverable",
                "5",
                "undeliverable",
                json!({"reason": "kind"}),
            ),
        ])
        .await;
    let in_account = "?account=demo";
    for (query, expected) in [
        (
            "",
            vec!["other", "undeliverable", "sent", "answered", "waiting"],
        ),
        (
            in_account,
            vec!["undeliverable", "sent", "answered", "waiting"],
        ),
        ("?account=other", vec!["other"]),
        ("?account=nowhere", vec![]),
        ("?state=waiting", vec!["other", "waiting"]),
        ("?state=answered", vec!["answered"]),
        ("?account=demo&state=waiting", vec!["waiting"]),
        ("?account=demo&state=sent", vec!["sent"]),
        ("?state=undeliverable", vec!["undeliverable"]),
    ] {
        for limit in [1, 3, 50] {
            let found: Vec<Reply> = world.list(&format!("/v1/replies{query}"), limit).await;
            let pushes: Vec<_> = found.iter().map(|reply| reply.push.as_str()).collect();
            assert_eq!(pushes, expected, "{query}, {limit}");
        }
    }

    let mut found: Vec<Value> = world.list("/v1/replies?state=undeliverable", 50).await;
    for time in ["claimed_at", "done_at"] {
        assert!(found[0][time].as_str().unwrap().ends_with('Z'), "{found:?}");
        found[0].as_object_mut().unwrap().remove(time);
    }
    let expected = json!({
        "push": "undeliverable", "account": ACCOUNT, "openid": "oA", "app": "shop", "state": "undeliverable",
        "failed": null, "reason": "kind", "errcode": null,
    });
    assert_eq!(found, [expected]);

    for query in ["?state=lost", "?openid=oA", "?limit=0"] {
        let url = world.url(&format!("/v1/replies{query}"));
        let response = world.http.get(url).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
    }
}

async fn claims_are_counted_by_what_they_were_told(world: World) {
    let batch = [
        claim("p", "a"),
        claim("p", "b"),
        claim("p", "b"),
        late("p", "a"),
        claim("p", "a"),
    ];
    told(&world, &batch).await;
    for (result, count) in [
        ("yours", 2.0),
        ("elsewhere", 2.0),
        ("sent", 1.0),
        ("done", 0.0),
    ] {
        let name = format!("weir_store_claims_total{{result=\"{result}\"}}");
        assert_eq!(world.metric(&name).await, count, "{result}");
    }
}
