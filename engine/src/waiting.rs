//! Streams that wait for what becomes of their push: answered, withheld, or given to whoever goes on with it.

use std::borrow::Cow;

use weir_protocol::envelope::Envelope;
use weir_protocol::push::Format;

use crate::admit::Seal;
use crate::claims::{Claim, Fingerprint};
use crate::config::{Account, Ack};
use crate::effect::{Effect, Response};
use crate::engine::{Engine, Env};
use crate::event;
use crate::exchange::{Answer, Parked, Role};
use crate::forward::Stage;
use crate::input::StreamId;
use crate::metric::{Metric, Outcome};
use crate::outbox::{Event, Then};
use crate::planted::{Bug, planted};
use crate::pushes::COME_AGAIN;
use crate::rules::Facts;

/// "No reply": never encrypted. Source: wechat-protocol 3.3.
const SUCCESS: &[u8] = b"success";

impl Engine {
    /// Answers every stream that waits for `print`, and remembers that it was answered.
    pub(crate) fn answer_waiting(&mut self, print: Fingerprint, env: &mut Env<'_>) {
        // The time is up, or the store keeps no such knowledge: the user gets the reply for somebody unknown.
        self.decide_late(print, &Facts::default(), env);
        if self.exchanges.forward_mut(print).is_some() {
            return;
        }
        if self.claims.answered(env.shared, print) {
            self.wake_others(env);
        }
        self.release_waiting(print, env);
    }

    /// Answers every stream that waits for `print` and is in time.
    pub(crate) fn release_waiting(&mut self, print: Fingerprint, env: &mut Env<'_>) {
        let deadline_ms = self.config.limits.reply_deadline_ms;
        let closed = self.exchanges.close(print, deadline_ms, env.now.mono_ms);
        let Some((exchange, streams)) = closed else {
            return;
        };
        let reply = match exchange.answer() {
            Answer::Ready(reply) => reply.as_deref(),
            Answer::AsksStore(_) | Answer::AsksApp(_) => None,
        };
        for (stream, parked) in streams {
            self.respond(stream, &parked, reply, env);
        }
    }

    /// Lets the streams beside another worker have what that one was told.
    fn release_with(&mut self, print: Fingerprint, reply: Option<Vec<u8>>, env: &mut Env<'_>) {
        self.exchanges.set_answer(print, Answer::Ready(reply));
        self.release_waiting(print, env);
    }

    /// Answers one stream with `success`. What it waited for goes on.
    pub(crate) fn acknowledge(&mut self, stream: StreamId, env: &mut Env<'_>) {
        let deadline_ms = self.config.limits.reply_deadline_ms;
        let in_time = (self.exchanges).is_in_time(stream, deadline_ms, env.now.mono_ms);
        if in_time && let Some(parked) = self.exchanges.unpark(stream, deadline_ms) {
            self.respond(stream, &parked, None, env);
        }
    }

    /// Ends a stream that nobody reads any more.
    pub(crate) fn withhold(&mut self, stream: StreamId) {
        let deadline_ms = self.config.limits.reply_deadline_ms;
        let Some(parked) = self.exchanges.unpark(stream, deadline_ms) else {
            return;
        };
        self.count(Metric::Push {
            account: parked.account,
            kind: parked.kind,
            outcome: Outcome::Withheld,
        });
        self.want(Effect::Respond {
            stream,
            response: COME_AGAIN,
        });
    }

    /// Looks what has become of the pushes that other workers own.
    pub(crate) fn look_beside(&mut self, env: &mut Env<'_>) {
        let deadline_ms = self.config.limits.reply_deadline_ms;
        for print in self.exchanges.beside() {
            let awaited = self
                .exchanges
                .is_awaited(print, deadline_ms, env.now.mono_ms);
            let has_room = self.outbox.has_room(&self.config.limits);
            match self.claims.look(env.shared, print, awaited, env.now) {
                Claim::InFlight { sighting, .. } => {
                    if let Some(exchange) = self.exchanges.get_mut(print) {
                        exchange.attempts = exchange.attempts.max(sighting.attempts);
                    }
                }
                Claim::Silent => self.release_with(print, None, env),
                Claim::Replied(_) => match self.late_replies.get(env.shared, print) {
                    Some(reply) => self.release_with(print, Some(reply), env),
                    None if has_room => self.take_over(print, false, env),
                    None => {}
                },
                Claim::Answered(_) if !self.exchanges.asks_store(print) => {
                    self.release_waiting(print, env);
                }
                Claim::TakenOver { called, .. } if has_room => self.take_over(print, called, env),
                // Whoever has room first; perhaps we, at the next turn.
                Claim::TakenOver { .. } => self.claims.release(env.shared, print),
                // It was answered with what the store told its owner, and tells us too; or its slot made room for
                // another push: the store keeps one either way.
                Claim::Answered(_) | Claim::First | Claim::Unrecorded if has_room => {
                    self.take_over(print, false, env);
                }
                Claim::Answered(_) | Claim::First | Claim::Unrecorded => {}
            }
        }
    }

    fn take_over(&mut self, print: Fingerprint, called: bool, env: &mut Env<'_>) {
        let Some(event) = self.exchanges.take_over(print) else {
            return;
        };
        if let Some(forward) = self.exchanges.forward_mut(print) {
            forward.stage = if called || forward.called {
                Stage::Orphaned
            } else {
                Stage::Claiming
            };
        }
        if !planted(Bug::TakeOverLosesEvent) {
            self.outbox.push(event, env.now.mono_ms);
        }
        if self.config.store.ack == Ack::AtOnce && self.exchanges.forward(print).is_some() {
            self.on_work(print, None, env);
        }
    }

    /// Puts the event of a push that another worker owns into our outbox as well, without claim and consequences: those
    /// are that worker's.
    pub(crate) fn keep_beside(&mut self, print: Fingerprint, env: &Env<'_>) {
        let Some(exchange) = self.exchanges.get(print) else {
            return;
        };
        let Role::Beside(event) = &exchange.role else {
            return;
        };
        let json = (self.unclaimed(print)).unwrap_or_else(|| event.json.clone());
        let has_room = !exchange.kept
            && !planted(Bug::LastAttemptNotKept)
            && self.outbox.has_room(&self.config.limits);
        if has_room {
            let then = Then::default();
            self.outbox.push(Event { json, then }, env.now.mono_ms);
            if let Some(exchange) = self.exchanges.get_mut(print) {
                exchange.kept = true;
            }
        }
    }

    /// The event of a push that waits for an application, without a claim.
    pub(crate) fn unclaimed(&self, print: Fingerprint) -> Option<Vec<u8>> {
        let account = (self.config).account(self.exchanges.get(print)?.account)?;
        let forward = self.exchanges.forward(print)?;
        forward.event(account, event::Ask::default())
    }

    pub(crate) fn respond(
        &mut self,
        stream: StreamId,
        parked: &Parked,
        reply: Option<&[u8]>,
        env: &mut Env<'_>,
    ) {
        let config = self.config.clone();
        let Some(account) = config.account(parked.account) else {
            return;
        };
        let outcome = if reply.is_some() {
            Outcome::Replied
        } else {
            Outcome::Acknowledged
        };
        let response = match reply {
            None => Response {
                status: 200,
                content_type: Some("text/plain"),
                body: Cow::Borrowed(SUCCESS),
            },
            Some(reply) => Response {
                status: 200,
                content_type: Some(match account.format {
                    Format::Xml => "application/xml",
                    Format::Json => "application/json",
                }),
                body: Cow::Owned(match &parked.seal {
                    None => reply.to_vec(),
                    Some(seal) => sealed(account, seal, reply, env),
                }),
            },
        };
        self.count(Metric::Push {
            account: parked.account,
            kind: parked.kind,
            outcome,
        });
        let ms = env.now.mono_ms.saturating_sub(parked.arrived_ms);
        self.count(Metric::ReplyMs {
            account: parked.account,
            ms,
        });
        self.want(Effect::Respond { stream, response });
    }
}

fn sealed(account: &Account, seal: &Seal, reply: &[u8], env: &mut Env<'_>) -> Vec<u8> {
    match (account.keys.get(seal.key), account.tokens.get(seal.token)) {
        (Some(key), Some(token)) => Envelope::seal(
            account.format,
            key,
            token,
            &account.appid,
            reply,
            env.now.unix_s(),
            &seal.nonce,
            &env.random(),
        ),
        // The seal names what decrypted this very push under this very configuration.
        _ => SUCCESS.to_vec(),
    }
}
