//! Replies that came too late to be replies, and go out as customer-service messages.
//!
//! ```text
//!  Waiting ──no attempt took it──▶ Asking ──store: yours──▶ Due ──▶ Sending ──▶ recorded
//!     │                              │                       ▲         │
//!     └ an attempt took it: done     └ done elsewhere: done  └─────────┘ WeChat refused the token, or the host the call
//! ```
//!
//! A reply reaches the user once: on this node the push's slot goes from `Ready` to `Silent` by compare-and-set before
//! anything is sent, and an attempt that comes later gets nothing; between nodes the store gives the right to send to one,
//! and to none when an attempt got the reply elsewhere. A send whose outcome is not known is not repeated.
//!
//! # Bounds
//! They count towards `forwards_max`. The queue is this worker's memory: a crash loses it, the reply is in the store; what
//! is replaced leaves it to others (`handover`).

use std::collections::BTreeSet;

use weir_protocol::api::{self, AnswerError, Class};
use weir_protocol::reply::Reply;
use weir_store_api::{TYPE_REPLY_LATE, TYPE_REPLY_SENT, TYPE_REPLY_UNDELIVERABLE, Work, WorkState};

use crate::backoff::Backoff;
use crate::claims::Fingerprint;
use crate::config::{AccountId, LateReplies};
use crate::engine::{Engine, Env};
use crate::event::{self, About, EventId};
use crate::fold::FoldMap;
use crate::input::{Call, CallOutcome};
use crate::metric::{LateOutcome, Metric};
use crate::outbox::{Event, FollowUp, Then};
use crate::owners::OwnerId;
use crate::planted::{Bug, planted};
use crate::tokens;

/// How often a send is begun.
const MAX_TRIES: u32 = 5;
/// Until there is an access token, or room.
const LOOK_AGAIN_MS: u64 = 200;
/// How long a send may wait for those.
pub(crate) const GIVE_UP_MS: u64 = 60_000;
const BACKOFF: Backoff = Backoff {
    first_ms: 200,
    most_ms: 5_000,
};

/// A reply that nobody got yet.
pub(crate) struct Late {
    pub(crate) account: AccountId,
    pub(crate) appid: String,
    pub(crate) push: EventId,
    pub(crate) openid: String,
    pub(crate) claimant: String,
    pub(crate) reply: Reply<'static>,
    /// Whose the push's slot is: ours, or of the engine that left it to us.
    pub(crate) owner: OwnerId,
    pub(crate) stage: Stage,
    /// When to begin.
    pub(crate) due_ms: u64,
    tries: u32,
    /// The access token of the call in flight.
    token: String,
    give_up_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// An attempt may take it.
    Waiting,
    /// No attempt can have it.
    Free,
    Asking,
    Due,
    Sending,
}

impl Late {
    pub(crate) fn new(
        account: AccountId,
        appid: String,
        push: EventId,
        openid: String,
        claimant: String,
        reply: Reply<'static>,
        owner: OwnerId,
    ) -> Self {
        Self {
            account,
            appid,
            push,
            openid,
            claimant,
            reply,
            owner,
            stage: Stage::Waiting,
            due_ms: 0,
            tries: 0,
            token: String::new(),
            give_up_ms: u64::MAX,
        }
    }
}

/// The late replies of one engine.
#[derive(Default)]
pub(crate) struct Lates {
    by_print: FoldMap<Fingerprint, Late>,
    due: BTreeSet<(u64, Fingerprint)>,
}

impl Lates {
    pub(crate) fn len(&self) -> usize {
        self.by_print.len()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Late> {
        self.by_print.values()
    }

    pub(crate) fn has(&self, print: Fingerprint) -> bool {
        self.by_print.contains_key(&print)
    }

    /// Does something about a reply when it is due.
    pub(crate) fn insert(&mut self, print: Fingerprint, late: Late) {
        self.due.insert((late.due_ms, print));
        self.by_print.insert(print, late);
    }
}

impl Engine {
    /// Sends a reply after so long, unless an attempt takes it before; at once when none can have it.
    pub(crate) fn send_late(
        &mut self,
        print: Fingerprint,
        mut late: Late,
        wait_ms: Option<u64>,
        env: &Env<'_>,
    ) {
        late.due_ms = env.now.mono_ms + wait_ms.unwrap_or(0);
        if wait_ms.is_none() {
            late.stage = Stage::Free;
        }
        self.lates.insert(print, late);
    }

    /// Does what is due. Only from the root.
    pub(crate) fn start_sends(&mut self, env: &mut Env<'_>) {
        while let Some((due_ms, print)) = self.lates.due.first().copied() {
            if due_ms > env.now.mono_ms {
                return;
            }
            self.lates.due.pop_first();
            match self.lates.by_print.get(&print).map(|late| late.stage) {
                Some(Stage::Waiting | Stage::Free) => self.ask_to_send(print, env),
                Some(Stage::Due) => self.send(print, env),
                Some(Stage::Asking | Stage::Sending) | None => {}
            }
        }
    }

    fn ask_to_send(&mut self, print: Fingerprint, env: &mut Env<'_>) {
        let config = self.config.clone();
        if !self.outbox.has_room(&config.limits) {
            return self.look_again(print, env);
        }
        let Some(late) = self.lates.by_print.get_mut(&print) else {
            return;
        };
        if late.stage == Stage::Waiting {
            match self.claims.send(env.shared, print, late.owner) {
                Some(true) => {}
                Some(false) => {
                    self.lates.by_print.remove(&print);
                    return;
                }
                None => {
                    late.tries += 1;
                    if late.tries < MAX_TRIES {
                        return self.look_again(print, env);
                    }
                    return self.undeliverable(print, LateOutcome::Unknown, None, env);
                }
            }
        }
        late.stage = Stage::Free;
        let Some(account) = config.account(late.account) else {
            return;
        };
        let may = account.late_replies == LateReplies::Send && config.wechat_api.is_some();
        if !may {
            return self.undeliverable(print, LateOutcome::NotAllowed, None, env);
        }
        if api::write_custom_message(&late.openid, &late.reply).is_none() {
            return self.undeliverable(print, LateOutcome::Kind, None, env);
        }
        late.stage = Stage::Asking;
        let about = About {
            account,
            appid: &late.appid,
            push: late.push,
            openid: &late.openid,
        };
        let json = event::reply_late(
            &about,
            TYPE_REPLY_LATE,
            Some(&late.claimant),
            None,
            None,
            env.now,
        );
        let follow_up = FollowUp {
            late: Some(print),
            ..FollowUp::default()
        };
        let then = Then {
            answer: None,
            follow_up: Some(Box::new(follow_up)),
        };
        self.outbox.push(Event { json, then }, env.now.mono_ms);
    }

    /// The store says who may send.
    pub(crate) fn on_late(&mut self, print: Fingerprint, work: Option<&Work>, env: &Env<'_>) {
        let Some(late) = self.lates.by_print.get_mut(&print) else {
            return;
        };
        match work.map(|work| work.state) {
            state
                if planted(Bug::SentThoughGiven)
                    || matches!(state, None | Some(WorkState::Yours)) =>
            {
                late.stage = Stage::Due;
                late.give_up_ms = env.now.mono_ms + GIVE_UP_MS;
                self.lates.due.insert((env.now.mono_ms, print));
            }
            _ => {
                let account = late.account;
                self.lates.by_print.remove(&print);
                self.count(Metric::LateReply {
                    account,
                    outcome: LateOutcome::Answered,
                });
            }
        }
    }

    fn send(&mut self, print: Fingerprint, env: &mut Env<'_>) {
        let config = self.config.clone();
        let Some(late) = self.lates.by_print.get(&print) else {
            return;
        };
        if env.now.mono_ms >= late.give_up_ms {
            return self.undeliverable(print, LateOutcome::Refused, None, env);
        }
        let id = late.account;
        let (Some(account), Some(peer)) = (config.account(id), &config.wechat_api) else {
            return;
        };
        let Some(token) = self.access_token(id, account, peer, env) else {
            return self.look_again(print, env);
        };
        let Some(late) = self.lates.by_print.get_mut(&print) else {
            return;
        };
        let Some(body) = api::write_custom_message(&late.openid, &late.reply) else {
            return;
        };
        late.stage = Stage::Sending;
        late.tries += 1;
        late.token.clone_from(&token);
        let path = api::path_with_token(api::CUSTOM_SEND_PATH, &token);
        self.call(Call::Send(print), peer, path, "application/json", body);
    }

    fn look_again(&mut self, print: Fingerprint, env: &Env<'_>) {
        self.lates
            .due
            .insert((env.now.mono_ms + LOOK_AGAIN_MS, print));
    }

    pub(crate) fn on_send(
        &mut self,
        print: Fingerprint,
        outcome: &CallOutcome<'_>,
        env: &mut Env<'_>,
    ) {
        let config = self.config.clone();
        let random = env.random_u32();
        let Some(late) = self.lates.by_print.get_mut(&print) else {
            return;
        };
        let Some(account) = config.account(late.account) else {
            return;
        };
        let again_ms = env.now.mono_ms + BACKOFF.pause_ms(late.tries, random);
        let error = match outcome {
            CallOutcome::Answer {
                status: 200, body, ..
            } => match api::check(body) {
                Ok(()) => return self.sent(print, env),
                Err(AnswerError::Refused(error)) => error,
                Err(AnswerError::Malformed) => {
                    return self.undeliverable(print, LateOutcome::Unknown, None, env);
                }
            },
            // It has not left the house.
            _ if late.tries < MAX_TRIES
                && (matches!(outcome, CallOutcome::Refused) || planted(Bug::SendRepeated)) =>
            {
                late.stage = Stage::Due;
                self.lates.due.insert((again_ms, print));
                return;
            }
            _ => return self.undeliverable(print, LateOutcome::Unknown, None, env),
        };
        let (class, account_id) = (error.class(), late.account);
        let may_repeat = class == Class::Token && late.tries < MAX_TRIES;
        if class == Class::Token {
            tokens::invalidate(env.shared, &account.appid, &late.token);
        }
        if may_repeat {
            late.stage = Stage::Due;
            let at_once = late.tries == 1;
            let due_ms = if at_once { env.now.mono_ms } else { again_ms };
            self.lates.due.insert((due_ms, print));
        } else {
            self.undeliverable(print, LateOutcome::Refused, Some(error.errcode), env);
        }
        self.count_api_error(account_id, Some(class));
    }

    fn sent(&mut self, print: Fingerprint, env: &Env<'_>) {
        self.settle_late(print, TYPE_REPLY_SENT, LateOutcome::Sent, None, env);
    }

    fn undeliverable(
        &mut self,
        print: Fingerprint,
        why: LateOutcome,
        errcode: Option<i64>,
        env: &Env<'_>,
    ) {
        self.settle_late(print, TYPE_REPLY_UNDELIVERABLE, why, errcode, env);
    }

    fn settle_late(
        &mut self,
        print: Fingerprint,
        kind: &'static str,
        outcome: LateOutcome,
        errcode: Option<i64>,
        env: &Env<'_>,
    ) {
        let config = self.config.clone();
        let Some(late) = self.lates.by_print.remove(&print) else {
            return;
        };
        let Some(account) = config.account(late.account) else {
            return;
        };
        let reason = (outcome != LateOutcome::Sent).then(|| outcome.label());
        let about = About {
            account,
            appid: &late.appid,
            push: late.push,
            openid: &late.openid,
        };
        let json = event::reply_late(&about, kind, None, reason, errcode, env.now);
        self.keep_or_count(json, env);
        let account = late.account;
        self.count(Metric::LateReply { account, outcome });
    }
}
