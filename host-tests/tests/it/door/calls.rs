//! Calls that go through.

use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use weir_host_tests::{Gateway, SHOP_KEY, eventually, somebody};
use weir_sim::api::{Follow, Limit};
use weir_sim::http::Request;
use weir_sim::{Push, UserSees};

use super::{STABLE_TOKEN, get, json, login, open_in, post, send};

const USER_INFO: &str = "/cgi-bin/user/info";
const CUSTOM_SEND: &str = "/cgi-bin/message/custom/send";
const TEMPLATE_SEND: &str = "/cgi-bin/message/template/send";

pub(crate) async fn an_sdk_that_logs_in_calls_with_a_stand_in_and_wechat_sees_the_real_token<
    G: Gateway,
>() -> Result<()> {
    let Some(world) = open_in::<G>("stand-in", |_| {}).await? else {
        return Ok(());
    };
    let openid = somebody();
    world.api().follow("demo", &openid, Follow::default())?;
    let stand_in = login(&world).await?;
    let mut request = Request::new("GET", USER_INFO);
    request.set_query("access_token", &stand_in);
    request.set_query("openid", &openid);
    request.set_query("lang", "zh_CN");
    let user = json(&world, &request).await?;
    assert_eq!(user["openid"], openid.as_str());

    // The other way in: POST, with the body of stable_token.
    let mut request = Request::new("POST", STABLE_TOKEN);
    let secrets = json!({"grant_type": "client_credential", "appid": world.account.appid, "secret": SHOP_KEY});
    request.body = secrets.to_string().into_bytes();
    let answer = json(&world, &request).await?;
    assert_eq!(answer["expires_in"], 7_200);

    let ledger = world.api().ledger();
    assert_eq!(ledger.calls[USER_INFO].authorised, 1);
    assert_eq!(ledger.count(STABLE_TOKEN), 1, "one fetch, and it is Weir's");
    assert_eq!(ledger.count("/cgi-bin/token"), 0);
    assert!(
        ledger.strange_headers.is_empty(),
        "{:?}",
        ledger.strange_headers
    );
    Ok(())
}

pub(crate) async fn whoever_has_a_key_calls_by_header_or_by_path<G: Gateway>() -> Result<()> {
    let Some(world) = open_in::<G>("bearer", |_| {}).await? else {
        return Ok(());
    };
    let body = json!({"user_list": []});
    for path in [
        "/cgi-bin/user/info/batchget",
        "/accounts/demo/cgi-bin/user/info/batchget",
    ] {
        let answer = json(&world, &post(path, &body)).await?;
        assert!(
            answer
                .get("errcode")
                .is_none_or(|errcode| *errcode != 40_001),
            "{answer}"
        );
    }
    let mut request = get("/cgi-bin/tags/get");
    request.add_header("x-weir-account", "demo");
    json(&world, &request).await?;
    let ledger = world.api().ledger();
    assert!(
        ledger.strange_headers.is_empty(),
        "{:?}",
        ledger.strange_headers
    );
    Ok(())
}

pub(crate) async fn files_of_every_size_go_up_and_come_down_unchanged<G: Gateway>() -> Result<()> {
    let Some(world) = open_in::<G>("media", |_| {}).await? else {
        return Ok(());
    };
    for size in [1_usize, 70_000, 900_000] {
        let content: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        let mut request = get("/cgi-bin/media/upload");
        request.method = "POST".to_owned();
        request.set_query("type", "image");
        request.add_header("content-type", "multipart/form-data; boundary=limit");
        request.body = [
            b"--limit\r\ncontent-disposition: form-data; name=\"media\"; filename=\"a.jpg\"\r\ncontent-type: image/jpeg\r\n\r\n".as_slice(),
            &content,
            b"\r\n--limit--\r\n",
        ]
        .concat();
        let answer = json(&world, &request).await?;
        let id = answer["media_id"]
            .as_str()
            .with_context(|| answer.to_string())?;
        let mut request = get("/cgi-bin/media/get");
        request.set_query("media_id", id);
        let down = send(&world, &request).await?;
        assert!(down.status == 200 && down.body == content, "{size} bytes");
    }
    Ok(())
}

pub(crate) async fn what_wechat_says_to_all_alike_is_asked_for_once<G: Gateway>() -> Result<()> {
    let Some(world) = open_in::<G>("kept", |_| {}).await? else {
        return Ok(());
    };
    let mut asked = Vec::new();
    for path in [
        "/cgi-bin/ticket/getticket?type=jsapi",
        "/cgi-bin/getcallbackip",
        "/cgi-bin/get_api_domain_ip",
    ] {
        for _ in 0..16 {
            asked.push(get(path));
        }
    }
    let world = Arc::new(world);
    let mut answers = JoinSet::new();
    for request in asked {
        let world = world.clone();
        answers.spawn(async move { json(&world, &request).await });
    }
    while let Some(answer) = answers.join_next().await {
        let answer = answer??;
        let right = answer.get("ticket").or(answer.get("ip_list"));
        assert!(right.is_some(), "{answer}");
    }
    let ledger = world.api().ledger();
    for path in [
        "/cgi-bin/ticket/getticket",
        "/cgi-bin/getcallbackip",
        "/cgi-bin/get_api_domain_ip",
    ] {
        assert_eq!(ledger.count(path), 1, "{path}");
    }
    Ok(())
}

pub(crate) async fn what_was_sent_is_in_the_store_without_its_content<G: Gateway>() -> Result<()> {
    let Some(world) = open_in::<G>("sends", |_| {}).await? else {
        return Ok(());
    };
    let openid = somebody();
    world.api().follow("demo", &openid, Follow::default())?;
    let template = json!({"touser": openid, "template_id": "T-1", "client_msg_id": "c-1",
        "data": {"first": {"value": "canary content"}}});
    let sent = json(&world, &post(TEMPLATE_SEND, &template)).await?;
    assert_eq!(sent["errcode"], 0, "{sent}");
    let again = send(
        &world,
        &post(
            CUSTOM_SEND,
            &json!({"touser": openid, "msgtype": "text",
        "text": {"content": "canary content"}}),
        ),
    )
    .await?;
    assert_eq!(again.header("x-weir-result"), Some("sent"));
    let custom =
        json!({"touser": somebody(), "msgtype": "text", "text": {"content": "canary content"}});
    let refused = json(&world, &post(CUSTOM_SEND, &custom)).await?;
    let errcode = refused["errcode"].as_i64().unwrap_or(0);
    assert_ne!(errcode, 0, "a stranger gets nothing: {refused}");

    let events = eventually("all sends in the store", async || {
        let path = "/v1/events?limit=10";
        let page: Option<Value> = world.read(path).await?;
        let events = page.and_then(|page| page["items"].as_array().cloned());
        Ok(events.filter(|events| events.len() == 3))
    })
    .await?;
    let text = serde_json::to_string(&events)?;
    assert!(!text.contains("canary"), "{text}");
    assert!(
        text.contains("\"T-1\"") && text.contains(&errcode.to_string()),
        "{text}"
    );
    Ok(())
}

/// The send by the door, its end by the push filter: one message in the store, whichever it hears of first.
pub(crate) async fn what_wechat_says_of_a_message_later_is_what_the_store_says_of_it<G: Gateway>()
-> Result<()> {
    let Some(world) = open_in::<G>("delivered", |_| {}).await? else {
        return Ok(());
    };
    let sender = world.sender()?;
    for (status, state, reason) in [
        ("success", "delivered", Value::Null),
        ("failed:user block", "failed", json!("user block")),
    ] {
        let openid = somebody();
        world.api().follow("demo", &openid, Follow::default())?;
        let template = json!({"touser": openid, "template_id": "T-1", "data": {}});
        let sent = json(&world, &post(TEMPLATE_SEND, &template)).await?;
        let msgid = sent["msgid"].as_u64().with_context(|| sent.to_string())?;
        let finished = Push::event(&world.account, &openid, "TEMPLATESENDJOBFINISH")
            .field("MsgID", msgid.to_string())
            .field("Status", status);
        let exchange = sender.push(&finished).await;
        assert_eq!(exchange.reply, UserSees::Nothing, "{exchange:?}");

        let path = format!("/v1/deliveries?account=demo&openid={openid}&msgid={msgid}");
        let delivery = eventually("the message's end in the store", async || {
            let page: Option<Value> = world.read(&path).await?;
            let delivery = page.map(|page| page["items"][0].clone());
            Ok(delivery.filter(|delivery| !delivery["reported_at"].is_null()))
        })
        .await?;
        assert_eq!(delivery["state"], state, "{delivery}");
        assert_eq!(delivery["reason"], reason, "{delivery}");
        assert_eq!(delivery["client"], "shop", "{delivery}");
        assert_eq!(delivery["api"], "template", "{delivery}");
    }
    Ok(())
}

pub(crate) async fn a_days_calls_that_are_used_up_are_not_asked_for_again<G: Gateway>() -> Result<()>
{
    let Some(world) = open_in::<G>("quota", |_| {}).await? else {
        return Ok(());
    };
    let path = "/cgi-bin/tags/get";
    world.api().set_quota(
        "demo",
        path,
        Limit {
            per_day: Some(3),
            ..Limit::default()
        },
    )?;
    for call in 1..=8 {
        let answer = json(&world, &get(path)).await?;
        let refused = answer["errcode"] == 45_009;
        assert_eq!(refused, call > 3, "call {call}: {answer}");
    }
    assert_eq!(
        world.api().ledger().count(path),
        4,
        "after the first refusal it is the door's word"
    );
    Ok(())
}

pub(crate) async fn mistakes_are_refused_before_wechat_sees_them_where_that_is_wanted<
    G: Gateway,
>() -> Result<()> {
    let Some(world) = open_in::<G>("linter", |door| door["linter"] = "refuse".into()).await? else {
        return Ok(());
    };
    let body = json!({"touser": somebody(), "template_id": "T", "lang": "zh-CN", "data": {}});
    let answer = json(&world, &post("/cgi-bin/message/subscribe/send", &body)).await?;
    assert_eq!(answer["errcode"], 40_035, "{answer}");
    assert_eq!(
        world
            .api()
            .ledger()
            .count("/cgi-bin/message/subscribe/send"),
        0
    );
    world
        .counts("weir.door_lint.account.demo.reason.lang", 1)
        .await
}
