//! Many senders of the same events, also through several stores.

use std::collections::HashMap;

use serde_json::Value;
use weir_store::config::Config;
use weir_store::testing::TestStore;
use weir_store_api::read::{StoredEvent, User};
use weir_store_api::{BatchAnswer, CONTENT_TYPE_BATCH, EventStatus, WorkState};

use crate::world::{
    Database, T0, World, claim, given, late, snapshot, subscribe, text, unsubscribe,
};

on_both_databases! {
    of_64_senders_of_an_event_exactly_one_is_told_it_is_new,
    several_stores_on_one_database_agree,
    no_push_is_lost_when_stores_meet_in_one_person,
    of_many_claimants_at_two_stores_each_work_has_one,
    a_reply_is_handed_out_or_sent_never_both_whoever_is_first,
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

/// Works that everybody wants.
const WORKS: usize = 200;

/// Sends a batch; returns what each claim was told.
async fn ask(http: &reqwest::Client, url: &str, batch: &[Value]) -> Vec<(String, WorkState)> {
    let request = http
        .post(format!("{url}/v1/events"))
        .header("content-type", CONTENT_TYPE_BATCH);
    let response = request
        .body(serde_json::to_vec(batch).unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let answer: BatchAnswer = response.json().await.unwrap();
    let results = answer.results.into_iter();
    results
        .filter_map(|result| Some((result.id, result.work?.state)))
        .collect()
}

/// All indices below [`WORKS`], shuffled by `seed` and cut.
fn cuts(seed: usize, size: usize) -> Vec<Vec<usize>> {
    let step = [7, 11, 13, 17, 19, 23][seed % 6];
    let order: Vec<_> = (0..WORKS).map(|n| (n * step + seed * 31) % WORKS).collect();
    order.chunks(size).map(<[usize]>::to_vec).collect()
}

async fn of_many_claimants_at_two_stores_each_work_has_one(world: World) {
    let other = TestStore::start(&Config::local(world.database.url()))
        .await
        .unwrap();
    let urls = [world.url(""), other.url().to_owned()];
    let claimants = (0..16).map(|claimant| {
        let (http, urls) = (world.http.clone(), urls.clone());
        tokio::spawn(async move {
            let mut told = Vec::new();
            for (number, cut) in cuts(claimant, 1 + claimant % 7).into_iter().enumerate() {
                let name = format!("claimant {claimant}");
                let claims = cut.iter().map(|work| claim(&format!("w{work}"), &name));
                let claims: Vec<Value> = claims.collect();
                // Who asks again, and elsewhere, is told the same.
                let url = |turn: usize| &urls[(claimant + number + turn) % 2];
                let first = ask(&http, url(0), &claims).await;
                assert_eq!(ask(&http, url(1), &claims).await, first);
                assert_eq!(first.len(), claims.len());
                told.extend(first);
            }
            told
        })
    });
    let mut yours: HashMap<String, usize> = HashMap::new();
    for claimant in claimants.collect::<Vec<_>>() {
        for (work, state) in claimant.await.unwrap() {
            match state {
                WorkState::Yours => *yours.entry(work).or_default() += 1,
                state => assert_eq!(state, WorkState::Elsewhere),
            }
        }
    }
    assert_eq!(yours.len(), WORKS);
    assert!(yours.values().all(|times| *times == 1), "{yours:?}");
}

async fn a_reply_is_handed_out_or_sent_never_both_whoever_is_first(world: World) {
    let other = TestStore::start(&Config::local(world.database.url()))
        .await
        .unwrap();
    let urls = [world.url(""), other.url().to_owned()];
    let replies: Vec<Value> = (0..WORKS)
        .map(|work| {
            given(
                &format!("g{work}"),
                &format!("w{work}"),
                &serde_json::json!({"text": "hi"}),
            )
        })
        .collect();
    world.create(&replies).await;
    // The events are there too: whoever asks waits for nobody but in the ledger.
    let events = (0..WORKS).flat_map(|work| {
        let mut late = late(&format!("w{work}"), "");
        late.as_object_mut().unwrap().remove("weirclaim");
        [text(&format!("w{work}"), "oA", T0, "hello"), late]
    });
    world.create(&events.collect::<Vec<_>>()).await;
    let askers = (0..16).map(|asker| {
        let (http, url) = (world.http.clone(), urls[asker % 2].clone());
        tokio::spawn(async move {
            let mut told = Vec::new();
            // In large cuts, so that they meet in their midst.
            for cut in cuts(asker, 50) {
                let name = format!("asker {asker}");
                let asks = cut.iter().map(|work| match asker / 2 % 2 {
                    0 => claim(&format!("w{work}"), &name),
                    _ => late(&format!("w{work}"), &name),
                });
                told.extend(ask(&http, &url, &asks.collect::<Vec<_>>()).await);
            }
            told
        })
    });
    // Per work: attempts that got the reply, senders.
    let mut effects: HashMap<String, [usize; 2]> = HashMap::new();
    for asker in askers.collect::<Vec<_>>() {
        for (id, state) in asker.await.unwrap() {
            let work = id.trim_end_matches("-late");
            let effects = effects.entry(work.to_owned()).or_default();
            match (state, id == work) {
                (WorkState::Done, true) => effects[0] += 1,
                (WorkState::Yours, false) => effects[1] += 1,
                (WorkState::Sent, _) | (WorkState::Done, false) => {}
                (state, _) => panic!("{id}: {state:?}"),
            }
        }
    }
    assert_eq!(effects.len(), WORKS);
    for (work, [handed, senders]) in effects {
        // Eight asked for each.
        assert!(
            [(8, 0), (0, 1)].contains(&(handed, senders)),
            "{work}: {handed} attempts, {senders} senders"
        );
    }
}
