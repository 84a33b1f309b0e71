//! What calls must be, and what becomes of them.

use weir_engine::{Call, CallOutcome, HttpRequest};
use weir_store_api::{BatchAnswer, EventStatus, RawEvent};

use super::{Checks, EARLY_MS, KnownToken, LEASE_MS};
use crate::api::Api;
use crate::app::{self};
use crate::node::{Manners, Node, Slot};
use crate::store::Store;
use crate::world::Scope;

impl Checks<'_> {
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
