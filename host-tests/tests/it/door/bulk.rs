//! `weir send`, through the door.

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::task::block_in_place;
use weir_host_tests::{Gateway, SHOP_KEY};
use weir_sim::api::Limit;
use weir_testbed::layout::Layout;

use super::{Door, open};

/// How many get the message: few, unless somebody asks for more.
fn recipients() -> usize {
    let wanted = std::env::var("WEIR_DOOR_RECIPIENTS").ok();
    wanted.and_then(|n| n.parse().ok()).unwrap_or(400)
}

/// The command, which may be run again and again.
fn send(world: &Door, list: &std::path::Path) -> Result<Command> {
    let layout = Layout::of_this_checkout();
    let mut command = Command::new(layout.built_program("weir", "debug")?);
    command
        .args([
            "send",
            "--account",
            "demo",
            "--key-env",
            "SHOP_KEY",
            "--campaign",
            "spring",
        ])
        .args([
            "--template",
            "T1",
            "--data",
            r#"{"thing1": "{name}"}"#,
            "--rate",
            "100000",
            "--json",
        ])
        .args([
            "--door",
            &format!("http://{}", world.gateway.door_address()?),
        ])
        .arg("--to")
        .arg(list)
        .arg("--journal")
        .arg(list.with_extension("journal"))
        .env("SHOP_KEY", SHOP_KEY)
        .stdin(Stdio::null());
    Ok(command)
}

/// Ends with the test, whatever happens.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts it, and kills it when it has come so far.
pub(super) async fn kill_when(
    command: &mut Command,
    come_so_far: impl Fn() -> Result<bool>,
) -> Result<()> {
    let mut run = Running(command.stdout(Stdio::null()).spawn()?);
    while !come_so_far()? {
        ensure!(run.0.try_wait()?.is_none(), "it ended before it was killed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(run.0.kill()?)
}

/// Runs it to its good end; the summary that `--json` gives.
pub(super) fn summary_of(command: &mut Command) -> Result<Value> {
    let output = block_in_place(|| command.output()).context("weir")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let last = printed.lines().last().unwrap_or_default();
    ensure!(
        output.status.success(),
        "{last}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_str::<Value>(last)?["summary"].take())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_campaign_that_is_killed_twice_while_tokens_die_reaches_each_once() -> Result<()> {
    let Some(world) = open("bulk", |_| {}).await? else {
        return Ok(());
    };
    world.api().accept_any_openid("demo", true)?;
    world.api().invalidate_tokens_every("demo", Some(1_000))?;
    // What a day allows is the number of recipients that is measured, and some come twice.
    let path = "/cgi-bin/message/template/send";
    world.api().set_quota("demo", path, Limit::default())?;
    let all = recipients();
    let mut rows = String::from("openid,name\n");
    for number in 0..all {
        writeln!(rows, "o{number:06},你好 {number}")?;
    }
    let layout = Layout::of_this_checkout();
    let list = layout.scratch("host-tests", "bulk")?.join("list.csv");
    std::fs::write(&list, rows)?;

    let begun = std::time::Instant::now();
    for part in [all / 4, all / 2] {
        let come_so_far = || Ok(world.api().recipients("demo", "template")?.len() >= part);
        kill_when(&mut send(&world, &list)?, come_so_far).await?;
    }
    let summary = summary_of(&mut send(&world, &list)?)?;
    assert_eq!(summary["sent"], all);

    let total = &world.api().totals("demo")?["template"];
    assert!(
        total.more_than_once.is_empty(),
        "{:?}",
        total.more_than_once
    );
    assert_eq!(total.recipients, all as u64);
    assert_eq!(total.sent, all as u64);
    let ledger = world.api().ledger();
    let refused = ledger.calls["/cgi-bin/message/template/send"]
        .errcodes
        .get(&40_001);
    println!(
        "{all} recipients, killed twice: each once; {} recognised, {} refused for their token, {:.1?}",
        ledger.repeats,
        refused.unwrap_or(&0),
        begun.elapsed()
    );
    Ok(())
}
