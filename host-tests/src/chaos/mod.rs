//! Real processes, real kills: Envoy with two workers, the store, an application, and WeChat that goes on sending.
//!
//! A round kills a part with `kill -9`, or lets it stand still, for up to two seconds, and makes it good again; or it crashes one
//! of Envoy's VMs, or replaces the filter's configuration or its module (ECDS by file). Pushes come
//! all the while at a steady rate, half of them for the application; one in eight is sent twice at the same time. WeChat's
//! patience is a fifth of the real one (three attempts of 1 s), and so is the reply's deadline, so that every round meets every
//! stage of a push. In the end what WeChat got is held against what the store, the application and the API have:
//! nothing acknowledged is missing, nothing is doubled, nobody was told two things.
//!
//! Envoy is killed, and a VM crashed, only when the outboxes are empty: what is answered at the last attempt while the store is down lives in
//! one process's memory until the store is back, and that is documented.

mod app;
mod late;
mod parts;
mod scene;
mod verdict;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::Mutex;
use tokio::task::{JoinSet, block_in_place};

pub use app::serve;
pub use late::late;
use parts::{Harm, Part};
use scene::{Scene, WeChat};
use verdict::Sent;
pub use verdict::Verdict;

/// WeChat's patience by this, and our deadline.
const FASTER: u32 = 5;
/// Between two pushes.
const PAUSE: Duration = Duration::from_millis(25);
/// One push in so many comes twice at once.
const TWINS: u64 = 8;
/// The longest that the application takes, milliseconds.
const MOST_MS: u64 = 3_600;
/// What may happen in a round, each as likely.
const HARMS: [(Part, Harm); 9] = [
    (Part::Store, Harm::Kill),
    (Part::Store, Harm::Stall),
    (Part::App, Harm::Kill),
    (Part::App, Harm::Stall),
    (Part::Envoy, Harm::Kill),
    (Part::Envoy, Harm::Stall),
    (Part::Envoy, Harm::Trap),
    (Part::Envoy, Harm::Reconfigure),
    (Part::Envoy, Harm::NewCode),
];
/// Where the store keeps its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// A file.
    Sqlite,
    /// A server of its own.
    Postgres,
}

/// Runs so many rounds with programs built in `profile` (`debug`, `release`). `None` where Envoy or PostgreSQL is left
/// out of a run on purpose.
///
/// # Errors
/// A part could not be started or asked. What the rounds showed is in the verdict.
pub async fn chaos(
    database: Database,
    rounds: u64,
    seed: u64,
    profile: &str,
) -> Result<Option<Verdict>> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let Some(mut scene) = Scene::start(database, profile, FASTER).await? else {
        return Ok(None);
    };
    let ended = Arc::new(AtomicBool::new(false));
    let sent: Arc<Mutex<Vec<Sent>>> = Arc::default();
    let load = tokio::spawn(load(scene.wechat.clone(), ended.clone(), sent.clone()));

    let mut verdict = Verdict::default();
    for round in 1..=rounds {
        let (part, harm) = HARMS[rng.usize(..HARMS.len())];
        tokio::time::sleep(Duration::from_millis(rng.u64(200..1_500))).await;
        if part == Part::Envoy && matches!(harm, Harm::Kill | Harm::Trap) {
            let empty = scene.empty().await;
            empty.with_context(|| format!("round {round}"))?;
        }
        let long = Duration::from_millis(rng.u64(50..2_000));
        block_in_place(|| scene.parts.harm(part, harm))?;
        tokio::time::sleep(long).await;
        let healed = block_in_place(|| scene.parts.heal(part, harm));
        healed.with_context(|| format!("round {round}"))?;
        let what = format!("{part:?} {harm:?}").to_lowercase();
        *verdict.rounds.entry(what).or_default() += 1;
    }
    ended.store(true, Ordering::Relaxed);
    load.await?;
    scene.rest().await?;
    scene.judge(&sent.lock().await, &mut verdict).await?;
    Ok(Some(verdict))
}

/// WeChat, until `ended`; every push that was begun is brought to its end.
async fn load(wechat: WeChat, ended: Arc<AtomicBool>, sent: Arc<Mutex<Vec<Sent>>>) {
    let mut tasks = JoinSet::new();
    let mut number = 0;
    while !ended.load(Ordering::Relaxed) {
        number += 1;
        let (wechat, sent) = (wechat.clone(), sent.clone());
        let content = if u64::is_multiple_of(number, 2) {
            format!("{}{number} {}", app::ASK, fastrand::u64(0..MOST_MS))
        } else {
            format!("n{number}")
        };
        tasks.spawn(async move {
            let push = wechat.push(content, number.is_multiple_of(TWINS)).await;
            sent.lock().await.push(push);
        });
        while tasks.try_join_next().is_some() {}
        tokio::time::sleep(PAUSE).await;
    }
    tasks.join_all().await;
}
