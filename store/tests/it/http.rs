//! The surface: refusals, authorization, health, metrics.

use reqwest::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use reqwest::{Method, StatusCode};
use weir_store::config::{Config, Limits};
use weir_store::repo;
use weir_store::server::Store;
use weir_store::testing::TestStore;
use weir_store_api::read::{CONTENT_TYPE_PROBLEM, Problem};
use weir_store_api::{CONTENT_TYPE_BATCH, CONTENT_TYPE_EVENT};

use crate::world::{Database, T0, World, text};

async fn small_world() -> World {
    let database = Database::sqlite().unwrap();
    let mut config = Config::local(database.url());
    config.limits = Limits {
        max_body_bytes: 2_000,
        max_batch_events: 3,
        ..Limits::default()
    };
    World::with(database, &config).await
}

#[tokio::test]
async fn every_refused_body_is_a_problem_of_its_kind() {
    let world = small_world().await;
    let event = text("a", "oA", T0, "hello").to_string();
    let big = text("a", "oA", T0, &"x".repeat(3_000)).to_string();
    for (content_type, body, status, kind) in [
        ("text/plain", event.as_str(), 415, "unsupported-media-type"),
        (
            "application/xml",
            event.as_str(),
            415,
            "unsupported-media-type",
        ),
        (CONTENT_TYPE_EVENT, "{", 400, "broken-body"),
        (CONTENT_TYPE_EVENT, "", 400, "broken-body"),
        (CONTENT_TYPE_EVENT, "[]", 400, "broken-body"),
        (CONTENT_TYPE_BATCH, event.as_str(), 400, "broken-body"),
        (CONTENT_TYPE_BATCH, "[{}", 400, "broken-body"),
        ("application/json", "\"text\"", 400, "broken-body"),
        (CONTENT_TYPE_BATCH, "[1,2,3,4]", 413, "too-large"),
        (CONTENT_TYPE_EVENT, big.as_str(), 413, "too-large"),
    ] {
        let response = world.send(content_type, body.to_owned()).await;
        assert_eq!(response.status(), status, "{content_type} {body:.40}");
        assert_eq!(response.headers()[CONTENT_TYPE], CONTENT_TYPE_PROBLEM);
        let problem: Problem = response.json().await.unwrap();
        assert_eq!(
            problem.kind,
            format!("urn:weir:store:{kind}"),
            "{content_type} {body:.40}"
        );
        assert_eq!(problem.status, status);
    }
    // Not UTF-8 is not JSON.
    let response = world
        .send(CONTENT_TYPE_EVENT, b"{\"id\":\"\xff\"}".to_vec())
        .await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let compressed = world
        .http
        .post(world.url("/v1/events"))
        .header(CONTENT_TYPE, CONTENT_TYPE_EVENT);
    let response = compressed
        .header("content-encoding", "gzip")
        .body(event)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn every_senseless_question_is_a_problem() {
    let world = small_world().await;
    let of_messages = {
        for (id, second) in [("a", T0), ("b", T0 + 1)] {
            world.create(&[text(id, "oA", second, "hello")]).await;
        }
        let page: serde_json::Value = world.get("/v1/messages?limit=1").await;
        page["next_cursor"].as_str().unwrap().to_owned()
    };
    let foreign = format!("/v1/users?cursor={of_messages}");
    for (method, path, status, kind) in [
        (Method::GET, "/", 404, "not-found"),
        (Method::GET, "/v1/nothing", 404, "not-found"),
        (Method::GET, "/v1/users/demo/oStranger", 404, "not-found"),
        (Method::GET, "/v1/users/demo/o%ff", 400, "bad-parameter"),
        (Method::DELETE, "/v1/events", 405, "method-not-allowed"),
        (Method::POST, "/v1/users", 405, "method-not-allowed"),
        (Method::GET, "/v1/users?limit=0", 400, "bad-parameter"),
        (Method::GET, "/v1/users?limit=201", 400, "bad-parameter"),
        (Method::GET, "/v1/users?limit=many", 400, "bad-parameter"),
        (Method::GET, "/v1/users?state=maybe", 400, "bad-parameter"),
        (
            Method::GET,
            "/v1/users?since=yesterday",
            400,
            "bad-parameter",
        ),
        (Method::GET, "/v1/users?colour=red", 400, "bad-parameter"),
        (
            Method::GET,
            "/v1/messages?cursor=nonsense",
            400,
            "bad-parameter",
        ),
        (Method::GET, foreign.as_str(), 400, "bad-parameter"),
    ] {
        let response = world
            .http
            .request(method, world.url(path))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(
            response.headers()[CONTENT_TYPE],
            CONTENT_TYPE_PROBLEM,
            "{path}"
        );
        assert_eq!(
            response.headers().contains_key(ALLOW),
            status == 405,
            "{path}"
        );
        let problem: Problem = response.json().await.unwrap();
        assert_eq!(problem.kind, format!("urn:weir:store:{kind}"), "{path}");
    }
}

#[tokio::test]
async fn with_a_token_the_api_is_closed_to_all_others() {
    let database = Database::sqlite().unwrap();
    let config = Config::local(database.url());
    let repo = repo::open(&config.database, config.limits.settings())
        .await
        .unwrap();
    let store = Store::new(repo, config.limits, Some("s3cret".into()));
    let store = TestStore::serve(store, &config).await.unwrap();
    let http = reqwest::Client::new();
    let world = World {
        database,
        store,
        http,
    };
    for authorization in [
        None,
        Some("Bearer wrong"),
        Some("Bearer s3cre"),
        Some("Basic s3cret"),
        Some("s3cret"),
    ] {
        for path in [
            "/v1/users",
            "/v1/events",
            "/v1/messages",
            "/v1/accounts",
            "/v1/users/demo/oA",
        ] {
            let mut request = world.http.get(world.url(path));
            if let Some(authorization) = authorization {
                request = request.header("authorization", authorization);
            }
            let response = request.send().await.unwrap();
            assert_eq!(
                response.status(),
                StatusCode::UNAUTHORIZED,
                "{path} {authorization:?}"
            );
            assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer");
            assert_eq!(response.headers()[CONTENT_TYPE], CONTENT_TYPE_PROBLEM);
        }
    }
    let posted = world
        .send(CONTENT_TYPE_EVENT, text("a", "oA", T0, "hello").to_string())
        .await;
    assert_eq!(posted.status(), StatusCode::UNAUTHORIZED);
    for scheme in ["Bearer", "bearer"] {
        let request = world.http.get(world.url("/v1/users"));
        let response = request
            .header("authorization", format!("{scheme} s3cret"))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.text().await.unwrap(),
            r#"{"items":[],"next_cursor":null}"#
        );
    }
    for path in ["/healthz", "/metrics"] {
        let response = world.http.get(world.url(path)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_read_keeps_the_store_from_starting() {
    let database = Database::sqlite().unwrap();
    let mut config = Config::local(database.url());
    config.bearer_token_env = Some("WEIR_TEST_THIS_IS_NOT_SET".into());
    let error = Store::open(&config).await.unwrap_err();
    assert!(
        error.to_string().contains("WEIR_TEST_THIS_IS_NOT_SET"),
        "{error}"
    );
}

#[tokio::test]
async fn metrics_count_events_commits_and_requests() {
    let world = small_world().await;
    world
        .create(&[text("a", "oA", T0, "1"), text("b", "oA", T0, "2")])
        .await;
    world
        .post(&[text("a", "oA", T0, "1"), serde_json::json!({"id": "x"})])
        .await;
    world
        .http
        .get(world.url("/secret-openid"))
        .send()
        .await
        .unwrap();
    let _: serde_json::Value = world.get("/v1/users/demo/oA").await;
    for (name, value) in [
        ("weir_store_events_total{result=\"created\"}", 2.0),
        ("weir_store_events_total{result=\"duplicate\"}", 1.0),
        ("weir_store_events_total{result=\"rejected\"}", 1.0),
        ("weir_store_commits_total{result=\"done\"}", 2.0),
        ("weir_store_commit_events_sum", 3.0),
        ("weir_store_commit_seconds_count", 2.0),
        ("weir_store_queue_events", 0.0),
        (
            "weir_store_http_requests_total{method=\"POST\",route=\"/v1/events\",status=\"200\"}",
            2.0,
        ),
        (
            "weir_store_http_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"}",
            1.0,
        ),
        (
            "weir_store_http_requests_total{method=\"GET\",route=\"/v1/users/{account}/{openid}\",status=\"200\"}",
            1.0,
        ),
    ] {
        assert_eq!(world.metric(name).await, value, "{name}");
    }
    let text = world
        .http
        .get(world.url("/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(!text.contains("oA") && !text.contains("secret-openid"));
    assert!(text.ends_with("# EOF\n"));
}
