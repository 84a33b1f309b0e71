//! WeChat's console verifies the URL before it is taken.

use anyhow::{Result, ensure};
use weir_host_tests::{Gateway, Plan, World};

pub(crate) async fn the_url_is_verified_by_who_knows_the_token<G: Gateway>() -> Result<()> {
    let Some(world) = World::<G>::start("verification", Plan::default()).await? else {
        return Ok(());
    };
    let sender = world.sender()?;
    let verification = sender.verify_url().await;
    ensure!(verification.result == Ok(()), "{verification:?}");

    let mut forged = sender.verification_request();
    forged.set_query("signature", "0".repeat(40));
    let answer = sender.attempt(&forged).await;
    assert_eq!(answer.status(), Some(403));
    assert_eq!(
        answer.response.map(|response| response.body),
        Some(Vec::new()),
        "an echo for a stranger"
    );

    world
        .counts(
            "weir.pushes.account.demo.kind.verification.outcome.replied",
            1,
        )
        .await?;
    world
        .counts(
            "weir.pushes.account.demo.kind.verification.outcome.refused_signature",
            1,
        )
        .await?;
    Ok(())
}
