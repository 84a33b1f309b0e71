//! Access tokens: one for all workers, replaced once when WeChat says that it is no good.

use anyhow::Result;
use weir_host_tests::{Gateway, Plan, World, eventually, somebody};
use weir_sim::Push;
use weir_sim::api::Follow;

const STABLE_TOKEN: &str = "/cgi-bin/stable_token";

pub(crate) async fn a_token_revoked_elsewhere_is_fetched_again_exactly_once<G: Gateway>()
-> Result<()> {
    let Some(world) = World::<G>::start("revoked", Plan::default()).await? else {
        return Ok(());
    };
    follow_and_wait_for_profiles(&world, 4).await?;
    let fetched = world.api().ledger().count(STABLE_TOKEN);
    assert_eq!(fetched, 1, "one fetch serves all workers");

    world.api().invalidate_tokens("demo", None)?;
    follow_and_wait_for_profiles(&world, 12).await?;
    let ledger = world.api().ledger();
    assert_eq!(ledger.count(STABLE_TOKEN), fetched + 1);
    let refused: u64 = ledger
        .calls
        .values()
        .filter_map(|calls| calls.errcodes.get(&40_001))
        .sum();
    assert!(refused >= 1, "nobody met the revoked token");
    Ok(())
}

/// So many follow at once, over as many connections, and each one's profile reaches the store.
async fn follow_and_wait_for_profiles<G: Gateway>(
    world: &World<G>,
    followers: usize,
) -> Result<()> {
    let sender = world.sender()?;
    let openids: Vec<String> = (0..followers).map(|_| somebody()).collect();
    let mut pushes = Vec::new();
    for openid in &openids {
        world.api().follow("demo", openid, Follow::default())?;
        let (sender, push) = (sender.clone(), Push::subscribe(&world.account, openid));
        pushes.push(tokio::spawn(async move { sender.push(&push).await }));
    }
    for push in pushes {
        let exchange = push.await?;
        assert!(
            exchange
                .reply
                .text()
                .is_some_and(|text| text.starts_with("Welcome, ")),
            "{exchange:?}"
        );
    }
    for openid in &openids {
        eventually("the profile of each follower", async || {
            Ok(world
                .user(openid)
                .await?
                .and_then(|detail| detail.user.profile))
        })
        .await?;
    }
    Ok(())
}
