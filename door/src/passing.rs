//! The door's decisions about WeChat's answers, while they pass.

use weir_engine::{Env, StreamId, tokens};
use weir_protocol::api::{AnswerError, Class};

use crate::admit::Put;
use crate::cache::{self};
use crate::door::Door;
use crate::effect::Effect;
use crate::exchange::{MAX_BUSY_REPLAYS, MAX_TOKEN_REPLAYS, Stage};
use crate::metric::Metric;
use crate::quota;
use crate::sends::Sent;
use crate::verdict::Verdict;

/// An answer that is longer than this says no error.
const MAX_ERROR_BYTES: usize = 4 * 1_024;
/// Longest answer that is kept for others, or read for what was sent.
const MAX_ANSWER_BYTES: usize = 64 * 1_024;
/// Until a busy WeChat is asked again; twice that the second time.
const BUSY_PAUSE_MS: u64 = 300;

/// What to do with an answer that is passing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    /// It passes, and the rest of it.
    On,
    /// The same, and what became of the message is said in headers of the answer.
    Sent(Verdict),
    /// There is more to come before that can be said.
    More,
    /// It is held back; an [`Effect`] will say.
    Hold,
}

/// An answer of WeChat's, of which the host holds headers and body back.
pub trait HeldAnswer {
    /// Its status; 0 if it cannot be read.
    fn status(&self) -> u16;
    /// The first `size` bytes of its body; none if they cannot be read.
    fn body(&self, size: usize) -> Vec<u8>;
}

impl Door {
    /// WeChat's answer has no body.
    pub fn on_empty_answer(&mut self, stream: StreamId, env: &mut Env<'_>) {
        if self.is_forwarded(stream) {
            self.over(stream, Sent::Unknown, &[], env);
        }
    }

    fn is_forwarded(&self, stream: StreamId) -> bool {
        let exchange = self.exchanges.get(&stream);
        exchange.is_some_and(|exchange| exchange.stage == Stage::Forwarded)
    }

    /// So much of the answer's body is there.
    pub fn on_answer(
        &mut self,
        stream: StreamId,
        size: usize,
        ends: bool,
        held: impl HeldAnswer,
        env: &mut Env<'_>,
    ) -> Passing {
        let Some(exchange) = self.exchanges.get_mut(&stream) else {
            return Passing::On;
        };
        if exchange.stage != Stage::Forwarded {
            return Passing::On;
        }
        let reads_all = exchange.send.is_some() || exchange.thing.is_some();
        let most = if reads_all {
            MAX_ANSWER_BYTES
        } else {
            MAX_ERROR_BYTES
        };
        if size > most {
            self.over(stream, Sent::Unknown, &[], env);
            return Passing::On;
        }
        if !ends {
            return Passing::More;
        }
        let is_send = exchange.send.is_some();
        let answer = held.body(size);
        let (said, says_so) = exchange.read(&answer);
        // All is well with a message, or with what nobody keeps: that is what mostly is, and then nothing hangs on the status.
        let kept = exchange.thing.is_some() || exchange.is_clear_quota();
        let sure = said.is_ok() && !kept && (says_so || !is_send);
        if !sure && held.status() != 200 {
            self.over(stream, Sent::Unknown, &[], env);
            return Passing::On;
        }
        if self.judge(stream, &answer, &said, env) {
            Passing::Hold
        } else if is_send {
            Passing::Sent(Verdict::by(&said))
        } else {
            Passing::On
        }
    }

    /// What an answer means that says `said`. `true`: it is asked again; otherwise it is over.
    pub(crate) fn judge(
        &mut self,
        stream: StreamId,
        answer: &[u8],
        said: &Result<(), AnswerError>,
        env: &mut Env<'_>,
    ) -> bool {
        let config = self.config.clone();
        let Some(exchange) = self.exchanges.get_mut(&stream) else {
            return false;
        };
        let id = exchange.admitted.account;
        let Some(account) = config.account(id) else {
            return false;
        };
        let error = match said {
            Ok(()) => {
                self.over(stream, Sent::Answered(0), answer, env);
                return false;
            }
            // A file, or a page of somebody in between.
            Err(AnswerError::Malformed) => {
                self.over(stream, Sent::Unknown, answer, env);
                return false;
            }
            Err(AnswerError::Refused(error)) => error,
        };
        let class = error.class();
        let has_body = exchange.body.is_some() && !exchange.gone;
        let now_ms = env.now.mono_ms;
        let replays = match class {
            Class::Token if exchange.put() == Put::AccessToken => {
                tokens::invalidate(env.shared, &account.appid, &exchange.token);
                self.known.remove(&id);
                self.wanted.insert(id);
                exchange.token_replays += 1;
                exchange.stage = Stage::Refused { since_ms: now_ms };
                has_body && exchange.token_replays <= MAX_TOKEN_REPLAYS
            }
            Class::Transient | Class::MinuteQuota if exchange.is_idempotent() => {
                exchange.busy_replays += 1;
                let pause_ms = BUSY_PAUSE_MS << exchange.busy_replays;
                exchange.stage = Stage::Busy {
                    again_ms: now_ms + pause_ms,
                };
                has_body && exchange.busy_replays <= MAX_BUSY_REPLAYS
            }
            _ => false,
        };
        if class == Class::DailyQuota {
            let path = exchange.admitted.path.clone();
            quota::stop(env.shared, &account.appid, &path, env.now.unix_s());
        }
        let class = class.name();
        self.count(Metric::ApiError { account: id, class });
        if replays {
            self.waiting.insert(stream);
            self.wake();
        } else {
            self.over(stream, Sent::Answered(error.errcode), answer, env);
        }
        replays
    }

    /// The last word on a request has been said.
    pub(crate) fn over(&mut self, stream: StreamId, sent: Sent, answer: &[u8], env: &mut Env<'_>) {
        let config = self.config.clone();
        let Some(exchange) = self.exchanges.remove(&stream) else {
            return;
        };
        self.waiting.remove(&stream);
        let (Some(account), Some(client)) = (
            config.account(exchange.admitted.account),
            config.clients.get(exchange.admitted.client),
        ) else {
            return;
        };
        if let Some(thing) = exchange.thing {
            let good = (sent == Sent::Answered(0)).then_some(answer);
            cache::put(env.shared, &account.appid, thing, good, env.now.mono_ms);
        }
        if exchange.is_clear_quota() && sent == Sent::Answered(0) {
            quota::clear(env.shared, &account.appid);
        }
        if let Some(send) = &exchange.send
            && config.store.is_some()
        {
            let event = send.event(account, client, env.random(), sent, env.now);
            if !self.records.push(event, config.limits.outbox_max_events) {
                let reason = "overflow";
                self.effects
                    .push_back(Effect::Count(Metric::Lost { reason }, 1));
            }
            // Otherwise the tick takes many of them at once: a call to the store costs as much as one to WeChat.
            if self.records.is_a_batch() {
                self.wake();
            }
        }
    }
}
