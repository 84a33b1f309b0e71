//! `weir sync`, through the door and into the store.

use std::collections::HashSet;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use weir_host_tests::{Gateway, SHOP_KEY};
use weir_store_api::read::{Page, User};
use weir_testbed::layout::Layout;

use super::bulk::{kill_when, summary_of};
use super::{Door, open};

/// How many follow: few, unless somebody asks for more.
fn followers() -> u32 {
    let wanted = std::env::var("WEIR_DOOR_FOLLOWERS").ok();
    wanted.and_then(|n| n.parse().ok()).unwrap_or(2_000)
}

/// The command, which may be run again and again.
fn sync(world: &Door) -> Result<Command> {
    let layout = Layout::of_this_checkout();
    let mut command = Command::new(layout.built_program("weir", "debug")?);
    let journal = layout.scratch("host-tests", "sync")?.join("journal");
    command
        .args(["sync", "demo", "--key-env", "SHOP_KEY", "--json"])
        .args([
            "--door",
            &format!("http://{}", world.gateway.door_address()?),
        ])
        .args(["--store", &world.store_url()])
        .args(["--appid", &world.account.appid])
        .args(["--rate", "100000"])
        .arg("--journal")
        .arg(journal)
        .env("SHOP_KEY", SHOP_KEY)
        .stdin(Stdio::null());
    Ok(command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_sync_that_is_killed_three_times_has_everybody_once() -> Result<()> {
    let Some(world) = open("sync", |_| {}).await? else {
        return Ok(());
    };
    let all = followers();
    world.api().follow_many("demo", all)?;
    let begun = std::time::Instant::now();
    let profiles = "/cgi-bin/user/info/batchget";
    let batches = u64::from(all.div_ceil(100));
    let mut command = sync(&world)?;
    for part in [batches / 4, batches / 2, batches * 3 / 4] {
        let come_so_far = || Ok(world.api().ledger().count(profiles) >= part);
        kill_when(&mut command, come_so_far).await?;
    }
    command.stdout(Stdio::piped());
    let summary = summary_of(&mut command)?;
    assert_eq!(summary["complete"], true, "{summary}");
    assert_eq!(summary["followers"], all);
    assert_eq!(summary["stored"], all);

    let ledger = world.api().ledger();
    let (pages, asked) = (ledger.count("/cgi-bin/user/get"), ledger.count(profiles));
    // What was under way when it was killed may have been asked for again: a page, and 4 hundreds.
    let least = u64::from(all.div_ceil(10_000)) + 1;
    assert!((least..=least + 3).contains(&pages), "{pages} pages");
    assert!(
        (batches..=batches + 3 * 4).contains(&asked),
        "{asked} hundreds"
    );
    let all_of_them = all as usize;
    assert_eq!(in_the_store(&world).await?, (all_of_them, all_of_them));
    println!(
        "{all} followers, killed three times: each once; {pages} pages, {asked} hundreds, {:.1?}",
        begun.elapsed()
    );
    Ok(())
}

/// How many users the store has, and how many of them are different ones.
async fn in_the_store(world: &Door) -> Result<(usize, usize)> {
    let (mut users, mut openids) = (0, HashSet::new());
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/users?account=demo&state=following&limit=200{cursor}");
        let page: Page<User> = world.read(&path).await?.context("the store lists users")?;
        users += page.items.len();
        openids.extend(page.items.into_iter().map(|user| user.openid));
        let Some(next) = page.next_cursor else {
            return Ok((users, openids.len()));
        };
        cursor = format!("&cursor={next}");
    }
}
