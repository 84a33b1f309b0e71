//! The life of a push: admit, claim, decide, persist, answer.

use std::borrow::Cow;

use weir_protocol::push::{Kind as PushKind, Push};
use weir_protocol::reply::Reply;

use crate::admit::{self, Seal};
use crate::claims::{Claim, Fingerprint, Sighting, Start};
use crate::config::{Account, AccountId, AccountKind, Ack};
use crate::effect::{Effect, Response};
use crate::engine::{ATTEMPTS, Engine, Env};
use crate::event::{self, EventId};
use crate::exchange::{Answer, Deferred, Parked, Role};
use crate::forward::{Forward, Stage};
use crate::input::{Method, Request, StreamId};
use crate::metric::{Kind, Loss, Metric, Outcome};
use crate::outbox::{Event, FollowUp, Follower, Then};
use crate::planted::{Bug, planted};
use crate::rules::{Decision, Facts};
use crate::tags::Tagging;
use crate::time::Now;

/// Everything a stranger learns.
const REFUSED: Response = Response::empty(403);
/// WeChat takes anything but 200 as a failure and comes again. Source: wechat-protocol 3.1.
pub(crate) const COME_AGAIN: Response = Response::empty(503);
/// Of an attempt that is turned away while its push is kept: nothing is lost, whichever it is.
const KEPT: u8 = 0;

/// A push that was understood, on its way to an answer.
struct Understood<'p> {
    push: &'p Push<'p>,
    /// What it was parsed from.
    body: &'p [u8],
    account: AccountId,
    /// The account it is about: the authorised one at a platform, else the account itself.
    appid: &'p str,
    kind: Kind,
    id: EventId,
    print: Fingerprint,
    /// The query it came with.
    query: &'p str,
    now: Now,
}

/// A push as it was first seen.
#[derive(Clone, Copy)]
struct Seen {
    create_time: u64,
    attempts: u8,
    /// Under which the work behind it is claimed at the store: of this node, and of this sight of the push.
    claimant: (u64, u64),
    /// Its owner died, and may have called the application.
    orphaned: bool,
}

impl Engine {
    pub(crate) fn on_request(
        &mut self,
        stream: StreamId,
        request: &Request<'_>,
        env: &mut Env<'_>,
    ) {
        let config = self.config.clone();
        let Some(account) = config.account(request.account) else {
            return self.want(Effect::Respond {
                stream,
                response: REFUSED,
            });
        };
        let refuse = |engine: &mut Self, kind, outcome| {
            engine.count(Metric::Push {
                account: request.account,
                kind,
                outcome,
            });
            let response = match outcome {
                Outcome::TooLarge => Response::empty(413),
                Outcome::Method => Response::empty(405),
                _ => REFUSED,
            };
            engine.want(Effect::Respond { stream, response });
        };
        match request.method {
            Method::Other => refuse(self, Kind::Unknown, Outcome::Method),
            Method::Get => {
                match admit::verification(account, request.query, &config.limits, env.now) {
                    Err(outcome) => refuse(self, Kind::Verification, outcome),
                    Ok(echostr) => {
                        self.count(Metric::Push {
                            account: request.account,
                            kind: Kind::Verification,
                            outcome: Outcome::Replied,
                        });
                        let response = Response {
                            status: 200,
                            content_type: Some("text/plain"),
                            body: Cow::Owned(echostr.into_bytes()),
                        };
                        self.want(Effect::Respond { stream, response });
                    }
                }
            }
            Method::Post => {
                if request.body.len() > config.limits.max_body_bytes {
                    return refuse(self, Kind::Unknown, Outcome::TooLarge);
                }
                let admitted = admit::push(
                    account,
                    request.query,
                    request.body,
                    &config.limits,
                    env.now,
                );
                let admitted = match admitted {
                    Ok(admitted) => admitted,
                    Err(outcome) => return refuse(self, Kind::Unknown, outcome),
                };
                let push = match Push::parse(&admitted.body) {
                    Ok(push) => push,
                    Err(_) => return refuse(self, Kind::Unknown, Outcome::Malformed),
                };
                if !is_for(account, request.authorizer, &push) {
                    return refuse(self, kind_of(&push), Outcome::WrongAccount);
                }
                let arrived = Arrived {
                    push: &push,
                    body: &admitted.body,
                    seal: admitted.seal,
                };
                self.on_push(stream, request, account, arrived, env);
            }
        }
    }

    fn on_push(
        &mut self,
        stream: StreamId,
        request: &Request<'_>,
        account: &Account,
        arrived: Arrived<'_>,
        env: &mut Env<'_>,
    ) {
        let Arrived { push, body, seal } = arrived;
        let mut identity = Vec::with_capacity(128);
        identity.extend_from_slice(account.name.as_bytes());
        identity.push(0);
        if let Some(authorizer) = request.authorizer {
            identity.extend_from_slice(authorizer.as_bytes());
            identity.push(0);
        }
        push.write_identity(&mut identity);
        let id = EventId::of(&identity);
        let print = Fingerprint::from(&id);
        let known = Understood {
            push,
            body,
            account: request.account,
            appid: request.authorizer.unwrap_or(&account.appid),
            kind: kind_of(push),
            id,
            print,
            query: request.query,
            now: env.now,
        };
        let parked = Parked {
            print,
            seal,
            arrived_ms: request.arrived_mono_ms,
            account: request.account,
            kind: known.kind,
        };

        let at_once = self.config.store.ack == Ack::AtOnce
            && !account.rules.forwards()
            && self.outbox.has_room(&self.config.limits);
        let start = if at_once {
            Start::Answered
        } else {
            Start::InFlight
        };
        let claim = self.claims.claim(env.shared, print, start, env.now);
        if !matches!(claim, Claim::First | Claim::Unrecorded) {
            self.count(Metric::DedupHit {
                account: request.account,
            });
        }
        let seen = |sighting: &Sighting| Seen {
            create_time: if planted(Bug::CopyHasItsOwnTime) {
                known.now.unix_s()
            } else {
                sighting.first_unix_s
            },
            attempts: sighting.attempts,
            claimant: (self.node, sighting.first_mono_ms),
            orphaned: false,
        };
        let first = Seen {
            create_time: env.now.unix_s(),
            attempts: 1,
            claimant: (self.node, env.now.mono_ms),
            orphaned: false,
        };
        match claim {
            // Its slot made room for another in between.
            Claim::First | Claim::Unrecorded if self.exchanges.get_mut(print).is_some() => {
                self.hold(stream, parked, &known);
            }
            // We have it since the table could not note that.
            Claim::TakenOver { .. } if self.exchanges.is_ours(print) => {
                self.hold(stream, parked, &known);
            }
            Claim::First => self.own(stream, parked, &known, account, first, env),
            Claim::Unrecorded => {
                // Nothing tells it from the same push at another worker but chance.
                let claimant = (u64::from_le_bytes(env.random()), env.now.mono_ms);
                let first = Seen { claimant, ..first };
                self.own(stream, parked, &known, account, first, env);
            }
            Claim::TakenOver { sighting, called } => {
                let taken = Seen {
                    orphaned: called,
                    ..seen(&sighting)
                };
                self.own(stream, parked, &known, account, taken, env);
            }
            Claim::Answered(sighting) => match known.plan(account, &seen(&sighting)).answer {
                Answer::Ready(reply) => self.respond(stream, &parked, reply.as_deref(), env),
                // What the store knew then it tells again.
                Answer::AsksStore(_) => {
                    let seen = seen(&sighting);
                    self.own(stream, parked, &known, account, seen, env);
                }
                // By the rules of before.
                Answer::AsksApp(_) => self.respond(stream, &parked, None, env),
            },
            Claim::Silent => self.respond(stream, &parked, None, env),
            Claim::Replied(sighting) => match self.late_replies.get(env.shared, print) {
                Some(reply) => self.respond(stream, &parked, Some(&reply), env),
                None => {
                    let seen = seen(&sighting);
                    self.own(stream, parked, &known, account, seen, env);
                }
            },
            Claim::InFlight { owner, sighting } => {
                if let Some(exchange) = self.exchanges.get_mut(print) {
                    exchange.attempts = exchange.attempts.max(sighting.attempts);
                } else if owner == self.me {
                    // Ours, and yet not here: an earlier attempt was turned away before it was kept.
                    let seen = seen(&sighting);
                    return self.own(stream, parked, &known, account, seen, env);
                } else {
                    if self.exchanges.parked() >= self.config.limits.parked_max {
                        return self.turn_away(stream, &known, KEPT);
                    }
                    let plan = known.plan(account, &seen(&sighting));
                    if matches!(plan.answer, Answer::AsksApp(_)) && !self.may_forward() {
                        return self.turn_away(stream, &known, KEPT);
                    }
                    let event = self.event_of(&known, account, &plan);
                    self.exchanges.open(
                        print,
                        known.account,
                        plan.answer,
                        sighting.attempts,
                        Role::Beside(event),
                    );
                }
                self.hold(stream, parked, &known);
            }
        }
    }

    /// Keeps the event, and answers now or when it is stored.
    fn own(
        &mut self,
        stream: StreamId,
        parked: Parked,
        known: &Understood<'_>,
        account: &Account,
        seen: Seen,
        env: &mut Env<'_>,
    ) {
        let at_once = self.config.store.ack == Ack::AtOnce;
        let limits = &self.config.limits;
        let full = !self.outbox.has_room(limits)
            || (!at_once && self.exchanges.parked() >= limits.parked_max);
        if full {
            self.claims.release(env.shared, known.print);
            return self.turn_away(stream, known, seen.attempts);
        }
        let mut plan = known.plan(account, &seen);
        if let Answer::AsksApp(forward) = &mut plan.answer {
            if !self.may_forward() || self.exchanges.parked() >= self.config.limits.parked_max {
                self.claims.release(env.shared, known.print);
                return self.turn_away(stream, known, seen.attempts);
            }
            if seen.orphaned {
                forward.stage = Stage::Orphaned;
            }
        }
        let event = self.event_of(known, account, &plan);
        self.outbox.push(event, env.now.mono_ms);
        match plan.answer {
            Answer::Ready(reply) if at_once => {
                // Where it may be forwarded, the claim began in flight.
                if seen.attempts > 1 || account.rules.forwards() {
                    self.claims.answered(env.shared, known.print);
                }
                self.respond(stream, &parked, reply.as_deref(), env);
            }
            answer => {
                let print = known.print;
                let asks_app = matches!(answer, Answer::AsksApp(_));
                self.exchanges
                    .open(print, known.account, answer, seen.attempts, Role::Owner);
                self.hold(stream, parked, known);
                if planted(Bug::ReplyBeforeCommit) {
                    self.release_waiting(print, env);
                }
                if (at_once || planted(Bug::AppBeforeClaim)) && asks_app {
                    if seen.orphaned {
                        // It may end here, for every stream that waits: that is the root's to say.
                        self.look_soon(print, env);
                    } else {
                        // As if the store knew of no work.
                        self.on_work(print, None, env);
                    }
                }
            }
        }
    }

    fn event_of(&self, known: &Understood<'_>, account: &Account, plan: &Plan) -> Event {
        let asks_profile = account.kind == AccountKind::OfficialAccount
            && account.app_secret.is_some()
            && matches!(known.kind, Kind::Subscribe);
        let ask = event::Ask {
            user: matches!(plan.answer, Answer::AsksStore(_)),
            claim: match &plan.answer {
                Answer::AsksApp(forward) => self.claim_of(forward),
                _ => None,
            },
        };
        let json = event::push(account, known.appid, known.id, known.push, ask, known.now);
        let follower = asks_profile.then(|| Follower {
            account: known.account,
            openid: known.push.from_user_name().to_owned(),
            because: known.id,
        });
        let tagging = (!plan.tags.is_empty()).then(|| Tagging {
            account: known.account,
            openid: known.push.openid().to_owned(),
            tags: plan.tags.clone(),
        });
        let follow_up = (follower.is_some() || tagging.is_some()).then(|| {
            Box::new(FollowUp {
                follower,
                tagging,
                late: None,
            })
        });
        Event {
            json,
            then: Then {
                answer: (self.config.store.ack == Ack::AfterStore).then_some(known.print),
                follow_up,
            },
        }
    }

    /// Decides about an exchange that waited for what the store knows of the user.
    pub(crate) fn decide_late(&mut self, print: Fingerprint, facts: &Facts, env: &Env<'_>) {
        let Some(exchange) = self.exchanges.get_mut(print) else {
            return;
        };
        if !matches!(exchange.answer(), Answer::AsksStore(_)) {
            return;
        }
        let account_id = exchange.account;
        let answer = self.exchanges.set_answer(print, Answer::Ready(None));
        let Some(Answer::AsksStore(deferred)) = answer else {
            return;
        };
        let config = self.config.clone();
        let Some(account) = config.account(account_id) else {
            return;
        };
        let Ok(push) = Push::parse(&deferred.body) else {
            return;
        };
        let openid = push.openid().to_owned();
        let decided = account
            .rules
            .decide(&push, deferred.id.as_bytes(), Some(facts));
        // With facts there is always a decision.
        let Ok(decision) = decided else { return };
        let tags = decision.tags.clone();
        let encoded = encode(account, &push, &decision.reply, deferred.create_time);
        let forwarded = decision.forward.filter(|_| self.may_forward());
        let answer = match forwarded {
            None => Answer::Ready(encoded),
            Some(app) => {
                let forward = Forward::new(app, decision.reply, *deferred);
                Answer::AsksApp(Box::new(forward))
            }
        };
        self.exchanges.set_answer(print, answer);
        // The event is stored, and comes again with a claim: the store keeps one.
        if forwarded.is_some()
            && let Some(event) = self.claiming_event(print)
        {
            self.outbox.push(event, env.now.mono_ms);
        }
        if !tags.is_empty() {
            let tagging = Tagging {
                account: account_id,
                openid,
                tags,
            };
            self.want_tags(tagging, env);
        }
    }

    /// Too much is in flight: what is not kept is not acknowledged.
    fn turn_away(&mut self, stream: StreamId, known: &Understood<'_>, attempts: u8) {
        if attempts >= ATTEMPTS && !planted(Bug::OverflowNotCounted) {
            self.count(Metric::Lost {
                reason: Loss::Overflow,
                count: 1,
            });
        }
        let (account, kind) = (known.account, known.kind);
        self.count(Metric::Push {
            account,
            kind,
            outcome: Outcome::Overload,
        });
        self.want(Effect::Respond {
            stream,
            response: COME_AGAIN,
        });
    }

    fn hold(&mut self, stream: StreamId, parked: Parked, known: &Understood<'_>) {
        if self.exchanges.parked() >= self.config.limits.parked_max {
            return self.turn_away(stream, known, KEPT);
        }
        self.exchanges
            .park(stream, parked, self.config.limits.reply_deadline_ms);
    }
}

/// A push that came in, and what is needed to answer it.
struct Arrived<'a> {
    push: &'a Push<'a>,
    body: &'a [u8],
    seal: Option<Seal>,
}

/// What is to be done about a push.
struct Plan {
    answer: Answer,
    tags: Vec<u32>,
}

impl Understood<'_> {
    /// What the rules say. Where that depends on others, what is needed to go on is kept.
    fn plan(&self, account: &Account, seen: &Seen) -> Plan {
        let decided = account.rules.decide(self.push, self.id.as_bytes(), None);
        let Ok(decision) = decided else {
            return Plan {
                answer: Answer::AsksStore(Box::new(self.deferred(seen))),
                tags: Vec::new(),
            };
        };
        let Decision {
            reply,
            forward,
            tags,
        } = decision;
        let answer = match forward {
            Some(app) => Answer::AsksApp(Box::new(Forward::new(app, reply, self.deferred(seen)))),
            None => Answer::Ready(encode(account, self.push, &reply, seen.create_time)),
        };
        Plan { answer, tags }
    }

    fn deferred(&self, seen: &Seen) -> Deferred {
        let alike = u64::from(!planted(Bug::ClaimantsAlike));
        let (node, first_ms) = (seen.claimant.0 * alike, seen.claimant.1 * alike);
        Deferred {
            body: self.body.to_vec(),
            id: self.id,
            appid: self.appid.to_owned(),
            create_time: seen.create_time,
            received: self.now,
            query: self.query.to_owned(),
            claimant: format!("{node:x}-{first_ms:x}"),
        }
    }
}

/// The reply, not sealed; `None` is `success`. A text of nothing but control characters is `success` too, and that is
/// never sealed.
fn encode(
    account: &Account,
    push: &Push<'_>,
    reply: &Reply<'_>,
    create_time: u64,
) -> Option<Vec<u8>> {
    (!reply.is_silent()).then(|| {
        let (to, from) = (push.from_user_name(), push.to_user_name());
        reply.encode(account.format, to, from, create_time)
    })
}

/// Whether a push is meant for the account, or for one that authorised it.
fn is_for(account: &Account, authorizer: Option<&str>, push: &Push<'_>) -> bool {
    match push.kind() {
        // Notices about authorisations; those of WeCom name the suite in other fields.
        PushKind::Component { .. } => {
            authorizer.is_none()
                && (account.kind == AccountKind::WeCom
                    || push
                        .fields()
                        .text("AppId")
                        .is_some_and(|appid| appid == account.appid))
        }
        // The platform's key opened it, and the path says whose it is.
        _ if account.kind == AccountKind::ThirdPartyPlatform => authorizer.is_some(),
        _ => push.to_user_name() == account.original_id,
    }
}

fn kind_of(push: &Push<'_>) -> Kind {
    match push.kind() {
        PushKind::Text { .. } => Kind::Text,
        PushKind::Subscribe { .. } => Kind::Subscribe,
        PushKind::Unsubscribe => Kind::Unsubscribe,
        PushKind::Scan { .. } => Kind::Scan,
        PushKind::OtherMessage(_) => Kind::OtherMessage,
        PushKind::OtherEvent(_) => Kind::OtherEvent,
        PushKind::Component { .. } => Kind::Component,
    }
}
