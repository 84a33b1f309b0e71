//! What must hold, looked at whenever something happens and once more at the end.
//!
//! | name | means |
//! |---|---|
//! | `acknowledged-is-stored` | under `after_store` nobody is told 200 of what the store has not, but at the deadline of the last attempt; then it is lost only with the engine that said so |
//! | `one-effect` | one row, one profile, one tag for each push, however often it comes |
//! | `nothing-forgotten` | what a stored push causes happens, or is counted as given up |
//! | `same-reply` | every copy of a push gets the same bytes from a node |
//! | `right-reply` | it is the reply to this push; `success` only where there is nothing to say, or at the last attempt |
//! | `app-once` | an application is called after the store has given the work to its caller, and once, unless it knows pushes again |
//! | `reply-once` | a reply is sent once at most, and only if no attempt got it |
//! | `in-time` | no answer after the attempt's deadline |
//! | `every-wait-ends` | each stream is answered, gone or given up; no engine holds anything in the end |
//! | `bounds` | what is held and queued stays within the configured bounds; the gauges tell the truth |
//! | `losses-are-counted` | the counters of lost events are what was lost |
//! | `once` | a stream is answered once and counted once |
//! | `manners` | calls come from the root, one of a name at a time, in batches within bounds, not before their time |
//! | `order` | what was sent in vain is sent again first, in the same order |
//! | `one-fetch` | a good access token is not fetched again |
//! | `prompt` | where nothing goes wrong, nobody waits for a tick |
//!
//! Where a fault makes more than one effect possible (an answer of the API was lost, a worker died between work and note),
//! as many more are allowed as there were such faults.

use weir_engine::{Call, CallOutcome, HttpRequest, Response};
use weir_store_api::{BatchAnswer, EventStatus, RawEvent, TYPE_USER_SNAPSHOT};

use crate::api::Api;
use crate::app::{self, App};
use crate::faults::{Fault, Faults};
use crate::node::{Manners, Meter, Node, Slot};
use crate::plan::{PATIENCE_MS, Plan};
use crate::shared::Left;
use crate::store::Store;
use crate::wechat::{Fate, Home, Progress, Request, opened};
use crate::world::Scope;

/// An attempt's deadline. Source: the default of the configuration.
pub(crate) const DEADLINE_MS: u64 = 4_500;
/// The last attempt is answered so long before it. Source: `weir_engine`.
const AHEAD_MS: u64 = 200;
/// WeChat takes a push as delivered after so many requests. Source: wechat-protocol 3.1.
const LAST: u64 = 3;
/// Where nothing goes wrong, waking the root and a call to the store take no longer than this.
const PROMPT_MS: u64 = 18;
/// And an application no longer than this.
const APP_MS: u64 = 210;
/// So long after its end an engine is taken for dead. Source: `weir_engine`'s owners.
const NOTICED_MS: u64 = 3_100;
/// A fetch of an access token holds its lease so long. Source: `weir_engine`'s tokens.
const LEASE_MS: u64 = 10_000;
/// A token with less to live may be renewed. Source: the same.
const EARLY_MS: u64 = 300_000;

/// Something that must hold and does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which; the list is in the module's header.
    pub invariant: &'static str,
    /// In which way.
    pub detail: String,
}

/// What a run came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Pushes that WeChat sent.
    pub pushes: u64,
    /// Requests that engines had.
    pub requests: u64,
    /// Pushes of which WeChat heard 200.
    pub heard: u64,
    /// Pushes that the store has.
    pub stored: u64,
    /// Engines that died with what they knew.
    pub deaths: u64,
    /// Engines that ended and left all they had to others.
    pub handovers: u64,
    /// Threads that stood still.
    pub stalls: u64,
    /// Effects of the API whose answers were lost.
    pub api_answers_lost: u64,
    /// Pushes answered at the deadline of the last attempt that died with the engine that held them: the documented loss.
    pub lost_with_worker: u64,
    /// Replies of applications that the store handed out to attempts that did not wait any longer.
    pub handed_in_vain: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.pushes += other.pushes;
        self.requests += other.requests;
        self.heard += other.heard;
        self.stored += other.stored;
        self.deaths += other.deaths;
        self.handovers += other.handovers;
        self.stalls += other.stalls;
        self.api_answers_lost += other.api_answers_lost;
        self.lost_with_worker += other.lost_with_worker;
        self.handed_in_vain += other.handed_in_vain;
    }
}

/// A response, with all that is known about it.
pub(crate) struct Responded<'a> {
    /// Whether the engine had the stream and had not answered it.
    pub(crate) known: bool,
    pub(crate) scope: Scope,
    pub(crate) number: usize,
    pub(crate) requests: &'a [Request],
    pub(crate) by: usize,
    pub(crate) slot: &'a Slot,
    pub(crate) response: &'a Response,
    pub(crate) home: &'a mut Home,
    pub(crate) now_ms: u64,
    /// Whether shared data has refused something on this node.
    pub(crate) unrecorded: bool,
    /// Whether the store has the push.
    pub(crate) stored: bool,
    /// Whether the store has handed its reply out, or given the right to send it.
    pub(crate) is_sent: bool,
    /// Whether its work has gone from one to another because a lease ran out.
    pub(crate) moved: bool,
}

/// The access token as a node's engines know it.
#[derive(Default)]
struct KnownToken {
    life: u16,
    token: String,
    refused: bool,
    /// Since when somebody fetches, and who.
    fetching: Option<(u64, usize)>,
}

pub(crate) struct Checks<'p> {
    plan: &'p Plan,
    violation: Option<Violation>,
    pub(crate) tally: Tally,
    tokens: Vec<KnownToken>,
    /// How many events the answer that is being handed over rejects.
    rejected: u64,
    /// The first reply of an application to each push.
    given: Vec<Option<String>>,
}

impl<'p> Checks<'p> {
    pub(crate) fn new(plan: &'p Plan) -> Self {
        Self {
            plan,
            violation: None,
            tally: Tally::default(),
            tokens: plan.nodes.iter().map(|_| KnownToken::default()).collect(),
            rejected: 0,
            given: plan.pushes.iter().map(|_| None).collect(),
        }
    }

    pub(crate) fn is_violated(&self) -> bool {
        self.violation.is_some()
    }

    pub(crate) fn take(&mut self) -> Option<Violation> {
        self.violation.take()
    }

    /// Remembers the first violation.
    pub(crate) fn violated(&mut self, invariant: &'static str, detail: String) {
        self.violation
            .get_or_insert(Violation { invariant, detail });
    }

    fn must(&mut self, holds: bool, invariant: &'static str, detail: impl FnOnce() -> String) {
        if !holds {
            self.violated(invariant, detail());
        }
    }

    pub(crate) fn on_response(&mut self, mut it: Responded<'_>) {
        let plan = self.plan;
        let (number, name) = (it.number, it.slot.name);
        let request = &it.requests[number];
        self.must(it.known, "once", || {
            format!("{name} responds to request {number}, which it does not hold")
        });
        self.must(
            it.scope == Scope::Root || it.scope == Scope::Stream(number),
            "manners",
            || format!("{name} responds to request {number} in the name of another stream"),
        );
        if it.response.status == 403 {
            // Refused unread: its clock is too far off.
            it.home.seen -= 1;
        }
        if it.response.status != 200 {
            return;
        }
        let deadline_ms = request.arrived_ms + DEADLINE_MS;
        self.must(it.now_ms <= deadline_ms, "in-time", || {
            let ms = it.now_ms - request.arrived_ms;
            format!("{name} answers request {number} after {ms} ms")
        });
        let push = &plan.pushes[request.push];
        let Some(reply) = opened(&it.response.body, plan.encrypted) else {
            return self.violated(
                "right-reply",
                format!("the reply to request {number} is unreadable"),
            );
        };
        let right = match (&push.expected, push.app) {
            (_, Some(_)) => self.is_right_of_app(request.push, &reply, &it),
            (None, _) => reply == "success",
            (Some(text), _) => reply.contains(text.as_str()) && reply.contains(&push.openid),
        };
        self.must(right, "right-reply", || {
            format!("request {number} gets the reply to something else, or none too early")
        });

        let is_due = |other: usize| {
            let other = &it.requests[other];
            let due_ms = other.arrived_ms + DEADLINE_MS - AHEAD_MS;
            other.push == request.push && due_ms <= it.now_ms && it.slot.ticked_ms < due_ms
        };
        let last = it.home.seen >= LAST
            && (is_due(number) || it.slot.held.iter().any(|other| is_due(*other)));
        let is_refused = plan.poison == Some(request.push);
        if !plan.at_once && !it.stored && !is_refused && !it.home.let_go {
            self.must(last, "acknowledged-is-stored", || {
                format!(
                    "{name} answers request {number} before push {} is stored",
                    request.push
                )
            });
        }
        // Later ones may have it from the first.
        if last && !it.stored && !it.home.let_go {
            it.home.kept_by.push(it.by);
        }
        // From then on nobody waits for the store any more, nor for what it may know of a user.
        it.home.let_go |= last;
        self.compare(&mut it, request.push, reply);
        it.home.answered = true;
        // It was known on this node before.
        it.home.at_once |= it.now_ms < request.complete_ms + 1_000;
        if plan.faults == Faults::default() {
            let ms = it.now_ms - request.complete_ms;
            let most_ms = match push.app {
                None if plan.at_once && !plan.forwards => 0,
                None if request.found_busy => 2 * PROMPT_MS,
                None => PROMPT_MS,
                Some(_) => 2 * PROMPT_MS + APP_MS,
            };
            self.must(ms <= most_ms, "prompt", || {
                format!("request {number} is answered after {ms} ms, though nothing went wrong")
            });
        }
    }

    /// Whether an application said this about a push, or may not be waited for any longer.
    fn is_right_of_app(&self, number: usize, reply: &str, it: &Responded<'_>) -> bool {
        let push = &self.plan.pushes[number];
        if reply != "success" {
            let said = format!("app{number} says ");
            let sorry = format!(
                "sorry {}{number} ",
                if push.app == Some(true) {
                    "again"
                } else {
                    "ask"
                }
            );
            return reply.contains(&push.openid)
                && (reply.contains(&said) || reply.contains(&sorry));
        }
        push.app_is_silent
            || it.home.seen >= LAST
            || it.is_sent
            || it.now_ms >= push.at_ms + 2 * PATIENCE_MS
    }

    /// Every copy of a push gets the same.
    fn compare(&mut self, it: &mut Responded<'_>, number: usize, reply: String) {
        let push = &self.plan.pushes[number];
        if push.app.is_some() {
            // `success` says that nothing more comes here; it contradicts no reply that went elsewhere.
            if reply == "success" {
                return;
            }
            let apart = self.plan.at_once || self.plan.poison == Some(number);
            let home = &mut it.home.reply;
            // Where it may be called again, one call may fail and the next bring a reply; and two nodes may call.
            let is_same = |given: &String| {
                let failed = |text: &str| text.contains("sorry ");
                let again = push.app == Some(true);
                *given == reply || it.moved || (again && failed(given) != failed(&reply))
            };
            let same = match (&self.given[number], &home) {
                (Some(given), _) if !apart => is_same(given),
                (_, Some(given)) => is_same(given) || (apart && it.unrecorded),
                _ => true,
            };
            self.must(same, "same-reply", || {
                format!("push {number} gets two replies of its application")
            });
            self.given[number].get_or_insert_with(|| reply.clone());
            home.get_or_insert(reply);
            return;
        }
        // The store may know more about a user than was known when the time was up.
        let may_differ = it.unrecorded || (push.asks && it.home.let_go);
        if let Some(first) = &it.home.reply {
            self.must(may_differ || *first == reply, "same-reply", || {
                format!("a request gets another reply than a copy of push {number} got")
            });
        } else {
            it.home.reply = Some(reply);
        }
    }

    /// A call begins. How many jobs it carries.
    #[expect(
        clippy::too_many_arguments,
        reason = "the one place where all that a call may depend on meets"
    )]
    pub(crate) fn on_call(
        &mut self,
        who: usize,
        slot: &mut Slot,
        node: &Node,
        scope: Scope,
        call: Call,
        request: &HttpRequest,
        store: &Store,
        api: &Api,
        now_ms: u64,
    ) -> usize {
        let name = slot.name;
        self.must(scope == Scope::Root, "manners", || {
            format!("{name} calls in the name of a stream")
        });
        self.must(!slot.calls.contains_key(&call), "manners", || {
            format!("{name} calls while such a call is under way")
        });
        self.must(request.timeout_ms > 0, "manners", || {
            format!("{name} waits for ever")
        });
        match call {
            Call::Store => self.on_store_call(slot, request, now_ms),
            Call::AccessToken(_) => {
                let known = &mut self.tokens[usize::from(name.node)];
                if known.life != node.life {
                    *known = KnownToken {
                        life: node.life,
                        ..KnownToken::default()
                    };
                }
                let good = !known.refused && api.life_of(&known.token, now_ms) > EARLY_MS + 1_000;
                let fetching = known
                    .fetching
                    .is_some_and(|(since_ms, _)| now_ms < since_ms + LEASE_MS);
                known.fetching = Some((now_ms, who));
                let unrecorded = node.shared.unrecorded() > 0;
                self.must(unrecorded || !(good || fetching), "one-fetch", || {
                    format!(
                        "{name} fetches an access token, though there is one or somebody else does"
                    )
                });
                1
            }
            Call::App(_) => {
                let about = app::about(self.plan, &request.body);
                let claimed = about.is_some_and(|number| {
                    let (plan, push) = (self.plan, &self.plan.pushes[number]);
                    plan.at_once || plan.poison == Some(number) || store.has(&push.id)
                });
                self.must(claimed, "app-once", || {
                    format!("{name} calls the application before the store has the push")
                });
                1
            }
            _ => 1,
        }
    }

    fn on_store_call(&mut self, slot: &mut Slot, request: &HttpRequest, now_ms: u64) -> usize {
        let name = slot.name;
        let Ok(events) = serde_json::from_slice::<Vec<RawEvent<'_>>>(&request.body) else {
            self.violated(
                "manners",
                format!("{name} sends a batch that is no list of events"),
            );
            return 0;
        };
        let most = self.plan.limits.batch_events;
        self.must((1..=most).contains(&events.len()), "manners", || {
            format!("{name} sends {} events at a time", events.len())
        });
        self.must(now_ms >= slot.store.not_before_ms, "manners", || {
            format!(
                "{name} calls the store {} ms too early after {} failures",
                slot.store.not_before_ms - now_ms,
                slot.store.failures
            )
        });
        let sent: Vec<String> = events
            .iter()
            .map(|event| event.id.as_ref().to_owned())
            .collect();
        let in_order = sent
            .iter()
            .zip(&slot.store.again)
            .all(|(now, before)| now == before);
        self.must(in_order, "order", || {
            format!("{name} does not send again what it has just sent in vain")
        });
        slot.store.sent = sent;
        events.len()
    }

    /// A call is about to be handed back.
    pub(crate) fn on_return(
        &mut self,
        who: usize,
        slot: &mut Slot,
        call: Call,
        outcome: &CallOutcome<'_>,
        path: &str,
        now_ms: u64,
    ) {
        match (call, outcome) {
            (
                Call::Store,
                CallOutcome::Answer {
                    status: 200..=299,
                    body: answer,
                    ..
                },
            ) => {
                (slot.store.failures, slot.store.not_before_ms) = (0, 0);
                slot.store.again.clear();
                let answer: BatchAnswer = serde_json::from_slice(answer).expect("the store's own");
                for result in &answer.results {
                    self.rejected += u64::from(result.status == EventStatus::Rejected);
                }
            }
            (
                Call::Store,
                CallOutcome::Answer {
                    status: 400 | 410 | 413 | 415 | 422,
                    ..
                },
            ) => {
                slot.store.again = std::mem::take(&mut slot.store.sent);
                if slot.store.again.len() == 1 {
                    slot.store.again.clear();
                    self.rejected += 1;
                }
            }
            (Call::Store, CallOutcome::Answer { retry_after_s, .. }) => {
                slot.store.failed(*retry_after_s, now_ms);
            }
            (Call::Store, _) => slot.store.failed(None, now_ms),
            (Call::AccessToken(_), outcome) => {
                let known = &mut self.tokens[usize::from(slot.name.node)];
                known.fetching = known.fetching.filter(|(_, by)| *by != who);
                let token = text_in(outcome, "access_token");
                if let Some(token) = token {
                    (known.token, known.refused) = (token, false);
                }
            }
            (Call::Profiles(_) | Call::Tags(_), CallOutcome::Answer { body, .. }) => {
                let known = &mut self.tokens[usize::from(slot.name.node)];
                let refused = [&b"40001"[..], b"42001"];
                let is_refused =
                    (refused.iter()).any(|code| body.windows(5).any(|window| window == *code));
                if is_refused && path.ends_with(&format!("access_token={}", known.token)) {
                    known.refused = true;
                }
            }
            _ => {}
        }
    }

    /// An engine has taken an input and done all it wants.
    pub(crate) fn after_input(
        &mut self,
        slot: &Slot,
        before: &Meter,
        scope: Scope,
        what: What,
        left: (Left, Left),
    ) {
        let (name, meter, limits) = (slot.name, &slot.meter, self.plan.limits);
        self.must(slot.held.len() <= limits.parked, "bounds", || {
            format!("{name} holds {} streams", slot.held.len())
        });
        let rejected = std::mem::take(&mut self.rejected);
        self.must(
            meter.rejected - before.rejected == rejected,
            "losses-are-counted",
            || format!("{name} counts other rejections than the store made"),
        );
        let counted = meter.abandoned - before.abandoned;
        // What it had is lost, or left to others; and who finds that there are none loses what was left before, too.
        let holds = match what {
            What::HandOver { had } => counted + left.1.counts == had + left.0.counts,
            _ => counted == 0,
        };
        self.must(holds, "losses-are-counted", || {
            format!("{name}: {what:?}, and counts {counted} as lost, {left:?} being left")
        });
        if scope != Scope::Root || what == What::Woken {
            return;
        }
        // The gauges are shown at the root's turns.
        let held = match what {
            // It is no more, and its streams are the host's to end.
            What::HandOver { .. } => 0,
            _ => slot.held.len(),
        };
        self.must(meter.parked == held as i64, "bounds", || {
            format!("{name} shows {} held streams and has {held}", meter.parked)
        });
        let events = u64::try_from(meter.outbox_events);
        self.must(
            events.is_ok_and(|events| events <= limits.outbox_events) && meter.outbox_bytes >= 0,
            "bounds",
            || format!("{name} has {} events in its outbox", meter.outbox_events),
        );
        let forwards = u64::try_from(meter.forwards);
        let in_bounds = forwards.is_ok_and(|forwards| forwards <= limits.forwards);
        self.must(in_bounds, "bounds", || {
            format!("{name} has {} pushes forwarded", meter.forwards)
        });
        let shown = (meter.outbox_events, meter.outbox_bytes, meter.forwards);
        self.must(
            !matches!(what, What::HandOver { .. }) || shown == (0, 0, 0),
            "bounds",
            || format!("{name} is no more and shows {shown:?}"),
        );
    }

    pub(crate) fn at_the_end(
        &mut self,
        pushes: &[Progress],
        engines: &[Slot],
        nodes: &[Node],
        store: &Store,
        api: &Api,
        app: &App,
    ) {
        self.must(app.strangers == 0, "app-once", || {
            "an application was asked about something that is no push".to_owned()
        });
        for (number, node) in nodes.iter().enumerate() {
            self.must(node.shared.left().bytes == 0, "every-wait-ends", || {
                format!("nobody has taken what was left at node {number}")
            });
        }
        for slot in engines {
            let name = slot.name;
            if let Some(engine) = &slot.engine {
                let idle = engine.is_idle() && slot.held.is_empty();
                self.must(idle, "every-wait-ends", || {
                    format!("{name} still holds something")
                });
                let Meter {
                    outbox_events,
                    outbox_bytes,
                    forwards,
                    ..
                } = slot.meter;
                let shown = (outbox_events, outbox_bytes, forwards);
                self.must(shown == (0, 0, 0), "bounds", || {
                    format!("{name} is empty and shows {shown:?}")
                });
                self.must(slot.meter.pushes == slot.ended, "once", || {
                    let Meter { pushes, .. } = slot.meter;
                    format!("{name} had {} requests and counts {pushes}", slot.ended)
                });
            }
        }
        let unrecorded: u64 = nodes.iter().map(Node::unrecorded).sum();
        for (number, progress) in pushes.iter().enumerate() {
            if !self.plan.pushes[number].skipped {
                self.push_at_the_end(number, progress, engines, store, api, unrecorded);
                self.app_at_the_end(number, progress, engines, store, api, app, unrecorded);
            }
        }
    }

    fn push_at_the_end(
        &mut self,
        number: usize,
        progress: &Progress,
        engines: &[Slot],
        store: &Store,
        api: &Api,
        unrecorded: u64,
    ) {
        let plan = self.plan;
        let push = &plan.pushes[number];
        let stored = store.has(&push.id);
        let rejected = plan.poison == Some(number);
        let homes = || progress.homes.values();
        let dead = |engine: &usize| engines[*engine].died();
        let answered = homes().any(|home| home.answered);
        self.tally.pushes += 1;
        self.tally.requests += homes().map(|home| home.seen).sum::<u64>();
        self.tally.heard += u64::from(progress.fate == Fate::Heard);
        self.tally.stored += u64::from(stored);

        if answered && !stored && !rejected {
            // Who said so at a deadline, or at once, had it, and took it along; or had no room for what its owner had.
            let gone = if plan.at_once || plan.faults.has(Fault::Small) {
                homes().any(|home| home.handled_by.iter().any(dead))
            } else {
                let mut kept_by = homes().flat_map(|home| &home.kept_by).peekable();
                kept_by.peek().is_some() && kept_by.all(dead)
            };
            // Who could not note that it gave a push up seems to have it still.
            let unnoted = plan.faults.has(Fault::Small) && unrecorded > 0;
            self.must(gone || unnoted, "acknowledged-is-stored", || {
                format!("push {number} was answered, and is lost")
            });
            self.tally.lost_with_worker += 1;
        }
        let counted: u64 = homes().map(|home| home.counted_lost).sum();
        let touched_by_death = homes().any(|home| home.handled_by.iter().any(dead));
        if !stored && !rejected && !touched_by_death && unrecorded == 0 {
            let last = homes().any(|home| home.seen >= LAST && home.turned_away);
            self.must(counted > 0 || !last, "losses-are-counted", || {
                format!("push {number} is lost, and not counted")
            });
        }
        // Copies look like attempts, and who stands still looks dead: then the last one seems to be there, or nobody to
        // have the push, when that is not so.
        let by_copies = plan
            .faults
            .has_any(&[Fault::Copies, Fault::Reordering, Fault::Stalls]);
        let in_vain = homes().any(|home| home.counted_lost > 0 && !home.taken_since);
        // What was left is somebody's, and who gets the next attempt does not know.
        let was_left = |engine: &usize| engines[*engine].was_left();
        let was_left = homes().any(|home| home.handled_by.iter().any(was_left));
        let excused = by_copies || unrecorded > 0 || touched_by_death || was_left;
        self.must(
            excused || !(stored && in_vain),
            "losses-are-counted",
            || format!("push {number} is counted as lost, and the store has it"),
        );

        let meters = || engines.iter().map(|slot| &slot.meter);
        let deaths = self.tally.deaths;
        let asked_again = u64::from(push.asks) * homes().map(|home| home.seen).sum::<u64>();
        let more = deaths
            + unrecorded
            + asked_again
            + self.tally.stalls
            // What was left comes beside what the next attempt brings, and both are in a call whose answer is lost.
            + self.tally.handovers * (1 + self.tally.api_answers_lost)
            + self.tally.api_answers_lost
            + (progress.homes.len() as u64).saturating_sub(1);
        if let Some(tag) = push.tag {
            let times = api.tagged.get(&(push.openid.clone(), tag)).copied();
            let times = times.unwrap_or(0);
            self.must(times <= 1 + more, "one-effect", || {
                format!("the tag of push {number} was given {times} times")
            });
            let given_up = meters().any(|meter| meter.tags_given_up > 0);
            let excused = push.asks || given_up || deaths + unrecorded > 0;
            self.must(!stored || excused || times > 0, "nothing-forgotten", || {
                format!("the tag of push {number} was never given")
            });
        }
        if push.follows {
            let times = api.shown.get(&push.openid).copied().unwrap_or(0);
            self.must(times <= 1 + more, "one-effect", || {
                format!("the profile of push {number} was asked for {times} times")
            });
            let rows = store
                .rows()
                .filter(|(_, row)| row.kind == TYPE_USER_SNAPSHOT && row.subject == push.openid);
            let rows = rows.count();
            self.must(rows <= 1, "one-effect", || {
                format!("push {number} left {rows} profiles")
            });
            let excused = deaths + unrecorded > 0
                || meters().any(|meter| meter.profiles_given_up > 0 || meter.overflow > 0);
            self.must(!stored || excused || rows > 0, "nothing-forgotten", || {
                format!("the profile of push {number} never came")
            });
        }
    }
}

impl Checks<'_> {
    /// What an application had to do with a push.
    #[expect(clippy::too_many_arguments, reason = "as above")]
    fn app_at_the_end(
        &mut self,
        number: usize,
        progress: &Progress,
        engines: &[Slot],
        store: &Store,
        api: &Api,
        app: &App,
        unrecorded: u64,
    ) {
        let plan = self.plan;
        let push = &plan.pushes[number];
        let Some(again) = push.app else { return };
        let alone = !plan.at_once && plan.poison != Some(number);
        let acted = app.acted[number];
        // Without the store nobody tells one node from the other, or one life of a node from the next.
        let most = if alone {
            1
        } else {
            progress.homes.len() as u64 + unrecorded
        };
        self.must(again || acted <= most, "app-once", || {
            format!("the application acted {acted} times on push {number}")
        });
        let said = format!("app{number} says ");
        let word = if again { "again" } else { "ask" };
        let sorry = format!("sorry {word}{number} {}", push.openid);
        let is_ours =
            |to: &str, text: &str| to == push.openid && (text.starts_with(&said) || text == sorry);
        let sent = api
            .sent
            .iter()
            .filter(|(to, text)| is_ours(to, text))
            .count() as u64;
        let answered = progress.homes.values().any(|home| home.reply.is_some());
        self.must(sent <= most, "reply-once", || {
            format!("the reply to push {number} was sent {sent} times")
        });
        let moved = store
            .ledger
            .entry(&push.id)
            .is_some_and(|entry| entry.moved);
        self.must(
            !(alone && !moved && answered && sent > 0),
            "reply-once",
            || format!("the reply to push {number} was given to an attempt, and sent"),
        );
        let meters = || engines.iter().map(|slot| &slot.meter);
        // Whoever gets an attempt when its owner is certainly dead takes the push over.
        let last = progress.homes.values().find_map(|home| home.last);
        let taken_over = plan.nodes.len() == 1
            && progress.homes.len() == 1
            && !progress.homes.values().any(|home| home.at_once)
            && last.is_some_and(|(engine, at_ms)| {
                let others = engines.iter().filter_map(|slot| slot.end);
                engines[engine].end.is_none()
                    && others
                        .max_by_key(|(_, at_ms)| *at_ms)
                        .is_none_or(|(_, end_ms)| end_ms + NOTICED_MS < at_ms)
            });
        let excused = (self.tally.deaths > 0 && !taken_over)
            || unrecorded > 0
            || !store.has(&push.id)
            || meters().any(|meter| meter.overflow > 0);
        let entry = store.ledger.entry(&push.id);
        let given = entry.is_some_and(|entry| entry.answer.is_some());
        self.must(excused || given, "nothing-forgotten", || {
            format!("no reply to push {number} was recorded")
        });
        let text = entry.and_then(|entry| entry.answer.as_ref()?.0.as_ref());
        let settled = entry.is_some_and(|entry| entry.delivery.is_some());
        let reached = text.is_none() || answered || settled;
        // The window is documented: the store takes a reply that it has handed out for given.
        let in_vain = progress.handed_in_vain && !reached;
        self.tally.handed_in_vain += u64::from(in_vain);
        self.must(excused || reached || in_vain, "nothing-forgotten", || {
            format!("the reply to push {number} reached nobody, and nobody knows")
        });
    }
}

impl Manners {
    /// A call did not work: when the next may come at the earliest. Source: `weir_engine`'s outbox.
    pub(crate) fn failed(&mut self, retry_after_s: Option<u32>, now_ms: u64) {
        self.again = std::mem::take(&mut self.sent);
        self.failures += 1;
        let pause_ms = match retry_after_s {
            Some(s) => u64::from(s.min(60)) * 1_000,
            None => (100 << (self.failures - 1).min(20)).min(1_500) / 2,
        };
        self.not_before_ms = now_ms + pause_ms;
    }
}

/// What kind of input it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Woken,
    /// With so many events and replies.
    HandOver {
        had: u64,
    },
    Other,
}

fn text_in(outcome: &CallOutcome<'_>, name: &str) -> Option<String> {
    let CallOutcome::Answer {
        status: 200, body, ..
    } = outcome
    else {
        return None;
    };
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    value[name].as_str().map(str::to_owned)
}
