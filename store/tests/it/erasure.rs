//! Who is erased is gone everywhere, at once or not at all.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use weir_store::config::Config;
use weir_store_api::read::{Audit, CardDetail, CardState, FollowState, StoredEvent, User};
use weir_store_api::{EventStatus, WorkState};

use crate::care::merge;
use crate::world::{ACCOUNT, Database, T0, World, claim, event, given, push_to};
use crate::world::{snapshot, subscribe, text, unsubscribe};

on_both_databases! {
    who_unfollows_is_remembered_unless_the_account_erases,
    who_was_erased_comes_back_as_the_same_with_nothing_from_before,
    a_person_who_is_deleted_is_a_number_that_nothing_is_known_of,
    an_erasure_that_fails_at_its_end_has_erased_nothing,
    what_members_told_of_themselves_goes_with_them_and_their_cards_stay,
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

impl World {
    /// Runs statements in the database behind the store's back.
    async fn tamper(&self, sqlite: &str, postgres: &str) {
        let statements = match &self.database {
            Database::Sqlite(_) => sqlite,
            Database::Postgres(_) => postgres,
        };
        self.database.change(statements).await;
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
