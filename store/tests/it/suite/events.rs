//! What is taken, what is refused, and what is known already.

use reqwest::StatusCode;
use serde_json::{Value, json};
use weir_store_api::read::StoredEvent;
use weir_store_api::{BatchAnswer, CONTENT_TYPE_BATCH, CONTENT_TYPE_EVENT, EventStatus};

use crate::world::{ACCOUNT, T0, World, event, text};

on_both_databases! {
    one_event_a_batch_and_plain_json_are_all_taken,
    an_event_sent_again_is_a_duplicate_whatever_it_then_says,
    the_same_id_of_another_source_is_another_event,
    one_bad_event_never_blocks_the_others,
    whoever_asks_is_told_what_is_known_of_the_user,
    an_empty_batch_is_answered_with_no_results,
    events_of_any_type_are_kept_byte_for_byte,
    data_that_is_not_what_its_type_promises_is_kept_and_counted,
    the_log_pages_from_the_last_stored_to_the_first,
    accounts_are_listed_with_the_appid_in_use,
}

fn statuses(answer: &BatchAnswer) -> Vec<EventStatus> {
    answer.results.iter().map(|result| result.status).collect()
}

async fn one_event_a_batch_and_plain_json_are_all_taken(world: World) {
    let event = |id: &str| text(id, "oA", T0, "hello");
    let bodies = [
        (CONTENT_TYPE_EVENT, event("a").to_string(), 1),
        (
            CONTENT_TYPE_BATCH,
            json!([event("b"), event("c")]).to_string(),
            2,
        ),
        ("application/json", event("d").to_string(), 1),
        (
            "application/json; charset=utf-8",
            json!([event("e"), event("f")]).to_string(),
            2,
        ),
    ];
    for (content_type, body, count) in bodies {
        let response = world.send(content_type, body).await;
        assert_eq!(response.status(), StatusCode::OK, "{content_type}");
        let answer: BatchAnswer = response.json().await.unwrap();
        assert_eq!(
            statuses(&answer),
            vec![EventStatus::Created; count],
            "{content_type}"
        );
    }
    let stored: Vec<StoredEvent> = world.list("/v1/events", 50).await;
    let mut ids: Vec<_> = stored.into_iter().map(|event| event.id).collect();
    ids.sort();
    assert_eq!(ids, ["a", "b", "c", "d", "e", "f"]);
}

async fn an_event_sent_again_is_a_duplicate_whatever_it_then_says(world: World) {
    use EventStatus::{Created, Duplicate};
    let first = world
        .post(&[text("a", "oA", T0, "one"), text("a", "oA", T0, "two")])
        .await;
    assert_eq!(statuses(&first), [Created, Duplicate]);
    let again = world
        .post(&[text("a", "oA", T0, "three"), text("b", "oA", T0, "new")])
        .await;
    assert_eq!(statuses(&again), [Duplicate, Created]);
    assert_eq!(world.user("oA").await.counts.messages, 2);
    let log: Vec<StoredEvent> = world.list("/v1/events", 50).await;
    assert!(log[1].data.as_ref().unwrap().get().contains("\"one\""));
}

async fn whoever_asks_is_told_what_is_known_of_the_user(world: World) {
    let asking = |id: &str, openid: &str, second| {
        let mut event = text(id, openid, second, "hello");
        event["weirask"] = json!("user");
        event
    };
    let told = |answer: &BatchAnswer, place: usize| answer.results[place].user.clone();
    let silent = text("a", "oA", T0, "first");
    // Also in the batch that brings the user, and beside an event that is none.
    let answer = world
        .post(&[
            silent,
            json!({"id": 5}),
            asking("b", "oA", T0 + 9),
            asking("c", "oB", T0),
        ])
        .await;
    assert_eq!(told(&answer, 0), None);
    assert_eq!(told(&answer, 1), None);
    let known = told(&answer, 2).unwrap();
    assert_eq!((known.first_push, known.remark), (false, None));
    assert!(told(&answer, 3).unwrap().first_push);

    let data = json!({
        "account": ACCOUNT, "appid": "wx0123456789abcdef",
        "user": {"openid": "oB", "subscribe": 1, "remark": "Mr B", "nickname": "小明😀"},
    });
    let mut profile = event("weir.user.snapshot", "d", T0 + 20, &data);
    profile["subject"] = json!("oB");
    world.post(&[profile]).await;
    // A copy is told the same about the order of things, and the names of now.
    let copy = told(&world.post(&[asking("c", "oB", T0)]).await, 0).unwrap();
    assert!(copy.first_push);
    assert_eq!(copy.remark.as_deref(), Some("Mr B"));
    assert_eq!(copy.nickname.as_deref(), Some("小明😀"));
    let later = told(&world.post(&[asking("e", "oB", T0 + 30)]).await, 0).unwrap();
    assert!(!later.first_push);
}

async fn the_same_id_of_another_source_is_another_event(world: World) {
    let mut other = text("a", "oA", T0, "hello");
    other["source"] = json!("/accounts/elsewhere");
    world.create(&[text("a", "oA", T0, "hello"), other]).await;
}

async fn one_bad_event_never_blocks_the_others(world: World) {
    let mut no_id = text("x", "oA", T0, "hello");
    no_id.as_object_mut().unwrap().remove("id");
    let mut old = text("old", "oA", T0, "hello");
    old["specversion"] = json!("0.3");
    let batch = [
        text("a", "oA", T0, "1"),
        no_id,
        json!(7),
        old,
        text("b", "oA", T0, "2"),
    ];
    let answer = world.post(&batch).await;
    use EventStatus::{Created, Rejected};
    assert_eq!(
        statuses(&answer),
        [Created, Rejected, Rejected, Rejected, Created]
    );
    let ids: Vec<_> = answer
        .results
        .iter()
        .map(|result| result.id.as_str())
        .collect();
    assert_eq!(ids, ["a", "", "", "old", "b"]);
    for result in &answer.results {
        assert_eq!(
            result.reason.is_some(),
            result.status == Rejected,
            "{result:?}"
        );
    }
    assert_eq!(world.user("oA").await.counts.messages, 2);
}

async fn an_empty_batch_is_answered_with_no_results(world: World) {
    assert_eq!(world.post(&[]).await.results, []);
}

async fn events_of_any_type_are_kept_byte_for_byte(world: World) {
    let data = r#"{"big": 18446744073709551615, "text":"😀 \u0000 \ud83d", "a":1,"a":2}"#;
    let body = format!(
        r#"{{"specversion":"1.0","id":"x","source":"/elsewhere","type":"com.example.any","data":{data}}}"#
    );
    let response = world.send(CONTENT_TYPE_EVENT, body).await;
    assert_eq!(response.status(), StatusCode::OK);
    let answer: BatchAnswer = response.json().await.unwrap();
    assert_eq!(statuses(&answer), [EventStatus::Created]);
    let log: Vec<StoredEvent> = world.list("/v1/events", 50).await;
    assert_eq!(log[0].kind, "com.example.any");
    assert_eq!(log[0].time, None);
    assert_eq!(log[0].data.as_ref().unwrap().get(), data);
}

async fn data_that_is_not_what_its_type_promises_is_kept_and_counted(world: World) {
    let odd = event(
        "weir.message.text",
        "odd",
        T0,
        &json!({"push": "not an object"}),
    );
    world.create(&[odd]).await;
    assert_eq!(world.metric("weir_store_events_unread_total").await, 1.0);
    let users: Vec<Value> = world.list("/v1/users", 50).await;
    assert_eq!(users, Vec::<Value>::new());
}

async fn the_log_pages_from_the_last_stored_to_the_first(world: World) {
    for id in ["a", "b", "c", "d", "e"] {
        world.create(&[text(id, "oA", T0, id)]).await;
    }
    let elsewhere = event("com.example.any", "z", T0, &json!(1));
    world.create(&[elsewhere]).await;
    let ids = |log: Vec<StoredEvent>| log.into_iter().map(|event| event.id).collect::<Vec<_>>();
    let all = world.list("/v1/events", 2).await;
    assert_eq!(ids(all), ["z", "e", "d", "c", "b", "a"]);
    let of_account = world
        .list(&format!("/v1/events?account={ACCOUNT}"), 2)
        .await;
    assert_eq!(ids(of_account), ["e", "d", "c", "b", "a"]);
}

async fn accounts_are_listed_with_the_appid_in_use(world: World) {
    let with = |id: &str, account: &str, appid: &str, second: i64| {
        let data = json!({"account": account, "appid": appid, "received_at_ms": second * 1000, "push": {}});
        event("weir.event.view", id, second, &data)
    };
    world
        .create(&[
            with("b", "shop", "wxnew", T0 + 100),
            with("a", "shop", "wxold", T0),
            with("c", "shop", "wxold", T0 + 50),
            with("d", "app", "wxapp", T0 + 7),
        ])
        .await;
    let accounts: Value = world.get("/v1/accounts").await;
    let expected = json!({
        "items": [
            {"name": "app", "appid": "wxapp", "first_seen_at": "2024-04-26T06:30:07Z"},
            {"name": "shop", "appid": "wxnew", "first_seen_at": "2024-04-26T06:30:00Z"},
        ],
        "next_cursor": null,
    });
    assert_eq!(accounts, expected);
}
