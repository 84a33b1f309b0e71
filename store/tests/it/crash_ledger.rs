//! The process is killed while many ask for work: whatever anybody was told still holds afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::sync::Notify;
use weir_store_api::WorkState::{Done, Elsewhere, Sent, Yours};
use weir_store_api::{BatchAnswer, CONTENT_TYPE_BATCH, EventStatus, Work};

use crate::process::Process;
use crate::world::{Database, claim, given, late, soon};

const NODES: usize = 16;
const ROUNDS: usize = 3;
/// Works given away in a round before the process is killed.
const GIVEN_AWAY: usize = 100;
/// After how many works a node asks for the first one again.
const BEHIND: usize = 3;

#[tokio::test]
async fn sqlite_stands_by_what_it_told() {
    check(Database::sqlite().unwrap()).await;
}

#[tokio::test]
async fn postgres_stands_by_what_it_told() {
    if let Some(database) = Database::postgres().await {
        check(database).await;
    }
}

/// What somebody was told of a work.
#[derive(Debug)]
enum Told {
    /// It is theirs.
    Yours,
    /// Its reply, to be handed to an attempt.
    Done(Option<String>),
    /// Their reply is durable.
    Given(String),
    /// They may send its reply.
    Send,
}

/// Posts events; `None` when the connection breaks.
async fn post(http: &reqwest::Client, url: &str, events: &[Value]) -> Option<Vec<Option<Work>>> {
    let request = http
        .post(format!("{url}/v1/events"))
        .header("content-type", CONTENT_TYPE_BATCH);
    let body = serde_json::to_vec(events).unwrap();
    let response = request.body(body).send().await.ok()?;
    assert_eq!(response.status(), 200);
    let answer: BatchAnswer = response.json().await.ok()?;
    let results = answer.results.into_iter();
    let works = results.map(|result| {
        assert_ne!(result.status, EventStatus::Rejected);
        result.work
    });
    Some(works.collect())
}

async fn ask(http: &reqwest::Client, url: &str, event: Value) -> Option<Work> {
    post(http, url, &[event]).await?.pop().flatten()
}

/// A gateway's node: claims every work there is, does its own, sends every third reply, and asks for older ones again.
/// Ends when the connection breaks.
async fn node(
    url: String,
    round: usize,
    name: String,
    told: &mut Vec<(String, String, Told)>,
    given_away: &AtomicUsize,
    enough: &Notify,
) -> Option<()> {
    let http = reqwest::Client::new();
    for number in 0_usize.. {
        let mut tell = |push: &String, what| told.push((push.clone(), name.clone(), what));
        let push = format!("{round}-{number}");
        if ask(&http, &url, claim(&push, &name)).await?.state == Yours {
            tell(&push, Told::Yours);
            if given_away.fetch_add(1, Ordering::Relaxed) + 1 == GIVEN_AWAY {
                enough.notify_one();
            }
            // Every fifth one never ends.
            if number % 5 != 0 {
                let reply = json!({"text": name});
                let mut events = vec![given(&format!("{push}-given"), &push, &reply)];
                // Every third one comes late; at once, or others would always have been faster.
                events.extend((number % 3 == 0).then(|| late(&push, &name)));
                let works = post(&http, &url, &events).await?;
                tell(&push, Told::Given(reply.to_string()));
                let mut sends = works.into_iter().flatten();
                if sends.any(|work| work.state == Yours) {
                    tell(&push, Told::Send);
                }
            }
        }
        if let Some(older) = number.checked_sub(BEHIND) {
            let push = format!("{round}-{older}");
            let work = ask(&http, &url, claim(&push, &name)).await?;
            match work.state {
                Done => tell(&push, Told::Done(work.reply)),
                Yours => tell(&push, Told::Yours),
                Elsewhere | Sent => {}
            }
        }
    }
    None
}

/// All that anybody was told of one work.
#[derive(Debug, Default)]
struct Known {
    owners: Vec<String>,
    /// Of attempts and of the application.
    replies: Vec<Option<String>>,
    is_given: bool,
    is_handed: bool,
    senders: Vec<String>,
}

async fn check(database: Database) {
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    for round in 0..ROUNDS {
        let process = Process::start(&database).await;
        let given_away = Arc::new(AtomicUsize::new(0));
        let enough = Arc::new(Notify::new());
        let nodes: Vec<_> = (0..NODES)
            .map(|number| {
                let (url, given_away) = (process.url.clone(), Arc::clone(&given_away));
                let enough = Arc::clone(&enough);
                tokio::spawn(async move {
                    let mut told = Vec::new();
                    let name = format!("node {number}");
                    node(url, round, name, &mut told, &given_away, &enough).await;
                    told
                })
            })
            .collect();
        soon(enough.notified()).await;
        process.kill().await;
        for node in nodes {
            for (push, name, told) in node.await.unwrap() {
                let known = known.entry(push).or_default();
                match told {
                    Told::Yours => known.owners.push(name),
                    Told::Done(reply) => {
                        known.is_handed = true;
                        known.replies.push(reply);
                    }
                    Told::Given(reply) => {
                        known.is_given = true;
                        known.replies.push(Some(reply));
                    }
                    Told::Send => known.senders.push(name),
                }
            }
        }
    }

    let process = Process::start(&database).await;
    let http = reqwest::Client::new();
    let ask = async |event| ask(&http, &process.url, event).await.unwrap();
    let [mut given, mut handed, mut sent] = [0; 3];
    for (push, known) in &mut known {
        // One owner, one reply, one effect.
        known.owners.dedup();
        assert!(known.owners.len() <= 1, "{push}: {known:?}");
        known.replies.dedup();
        assert!(known.replies.len() <= 1, "{push}: {known:?}");
        assert!(known.senders.len() <= 1, "{push}: {known:?}");
        assert!(
            !known.is_handed || known.senders.is_empty(),
            "{push}: {known:?}"
        );

        // And all of it still holds.
        if let Some(sender) = known.senders.first() {
            sent += 1;
            assert_eq!(
                ask(late(push, sender)).await.state,
                Yours,
                "{push}: {known:?}"
            );
            assert_eq!(
                ask(late(push, "new")).await.state,
                Sent,
                "{push}: {known:?}"
            );
            assert_eq!(
                ask(claim(push, "new")).await.state,
                Sent,
                "{push}: {known:?}"
            );
            continue;
        }
        if known.is_handed {
            handed += 1;
            assert_eq!(
                ask(late(push, "new")).await.state,
                Done,
                "{push}: {known:?}"
            );
        }
        let work = ask(claim(push, "new")).await;
        if known.is_given || known.is_handed {
            given += 1;
            // A send may have been granted to who was not told any more.
            if known.is_handed || work.state != Sent {
                assert_eq!(work.state, Done, "{push}: {known:?}");
                assert_eq!(known.replies, [work.reply], "{push}: {known:?}");
            }
        } else if let Some(owner) = known.owners.first() {
            // Its reply may be stored, though nobody was told so.
            assert_ne!(work.state, Yours, "{push}: {known:?}");
            if work.state == Elsewhere {
                assert_eq!(ask(claim(push, owner)).await.state, Yours, "{push}");
            }
        }
    }
    assert!(known.len() >= ROUNDS * GIVEN_AWAY, "{}", known.len());
    assert!(
        given > GIVEN_AWAY && handed > 0 && sent > 0,
        "{given} {handed} {sent}"
    );
    process.kill().await;
}
