//! Every host call that the module makes, failing in every way: what `docs/host-faults.md` promises.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use weir_host_tests::host_faults::trial::Trial;
use weir_host_tests::host_faults::{ODDITIES, ROWS, Row, page};

/// Worlds at a time.
const AT_A_TIME: usize = 4;

/// Tries every row in a world of its own.
fn try_rows(what: &str, try_row: impl AsyncFn(Trial, &'static Row) -> Result<()> + Sync) {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let take_turns = || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(row) = ROWS.get(number) else { return };
            let name = format!("faults-{what}-{number}");
            let tried = runtime.block_on(async { try_row(Trial::start(&name).await?, row).await });
            if let Err(error) = tried {
                let error = format!("{}: {error:#}", row.import);
                failed.lock().expect("nobody panics here").push(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(take_turns);
        }
    });
    let failed = failed.into_inner().expect("nobody panics here");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn pushes_meet_every_fault_as_promised_and_all_is_well_afterwards() {
    try_rows("serve", async |mut trial, row| trial.serve(row).await);
}

#[test]
fn a_start_meets_every_fault_as_promised() {
    try_rows("start", async |trial, row| trial.start_hosts(row).await);
}

#[test]
fn an_update_that_meets_a_fault_does_no_harm() {
    try_rows("update", async |mut trial, row| {
        trial.update_hosts(row).await
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_odd_host_does_no_harm() -> Result<()> {
    let mut trial = Trial::start("faults-odd").await?;
    for &(oddity, _, serving) in ODDITIES {
        trial.be_odd(oddity, serving).await?;
    }
    assert!(!trial.world().app().calls().is_empty(), "it is asked");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_configuration_that_is_done_says_so_until_it_is_heard() -> Result<()> {
    let mut trial = Trial::start("faults-done").await?;
    let row = ROWS.iter().find(|row| row.import == "proxy_done");
    trial
        .end_a_configuration(row.context("every import has a row")?)
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_counted_while_the_host_takes_no_counts_is_told_later() -> Result<()> {
    Trial::start("faults-counts").await?.count().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_import_has_its_promise() -> Result<()> {
    let trial = Trial::start("faults-imports").await?;
    let promised: BTreeSet<_> = ROWS.iter().map(|row| row.import.to_owned()).collect();
    assert_eq!(trial.faults().imports(), promised);
    Ok(())
}

#[test]
fn the_committed_page_is_what_the_table_says() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/host-faults.md");
    if std::env::var_os("WEIR_REWRITE").is_some() {
        std::fs::write(&file, page()).unwrap();
    }
    assert!(
        std::fs::read_to_string(file).unwrap_or_default() == page(),
        "docs/host-faults.md is out of date: WEIR_REWRITE=1 cargo test -p weir-host-tests page"
    );
}
