//! Nobody gets past the door whom it does not know, and no secret leaves it.

use anyhow::Result;
use serde_json::json;
use weir_host_tests::{SHOP_KEY, eventually, somebody};
use weir_sim::api::Follow;
use weir_sim::http::{Request, Response};

use super::{get, json, login, open, post, send};

/// How a caller may try to be somebody.
fn identities(stand_in: &str) -> Vec<(&'static str, Request)> {
    let plain = || Request::new("GET", "");
    let with_header = |name: &str, value: &str| {
        let mut request = plain();
        request.add_header(name, value);
        request
    };
    let with_token = |token: &str| {
        let mut request = plain();
        request.set_query("access_token", token);
        request
    };
    let flipped: String = stand_in.chars().rev().collect();
    let mut another_account = stand_in.to_owned();
    another_account = another_account.replace(".demo.", ".other.");
    let mut later = stand_in.to_owned();
    later.insert(later.rfind('.').unwrap_or(0), 'f');
    vec![
        ("nobody", plain()),
        (
            "a wrong key",
            with_header("authorization", "Bearer wrong-key-of-the-shop"),
        ),
        (
            "a key cut short",
            with_header("authorization", &format!("Bearer {}", &SHOP_KEY[..8])),
        ),
        ("an empty key", with_header("authorization", "Bearer ")),
        (
            "a key of another scheme",
            with_header("authorization", &format!("Basic {SHOP_KEY}")),
        ),
        (
            "a header of a proxy",
            with_header("x-forwarded-client-cert", "URI=spiffe://example.com/shop"),
        ),
        (
            "a wrong stand-in",
            with_token("weir.shop.demo.ffffffff.0000000000000000000000000000000000000000"),
        ),
        ("a stand-in turned round", with_token(&flipped)),
        (
            "a stand-in of another account",
            with_token(&another_account),
        ),
        ("a stand-in that ends later", with_token(&later)),
        ("the key as a token", with_token(SHOP_KEY)),
    ]
}

const PATHS: &[&str] = &[
    "/cgi-bin/user/get",
    "/accounts/demo/cgi-bin/user/get",
    "/accounts/demo/../demo/cgi-bin/user/get",
    "//cgi-bin/user/get",
    "/cgi-bin//user/get",
    "/cgi-bin/./user/get",
    "/cgi-bin/x/../user/get",
    "/cgi-bin/user/%67et",
    "/cgi-bin%2fuser/get",
    "/%63gi-bin/user/get",
    "/cgi-bin/user/get/",
    "/cgi-bin/user/get;a=b",
    "/CGI-BIN/user/get",
    "/wxa/getwxacodeunlimit",
    "/sns/jscode2session?appid=wx0123456789abcdef&js_code=x&grant_type=authorization_code",
    "/sns/oauth2/access_token?code=x",
    "/cgi-bin/clear_quota",
    "/cgi-bin/stable_token/",
    "/cgi-bin/component/api_component_token",
    "/datacube/getusersummary",
    "/index.html",
    "/",
];

/// Everything that came to WeChat with a token, but for the door's own.
fn authorised(ledger: &weir_sim::api::Ledger) -> u64 {
    ledger.calls.values().map(|calls| calls.authorised).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_way_round_the_door_reaches_wechat_with_a_token() -> Result<()> {
    let Some(world) = open("bypass", |_| {}).await? else {
        return Ok(());
    };
    let stand_in = login(&world).await?;
    // The token is there: whoever got through would get it.
    json(&world, &get("/cgi-bin/tags/get")).await?;
    let before = authorised(&world.api().ledger());
    let mut cases = 0;
    for (who, identity) in identities(&stand_in) {
        for path in PATHS {
            for method in ["GET", "POST"] {
                let mut request = identity.clone();
                request.method = method.to_owned();
                request.path = (*path).to_owned();
                request.body = if method == "POST" {
                    b"{}".to_vec()
                } else {
                    Vec::new()
                };
                let response = send(&world, &request).await?;
                cases += 1;
                assert!(
                    response.status != 200 || errcode(&response) != Some(0),
                    "{who} {method} {path}: {}",
                    String::from_utf8_lossy(&response.body)
                );
            }
        }
    }
    // Somebody who is known, where it may not go.
    for path in [
        "/cgi-bin/clear_quota",
        "/cgi-bin/Clear_Quota",
        "/cgi-bin/openapi/quota/get",
        "/cgi-bin/component/api_component_token",
        "/sns/jscode2session?js_code=x",
        "/sns/oauth2/access_token?code=x",
        "/semantic/semproxy/search",
        "/accounts/other/cgi-bin/user/get",
        "/cgi-bin/stable_token/x",
        "/cgi-bin/token/x",
        "/cgi-bin/user/get?access_token=a&access_token=b",
        "/cgi-bin/user/get?access_token=forged",
        "/cgi-bin/user/get?%61ccess_token=forged",
    ] {
        let response = send(&world, &get(path)).await?;
        cases += 1;
        assert!(
            response.status != 200 || errcode(&response).is_some_and(|code| code != 0),
            "{path}"
        );
    }
    // Two identities that are not one.
    let mut both = get("/cgi-bin/user/get");
    both.add_header("x-weir-account", "other");
    assert_eq!(send(&world, &both).await?.status, 403);
    let ledger = world.api().ledger();
    assert_eq!(
        authorised(&ledger),
        before,
        "of {cases} ways round one led to WeChat"
    );
    assert!(cases >= 200, "{cases}");
    Ok(())
}

fn errcode(response: &Response) -> Option<i64> {
    let answer: serde_json::Value = serde_json::from_slice(&response.body).ok()?;
    Some(
        answer
            .get("errcode")
            .map_or(0, |code| code.as_i64().unwrap_or(0)),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_callers_own_token_is_taken_out_however_it_is_spelled() -> Result<()> {
    let Some(world) = open("spelling", |_| {}).await? else {
        return Ok(());
    };
    let openid = somebody();
    world.api().follow("demo", &openid, Follow::default())?;
    let stand_in = login(&world).await?;
    for name in [
        "access_token",
        "%61ccess_token",
        "ACCESS_TOKEN",
        "access%5ftoken",
    ] {
        let path = format!("/cgi-bin/user/info?openid={openid}&{name}={stand_in}");
        let user = json(&world, &Request::new("GET", &path)).await?;
        assert_eq!(user["openid"], openid.as_str(), "{name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_secret_and_no_token_is_in_anything_that_can_be_read() -> Result<()> {
    let Some(world) = open("canaries", |_| {}).await? else {
        return Ok(());
    };
    let openid = somebody();
    world.api().follow("demo", &openid, Follow::default())?;
    let stand_in = login(&world).await?;
    json(&world, &get("/cgi-bin/tags/get")).await?;
    world.api().invalidate_tokens("demo", None)?;
    let body =
        json!({"touser": openid, "template_id": "T", "data": {"a": {"value": "canary content"}}});
    json(&world, &post("/cgi-bin/message/template/send", &body)).await?;
    let mut wrong = Request::new("GET", "/cgi-bin/token");
    wrong.set_query("appid", &world.account.appid);
    wrong.set_query("secret", "canary-of-a-wrong-secret");
    send(&world, &wrong).await?;
    let token = world.api().current_token("demo")?;
    // The access log is written a while later.
    let log = eventually("the access log", async || {
        let log = world.gateway.log()?;
        Ok(log
            .contains("/cgi-bin/message/template/send")
            .then_some(log))
    })
    .await?;
    let everything = [world.gateway.dump()?, log].concat();
    for (what, canary) in [
        ("the AppSecret", world.account.secret.as_str()),
        ("the access token", &token),
        ("a key", SHOP_KEY),
        ("a stand-in", &stand_in),
        ("a wrong secret", "canary-of-a-wrong-secret"),
        ("an openid", &openid),
        ("content", "canary content"),
    ] {
        assert!(!everything.contains(canary), "{what} can be read");
    }
    Ok(())
}
