//! A full queue, a database that fails, senders that leave, and the end.

use std::sync::Arc;

use reqwest::{Response, StatusCode};
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use weir_store::config::{Config, Limits};
use weir_store::server::Store;
use weir_store::testing::TestStore;
use weir_store_api::read::Problem;
use weir_store_api::{BatchAnswer, CONTENT_TYPE_BATCH, CONTENT_TYPE_EVENT, EventStatus};

use crate::scripted::Scripted;
use crate::world::{Database, T0, World, soon, text};

async fn world(repo: &Arc<Scripted>, limits: Limits) -> World {
    let repo = Arc::clone(repo);
    let store = Store::new(repo, limits, None);
    World {
        store: TestStore::serve(store, &Config::local("")).await.unwrap(),
        database: Database::sqlite().unwrap(),
        http: reqwest::Client::new(),
    }
}

/// Posts one event in the background.
fn post(world: &World, id: &str) -> tokio::task::JoinHandle<Response> {
    let request = world.http.post(world.url("/v1/events"));
    let request = request
        .header("content-type", CONTENT_TYPE_EVENT)
        .body(text(id, "oA", T0, "hello").to_string());
    tokio::spawn(async move { soon(request.send()).await.unwrap() })
}

async fn wait_for_queue(world: &World, events: f64) {
    soon(async {
        while world.metric("weir_store_queue_events").await != events {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn problem(response: Response) -> Problem {
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let status = response.status().as_u16();
    let problem: Problem = response.json().await.unwrap();
    assert_eq!(problem.status, status);
    problem
}

#[tokio::test]
async fn requests_that_arrive_during_a_commit_share_the_next() {
    let repo = Scripted::passing(0);
    let world = world(&repo, Limits::default()).await;
    let first = post(&world, "first");
    repo.begun(1).await;
    let others: Vec<_> = (0..50).map(|n| post(&world, &format!("{n}"))).collect();
    wait_for_queue(&world, 51.0).await;
    repo.gate.add_permits(2);
    for answer in [first].into_iter().chain(others) {
        assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
    }
    let sizes: Vec<_> = repo.commits().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 50]);
    assert_eq!(world.metric("weir_store_commit_events_count").await, 2.0);
    assert_eq!(
        world
            .metric("weir_store_events_total{result=\"created\"}")
            .await,
        51.0
    );
    assert_eq!(world.metric("weir_store_queue_events").await, 0.0);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_takes_again_when_it_has_drained() {
    let repo = Scripted::passing(0);
    let limits = Limits {
        max_queued_events: 2,
        max_batch_events: 2,
        ..Limits::default()
    };
    let world = world(&repo, limits).await;
    let taken = [post(&world, "a"), post(&world, "b")];
    wait_for_queue(&world, 2.0).await;

    let refused = post(&world, "c").await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(problem(refused).await.kind, "urn:weir:store:queue-full");

    repo.gate.add_permits(10);
    for answer in taken {
        assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(post(&world, "c").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn bytes_in_the_queue_are_bounded_too() {
    let repo = Scripted::passing(0);
    let one = text("a", "oA", T0, "hello").to_string().len();
    let limits = Limits {
        max_queued_bytes: one * 2 - 1,
        max_body_bytes: one,
        ..Limits::default()
    };
    let world = world(&repo, limits).await;
    let taken = post(&world, "a");
    repo.begun(1).await;
    let refused = post(&world, "b").await.unwrap();
    assert_eq!(problem(refused).await.kind, "urn:weir:store:queue-full");
    repo.gate.add_permits(1);
    assert_eq!(taken.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn what_the_database_can_never_hold_is_rejected_by_name_and_the_rest_is_stored() {
    let repo = Scripted::passing(1_000);
    repo.refuse(&["3", "8"]);
    let world = world(&repo, Limits::default()).await;
    let events: Vec<_> = (0..10)
        .map(|n| text(&n.to_string(), "oA", T0, "hello"))
        .collect();
    let answer = world.post(&events).await;
    let rejected: Vec<_> = answer
        .results
        .iter()
        .filter(|result| result.status == EventStatus::Rejected && result.reason.is_some())
        .map(|result| result.id.as_str())
        .collect();
    assert_eq!(rejected, ["3", "8"]);
    let mut stored = repo.commits().concat();
    stored.sort();
    assert_eq!(stored, ["0", "1", "2", "4", "5", "6", "7", "9"]);
}

#[tokio::test]
async fn a_failing_database_is_503_everywhere_until_it_works_again() {
    let repo = Scripted::passing(1_000);
    let world = world(&repo, Limits::default()).await;
    repo.set_down(true);
    let refused = post(&world, "a").await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(
        problem(refused).await.kind,
        "urn:weir:store:database-unavailable"
    );
    for path in [
        "/healthz",
        "/v1/users",
        "/v1/users/demo/oA",
        "/v1/messages",
        "/v1/replies",
        "/v1/events",
        "/v1/accounts",
    ] {
        let refused = world.http.get(world.url(path)).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(
            problem(refused).await.kind,
            "urn:weir:store:database-unavailable",
            "{path}"
        );
    }
    assert_eq!(
        world
            .metric("weir_store_commits_total{result=\"failed\"}")
            .await,
        1.0
    );
    repo.set_down(false);
    assert_eq!(post(&world, "a").await.unwrap().status(), StatusCode::OK);
    let health = world.http.get(world.url("/healthz")).send().await.unwrap();
    assert_eq!(health.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_events_of_a_sender_that_left_are_stored() {
    let repo = Scripted::passing(0);
    let world = world(&repo, Limits::default()).await;
    let request = post(&world, "a");
    repo.begun(1).await;
    request.abort();
    let _ = request.await;
    repo.gate.add_permits(1);
    wait_for_queue(&world, 0.0).await;
    assert_eq!(repo.commits(), [["a"]]);
}

#[tokio::test]
async fn told_to_end_it_answers_and_commits_what_it_took() {
    let repo = Scripted::passing(0);
    let world = world(&repo, Limits::default()).await;
    let url = world.url("/healthz");
    let http = world.http.clone();
    let answers = [post(&world, "a"), post(&world, "b"), post(&world, "c")];
    wait_for_queue(&world, 3.0).await;
    let stopping = tokio::spawn(world.store.stop());
    // It accepts nothing more …
    let address = url
        .trim_start_matches("http://")
        .trim_end_matches("/healthz");
    soon(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(http.get(&url).send().await.is_err());
    assert!(!stopping.is_finished());
    // … and leaves when the last one is answered.
    repo.gate.add_permits(3);
    for answer in answers {
        assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
    }
    stopping.await.unwrap().unwrap();
    assert_eq!(repo.commits().concat().len(), 3);
}

#[tokio::test]
async fn told_to_end_it_does_not_wait_for_ever_but_commits_what_it_took() {
    let repo = Scripted::passing(0);
    let limits = Limits {
        shutdown_grace_ms: 1,
        ..Limits::default()
    };
    let world = world(&repo, limits).await;
    let _unanswered = post(&world, "a");
    repo.begun(1).await;
    let stopping = tokio::spawn(world.store.stop());
    repo.gate.add_permits(1);
    stopping.await.unwrap().unwrap();
    assert_eq!(repo.commits(), [["a"]]);
}

#[tokio::test]
async fn a_locked_sqlite_file_is_503_until_it_is_free() {
    let database = Database::sqlite().unwrap();
    let mut config = Config::local(database.url());
    config.limits.database_timeout_ms = 50;
    let world = World::with(database, &config).await;
    let path = config.database.trim_start_matches("sqlite:");
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let refused = post(&world, "a").await.unwrap();
    assert_eq!(
        problem(refused).await.kind,
        "urn:weir:store:database-unavailable"
    );
    let health = world.http.get(world.url("/healthz")).send().await.unwrap();
    assert_eq!(health.status(), StatusCode::SERVICE_UNAVAILABLE);
    // Reading goes on.
    let users = world.http.get(world.url("/v1/users")).send().await.unwrap();
    assert_eq!(users.status(), StatusCode::OK);

    other.execute_batch("COMMIT").unwrap();
    let answer: BatchAnswer = post(&world, "a").await.unwrap().json().await.unwrap();
    assert_eq!(answer.results[0].status, EventStatus::Created);
}

/// A way to a server that can be cut.
async fn proxy(to: String) -> (String, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (switch, is_cut) = watch::channel(false);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let (to, mut is_cut) = (to.clone(), is_cut.clone());
            tokio::spawn(async move {
                if *is_cut.borrow() {
                    return;
                }
                let mut far = TcpStream::connect(to).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut near, &mut far) => {}
                    _ = is_cut.wait_for(|is_cut| *is_cut) => {}
                }
            });
        }
    });
    (address, switch)
}

#[tokio::test]
async fn a_lost_postgres_is_503_until_it_is_back_and_nothing_is_stored_twice() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let url = database.url();
    let (scheme, rest) = url.split_once("://").unwrap();
    let (user, rest) = rest.split_once('@').unwrap_or(("postgres", rest));
    let (server, name) = rest.split_once('/').unwrap();
    let (address, switch) = proxy(server.to_owned()).await;
    let mut config = Config::local(format!("{scheme}://{user}@{address}/{name}"));
    config.limits.database_timeout_ms = 2_000;
    let world = World::with(database, &config).await;
    world.create(&[text("a", "oA", T0, "hello")]).await;

    switch.send(true).unwrap();
    let refused = post(&world, "b").await.unwrap();
    assert_eq!(
        problem(refused).await.kind,
        "urn:weir:store:database-unavailable"
    );
    let health = world.http.get(world.url("/healthz")).send().await.unwrap();
    assert_eq!(health.status(), StatusCode::SERVICE_UNAVAILABLE);

    switch.send(false).unwrap();
    let events = [
        text("a", "oA", T0, "hello"),
        text("b", "oA", T0, "hello"),
        text("b", "oA", T0, "hello"),
    ];
    let answer = world.post(&events).await;
    let statuses: Vec<_> = answer.results.iter().map(|result| result.status).collect();
    use EventStatus::{Created, Duplicate};
    assert_eq!(statuses, [Duplicate, Created, Duplicate]);
    assert_eq!(world.user("oA").await.counts.messages, 2);
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let repo = Scripted::passing(1);
    let limits = Limits {
        request_timeout_ms: 20,
        ..Limits::default()
    };
    let world = world(&repo, limits).await;
    let address = world.url("").replace("http://", "");
    let mut connection = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: store\r\ncontent-type: {CONTENT_TYPE_BATCH}\r\ncontent-length: 100\r\n\r\n["
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 512];
    let length = soon(connection.read(&mut answer)).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(
        answer.contains(&json!("urn:weir:store:too-slow").to_string()),
        "{answer}"
    );
}
