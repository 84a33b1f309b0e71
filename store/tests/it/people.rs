//! One person across accounts and apps, whatever order events arrive in.

use serde_json::{Value, json};
use weir_store_api::read::{Person, UserDetail};

use crate::dice::Dice;
use crate::orders::orders;
use crate::world::{T0, World, event, push_to, time};

on_both_databases! {
    a_follower_waits_for_a_login_with_the_same_unionid,
    a_login_to_a_page_tells_who_somebody_is_and_is_no_mini_program,
    two_who_are_found_to_be_one_are_found_by_either_number,
    the_newest_phone_number_is_told_with_the_person,
    a_number_that_nobody_has_finds_nobody,
    a_card_that_is_taken_tells_who_somebody_is,
    a_login_that_asks_is_told_which_person_it_is,
    all_orders_of_six_events_make_the_same_person,
    any_order_and_repetition_of_random_events_makes_the_same_people,
}

fn follows(account: &str, id: &str, openid: &str, second: i64) -> Value {
    let fields = json!({"MsgType": "event", "Event": "subscribe", "EventKey": ""});
    push_to(account, "weir.event.subscribe", id, openid, second, fields)
}

fn leaves(account: &str, id: &str, openid: &str, second: i64) -> Value {
    let fields = json!({"MsgType": "event", "Event": "unsubscribe", "EventKey": ""});
    push_to(
        account,
        "weir.event.unsubscribe",
        id,
        openid,
        second,
        fields,
    )
}

fn profile(account: &str, id: &str, openid: &str, second: i64, fields: Value) -> Value {
    let mut user = json!({"openid": openid});
    let more = fields.as_object().unwrap().clone();
    user.as_object_mut().unwrap().extend(more);
    let data = json!({"account": account, "appid": "wx0123456789abcdef", "user": user});
    event("weir.user.snapshot", id, second, &data)
}

fn login(account: &str, id: &str, openid: &str, second: i64, unionid: Option<&str>) -> Value {
    let by = if account == "web" {
        "web"
    } else {
        "mini_program"
    };
    let mut data = json!({"account": account, "appid": "wxfedcba9876543210", "by": by,
        "started_at_ms": second * 1000 + 5});
    if let Some(unionid) = unionid {
        data["unionid"] = json!(unionid);
    }
    let mut event = event("weir.session.started", id, second, &data);
    event["subject"] = json!(openid);
    event
}

/// A push about a card that carries the unionid of who took it.
fn takes(account: &str, id: &str, openid: &str, second: i64, unionid: &str) -> Value {
    let fields = json!({"MsgType": "event", "Event": "user_get_card", "CardId": "p1", "UserCardCode": id, "UnionId": unionid});
    push_to(
        account,
        "weir.event.user_get_card",
        id,
        openid,
        second,
        fields,
    )
}

impl World {
    async fn uid(&self, account: &str, openid: &str) -> i64 {
        let path = format!("/v1/users/{account}/{openid}");
        self.get::<UserDetail>(&path).await.uid
    }

    async fn person(&self, account: &str, openid: &str) -> Person {
        let uid = self.uid(account, openid).await;
        self.get(&format!("/v1/people/{uid}")).await
    }
}

/// What is told of a person, with names in the place of numbers: those depend on the order of storage.
fn portrait(person: &Person) -> Value {
    let name = |uid: i64| {
        let known = person.identities.iter().find(|known| known.uid == uid);
        let user = &known.unwrap().user;
        json!([user.account, user.openid])
    };
    let identities = person.identities.iter().map(|known| {
        let follow = known.user.follow.as_ref().map(|follow| follow.state);
        json!([
            name(known.uid),
            known.logged_in_at,
            follow,
            known.user.first_seen_at
        ])
    });
    let merges = person.merges.iter();
    let merges =
        merges.map(|merge| json!([merge.at, name(merge.uid), name(merge.into), merge.unionid]));
    json!({
        "uid": name(person.uid), "name": person.name, "first_seen_at": person.first_seen_at,
        "pending": person.pending, "unionids": person.unionids,
        "identities": identities.collect::<Vec<_>>(), "merges": merges.collect::<Vec<_>>(),
    })
}

async fn a_follower_waits_for_a_login_with_the_same_unionid(world: World) {
    let unionid = json!({"subscribe": 1, "unionid": "u", "remark": "Fish"});
    world
        .create(&[
            follows("mp", "f", "oMp", T0),
            profile("mp", "p", "oMp", T0 + 1, unionid),
            login("mini", "l1", "oMini", T0 + 2, None),
        ])
        .await;
    let waiting = world.person("mp", "oMp").await;
    assert!(waiting.pending && waiting.identities.len() == 1);
    let stranger = world.person("mini", "oMini").await;
    assert!(!stranger.pending && stranger.identities.len() == 1);
    let (mp, mini) = (waiting.uid, stranger.uid);
    assert!(mp > 0 && mini > 0 && mp != mini);

    let known = login("mini", "l2", "oMini", T0 + 9, Some("u"));
    world.create(std::slice::from_ref(&known)).await;
    world.post(&[known]).await;
    let person = world.person("mp", "oMp").await;
    let by_pointer: Person = world.get(&format!("/v1/people/{mini}")).await;
    assert_eq!(by_pointer, person);
    assert_eq!(person.uid, mp);
    assert_eq!(
        portrait(&person),
        json!({
            "uid": ["mp", "oMp"], "name": "Fish", "first_seen_at": time(T0), "pending": false, "unionids": ["u"],
            "identities": [
                [["mp", "oMp"], null, "following", time(T0)],
                [["mini", "oMini"], time(T0 + 9), null, time(T0 + 2)],
            ],
            "merges": [[time(T0 + 9), ["mini", "oMini"], ["mp", "oMp"], "u"]],
        })
    );
}

async fn a_login_to_a_page_tells_who_somebody_is_and_is_no_mini_program(world: World) {
    world
        .create(&[
            follows("web", "f", "oWeb", T0),
            login("web", "l1", "oWeb", T0 + 1, Some("u")),
            profile("mp", "p", "oMp", T0 + 2, json!({"unionid": "u"})),
        ])
        .await;
    let person = world.person("mp", "oMp").await;
    assert!(person.pending);
    assert_eq!(person.identities.len(), 2);
    assert_eq!(person.identities[0].logged_in_at, None);
}

async fn a_card_that_is_taken_tells_who_somebody_is(world: World) {
    let (card, login) = (
        takes("mp", "c", "oMp", T0, "u"),
        login("mini", "l", "oMini", T0 + 1, Some("u")),
    );
    world.create(&[login, card]).await;
    let person = world.person("mini", "oMini").await;
    assert_eq!(person.uid, world.uid("mp", "oMp").await);
    assert_eq!((person.identities.len(), person.merges.len()), (2, 1));
}

async fn a_login_that_asks_is_told_which_person_it_is(world: World) {
    let asks = |mut event: Value| {
        event["weirask"] = json!("uid");
        event
    };
    let told = async |event: Value| world.post(&[event]).await.results[0].uid;
    world
        .create(&[
            follows("mp", "f", "oMp", T0),
            profile("mp", "p", "oMp", T0 + 1, json!({"unionid": "u"})),
        ])
        .await;
    let mp = world.uid("mp", "oMp").await;
    let alone = asks(login("mini", "l1", "oMini", T0 + 2, None));
    let before = told(alone.clone()).await.unwrap();
    assert_eq!(before, world.uid("mini", "oMini").await);
    // In the answer to the event that says who they are, too; and to a copy of one of before.
    let known = asks(login("mini", "l2", "oMini", T0 + 3, Some("u")));
    assert_eq!(told(known).await, Some(mp));
    assert_eq!(told(alone).await, Some(mp));
    let person: Person = world.get(&format!("/v1/people/{before}")).await;
    assert_eq!(person.uid, mp, "what was told before finds them still");
    assert_eq!(told(login("mini", "l3", "oMini", T0 + 4, None)).await, None);
    let nobody = event(
        "weir.session.started",
        "l4",
        T0,
        &json!({"account": "mini"}),
    );
    assert_eq!(told(asks(nobody)).await, None);
}

async fn the_newest_phone_number_is_told_with_the_person(world: World) {
    let phone = |id: &str, second: i64, number: &str| {
        let data = json!({"account": "mini", "appid": "wxfedcba9876543210", "phone_number": number,
            "pure_phone_number": number, "country_code": "86", "learned_at_ms": second * 1000});
        let mut event = event("weir.user.phone", id, second, &data);
        event["subject"] = json!("oMini");
        event
    };
    let (early, late) = (phone("e", T0, "1"), phone("l", T0 + 9, "2"));
    world.create(std::slice::from_ref(&late)).await;
    world.create(std::slice::from_ref(&early)).await;
    let told = |person: Person| person.identities[0].phone_number.clone();
    let late_first = told(world.person("mini", "oMini").await);
    assert_eq!(late_first.as_deref(), Some("2"));
    world.post(&[early, late]).await;
    let again = told(world.person("mini", "oMini").await);
    assert_eq!(again.as_deref(), Some("2"));
}

async fn two_who_are_found_to_be_one_are_found_by_either_number(world: World) {
    world
        .create(&[
            login("mini", "l1", "oMini", T0, Some("u")),
            login("shop", "l2", "oShop", T0 + 1, Some("u")),
            follows("mp", "f", "oMp", T0 + 2),
            profile("mp", "p1", "oMp", T0 + 3, json!({"unionid": "v"})),
        ])
        .await;
    let mut uids = Vec::new();
    for (account, openid) in [("mini", "oMini"), ("shop", "oShop"), ("mp", "oMp")] {
        uids.push(world.uid(account, openid).await);
    }
    assert_eq!(world.person("mp", "oMp").await.identities.len(), 1);
    // A unionid of another Open Platform account: the person is one under both.
    let bound = profile("mp", "p2", "oMp", T0 + 4, json!({"unionid": "u"}));
    world.create(&[bound]).await;
    for uid in &uids {
        let person: Person = world.get(&format!("/v1/people/{uid}")).await;
        assert_eq!(person.uid, uids[0]);
        assert_eq!(person.unionids, ["u", "v"]);
        let merges: Vec<_> = person.merges.iter().map(|m| (m.uid, m.into)).collect();
        assert_eq!(merges, [(uids[1], uids[0]), (uids[2], uids[0])]);
    }
}

async fn a_number_that_nobody_has_finds_nobody(world: World) {
    for (path, status) in [
        ("/v1/people/1", 404),
        ("/v1/people/-1", 404),
        ("/v1/people/9223372036854775807", 404),
        ("/v1/people/9223372036854775808", 400),
        ("/v1/people/oMp", 400),
    ] {
        let response = world.http.get(world.url(path)).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
    let mut wrong = login("mini", "l", "oMini", T0, None);
    wrong.as_object_mut().unwrap().remove("subject");
    world.create(&[wrong]).await;
    let unread = "weir_store_events_unread_total";
    assert_eq!(
        world.metric(unread).await,
        1.0,
        "it is kept, and tells nothing"
    );
}

/// The same events for others: every name and unionid ends in this.
fn of(tag: &str, mut event: Value) -> Value {
    let tagged = |value: &Value| json!(format!("{}-{tag}", value.as_str().unwrap()));
    event["id"] = tagged(&event["id"]);
    for path in [
        "/subject",
        "/data/unionid",
        "/data/user/openid",
        "/data/user/unionid",
        "/data/push/FromUserName",
        "/data/push/UserCardCode",
        "/data/push/UnionId",
    ] {
        if let Some(value) = event.pointer_mut(path) {
            *value = tagged(value);
        }
    }
    event
}

fn untagged(tag: &str, portrait: &Value) -> String {
    portrait.to_string().replace(&format!("-{tag}\""), "\"")
}

fn story() -> [Value; 6] {
    [
        follows("mp", "f", "oMp", T0 + 5),
        profile(
            "mp",
            "p",
            "oMp",
            T0 + 6,
            json!({"unionid": "u", "subscribe": 1}),
        ),
        login("mini", "l1", "oMini", T0 + 4, None),
        login("mini", "l2", "oMini", T0 + 7, Some("u")),
        profile(
            "shop",
            "q",
            "oShop",
            T0 + 2,
            json!({"unionid": "v", "nickname": "🐟"}),
        ),
        takes("shop", "r", "oShop", T0 + 7, "u"),
    ]
}

async fn all_orders_of_six_events_make_the_same_person(world: World) {
    let orders = orders(6);
    let tag = |number: usize| format!("n{number}");
    for place in 0..6 {
        let nth =
            |(number, order): (usize, &Vec<usize>)| of(&tag(number), story()[order[place]].clone());
        let batch: Vec<Value> = orders.iter().enumerate().map(nth).collect();
        world.create(&batch).await;
    }
    let mut first = None;
    // Each is two requests: some of all, another residue for each place of an event.
    for number in (0..orders.len()).step_by(7) {
        let person = world
            .person("mini", &format!("oMini-{}", tag(number)))
            .await;
        let portrait = untagged(&tag(number), &portrait(&person));
        let first = first.get_or_insert_with(|| portrait.clone());
        assert_eq!(&portrait, first, "{:?}", orders[number]);
    }
    let first: Value = serde_json::from_str(&first.unwrap()).unwrap();
    assert_eq!(first["uid"], json!(["shop", "oShop"]));
    assert_eq!(first["unionids"], json!(["u", "v"]));
    assert_eq!(first["merges"].as_array().unwrap().len(), 2);
    assert_eq!(first["pending"], json!(false));
}

fn random_story(dice: &mut Dice) -> Vec<Value> {
    let one = |dice: &mut Dice, n: usize| {
        let id = format!("e{n}");
        let (account, openid) = dice.one_of(&[
            ("mp", "oA"),
            ("mp", "oB"),
            ("mini", "oC"),
            ("mini", "oD"),
            ("shop", "oE"),
        ]);
        let second = T0 + dice.roll(20) as i64;
        let unionid = dice.one_of(&["u", "v", "w"]);
        match dice.roll(7) {
            0 => follows(account, &id, openid, second),
            1 => leaves(account, &id, openid, second),
            2 => login(account, &id, openid, second, None),
            3 => login(account, &id, openid, second, Some(unionid)),
            4 => takes(account, &id, openid, second, unionid),
            _ => profile(account, &id, openid, second, json!({"unionid": unionid})),
        }
    };
    (0..14).map(|n| one(dice, n)).collect()
}

async fn any_order_and_repetition_of_random_events_makes_the_same_people(world: World) {
    for seed in 1..=10_u64 {
        let mut expected: Option<Vec<String>> = None;
        for shuffle in 1..=6_u64 {
            let tag = format!("s{seed}x{shuffle}");
            let events = random_story(&mut Dice::new(seed));
            let events: Vec<Value> = events.into_iter().map(|event| of(&tag, event)).collect();
            let mut dice = Dice::new(1000 * seed + shuffle);
            let mut order: Vec<usize> = (0..events.len()).chain(0..events.len() / 2).collect();
            for place in (1..order.len()).rev() {
                order.swap(place, dice.roll(place as u64 + 1) as usize);
            }
            let mut rest = &order[..];
            while !rest.is_empty() {
                let (cut, more) = rest.split_at(1 + dice.roll(rest.len() as u64) as usize);
                let batch: Vec<_> = cut.iter().map(|index| events[*index].clone()).collect();
                world.post(&batch).await;
                rest = more;
            }
            let mut people = Vec::new();
            for event in &events {
                let data = &event["data"];
                let openid = ["/subject", "/data/user/openid", "/data/push/FromUserName"];
                let openid = openid.iter().find_map(|path| event.pointer(path)?.as_str());
                let account = data["account"].as_str().unwrap();
                let person = world.person(account, openid.unwrap()).await;
                people.push(untagged(&tag, &portrait(&person)));
            }
            let expected = expected.get_or_insert_with(|| people.clone());
            assert_eq!(&people, expected, "seed {seed}, order {order:?}");
        }
    }
}
