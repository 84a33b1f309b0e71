//! Pushes that an application answers.
//!
//! ```text
//!  Claiming ──store: yours──▶ Due ──call──▶ Calling ──answer, failure──▶ reply, to whoever waits
//!     │  ▲                     ▲               │
//!     │  └─────ask again───┐   └───────────────┘ the host did not take the call; or a failure, where the application
//!     ├──store: elsewhere──┴▶ Elsewhere          may be called again
//!     ├──store: done ─────────────────────────▶ reply, as it was given there
//!     └──store: sent ─────────────────────────▶ nothing
//! ```
//! An answer that the dedup table cannot take goes by Recording: the store has it before anybody is told.
//!
//!
//! The push is claimed at the store together with its event, so that of several nodes one calls; on this node the dedup
//! table sees to it that one worker does. The call belongs to the root: it goes on when WeChat has given an attempt up,
//! and what it brings is for whichever attempt waits then. Whoever cannot wait any longer gets no answer, so that WeChat
//! comes again; the last attempt gets `success` when its time is up, and the reply goes out as a send (`sends`).
//!
//! # Once
//! An application is called once per push. A call whose outcome is not known (time-out, reset, the worker died) is not
//! repeated unless the application is configured to know pushes again; then it is, until its time is up.
//!
//! # Bounds
//! `forwards_max` pushes per worker; each is given up when its application's time is up, counted from the first call.

use std::collections::BTreeSet;

use weir_protocol::push::{Format, Push};
use weir_protocol::reply::Reply;
use weir_store_api::{CONTENT_TYPE_EVENT, Work, WorkState};

use crate::backoff::Backoff;
use crate::claims::{Fingerprint, Replied, Told};
use crate::config::{Account, AccountKind, Ack, App, AppFormat, AppId};
use crate::engine::{ATTEMPTS, Engine, Env};
use crate::event::{self, Claim};
use crate::exchange::{Answer, Deferred};
use crate::input::{Call, CallOutcome};
use crate::metric::{AppOutcome, Loss, Metric};
use crate::outbox::{Event, Then};
use crate::planted::{Bug, planted};
use crate::sends::Late;

/// How long to wait before the store is asked again what became of a push that another node works on.
const ASK_AGAIN_MS: u64 = 500;
/// Beyond the application's own time, after which another node may repeat a call.
const LEASE_MARGIN_MS: u32 = 1_000;
/// WeChat comes again this long after an attempt began. Source: wechat-protocol 3.1.
pub(crate) const ATTEMPT_MS: u64 = 5_000;
/// How much longer than that an attempt may take to arrive.
const NETWORK_MS: u64 = 3_000;
/// How long attempts that wait at other workers have to take a reply when no further attempt will come.
const LAST_MS: u64 = 1_000;
/// Pauses after calls that the host did not take, or that failed.
const BACKOFF: Backoff = Backoff {
    first_ms: 100,
    most_ms: 2_000,
};

/// A push that an application is to answer.
pub(crate) struct Forward {
    pub(crate) app: AppId,
    /// What is said when it fails.
    pub(crate) otherwise: Reply<'static>,
    pub(crate) push: Deferred,
    pub(crate) stage: Stage,
    /// The slot says that we call.
    begun: bool,
    /// We have called, whatever the slot says.
    pub(crate) called: bool,
    /// The call of a dead worker may be made again.
    again: bool,
    tries: u32,
    /// No call is begun later.
    not_after_ms: Option<u64>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its event is on its way to the store, which says whose the work is.
    Claiming,
    /// The same; but its owner died, and may have called.
    Orphaned,
    /// Another node works on it.
    Elsewhere,
    /// To be called.
    Due,
    /// Called.
    Calling,
    /// It has answered, and only this engine knows: its record is on its way to the store. The reply stands in `otherwise`.
    Recording,
}

/// What an application said to us.
#[derive(Clone, Copy)]
enum Given {
    /// Just now. Why it said nothing, if it failed.
    Now(Option<AppOutcome>),
    /// Before, and the store has it.
    Recorded,
}

impl Forward {
    pub(crate) fn new(app: AppId, otherwise: Reply<'static>, push: Deferred) -> Self {
        Self {
            app,
            otherwise,
            push,
            stage: Stage::Claiming,
            begun: false,
            called: false,
            again: false,
            tries: 0,
            not_after_ms: None,
        }
    }

    /// The push as an event.
    pub(crate) fn event(&self, account: &Account, ask: event::Ask<'_>) -> Option<Vec<u8>> {
        let Deferred {
            appid,
            id,
            received,
            body,
            ..
        } = &self.push;
        let push = Push::parse(body).ok()?;
        Some(event::push(account, appid, *id, &push, ask, *received))
    }

    /// How its work is claimed.
    pub(crate) fn claim<'c>(&'c self, app: Option<&App>) -> Claim<'c> {
        let repeated = app.filter(|app| app.repeat);
        Claim {
            claimant: &self.push.claimant,
            lease_ms: repeated.map(|app| app.peer.timeout_ms.saturating_add(LEASE_MARGIN_MS)),
        }
    }
}

/// When which of them is looked at again.
#[derive(Default)]
pub(crate) struct Forwards {
    due: BTreeSet<(u64, Fingerprint)>,
}

impl Forwards {
    fn at(&mut self, due_ms: u64, print: Fingerprint) {
        self.due.insert((due_ms, print));
    }

    fn next(&mut self, mono_ms: u64) -> Option<Fingerprint> {
        let (due, print) = *self.due.first()?;
        if due > mono_ms {
            return None;
        }
        self.due.pop_first();
        Some(print)
    }

    pub(crate) fn is_due(&self, mono_ms: u64) -> bool {
        self.due.first().is_some_and(|(due, _)| *due <= mono_ms)
    }
}

impl Engine {
    /// Whether another push may be forwarded.
    pub(crate) fn may_forward(&self) -> bool {
        self.exchanges.forwards() + self.lates.len() < self.config.limits.forwards_max
    }

    /// The application may be called: the work is this engine's.
    pub(crate) fn call_app_soon(&mut self, print: Fingerprint, env: &Env<'_>) {
        if let Some(forward) = self.exchanges.forward_mut(print) {
            forward.stage = Stage::Due;
            self.forwards.at(env.now.mono_ms, print);
        }
    }

    /// The root is to go on with it.
    pub(crate) fn look_soon(&mut self, print: Fingerprint, env: &Env<'_>) {
        self.forwards.at(env.now.mono_ms, print);
    }

    /// The store has the push's event, and says whose the work is.
    pub(crate) fn on_work(&mut self, print: Fingerprint, work: Option<Work>, env: &mut Env<'_>) {
        let Some(forward) = self.exchanges.forward_mut(print) else {
            return;
        };
        match (forward.stage, work) {
            // The answer to a question that was asked twice.
            (Stage::Due | Stage::Calling, _) | (Stage::Recording, Some(_)) => {}
            (Stage::Recording, None) => {
                let (reply, create_time) = (forward.otherwise.clone(), forward.push.create_time);
                self.finish(print, reply, create_time, Some(Given::Recorded), env);
            }
            (
                _,
                Some(Work {
                    state: WorkState::Done,
                    reply,
                    create_time,
                    ..
                }),
            ) => {
                let create_time = create_time.unwrap_or(forward.push.create_time);
                let reply = Reply::parse(reply.unwrap_or_default().as_bytes());
                self.finish(print, reply.unwrap_or(Reply::None), create_time, None, env);
            }
            (
                _,
                Some(Work {
                    state: WorkState::Sent,
                    ..
                }),
            ) => {
                let create_time = forward.push.create_time;
                self.finish(print, Reply::None, create_time, None, env);
            }
            (
                _,
                Some(Work {
                    state: WorkState::Elsewhere,
                    age_ms,
                    ..
                }),
            ) if !planted(Bug::ElsewhereCallsToo) => {
                forward.stage = Stage::Elsewhere;
                // Attempts go to other nodes, too: the store's clock has seen the first.
                let attempts = u8::try_from(1 + age_ms / ATTEMPT_MS).unwrap_or(u8::MAX);
                if let Some(exchange) = self.exchanges.get_mut(print) {
                    exchange.attempts = exchange.attempts.max(attempts);
                }
                self.forwards.at(env.now.mono_ms + ASK_AGAIN_MS, print);
            }
            (Stage::Orphaned, _) => {
                let app = forward.app;
                if self.config.app(app).is_some_and(|app| app.repeat) {
                    forward.again = true;
                    self.call_app_soon(print, env);
                } else {
                    self.app_failed(print, AppOutcome::Lost, env);
                }
            }
            // Any endpoint that takes events and knows of no work: it is ours.
            _ => self.call_app_soon(print, env),
        }
    }

    /// Starts every call that is due. Only from the root.
    pub(crate) fn start_forwards(&mut self, env: &mut Env<'_>) {
        while let Some(print) = self.forwards.next(env.now.mono_ms) {
            let stage = self.exchanges.forward_mut(print).map(|f| f.stage);
            match stage {
                Some(Stage::Due) => self.call_app(print, env),
                Some(Stage::Elsewhere) => self.ask_again(print, env),
                // No answer of the store's will say so.
                Some(Stage::Orphaned) if self.config.store.ack == Ack::AtOnce => {
                    self.on_work(print, None, env);
                }
                _ => {}
            }
        }
    }

    fn call_app(&mut self, print: Fingerprint, env: &mut Env<'_>) {
        let config = self.config.clone();
        let Some(exchange) = self.exchanges.get_mut(print) else {
            return;
        };
        let account_id = exchange.account;
        let Some(forward) = self.exchanges.forward_mut(print) else {
            return;
        };
        let (Some(app), Some(account)) = (config.app(forward.app), config.account(account_id))
        else {
            return;
        };
        let until = u64::from(app.peer.timeout_ms) + env.now.mono_ms;
        let not_after_ms = *forward.not_after_ms.get_or_insert(until);
        forward.tries += 1;
        let (begun, again) = (forward.begun, forward.again);
        if !begun {
            match self.claims.calling(env.shared, print, again) {
                Some(true) => {}
                // The worker that holds it by now will tell.
                Some(false) => return self.leave_forward(print),
                None => return self.app_failed(print, AppOutcome::Refused, env),
            }
        }
        let Some(forward) = self.exchanges.forward_mut(print) else {
            return;
        };
        (forward.begun, forward.called) = (true, true);
        forward.stage = Stage::Calling;
        let left_ms = u32::try_from(not_after_ms.saturating_sub(env.now.mono_ms)).unwrap_or(1);
        let (path, content_type, body) = match app.format {
            AppFormat::CloudEvent => {
                let Some(body) = forward.event(account, event::Ask::default()) else {
                    return;
                };
                (app.path.clone(), CONTENT_TYPE_EVENT, body)
            }
            AppFormat::Wechat => {
                let content_type = match account.format {
                    Format::Xml => "text/xml",
                    Format::Json => "application/json",
                };
                let mut path = app.path.clone();
                for (name, value) in proof(&forward.push.query) {
                    path.push(if path.contains('?') { '&' } else { '?' });
                    path.push_str(name);
                    path.push('=');
                    path.push_str(value);
                }
                (path, content_type, forward.push.body.clone())
            }
        };
        let mut peer = app.peer.clone();
        peer.timeout_ms = left_ms.max(1);
        self.call(Call::App(print), &peer, path, content_type, body);
    }

    /// Asks the store again what became of a push that another node works on, as long as somebody waits for it.
    fn ask_again(&mut self, print: Fingerprint, env: &mut Env<'_>) {
        let deadline_ms = self.config.limits.reply_deadline_ms;
        if !self
            .exchanges
            .is_awaited(print, deadline_ms, env.now.mono_ms)
        {
            // The next attempt begins anew, wherever it comes.
            self.claims.release(env.shared, print);
            drop(self.exchanges.close(print, deadline_ms, env.now.mono_ms));
            return;
        }
        if !self.outbox.has_room(&self.config.limits) {
            return self.forwards.at(env.now.mono_ms + ASK_AGAIN_MS, print);
        }
        if let Some(event) = self.claiming_event(print) {
            self.outbox.push(event, env.now.mono_ms);
        }
    }

    /// How the work behind a push is claimed; not where nobody waits for what the store says.
    pub(crate) fn claim_of<'f>(&self, forward: &'f Forward) -> Option<Claim<'f>> {
        let waits = self.config.store.ack == Ack::AfterStore;
        waits.then(|| forward.claim(self.config.app(forward.app)))
    }

    /// The event of a push that waits for an application, with its claim.
    pub(crate) fn claiming_event(&self, print: Fingerprint) -> Option<Event> {
        let account = (self.config).account(self.exchanges.get(print)?.account)?;
        let forward = self.exchanges.forward(print)?;
        let ask = event::Ask {
            user: false,
            claim: self.claim_of(forward),
        };
        Some(Event {
            json: forward.event(account, ask)?,
            then: Then {
                answer: (self.config.store.ack == Ack::AfterStore).then_some(print),
                follow_up: None,
            },
        })
    }

    /// Another worker has the push by now: what it brings is what our streams get.
    fn leave_forward(&mut self, print: Fingerprint) {
        if let Some(event) = self.claiming_event(print) {
            if let Some(forward) = self.exchanges.forward_mut(print) {
                forward.stage = Stage::Claiming;
                forward.begun = false;
            }
            // Looked at with the next tick, not now: that could lead back here.
            self.exchanges.leave(print, event);
        }
    }

    pub(crate) fn on_app(
        &mut self,
        print: Fingerprint,
        outcome: &CallOutcome<'_>,
        env: &mut Env<'_>,
    ) {
        let failed = match *outcome {
            CallOutcome::Answer {
                status: 200..=299,
                body,
                ..
            } => match Reply::parse(body) {
                Ok(reply) => return self.app_replied(print, reply, None, env),
                Err(_) => AppOutcome::Malformed,
            },
            CallOutcome::Answer { status: 504, .. } => AppOutcome::Timeout,
            CallOutcome::Answer { .. } => AppOutcome::Status,
            CallOutcome::Reset => AppOutcome::Reset,
            CallOutcome::Refused => AppOutcome::Refused,
        };
        self.app_failed(print, failed, env);
    }

    fn app_failed(&mut self, print: Fingerprint, why: AppOutcome, env: &mut Env<'_>) {
        let random = env.random_u32();
        let config = self.config.clone();
        let Some(forward) = self.exchanges.forward_mut(print) else {
            return;
        };
        // What the host did not take has not reached the application.
        forward.called &= why != AppOutcome::Refused;
        let again = match why {
            AppOutcome::Refused => true,
            AppOutcome::Malformed | AppOutcome::Lost => false,
            _ if planted(Bug::AppCalledAgain) => true,
            _ => config.app(forward.app).is_some_and(|app| app.repeat),
        };
        let due_ms = env.now.mono_ms + BACKOFF.pause_ms(forward.tries, random);
        if again && forward.not_after_ms.is_none_or(|end| due_ms < end) {
            forward.stage = Stage::Due;
            return self.forwards.at(due_ms, print);
        }
        let otherwise = forward.otherwise.clone();
        self.app_replied(print, otherwise, Some(why), env);
    }

    /// The application has answered, or failed for good.
    fn app_replied(
        &mut self,
        print: Fingerprint,
        reply: Reply<'static>,
        failed: Option<AppOutcome>,
        env: &mut Env<'_>,
    ) {
        let Some(exchange) = self.exchanges.get_mut(print) else {
            return;
        };
        let account = exchange.account;
        let Some(forward) = self.exchanges.forward_mut(print) else {
            return;
        };
        let create_time = forward.push.create_time;
        let outcome = failed.unwrap_or(match reply.is_silent() {
            true => AppOutcome::Nothing,
            false => AppOutcome::Reply,
        });
        self.count(Metric::AppReply { account, outcome });
        self.finish(print, reply, create_time, Some(Given::Now(failed)), env);
    }

    /// The reply to a push is known. `given`: it was given to us.
    fn finish(
        &mut self,
        print: Fingerprint,
        reply: Reply<'static>,
        create_time: u64,
        given: Option<Given>,
        env: &mut Env<'_>,
    ) {
        let config = self.config.clone();
        let deadline_ms = config.limits.reply_deadline_ms;
        let Some(exchange) = self.exchanges.get_mut(print) else {
            return;
        };
        let (account_id, attempts) = (exchange.account, exchange.attempts);
        let (Some(account), Some(forward)) = (
            config.account(account_id),
            self.exchanges.forward_mut(print),
        ) else {
            return;
        };
        let Ok(push) = Push::parse(&forward.push.body) else {
            return;
        };
        let silent = reply.is_silent();
        // Users of mini programs never see a reply, only what is sent.
        let shown = account.kind != AccountKind::MiniProgram
            || matches!(reply, Reply::TransferCustomerService { .. });
        let body = (shown && !silent).then(|| {
            let (to, from) = (push.from_user_name(), push.to_user_name());
            reply.encode(account.format, to, from, create_time)
        });
        let app = config.app(forward.app).map_or("", |app| app.name.as_str());
        let record = match given {
            Some(Given::Now(failed)) if !planted(Bug::ReplyNotRecorded) => {
                let about = event::About {
                    account,
                    appid: &forward.push.appid,
                    push: forward.push.id,
                    openid: push.openid(),
                };
                let failed = failed.map(|failed| failed.label());
                Some(event::reply_given(
                    &about,
                    app,
                    &reply,
                    create_time,
                    failed,
                    env.now,
                ))
            }
            _ => None,
        };
        let late = Late::new(
            account_id,
            forward.push.appid.clone(),
            forward.push.id,
            push.openid().to_owned(),
            forward.push.claimant.clone(),
            reply,
            self.me,
        );
        let awaited = self
            .exchanges
            .is_awaited(print, deadline_ms, env.now.mono_ms);
        let replied = match body {
            None => Replied::Silent,
            Some(_) if awaited => Replied::Given,
            Some(_) => Replied::Ready,
        };
        match self.claims.replied(env.shared, print, replied) {
            Told::NotOurs if given.is_some() => return self.leave_forward(print),
            // As it was given elsewhere, so here.
            Told::NotOurs => {}
            // Who takes us for dead asks the store, so that has it first.
            // Who takes us for dead asks the store, so the store is to know first.
            Told::No
                if record.is_some()
                    && config.store.ack == Ack::AfterStore
                    && self.outbox.has_room(&config.limits) =>
            {
                if let (Some(json), Some(forward)) = (record, self.exchanges.forward_mut(print)) {
                    forward.otherwise = late.reply;
                    forward.stage = Stage::Recording;
                    let then = Then {
                        answer: Some(print),
                        follow_up: None,
                    };
                    self.outbox.push(Event { json, then }, env.now.mono_ms);
                }
                return;
            }
            Told::No => {}
            Told::Yes { watched } => {
                // Whoever looks between the two lines asks the store.
                if let Some(body) = &body {
                    let now_ms = env.now.mono_ms;
                    self.late_replies.put(env.shared, print, body, now_ms);
                }
                if watched {
                    self.wake_others(env);
                }
            }
        }
        if let Some(json) = record {
            self.keep_or_count(json, env);
        }
        self.exchanges.set_answer(print, Answer::Ready(body));
        // What another node was given, it also sends.
        let ours = given.is_some() && !silent;
        match replied {
            Replied::Silent if ours => self.send_late(print, late, None, env),
            Replied::Ready if ours && !planted(Bug::LateReplyForgotten) => {
                // Attempts that wait at other workers are woken; one that is yet to come has this long.
                let wait_ms = if attempts >= ATTEMPTS {
                    LAST_MS
                } else {
                    ATTEMPT_MS + NETWORK_MS
                };
                self.send_late(print, late, Some(wait_ms), env);
            }
            _ => {}
        }
        self.release_waiting(print, env);
    }

    /// Adds an event that nobody waits for.
    pub(crate) fn keep_or_count(&mut self, json: Vec<u8>, env: &Env<'_>) {
        if self.outbox.has_room(&self.config.limits) {
            let then = Then::default();
            self.outbox.push(Event { json, then }, env.now.mono_ms);
        } else {
            self.count(Metric::Lost {
                reason: Loss::Overflow,
                count: 1,
            });
        }
    }
}

/// What proves to a program for WeChat that a push is WeChat's: the parameters of plain mode, as they came.
fn proof(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| ["signature", "timestamp", "nonce", "openid"].contains(name))
}
