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
mod parts;
mod verdict;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::{JoinSet, block_in_place};
use weir_sim::api::{self, Act, Follow, Server, TlsOptions};
use weir_sim::http::{self, Request, Target};
use weir_sim::wechat::{Mode, ids};
use weir_sim::{Outcome, Push, Sender, SendingClock, UserSees};
use weir_store::testing::TestPostgres;
use weir_store_api::read::{Message, Page};
use weir_testbed::bootstrap::{Bootstrap, STORE, WECHAT_API};
use weir_testbed::envoy;
use weir_testbed::layout::Layout;

pub use app::serve;
use parts::{Harm, Part, Parts, Programs};
use verdict::Sent;
pub use verdict::Verdict;

/// WeChat's patience by this, and our deadline.
const FASTER: u32 = 5;
const DEADLINE_MS: u64 = 900;
/// Between two pushes.
const PAUSE: Duration = Duration::from_millis(25);
/// One push in so many comes twice at once.
const TWINS: u64 = 8;
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
/// What the rule says when the application fails.
const OTHERWISE: &str = "later";
/// How long everything may take to come to rest.
const REST: Duration = Duration::from_secs(90);

/// What the rule says to a text that is not forwarded.
fn by_rule(content: &str) -> String {
    format!("rule says {content}")
}

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
    let layout = Layout::of_this_checkout();
    let dir = layout.scratch("chaos", &format!("{database:?}").to_lowercase())?;
    let Some(binary) = block_in_place(|| envoy::for_tests(&layout))? else {
        return Ok(None);
    };
    let made = match database {
        Database::Sqlite => None,
        Database::Postgres => match block_in_place(TestPostgres::shared) {
            Some(server) => Some(server.database().await?),
            None => return Ok(None),
        },
    };
    let url = match &made {
        None => format!("sqlite:{}", dir.join("store.db").display()),
        Some(made) => made.url().to_owned(),
    };
    let programs = Programs {
        envoy: binary,
        store: layout.built_program("weir-store", profile)?,
        app: layout.built_program("weir-chaos", profile)?,
        modules: [layout.wasm_with_trap(), layout.built_wasm()?],
    };

    let mut bootstrap = Bootstrap::read(&layout.envoy_yaml())?;
    let account = crate::world::account_of(&mut bootstrap, Mode::Encrypted)?;
    let ca = dir.join("ca.pem");
    let tls = Some(TlsOptions {
        ca_out: Some(ca.clone()),
    });
    let api = Arc::new(
        Server::start(api::Options {
            tls,
            control: None,
            ..api::Options::local(vec![account.clone()])
        })
        .await?,
    );
    bootstrap
        .endpoint(WECHAT_API, api.addr())?
        .trusted_ca(WECHAT_API, &ca)?
        .wasm_file(&programs.modules[0])?
        .plugin(configure)?;
    add_cluster(&mut bootstrap)?;
    let mut parts =
        block_in_place(|| Parts::start(programs, dir.clone(), bootstrap, &account, url))?;

    let push_url = format!("http://{}/wechat/demo", parts.push_address);
    let sender = Sender::new(account.clone(), &push_url)?.with_timing(SendingClock::faster(FASTER));
    let ended = Arc::new(AtomicBool::new(false));
    let sent: Arc<Mutex<Vec<Sent>>> = Arc::default();
    let load = tokio::spawn(load(sender, api.clone(), ended.clone(), sent.clone()));

    let mut verdict = Verdict {
        database: match database {
            Database::Sqlite => "SQLite",
            Database::Postgres => "PostgreSQL",
        },
        ..Verdict::default()
    };
    for round in 1..=rounds {
        let (part, harm) = HARMS[rng.usize(..HARMS.len())];
        tokio::time::sleep(Duration::from_millis(rng.u64(200..1_500))).await;
        if part == Part::Envoy && matches!(harm, Harm::Kill | Harm::Trap) {
            empty(&parts)
                .await
                .with_context(|| format!("round {round}"))?;
        }
        let long = Duration::from_millis(rng.u64(50..2_000));
        block_in_place(|| parts.harm(part, harm))?;
        tokio::time::sleep(long).await;
        block_in_place(|| parts.heal(part, harm)).with_context(|| format!("round {round}"))?;
        let what = format!("{part:?} {harm:?}").to_lowercase();
        *verdict.rounds.entry(what).or_default() += 1;
    }
    ended.store(true, Ordering::Relaxed);
    load.await?;
    // Late replies are sent some seconds after the last attempt.
    empty(&parts).await?;
    rest(&parts).await?;

    let stored = stored(&parts, &account.name).await?;
    let calls = app::calls(&dir)?;
    let customs: Vec<_> = api
        .world()
        .ledger()
        .sends
        .iter()
        .map(|sent| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (
                text(&sent.body["touser"]),
                text(&sent.body["text"]["content"]),
            )
        })
        .collect();
    let sent = sent.lock().await;
    verdict.judge(&sent, &stored, &calls, &customs);
    Ok(Some(verdict))
}

/// The rules of this run, and its deadline.
fn configure(plugin: &mut Value) {
    plugin["apps"] = json!([{"name": "app", "cluster": "app", "timeout_ms": 4_000}]);
    plugin["accounts"][0]["rules"] = json!([
        {"when": {"pattern": format!("{}*", app::ASK)}, "forward": {"app": "app", "otherwise": {"text": OTHERWISE}}},
        {"reply": {"text": "rule says {content}"}},
    ]);
    plugin["limits"]["reply_deadline_ms"] = DEADLINE_MS.into();
}

/// The application's cluster: like the store's.
fn add_cluster(bootstrap: &mut Bootstrap) -> Result<()> {
    let clusters = bootstrap.document_mut()["static_resources"]["clusters"]
        .as_array_mut()
        .context("clusters")?;
    if clusters.iter().any(|cluster| cluster["name"] == "app") {
        return Ok(());
    }
    let store = clusters
        .iter()
        .find(|cluster| cluster["name"] == STORE)
        .context("the store's cluster")?;
    let mut app = store.clone();
    app["name"] = json!("app");
    app["load_assignment"]["cluster_name"] = json!("app");
    clusters.push(app);
    Ok(())
}

/// WeChat, until `ended`; every push that was begun is brought to its end.
async fn load(
    sender: Sender,
    api: Arc<Server>,
    ended: Arc<AtomicBool>,
    sent: Arc<Mutex<Vec<Sent>>>,
) {
    let mut tasks = JoinSet::new();
    let mut number = 0;
    while !ended.load(Ordering::Relaxed) {
        number += 1;
        let (sender, api, sent) = (sender.clone(), api.clone(), sent.clone());
        tasks.spawn(async move {
            let push = one(&sender, &api, number).await;
            sent.lock().await.push(push);
        });
        while tasks.try_join_next().is_some() {}
        tokio::time::sleep(PAUSE).await;
    }
    tasks.join_all().await;
}

async fn one(sender: &Sender, api: &Server, number: u64) -> Sent {
    let openid = ids::openid();
    // Who has just written may be written to.
    let account = &sender.account().name;
    let met = api.world().follow(account, &openid, Follow::default());
    let wrote = api.world().act(account, &openid, Act::Message);
    met.and(wrote).expect("the account is served");
    let content = if number.is_multiple_of(2) {
        format!("{}{number} {}", app::ASK, fastrand::u64(0..3_600))
    } else {
        format!("n{number}")
    };
    let push = Push::text(sender.account(), &openid, &content);
    let twin = async {
        if !number.is_multiple_of(TWINS) {
            return None;
        }
        let attempt = sender.attempt(&sender.request(&push)).await;
        let response = attempt
            .response
            .filter(|_| attempt.outcome == Outcome::Answered)?;
        Some(sender.judge(&push, &response.body))
    };
    let (exchange, twin) = tokio::join!(sender.push(&push), twin);
    let acknowledged = exchange
        .attempts
        .last()
        .is_some_and(|attempt| attempt.outcome == Outcome::Answered);
    let mut seen: Vec<UserSees> = twin.into_iter().collect();
    if acknowledged {
        seen.push(exchange.reply);
    }
    Sent {
        msg_id: push.msg_id().unwrap_or_default().to_string(),
        openid,
        content,
        acknowledged: !seen.is_empty(),
        at_last: acknowledged && exchange.attempts.len() == 3,
        unreadable: (seen.iter()).any(|sees| matches!(sees, UserSees::ServiceFault(_))),
        shown: seen
            .iter()
            .map(|sees| sees.text().map(str::to_owned))
            .collect(),
    }
}

/// Waits until no worker has an event that the store has not.
async fn empty(parts: &Parts) -> Result<()> {
    settled("the outboxes are empty", parts, &["weir.outbox_events"], 5).await
}

/// Waits until no worker has anything left to do.
async fn rest(parts: &Parts) -> Result<()> {
    let gauges = ["weir.outbox_events", "weir.forwards", "weir.parked"];
    // A late reply waits 8 s for an attempt.
    settled("everything is at rest", parts, &gauges, 120).await
}

/// Waits until the gauges are at 0 twice in a row, since a figure is told a moment after it changed. What a VM had
/// counted when it crashed is never taken back: after a crash they need only stand still for so many looks.
async fn settled(what: &str, parts: &Parts, gauges: &[&str], looks: u32) -> Result<()> {
    const LOOK: Duration = Duration::from_millis(100);
    let end = tokio::time::Instant::now() + REST;
    let (mut zeros, mut still, mut last) = (0, 0, Vec::new());
    while zeros < 2 && !(parts.has_crashed() && still >= looks) {
        let figures = block_in_place(|| {
            let figures = gauges.iter().map(|gauge| parts.metric(gauge));
            figures.collect::<Result<Vec<_>>>()
        })?;
        let at_zero = figures.iter().all(|figure| *figure == 0);
        zeros = if at_zero { zeros + 1 } else { 0 };
        still = if figures == last { still + 1 } else { 0 };
        anyhow::ensure!(
            tokio::time::Instant::now() < end,
            "not within {REST:?}: {what}: {gauges:?} are {figures:?}"
        );
        last = figures;
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// The message ids in the store, each as often as it is there.
async fn stored(parts: &Parts, account: &str) -> Result<Vec<String>> {
    let target = Target::parse(&format!("http://{}", parts.store_address))?;
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/messages?account={account}&limit=200{cursor}");
        let response = http::exchange(&target, &Request::new("GET", &path)).await?;
        anyhow::ensure!(response.status == 200, "the store: {}", response.status);
        let page: Page<Message> = serde_json::from_slice(&response.body)?;
        ids.extend(page.items.into_iter().filter_map(|message| message.msg_id));
        match page.next_cursor {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(ids),
        }
    }
}
