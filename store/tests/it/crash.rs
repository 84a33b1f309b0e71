//! The process is killed in the middle of its work, again and again.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tokio::sync::Notify;
use weir_store_api::read::{Message, Page, StoredEvent, User};
use weir_store_api::{BatchAnswer, CONTENT_TYPE_BATCH, EventStatus};

use crate::process::Process;
use crate::world::{Database, T0, soon, subscribe, text};

const SENDERS: usize = 16;
const ROUNDS: usize = 3;
/// Events answered in a round before the process is killed.
const ANSWERED: usize = 400;

#[tokio::test]
async fn sqlite_keeps_what_was_answered_and_nothing_twice() {
    check(Database::sqlite().unwrap()).await;
}

#[tokio::test]
async fn postgres_keeps_what_was_answered_and_nothing_twice() {
    if let Some(database) = Database::postgres().await {
        check(database).await;
    }
}

/// Sends until the connection breaks; returns the ids that were answered as stored.
async fn send(
    url: String,
    sender: String,
    answered: Arc<AtomicUsize>,
    enough: Arc<Notify>,
) -> Vec<String> {
    let http = reqwest::Client::new();
    let mut ids = Vec::new();
    for number in 0.. {
        let openid = format!("o{sender}-{number}");
        let id = |part: usize| format!("{sender}-{number}-{part}");
        let batch: Vec<Value> = (0..=number % 5)
            .map(|part| match part {
                0 => subscribe(&id(part), &openid, T0, ""),
                _ => text(&id(part), &openid, T0, "hello"),
            })
            .collect();
        let request = http
            .post(format!("{url}/v1/events"))
            .header("content-type", CONTENT_TYPE_BATCH);
        let response = request
            .body(serde_json::to_vec(&batch).unwrap())
            .send()
            .await;
        let Ok(response) = response else {
            break;
        };
        assert_eq!(response.status(), 200);
        let Ok(answer) = response.json::<BatchAnswer>().await else {
            break;
        };
        for result in answer.results {
            assert_eq!(result.status, EventStatus::Created);
            ids.push(result.id);
        }
        if answered.fetch_add(batch.len(), Ordering::Relaxed) + batch.len() >= ANSWERED {
            enough.notify_one();
        }
    }
    ids
}

async fn check(database: Database) {
    let mut answered_ids = HashSet::new();
    for round in 0..ROUNDS {
        let process = Process::start(&database).await;
        let answered = Arc::new(AtomicUsize::new(0));
        let enough = Arc::new(Notify::new());
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let sender = format!("{round}-{sender}");
                tokio::spawn(send(
                    process.url.clone(),
                    sender,
                    Arc::clone(&answered),
                    Arc::clone(&enough),
                ))
            })
            .collect();
        soon(enough.notified()).await;
        process.kill().await;
        for sender in senders {
            answered_ids.extend(sender.await.unwrap());
        }
    }
    assert!(answered_ids.len() >= ROUNDS * ANSWERED);

    let process = Process::start(&database).await;
    let events: Vec<StoredEvent> = list(&process.url, "/v1/events").await;
    let ids: HashSet<String> = events.iter().map(|event| event.id.clone()).collect();
    assert_eq!(ids.len(), events.len(), "an event is stored twice");
    let lost: Vec<_> = answered_ids.difference(&ids).collect();
    assert_eq!(lost, Vec::<&String>::new());

    // The log and the projections were written together or not at all.
    let texts = events
        .iter()
        .filter(|event| event.kind == "weir.message.text")
        .count();
    let messages: Vec<Message> = list(&process.url, "/v1/messages").await;
    assert_eq!(messages.len(), texts);
    let follows = events
        .iter()
        .filter(|event| event.kind == "weir.event.subscribe")
        .count();
    let people: Vec<User> = list(&process.url, "/v1/users?state=following").await;
    assert_eq!(people.len(), follows);
    assert!(
        people
            .iter()
            .all(|user| user.follow.as_ref().unwrap().followed_times == 1)
    );
    process.kill().await;
}

async fn list<T: serde::de::DeserializeOwned>(url: &str, path: &str) -> Vec<T> {
    let joint = if path.contains('?') { '&' } else { '?' };
    let mut items = Vec::new();
    let mut next = String::new();
    loop {
        let response = reqwest::get(format!("{url}{path}{joint}limit=200{next}"))
            .await
            .unwrap();
        let page: Page<T> = response.json().await.unwrap();
        items.extend(page.items);
        match page.next_cursor {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => return items,
        }
    }
}
