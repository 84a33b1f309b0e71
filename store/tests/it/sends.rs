//! Active messages: what became of each, and what users still allow, whatever order events arrive in.

use serde_json::{Value, json};
use weir_store::config::Config;
use weir_store::testing::TestStore;
use weir_store_api::CONTENT_TYPE_BATCH;
use weir_store_api::read::{Credit, Delivery, DeliveryState};

use crate::dice::Dice;
use crate::orders::orders;
use crate::world::{T0, World, event, push_to, time};

on_both_databases! {
    a_message_is_followed_from_its_sending_to_its_user,
    what_a_send_did_not_bring_is_null,
    a_report_that_comes_first_waits_for_its_message,
    credits_come_from_accepts_and_go_with_messages,
    a_subscribe_message_failed_in_wechats_words,
    listings_are_filtered_and_paged,
    all_orders_of_seven_events_end_alike,
    any_order_and_repetition_of_random_events_ends_alike,
    stores_that_meet_in_the_same_messages_and_credits_agree,
}

/// What became of a send; `fields` are added to those that all have.
pub(crate) fn result(account: &str, id: &str, openid: &str, second: i64, fields: Value) -> Value {
    let mut data = json!({
        "account": account, "appid": "wx0123456789abcdef", "client": "shop", "api": "template",
        "digest": "a9993e364706816aba3e25717850c26c9cd0d89d", "errcode": 0, "outcome": "sent",
        "sent_at_ms": second * 1000 + 250,
    });
    let object = data.as_object_mut().unwrap();
    object.extend(fields.as_object().unwrap().clone());
    object.retain(|_, value| !value.is_null());
    let mut event = event("weir.send.result", id, second, &data);
    if !openid.is_empty() {
        event["subject"] = json!(openid);
    }
    event
}

pub(crate) fn finished(
    account: &str,
    id: &str,
    openid: &str,
    second: i64,
    msgid: &str,
    status: &str,
) -> Value {
    let fields = json!({"MsgType": "event", "Event": "TEMPLATESENDJOBFINISH", "MsgID": msgid, "Status": status});
    let kind = "weir.event.templatesendjobfinish";
    push_to(account, kind, id, openid, second, fields)
}

/// An event of subscribe messages: `popup`, `change` or `sent`.
pub(crate) fn about(
    what: &str,
    account: &str,
    id: &str,
    openid: &str,
    second: i64,
    list: Value,
) -> Value {
    let name = format!("subscribe_msg_{what}_event");
    let fields = json!({"MsgType": "event", "Event": name, "List": list});
    let kind = format!("weir.event.{name}");
    push_to(account, &kind, id, openid, second, fields)
}

pub(crate) fn answer(template: &str, status: &str) -> Value {
    json!({"TemplateId": template, "SubscribeStatusString": status, "PopupScene": 0})
}

fn arrived(template: &str, msgid: &str, code: i64) -> Value {
    let status = if code == 0 {
        "success"
    } else {
        "failed: user refused"
    };
    json!({"TemplateId": template, "MsgID": msgid, "ErrorCode": code, "ErrorStatus": status})
}

impl World {
    async fn deliveries(&self, query: &str) -> Vec<Delivery> {
        self.list(&format!("/v1/deliveries{query}"), 200).await
    }

    async fn delivery(&self, msgid: &str) -> Delivery {
        let mut found = self.deliveries(&format!("?msgid={msgid}")).await;
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    async fn credits(&self, query: &str) -> Vec<Credit> {
        self.list(&format!("/v1/credits{query}"), 200).await
    }

    /// A user's balance for a template.
    async fn balance(&self, openid: &str, template: &str) -> u64 {
        let query = format!("?account=demo&openid={openid}&template_id={template}");
        self.credits(&query).await[0].balance
    }
}

async fn a_message_is_followed_from_its_sending_to_its_user(world: World) {
    let sent =
        json!({"template_id": "T", "msgid": "24000000000000001", "client_msg_id": "order-7"});
    world.create(&[result("demo", "s1", "oA", T0, sent)]).await;
    let delivery = world.delivery("24000000000000001").await;
    let expected: Delivery = serde_json::from_value(json!({
        "id": "s1", "account": "demo", "appid": "wx0123456789abcdef", "openid": "oA", "client": "shop",
        "api": "template", "template_id": "T", "msgtype": null, "client_msg_id": "order-7",
        "digest": "a9993e364706816aba3e25717850c26c9cd0d89d", "msgid": "24000000000000001", "errcode": 0,
        "state": "sent", "reason": null, "sent_at": "2024-04-26T06:30:00.25Z", "reported_at": null,
    }))
    .unwrap();
    assert_eq!(delivery, expected);

    let blocked = finished(
        "demo",
        "f1",
        "oA",
        T0 + 2,
        "24000000000000001",
        "failed:user block",
    );
    world.create(&[blocked]).await;
    let failed = world.delivery("24000000000000001").await;
    assert_eq!(
        failed,
        Delivery {
            state: DeliveryState::Failed,
            reason: Some("user block".to_owned()),
            reported_at: Some(time(T0 + 2)),
            ..expected.clone()
        }
    );

    let later = finished("demo", "f2", "oA", T0 + 3, "24000000000000001", "success");
    let earlier = finished(
        "demo",
        "f3",
        "oA",
        T0 + 1,
        "24000000000000001",
        "failed: system failed",
    );
    world.create(&[later, earlier]).await;
    let delivered = world.delivery("24000000000000001").await;
    assert_eq!(
        delivered,
        Delivery {
            state: DeliveryState::Delivered,
            reported_at: Some(time(T0 + 3)),
            ..expected
        },
        "the newest word counts"
    );

    let again = json!({"template_id": "T", "msgid": "24000000000000001"});
    world.post(&[result("demo", "s1", "oA", T0, again)]).await;
    for (metric, count) in [
        (
            "weir_store_sends_total{api=\"template\",outcome=\"sent\"}",
            1.0,
        ),
        ("weir_store_deliveries_total{result=\"failed\"}", 2.0),
        ("weir_store_deliveries_total{result=\"delivered\"}", 1.0),
    ] {
        assert_eq!(world.metric(metric).await, count, "{metric}");
    }
}

async fn what_a_send_did_not_bring_is_null(world: World) {
    let refused =
        json!({"api": "custom", "msgtype": "text", "errcode": 45015, "outcome": "refused"});
    let unknown = json!({"errcode": null, "outcome": "unknown"});
    world
        .create(&[
            result("demo", "s1", "oA", T0, refused),
            result("demo", "s2", "", T0, unknown),
        ])
        .await;
    let told: Vec<_> = world.deliveries("").await;
    let told: Vec<_> = told
        .iter()
        .map(|delivery| (delivery.openid.as_deref(), delivery.state, delivery.errcode))
        .collect();
    assert_eq!(
        told,
        [
            (None, DeliveryState::Unknown, None),
            (Some("oA"), DeliveryState::Refused, Some(45015))
        ]
    );
    assert_eq!(
        world.metric("weir_store_events_unread_total").await,
        0.0,
        "both were understood"
    );
    let nobody = world.http.get(world.url("/v1/users/demo/oA")).send();
    assert_eq!(
        nobody.await.unwrap().status(),
        404,
        "to be sent something makes nobody a user"
    );
}

async fn a_report_that_comes_first_waits_for_its_message(world: World) {
    let report = finished("demo", "f1", "oA", T0 + 1, "7", "success");
    world.create(&[report]).await;
    assert!(world.deliveries("?msgid=7").await.is_empty());
    // Another account's message of the same name is another message.
    world
        .create(&[
            result("demo", "s1", "oA", T0, json!({"msgid": "7"})),
            result("shop", "s1", "oB", T0, json!({"msgid": "7"})),
        ])
        .await;
    let mine = world.deliveries("?account=demo&msgid=7").await;
    assert_eq!(mine[0].state, DeliveryState::Delivered);
    let others = world.deliveries("?account=shop&msgid=7").await;
    assert_eq!(others[0].state, DeliveryState::Sent);
}

async fn credits_come_from_accepts_and_go_with_messages(world: World) {
    let both = json!([answer("T", "accept"), answer("U", "accept")]);
    let again = json!([answer("T", "accept"), answer("U", "reject")]);
    world
        .create(&[
            about("popup", "demo", "p1", "oA", T0, both),
            about("popup", "demo", "p2", "oA", T0 + 1, again),
        ])
        .await;
    assert_eq!(
        (
            world.balance("oA", "T").await,
            world.balance("oA", "U").await
        ),
        (2, 0)
    );

    let message = json!({"api": "subscribe", "template_id": "T", "msgid": "7"});
    let sent = result("demo", "s1", "oA", T0 + 2, message);
    world.create(std::slice::from_ref(&sent)).await;
    assert_eq!(world.balance("oA", "T").await, 1);
    let list = json!([arrived("T", "7", 0)]);
    let pushed = about("sent", "demo", "d1", "oA", T0 + 3, list);
    world.create(std::slice::from_ref(&pushed)).await;
    world.post(&[sent, pushed]).await;
    assert_eq!(world.balance("oA", "T").await, 1, "it is one message");

    let none =
        json!({"api": "subscribe", "template_id": "T", "errcode": 43101, "outcome": "refused"});
    world
        .create(&[result("demo", "s2", "oA", T0 + 4, none)])
        .await;
    assert_eq!(world.balance("oA", "T").await, 0, "WeChat's word counts");
    let settings = about(
        "change",
        "demo",
        "c1",
        "oA",
        T0 + 9,
        json!([answer("U", "reject")]),
    );
    let accept = about(
        "popup",
        "demo",
        "p3",
        "oA",
        T0 + 8,
        json!([answer("U", "accept")]),
    );
    world.create(&[settings, accept]).await;
    let all = world.credits("?openid=oA").await;
    let told: Vec<_> = all
        .iter()
        .map(|credit| {
            (
                credit.template_id.as_str(),
                credit.balance,
                credit.changed_at.clone(),
            )
        })
        .collect();
    assert_eq!(told, [("U", 0, time(T0 + 9)), ("T", 0, time(T0 + 4))]);
}

async fn a_subscribe_message_failed_in_wechats_words(world: World) {
    let grant = about(
        "popup",
        "demo",
        "p1",
        "oA",
        T0,
        json!([answer("T", "accept")]),
    );
    let message = json!({"api": "subscribe", "template_id": "T", "msgid": "1864323726461255681"});
    // As JSON of before pushes were typed: a bare object, and a number as a text.
    let list = json!({"TemplateId": "T", "MsgID": "1864323726461255681", "ErrorCode": "2", "ErrorStatus": "failed"});
    world
        .create(&[
            grant,
            about("sent", "demo", "d1", "oA", T0 + 3, list),
            result("demo", "s1", "oA", T0 + 2, message),
        ])
        .await;
    let delivery = world.delivery("1864323726461255681").await;
    assert_eq!(
        (delivery.state, delivery.reason.as_deref()),
        (DeliveryState::Failed, Some("failed"))
    );
}

async fn listings_are_filtered_and_paged(world: World) {
    let accounts = ["demo", "shop"];
    let mut events = Vec::new();
    for n in 0..20 {
        let account = accounts[n % 2];
        let openid = format!("o{}", n % 5);
        let fields = json!({"api": "subscribe", "template_id": format!("T{}", n % 4), "msgid": format!("{n}")});
        events.push(result(
            account,
            &format!("s{n}"),
            &openid,
            T0 + n as i64,
            fields,
        ));
    }
    // One by one: within a batch the order of storage is the database's.
    for event in &events {
        world.create(std::slice::from_ref(event)).await;
    }
    let all = world.deliveries("").await;
    let ids = |some: &[Delivery]| some.iter().map(|d| d.id.clone()).collect::<Vec<_>>();
    let named = |numbers: &[usize]| {
        let ids = numbers.iter().map(|n| format!("s{n}"));
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(&all), named(&(0..20).rev().collect::<Vec<_>>()));
    let pages: Vec<Delivery> = world.list("/v1/deliveries", 3).await;
    assert_eq!(pages, all);
    for (query, expected) in [
        ("?account=demo", vec![18, 16, 14, 12, 10, 8, 6, 4, 2, 0]),
        ("?openid=o1", vec![16, 11, 6, 1]),
        ("?openid=o1&account=shop", vec![11, 1]),
        ("?msgid=7", vec![7]),
        ("?msgid=7&openid=o2", vec![7]),
        ("?msgid=7&openid=o1", vec![]),
        ("?account=nobody", vec![]),
    ] {
        assert_eq!(
            ids(&world.deliveries(query).await),
            named(&expected),
            "{query}"
        );
        let path = format!("/v1/deliveries{query}");
        let pages: Vec<Delivery> = world.list(&path, 1).await;
        assert_eq!(ids(&pages), named(&expected), "{query}");
    }
    assert_eq!(world.credits("").await.len(), 20);
    for (query, expected) in [
        ("?account=demo", 10),
        ("?openid=o1", 4),
        ("?template_id=T1", 5),
        ("?template_id=T1&account=demo", 0),
        ("?template_id=T1&openid=o1", 1),
        ("?template_id=T1&openid=o1&account=shop", 1),
    ] {
        let found = world.credits(query).await;
        assert_eq!(found.len(), expected, "{query}");
        let pages: Vec<Credit> = world.list(&format!("/v1/credits{query}"), 1).await;
        assert_eq!(pages, found, "{query}");
    }
    let wrong = world.http.get(world.url("/v1/credits?state=x")).send();
    assert_eq!(wrong.await.unwrap().status(), 400);
}

/// Events of one user that concern one another.
fn story(account: &str) -> [Value; 7] {
    let subscribe = json!({"api": "subscribe", "template_id": "T", "msgid": "7"});
    let nameless = json!({"api": "bizsend", "template_id": "T"});
    let accept = || json!([answer("T", "accept"), answer("U", "accept")]);
    [
        about("popup", account, "p1", "oA", T0, accept()),
        about("popup", account, "p2", "oA", T0 + 1, accept()),
        result(account, "s1", "oA", T0 + 2, subscribe),
        about(
            "sent",
            account,
            "d1",
            "oA",
            T0 + 3,
            json!([arrived("T", "7", 0)]),
        ),
        about(
            "change",
            account,
            "c1",
            "oA",
            T0 + 4,
            json!([answer("U", "reject")]),
        ),
        result(account, "s2", "oA", T0 + 5, nameless),
        finished(account, "f1", "oA", T0 + 9, "7", "failed:user block"),
    ]
}

/// What is known of an account, without its name and without the order of storage.
async fn known(world: &World, account: &str) -> (Vec<Value>, Vec<Value>) {
    let plain = |items: Value| {
        let mut items: Vec<Value> = serde_json::from_value(items).unwrap();
        for item in &mut items {
            item["account"] = Value::Null;
        }
        items
            .sort_by_key(|item| format!("{}{}{}", item["id"], item["openid"], item["template_id"]));
        items
    };
    let query = format!("?account={account}");
    (
        plain(json!(world.deliveries(&query).await)),
        plain(json!(world.credits(&query).await)),
    )
}

/// Every order has an account of its own; some of all are compared in full, since a listing costs more than a story.
async fn all_orders_of_seven_events_end_alike(world: World) {
    let orders: Vec<_> = orders(7).into_iter().step_by(7).collect();
    let account = |number: usize| format!("a{number}");
    for place in 0..7 {
        let nth =
            |(number, order): (usize, &Vec<usize>)| story(&account(number))[order[place]].clone();
        let batch: Vec<Value> = orders.iter().enumerate().map(nth).collect();
        world.create(&batch).await;
    }
    let first = known(&world, &account(0)).await;
    let (deliveries, credits) = &first;
    let states: Vec<_> = deliveries.iter().map(|d| (&d["id"], &d["state"])).collect();
    assert_eq!(
        states,
        [
            (&json!("s1"), &json!("failed")),
            (&json!("s2"), &json!("sent"))
        ]
    );
    let balances: Vec<_> = credits
        .iter()
        .map(|c| (&c["template_id"], &c["balance"]))
        .collect();
    assert_eq!(
        balances,
        [(&json!("T"), &json!(0)), (&json!("U"), &json!(0))]
    );
    for (number, order) in orders.iter().enumerate().skip(1) {
        let known = known(&world, &account(number)).await;
        assert_eq!(known, first, "{order:?}");
    }
}

/// Random events of two users about two templates and three messages; within a few seconds, or each in its own from `start` on.
fn random_story(dice: &mut Dice, account: &str, start: Option<i64>) -> Vec<Value> {
    let one = |dice: &mut Dice, n: usize| {
        let openid = dice.one_of(&["oA", "oB"]);
        let template = dice.one_of(&["T", "U"]);
        let roll = dice.roll(4) as i64;
        let second = start.map_or(T0 + roll, |start| start + n as i64);
        let msgid = dice.one_of(&["7", "8", "9"]);
        let id = format!("e{n}");
        let mut event = match dice.roll(6) {
            0 | 1 => {
                let status = dice.one_of(&["accept", "accept", "reject", "filter"]);
                let list = json!([answer(template, status), answer("U", "accept")]);
                about("popup", account, &id, openid, second, list)
            }
            2 => {
                let list = json!([answer(template, "reject")]);
                about("change", account, &id, openid, second, list)
            }
            3 => {
                let code = dice.one_of(&[0, 0, 2]);
                let list = json!([arrived(template, msgid, code)]);
                about("sent", account, &id, openid, second, list)
            }
            4 => {
                let status = dice.one_of(&["success", "failed:user block"]);
                finished(account, &id, openid, second, msgid, status)
            }
            _ => {
                let (outcome, errcode) =
                    dice.one_of(&[("sent", 0), ("sent", 0), ("refused", 43101), ("unknown", 0)]);
                let api = dice.one_of(&["subscribe", "bizsend", "template"]);
                let fields = json!({
                    "api": api, "template_id": template, "msgid": dice.maybe(msgid), "outcome": outcome,
                    "errcode": errcode,
                });
                result(account, &id, openid, second, fields)
            }
        };
        // No two at the same moment: then the events' names would decide, and they differ by account.
        let moment = json!(second * 1000 + n as i64);
        let name = if event["data"]["push"].is_null() {
            "sent_at_ms"
        } else {
            "received_at_ms"
        };
        event["data"][name] = moment;
        event
    };
    (0..12).map(|n| one(dice, n)).collect()
}

async fn any_order_and_repetition_of_random_events_ends_alike(world: World) {
    for seed in 1..=12_u64 {
        let mut expected = None;
        for shuffle in 1..=8_u64 {
            let account = format!("s{seed}-{shuffle}");
            let events = random_story(&mut Dice::new(seed), &account, None);
            let mut dice = Dice::new(1000 * seed + shuffle);
            // Each at least once, some again, in any order and any cuts.
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
            let known = known(&world, &account).await;
            let expected = expected.get_or_insert_with(|| known.clone());
            assert_eq!(&known, expected, "seed {seed}, order {order:?}");
        }
    }
}

async fn stores_that_meet_in_the_same_messages_and_credits_agree(world: World) {
    let other = TestStore::start(&Config::local(world.database.url()))
        .await
        .unwrap();
    let urls = [world.store.url().to_owned(), other.url().to_owned()];
    let senders = (0..12_u64).map(|seed| {
        let url = format!("{}/v1/events", urls[seed as usize % 2]);
        let http = world.http.clone();
        tokio::spawn(async move {
            // The same 60 events for all, each sender in its own order.
            let mut dice = Dice::new(77);
            let mut events: Vec<Value> = Vec::new();
            for part in 0..5 {
                for mut event in random_story(&mut dice, "demo", Some(T0 + 100 * part)) {
                    event["id"] = json!(format!("{part}-{}", event["id"].as_str().unwrap()));
                    events.push(event);
                }
            }
            let mut dice = Dice::new(seed + 1);
            for place in (1..events.len()).rev() {
                events.swap(place, dice.roll(place as u64 + 1) as usize);
            }
            for batch in events.chunks(7) {
                let request = http.post(&url).header("content-type", CONTENT_TYPE_BATCH);
                let body = serde_json::to_vec(batch).unwrap();
                let response = request.body(body).send().await.unwrap();
                assert_eq!(response.status(), 200);
            }
            events
        })
    });
    let mut events = Vec::new();
    for sender in senders.collect::<Vec<_>>() {
        events = sender.await.unwrap();
    }
    let together = known(&world, "demo").await;
    // One sender alone, to another account.
    for event in &mut events {
        event["data"]["account"] = json!("alone");
        event["source"] = json!("/accounts/alone");
    }
    world.create(&events).await;
    assert_eq!(known(&world, "alone").await, together);
    other.stop().await.unwrap();
}
