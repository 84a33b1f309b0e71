//! `ack: at_once`: the reply does not wait for the store. What `after_store` does is in `outage`.

use anyhow::Result;
use weir_host_tests::{Gateway, Plan, World, eventually, somebody};
use weir_sim::Push;

pub(crate) async fn at_once_answers_while_the_store_is_down_and_delivers_later<G: Gateway>()
-> Result<()> {
    let plan = Plan::default().plugin(|plugin| plugin["store"]["ack"] = "at_once".into());
    let Some(mut world) = World::<G>::start("at-once", plan).await? else {
        return Ok(());
    };
    let openid = somebody();
    let sender = world.sender()?;
    world.store_down()?;
    for n in 0..3 {
        let push = Push::text(&world.account, &openid, &format!("message {n}"));
        let exchange = sender.push(&push).await;
        assert_eq!(
            exchange.reply.text(),
            Some("We have your message."),
            "{exchange:?}"
        );
        assert_eq!(exchange.attempts.len(), 1);
        // A copy changes nothing.
        assert_eq!(
            sender.attempt(&sender.request(&push)).await.status(),
            Some(200)
        );
    }
    world.store_up()?;
    eventually("all three in the store", async || {
        let messages = world.messages(&openid).await?;
        Ok((messages.len() == 3).then_some(()))
    })
    .await?;
    world
        .counts("weir.pushes.account.demo.kind.text.outcome.replied", 6)
        .await?;
    world.counts("weir.outbox_events", 0).await?;
    assert_eq!(world.gateway.metric("weir.lost_events")?, 0);
    Ok(())
}
