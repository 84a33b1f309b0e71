//! Logins before an application.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use axum::Json;
use axum::Router;
use axum::http::{HeaderMap, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use weir_host_tests::{Gateway, InEnvoy, Plan, SEAL_KEY, World, eventually, somebody};
use weir_sim::api::{FaultRule, Phone, Then};
use weir_sim::http::{self, Request, Response, Target};
use weir_testbed::bootstrap::APP;

/// An application that says what it was told.
async fn application() -> Result<SocketAddr> {
    async fn tell(uri: Uri, headers: HeaderMap) -> Json<Value> {
        let told: BTreeMap<_, _> = (headers.iter())
            .filter(|(name, _)| name.as_str().starts_with("x-weixin"))
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("?").to_owned()))
            .collect();
        Json(json!({ "path": uri.path(), "told": told }))
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(tell)).await });
    Ok(address)
}

async fn open<G: Gateway>(name: &str) -> Result<Option<World<G>>> {
    let app = application().await?;
    let plan = Plan::default()
        .web(|login| {
            login["accounts"][0]["path"] = "/wechat-login/demo".into();
            login["pages"] = json!([
                { "prefix": "/member/", "account": "demo" },
                { "prefix": "/club/", "account": "demo", "scope": "snsapi_userinfo" },
                { "prefix": "/news/", "account": "demo", "strangers": "guests" },
            ]);
        })
        .bootstrap(move |bootstrap| bootstrap.endpoint(APP, app).map(drop));
    World::start(&format!("login-{name}"), plan).await
}

async fn send<G: Gateway>(world: &World<G>, request: &Request) -> Result<Response> {
    let target = Target::parse(&format!("http://{}", world.gateway.web_address()?))?;
    Ok(http::exchange(&target, request).await?)
}

/// As a browser.
async fn visit<G: Gateway>(
    world: &World<G>,
    target: &str,
    cookie: Option<&str>,
) -> Result<Response> {
    let mut request = Request::new("GET", target);
    request.add_header("accept", "text/html");
    for spoofed in ["x-weixin-openid", "X-Weixin-Uid", "x_weixin_openid"] {
        request.add_header(spoofed, "o-somebody-else");
    }
    if let Some(cookie) = cookie {
        request.add_header("cookie", cookie);
    }
    send(world, &request).await
}

/// As a mini program.
async fn call<G: Gateway>(
    world: &World<G>,
    path: &str,
    session: Option<&str>,
    body: &Value,
) -> Result<(u16, Value)> {
    let mut request = Request::new("POST", path);
    request.add_header("content-type", "application/json");
    if let Some(session) = session {
        request.add_header("authorization", format!("Bearer {session}"));
    }
    request.body = body.to_string().into_bytes();
    let response = send(world, &request).await?;
    let body = serde_json::from_slice(&response.body).unwrap_or_default();
    Ok((response.status, body))
}

/// What the application was told.
fn told(response: &Response) -> Result<Value> {
    ensure!(response.status == 200, "{}", response.status);
    let body: Value = serde_json::from_slice(&response.body)?;
    Ok(body["told"].clone())
}

fn cookies(response: &Response) -> String {
    let set = response
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned());
    let pairs: Vec<_> = set
        .filter_map(|cookie| cookie.split(';').next().map(str::to_owned))
        .collect();
    pairs.join("; ")
}

async fn events<G: Gateway>(world: &World<G>, kind: &str) -> Result<Vec<Value>> {
    let page: Option<Value> = world.read("/v1/events?limit=50").await?;
    let mut items = page
        .and_then(|page| page["items"].as_array().cloned())
        .unwrap_or_default();
    items.retain(|event| event["type"] == kind);
    Ok(items)
}

/// What the application is told of somebody whom the store knows.
async fn uid<G: Gateway>(world: &World<G>, openid: &str) -> Result<String> {
    let user: Option<Value> = world.read(&format!("/v1/users/demo/{openid}")).await?;
    let uid = user
        .and_then(|user| user["uid"].as_i64())
        .context("a uid")?;
    Ok(uid.to_string())
}

pub(crate) async fn a_mini_program_logs_in_and_the_application_knows_who_asks<G: Gateway>()
-> Result<()> {
    let Some(world) = open::<G>("mini").await? else {
        return Ok(());
    };
    let openid = somebody();
    world.api().set_unionid("demo", &openid, "u-of-somebody")?;
    let code = world.api().js_code("demo", &openid)?;
    let login = "/wechat-login/demo/login";
    let (status, answer) = call(&world, login, None, &json!({ "code": code })).await?;
    ensure!(status == 200, "{status}: {answer}");
    let session = answer["session"].as_str().context("a session")?.to_owned();

    let mut request = Request::new("GET", "/api/orders");
    request.add_header("authorization", format!("Bearer {session}"));
    request.add_header("x-weixin-openid", "o-somebody-else");
    let identity = json!({ "x-weixin-account": "demo", "x-weixin-openid": openid,
        "x-weixin-unionid": "u-of-somebody", "x-weixin-uid": uid(&world, &openid).await? });
    assert_eq!(told(&send(&world, &request).await?)?, identity);

    // The code is used.
    let (status, answer) = call(&world, login, None, &json!({ "code": code })).await?;
    assert_eq!((status, &answer["errcode"]), (401, &json!(40163)));
    let (status, answer) = call(&world, login, None, &json!({ "code": "nobodys" })).await?;
    assert_eq!((status, &answer["errcode"]), (401, &json!(40029)));

    // Open data, under the key that is sealed in the session.
    let about = json!({ "openId": openid, "nickName": "小明", "unionId": "u-of-somebody" });
    let (data, iv) = world.api().encrypted_data("demo", &openid, &about)?;
    let sent = json!({ "encryptedData": data, "iv": iv });
    let path = "/wechat-login/demo/open-data";
    let (status, answer) = call(&world, path, Some(&session), &sent).await?;
    assert_eq!((status, &answer["nickName"]), (200, &json!("小明")));
    let signature = world
        .api()
        .raw_data_signature("demo", &openid, "{\"a\":1}")?;
    let sent = json!({ "rawData": "{\"a\":1}", "signature": signature });
    let path = "/wechat-login/demo/check";
    assert_eq!(call(&world, path, Some(&session), &sent).await?.0, 200);

    eventually("the login in the store", async || {
        let events = events(&world, "weir.session.started").await?;
        Ok((events.len() == 2).then_some(()))
    })
    .await?;
    let key = world.api().session_key("demo", &openid)?.context("a key")?;
    let kept: Option<Value> = world.read("/v1/events?limit=20").await?;
    let kept = kept.context("events")?.to_string();
    for (what, canary) in [
        ("the session_key", key.as_str()),
        ("a session", &session),
        ("the AppSecret", &world.account.secret),
        ("the key of sessions", SEAL_KEY),
    ] {
        assert!(!kept.contains(canary), "{what} is in the store");
    }
    Ok(())
}

pub(crate) async fn a_phone_number_is_asked_for_and_kept_though_the_token_dies<G: Gateway>()
-> Result<()> {
    let Some(world) = open::<G>("phone").await? else {
        return Ok(());
    };
    let openid = somebody();
    let code = world.api().js_code("demo", &openid)?;
    let login = "/wechat-login/demo/login";
    let (_, answer) = call(&world, login, None, &json!({ "code": code })).await?;
    let session = answer["session"].as_str().context("a session")?.to_owned();
    let path = "/wechat-login/demo/phone";
    for number in ["13580006666", "13580006667"] {
        let phone = Phone::mainland(number);
        let code = world.api().phone_code("demo", &openid, &phone)?;
        let (status, answer) = call(&world, path, Some(&session), &json!({ "code": code })).await?;
        assert_eq!(
            (status, &answer["purePhoneNumber"]),
            (200, &json!(number)),
            "{answer}"
        );
        world.api().invalidate_tokens("demo", None)?;
    }
    let (status, _) = call(&world, path, None, &json!({ "code": "c" })).await?;
    assert_eq!(status, 401);
    let events = eventually("the numbers in the store", async || {
        let events = events(&world, "weir.user.phone").await?;
        Ok((events.len() == 2).then_some(events))
    })
    .await?;
    assert!(
        events
            .iter()
            .all(|event| event["subject"] == openid.as_str())
    );
    Ok(())
}

pub(crate) async fn a_browser_goes_to_wechat_and_comes_back_known<G: Gateway>() -> Result<()> {
    let Some(world) = open::<G>("browser").await? else {
        return Ok(());
    };
    // Whoever says of itself who it is.
    assert_eq!(told(&visit(&world, "/", None).await?)?, json!({}));

    let openid = somebody();
    let page = "/member/orders?page=2";
    let away = visit(&world, page, None).await?;
    ensure!(away.status == 302, "{}", away.status);
    let url = away.header("location").context("a place")?.to_owned();
    let back = world.api().authorize(&url, &openid)?;
    let back = back
        .strip_prefix("https://www.example.com")
        .context("to this site")?
        .to_owned();
    // Another browser has nothing of it.
    assert_eq!(visit(&world, &back, None).await?.status, 400);
    let home = visit(&world, &back, Some(&cookies(&away))).await?;
    assert_eq!((home.status, home.header("location")), (302, Some(page)));
    let jar = cookies(&home);
    let known = told(&visit(&world, page, Some(&jar)).await?)?;
    let uid = uid(&world, &openid).await?;
    assert_eq!(
        known,
        json!({ "x-weixin-account": "demo", "x-weixin-openid": openid, "x-weixin-uid": uid })
    );
    // Once.
    assert_eq!(
        visit(&world, &back, Some(&cookies(&away))).await?.status,
        400
    );

    let club = visit(&world, "/club/", None).await?;
    let url = club.header("location").context("a place")?.to_owned();
    ensure!(url.contains("scope=snsapi_userinfo"), "{url}");
    let snapshot = world.api().authorize_snapshot(&url)?;
    let back = snapshot.replace("https://www.example.com", "");
    assert_eq!(
        visit(&world, &back, Some(&cookies(&club))).await?.status,
        403
    );
    Ok(())
}

pub(crate) async fn whatever_wechat_does_a_login_ends_and_the_next_one_works<G: Gateway>()
-> Result<()> {
    let Some(world) = open::<G>("trouble").await? else {
        return Ok(());
    };
    let login = "/wechat-login/demo/login";
    let asks = "/sns/jscode2session";
    let troubles = [
        Then::Hang,
        Then::Reset,
        Then::ResetAfter,
        Then::Status(502),
        Then::Body("<html>somebody in between</html>".into()),
        Then::Body("{\"openid\":".into()),
        Then::Body("{\"openid\":\"o-without-a-key\"}".into()),
    ];
    for (number, then) in (1..).zip(troubles) {
        let what = format!("{then:?}");
        let code = world.api().js_code("demo", &somebody())?;
        world.api().inject(FaultRule::next(asks, 1, then));
        let (status, answer) = call(&world, login, None, &json!({ "code": code })).await?;
        assert_eq!((status, &answer["errcode"]), (503, &json!(-1)), "{what}");
        // A code is good for one question, and nobody knows whether it was asked.
        assert_eq!(world.api().ledger().count(asks), number, "{what}");
    }
    let code = world.api().js_code("demo", &somebody())?;
    let (status, _) = call(&world, login, None, &json!({ "code": code })).await?;
    assert_eq!(status, 200, "WeChat is well again");

    let away = visit(&world, "/member/", None).await?;
    let url = away.header("location").context("a place")?;
    let back = world.api().authorize(url, &somebody())?;
    let back = back.replace("https://www.example.com", "");
    let asks = "/sns/oauth2/access_token";
    world.api().inject(FaultRule::next(asks, 1, Then::Hang));
    let told = visit(&world, &back, Some(&cookies(&away))).await?;
    assert_eq!(told.status, 503);
    let kind = told.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("text/plain"), "people read it: {kind}");
    Ok(())
}

pub(crate) async fn a_session_outlives_the_gateway<G: Gateway>() -> Result<()> {
    let Some(mut world) = open::<G>("restart").await? else {
        return Ok(());
    };
    let openid = somebody();
    let code = world.api().js_code("demo", &openid)?;
    let login = "/wechat-login/demo/login";
    let (_, answer) = call(&world, login, None, &json!({ "code": code })).await?;
    let session = answer["session"].as_str().context("a session")?.to_owned();
    let mut setup = world.setup();
    setup.dir = setup.dir.join("again");
    std::fs::create_dir_all(&setup.dir)?;
    world.gateway = G::start(setup).await?.context("it started before")?;
    let mut request = Request::new("GET", "/api/orders");
    request.add_header("authorization", format!("Bearer {session}"));
    let uid = uid(&world, &openid).await?;
    let identity = json!({ "x-weixin-account": "demo", "x-weixin-openid": openid,
        "x-weixin-uid": uid });
    assert_eq!(told(&send(&world, &request).await?)?, identity);
    Ok(())
}

pub(crate) async fn without_the_store_a_login_works_and_the_store_learns_of_it<G: Gateway>()
-> Result<()> {
    let Some(mut world) = open::<G>("storeless").await? else {
        return Ok(());
    };
    let openid = somebody();
    let login = "/wechat-login/demo/login";
    let who = async |world: &World<G>| {
        let code = world.api().js_code("demo", &openid)?;
        let (status, answer) = call(world, login, None, &json!({ "code": code })).await?;
        ensure!(status == 200, "{status}: {answer}");
        let session = answer["session"].as_str().context("a session")?;
        let mut request = Request::new("GET", "/api/orders");
        request.add_header("authorization", format!("Bearer {session}"));
        told(&send(world, &request).await?)
    };
    world.store_down()?;
    let nameless = json!({ "x-weixin-account": "demo", "x-weixin-openid": openid });
    for _ in 0..2 {
        assert_eq!(who(&world).await?, nameless);
    }
    world.store_up()?;
    eventually("the logins in the store", async || {
        let events = events(&world, "weir.session.started").await?;
        Ok((events.len() == 2).then_some(()))
    })
    .await?;
    // A worker that has not found it back yet does not wait for it.
    let uid = uid(&world, &openid).await?;
    eventually("the uid after a login", async || {
        let known = who(&world).await?;
        Ok((known["x-weixin-uid"] == uid.as_str()).then_some(()))
    })
    .await?;
    Ok(())
}

pub(crate) async fn a_guest_stays_the_same_guest<G: Gateway>() -> Result<()> {
    let Some(world) = open::<G>("guest").await? else {
        return Ok(());
    };
    let first = visit(&world, "/news/", None).await?;
    let who = told(&first)?;
    let uid: i64 = who["x-weixin-uid"].as_str().context("a uid")?.parse()?;
    ensure!(uid < 0, "{uid}");
    let again = visit(&world, "/news/today", Some(&cookies(&first))).await?;
    assert_eq!(told(&again)?, who);
    ensure!(cookies(&again).is_empty(), "it has one");
    assert_eq!(
        visit(&world, "/member/", Some(&cookies(&first)))
            .await?
            .status,
        302
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_secret_and_nobodys_key_is_in_anything_that_can_be_read() -> Result<()> {
    let Some(world) = open::<InEnvoy>("canaries").await? else {
        return Ok(());
    };
    let openid = somebody();
    let code = world.api().js_code("demo", &openid)?;
    let login = "/wechat-login/demo/login";
    let (_, answer) = call(&world, login, None, &json!({ "code": code })).await?;
    let session = answer["session"].as_str().context("a session")?.to_owned();
    let phone = world
        .api()
        .phone_code("demo", &openid, &Phone::mainland("13580006666"))?;
    let path = "/wechat-login/demo/phone";
    call(&world, path, Some(&session), &json!({ "code": phone })).await?;
    call(&world, login, None, &json!({ "code": code })).await?;
    let away = visit(&world, "/member/", None).await?;
    let url = away.header("location").context("a place")?;
    let back = world.api().authorize(url, &openid)?;
    let back = back.replace("https://www.example.com", "");
    let home = visit(&world, &back, Some(&cookies(&away))).await?;
    visit(&world, "/member/last", Some(&cookies(&home))).await?;
    let token = world.api().current_token("demo")?;
    let key = world.api().session_key("demo", &openid)?.context("a key")?;
    let log = eventually("the access log", async || {
        let log = world.gateway.log()?;
        Ok(log.contains("/member/last").then_some(log))
    })
    .await?;
    let everything = [world.gateway.dump()?, log].concat();
    let (_, web_code) = back.split_once("code=").context("a code")?;
    for (what, canary) in [
        ("the AppSecret", world.account.secret.as_str()),
        ("the key that seals", SEAL_KEY),
        ("the session_key", &key),
        ("the access token", &token),
        ("a session", &session),
        ("an openid", &openid),
        ("a phone number", "13580006666"),
        ("a code of wx.login", &code),
        (
            "a code of a page",
            web_code.split('&').next().unwrap_or(web_code),
        ),
    ] {
        assert!(!everything.contains(canary), "{what} can be read");
    }
    Ok(())
}
