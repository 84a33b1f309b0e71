//! What comes for the store while it is being called goes there together.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use wasmtime::{Result, ensure};
use weir_component_tests::{document, follow, serve, signed, store_saying};
use weir_host::component::Batch;

const FOLLOWS: usize = 24;

/// The answers to so many follows at once.
async fn answers(origin: &str) -> Result<Vec<String>> {
    let batch = Batch {
        events: 10,
        ..Batch::default()
    };
    let server = serve(&document(origin), FOLLOWS, batch).await??;
    let mut answers = JoinSet::new();
    for number in 0..FOLLOWS {
        let (target, body) = (
            signed("/wechat/demo", ""),
            follow(&format!("oUser{number}")),
        );
        let length = body.len();
        let request = format!(
            "POST {target} HTTP/1.1\r\nhost: weir\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let address = server.address();
        answers.spawn(async move {
            let mut tcp = TcpStream::connect(address).await?;
            tcp.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            tcp.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        });
    }
    let answers = answers.join_all().await.into_iter();
    Ok(answers.collect::<std::io::Result<_>>()?)
}

/// The same, where each is to be welcome. What the store was told, call by call.
async fn follows(origin: &str, told: &mut UnboundedReceiver<String>) -> Result<Vec<Vec<Value>>> {
    for answer in answers(origin).await? {
        ensure!(answer.contains("Welcome"), "{answer}");
    }
    let mut calls = Vec::new();
    while let Ok(body) = told.try_recv() {
        calls.push(serde_json::from_str(&body)?);
    }
    Ok(calls)
}

/// How often the store was told of each user.
fn users<'a>(calls: impl Iterator<Item = &'a Vec<Value>>) -> BTreeMap<String, usize> {
    let mut users = BTreeMap::new();
    for event in calls.flatten() {
        let user = event["subject"].as_str().unwrap_or_default();
        *users.entry(user.to_owned()).or_default() += 1;
    }
    users
}

#[tokio::test(flavor = "multi_thread")]
async fn many_follows_at_once_are_few_calls_to_the_store() -> Result<()> {
    let (origin, mut told) = store_saying(Duration::from_millis(50), |_| 200).await?;
    let calls = follows(&origin, &mut told).await?;
    ensure!(calls.len() <= FOLLOWS / 2, "{} calls", calls.len());
    ensure!(calls.iter().all(|events| events.len() <= 10), "too many");
    let users = users(calls.iter());
    ensure!(users.len() == FOLLOWS, "{users:?}");
    ensure!(users.values().all(|times| *times == 1), "{users:?}");
    Ok(())
}

/// One event may be to blame: each has to be heard by itself, and those that are good are kept.
#[tokio::test(flavor = "multi_thread")]
async fn where_the_store_refuses_many_each_goes_again_alone() -> Result<()> {
    let says = |body: &str| match serde_json::from_str::<Vec<Value>>(body) {
        Ok(events) if events.len() == 1 => 200,
        _ => 413,
    };
    let (origin, mut told) = store_saying(Duration::from_millis(50), says).await?;
    let calls = follows(&origin, &mut told).await?;
    ensure!(calls.iter().any(|events| events.len() > 1), "none together");
    let users = users(calls.iter().filter(|events| events.len() == 1));
    ensure!(users.len() == FOLLOWS, "{users:?}");
    ensure!(users.values().all(|times| *times == 1), "{users:?}");
    Ok(())
}

/// How many events were in the call that got no answer.
static HUNG: AtomicUsize = AtomicUsize::new(0);

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_an_answer_holds_nobody_else_up() -> Result<()> {
    let says = |body: &str| {
        let events = serde_json::from_str::<Vec<Value>>(body).map_or(0, |events| events.len());
        let is_first = HUNG.compare_exchange(0, events, Relaxed, Relaxed).is_ok();
        if is_first { 0 } else { 200 }
    };
    let (origin, _told) = store_saying(Duration::from_millis(50), says).await?;
    let answers = answers(&origin).await?;
    let welcome = answers.iter().filter(|answer| answer.contains("Welcome"));
    let (welcome, hung) = (welcome.count(), HUNG.load(Relaxed));
    ensure!(welcome + hung >= FOLLOWS, "{welcome}, without {hung}");
    Ok(())
}
