//! WeChat sends a push up to three times, wherever it lands: the work is done once, the reply is the same.

use anyhow::{Result, ensure};
use weir_host_tests::{Gateway, Plan, WORKERS, World, somebody};
use weir_sim::{Push, Sender};

const REPLY: &str = "We have your message.";
/// More connections than it takes to meet every worker, whoever hands them out.
const MANY: u64 = 200;

pub(crate) async fn three_attempts_of_one_push_are_one_message_and_one_reply<G: Gateway>()
-> Result<()> {
    let Some(world) = World::<G>::start("attempts", Plan::default()).await? else {
        return Ok(());
    };
    let openid = somebody();
    let sender = world.sender()?;
    let push = Push::text(&world.account, &openid, "once");
    let first = sender.request(&push);
    // Signed anew, and byte for byte: it is not known which of the two WeChat does.
    for request in [&first, &sender.request(&push), &first] {
        let answer = sender.attempt(request).await;
        let body = answer
            .response
            .map(|response| response.body)
            .unwrap_or_default();
        assert_eq!(sender.judge(&push, &body).text(), Some(REPLY));
    }
    assert_eq!(world.messages(&openid).await?.len(), 1);
    world.counts("weir.dedup_hits.account.demo", 2).await?;

    // The same words at another time are another message.
    sender
        .push(&Push::text(&world.account, &openid, "once"))
        .await;
    assert_eq!(world.messages(&openid).await?.len(), 2);
    Ok(())
}

pub(crate) async fn a_copy_on_another_worker_gets_the_first_ones_reply<G: Gateway>() -> Result<()> {
    let Some(world) = World::<G>::start("other-worker", Plan::default()).await? else {
        return Ok(());
    };
    let openid = somebody();
    let push = Push::text(&world.account, &openid, "once");
    let mut sent = 0;
    while let Some(address) = world.gateway.towards_all_workers(sent)? {
        ensure!(sent < MANY, "one worker got all of {sent} connections");
        let sender = Sender::new(
            world.account.clone(),
            &format!("http://{address}/wechat/demo"),
        )?;
        ensure!(
            answer(&sender, &push).await.as_deref() == Some(REPLY),
            "copy {sent}"
        );
        sent += 1;
    }
    ensure!(
        sent >= u64::from(WORKERS),
        "{sent} connections to {WORKERS} workers"
    );
    assert_eq!(world.messages(&openid).await?.len(), 1);
    world
        .counts("weir.dedup_hits.account.demo", sent - 1)
        .await?;
    Ok(())
}

pub(crate) async fn copies_at_the_same_moment_are_one_message<G: Gateway>() -> Result<()> {
    let Some(world) = World::<G>::start("same-moment", Plan::default()).await? else {
        return Ok(());
    };
    let sender = world.sender()?;
    for _ in 0..5 {
        let openid = somebody();
        let push = Push::text(&world.account, &openid, "once");
        let copies: Vec<_> = (0..8)
            .map(|_| {
                let (sender, push) = (sender.clone(), push.clone());
                tokio::spawn(async move { answer(&sender, &push).await })
            })
            .collect();
        for copy in copies {
            assert_eq!(copy.await?.as_deref(), Some(REPLY));
        }
        assert_eq!(world.messages(&openid).await?.len(), 1);
    }
    world.counts("weir.dedup_hits.account.demo", 5 * 7).await?;
    Ok(())
}

/// The text of the reply to one attempt.
async fn answer(sender: &Sender, push: &Push) -> Option<String> {
    let response = sender.attempt(&sender.request(push)).await.response?;
    Some(sender.judge(push, &response.body).text()?.to_owned())
}
