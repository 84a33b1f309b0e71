//! Everything that is there while something happens: parts, WeChat, and what they know in the end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::task::block_in_place;
use weir_sim::api::{self, Act, Follow, Server, TlsOptions};
use weir_sim::http::{self, Request, Target};
use weir_sim::wechat::{Mode, ids};
use weir_sim::{Outcome, Push, Sender, SendingClock, UserSees};
use weir_store::testing::{TestDatabase, TestPostgres};
use weir_store_api::read::{Message, Page};
use weir_testbed::bootstrap::{Bootstrap, LISTENER, STORE, WECHAT_API};
use weir_testbed::envoy;
use weir_testbed::layout::Layout;

use super::parts::{Parts, Programs};
use super::verdict::{Sent, Verdict};
use super::{Database, app};

/// What the rule says when the application fails.
pub(super) const OTHERWISE: &str = "later";
/// WeChat's patience and ours, milliseconds, when nothing is faster than it is.
const DEADLINE_MS: u32 = 4_500;
/// How long everything may take to come to rest.
const REST: Duration = Duration::from_secs(90);

/// What the rule says to a text that is not forwarded.
pub(super) fn by_rule(content: &str) -> String {
    format!("rule says {content}")
}

/// A gateway with everything around it.
pub(super) struct Scene {
    pub(super) parts: Parts,
    pub(super) wechat: WeChat,
    database: Database,
    dir: PathBuf,
    /// Ended after the store.
    _made: Option<TestDatabase>,
}

/// WeChat: what it sends with, and whom it knows.
#[derive(Clone)]
pub(super) struct WeChat {
    sender: Sender,
    api: Arc<Server>,
}

impl Scene {
    /// Starts it, with WeChat and the reply's deadline so many times as fast as they are. `None` where Envoy or
    /// PostgreSQL is left out of a run on purpose.
    pub(super) async fn start(
        database: Database,
        profile: &str,
        faster: u32,
    ) -> Result<Option<Self>> {
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
        bootstrap.only_listeners(&[LISTENER])?;
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
            .plugin(|plugin| configure(plugin, faster))?;
        add_cluster(&mut bootstrap)?;
        let parts =
            block_in_place(|| Parts::start(programs, dir.clone(), bootstrap, &account, url))?;

        let push_url = format!("http://{}/wechat/demo", parts.push_address);
        let sender =
            Sender::new(account.clone(), &push_url)?.with_timing(SendingClock::faster(faster));
        Ok(Some(Self {
            parts,
            wechat: WeChat { sender, api },
            database,
            dir,
            _made: made,
        }))
    }

    /// Waits until the outboxes hold no more than what is on its way at any moment: whatever was answered while the store
    /// was down is in it by now.
    pub(super) async fn empty(&self) -> Result<()> {
        const ON_ITS_WAY: u64 = 30;
        let mut calm = 0;
        let gauges = ["weir.outbox_events"];
        self.until("the outboxes are empty", &gauges, |figures, _| {
            calm = if figures.iter().all(|events| *events <= ON_ITS_WAY) {
                calm + 1
            } else {
                0
            };
            calm == 10
        })
        .await
    }

    /// Waits until no worker has anything left to do. What a VM had counted when it crashed is never taken back: after a
    /// crash the gauges need only stand still, for longer than a late reply waits for an attempt.
    pub(super) async fn rest(&self) -> Result<()> {
        let (mut zeros, mut still) = (0, 0);
        let gauges = ["weir.outbox_events", "weir.forwards", "weir.parked"];
        self.until("everything is at rest", &gauges, |figures, last| {
            let at_zero = figures.iter().all(|figure| *figure == 0);
            zeros = if at_zero { zeros + 1 } else { 0 };
            still = if figures == last { still + 1 } else { 0 };
            zeros == 2 || (self.parts.has_crashed() && still == 120)
        })
        .await
    }

    /// Looks at gauges ten times a second until they are as they should be, given those of the look before.
    async fn until(
        &self,
        what: &str,
        gauges: &[&str],
        mut are_right: impl FnMut(&[u64], &[u64]) -> bool,
    ) -> Result<()> {
        let end = tokio::time::Instant::now() + REST;
        let mut last = Vec::new();
        loop {
            let figures = block_in_place(|| {
                let figures = gauges.iter().map(|gauge| self.parts.metric(gauge));
                figures.collect::<Result<Vec<_>>>()
            })?;
            if are_right(&figures, &last) {
                return Ok(());
            }
            anyhow::ensure!(
                tokio::time::Instant::now() < end,
                "not within {REST:?}: {what}: {gauges:?} are {figures:?}"
            );
            last = figures;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What came of all that was sent.
    pub(super) async fn judge(&self, sent: &[Sent], verdict: &mut Verdict) -> Result<()> {
        verdict.database = match self.database {
            Database::Sqlite => "SQLite",
            Database::Postgres => "PostgreSQL",
        };
        let stored = self.stored().await?;
        let calls = app::calls(&self.dir)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let ledger = self.wechat.api.world().ledger();
        let customs: Vec<_> = (ledger.sends.iter())
            .map(|sent| {
                let content = &sent.body["text"]["content"];
                (text(&sent.body["touser"]), text(content))
            })
            .collect();
        verdict.judge(sent, &stored, &calls, &customs);
        Ok(())
    }

    /// The message ids in the store, each as often as it is there.
    async fn stored(&self) -> Result<Vec<String>> {
        let target = Target::parse(&format!("http://{}", self.parts.store_address))?;
        let account = &self.wechat.sender.account().name;
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
}

impl WeChat {
    /// Sends a text of somebody new, perhaps twice at the same time.
    pub(super) async fn push(&self, content: String, twice: bool) -> Sent {
        let Self { sender, api } = self;
        let openid = ids::openid();
        // Who has just written may be written to.
        let account = &sender.account().name;
        let met = api.world().follow(account, &openid, Follow::default());
        let wrote = api.world().act(account, &openid, Act::Message);
        met.and(wrote).expect("the account is served");
        let push = Push::text(sender.account(), &openid, &content);
        let twin = async {
            if !twice {
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
}

/// The rules of this run, and its deadline.
fn configure(plugin: &mut Value, faster: u32) {
    plugin["apps"] = json!([{"name": "app", "cluster": "app", "timeout_ms": 14_000}]);
    plugin["accounts"][0]["rules"] = json!([
        {"when": {"pattern": format!("{}*", app::ASK)}, "forward": {"app": "app", "otherwise": {"text": OTHERWISE}}},
        {"reply": {"text": "rule says {content}"}},
    ]);
    plugin["limits"]["reply_deadline_ms"] = (DEADLINE_MS / faster).into();
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
