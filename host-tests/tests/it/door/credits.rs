//! Subscribe messages that their user has not allowed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use weir_host_tests::{Gateway, World, eventually, somebody};
use weir_sim::api::Follow;
use weir_sim::{Push, UserSees};

use super::{json, open_in, post, send};

const SUBSCRIBE_SEND: &str = "/cgi-bin/message/subscribe/send";

/// A user accepts one message, at WeChat, which pushes it.
async fn accepts<G: Gateway>(world: &World<G>, openid: &str) -> Result<()> {
    let credits = BTreeMap::from([("T-1".to_owned(), 1)]);
    world.api().grant_credits("demo", openid, &credits)?;
    let list = "SubscribeMsgPopupEvent.List";
    let push = Push::event(&world.account, openid, "subscribe_msg_popup_event")
        .field_at(&format!("{list}.TemplateId"), "T-1")
        .field_at(&format!("{list}.SubscribeStatusString"), "accept")
        .field_at(&format!("{list}.PopupScene"), "2");
    let exchange = world.sender()?.push(&push).await;
    ensure!(exchange.reply == UserSees::Nothing, "{exchange:?}");
    Ok(())
}

fn known_of(openid: &str) -> String {
    format!("/v1/credits?account=demo&openid={openid}&template_id=T-1")
}

/// The store's word on what is left.
async fn left<G: Gateway>(world: &World<G>, openid: &str, balance: u64) -> Result<()> {
    eventually("the balance in the store", async || {
        let page: Option<Value> = world.read(&known_of(openid)).await?;
        Ok(page.filter(|page| page["items"][0]["balance"] == balance))
    })
    .await?;
    Ok(())
}

pub(crate) async fn a_message_that_is_not_allowed_is_refused_before_wechat_sees_it<G: Gateway>()
-> Result<()> {
    let credits = |door: &mut Value| {
        // Whatever the machine is busy with: the store is there.
        door["credits"] = json!({"refuse": true, "timeout_ms": 5_000});
    };
    let Some(mut world) = open_in::<G>("credits", credits).await? else {
        return Ok(());
    };
    let openid = somebody();
    world.api().follow("demo", &openid, Follow::default())?;
    let message = json!({"touser": openid, "template_id": "T-1", "data": {}});
    let request = post(SUBSCRIBE_SEND, &message);
    let seen = |world: &World<G>| world.api().ledger().count(SUBSCRIBE_SEND);

    let stranger = json(&world, &request).await?;
    assert_eq!(stranger["errcode"], 43_101, "{stranger}");
    assert_eq!(seen(&world), 1, "what nobody knows is WeChat's to say");

    accepts(&world, &openid).await?;
    left(&world, &openid, 1).await?;
    let sent = json(&world, &request).await?;
    assert_eq!(sent["errcode"], 0, "{sent}");
    left(&world, &openid, 0).await?;

    let refused = json(&world, &request).await?;
    assert_eq!(refused["errcode"], 43_101, "{refused}");
    let errmsg = refused["errmsg"].as_str().unwrap_or_default();
    let known = world.read::<Value>(&known_of(&openid)).await?;
    assert!(
        errmsg.starts_with("weir: "),
        "{refused}, and the store says {known:?}"
    );
    assert_eq!(seen(&world), 2, "the last one did not leave");
    let refused = send(&world, &request).await?;
    let said = refused.header("x-weir-result");
    assert_eq!(said, Some("recipient"), "as if WeChat had said so");
    world
        .counts("weir.door_credits.account.demo.outcome.none_left", 2)
        .await?;

    // The user is asked again, in another second: WeChat counts in them, and within one it would be the same push.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    accepts(&world, &openid).await?;
    left(&world, &openid, 1).await?;
    let sent = json(&world, &request).await?;
    assert_eq!(sent["errcode"], 0, "{sent}");
    left(&world, &openid, 0).await?;

    world.store_down()?;
    let asked = json(&world, &request).await?;
    let errmsg = asked["errmsg"].as_str().unwrap_or_default();
    assert!(!errmsg.starts_with("weir: "), "{asked}");
    assert_eq!(seen(&world), 4, "without the store it is WeChat's to say");
    Ok(())
}
