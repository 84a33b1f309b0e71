//! Tries what [`super::ROWS`] promises.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use weir_host::{Fault, Faults, Oddity, Scope};
use weir_sim::api::{Follow, Profile};
use weir_sim::http::Target;
use weir_sim::wechat::Mode;
use weir_sim::{Account, Exchange, Outcome, Push, Sender, SendingClock};

use super::{Row, STATUSES, Serving, Starting};
use crate::gateway::{Gateway, Update};
use crate::in_wasmtime::InWasmtime;
use crate::world::{Plan, World, eventually, somebody};

/// WeChat's clock: five times as fast, and Weir's deadline with it.
const FASTER: u32 = 5;
const DEADLINE_MS: u64 = 700;
/// The text that every text is answered with.
const REPLY: &str = "We have your message.";
/// What every text for the application begins with.
const ASK: &str = "ask ";
/// How often something is tried that a stall of the machine may spoil.
const TRIES: usize = 6;
/// Rounds of pushes until a call is made that not every push causes.
const ROUNDS: usize = 100;
const BETWEEN_ROUNDS: Duration = Duration::from_millis(25);

/// A world around one host that can be made to fail.
pub struct Trial {
    world: World<InWasmtime>,
    plain: Account,
    updates: u64,
}

/// One push of a trial.
struct Sent {
    openid: String,
    exchange: Exchange,
    /// The reply; `None` where it is an application's, and depends on more than the gateway.
    expected: Option<String>,
    is_follow: bool,
}

impl Trial {
    /// A world with an account in safe mode and one in plain mode.
    ///
    /// # Errors
    /// A part of it does not start.
    pub async fn start(name: &str) -> Result<Self> {
        let plan = Plan::default().plugin(|plugin| {
            plugin["limits"]["reply_deadline_ms"] = DEADLINE_MS.into();
            plugin["apps"] = json!([{"name": "app", "cluster": "app"}]);
            if let Some(rules) = plugin["accounts"][0]["rules"].as_array_mut() {
                let forward = json!({"when": {"pattern": format!("{ASK}*")}, "forward": "app"});
                rules.insert(0, forward);
            }
            let mut plain = plugin["accounts"][0].clone();
            plain["name"] = "plain".into();
            plain["path"] = "/wechat/plain".into();
            plain["mode"] = "plain".into();
            if let Some(accounts) = plugin["accounts"].as_array_mut() {
                accounts.push(plain);
            }
        });
        let world = World::<InWasmtime>::start(name, plan)
            .await?
            .context("the host is always there")?;
        let mut plain = world.account.clone().with_mode(Mode::Plain);
        plain.name = "plain".to_owned();
        Ok(Self {
            world,
            plain,
            updates: 0,
        })
    }

    /// Lets the row's call fail with every status, everywhere it is called while serving.
    ///
    /// # Errors
    /// What is not as promised.
    pub async fn serve(&mut self, row: &Row) -> Result<()> {
        for &status in STATUSES {
            let what = format!("{} {status} in {:?}", row.import, row.scope);
            if row.serving != Serving::NotAsked {
                // Everything is asked for anew.
                self.update().await.context(what.clone())?;
            }
            let fault = fault(row, row.scope, status, 1);
            let before = self.faults().failed(row.import);
            let called = || self.faults().failed(row.import) > before;
            let begin = || self.faults().fail(fault.clone());
            self.try_to_serve(&what, begin, called, row.serving).await?;
            let called = called();
            ensure!(
                called == (row.serving != Serving::NotAsked),
                "{what}: called: {called}"
            );
        }
        // Now and then: whatever happens then, all is well afterwards.
        self.faults().fail(fault(row, Scope::Anywhere, 10, 2));
        let sent = self.send().await?;
        self.faults().end();
        self.is_well(&sent, false)
            .await
            .with_context(|| format!("{} fails every other time", row.import))
    }

    /// Lets the host be odd.
    ///
    /// # Errors
    /// What is not as promised.
    pub async fn be_odd(&mut self, oddity: Oddity, serving: Serving) -> Result<()> {
        let what = format!("{oddity:?}");
        if matches!(oddity, Oddity::TooEarly | Oddity::TooLate) {
            self.faults().be(oddity);
            self.update().await.context(what.clone())?;
        }
        let begin = || self.faults().be(oddity);
        let done = || self.faults().done(oddity) > 0;
        self.try_to_serve(&what, begin, done, serving).await?;
        ensure!(self.faults().done(oddity) > 0, "{what}: never done");
        Ok(())
    }

    /// Starts further hosts beside this one whose call fails from the beginning, with every status.
    ///
    /// # Errors
    /// What is not as promised.
    pub async fn start_hosts(&self, row: &Row) -> Result<()> {
        let statuses = match row.starting {
            Starting::NotAsked => &STATUSES[..1],
            _ => STATUSES,
        };
        for &status in statuses {
            let faults = Faults::default();
            faults.fail(fault(row, Scope::Start, status, 1));
            let what = format!("{} {status} at the start", row.import);
            match InWasmtime::start_with(self.world.setup(), faults.clone()) {
                Ok(host) => {
                    ensure!(
                        row.starting.takes(status),
                        "{what}: the configuration is taken"
                    );
                    faults.end();
                    self.serves(&host, &what).await?;
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    ensure!(!row.starting.takes(status), "{what}: {error}");
                    ensure!(
                        error.contains("weir: ") && !error.contains("Function:"),
                        "{what}: not refused in proper words: {error}"
                    );
                }
            }
            let called = faults.failed(row.import) > 0;
            ensure!(
                called == (row.starting != Starting::NotAsked),
                "{what}: called: {called}"
            );
        }
        Ok(())
    }

    /// Replaces the configuration while the row's call fails now and then: taken or refused, all is well afterwards.
    ///
    /// # Errors
    /// It is not.
    pub async fn update_hosts(&mut self, row: &Row) -> Result<()> {
        for every in [1, 2] {
            self.faults().fail(fault(row, Scope::Anywhere, 10, every));
            self.updates += 1;
            let bound = 10_000 + self.updates;
            let verdict = self
                .world
                .gateway
                .update(move |plugin: &mut Value| {
                    plugin["limits"]["outbox_max_events"] = bound.into();
                })
                .await?;
            let sent = self.send().await?;
            self.faults().end();
            self.is_well(&sent, false)
                .await
                .with_context(|| format!("{}, an update {verdict:?}", row.import))?;
        }
        Ok(())
    }

    /// Replaces a configuration that still has something to deliver, on a host that does not hear that it is done: it is
    /// told again, under every status, until it hears.
    ///
    /// # Errors
    /// It is not.
    pub async fn end_a_configuration(&mut self, row: &Row) -> Result<()> {
        self.world.store_down()?;
        let sent = self.send().await?;
        self.update().await?;
        for &status in STATUSES {
            self.faults().fail(fault(row, row.scope, status, 1));
            if !self.world.store_is_up() {
                self.world.store_up()?;
            }
            let before = self.faults().failed(row.import);
            eventually("it is said again", async || {
                Ok((self.faults().failed(row.import) > before).then_some(()))
            })
            .await?;
        }
        self.faults().end();
        self.is_well(&sent, false).await
    }

    /// Counts while the host takes no counts: they are told later.
    ///
    /// # Errors
    /// They are not.
    pub async fn count(&mut self) -> Result<()> {
        const COUNT: &str = "weir.pushes.account.demo.kind.text.outcome.replied";
        let push = async || {
            let sender = self.world.sender()?;
            let push = Push::text(&self.world.account, &somebody(), "hi");
            let exchange = sender.push(&push).await;
            ensure!(exchange.reply.text() == Some(REPLY), "{exchange:?}");
            Ok(())
        };
        for (number, import) in ["proxy_define_metric", "proxy_increment_metric"]
            .iter()
            .enumerate()
        {
            let fault = Fault {
                import: (*import).to_owned(),
                status: 10,
                scope: Scope::Anywhere,
                every: 1,
            };
            self.faults().fail(fault);
            push().await?;
            eventually("a count that is not taken", async || {
                Ok((self.faults().failed(import) > 0).then_some(()))
            })
            .await?;
            self.world.counts(COUNT, number as u64).await?;
            self.faults().end();
            self.world.counts(COUNT, number as u64 + 1).await?;
        }
        Ok(())
    }

    /// The host that fails.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        self.world.gateway.faults()
    }

    /// The world around it.
    #[must_use]
    pub fn world(&self) -> &World<InWasmtime> {
        &self.world
    }

    async fn update(&mut self) -> Result<()> {
        self.updates += 1;
        let bound = 10_000 + self.updates;
        let verdict = self.world.gateway.update(move |plugin: &mut Value| {
            plugin["limits"]["outbox_max_events"] = bound.into();
        });
        ensure!(verdict.await? == Update::Applied, "an update was rejected");
        Ok(())
    }

    /// Sends under a fault until it is met. What comes of it is tried again if it is not as promised: a stall of the
    /// machine may spoil a try.
    async fn try_to_serve(
        &self,
        what: &str,
        begin: impl Fn(),
        is_met: impl Fn() -> bool,
        serving: Serving,
    ) -> Result<()> {
        let mut last = Ok(());
        for _ in 0..TRIES {
            begin();
            let mut sent = self.send().await?;
            for _ in 0..ROUNDS {
                if serving == Serving::NotAsked || is_met() {
                    break;
                }
                tokio::time::sleep(BETWEEN_ROUNDS).await;
                sent.extend(self.send().await?);
            }
            self.faults().end();
            let kept = matches!(serving, Serving::Unheard | Serving::HeardLater);
            self.is_well(&sent, kept)
                .await
                .with_context(|| what.to_owned())?;
            last = sent
                .iter()
                .try_for_each(|sent| sent.check(serving))
                .with_context(|| what.to_owned());
            if last.is_ok() {
                break;
            }
        }
        last
    }

    /// A text in either mode, one for the application and a follow, as WeChat sends them, every attempt to the other
    /// worker.
    async fn send(&self) -> Result<Vec<Sent>> {
        let demo = &self.world.account;
        let [plain, encrypted, asking, follower] = std::array::from_fn(|_| somebody());
        let question = format!("{ASK}{asking}");
        let asking = &asking;
        let nickname = Profile {
            nickname: Some("somebody".to_owned()),
            ..Profile::default()
        };
        self.world.api().set_profile("demo", &follower, nickname)?;
        self.world
            .api()
            .follow("demo", &follower, Follow::default())?;
        let sent = [
            (&self.plain, Push::text(&self.plain, &plain, "hi"), false),
            (demo, Push::text(demo, &encrypted, "hi"), false),
            (demo, Push::text(demo, asking, &question), false),
            (demo, Push::subscribe(demo, &follower), true),
        ]
        .map(|(account, push, is_follow)| async move {
            let sender = self.sender(account)?;
            let exchange = sender.push(&push).await;
            let openid = push.from_user_name().to_owned();
            let expected = match is_follow {
                true => Some(format!("Welcome, {openid}")),
                false if openid == *asking => None,
                false => Some(REPLY.to_owned()),
            };
            Ok(Sent {
                openid,
                exchange,
                expected,
                is_follow,
            })
        });
        let [one, two, three, four] = sent;
        let (one, two, three, four, wrong) = tokio::join!(one, two, three, four, self.send_wrong());
        wrong?;
        [one, two, three, four].into_iter().collect()
    }

    /// A push of a stranger's, which is never acknowledged.
    async fn send_wrong(&self) -> Result<()> {
        let sender = self.sender(&self.plain)?;
        let mut request = sender.request(&Push::text(&self.plain, &somebody(), "hi"));
        request.set_query("signature", "0000000000000000000000000000000000000000");
        let attempt = sender.attempt(&request).await;
        ensure!(
            attempt.outcome != Outcome::Answered,
            "a wrong push is acknowledged"
        );
        Ok(())
    }

    fn sender(&self, account: &Account) -> Result<Sender> {
        let path = format!("/wechat/{}", account.name);
        let mut targets = Vec::new();
        while let Some(worker) = self
            .world
            .gateway
            .towards_all_workers(targets.len() as u64)?
        {
            targets.push(Target::parse(&format!("http://{worker}{path}"))?);
        }
        targets.extend(targets.first().cloned());
        let sender = Sender::to(
            account.clone(),
            targets.first().context("a worker")?.clone(),
        )?;
        Ok(sender
            .with_targets(targets)
            .with_timing(SendingClock::faster(FASTER)))
    }

    /// After the end of a fault: no VM is lost, pushes are answered, and what was acknowledged is in the store, once.
    async fn is_well(&self, sent: &[Sent], all_are_kept: bool) -> Result<()> {
        let mut vms = self.world.gateway.vms()?;
        // Weir's own words are no crash.
        vms.crashes.retain(|line| !line.contains(": weir: "));
        ensure!(
            vms.crashes.is_empty() && vms.reloads == 0,
            "a VM was lost: {vms:?}"
        );
        self.serves(&self.world.gateway, "afterwards").await?;
        for sent in sent {
            if all_are_kept || sent.is_acknowledged() {
                eventually("what was acknowledged is in the store", async || {
                    Ok((self.times_kept(sent).await? > 0).then_some(()))
                })
                .await
                .with_context(|| format!("{:?}", sent.exchange))?;
            }
            ensure!(self.times_kept(sent).await? <= 1, "stored twice");
            let question = format!("{ASK}{}", sent.openid);
            let calls = self.world.app().calls().into_iter();
            let calls = calls.filter(|asked| asked.text().as_deref() == Some(&question));
            ensure!(calls.count() <= 1, "the application was called twice");
        }
        self.world.counts("weir.outbox_events", 0).await
    }

    /// Every worker of this host answers a new push, within the limit.
    async fn serves(&self, host: &InWasmtime, what: &str) -> Result<()> {
        let mut worker = 0;
        while let Some(address) = host.towards_all_workers(worker)? {
            let sender = Sender::new(
                self.world.account.clone(),
                &format!("http://{address}/wechat/demo"),
            )?;
            eventually(&format!("{what}: a reply of worker {worker}"), async || {
                let push = Push::text(&self.world.account, &somebody(), "and now?");
                let answer = sender.attempt(&sender.request(&push)).await;
                let body = answer.response.map(|response| response.body);
                let seen = sender.judge(&push, &body.unwrap_or_default());
                Ok((seen.text() == Some(REPLY)).then_some(()))
            })
            .await?;
            worker += 1;
        }
        Ok(())
    }

    /// How often the store has the push.
    async fn times_kept(&self, sent: &Sent) -> Result<u64> {
        let account = match sent.exchange.reply {
            _ if sent.is_follow => {
                let user = self.world.user(&sent.openid).await?;
                let follow = user.and_then(|user| user.user.follow);
                return Ok(follow.map_or(0, |follow| follow.followed_times));
            }
            _ => ["demo", "plain"],
        };
        let mut kept = 0;
        for account in account {
            let path = format!(
                "/v1/messages?account={account}&openid={}&limit=100",
                sent.openid
            );
            let page: Option<weir_store_api::read::Page<weir_store_api::read::Message>> =
                self.world.read(&path).await?;
            kept += page.map_or(0, |page| page.items.len() as u64);
        }
        Ok(kept)
    }
}

impl Sent {
    /// Whether WeChat takes it for delivered.
    fn is_acknowledged(&self) -> bool {
        let mut attempts = self.exchange.attempts.iter();
        attempts.any(|attempt| attempt.outcome == Outcome::Answered)
    }

    /// Whether what came of it is what was promised.
    fn check(&self, serving: Serving) -> Result<()> {
        let outcomes: Vec<_> = self
            .exchange
            .attempts
            .iter()
            .map(|attempt| &attempt.outcome)
            .collect();
        let Some(expected) = &self.expected else {
            return Ok(());
        };
        let replied = self.exchange.reply.text() == Some(expected);
        let fits = match serving {
            Serving::AsEver | Serving::NotAsked => replied && outcomes == [&Outcome::Answered],
            Serving::AtLast => {
                replied && outcomes == [&Outcome::Cut, &Outcome::Cut, &Outcome::Answered]
            }
            Serving::Unheard => outcomes == [&Outcome::Cut; 3],
            Serving::HeardLater => replied && outcomes == [&Outcome::Cut, &Outcome::Answered],
            Serving::TurnedAway => outcomes == [&Outcome::Refused; 3],
        };
        ensure!(fits, "not {serving:?}: {:?}", self.exchange);
        Ok(())
    }
}

fn fault(row: &Row, scope: Scope, status: u32, every: u64) -> Fault {
    Fault {
        import: row.import.to_owned(),
        status,
        scope,
        every,
    }
}
