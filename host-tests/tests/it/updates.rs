//! The configuration changes while pushes come in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use weir_host_tests::{Gateway, Plan, Update, World, eventually, somebody};
use weir_sim::{Exchange, Push, Sender};

const CLIENTS: usize = 8;
const UPDATES: usize = 4;

/// Makes `text` the reply to every text.
fn say(text: String) -> impl FnOnce(&mut Value) + Send {
    move |plugin| {
        plugin["accounts"][0]["rules"] =
            json!([{ "when": { "message": "text" }, "reply": { "text": text } }])
    }
}

pub(crate) async fn a_new_configuration_takes_over_under_load_and_no_push_is_dropped<G: Gateway>()
-> Result<()> {
    let Some(mut world) =
        World::<G>::start("update", Plan::default().plugin(say("version 0".into()))).await?
    else {
        return Ok(());
    };
    let stop = Arc::new(AtomicBool::new(false));
    let sender = world.sender()?;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(keep_writing(sender.clone(), stop.clone())))
        .collect();
    for version in 1..=UPDATES {
        let text = format!("version {version}");
        assert_eq!(
            world.gateway.update(say(text.clone())).await?,
            Update::Applied
        );
        eventually("the new configuration's reply", async || {
            let exchange = sender
                .push(&Push::text(&world.account, &somebody(), "which?"))
                .await;
            Ok((exchange.reply.text() == Some(text.as_str())).then_some(()))
        })
        .await?;
    }
    stop.store(true, Ordering::Relaxed);
    let mut pushes = 0;
    for client in clients {
        let (openid, exchanges) = client.await?;
        for exchange in &exchanges {
            let text = exchange.reply.text().unwrap_or_default();
            ensure!(
                exchange.attempts.len() == 1 && text.starts_with("version "),
                "a push was dropped: {exchange:?}"
            );
        }
        // The store lists at most a hundred at once; a client writes no more.
        assert_eq!(
            world.messages(&openid).await?.len(),
            exchanges.len(),
            "what was answered is stored"
        );
        pushes += exchanges.len();
    }
    ensure!(pushes >= CLIENTS, "there was no load: {pushes} pushes");
    assert_eq!(world.gateway.metric("weir.lost_events")?, 0);
    Ok(())
}

/// Writes as one user until told to stop, at most a hundred times.
async fn keep_writing(sender: Sender, stop: Arc<AtomicBool>) -> (String, Vec<Exchange>) {
    let openid = somebody();
    let mut exchanges = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        if exchanges.len() < 100 {
            exchanges.push(
                sender
                    .push(&Push::text(sender.account(), &openid, "and?"))
                    .await,
            );
        } else {
            // Still load, but nobody's message: the URL is verified again.
            ensure_verified(&sender).await;
        }
    }
    (openid, exchanges)
}

async fn ensure_verified(sender: &Sender) {
    let verification = sender.verify_url().await;
    assert_eq!(verification.result, Ok(()), "{verification:?}");
}

pub(crate) async fn a_configuration_with_a_mistake_is_rejected_and_the_old_one_serves_on<
    G: Gateway,
>() -> Result<()> {
    let Some(mut world) = World::<G>::start("bad-update", Plan::default()).await? else {
        return Ok(());
    };
    let sender = world.sender()?;
    let answered = async |expected: &str| -> Result<()> {
        let exchange = sender
            .push(&Push::text(sender.account(), &somebody(), "hi"))
            .await;
        ensure!(exchange.reply.text() == Some(expected), "{exchange:?}");
        Ok(())
    };
    answered("We have your message.").await?;
    let mistakes: [fn(&mut Value); 3] = [
        |plugin| plugin["accounts"][0]["mood"] = "encrypted".into(),
        |plugin| plugin["accounts"][0]["token_env"] = "WEIR_NO_SUCH_VARIABLE".into(),
        |plugin| *plugin = json!([]),
    ];
    for (number, mistake) in mistakes.into_iter().enumerate() {
        assert_eq!(
            world.gateway.update(mistake).await?,
            Update::Rejected,
            "mistake {number}"
        );
        for _ in 0..4 {
            answered("We have your message.").await?;
        }
    }
    assert_eq!(
        world.gateway.update(say("corrected".into())).await?,
        Update::Applied
    );
    eventually("the corrected configuration", async || {
        Ok(answered("corrected").await.ok())
    })
    .await
}
