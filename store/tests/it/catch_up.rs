//! What was stored before the store knew what to make of it is read out of the log.

use std::time::Duration;

use serde_json::{Value, json};
use weir_store_api::CONTENT_TYPE_BATCH;
use weir_store_api::read::{
    Card, CardDetail, CardState, Credit, Delivery, DeliveryState, Page, Person, StoredEvent,
};

use crate::process::Process;
use crate::world::{ACCOUNT, Database, T0, World, push, soon, text};
use crate::{cards, sends};

/// The first two steps of each: before active messages, cards and people.
const SQLITE: [&str; 2] = [
    include_str!("../../migrations/sqlite/0001_initial.sql"),
    include_str!("../../migrations/sqlite/0002_work.sql"),
];
const POSTGRES: [&str; 2] = [
    include_str!("../../migrations/postgres/0001_initial.sql"),
    include_str!("../../migrations/postgres/0002_work.sql"),
];
const NOTED: &str = "
    CREATE TABLE weir_migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL,
        applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
    INSERT INTO weir_migrations (version, name) VALUES (1, '0001_initial'), (2, '0002_work');
    INSERT INTO sources (source) VALUES ('/accounts/demo');
    INSERT INTO accounts (name) VALUES ('demo');
    INSERT INTO users (account_key, openid, first_seen_at) VALUES (1, 'oA', 1714113000);";

/// A row of the log as it was then: what nobody knew is of no account.
fn row(event: &Value) -> String {
    let text = |value: &Value| match value.as_str() {
        Some(text) => format!("'{text}'"),
        None => "NULL".to_owned(),
    };
    let is_known = event["type"] != "weir.send.result";
    format!(
        "INSERT INTO events (source_key, id, type, at_ms, subject, data, account_key, stored_at_ms) \
         VALUES (1, {}, {}, {}, {}, '{}', {}, 0);",
        text(&event["id"]),
        text(&event["type"]),
        T0 * 1000,
        text(&event["subject"]),
        event["data"],
        if is_known { "1" } else { "NULL" },
    )
}

async fn made(database: &Database, events: &[Value]) {
    let rows: String = events.iter().map(row).collect();
    let steps = match &database {
        Database::Sqlite(_) => SQLITE.concat(),
        Database::Postgres(_) => POSTGRES.concat(),
    };
    let made = format!("{steps};{NOTED};BEGIN;{rows}COMMIT;");
    database.change(&made).await;
}

async fn both() -> Vec<Database> {
    Database::sqlite()
        .into_iter()
        .chain(Database::postgres().await)
        .collect()
}

fn accepts(id: &str, second: i64) -> Value {
    let list = json!([sends::answer("T", "accept")]);
    sends::about("popup", ACCOUNT, id, "oA", second, list)
}

#[tokio::test]
async fn cards_messages_and_unionids_of_before_are_known_after_an_update() {
    let mut events = vec![
        cards::about(
            "user_get_card",
            "get",
            "oA",
            T0,
            "1",
            json!({"OuterStr": "7", "UnionId": "u"}),
        ),
        cards::about(
            "submit_membercard_user_info",
            "submit",
            "oA",
            T0 + 1,
            "1",
            json!({}),
        ),
        accepts("accept", T0),
        sends::finished(ACCOUNT, "finished", "oA", T0 + 3, "24", "failed:user block"),
        sends::result(
            ACCOUNT,
            "sent",
            "oA",
            T0 + 2,
            json!({"template_id": "T", "msgid": "24"}),
        ),
    ];
    // More than a part of the log before and after them.
    let filler = |number| text(&format!("t{number}"), "oA", T0, "hello");
    events.splice(0..0, (0..250).map(filler));
    events.extend((250..500).map(filler));
    for database in both().await {
        made(&database, &events).await;
        let mut world = World::new(database).await;
        for _ in 0..2 {
            soon(async {
                while world
                    .list::<Delivery>("/v1/deliveries", 50)
                    .await
                    .is_empty()
                {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
            .await;
            let path = format!("/v1/cards/{}/1", cards::CARD);
            let detail: CardDetail = world.get(&path).await;
            assert_eq!(detail.card.state, CardState::Held);
            assert_eq!(detail.card.taken.unwrap().channel.as_deref(), Some("7"));
            assert!(detail.card.asking.is_some(), "the form is not known");
            let uid = world.user("oA").await.uid;
            let person: Person = world.get(&format!("/v1/people/{uid}")).await;
            assert_eq!(person.unionids, ["u"]);
            let credits: Vec<Credit> = world.list("/v1/credits", 50).await;
            assert_eq!((credits.len(), credits[0].balance), (1, 1));
            let sent: Vec<Delivery> = world.list("/v1/deliveries", 50).await;
            assert_eq!((sent.len(), sent[0].state), (1, DeliveryState::Failed));
            let of_account: Vec<StoredEvent> = world.list("/v1/events?account=demo", 200).await;
            assert_eq!(of_account.len(), 505, "it is known whose they are");
            // Once more, from the beginning: nothing changes.
            world.store.stop().await.unwrap();
            let again = "UPDATE catch_up SET done_seq = 0";
            world.database.change(again).await;
            world = World::new(world.database).await;
        }
    }
}

/// Killed in the middle, gone on with by two at once, while events come in all the time.
#[tokio::test]
async fn it_goes_on_after_a_kill_and_what_comes_in_is_stored_meanwhile() {
    const CARDS: usize = 3_000;
    let taken = (0..CARDS).flat_map(|number| {
        let code = number.to_string();
        let get = cards::about(
            "user_get_card",
            &format!("g{number}"),
            "oA",
            T0,
            &code,
            json!({}),
        );
        [get, accepts(&format!("a{number}"), T0)]
    });
    let events: Vec<Value> = taken.collect();
    for database in both().await {
        made(&database, &events).await;
        let mut stores = vec![Process::start(&database).await];
        let http = reqwest::Client::new();
        let mut posted: usize = 0;
        let mut told = async |store: &Process| {
            let fields = json!({"MsgType": "event", "Event": "subscribe_msg_popup_event", "List": [sends::answer("T", "accept")]});
            let kind = "weir.event.subscribe_msg_popup_event";
            let event = push(kind, &format!("new{posted}"), "oA", T0 + 1, fields);
            let request = http.post(format!("{}/v1/events", store.url));
            let request = request.header("content-type", CONTENT_TYPE_BATCH);
            let body = serde_json::to_vec(&[event]).unwrap();
            let response = request.body(body).send().await.unwrap();
            assert_eq!(response.status(), 200);
            posted += 1;
        };
        let some_cards = async |store: &Process| {
            let page = reqwest::get(format!("{}/v1/cards?limit=1", store.url)).await;
            let page: Page<Card> = page.unwrap().json().await.unwrap();
            !page.items.is_empty()
        };
        while !some_cards(&stores[0]).await {
            told(&stores[0]).await;
        }
        for store in stores.drain(..) {
            store.kill().await;
        }
        stores.push(Process::start(&database).await);
        stores.push(Process::start(&database).await);
        let balance = async |store: &Process| {
            let page = reqwest::get(format!("{}/v1/credits", store.url)).await;
            let page: Page<Credit> = page.unwrap().json().await.unwrap();
            page.items[0].balance
        };
        soon(async {
            let mut number = 0;
            loop {
                told(&stores[number % 2]).await;
                number += 1;
                let first_and_last = async |code: usize| {
                    let path = format!("{}/v1/cards/{}/{code}", stores[0].url, cards::CARD);
                    reqwest::get(path).await.unwrap().status() == 200
                };
                if first_and_last(0).await && first_and_last(CARDS - 1).await {
                    break;
                }
            }
        })
        .await;
        let expected = u64::try_from(CARDS + posted).unwrap();
        soon(async {
            while balance(&stores[0]).await != expected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let (mut cards, mut cursor) = (0, String::new());
        loop {
            let url = format!("{}/v1/cards?limit=200{cursor}", stores[1].url);
            let page: Page<Card> = reqwest::get(url).await.unwrap().json().await.unwrap();
            cards += page.items.len();
            let Some(next) = page.next_cursor else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(cards, CARDS);
        for store in stores {
            store.kill().await;
        }
    }
}
