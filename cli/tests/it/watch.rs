//! `weir sync` without a door: the store does it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::gateway::serve;
use crate::weir::{Run, weir_with};

/// A store's one sync.
#[derive(Default)]
struct Kept {
    /// What it was asked.
    asked: Vec<Value>,
    /// How often it was looked at.
    looks: u64,
    /// What it is in the end.
    end: Value,
}

struct Store {
    base: String,
    kept: Arc<Mutex<Kept>>,
    _runtime: tokio::runtime::Runtime,
}

impl Store {
    /// One whose sync ends so, at the third look.
    fn start(end: Value) -> Self {
        let kept = Arc::new(Mutex::new(Kept {
            end,
            ..Kept::default()
        }));
        let router = Router::new()
            .route("/v1/accounts/demo/syncs", get(list).post(ask))
            .route("/v1/accounts/demo/syncs/7", get(show))
            .with_state(kept.clone());
        let (base, runtime) = serve(router);
        Self {
            base,
            kept,
            _runtime: runtime,
        }
    }

    fn run(&self, more: &[&str]) -> Run {
        let args = [&["sync", "demo", "--store", &*self.base], more].concat();
        weir_with(&[("USER", "li")], &args)
    }
}

fn sync(more: &Value) -> Value {
    let mut sync = json!({
        "id": 7, "account": "demo", "state": "running", "chosen": null, "by": "li", "why": null,
        "asked_at": "2024-04-26T06:30:00Z", "begun_at": null, "ended_at": null, "due_at": null, "errcode": null,
        "reason": null, "progress": {"followers": 300, "stored": 100},
    });
    for (name, value) in more.as_object().unwrap() {
        sync[name] = value.clone();
    }
    sync
}

async fn ask(State(kept): State<Arc<Mutex<Kept>>>, body: String) -> Response {
    let mut kept = kept.lock().unwrap();
    kept.asked.push(serde_json::from_str(&body).unwrap());
    if kept.asked.len() == 1 {
        let sync = sync(&json!({"state": "waiting"})).to_string();
        return (StatusCode::ACCEPTED, sync).into_response();
    }
    let problem = json!({
        "type": "urn:weir:store:at-work", "title": "Something is at work", "status": 409, "detail": "sync 7",
    });
    let kind = [(CONTENT_TYPE, "application/problem+json")];
    (StatusCode::CONFLICT, kind, problem.to_string()).into_response()
}

async fn list() -> String {
    json!({"items": [sync(&json!({}))], "next_cursor": null}).to_string()
}

async fn show(State(kept): State<Arc<Mutex<Kept>>>) -> String {
    let mut kept = kept.lock().unwrap();
    kept.looks += 1;
    match kept.looks {
        1..3 => sync(&json!({})).to_string(),
        _ => sync(&kept.end).to_string(),
    }
}

#[test]
fn the_store_is_asked_and_watched_to_the_end() {
    let store = Store::start(json!({
        "state": "done", "progress": {"followers": 300, "stored": 300, "unfollowed": 2, "calls": 5},
    }));
    store
        .run(&["--why", "a new database"])
        .ends(0)
        .says(&["demo: sync 7 is asked for", "--watch"]);
    let asked = store.kept.lock().unwrap().asked[0].clone();
    assert_eq!(asked, json!({"by": "li", "why": "a new database"}));
    // One is not over yet: that is what is watched.
    let run = store.run(&["--watch"]);
    run.ends(0)
        .says(&["demo: sync 7 is done: 300 of 300 stored, 2 unfollowed; 5 calls"]);
    assert!(run.err.contains("not over yet"), "{}", run.err);
    store.run(&[]).ends(1).says(&["nothing new was asked for"]);
}

#[test]
fn one_that_rests_is_not_watched_until_midnight() {
    let store = Store::start(json!({
        "state": "resting", "errcode": 45009, "reason": "the quota is used up", "due_at": "2024-04-26T16:03:00Z",
    }));
    let run = store.run(&["--watch", "--openid", "oA"]);
    run.ends(1).says(&[
        "sync 7 is resting",
        "the quota is used up",
        "goes on by itself at 2024-04-26T16:03:00Z",
    ]);
    assert_eq!(
        store.kept.lock().unwrap().asked[0]["openids"],
        json!(["oA"])
    );
}

#[test]
fn what_only_one_of_the_two_does_is_not_asked_of_the_other() {
    for more in [
        &["--door", "http://127.0.0.1:1"][..],
        &["--key-env", "X"],
        &["--door", "http://127.0.0.1:1", "--key-env", "X", "--watch"],
        &["--journal", "x"],
    ] {
        Store::start(Value::Null).run(more).ends(2);
    }
}
