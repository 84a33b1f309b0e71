//! The store goes down and comes back: WeChat itself is the redo log, the outbox the last resort.

use std::time::Duration;

use anyhow::Result;
use weir_host_tests::{Gateway, Plan, World, eventually, somebody};
use weir_sim::{Outcome, Push, SendingClock};

pub(crate) async fn while_the_store_is_down_wechat_comes_again_and_nothing_is_lost<G: Gateway>()
-> Result<()> {
    // WeChat's 5 s and our 4.5 s, five times as fast.
    let plan = Plan::default().plugin(|plugin| plugin["limits"]["reply_deadline_ms"] = 900.into());
    let Some(mut world) = World::<G>::start("outage", plan).await? else {
        return Ok(());
    };
    let sender = world.sender()?.with_timing(SendingClock::faster(5));
    let openid = somebody();
    world.store_down()?;

    // The first two attempts get no answer, which makes WeChat come again; the last one gets the reply.
    let exchange = sender
        .push(&Push::text(&world.account, &openid, "in the dark"))
        .await;
    let outcomes: Vec<_> = exchange
        .attempts
        .iter()
        .map(|attempt| &attempt.outcome)
        .collect();
    assert_eq!(outcomes, [&Outcome::Cut, &Outcome::Cut, &Outcome::Answered]);
    assert_eq!(exchange.reply.text(), Some("We have your message."));
    // At the worker that has owned it from the first attempt, and at the one that answered the last.
    eventually("the event waits in memory", async || {
        let waiting = world.gateway.metric("weir.outbox_events")?;
        Ok((1..=2).contains(&waiting).then_some(()))
    })
    .await?;

    // One that meets the store's return half-way is answered and kept as well.
    let push = Push::text(&world.account, &openid, "at dawn");
    let on_its_way = {
        let sender = sender.clone();
        tokio::spawn(async move { sender.push(&push).await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.store_up()?;
    let exchange = on_its_way.await?;
    assert_eq!(
        exchange.reply.text(),
        Some("We have your message."),
        "{exchange:?}"
    );

    eventually("both in the store", async || {
        Ok((world.messages(&openid).await?.len() == 2).then_some(()))
    })
    .await?;
    world.counts("weir.outbox_events", 0).await?;
    let exchange = sender
        .push(&Push::text(&world.account, &openid, "by day"))
        .await;
    assert_eq!(exchange.attempts.len(), 1, "{exchange:?}");
    assert_eq!(world.messages(&openid).await?.len(), 3, "each once");
    assert_eq!(world.gateway.metric("weir.lost_events")?, 0);
    Ok(())
}
