//! An application that takes its time, and nothing else goes wrong: it is called once, and the user gets one reply.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use super::scene::Scene;
use super::verdict::Verdict;
use super::{Database, app};

/// How long the application takes, milliseconds of real time: within the first attempt, the second, the third, and just
/// before and after the last one's end.
const TAKES_MS: [u64; 6] = [1_000, 4_000, 6_000, 9_000, 12_000, 14_000];
/// Pushes under way at a time.
const AT_ONCE: usize = 60;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(10);

/// Sends so many pushes, each of which the application takes one of these times for, with WeChat, the deadline and the
/// application so many times as fast as they are. `None` where Envoy is left out of a run on purpose.
///
/// # Errors
/// A part could not be started or asked; or a push was not called about once, or not answered once.
pub async fn late(runs: usize, faster: u32, profile: &str) -> Result<Option<Verdict>> {
    let Some(scene) = Scene::start(Database::Sqlite, profile, faster).await? else {
        return Ok(None);
    };
    let mut sent = Vec::with_capacity(runs);
    let mut tasks = JoinSet::new();
    for number in 0..runs {
        if tasks.len() == AT_ONCE
            && let Some(push) = tasks.join_next().await
        {
            sent.push(push?);
        }
        // The last would be given up by the application's own time limit: 14 s at most.
        let ms = TAKES_MS[number % TAKES_MS.len()].min(13_900) / u64::from(faster);
        let content = format!("{}{number} {ms}", app::ASK);
        let wechat = scene.wechat.clone();
        tasks.spawn(async move { wechat.push(content, false).await });
        tokio::time::sleep(PAUSE).await;
    }
    sent.extend(tasks.join_all().await);
    scene.rest().await?;
    let mut verdict = Verdict::default();
    scene.judge(&sent, &mut verdict).await?;
    verdict.check()?;
    let runs = runs as u64;
    ensure!(
        verdict.called == runs && verdict.replied_passively + verdict.sends == runs,
        "{runs} pushes, and yet: {verdict}"
    );
    Ok(Some(verdict))
}
