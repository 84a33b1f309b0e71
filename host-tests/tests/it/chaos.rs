//! Kills and stalls: a share of what `cargo xtask chaos` does.

use anyhow::Result;
use weir_host_tests::chaos::{Database, chaos, late};

async fn check(database: Database, seed: u64) -> Result<()> {
    match chaos(database, 6, seed, "debug").await? {
        Some(verdict) => verdict.check(),
        None => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_killed_loses_and_doubles_nothing_on_sqlite() -> Result<()> {
    check(Database::Sqlite, 11).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_killed_loses_and_doubles_nothing_on_postgres() -> Result<()> {
    check(Database::Postgres, 12).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whenever_the_application_answers_it_is_called_once_and_the_user_gets_one_reply()
-> Result<()> {
    late(60, 5, "debug").await.map(drop)
}
