//! What is added to people and counted of them: fields, decisions, until when they may be written to, who came and went.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use weir_store::config::Config;
use weir_store::testing::TestStore;
use weir_store_api::read::{Audit, DailyFollows, FollowDay, Person, Problem};

use crate::world::{ACCOUNT, T0, World, event, push_to};
use crate::world::{subscribe, text, unsubscribe};

on_both_databases! {
    fields_are_patched_per_account,
    fields_outlive_a_merge_and_of_each_the_newest_counts,
    fields_that_are_changed_at_once_are_all_there,
    fields_beyond_their_bounds_are_refused,
    the_last_decision_counts_also_after_a_merge,
    messages_allow_an_answer_for_two_days_unless_their_sender_has_left,
    an_answer_is_as_new_as_what_the_store_was_told,
    what_another_process_was_told_is_seen_at_once_by_who_asks_for_it,
    who_came_and_went_is_counted_by_the_days_of_beijing,
}

impl World {
    pub(crate) async fn ask(&self, method: Method, path: &str, body: &Value) -> Response {
        let request = self.http.request(method, self.url(path)).json(body);
        request.send().await.unwrap()
    }

    pub(crate) async fn patch(&self, uid: i64, account: &str, patch: Value) -> Value {
        let path = format!("/v1/people/{uid}/extensions/{account}");
        let response = self.ask(Method::PATCH, &path, &patch).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.unwrap()
    }

    pub(crate) async fn decide(&self, uid: i64, state: &str) -> Audit {
        let decision = json!({"state": state, "reason": "证件已核对", "by": "li.wei"});
        let path = format!("/v1/people/{uid}/audit");
        let response = self.ask(Method::PUT, &path, &decision).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.unwrap()
    }

    pub(crate) async fn someone(&self, uid: i64) -> Person {
        self.get(&format!("/v1/people/{uid}")).await
    }

    pub(crate) async fn uid_of(&self, account: &str, openid: &str) -> i64 {
        let user: Value = self.get(&format!("/v1/users/{account}/{openid}")).await;
        user["uid"].as_i64().unwrap()
    }
}

/// A login to a Mini Program that tells a unionid.
fn login(id: &str, account: &str, openid: &str, second: i64, unionid: &str) -> Value {
    let data = json!({
        "account": account, "appid": "wxm", "by": "mini_program", "unionid": unionid, "started_at_ms": second * 1000,
    });
    let mut event = event("weir.session.started", id, second, &data);
    event["subject"] = json!(openid);
    event
}

/// oA at the account, oM at a Mini Program, who are nobody in common as yet.
async fn two(world: &World) -> (i64, i64) {
    let hello = json!({"MsgType": "text", "Content": "hello", "MsgId": "1"});
    world
        .create(&[
            text("a", "oA", T0, "hello"),
            push_to("mini", "weir.message.text", "b", "oM", T0 + 1, hello),
        ])
        .await;
    (
        world.uid_of(ACCOUNT, "oA").await,
        world.uid_of("mini", "oM").await,
    )
}

/// oA and oM turn out to be one.
pub(crate) async fn merge(world: &World) {
    world
        .create(&[
            login("m", "mini", "oM", T0 + 10, "uA"),
            login("n", ACCOUNT, "oA", T0 + 11, "uA"),
        ])
        .await;
}

async fn fields_are_patched_per_account(world: World) {
    let (one, _) = two(&world).await;
    let first = world
        .patch(
            one,
            ACCOUNT,
            json!({"level": 3, "address": {"city": "成都", "zip": null}}),
        )
        .await;
    assert_eq!(first, json!({"level": 3, "address": {"city": "成都"}}));
    let second = world
        .patch(
            one,
            ACCOUNT,
            json!({"level": null, "address": {"zip": "610000"}, "a\u{0}b": "\u{0}"}),
        )
        .await;
    assert_eq!(
        second,
        json!({"address": {"city": "成都", "zip": "610000"}, "a\u{0}b": "\u{0}"})
    );
    let other = world.patch(one, "mini", json!({"level": 9})).await;
    assert_eq!(other, json!({"level": 9}));
    let person = world.someone(one).await;
    assert_eq!(
        serde_json::to_value(&person.extensions).unwrap(),
        json!({ACCOUNT: second, "mini": other})
    );
    assert_eq!(
        world.patch(one, ACCOUNT, json!({})).await,
        second,
        "nothing is asked for"
    );
}

async fn fields_outlive_a_merge_and_of_each_the_newest_counts(world: World) {
    let (one, other) = two(&world).await;
    world
        .patch(other, ACCOUNT, json!({"level": 1, "only": "theirs"}))
        .await;
    world
        .patch(one, ACCOUNT, json!({"level": 2, "mine": true}))
        .await;
    merge(&world).await;
    let both = json!({ACCOUNT: {"level": 2, "mine": true, "only": "theirs"}});
    for uid in [one, other] {
        assert_eq!(
            serde_json::to_value(world.someone(uid).await.extensions).unwrap(),
            both
        );
    }
    // Whoever is asked for, it is one person's, and what is taken away is gone.
    let after = world
        .patch(other, ACCOUNT, json!({"level": 5, "only": null}))
        .await;
    assert_eq!(after, json!({"level": 5, "mine": true}));
    assert_eq!(
        world.patch(one, ACCOUNT, json!({"level": null})).await,
        json!({"mine": true})
    );
}

async fn fields_that_are_changed_at_once_are_all_there(world: World) {
    let (one, _) = two(&world).await;
    let world = std::sync::Arc::new(world);
    let patching: Vec<_> = (0..8)
        .map(|number| {
            let world = world.clone();
            tokio::spawn(async move {
                let path = format!("/v1/people/{one}/extensions/{ACCOUNT}");
                let patch = json!({"shared": {format!("n{number}"): number}});
                loop {
                    let response = world.ask(Method::PATCH, &path, &patch).await;
                    if response.status() == StatusCode::OK {
                        return;
                    }
                    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
                }
            })
        })
        .collect();
    for patching in patching {
        patching.await.unwrap();
    }
    let person = world.someone(one).await;
    assert_eq!(
        person.extensions[ACCOUNT]["shared"]
            .as_object()
            .unwrap()
            .len(),
        8
    );
}

async fn fields_beyond_their_bounds_are_refused(world: World) {
    let (one, _) = two(&world).await;
    world
        .patch(one, ACCOUNT, json!({"a": "x".repeat(10_000)}))
        .await;
    let path = format!("/v1/people/{one}/extensions/{ACCOUNT}");
    for (path, patch, status, kind) in [
        (
            path.as_str(),
            json!({"b": "x".repeat(10_000)}),
            413,
            "too-large",
        ),
        (&path, json!({"b": "x".repeat(40_000)}), 413, "too-large"),
        (&path, json!({"x".repeat(129): 1}), 400, "bad-parameter"),
        (&path, json!([1]), 400, "broken-body"),
        (
            "/v1/people/999/extensions/demo",
            json!({"a": 1}),
            404,
            "not-found",
        ),
        (
            "/v1/people/1/extensions/nowhere",
            json!({"a": 1}),
            404,
            "not-found",
        ),
        (
            "/v1/people/x/extensions/demo",
            json!({"a": 1}),
            400,
            "bad-parameter",
        ),
    ] {
        let response = world.ask(Method::PATCH, path, &patch).await;
        assert_eq!(response.status(), status, "{path}");
        let problem: Problem = response.json().await.unwrap();
        assert_eq!(problem.kind, format!("urn:weir:store:{kind}"), "{path}");
    }
    let request = world
        .http
        .patch(world.url(&path))
        .header("content-type", "text/plain");
    let response = request.body("{}").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(world.someone(one).await.extensions[ACCOUNT].len(), 1);
}

async fn the_last_decision_counts_also_after_a_merge(world: World) {
    let (one, other) = two(&world).await;
    assert_eq!(world.someone(one).await.audit, None);
    world.decide(one, "approved").await;
    let blocked = world.decide(other, "blocked").await;
    assert_eq!(
        (
            blocked.state.as_str(),
            blocked.reason.as_str(),
            blocked.by.as_str()
        ),
        ("blocked", "证件已核对", "li.wei")
    );
    assert_eq!(world.someone(one).await.audit.unwrap().state, "approved");
    merge(&world).await;
    assert_eq!(world.someone(one).await.audit, Some(blocked));
    world.decide(one, "approved").await;
    assert_eq!(world.someone(other).await.audit.unwrap().state, "approved");
    for senseless in [
        json!({"state": "Approved!", "reason": "r", "by": "b"}),
        json!({"state": "approved", "reason": "", "by": "b"}),
        json!({"state": "approved", "reason": "a\u{0}", "by": "b"}),
        json!({"state": "approved", "reason": "r", "by": "b".repeat(101)}),
        json!({"state": "approved", "reason": "r"}),
    ] {
        let response = world
            .ask(Method::PUT, &format!("/v1/people/{one}/audit"), &senseless)
            .await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{senseless}");
    }
}

async fn messages_allow_an_answer_for_two_days_unless_their_sender_has_left(world: World) {
    let until = async |world: &World| {
        world.someone(1).await.identities[0]
            .customer_service_until
            .clone()
    };
    world.create(&[subscribe("a", "oA", T0 - 10, "")]).await;
    assert_eq!(until(&world).await, None);
    world
        .create(&[text("b", "oA", T0, "1"), text("c", "oA", T0 - 5, "0")])
        .await;
    assert_eq!(until(&world).await.as_deref(), Some("2024-04-28T06:30:00Z"));
    world.create(&[unsubscribe("d", "oA", T0 + 1)]).await;
    assert_eq!(until(&world).await, None);
}

/// Each answer is kept, and each is followed by something that makes it wrong.
async fn an_answer_is_as_new_as_what_the_store_was_told(world: World) {
    let (one, other) = two(&world).await;
    assert_eq!(world.someone(one).await.identities.len(), 1);
    assert_eq!(world.someone(other).await.identities.len(), 1);
    world.create(&[subscribe("c", "oA", T0 + 1, "")]).await;
    assert!(world.someone(one).await.pending);
    world
        .create(&[login("d", ACCOUNT, "oA", T0 + 2, "uA")])
        .await;
    assert_eq!(world.someone(one).await.unionids, ["uA"]);
    assert_eq!(world.someone(other).await.identities.len(), 1);
    world
        .create(&[login("e", "mini", "oM", T0 + 3, "uA")])
        .await;
    for uid in [one, other] {
        assert_eq!(world.someone(uid).await.identities.len(), 2, "{uid}");
    }
    world.patch(other, ACCOUNT, json!({"a": 1})).await;
    assert_eq!(world.someone(one).await.extensions[ACCOUNT]["a"], 1);
    world.decide(other, "blocked").await;
    assert_eq!(world.someone(one).await.audit.unwrap().state, "blocked");
}

async fn what_another_process_was_told_is_seen_at_once_by_who_asks_for_it(world: World) {
    let (one, _) = two(&world).await;
    let mut config = Config::local(world.database.url());
    config.limits.cached_people_ms = 3_600_000;
    let other = TestStore::start(&config).await.unwrap();
    let url = format!("{}/v1/people/{one}", other.url());
    let ask = async |cache_control: &str| {
        let request = world.http.get(&url).header("cache-control", cache_control);
        let person: Person = request.send().await.unwrap().json().await.unwrap();
        person.unionids
    };
    assert!(ask("no-cache").await.is_empty());
    merge(&world).await;
    assert!(ask("max-age=60").await.is_empty(), "it is kept");
    assert_eq!(ask("no-cache").await, ["uA"]);
    assert_eq!(ask("max-age=60").await, ["uA"], "and now that is");
    other.stop().await.unwrap();
}

async fn who_came_and_went_is_counted_by_the_days_of_beijing(world: World) {
    // 2024-04-26 in Beijing begins at 16:00 in UTC of the day before.
    let midnight = T0 - 6 * 3_600 - 30 * 60 - 8 * 3_600;
    let events = [
        subscribe("a", "oA", midnight - 1, ""),
        subscribe("b", "oB", midnight, ""),
        unsubscribe("c", "oA", midnight + 86_399),
        subscribe("d", "oA", midnight + 86_399, ""),
        unsubscribe("e", "oB", midnight + 86_400),
    ];
    world.create(&events).await;
    world.post(&events).await;
    let path = format!("/v1/accounts/{ACCOUNT}/follows/daily");
    let daily: DailyFollows = world
        .get(&format!("{path}?since=2024-04-24&until=2024-04-28"))
        .await;
    let day = |day: &str, new: u64, lost: u64, net: i64| FollowDay {
        day: day.to_owned(),
        new,
        lost,
        net,
    };
    assert_eq!(
        daily.days,
        [
            day("2024-04-24", 0, 0, 0),
            day("2024-04-25", 1, 0, 1),
            day("2024-04-26", 2, 1, 1),
            day("2024-04-27", 0, 1, -1),
        ]
    );
    let days = async |query: &str| {
        let daily: DailyFollows = world.get(&format!("{path}{query}")).await;
        daily.days.len()
    };
    assert_eq!(days("").await, 30);
    assert_eq!(days("?since=0001-01-01&until=9999-12-31").await, 366);
    assert_eq!(days("?since=2024-04-26&until=2024-04-25").await, 0);
    for (path, status) in [
        (format!("{path}?since=yesterday"), 400),
        ("/v1/accounts/nowhere/follows/daily".to_owned(), 404),
    ] {
        let response = world.http.get(world.url(&path)).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
}
