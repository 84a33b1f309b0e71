//! The description of the API, and what it says of every route at once: nothing is told without the token.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use weir_store::config::{Config, Limits};
use weir_store::openapi;
use weir_store::repo;
use weir_store::server::Store;
use weir_store::testing::TestStore;

use crate::world::{ACCOUNT, Database, T0, World, text};

/// What closed stores demand.
pub(crate) const TOKEN: &str = "s3cret";

/// The same store, started again as one that demands [`TOKEN`].
pub(crate) async fn close(world: World) -> World {
    let World {
        database,
        store,
        http,
    } = world;
    store.stop().await.unwrap();
    let limits = Limits::default();
    let repo = repo::open(&database.url(), limits.settings())
        .await
        .unwrap();
    let store = Store::new(repo, limits, Some(TOKEN.to_owned()));
    let config = Config::local(database.url());
    World {
        store: TestStore::serve(store, &config).await.unwrap(),
        database,
        http,
    }
}

/// A closed store in which somebody has the uid 1.
async fn closed_world() -> World {
    let world = World::new(Database::sqlite().unwrap()).await;
    world.create(&[text("a", "oA", T0, "hello")]).await;
    close(world).await
}

#[tokio::test]
async fn the_store_describes_itself() {
    let world = closed_world().await;
    let request = world.http.get(world.url("/v1/openapi.json"));
    let response = request.bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(response.text().await.unwrap(), openapi::document());
}

/// Every path, about somebody who is there, about nobody, and about what makes no sense.
fn questions() -> Vec<(Method, String)> {
    let document: Value = serde_json::from_str(openapi::document()).unwrap();
    let mut questions = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        if !path.starts_with("/v1/") {
            continue;
        }
        for method in operations.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            let there = path
                .replace("{account}", ACCOUNT)
                .replace("{openid}", "oA")
                .replace("{uid}", "1")
                .replace("{id}", "1")
                .replace("{name}", "spring")
                .replace("{card_id}", "pA")
                .replace("{code}", "1");
            let nobody = path
                .replace("{account}", "other")
                .replace("{openid}", "oStranger")
                .replace("{uid}", "999")
                .replace("{id}", "998")
                .replace("{name}", "autumn")
                .replace("{card_id}", "pB")
                .replace("{code}", "2");
            let senseless = nobody
                .replace("other", "%ff")
                .replace("oStranger", "%ff")
                .replace("999", "x")
                + "?limit=x";
            questions.extend([there, nobody, senseless].map(|path| (method.clone(), path)));
        }
    }
    questions
}

#[tokio::test]
async fn without_the_token_every_route_says_the_same_whoever_is_asked_about() {
    let world = closed_world().await;
    let mut first: Option<(HeaderMap, String)> = None;
    let questions = questions();
    assert!(questions.len() > 30);
    for (method, path) in questions {
        for authorization in [
            None,
            Some("Bearer wrong!"),
            Some("Bearer s3cre"),
            Some("Bearer s3cret2"),
            Some("Bearer "),
            Some("Basic czNjcmV0"),
            Some("s3cret"),
        ] {
            let mut request = world.http.request(method.clone(), world.url(&path));
            if let Some(authorization) = authorization {
                request = request.header(AUTHORIZATION, authorization);
            }
            let response = request.send().await.unwrap();
            let question = format!("{method} {path} {authorization:?}");
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{question}");
            let mut headers = response.headers().clone();
            headers.remove("date");
            let said = (headers, response.text().await.unwrap());
            assert_eq!(
                first.get_or_insert_with(|| said.clone()),
                &said,
                "{question}"
            );
        }
    }
}

/// The token is looked at before anything is read: not even the time differs by who is asked about.
#[tokio::test]
async fn with_the_database_gone_the_answer_to_strangers_is_the_same() {
    let world = closed_world().await;
    world.database.change("DROP TABLE users").await;
    let known = world.url(&format!("/v1/users/{ACCOUNT}/oA"));
    let stranger = world.http.get(&known).send().await.unwrap();
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
    let friend = world
        .http
        .get(&known)
        .bearer_auth(TOKEN)
        .send()
        .await
        .unwrap();
    assert_eq!(friend.status(), StatusCode::SERVICE_UNAVAILABLE);
}
