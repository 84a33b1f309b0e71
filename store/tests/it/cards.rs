//! Cards, from what is pushed and answered about them.

use serde_json::{Value, json};
use weir_store::fold::{Card as Fold, CardChange, CardTold, Clock, Giving, Taking};
use weir_store_api::read::{Card, CardAskingState, CardDetail, CardState, FormValue, Problem};

use crate::dice::Dice;
use crate::orders::orders;
use crate::world::{ACCOUNT, T0, World, event, push, push_to, snapshot};

on_both_databases! {
    all_orders_of_a_cards_events_end_alike,
    a_card_is_shown_with_its_form,
    a_card_that_is_given_away_has_a_new_code_and_another_holder,
    cards_are_listed_by_account_user_person_and_sort,
    what_only_wechat_can_tell_is_to_be_asked_once,
    a_card_nobody_heard_of_is_a_problem,
    pushes_of_before_they_were_typed_tell_the_same,
}

pub(crate) const CARD: &str = "pAbCdEf0123456789card_IdXyZ";

/// A push about a card.
pub(crate) fn about(
    name: &str,
    id: &str,
    openid: &str,
    second: i64,
    code: &str,
    fields: Value,
) -> Value {
    let mut all = json!({"MsgType": "event", "Event": name, "CardId": CARD, "UserCardCode": code});
    all.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    push(&format!("weir.event.{name}"), id, openid, second, all)
}

/// WeChat's answer about a card.
fn told(id: &str, openid: &str, second: i64, code: &str, card: Value) -> Value {
    let mut all = json!({"openid": openid, "user_card_status": "NORMAL"});
    all.as_object_mut()
        .unwrap()
        .extend(card.as_object().unwrap().clone());
    let data = json!({
        "account": ACCOUNT, "appid": "wx0123456789abcdef", "card_id": CARD, "code": code, "card": all,
    });
    event("weir.card.snapshot", id, second, &data)
}

fn form() -> Value {
    json!({
        "nickname": "Band", "membership_number": "316510891", "bonus": 100, "balance": 2000, "sex": "MALE",
        "has_active": true,
        "user_info": {
            "common_field_list": [{"name": "USER_FORM_INFO_FLAG_MOBILE", "value": "15521328888"}],
            "custom_field_list": [{"name": "兴趣", "value_list": ["🎣", "books"]}],
        },
    })
}

async fn card(world: &World, code: &str) -> CardDetail {
    world.get(&format!("/v1/cards/{CARD}/{code}")).await
}

async fn a_card_is_shown_with_its_form(world: World) {
    world
        .create(&[
            about(
                "user_get_card",
                "get",
                "oA",
                T0,
                "1",
                json!({"OuterStr": "12b", "IsGiveByFriend": 0}),
            ),
            about(
                "submit_membercard_user_info",
                "submit",
                "oA",
                T0 + 5,
                "1",
                json!({}),
            ),
            told("told", "oA", T0 + 6, "1", form()),
            about(
                "update_member_card",
                "change",
                "oA",
                T0 + 9,
                "1",
                json!({"ModifyBonus": 3, "ModifyBalance": -5}),
            ),
            about(
                "user_consume_card",
                "use",
                "oA",
                T0 + 10,
                "1",
                json!({"ConsumeSource": "FROM_API"}),
            ),
            about("user_view_card", "view", "oA", T0 + 11, "1", json!({})),
        ])
        .await;
    let detail = card(&world, "1").await;
    assert_eq!(detail.warning, None);
    let card = detail.card;
    assert_eq!(card.account, ACCOUNT);
    assert_eq!(
        (card.openid.as_deref(), card.state),
        (Some("oA"), CardState::Held)
    );
    assert_eq!((card.bonus, card.balance), (Some(103), Some(1995)));
    let member = card.member.unwrap();
    assert_eq!(member.at, "2024-04-26T06:30:06Z");
    assert_eq!(member.membership_number.as_deref(), Some("316510891"));
    assert_eq!(
        (member.status.as_deref(), member.active),
        (Some("NORMAL"), Some(true))
    );
    let mobile = FormValue::One("15521328888".into());
    assert_eq!(member.common_fields.get("mobile"), Some(&mobile));
    let hobbies = FormValue::Many(vec!["🎣".into(), "books".into()]);
    assert_eq!(member.custom_fields.get("兴趣"), Some(&hobbies));
    let taken = card.taken.unwrap();
    assert_eq!(
        (taken.channel.as_deref(), taken.friend),
        (Some("12b"), None)
    );
    assert_eq!(
        card.form_submitted_at.as_deref(),
        Some("2024-04-26T06:30:05Z")
    );
    assert_eq!(card.activated_at.as_deref(), Some("2024-04-26T06:30:06Z"));
    assert_eq!(card.viewed_at.as_deref(), Some("2024-04-26T06:30:11Z"));
    assert_eq!(card.used.unwrap().by.as_deref(), Some("FROM_API"));
    assert_eq!(card.first_seen_at, "2024-04-26T06:30:00Z");
    // Whoever has a card is a user.
    assert_eq!(
        world.user("oA").await.user.first_seen_at,
        "2024-04-26T06:30:00Z"
    );
}

async fn a_card_that_is_given_away_has_a_new_code_and_another_holder(world: World) {
    let offer = json!({"FriendUserName": "oB", "IsReturnBack": 0, "IsChatRoom": 0});
    world
        .create(&[about("user_gifting_card", "give", "oA", T0, "1", offer)])
        .await;
    let offered = card(&world, "1").await.card;
    assert_eq!(offered.state, CardState::Offered);
    assert_eq!(offered.given.unwrap().openid.as_deref(), Some("oB"));
    let taking = json!({"IsGiveByFriend": 1, "FriendUserName": "oA", "OldUserCardCode": "1"});
    world
        .create(&[about("user_get_card", "take", "oB", T0 + 1, "2", taking)])
        .await;
    let old = card(&world, "1").await.card;
    assert_eq!(
        (old.openid.as_deref(), old.state),
        (Some("oA"), CardState::Given)
    );
    let given = old.given.unwrap();
    assert_eq!(
        (given.openid.as_deref(), given.code.as_deref()),
        (Some("oB"), Some("2"))
    );
    let new = card(&world, "2").await.card;
    assert_eq!(
        (new.openid.as_deref(), new.state),
        (Some("oB"), CardState::Held)
    );
    let taken = new.taken.unwrap();
    assert_eq!(
        (taken.friend.as_deref(), taken.old_code.as_deref()),
        (Some("oA"), Some("1"))
    );
    world
        .create(&[about(
            "user_del_card",
            "delete",
            "oB",
            T0 + 2,
            "2",
            json!({}),
        )])
        .await;
    assert_eq!(card(&world, "2").await.card.state, CardState::Deleted);
}

async fn cards_are_listed_by_account_user_person_and_sort(world: World) {
    let get = |account: &str, openid: &str, card_id: &str, code: &str| {
        let fields = json!({"MsgType": "event", "Event": "user_get_card", "CardId": card_id, "UserCardCode": code});
        push_to(
            account,
            "weir.event.user_get_card",
            &format!("{account}{card_id}{code}"),
            openid,
            T0,
            fields,
        )
    };
    // One by one: cards of one batch have no order.
    for event in [
        get("demo", "oA", "p1", "1"),
        get("demo", "oA", "p2", "2"),
        get("demo", "oB", "p1", "3"),
        get("other", "oC", "p1", "4"),
        get("other", "oD", "p1", "1"),
        snapshot("s1", "oA", T0, json!({"unionid": "u"})),
        snapshot("s2", "oB", T0, json!({"unionid": "u"})),
    ] {
        world.create(&[event]).await;
    }
    let uid = world.user("oA").await.uid;
    for (query, expected) in [
        ("", "1 4 3 2 1"),
        ("?account=demo", "3 2 1"),
        ("?account=other", "1 4"),
        ("?account=nobody", ""),
        ("?openid=oA", "2 1"),
        ("?card_id=p1", "1 4 3 1"),
        ("?account=demo&card_id=p1", "3 1"),
        ("?account=demo&openid=oA&card_id=p2", "2"),
        (&format!("?uid={uid}"), "3 2 1"),
        (&format!("?uid={uid}&card_id=p1"), "3 1"),
        (&format!("?uid={uid}&openid=oB"), "3"),
        ("?uid=999999", ""),
    ] {
        for limit in [1, 2, 200] {
            let cards: Vec<Card> = world.list(&format!("/v1/cards{query}"), limit).await;
            let codes: Vec<_> = cards.into_iter().map(|card| card.code).collect();
            assert_eq!(codes.join(" "), expected, "{query} {limit}");
        }
    }
    // Two accounts have a card of this name.
    let response = world.http.get(world.url("/v1/cards/p1/1")).send().await;
    let problem: Problem = response.unwrap().json().await.unwrap();
    assert_eq!(problem.status, 400);
    let detail: CardDetail = world.get("/v1/cards/p1/1?account=other").await;
    assert_eq!(detail.card.openid.as_deref(), Some("oD"));
}

async fn what_only_wechat_can_tell_is_to_be_asked_once(world: World) {
    let asking = async |code: &str| card(&world, code).await.card.asking;
    world
        .create(&[about("user_get_card", "get", "oA", T0, "1", json!({}))])
        .await;
    assert_eq!(asking("1").await, None);
    for place in 0..3 {
        let id = format!("submit{place}");
        let submit = about(
            "submit_membercard_user_info",
            &id,
            "oA",
            T0 + place,
            "1",
            json!({}),
        );
        world.create(std::slice::from_ref(&submit)).await;
        world.post(&[submit]).await;
    }
    let open = asking("1").await.unwrap();
    assert_eq!((open.state, open.errcode), (CardAskingState::Open, None));
    let changed = about(
        "update_member_card",
        "change",
        "oA",
        T0,
        "2",
        json!({"ModifyBonus": 1}),
    );
    let restored = about(
        "user_get_card",
        "restore",
        "oA",
        T0,
        "3",
        json!({"IsRestoreMemberCard": 1}),
    );
    world.create(&[changed, restored]).await;
    assert!(asking("2").await.is_some());
    assert!(asking("3").await.is_some());
}

async fn a_card_nobody_heard_of_is_a_problem(world: World) {
    let response = world
        .http
        .get(world.url("/v1/cards/p1/1"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let problem: Problem = response.json().await.unwrap();
    assert_eq!(
        (problem.status, problem.kind.as_str()),
        (404, "urn:weir:store:not-found")
    );
}

async fn pushes_of_before_they_were_typed_tell_the_same(world: World) {
    let typed =
        json!({"OuterId": 7, "IsGiveByFriend": 1, "FriendUserName": "oF", "OldUserCardCode": "0"});
    let texts = json!({"OuterId": "7", "IsGiveByFriend": "1", "FriendUserName": "oF", "OldUserCardCode": "0"});
    world
        .create(&[
            about("user_get_card", "a", "oA", T0, "1", typed),
            about("user_get_card", "b", "oA", T0, "2", texts),
        ])
        .await;
    let (typed, texts) = (card(&world, "1").await.card, card(&world, "2").await.card);
    assert_eq!(typed.taken.as_ref().unwrap().channel.as_deref(), Some("7"));
    assert_eq!(typed.taken, texts.taken);
}

/// Events that contradict one another, some within one second.
fn story(code: &str) -> [Value; 6] {
    let id = |name: &str| format!("{code}-{name}");
    [
        about(
            "user_get_card",
            &id("get"),
            "oA",
            T0,
            code,
            json!({"OuterStr": "x"}),
        ),
        about(
            "user_gifting_card",
            &id("give"),
            "oA",
            T0 + 2,
            code,
            json!({"FriendUserName": "oB"}),
        ),
        about(
            "user_gifting_card",
            &id("back"),
            "oA",
            T0 + 2,
            code,
            json!({"IsReturnBack": 1}),
        ),
        about(
            "update_member_card",
            &id("change"),
            "oA",
            T0 + 4,
            code,
            json!({"ModifyBonus": 5}),
        ),
        told(&id("told"), "oA", T0 + 3, code, form()),
        about(
            "user_del_card",
            &id("delete"),
            "oA",
            T0 + 5,
            code,
            json!({}),
        ),
    ]
}

/// Every order has a card of its own; the n-th events of all are sent together, and then each order in a batch.
async fn all_orders_of_a_cards_events_end_alike(world: World) {
    let orders = orders(6);
    for place in 0..6 {
        let nth = |(number, order): (usize, &Vec<usize>)| {
            story(&format!("s{number}"))[order[place]].clone()
        };
        let batch: Vec<Value> = orders.iter().enumerate().map(nth).collect();
        world.create(&batch).await;
    }
    for (part, some) in orders.chunks(150).enumerate() {
        let in_order = |(number, order): (usize, &Vec<usize>)| {
            let story = story(&format!("b{part}-{number}"));
            order
                .iter()
                .map(|index| story[*index].clone())
                .collect::<Vec<_>>()
        };
        let batch: Vec<Value> = some.iter().enumerate().flat_map(in_order).collect();
        world.create(&batch).await;
    }
    let mut cards: Vec<Card> = world.list("/v1/cards", 200).await;
    assert_eq!(cards.len(), 2 * orders.len());
    for card in &mut cards {
        card.code.clear();
    }
    let first = cards[0].clone();
    assert_eq!((first.bonus, first.state), (Some(105), CardState::Deleted));
    for card in cards {
        assert_eq!(card, first);
    }
}

impl Dice {
    /// Times are few, so that many facts share one.
    fn card_fact(&mut self, number: usize) -> (Clock, Option<String>, CardChange) {
        let second = self.roll(4) as i64 + 100;
        let millisecond = second * 1000 + self.roll(2) as i64;
        let at = Clock::new(second, millisecond, "/accounts/demo", &number.to_string());
        let holder = format!("o{}", self.roll(3));
        let giving = Giving {
            openid: self.maybe(holder.clone()),
            code: self.maybe("2".to_owned()),
        };
        let amount = self.roll(5) as i64 - 2;
        let change = match self.roll(10) {
            0 => CardChange::Taken(Taking {
                channel: self.maybe(holder.clone()),
                ..Taking::default()
            }),
            1 => CardChange::TakenByFriend(giving),
            2 => CardChange::Offered(giving),
            3 => CardChange::Returned,
            4 => CardChange::Deleted,
            5 => CardChange::Used {
                by: self.maybe(holder.clone()),
            },
            6 => CardChange::Submitted,
            7 => CardChange::Viewed,
            8 => CardChange::Changed {
                bonus: amount,
                balance: -amount,
            },
            _ => {
                let status = self.one_of(&["NORMAL", "EXPIRE", "DELETE", "HOLOGRAM"]);
                CardChange::Told(Box::new(CardTold {
                    bonus: self.maybe(amount),
                    balance: self.maybe(amount),
                    status: self.maybe(status.to_owned()),
                    active: self.maybe(amount > 0),
                    ..CardTold::default()
                }))
            }
        };
        (at, self.maybe(holder), change)
    }
}

#[test]
fn all_orders_of_random_facts_about_a_card_end_alike() {
    let orders = orders(5);
    for seed in 1..=600_u64 {
        let mut dice = Dice::new(seed);
        let facts: Vec<_> = (0..5).map(|number| dice.card_fact(number)).collect();
        let told = |order: &Vec<usize>| {
            let mut card = Fold::default();
            for index in order {
                let (at, holder, change) = &facts[*index];
                card.apply(*at, holder.as_deref(), change);
            }
            card
        };
        let first = told(&orders[0]);
        // What is stored between two events is what was there.
        let stored = serde_json::to_string(&first).unwrap();
        assert_eq!(serde_json::from_str::<Fold>(&stored).unwrap(), first);
        for order in &orders {
            assert_eq!(
                told(order),
                first,
                "seed {seed}, {facts:?} in order {order:?}"
            );
        }
    }
}
