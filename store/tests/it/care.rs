//! What is added to people and counted of them: fields, decisions, until when they may be written to, who came and went.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use weir_store::config::Config;
use weir_store::testing::TestStore;
use weir_store_api::read::{
    Audit, CardDetail, CardState, DailyFollows, FollowDay, FollowState, Person, Problem,
    StoredEvent, User,
};
use weir_store_api::{EventStatus, WorkState};

use crate::world::{ACCOUNT, Database, T0, World, claim, event, given, push_to};
use crate::world::{snapshot, subscribe, text, unsubscribe};

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
    who_unfollows_is_remembered_unless_the_account_erases,
    who_was_erased_comes_back_as_the_same_with_nothing_from_before,
    a_person_who_is_deleted_is_a_number_that_nothing_is_known_of,
    an_erasure_that_fails_at_its_end_has_erased_nothing,
    what_members_told_of_themselves_goes_with_them_and_their_cards_stay,
}

impl World {
    async fn ask(&self, method: Method, path: &str, body: &Value) -> Response {
        let request = self.http.request(method, self.url(path)).json(body);
        request.send().await.unwrap()
    }

    async fn patch(&self, uid: i64, account: &str, patch: Value) -> Value {
        let path = format!("/v1/people/{uid}/extensions/{account}");
        let response = self.ask(Method::PATCH, &path, &patch).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.unwrap()
    }

    async fn decide(&self, uid: i64, state: &str) -> Audit {
        let decision = json!({"state": state, "reason": "证件已核对", "by": "li.wei"});
        let path = format!("/v1/people/{uid}/audit");
        let response = self.ask(Method::PUT, &path, &decision).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.unwrap()
    }

    async fn someone(&self, uid: i64) -> Person {
        self.get(&format!("/v1/people/{uid}")).await
    }

    async fn uid_of(&self, account: &str, openid: &str) -> i64 {
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
async fn merge(world: &World) {
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

/// What is known of oA: a name, a phone number, a message and the reply to it.
async fn acquaint(world: &World) {
    let mut profile = snapshot(
        "p",
        "oA",
        T0 + 1,
        json!({"subscribe": 1, "nickname": "鱼", "remark": "regular"}),
    );
    profile["subject"] = json!("oA");
    let data = json!({
        "account": ACCOUNT, "appid": "wx0123456789abcdef", "phone_number": "15521328888",
        "pure_phone_number": "15521328888", "country_code": "86", "learned_at_ms": (T0 + 2) * 1000,
    });
    let mut phone = event("weir.user.phone", "t", T0 + 2, &data);
    phone["subject"] = json!("oA");
    world
        .create(&[
            subscribe("s", "oA", T0, "1"),
            profile,
            phone,
            claim("g", "somebody"),
        ])
        .await;
    world
        .create(&[given("h", "g", &json!({"text": "hi"}))])
        .await;
}

impl World {
    /// Whether the data of an event is still there.
    async fn has_data(&self, id: &str) -> bool {
        let events: Vec<StoredEvent> = self.list("/v1/events", 200).await;
        let event = events.iter().find(|event| event.id == id);
        event.expect("it is in the log").data.is_some()
    }

    async fn erasing(self) -> Self {
        let Self {
            database, store, ..
        } = self;
        store.stop().await.unwrap();
        let mut config = Config::local(database.url());
        config.erase_on_unfollow = vec![ACCOUNT.to_owned()];
        Self::with(database, &config).await
    }
}

async fn who_unfollows_is_remembered_unless_the_account_erases(world: World) {
    acquaint(&world).await;
    world.create(&[unsubscribe("u", "oA", T0 + 10)]).await;
    let user = world.user("oA").await;
    assert_eq!(user.user.name.as_deref(), Some("regular"));
    assert_eq!(user.counts.messages, 1);
    assert!(world.has_data("g").await);

    let world = world.erasing().await;
    let before: Value = world.get(&format!("/v1/users/{ACCOUNT}/oA")).await;
    world
        .create(&[
            subscribe("v", "oA", T0 + 20, "2"),
            unsubscribe("w", "oA", T0 + 30),
        ])
        .await;
    let user = world.user("oA").await;
    assert_eq!(before["uid"], user.uid);
    assert_eq!(user.user.name, None);
    let profile = user.user.profile.unwrap();
    assert_eq!((profile.nickname, profile.remark), (None, None));
    assert_eq!((user.counts.messages, user.last_message_at), (0, None));
    assert_eq!(user.user.follow.unwrap().unfollowed_times, 2);
    let person = world.someone(user.uid).await;
    assert_eq!(person.identities[0].phone_number, None);
    assert_eq!(person.identities[0].customer_service_until, None);
    for id in ["s", "p", "t", "g", "h"] {
        assert!(!world.has_data(id).await, "{id}");
    }
    let again = world.post(&[claim("g", "somebody else")]).await;
    assert_eq!(again.results[0].status, EventStatus::Duplicate);
    let work = again.results[0].work.as_ref().unwrap();
    assert_eq!((work.state, work.reply.as_deref()), (WorkState::Done, None));
}

async fn who_was_erased_comes_back_as_the_same_with_nothing_from_before(world: World) {
    let world = world.erasing().await;
    acquaint(&world).await;
    let uid = world.user("oA").await.uid;
    world.create(&[unsubscribe("u", "oA", T0 + 10)]).await;
    let late = snapshot(
        "q",
        "oA",
        T0 + 5,
        json!({"subscribe": 1, "nickname": "late", "city": "成都"}),
    );
    world
        .create(&[late, subscribe("v", "oA", T0 + 20, "2")])
        .await;
    let user = world.user("oA").await;
    assert_eq!(user.uid, uid);
    assert_eq!(user.user.name, None);
    let follow = user.user.follow.unwrap();
    assert_eq!(
        (follow.state, follow.followed_times),
        (FollowState::Following, 2)
    );
    world
        .create(&[snapshot(
            "r",
            "oA",
            T0 + 21,
            json!({"subscribe": 1, "nickname": "new"}),
        )])
        .await;
    let user = world.user("oA").await;
    assert_eq!(user.user.name.as_deref(), Some("new"));
    assert_eq!(user.user.profile.unwrap().city, None);
    let users: Vec<User> = world.list("/v1/users", 50).await;
    assert_eq!(users.len(), 1);
}

async fn a_person_who_is_deleted_is_a_number_that_nothing_is_known_of(world: World) {
    acquaint(&world).await;
    let hello = json!({"MsgType": "text", "Content": "hello", "MsgId": "1"});
    world
        .create(&[push_to(
            "mini",
            "weir.message.text",
            "b",
            "oM",
            T0 + 1,
            hello,
        )])
        .await;
    let (one, other) = (
        world.uid_of(ACCOUNT, "oA").await,
        world.uid_of("mini", "oM").await,
    );
    merge(&world).await;
    world.patch(one, "mini", json!({"level": 1})).await;
    world.decide(one, "approved").await;

    let path = format!("/v1/people/{other}");
    let response = world.ask(Method::DELETE, &path, &json!(null)).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST, "nobody says so");
    assert_eq!(world.someone(one).await.name.as_deref(), Some("regular"));
    let response = world
        .ask(
            Method::DELETE,
            &format!("{path}?by=li.wei&reason=asked"),
            &json!(null),
        )
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    let audit: Audit = response.json().await.unwrap();
    assert_eq!(
        (
            audit.state.as_str(),
            audit.by.as_str(),
            audit.reason.as_str()
        ),
        ("erased", "li.wei", "asked")
    );

    for uid in [one, other] {
        let person = world.someone(uid).await;
        assert_eq!(person.uid, one);
        assert_eq!((person.name, person.audit), (None, Some(audit.clone())));
        assert!(person.extensions.is_empty());
        for identity in &person.identities {
            assert_eq!(
                (&identity.phone_number, &identity.customer_service_until),
                (&None, &None)
            );
        }
    }
    let messages: Vec<Value> = world.list("/v1/messages", 50).await;
    assert!(messages.is_empty());
    for id in ["s", "p", "t", "g", "h", "b"] {
        assert!(!world.has_data(id).await, "{id}");
    }
    let log: Vec<StoredEvent> = world.list("/v1/events", 200).await;
    assert_eq!(
        log.iter()
            .filter(|event| event.kind == "weir.user.erased")
            .count(),
        2
    );
    // Life goes on.
    world
        .create(&[text("z", "oA", T0 + 2_000_000_000, "again")])
        .await;
    assert_eq!(world.user("oA").await.counts.messages, 1);
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

impl World {
    /// Runs statements in the database behind the store's back.
    async fn tamper(&self, sqlite: &str, postgres: &str) {
        match &self.database {
            Database::Sqlite(folder) => {
                let path = folder.path().join("weir.db");
                let connection = rusqlite::Connection::open(path).unwrap();
                connection.busy_timeout(Duration::from_secs(60)).unwrap();
                connection.execute_batch(sqlite).unwrap();
            }
            Database::Postgres(database) => {
                let connecting = tokio_postgres::connect(database.url(), tokio_postgres::NoTls);
                let (client, connection) = connecting.await.unwrap();
                tokio::spawn(connection);
                client.batch_execute(postgres).await.unwrap();
            }
        }
    }

    async fn delete(&self, uid: i64) -> StatusCode {
        let path = format!("/v1/people/{uid}?by=li.wei&reason=asked");
        let response = self.ask(Method::DELETE, &path, &json!(null)).await;
        response.status()
    }
}

/// The last thing it does fails; then it does not.
async fn an_erasure_that_fails_at_its_end_has_erased_nothing(world: World) {
    acquaint(&world).await;
    let hello = json!({"MsgType": "text", "Content": "hello", "MsgId": "1"});
    let other = push_to("mini", "weir.message.text", "b", "oM", T0 + 1, hello);
    world.create(&[other]).await;
    merge(&world).await;
    let uid = world.uid_of(ACCOUNT, "oA").await;
    world.patch(uid, ACCOUNT, json!({"level": 1})).await;
    let before = world.someone(uid).await;
    let log: Vec<Value> = world.list("/v1/events", 200).await;

    world
        .tamper(
            "CREATE TRIGGER broken BEFORE INSERT ON audits BEGIN SELECT RAISE(ABORT, 'told so'); END",
            "ALTER TABLE audits ADD CONSTRAINT broken CHECK (state <> 'erased')",
        )
        .await;
    assert_eq!(world.delete(uid).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.someone(uid).await, before);
    let after: Vec<Value> = world.list("/v1/events", 200).await;
    assert_eq!(after, log);
    assert_eq!(world.list::<Value>("/v1/messages", 50).await.len(), 2);

    world
        .tamper(
            "DROP TRIGGER broken",
            "ALTER TABLE audits DROP CONSTRAINT broken",
        )
        .await;
    assert_eq!(world.delete(uid).await, StatusCode::OK);
    let person = world.someone(uid).await;
    assert_eq!((person.name, person.extensions.len()), (None, 0));
    assert!(world.list::<Value>("/v1/messages", 50).await.is_empty());
}

async fn what_members_told_of_themselves_goes_with_them_and_their_cards_stay(world: World) {
    let about = |name: &str, id: &str, second: i64, fields: Value| {
        crate::cards::about(name, id, "oA", second, "1", fields)
    };
    let told = |id: &str, second: i64| {
        let card = json!({
            "openid": "oA", "user_card_status": "NORMAL", "nickname": "Band", "membership_number": "316510891",
            "bonus": 100, "balance": 2000, "sex": "MALE", "has_active": true,
            "user_info": {"common_field_list": [{"name": "USER_FORM_INFO_FLAG_MOBILE", "value": "15521328888"}]},
        });
        let data = json!({
            "account": ACCOUNT, "appid": "wx0123456789abcdef", "card_id": crate::cards::CARD, "code": "1", "card": card,
        });
        let mut event = event("weir.card.snapshot", id, second, &data);
        event["subject"] = json!("oA");
        event
    };
    world
        .create(&[
            about("user_get_card", "get", T0, json!({"OuterStr": "poster-7"})),
            about("submit_membercard_user_info", "submit", T0 + 1, json!({})),
            told("told", T0 + 2),
            about(
                "update_member_card",
                "change",
                T0 + 3,
                json!({"ModifyBonus": 5}),
            ),
            about("user_view_card", "view", T0 + 4, json!({})),
        ])
        .await;
    let path = format!("/v1/cards/{}/1", crate::cards::CARD);
    let before: CardDetail = world.get(&path).await;
    assert!(before.card.asking.is_some() && before.card.taken.is_some());
    let uid = world.uid_of(ACCOUNT, "oA").await;
    assert_eq!(world.delete(uid).await, StatusCode::OK);

    let after: CardDetail = world.get(&path).await;
    let card = after.card;
    assert_eq!(
        (card.openid.as_deref(), card.state),
        (Some("oA"), CardState::Held)
    );
    assert_eq!((card.bonus, card.balance), (Some(105), Some(2000)));
    assert_eq!((&card.taken, &card.asking), (&None, &None));
    assert_eq!((&card.form_submitted_at, &card.viewed_at), (&None, &None));
    let member = card.member.unwrap();
    assert_eq!(member.status.as_deref(), Some("NORMAL"));
    assert_eq!(
        (&member.nickname, &member.membership_number, &member.sex),
        (&None, &None, &None)
    );
    assert!(member.common_fields.is_empty());
    for id in ["get", "submit", "told", "change", "view"] {
        assert!(!world.has_data(id).await, "{id}");
    }

    // What arrives from before brings nothing back, and what WeChat says later neither, until they take it again.
    world
        .create(&[told("late", T0 + 2), told("later", T0 + 2_000_000_000)])
        .await;
    let known: CardDetail = world.get(&path).await;
    assert_eq!(known.card.member.unwrap().nickname, None);
    let taken = about("user_get_card", "again", T0 + 2_000_000_001, json!({}));
    world
        .create(&[taken, told("last", T0 + 2_000_000_002)])
        .await;
    let known: CardDetail = world.get(&path).await;
    assert_eq!(known.card.member.unwrap().nickname.as_deref(), Some("Band"));
}
