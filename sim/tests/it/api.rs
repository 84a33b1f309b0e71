//! The fake API over real sockets: what a backend that fetches tokens and profiles meets.

use std::time::Duration;

use serde_json::{Value, json};
use weir_sim::api::{FaultRule, Options, Server, Then, TlsOptions};
use weir_sim::http::{self, HttpFault, Request, Response, Target, Trust};
use weir_sim::{Account, Clock};

const NOON: i64 = 1_714_104_000; // 12:00 in Beijing

struct World {
    server: Server,
    account: Account,
}

impl World {
    async fn start() -> Self {
        let account = Account::random("demo");
        let options = Options {
            clock: Clock::manual(NOON),
            ..Options::local(vec![account.clone()])
        };
        Self {
            server: Server::start(options).await.unwrap(),
            account,
        }
    }

    async fn raw(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: &str,
    ) -> Result<Response, HttpFault> {
        send(
            &Target::parse(&format!("http://{}", self.server.addr())).unwrap(),
            method,
            path,
            query,
            body,
        )
        .await
    }

    async fn call(&self, method: &str, path: &str, query: &[(&str, &str)], body: &Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let response = self.raw(method, path, query, &body).await.unwrap();
        assert_eq!(response.status, 200, "errors are 200 too");
        serde_json::from_slice(&response.body).unwrap()
    }

    async fn stable(&self, force: bool) -> Value {
        let body = json!({"grant_type": "client_credential", "appid": self.account.appid,
                          "secret": self.account.secret, "force_refresh": force});
        self.call("POST", "/cgi-bin/stable_token", &[], &body).await
    }

    async fn token(&self) -> String {
        self.stable(false).await["access_token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn info(&self, token: &str, openid: &str) -> Value {
        let query = [
            ("access_token", token),
            ("openid", openid),
            ("lang", "zh_CN"),
        ];
        self.call("GET", "/cgi-bin/user/info", &query, &Value::Null)
            .await
    }

    async fn control(&self, method: &str, path: &str, body: Value) -> Response {
        let target =
            Target::parse(&format!("http://{}", self.server.control_addr().unwrap())).unwrap();
        let body = if body.is_null() && method != "PUT" {
            String::new()
        } else {
            body.to_string()
        };
        send(&target, method, path, &[], &body).await.unwrap()
    }

    async fn set(&self, method: &str, path: &str, body: Value) {
        let response = self.control(method, path, body).await;
        assert_eq!(
            response.status,
            204,
            "{}",
            String::from_utf8_lossy(&response.body)
        );
    }
}

async fn send(
    target: &Target,
    method: &str,
    path: &str,
    query: &[(&str, &str)],
    body: &str,
) -> Result<Response, HttpFault> {
    let mut request = Request::new(method, path);
    for (name, value) in query {
        request.set_query(name, *value);
    }
    request.body = body.as_bytes().to_vec();
    if !body.is_empty() {
        request.add_header("Content-Type", "application/json");
    }
    http::exchange(target, &request).await
}

fn errcode(answer: &Value) -> i64 {
    answer["errcode"].as_i64().unwrap_or(0)
}

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
async fn users_come_and_go_as_the_control_api_says() {
    let world = World::start().await;
    let token = world.token().await;
    let users = "/_sim/accounts/demo/users";
    world
        .set(
            "PUT",
            &format!("{users}/o1"),
            json!({"nickname": "小明🌊", "tagid_list": [2]}),
        )
        .await;
    world
        .set(
            "POST",
            &format!("{users}/o1/follow"),
            json!({"scene": "table-7"}),
        )
        .await;
    world
        .set("POST", &format!("{users}/o2/follow"), Value::Null)
        .await;
    let info = world.info(&token, "o1").await;
    assert_eq!(
        (&info["nickname"], &info["qr_scene_str"]),
        (&json!("小明🌊"), &json!("table-7"))
    );
    assert_eq!(
        (&info["subscribe"], &info["subscribe_time"]),
        (&json!(1), &json!(NOON))
    );

    world
        .set("POST", &format!("{users}/o2/unfollow"), Value::Null)
        .await;
    let auth = [("access_token", token.as_str())];
    let list = json!({"user_list": [{"openid": "o1", "lang": "zh_CN"}, {"openid": "o2"}]});
    let batch = world
        .call("POST", "/cgi-bin/user/info/batchget", &auth, &list)
        .await;
    assert_eq!(batch["user_info_list"][0], info);
    assert_eq!(
        batch["user_info_list"][1],
        json!({"subscribe": 0, "openid": "o2"})
    );

    let page = world
        .call("GET", "/cgi-bin/user/get", &auth, &Value::Null)
        .await;
    assert_eq!(
        page,
        json!({"total": 1, "count": 1, "data": {"openid": ["o1"]}, "next_openid": "o1"})
    );
    let next = [auth[0], ("next_openid", "o1")];
    let page = world
        .call("GET", "/cgi-bin/user/get", &next, &Value::Null)
        .await;
    assert_eq!(page, json!({"total": 1, "count": 0, "next_openid": ""}));

    let tags = world
        .call("GET", "/cgi-bin/tags/get", &auth, &Value::Null)
        .await;
    assert_eq!(
        tags,
        json!({"tags": [{"id": 2, "name": "星标组", "count": 1}]})
    );
    let shown: Value = serde_json::from_slice(
        &world
            .control("GET", &format!("{users}/o1"), Value::Null)
            .await
            .body,
    )
    .unwrap();
    assert_eq!(shown, info);
    assert_eq!(
        world
            .control("GET", &format!("{users}/o3"), Value::Null)
            .await
            .status,
        404
    );
    assert_eq!(
        world
            .control("POST", "/_sim/accounts/x/users/o/follow", json!({}))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn strangers_count_as_followers_when_told_so() {
    let world = World::start().await;
    let token = world.token().await;
    world
        .set("PUT", "/_sim/accounts/demo/any_openid", json!(true))
        .await;
    assert_eq!(world.info(&token, "oStranger").await["subscribe"], 1);
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

#[tokio::test]
async fn sends_are_checked_and_recorded() {
    let world = World::start().await;
    let token = world.token().await;
    let auth = [("access_token", token.as_str())];
    let message = json!({"touser": "o1", "msgtype": "text", "text": {"content": "你好"}});
    let send = async || {
        world
            .call("POST", "/cgi-bin/message/custom/send", &auth, &message)
            .await
    };
    assert_eq!(errcode(&send().await), 40003);
    world
        .set("POST", "/_sim/accounts/demo/users/o1/follow", json!({}))
        .await;
    for _ in 0..3 {
        assert_eq!(send().await, json!({"errcode": 0, "errmsg": "ok"}));
    }
    assert_eq!(errcode(&send().await), 45047);
    world
        .set("POST", "/_sim/clock", json!({"advance_ms": 60_000}))
        .await;
    assert_eq!(errcode(&send().await), 45015);
    world
        .set(
            "POST",
            "/_sim/accounts/demo/users/o1/act",
            json!({"kind": "message"}),
        )
        .await;
    assert_eq!(errcode(&send().await), 0);

    let template = json!({"touser": "o1", "template_id": "t", "data": {"thing1": {"value": "v"}}});
    let sent = world
        .call("POST", "/cgi-bin/message/template/send", &auth, &template)
        .await;
    assert_eq!(errcode(&sent), 0);
    world
        .set("POST", "/_sim/accounts/demo/users/o1/unfollow", Value::Null)
        .await;
    let refused = world
        .call("POST", "/cgi-bin/message/template/send", &auth, &template)
        .await;
    assert_eq!(errcode(&refused), 43004);

    let ledger: Value =
        serde_json::from_slice(&world.control("GET", "/_sim/ledger", Value::Null).await.body)
            .unwrap();
    assert_eq!(ledger["calls"]["/cgi-bin/message/custom/send"]["count"], 7);
    assert_eq!(
        ledger["calls"]["/cgi-bin/message/custom/send"]["errcodes"]["45047"],
        1
    );
    assert_eq!(ledger["sends"].as_array().unwrap().len(), 5);
    assert_eq!(ledger["sends"][0]["body"], message);
    assert_eq!(ledger["sends"][4]["msgid"], sent["msgid"]);
    for secret in [&token, &world.account.secret] {
        assert!(
            !ledger.to_string().contains(secret.as_str()),
            "the ledger holds no secret"
        );
    }
    world.set("DELETE", "/_sim/ledger", Value::Null).await;
    assert_eq!(
        world
            .server
            .world()
            .ledger()
            .count("/cgi-bin/message/custom/send"),
        0
    );
}

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
