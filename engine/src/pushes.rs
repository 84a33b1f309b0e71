//! The life of a push: admit, claim, decide, persist, answer.

use std::borrow::Cow;

use weir_protocol::envelope::Envelope;
use weir_protocol::push::{Format, Kind as PushKind, Push};

use crate::admit::{self, Seal};
use crate::claims::{Claim, Fingerprint, Start};
use crate::config::{Account, AccountId, AccountKind, Ack};
use crate::effect::{Effect, Response};
use crate::engine::{ATTEMPTS, Engine, Env};
use crate::event::{self, EventId};
use crate::exchange::{Answer, Deferred, Parked, Role};
use crate::input::{Method, Request, StreamId};
use crate::metric::{Kind, Loss, Metric, Outcome};
use crate::outbox::{Event, FollowUp, Follower, Then};
use crate::rules::{Decision, Facts};
use crate::tags::Tagging;

/// Everything a stranger learns.
const REFUSED: Response = Response::empty(403);
/// WeChat takes anything but 200 as a failure and comes again. Source: wechat-protocol 3.1.
const COME_AGAIN: Response = Response::empty(503);
/// "No reply": never encrypted. Source: wechat-protocol 3.3.
const SUCCESS: &[u8] = b"success";

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
        };
        let parked = Parked {
            print,
            seal,
            arrived_ms: request.arrived_mono_ms,
        };

        let at_once =
            self.config.store.ack == Ack::AtOnce && self.outbox.has_room(&self.config.limits);
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
        match claim {
            Claim::First | Claim::Unrecorded => {
                self.own(stream, parked, &known, account, env.now.unix_s(), 1, env);
            }
            Claim::TakenOver(seen) => {
                self.own(
                    stream,
                    parked,
                    &known,
                    account,
                    seen.first_unix_s,
                    seen.attempts,
                    env,
                );
            }
            Claim::Answered(seen) => match known.plan(account, seen.first_unix_s).answer {
                Answer::Ready(reply) => {
                    let (account, kind) = (known.account, known.kind);
                    self.respond(stream, &parked, account, kind, reply.as_deref(), env);
                }
                // What the store knew then it tells again.
                Answer::AsksStore(_) => {
                    let (first, attempts) = (seen.first_unix_s, seen.attempts);
                    self.own(stream, parked, &known, account, first, attempts, env);
                }
            },
            Claim::InFlight { owner, sighting } => {
                if let Some(exchange) = self.exchanges.get_mut(print) {
                    exchange.attempts = exchange.attempts.max(sighting.attempts);
                } else if owner == self.me {
                    // Ours, and yet not here: an earlier attempt was turned away before it was kept.
                    let (first, attempts) = (sighting.first_unix_s, sighting.attempts);
                    return self.own(stream, parked, &known, account, first, attempts, env);
                } else {
                    if self.exchanges.parked() >= self.config.limits.parked_max {
                        return self.turn_away(stream, &known, sighting.attempts);
                    }
                    let plan = known.plan(account, sighting.first_unix_s);
                    let event = self.event_of(&known, account, &plan, env);
                    self.exchanges.open(
                        print,
                        known.account,
                        known.kind,
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
    #[expect(
        clippy::too_many_arguments,
        reason = "the one place where all that is known meets"
    )]
    fn own(
        &mut self,
        stream: StreamId,
        parked: Parked,
        known: &Understood<'_>,
        account: &Account,
        first_unix_s: u64,
        attempts: u8,
        env: &mut Env<'_>,
    ) {
        let at_once = self.config.store.ack == Ack::AtOnce;
        let limits = &self.config.limits;
        let full = !self.outbox.has_room(limits)
            || (!at_once && self.exchanges.parked() >= limits.parked_max);
        if full {
            self.claims.release(env.shared, known.print);
            return self.turn_away(stream, known, attempts);
        }
        let plan = known.plan(account, first_unix_s);
        let event = self.event_of(known, account, &plan, env);
        self.outbox.push(event, env.now.mono_ms);
        match plan.answer {
            Answer::Ready(reply) if at_once => {
                if attempts > 1 {
                    self.claims.answered(env.shared, known.print);
                }
                let (account, kind) = (known.account, known.kind);
                self.respond(stream, &parked, account, kind, reply.as_deref(), env);
            }
            answer => {
                let (account, kind) = (known.account, known.kind);
                self.exchanges
                    .open(known.print, account, kind, answer, attempts, Role::Owner);
                self.hold(stream, parked, known);
            }
        }
    }

    fn event_of(
        &self,
        known: &Understood<'_>,
        account: &Account,
        plan: &Plan,
        env: &Env<'_>,
    ) -> Event {
        let asks_profile = account.kind == AccountKind::OfficialAccount
            && account.app_secret.is_some()
            && matches!(known.kind, Kind::Subscribe);
        let asks_store = matches!(plan.answer, Answer::AsksStore(_));
        let json = event::push(
            account,
            known.appid,
            known.id,
            known.push,
            asks_store,
            env.now,
        );
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
        let follow_up = (follower.is_some() || tagging.is_some())
            .then(|| Box::new(FollowUp { follower, tagging }));
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
        if !matches!(exchange.answer, Answer::AsksStore(_)) {
            return;
        }
        let account_id = exchange.account;
        let answer = std::mem::replace(&mut exchange.answer, Answer::Ready(None));
        let Answer::AsksStore(deferred) = answer else {
            return;
        };
        let config = self.config.clone();
        let (Some(account), Ok(push)) = (config.account(account_id), Push::parse(&deferred.body))
        else {
            return;
        };
        let Plan { answer, tags } = plan(
            account,
            &push,
            &deferred.id,
            deferred.create_time,
            Some(facts),
        );
        if let Some(exchange) = self.exchanges.get_mut(print) {
            exchange.answer = answer;
        }
        if !tags.is_empty() {
            let tagging = Tagging {
                account: account_id,
                openid: push.openid().to_owned(),
                tags,
            };
            self.want_tags(tagging, env);
        }
    }

    /// Too much is in flight: what is not kept is not acknowledged.
    fn turn_away(&mut self, stream: StreamId, known: &Understood<'_>, attempts: u8) {
        if attempts >= ATTEMPTS {
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
            return self.turn_away(stream, known, 1);
        }
        self.exchanges
            .park(stream, parked, self.config.limits.reply_deadline_ms);
    }

    /// Answers every stream that waits for `print`, and remembers that it was answered.
    pub(crate) fn answer_waiting(&mut self, print: Fingerprint, env: &mut Env<'_>) {
        self.claims.answered(env.shared, print);
        self.release_waiting(print, env);
    }

    fn release_waiting(&mut self, print: Fingerprint, env: &mut Env<'_>) {
        let deadline_ms = self.config.limits.reply_deadline_ms;
        // The time is up, or the store keeps no such knowledge: the user gets the reply for somebody unknown.
        self.decide_late(print, &Facts::default(), env);
        let Some((exchange, streams)) = self.exchanges.close(print, deadline_ms) else {
            return;
        };
        let Answer::Ready(reply) = &exchange.answer else {
            return;
        };
        for (stream, parked) in streams {
            let reply = reply.as_deref();
            self.respond(stream, &parked, exchange.account, exchange.kind, reply, env);
        }
    }

    /// Ends a stream that nobody reads any more.
    pub(crate) fn withhold(&mut self, stream: StreamId) {
        let exchange = self
            .exchanges
            .print_of(stream)
            .and_then(|p| self.exchanges.get_mut(p));
        let Some((account, kind)) = exchange.map(|e| (e.account, e.kind)) else {
            return;
        };
        self.exchanges
            .unpark(stream, self.config.limits.reply_deadline_ms);
        self.count(Metric::Push {
            account,
            kind,
            outcome: Outcome::Withheld,
        });
        self.want(Effect::Respond {
            stream,
            response: COME_AGAIN,
        });
    }

    /// Looks what has become of the pushes that other workers own.
    pub(crate) fn look_beside(&mut self, env: &mut Env<'_>) {
        for print in self.exchanges.beside() {
            match self.claims.look(env.shared, print, env.now) {
                Claim::InFlight { sighting, .. } => {
                    if let Some(exchange) = self.exchanges.get_mut(print) {
                        exchange.attempts = exchange.attempts.max(sighting.attempts);
                    }
                }
                Claim::Answered(_) if !self.exchanges.asks_store(print) => {
                    self.release_waiting(print, env);
                }
                // It was answered with what the store told its owner, and tells us too; or its owner died, or its slot
                // made room for another push: the store keeps one either way.
                Claim::Answered(_) | Claim::TakenOver(_) | Claim::First | Claim::Unrecorded => {
                    if let Some(event) = self.exchanges.take_over(print) {
                        self.outbox.push(event, env.now.mono_ms);
                    }
                }
            }
        }
    }

    fn respond(
        &mut self,
        stream: StreamId,
        parked: &Parked,
        account_id: AccountId,
        kind: Kind,
        reply: Option<&[u8]>,
        env: &mut Env<'_>,
    ) {
        let config = self.config.clone();
        let Some(account) = config.account(account_id) else {
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
            account: account_id,
            kind,
            outcome,
        });
        let ms = env.now.mono_ms.saturating_sub(parked.arrived_ms);
        self.count(Metric::ReplyMs {
            account: account_id,
            ms,
        });
        self.want(Effect::Respond { stream, response });
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
    fn plan(&self, account: &Account, create_time: u64) -> Plan {
        plan_or(account, self.push, &self.id, create_time, None, || {
            self.body.to_vec()
        })
    }
}

fn plan(
    account: &Account,
    push: &Push<'_>,
    id: &EventId,
    create_time: u64,
    facts: Option<&Facts>,
) -> Plan {
    plan_or(account, push, id, create_time, facts, Vec::new)
}

/// What the rules say. When that depends on the store, `body` is kept to decide again.
fn plan_or(
    account: &Account,
    push: &Push<'_>,
    id: &EventId,
    create_time: u64,
    facts: Option<&Facts>,
    body: impl FnOnce() -> Vec<u8>,
) -> Plan {
    let Ok(Decision { reply, tags }) = account.rules.decide(push, id.as_bytes(), facts) else {
        return Plan {
            answer: Answer::AsksStore(Box::new(Deferred {
                body: body(),
                id: *id,
                create_time,
            })),
            tags: Vec::new(),
        };
    };
    // A text of nothing but control characters is `success` too, and that is never sealed.
    let reply = (!reply.is_silent()).then(|| {
        reply.encode(
            account.format,
            push.from_user_name(),
            push.to_user_name(),
            create_time,
        )
    });
    Plan {
        answer: Answer::Ready(reply),
        tags,
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
