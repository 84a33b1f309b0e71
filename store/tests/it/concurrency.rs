//! Many senders of the same events, also through several stores.

use std::collections::HashMap;

use serde_json::Value;
use weir_store::config::Config;
use weir_store::testing::TestStore;
use weir_store_api::read::{StoredEvent, User};
use weir_store_api::{BatchAnswer, CONTENT_TYPE_BATCH, EventStatus};

use crate::world::{Database, T0, World, snapshot, subscribe, text, unsubscribe};

on_both_databases! {
    of_64_senders_of_an_event_exactly_one_is_told_it_is_new,
    several_stores_on_one_database_agree,
    no_push_is_lost_when_stores_meet_in_one_person,
}

/// All senders send these, each in its own order and cut.
const EVENTS: usize = 120;
const SENDERS: usize = 64;

/// A few people who all talk, come, go and get profiles.
fn events() -> Vec<Value> {
    let one = |n: usize| {
        let (id, openid, second) = (format!("e{n}"), format!("o{}", n % 7), T0 + n as i64);
        match n % 4 {
            0 => subscribe(&id, &openid, second, ""),
            1 => text(&id, &openid, second, "hello"),
            2 => unsubscribe(&id, &openid, second),
            _ => snapshot(
                &id,
                &openid,
                second,
                serde_json::json!({"subscribe": 1, "remark": id}),
            ),
        }
    };
    (0..EVENTS).map(one).collect()
}

/// Sends all events to the store at `url`, shuffled and cut by `seed`; returns how often each was new.
async fn send_all(http: reqwest::Client, url: String, seed: usize) -> Vec<String> {
    let events = events();
    // A full cycle through all indices: the step and the count have no common factor.
    let step = [7, 11, 13, 17, 19, 23][seed % 6];
    let order: Vec<_> = (0..EVENTS)
        .map(|n| (n * step + seed * 31) % EVENTS)
        .collect();
    let mut created = Vec::new();
    for cut in order.chunks(1 + seed % 9) {
        let batch: Vec<Value> = cut.iter().map(|index| events[*index].clone()).collect();
        let request = http
            .post(format!("{url}/v1/events"))
            .header("content-type", CONTENT_TYPE_BATCH);
        let response = request
            .body(serde_json::to_vec(&batch).unwrap())
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        let answer: BatchAnswer = response.json().await.unwrap();
        for result in answer.results {
            assert_ne!(result.status, EventStatus::Rejected);
            if result.status == EventStatus::Created {
                created.push(result.id);
            }
        }
    }
    created
}

async fn check(world: &World, urls: &[String]) {
    let senders = (0..SENDERS).map(|seed| {
        let url = urls[seed % urls.len()].clone();
        tokio::spawn(send_all(world.http.clone(), url, seed))
    });
    let mut created: HashMap<String, usize> = HashMap::new();
    for sender in senders.collect::<Vec<_>>() {
        for id in sender.await.unwrap() {
            *created.entry(id).or_default() += 1;
        }
    }
    assert_eq!(created.len(), EVENTS);
    assert!(created.values().all(|times| *times == 1), "{created:?}");

    let log: Vec<StoredEvent> = world.list("/v1/events", 200).await;
    assert_eq!(log.len(), EVENTS);
    let messages: Vec<Value> = world.list("/v1/messages", 200).await;
    assert_eq!(messages.len(), EVENTS / 4);
    // The same events, one after the other, in an empty store.
    let alone = World::new(Database::sqlite().unwrap()).await;
    alone.create(&events()).await;
    assert_eq!(people(world).await, people(&alone).await);
}

async fn people(world: &World) -> Vec<User> {
    let mut people: Vec<User> = world.list("/v1/users", 200).await;
    people.sort_by(|a, b| a.openid.cmp(&b.openid));
    people
}

async fn of_64_senders_of_an_event_exactly_one_is_told_it_is_new(world: World) {
    let url = world.url("");
    check(&world, &[url]).await;
}

async fn several_stores_on_one_database_agree(world: World) {
    let config = Config::local(world.database.url());
    let others = [
        TestStore::start(&config).await.unwrap(),
        TestStore::start(&config).await.unwrap(),
    ];
    let urls = [
        world.url(""),
        others[0].url().to_owned(),
        others[1].url().to_owned(),
    ];
    check(&world, &urls).await;
}

async fn no_push_is_lost_when_stores_meet_in_one_person(world: World) {
    const PUSHES: usize = 20;
    let config = Config::local(world.database.url());
    let other = TestStore::start(&config).await.unwrap();
    let urls = [world.url(""), other.url().to_owned()];
    let senders = (0..16).map(|sender| {
        let (http, url) = (world.http.clone(), urls[sender % 2].clone());
        tokio::spawn(async move {
            for number in 0..PUSHES {
                let push = subscribe(&format!("{sender}-{number}"), "oA", T0 + number as i64, "");
                let body = serde_json::to_vec(&[push]).unwrap();
                let request = http
                    .post(format!("{url}/v1/events"))
                    .header("content-type", CONTENT_TYPE_BATCH);
                assert_eq!(request.body(body).send().await.unwrap().status(), 200);
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    let follow = world.user("oA").await.user.follow.unwrap();
    assert_eq!(follow.followed_times, 16 * PUSHES as u64);
}
