//! Routes what happens to the part that decides, and collects what they want done.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use weir_protocol::api;

use crate::api_queue::ApiQueue;
use crate::claims::Claims;
use crate::config::{Ack, Config};
use crate::effect::{Effect, LogLevel};
use crate::exchange::{Alarm, Exchanges};
use crate::forward::Forwards;
use crate::handover;
use crate::input::{Call, CallOutcome, Input, StreamId};
use crate::journal::Journal;
use crate::late::LateReplies;
use crate::metric::{Metric, Outcome, Status, Target};
use crate::outbox::{Follower, Outbox};
use crate::owners::{self, Mailbox, OwnerId};
use crate::planted::{Bug, planted};
use crate::rules::Facts;
use crate::sends::Lates;
use crate::shared::{self, SharedData};
use crate::tags::TagJob;
use crate::time::Now;
use crate::tokens;

/// How many times WeChat sends a push. Source: wechat-protocol 3.1.
pub(crate) const ATTEMPTS: u8 = 3;

/// How long before its deadline the last attempt is answered: ticks come late.
const AHEAD_MS: u64 = 200;

/// What an engine is given with every input: the present, what is shared, and chance.
pub struct Env<'a> {
    /// The present.
    pub now: Now,
    /// What the workers of the process share.
    pub shared: &'a dyn SharedData,
    /// A source of unpredictable bytes.
    pub random: &'a mut dyn Random,
}

/// A source of unpredictable bytes.
pub trait Random {
    /// Fills `out`.
    fn fill(&mut self, out: &mut [u8]);
}

impl Env<'_> {
    /// So many unpredictable bytes.
    pub fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }

    pub(crate) fn random_u32(&mut self) -> u32 {
        u32::from_le_bytes(self.random())
    }
}

/// The decisions of one worker under one configuration.
pub struct Engine {
    pub(crate) config: Rc<Config>,
    pub(crate) me: OwnerId,
    pub(crate) claims: Claims,
    pub(crate) exchanges: Exchanges,
    pub(crate) outbox: Outbox,
    /// One per account, in the order of the configuration.
    pub(crate) profiles: Vec<ApiQueue<Follower>>,
    /// The same.
    pub(crate) tags: Vec<ApiQueue<TagJob>>,
    pub(crate) forwards: Forwards,
    pub(crate) lates: Lates,
    pub(crate) late_replies: LateReplies,
    /// Of this process, for claims at the store.
    pub(crate) node: u64,
    mailbox: Option<Mailbox>,
    pub(crate) calls: BTreeSet<Call>,
    effects: VecDeque<Effect>,
    woken: bool,
    signed_mono_ms: Option<u64>,
    shown: Shown,
    pub(crate) journal: Journal,
}

/// The gauges as last shown.
#[derive(Default)]
struct Shown {
    events: usize,
    bytes: usize,
    parked: usize,
    forwards: usize,
}

/// Names the process.
const NODE_KEY: &str = "weir/node";

impl Engine {
    /// An engine for `config`. Creates what is to be shared, so call it while configuring, never later.
    pub fn new(config: Rc<Config>, env: &mut Env<'_>) -> Self {
        let me = OwnerId::from_random(env.random());
        shared::create(env.shared, NODE_KEY, &env.random::<8>());
        let node = (env.shared.get(NODE_KEY)).and_then(|(name, _)| Some(*name.first_chunk()?));
        owners::prepare(env.shared);
        // Whoever is replaced must know of a successor before its first tick. How to wake it is told then.
        owners::sign(env.shared, me, None, env.now.mono_ms);
        if !env.shared.guards_creation() {
            shared::create(env.shared, handover::KEY, &[]);
        }
        let limits = &config.limits;
        let claims = Claims::prepare(
            env.shared,
            me,
            limits.dedup_slots,
            limits.dedup_retention_ms,
        );
        let (mut profiles, mut tags) = (Vec::new(), Vec::new());
        for (_, account) in config.accounts() {
            if account.app_secret.is_some() {
                tokens::prepare(env.shared, &account.appid);
            }
            profiles.push(ApiQueue::new(api::MAX_BATCH));
            tags.push(ApiQueue::new(api::MAX_TAG_BATCH));
        }
        Self {
            late_replies: LateReplies::prepare(
                env.shared,
                limits.replies_max_bytes,
                limits.dedup_retention_ms,
            ),
            // A host without shared data: then every engine is a node of its own.
            node: node.map_or_else(|| u64::from_le_bytes(env.random()), u64::from_le_bytes),
            mailbox: None,
            forwards: Forwards::default(),
            lates: Lates::default(),
            outbox: Outbox::new(limits),
            config,
            me,
            claims,
            exchanges: Exchanges::default(),
            profiles,
            tags,
            calls: BTreeSet::new(),
            effects: VecDeque::new(),
            woken: false,
            signed_mono_ms: None,
            shown: Shown::default(),
            journal: Journal::default(),
        }
    }

    /// The same engine, that others can wake.
    #[must_use]
    pub fn with_mailbox(mut self, mailbox: Option<Mailbox>) -> Self {
        self.mailbox = mailbox;
        self
    }

    /// The configuration it runs.
    #[must_use]
    pub fn config(&self) -> &Rc<Config> {
        &self.config
    }

    /// Takes an input. Then [`poll`](Self::poll) until there is nothing left to do.
    pub fn handle(&mut self, input: Input<'_>, env: &mut Env<'_>) {
        match input {
            Input::Request { stream, request } => {
                // A worker that serves must not look dead from its first push on.
                self.sign(env);
                self.on_request(stream, &request, env);
                self.wake_if_due(env.now);
            }
            Input::Gone { stream } => self.on_gone(stream),
            Input::CallDone { call, outcome } => {
                self.on_call_done(call, &outcome, env);
                self.start_calls(env);
                self.show_gauges();
            }
            Input::Woken => {
                self.woken = planted(Bug::WakeNeverCleared);
                self.look_beside(env);
                self.start_calls(env);
                self.show_gauges();
            }
            Input::Tick => {
                // As good as a wake-up, and there is another one to come if that got lost.
                self.woken = false;
                self.sign(env);
                self.take_left(env);
                self.look_beside(env);
                self.on_alarms(env);
                self.start_calls(env);
                self.show_gauges();
                self.write_journal(env.now);
            }
            Input::HandOver => {
                self.hand_over(env);
                self.show_gauges();
            }
        }
    }

    /// The next thing to do, in order.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Whether nothing is held, in flight or waiting: the engine may be dropped without loss.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.outbox.is_empty()
            && self.calls.is_empty()
            && self.exchanges.parked() == 0
            && self.exchanges.forwards() == 0
            && self.lates.len() == 0
            && self.profiles.iter().all(|profiles| profiles.len() == 0)
            && self.tags.iter().all(|tags| tags.len() == 0)
    }

    /// How many events and replies it has: so many are left to others, or counted as lost, when it [hands
    /// over](Input::HandOver).
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.outbox.len() + self.exchanges.forwards() + self.lates.len()
    }

    pub(crate) fn want(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(crate) fn count(&mut self, metric: Metric) {
        if let Metric::Push {
            account, outcome, ..
        } = metric
        {
            self.journal.note(account, outcome);
        }
        self.want(Effect::Count(metric));
    }

    pub(crate) fn log(&mut self, level: LogLevel, line: String) {
        self.want(Effect::Log { level, line });
    }

    fn write_journal(&mut self, now: Now) {
        for (account, outcome, count) in self.journal.take(now.mono_ms) {
            let config = self.config.clone();
            let Some(account) = config.account(account) else {
                continue;
            };
            let name = &account.name;
            self.log(
                LogLevel::Warn,
                format!("weir: account={name} outcome={outcome} pushes={count}"),
            );
        }
    }

    fn sign(&mut self, env: &Env<'_>) {
        let now = env.now.mono_ms;
        if self
            .signed_mono_ms
            .is_none_or(|at| now.saturating_sub(at) >= owners::SIGN_EVERY_MS)
        {
            self.signed_mono_ms = Some(now);
            owners::sign(env.shared, self.me, self.mailbox, now);
        }
    }

    /// Asks for the root when a batch could go and none is asked for yet.
    fn wake_if_due(&mut self, now: Now) {
        if !self.woken && (self.store_is_due(now) || self.forwards.is_due(now.mono_ms)) {
            self.woken = true;
            self.want(Effect::Wake);
        }
    }

    /// Copies wait at other workers for what has just become known.
    pub(crate) fn wake_others(&mut self, env: &Env<'_>) {
        for mailbox in owners::others(env.shared, self.me, env.now.mono_ms) {
            self.want(Effect::WakeOther(mailbox));
        }
    }

    pub(crate) fn store_is_due(&self, now: Now) -> bool {
        let wait_ms = match self.config.store.ack {
            Ack::AfterStore => 0,
            Ack::AtOnce => self.config.limits.batch_wait_ms,
        };
        self.outbox
            .is_due(&self.config.limits, wait_ms, now.mono_ms)
    }

    fn on_call_done(&mut self, call: Call, outcome: &CallOutcome<'_>, env: &mut Env<'_>) {
        self.calls.remove(&call);
        let target = match call {
            Call::Store => Target::Store,
            Call::AccessToken(_) => Target::AccessToken,
            Call::Profiles(_) => Target::Profiles,
            Call::Tags(_) => Target::Tags,
            Call::App(_) => Target::App,
            Call::Send(_) => Target::Send,
        };
        self.count(Metric::Call {
            target,
            status: status_of(outcome),
        });
        match call {
            Call::Store => self.on_store_done(outcome, env),
            Call::AccessToken(account) => self.on_access_token(account, outcome, env),
            Call::Profiles(account) => self.on_profiles(account, outcome, env),
            Call::Tags(account) => self.on_tags(account, outcome, env),
            Call::App(print) => self.on_app(print, outcome, env),
            Call::Send(print) => self.on_send(print, outcome, env),
        }
    }

    fn on_alarms(&mut self, env: &mut Env<'_>) {
        let soon_ms = env.now.mono_ms + AHEAD_MS;
        while let Some((stream, alarm)) = self.exchanges.next_alarm(env.now.mono_ms, soon_ms) {
            match alarm {
                Alarm::Deadline => self.on_deadline(stream, env),
                Alarm::GivenUp if planted(Bug::GivenUpForgotten) => {}
                Alarm::GivenUp => self.withhold(stream),
            }
        }
    }

    fn on_deadline(&mut self, stream: StreamId, env: &mut Env<'_>) {
        let Some(print) = self.exchanges.parked_at(stream).map(|parked| parked.print) else {
            return;
        };
        let last = self
            .exchanges
            .get_mut(print)
            .is_some_and(|e| e.attempts >= ATTEMPTS || planted(Bug::EveryAttemptIsLast));
        // A worker that stood still may come too late: then this stream is an earlier attempt's, or nobody's.
        let deadline_ms = self.config.limits.reply_deadline_ms;
        if !last
            || !self
                .exchanges
                .is_in_time(stream, deadline_ms, env.now.mono_ms)
        {
            return;
        }
        // WeChat will not come again: the user gets the reply, the event stays in the outbox. Where that is another
        // worker's, it goes into ours as well: whoever answers has it. What follows from it is still that worker's.
        self.keep_beside(print, env);
        self.decide_late(print, &Facts::default(), env);
        if self.exchanges.forward_mut(print).is_some() {
            // The application's reply can only go out as a send now.
            self.acknowledge(stream, env);
        } else {
            self.answer_waiting(print, env);
        }
    }

    fn on_gone(&mut self, stream: StreamId) {
        let deadline_ms = self.config.limits.reply_deadline_ms;
        if let Some(parked) = self.exchanges.unpark(stream, deadline_ms)
            && !planted(Bug::GoneNotCounted)
        {
            self.count(Metric::Push {
                account: parked.account,
                kind: parked.kind,
                outcome: Outcome::Unanswered,
            });
        }
    }

    fn show_gauges(&mut self) {
        let now = Shown {
            events: self.outbox.len(),
            bytes: self.outbox.bytes(),
            parked: (self.exchanges.parked())
                .max(usize::from(planted(Bug::GaugeDrift)).min(self.shown.parked)),
            forwards: self.exchanges.forwards() + self.lates.len(),
        };
        let change = |now: usize, before: usize| {
            i64::try_from(now).unwrap_or(i64::MAX) - i64::try_from(before).unwrap_or(i64::MAX)
        };
        let changes = [
            Metric::OutboxEvents(change(now.events, self.shown.events)),
            Metric::OutboxBytes(change(now.bytes, self.shown.bytes)),
            Metric::Parked(change(now.parked, self.shown.parked)),
            Metric::Forwards(change(now.forwards, self.shown.forwards)),
        ];
        for metric in changes {
            if metric != metric.series() {
                self.count(metric);
            }
        }
        self.shown = now;
    }
}

fn status_of(outcome: &CallOutcome<'_>) -> Status {
    match outcome {
        CallOutcome::Answer { status, .. } => match status {
            200..=299 => Status::Ok,
            300..=399 => Status::Redirect,
            400..=499 => Status::ClientError,
            _ => Status::ServerError,
        },
        CallOutcome::Refused => Status::Refused,
        CallOutcome::Reset => Status::Reset,
    }
}
