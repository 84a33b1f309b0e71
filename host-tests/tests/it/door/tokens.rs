//! Access tokens that die in the middle.

use std::sync::Arc;

use anyhow::Result;
use serde_json::json;
use tokio::task::JoinSet;
use weir_host_tests::{Gateway, InEnvoy, somebody};
use weir_sim::api::media::MadeUp;
use weir_sim::api::{Act, Follow};

use super::{Door, STABLE_TOKEN, get, json, open, open_in, post, send};

async fn callers_meet_an_invalidated_token<G: Gateway>(callers: usize) -> Result<()> {
    let Some(world) = open_in::<G>(&format!("revoked-{callers}"), |_| {}).await? else {
        return Ok(());
    };
    let world = Arc::new(world);
    json(&world, &get("/cgi-bin/tags/get")).await?;
    let fetched = world.api().ledger().count(STABLE_TOKEN);
    world.api().invalidate_tokens("demo", None)?;
    let mut calls = JoinSet::new();
    for _ in 0..callers {
        let world = world.clone();
        calls.spawn(async move { json(&world, &get("/cgi-bin/tags/get")).await });
    }
    while let Some(answer) = calls.join_next().await {
        let answer = answer??;
        assert!(answer.get("tags").is_some(), "{answer}");
    }
    let ledger = world.api().ledger();
    assert_eq!(ledger.count(STABLE_TOKEN), fetched + 1, "one fetch for all");
    assert!(
        ledger.calls["/cgi-bin/tags/get"]
            .errcodes
            .contains_key(&40_001)
    );
    Ok(())
}

pub(crate) async fn eight_callers_meet_an_invalidated_token_and_none_sees_it<G: Gateway>()
-> Result<()> {
    callers_meet_an_invalidated_token::<G>(8).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_callers_meet_an_invalidated_token_and_none_sees_it() -> Result<()> {
    callers_meet_an_invalidated_token::<InEnvoy>(64).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn five_hundred_callers_meet_an_invalidated_token_and_none_sees_it() -> Result<()> {
    callers_meet_an_invalidated_token::<InEnvoy>(512).await
}

/// How many messages: few, unless somebody asks for more.
fn messages() -> u64 {
    let wanted = std::env::var("WEIR_DOOR_MESSAGES").ok();
    wanted.and_then(|n| n.parse().ok()).unwrap_or(500)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_message_reaches_wechat_once_though_the_token_dies_all_the_time() -> Result<()> {
    let Some(world) = open("sends-revoked", |_| {}).await? else {
        return Ok(());
    };
    let world = Arc::new(world);
    let openid = somebody();
    world.api().follow("demo", &openid, Follow::default())?;
    world.api().act("demo", &openid, Act::Message)?;
    let messages = messages();
    let every_ms = if messages > 1_000 { 1_000 } else { 100 };
    world
        .api()
        .invalidate_tokens_every("demo", Some(every_ms))?;
    let path = "/cgi-bin/message/template/send";
    let mut calls = JoinSet::new();
    for number in 0..messages {
        if calls.len() >= 32
            && let Some(done) = calls.join_next().await
        {
            done??;
        }
        let (world, openid): (Arc<Door>, _) = (world.clone(), openid.clone());
        calls.spawn(async move {
            let body = json!({"touser": openid, "template_id": "T", "data": {"n": {"value": number.to_string()}}});
            // On a machine that has other things to do, a token may die before each of the door's tries. What WeChat has
            // refused was not sent, so whoever is told so may repeat it.
            for _ in 0..100 {
                let answer = json(&world, &post(path, &body)).await?;
                if answer["errcode"] == 0 {
                    return Ok(());
                }
                anyhow::ensure!(answer["errcode"] == 40_001, "{answer}");
            }
            anyhow::bail!("message {number} was refused a hundred times")
        });
    }
    while let Some(done) = calls.join_next().await {
        done??;
    }
    let ledger = world.api().ledger();
    let mut numbers: Vec<_> = (ledger.sends.iter())
        .map(|sent| {
            sent.body["data"]["n"]["value"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    numbers.sort();
    let all = numbers.len() as u64 + ledger.sends_dropped;
    numbers.dedup();
    assert_eq!(all, messages, "each once");
    assert_eq!(
        numbers.len() as u64 + ledger.sends_dropped,
        messages,
        "none twice"
    );
    let refused = ledger.calls[path].errcodes.get(&40_001).copied();
    assert!(refused.unwrap_or(0) > 0, "the token never died");
    println!(
        "{messages} messages, {} refused for their token",
        refused.unwrap_or(0)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_that_is_asked_for_with_a_dead_token_comes_as_a_file() -> Result<()> {
    let Some(world) = open("file", |_| {}).await? else {
        return Ok(());
    };
    let picture = MadeUp {
        content_type: "image/png".to_owned(),
        bytes: 1_000,
    };
    world.api().put_media("demo", "M1", picture)?;
    for refused in 0..2 {
        let mut request = get("/cgi-bin/media/get");
        request.set_query("media_id", "M1");
        let response = send(&world, &request).await?;
        assert_eq!((response.status, response.body.len()), (200, 1_000));
        assert_eq!(response.header("content-type"), Some("image/png"));
        let named = response.header("content-disposition");
        assert!(named.is_some_and(|name| name.contains("M1")), "{named:?}");
        let calls = &world.api().ledger().calls["/cgi-bin/media/get"];
        assert_eq!(calls.errcodes.get(&40_001).copied().unwrap_or(0), refused);
        world.api().invalidate_tokens("demo", None)?;
    }
    Ok(())
}
