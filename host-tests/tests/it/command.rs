//! What an operator does with the `weir` command at a running gateway.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use tokio::task::block_in_place;
use weir_host_tests::{Gateway, Plan, World, somebody};
use weir_store_api::read::{Page, StoredEvent};
use weir_testbed::layout::Layout;

pub(crate) async fn the_command_tries_a_rule_and_replays_what_was_stored<G: Gateway>() -> Result<()>
{
    let Some(world) = World::<G>::start("command", Plan::default()).await? else {
        return Ok(());
    };
    let openid = somebody();
    weir(&world, &["trigger", "verify"])?;
    let tried = weir(&world, &["trigger", "text", "hello", "--openid", &openid])?;
    ensure!(tried.contains("1. Hello from Weir"), "{tried}");
    assert_eq!(world.messages(&openid).await?.len(), 1);

    let mut recording = String::new();
    let stored: Page<StoredEvent> = world
        .read("/v1/events?account=demo&limit=100")
        .await?
        .context("the store lists events")?;
    for event in stored.items {
        recording.push_str(&serde_json::to_string(&event)?);
        recording.push('\n');
    }
    let layout = Layout::of_this_checkout();
    let file = layout
        .scratch("host-tests", "recording")?
        .join("recording.ndjson");
    std::fs::write(&file, recording)?;
    let file = file.to_str().context("a path in UTF-8")?;
    let replayed = weir(&world, &["replay", file])?;
    ensure!(replayed.contains("sent 1 in "), "{replayed}");
    assert_eq!(
        world.messages(&openid).await?.len(),
        1,
        "a copy is recognised"
    );
    weir(&world, &["replay", file, "--new-ids"])?;
    assert_eq!(world.messages(&openid).await?.len(), 2);
    Ok(())
}

/// Runs the built `weir COMMAND URL …` with the account of `envoy.yaml`; what it printed.
fn weir<G: Gateway>(world: &World<G>, args: &[&str]) -> Result<String> {
    let layout = Layout::of_this_checkout();
    let program = layout.built_program("weir", "debug")?;
    let (name, rest) = args.split_first().context("a command")?;
    let output = block_in_place(|| {
        Command::new(program)
            .args([name, world.url("").as_str()])
            .args(rest)
            .arg("--config")
            .arg(layout.envoy_yaml())
            .env("WEIR_DEMO_TOKEN", &world.account.token)
            .env("WEIR_DEMO_AES_KEY", &world.account.encoding_aes_key)
            .output()
    })?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{args:?}: {printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(printed)
}
