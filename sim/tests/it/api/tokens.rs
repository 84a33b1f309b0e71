//! What a backend that fetches and uses access tokens meets.

use std::time::Duration;

use serde_json::{Value, json};

use super::{World, errcode};

#[tokio::test]
async fn a_stable_token_ages_is_renewed_and_can_be_forced() {
    let world = World::start().await;
    let first = world.stable(false).await;
    assert_eq!(first["expires_in"], 7200);
    world
        .server
        .world()
        .clock()
        .advance(Duration::from_secs(6000));
    let same = world.stable(false).await;
    assert_eq!(
        (&same["access_token"], &same["expires_in"]),
        (&first["access_token"], &json!(1200))
    );
    world
        .set("POST", "/_sim/clock", json!({"advance_ms": 900_000}))
        .await;
    let renewed = world.stable(false).await;
    assert_ne!(renewed["access_token"], first["access_token"]);
    assert_eq!(renewed["expires_in"], 7200);
    let forced = world.stable(true).await;
    assert_ne!(forced["access_token"], renewed["access_token"]);
    let old = renewed["access_token"].as_str().unwrap();
    assert_eq!(errcode(&world.info(old, "o1").await), 40001);
}

#[tokio::test]
async fn every_error_is_a_200_in_wechats_words_with_a_request_id() {
    let world = World::start().await;
    let token = world.token().await;
    let (appid, secret) = (world.account.appid.as_str(), world.account.secret.as_str());
    let classic = |g, a, s| [("grant_type", g), ("appid", a), ("secret", s)];
    let null = Value::Null;
    let auth = [("access_token", token.as_str())];
    let many: Vec<Value> = (0..101)
        .map(|i| json!({"openid": format!("o{i}")}))
        .collect();
    let wrong = "9".repeat(140);
    for (expected, method, path, query, body) in [
        (
            40002,
            "GET",
            "/cgi-bin/token",
            classic("x", appid, secret).to_vec(),
            &null,
        ),
        (
            40013,
            "GET",
            "/cgi-bin/token",
            classic("client_credential", "wx0", secret).to_vec(),
            &null,
        ),
        (
            40125,
            "GET",
            "/cgi-bin/token",
            classic("client_credential", appid, "0").to_vec(),
            &null,
        ),
        (
            41002,
            "GET",
            "/cgi-bin/token",
            classic("client_credential", "", secret).to_vec(),
            &null,
        ),
        (
            41004,
            "GET",
            "/cgi-bin/token",
            classic("client_credential", appid, "").to_vec(),
            &null,
        ),
        (43002, "GET", "/cgi-bin/stable_token", vec![], &null),
        (44002, "POST", "/cgi-bin/stable_token", vec![], &null),
        (47001, "POST", "/cgi-bin/stable_token", vec![], &json!([1])),
        (43001, "POST", "/cgi-bin/user/info", auth.to_vec(), &null),
        (
            41001,
            "GET",
            "/cgi-bin/user/info",
            vec![("openid", "o1")],
            &null,
        ),
        (
            40014,
            "GET",
            "/cgi-bin/user/info",
            vec![("access_token", "short")],
            &null,
        ),
        (
            40001,
            "GET",
            "/cgi-bin/user/info",
            vec![("access_token", wrong.as_str())],
            &null,
        ),
        (41009, "GET", "/cgi-bin/user/info", auth.to_vec(), &null),
        (
            40003,
            "GET",
            "/cgi-bin/user/info",
            vec![auth[0], ("openid", "oStranger")],
            &null,
        ),
        (
            40032,
            "POST",
            "/cgi-bin/user/info/batchget",
            auth.to_vec(),
            &json!({"user_list": many}),
        ),
        (
            40032,
            "POST",
            "/cgi-bin/user/info/batchget",
            auth.to_vec(),
            &json!({"user_list": []}),
        ),
        (40066, "GET", "/cgi-bin/nothing", auth.to_vec(), &null),
    ] {
        let answer = world.call(method, path, &query, body).await;
        assert_eq!(errcode(&answer), expected, "{method} {path}");
        let errmsg = answer["errmsg"].as_str().unwrap();
        let (_, rid) = errmsg.split_once(" rid: ").expect("a request id");
        assert_eq!(
            (rid.len(), &rid[..8]),
            (26, "662b26c0"),
            "8-8-8 hex digits, the first the time: {errmsg}"
        );
    }
}

#[tokio::test]
async fn an_expired_token_answers_42001_and_an_invalidated_one_40001() {
    let world = World::start().await;
    let token = world.token().await;
    world
        .set(
            "POST",
            "/_sim/accounts/demo/tokens",
            json!({"do": "expire"}),
        )
        .await;
    assert_eq!(errcode(&world.info(&token, "o1").await), 42001);
    let token = world.token().await;
    world
        .set(
            "POST",
            "/_sim/accounts/demo/tokens",
            json!({"do": "invalidate", "kind": "stable"}),
        )
        .await;
    assert_eq!(errcode(&world.info(&token, "o1").await), 40001);
    world
        .set(
            "POST",
            "/_sim/accounts/demo/tokens",
            json!({"do": "lifetime", "ms": 60_000}),
        )
        .await;
    world
        .set(
            "POST",
            "/_sim/accounts/demo/tokens",
            json!({"do": "invalidate_every", "ms": 500}),
        )
        .await;
    let fresh = world.stable(false).await;
    assert_eq!(fresh["expires_in"], 60);
    world
        .server
        .world()
        .clock()
        .advance(Duration::from_millis(500));
    assert_eq!(
        errcode(
            &world
                .info(fresh["access_token"].as_str().unwrap(), "o1")
                .await
        ),
        40001
    );
}

#[tokio::test]
async fn quotas_and_the_ip_whitelist_refuse() {
    let world = World::start().await;
    let token = world.token().await;
    world
        .set("PUT", "/_sim/accounts/demo/any_openid", json!(true))
        .await;
    world
        .set(
            "PUT",
            "/_sim/accounts/demo/quota",
            json!({"path": "/cgi-bin/user/info", "per_day": 1}),
        )
        .await;
    assert_eq!(errcode(&world.info(&token, "o1").await), 0);
    assert_eq!(errcode(&world.info(&token, "o1").await), 45009);
    world
        .set(
            "PUT",
            "/_sim/accounts/demo/quota",
            json!({"path": "/cgi-bin/user/info", "per_minute": 0}),
        )
        .await;
    assert_eq!(errcode(&world.info(&token, "o1").await), 45011);

    world
        .set(
            "PUT",
            "/_sim/accounts/demo/ip_whitelist",
            json!(["10.0.0.1"]),
        )
        .await;
    let refused = world.stable(false).await;
    assert_eq!(errcode(&refused), 40164);
    assert!(
        refused["errmsg"]
            .as_str()
            .unwrap()
            .starts_with("invalid ip 127.0.0.1, not in whitelist rid: ")
    );
    world
        .set("PUT", "/_sim/accounts/demo/ip_whitelist", Value::Null)
        .await;
}
