//! Wrong pushes in number: a share of what `cargo xtask flood` sends.

use anyhow::{Context, Result, ensure};
use weir_host_tests::flood::flood;
use weir_host_tests::{Gateway, InEnvoy, InWasmtime, Plan, World, somebody};
use weir_sim::Push;

/// The same requests in every run.
const SEED: u64 = 1;

async fn check<G: Gateway>(pushes: u64) -> Result<()> {
    let Some(report) = flood::<G>("flood", pushes, SEED).await? else {
        return Ok(());
    };
    report.check()?;
    ensure!(report.sent() == pushes, "{report}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wrong_push_is_acknowledged_or_crashes_a_vm_in_wasmtime() -> Result<()> {
    check::<InWasmtime>(20_000).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wrong_push_is_acknowledged_or_crashes_a_vm_in_envoy() -> Result<()> {
    check::<InEnvoy>(5_000).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_vm_that_crashed_is_noticed() -> Result<()> {
    let world = World::<InWasmtime>::start("crash", Plan::default()).await?;
    let world = world.context("the host is always there")?;
    let before = world.gateway.vms()?;
    assert!(before.crashes.is_empty() && before.reloads == 0 && before.created > 0);
    world.gateway.crash_all_workers();
    world
        .sender()?
        .push(&Push::text(&world.account, &somebody(), "hi"))
        .await;
    let after = world.gateway.vms()?;
    assert!(!after.crashes.is_empty(), "{after:?}");
    assert!(
        after.reloads > 0 || after.created > before.created,
        "{after:?}"
    );
    Ok(())
}
