//! Faults, and TLS.

use std::time::Duration;

use serde_json::{Value, json};
use weir_sim::Account;
use weir_sim::api::{FaultRule, Options, Server, Then, TlsOptions};
use weir_sim::http::{HttpFault, Target, Trust};

use super::{World, errcode, send};

#[tokio::test]
async fn faults_strike_the_next_calls_of_their_path() {
    let world = World::start().await;
    let path = "/cgi-bin/getcallbackip";
    let token = world.token().await;
    let call = async || {
        world
            .raw("GET", path, &[("access_token", &token)], "")
            .await
    };

    world
        .set(
            "POST",
            "/_sim/faults",
            json!({"path": path, "times": 1, "then": {"errcode": -1}}),
        )
        .await;
    let body: Value = serde_json::from_slice(&call().await.unwrap().body).unwrap();
    assert_eq!(errcode(&body), -1);

    world
        .server
        .world()
        .inject(FaultRule::next(path, 1, Then::Status(503)));
    assert_eq!(call().await.unwrap().status, 503);

    world
        .server
        .world()
        .inject(FaultRule::next(path, 1, Then::Body("<html>".into())));
    assert_eq!(call().await.unwrap().body, b"<html>");

    for then in [Then::Reset, Then::ResetAfter] {
        world.server.world().inject(FaultRule::next(path, 1, then));
        match call().await {
            Err(HttpFault::Io(error)) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset)
            }
            other => panic!("{other:?}"),
        }
    }

    world
        .server
        .world()
        .inject(FaultRule::next(path, 1, Then::Hang));
    assert!(
        tokio::time::timeout(Duration::from_millis(100), call())
            .await
            .is_err()
    );

    assert_eq!(call().await.unwrap().status, 200, "all used up");
    world
        .set(
            "POST",
            "/_sim/faults",
            json!({"path": "/cgi-bin/*", "then": "hang"}),
        )
        .await;
    world.set("DELETE", "/_sim/faults", Value::Null).await;
    assert_eq!(call().await.unwrap().status, 200);
    let calls = &world.server.world().ledger().calls[path];
    assert_eq!((calls.count, calls.faults, calls.errcodes[&-1]), (8, 4, 1));
}

#[tokio::test]
async fn tls_is_for_api_weixin_qq_com_and_for_those_who_trust_its_authority() {
    let file = std::env::temp_dir().join(format!("weir-sim-ca-{}.pem", std::process::id()));
    let options = Options {
        tls: Some(TlsOptions {
            ca_out: Some(file.clone()),
        }),
        ..Options::local(vec![Account::random("demo")])
    };
    let server = Server::start(options).await.unwrap();
    let pem = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(Some(pem.as_slice()), server.ca_pem().map(str::as_bytes));

    let trusting = |name: &str, trust| {
        Target::parse_trusting(&format!("https://{name}"), trust)
            .unwrap()
            .dialing(server.addr())
    };
    let call = async |target: Target| send(&target, "GET", "/cgi-bin/user/info", &[], "").await;
    let answer = call(trusting("api.weixin.qq.com", Trust::Pem(&pem)))
        .await
        .unwrap();
    assert_eq!(
        errcode(&serde_json::from_slice(&answer.body).unwrap()),
        41001
    );
    assert!(matches!(
        call(trusting("other.qq.com", Trust::Pem(&pem))).await,
        Err(HttpFault::Tls(_))
    ));
    assert!(matches!(
        call(trusting("api.weixin.qq.com", Trust::Public)).await,
        Err(HttpFault::Tls(_))
    ));
    let other = Server::start(Options {
        tls: Some(TlsOptions::default()),
        ..Options::local(vec![])
    })
    .await
    .unwrap();
    let foreign = other.ca_pem().unwrap().as_bytes().to_vec();
    assert!(matches!(
        call(trusting("api.weixin.qq.com", Trust::Pem(&foreign))).await,
        Err(HttpFault::Tls(_))
    ));
}
