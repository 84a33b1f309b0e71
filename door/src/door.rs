//! The door's decisions about requests, of one worker under one configuration.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use serde::Deserialize;
use weir_engine::config::AccountId;
use weir_engine::owners::OwnerId;
use weir_engine::records::Records;
use weir_engine::time::Now;
use weir_engine::{Env, LogLevel, Response, StreamId, tokens};

use crate::admit::{self, Head, Kind, Put};
use crate::answers;
use crate::cache::{self, Found};
use crate::config::{Config, HandOut, Linter};
use crate::effect::{Call, Effect, Step};
use crate::exchange::{Exchange, Stage};
use crate::lint::lint;
use crate::metric::Metric;
use crate::node::Node;
use crate::quota;
use crate::sends::{self, Send, Sent};
use crate::stand_in;

/// Longest body of a login, bytes.
const MAX_LOGIN_BYTES: usize = 4 * 1_024;

/// The door.
pub struct Door {
    pub(crate) config: Rc<Config>,
    pub(crate) me: OwnerId,
    pub(crate) exchanges: BTreeMap<StreamId, Exchange>,
    /// Those that wait for the root's turn.
    pub(crate) waiting: BTreeSet<StreamId>,
    /// Accounts whose access token is missing or near its end.
    pub(crate) wanted: BTreeSet<AccountId>,
    /// Access tokens as last read from shared data, for a tick: another worker may have found out that one is refused.
    pub(crate) known: BTreeMap<AccountId, (String, u64)>,
    /// Calls without a budget that are not added up yet.
    pub(crate) made: BTreeMap<(AccountId, String), u32>,
    pub(crate) calls: BTreeSet<Call>,
    pub(crate) records: Records,
    pub(crate) effects: VecDeque<Effect>,
    pub(crate) woken: bool,
}

impl Door {
    /// A door for `config`. Creates what is to be shared, so call it while configuring, never later.
    pub fn new(config: Rc<Config>, env: &mut Env<'_>) -> Self {
        for account in &config.accounts {
            tokens::prepare(env.shared, &account.appid);
            cache::prepare(env.shared, &account.appid);
            quota::prepare(env.shared, &account.appid);
        }
        Self {
            // An account's token is fetched before it is asked for.
            wanted: (0..).map(AccountId).take(config.accounts.len()).collect(),
            config,
            me: OwnerId::from_random(env.random()),
            exchanges: BTreeMap::new(),
            waiting: BTreeSet::new(),
            known: BTreeMap::new(),
            made: BTreeMap::new(),
            calls: BTreeSet::new(),
            records: Records::default(),
            effects: VecDeque::new(),
            woken: false,
        }
    }

    /// The configuration it runs.
    #[must_use]
    pub fn config(&self) -> &Rc<Config> {
        &self.config
    }

    /// The next thing to do, in order.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Whether it may be dropped without loss.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.exchanges.is_empty()
            && self.calls.is_empty()
            && self.records.is_empty()
            && self.made.is_empty()
    }

    /// A request's head is there.
    pub fn on_request(&mut self, stream: StreamId, head: &Head<'_>, env: &mut Env<'_>) -> Step {
        let config = self.config.clone();
        let admitted = match admit::admit(&config, head, env.now.unix_s()) {
            Ok(admitted) => admitted,
            Err(refusal) => {
                let reason = refusal.label();
                self.count(Metric::Refused { reason });
                return Step::Respond(refusal.response());
            }
        };
        if admitted.kind == Kind::Login {
            let (client, account) = (admitted.client, admitted.account);
            return self.hand_out(stream, Exchange::new(admitted, head), client, account, env);
        }
        if self.exchanges.len() >= config.limits.held_max {
            let reason = "crowd";
            self.count(Metric::Refused { reason });
            let text = "too many requests at a time";
            return Step::refuse(&admitted.path, answers::error(503, answers::BUSY, text));
        }
        let exchange = Exchange::new(admitted, head);
        let most = config.limits.replay_max_bytes;
        if exchange.stage == Stage::Login || exchange.wants_body(most) {
            self.exchanges.insert(stream, exchange);
            return Step::Hold;
        }
        self.go(stream, exchange, env)
    }

    /// How much of the body is wanted; more of it is not read. `None`: none of it, it passes.
    #[must_use]
    pub fn wants(&self, stream: StreamId) -> Option<usize> {
        match self.exchanges.get(&stream)?.stage {
            Stage::Login => Some(MAX_LOGIN_BYTES),
            Stage::Body => Some(self.config.limits.replay_max_bytes),
            _ => None,
        }
    }

    /// The body that was wanted; `None` if it is larger.
    pub fn on_body(&mut self, stream: StreamId, body: Option<Vec<u8>>, env: &mut Env<'_>) -> Step {
        let Some(mut exchange) = self.exchanges.remove(&stream) else {
            return Step::Hold;
        };
        if exchange.stage == Stage::Login {
            return self.on_login(stream, exchange, &body.unwrap_or_default(), env);
        }
        let is_send = sends::is_send(&exchange.admitted.path);
        match &body {
            Some(body) => {
                // Read once, for both.
                let lints = self.config.linter != Linter::Off && exchange.is_json();
                let request = (lints || is_send).then(|| Node::read(body)).flatten();
                if lints && let Some(refusal) = self.lint(&exchange, request.as_ref(), body) {
                    return Step::refuse(&exchange.admitted.path, refusal);
                }
                exchange.send = Send::of(&exchange.admitted.path, request.as_ref(), body);
            }
            None if is_send => {
                let response = answers::error(413, answers::TOO_LONG, "the message is too large");
                return Step::refuse(&exchange.admitted.path, response);
            }
            None => {}
        }
        exchange.body = body;
        if self.credit_question(&exchange).is_some() {
            // Asked from the root, as all calls are.
            return self.hold(stream, exchange, Stage::Credit);
        }
        self.go(stream, exchange, env)
    }

    fn on_login(
        &mut self,
        stream: StreamId,
        exchange: Exchange,
        body: &[u8],
        env: &mut Env<'_>,
    ) -> Step {
        #[derive(Deserialize)]
        struct Login {
            appid: String,
            secret: Option<String>,
        }
        let config = self.config.clone();
        let head = Head {
            method: &exchange.method,
            target: &exchange.admitted.path,
            authorization: exchange.authorization.as_deref(),
            account: exchange.named_account.as_deref(),
            content_type: None,
            content_length: None,
            certificate: exchange.certificate.as_deref(),
            ends: true,
        };
        let who = match serde_json::from_slice::<Login>(body) {
            Ok(Login { appid, secret }) => admit::login(&config, &head, &appid, secret.as_deref()),
            Err(_) => Err(admit::Refusal::WhichAccount),
        };
        match who {
            Ok((client, account)) => self.hand_out(stream, exchange, client, account, env),
            Err(refusal) => {
                let reason = refusal.label();
                self.count(Metric::Refused { reason });
                Step::Respond(refusal.response())
            }
        }
    }

    /// Answers a login.
    fn hand_out(
        &mut self,
        stream: StreamId,
        mut exchange: Exchange,
        client: usize,
        account: AccountId,
        env: &mut Env<'_>,
    ) -> Step {
        let config = self.config.clone();
        let (Some(of), Some(with)) = (config.clients.get(client), config.account(account)) else {
            return Step::Respond(admit::Refusal::Stranger.response());
        };
        if config.hand_out == HandOut::StandIn {
            let lasts_s = config.limits.stand_in_s;
            let text = stand_in::write(of, with, env.now.unix_s() + lasts_s);
            let outcome = "login";
            self.count(Metric::Call { account, outcome });
            return Step::Respond(answers::token(&text, lasts_s));
        }
        (exchange.admitted.kind, exchange.admitted.account) = (Kind::Login, account);
        match self.token(account, env) {
            Some((token, left_ms)) => {
                let outcome = "login";
                self.count(Metric::Call { account, outcome });
                Step::Respond(answers::token(&token, left_ms / 1_000))
            }
            None => self.wait_for_token(stream, exchange, env.now),
        }
    }

    /// What the linter says against a request; a refusal, if it is to be one.
    fn lint(
        &mut self,
        exchange: &Exchange,
        request: Option<&Node<'_>>,
        body: &[u8],
    ) -> Option<Response> {
        let account = exchange.admitted.account;
        let found = lint(&exchange.admitted.path, request, body);
        for finding in &found {
            let rule = finding.rule;
            self.count(Metric::Lint { account, rule });
        }
        let first = found
            .first()
            .filter(|_| self.config.linter == Linter::Refuse)?;
        let outcome = "linted";
        self.count(Metric::Call { account, outcome });
        let text = format!("{}: {}", first.rule, first.text);
        Some(answers::error(200, first.errcode, &text))
    }

    /// The request is complete, or as much of it as is wanted.
    pub(crate) fn go(&mut self, stream: StreamId, exchange: Exchange, env: &mut Env<'_>) -> Step {
        let config = self.config.clone();
        let id = exchange.admitted.account;
        let Some(account) = config.account(id) else {
            return Step::Respond(admit::Refusal::WhichAccount.response());
        };
        if let Some(thing) = exchange.thing {
            match cache::find(env.shared, &account.appid, thing, env.now.mono_ms) {
                Found::Answer(answer) => {
                    let outcome = "kept";
                    self.count(Metric::Call {
                        account: id,
                        outcome,
                    });
                    return Step::Respond(answers::document(answer));
                }
                Found::Wait => {
                    let since_ms = env.now.mono_ms;
                    return self.hold(stream, exchange, Stage::Kept { since_ms });
                }
                Found::Ask => {}
            }
        }
        let path = &exchange.admitted.path;
        let (appid, unix_s) = (&account.appid, env.now.unix_s());
        let quota = (config.quotas.iter().enumerate()).find(|(_, quota)| quota.path == *path);
        let has_room = match quota {
            Some((_, quota)) => {
                let most = quota.per_day.saturating_sub(quota.reserve);
                quota::take(env.shared, appid, path, most, unix_s)
            }
            None => true,
        };
        if !has_room || quota::is_stopped(env.shared, appid, path, unix_s) {
            let outcome = "quota";
            self.count(Metric::Call {
                account: id,
                outcome,
            });
            self.let_others_ask(&exchange, env);
            let text = "the calls of today are used up; they begin anew at midnight in Beijing";
            return Step::refuse(path, answers::error(200, answers::QUOTA, text));
        }
        if let Some((quota, _)) = quota {
            self.count(Metric::Budget { account: id, quota });
        } else {
            let is_crowded = self.made.len() >= 1_000;
            match self.made.get_mut(&(id, path.clone())) {
                Some(calls) => *calls += 1,
                // More of them is nobody's API.
                None if is_crowded => {}
                None => {
                    self.made.insert((id, path.clone()), 1);
                }
            }
        }
        self.forward(stream, exchange, env)
    }

    pub(crate) fn forward(
        &mut self,
        stream: StreamId,
        mut exchange: Exchange,
        env: &mut Env<'_>,
    ) -> Step {
        let config = self.config.clone();
        let id = exchange.admitted.account;
        let Some(account) = config.account(id) else {
            return Step::Respond(admit::Refusal::WhichAccount.response());
        };
        if exchange.put() == Put::AccessToken {
            match self.token(id, env) {
                Some((token, _)) => exchange.token = token,
                None => return self.wait_for_token(stream, exchange, env.now),
            }
        }
        let step = exchange.forward(account.app_secret.expose());
        self.exchanges.insert(stream, exchange);
        let outcome = "forwarded";
        self.count(Metric::Call {
            account: id,
            outcome,
        });
        step
    }

    /// The access token and what is left of its life. It is fetched when it is missing or near its end.
    pub(crate) fn token(&mut self, id: AccountId, env: &mut Env<'_>) -> Option<(String, u64)> {
        let now_ms = env.now.mono_ms;
        if let Some((token, ends_ms)) = self.known.get(&id) {
            return Some((token.clone(), ends_ms.saturating_sub(now_ms)));
        }
        let account = self.config.account(id)?;
        let current = tokens::current(env.shared, &account.appid, now_ms);
        if let Some((token, left_ms, false)) = &current {
            self.known.insert(id, (token.clone(), now_ms + left_ms));
        }
        if current.as_ref().is_none_or(|(_, _, early)| *early) && self.wanted.insert(id) {
            self.wake();
        }
        current.map(|(token, left_ms, _)| (token, left_ms))
    }

    fn wait_for_token(&mut self, stream: StreamId, exchange: Exchange, now: Now) -> Step {
        let since_ms = now.mono_ms;
        self.hold(stream, exchange, Stage::NoToken { since_ms })
    }

    fn hold(&mut self, stream: StreamId, mut exchange: Exchange, stage: Stage) -> Step {
        exchange.stage = stage;
        self.exchanges.insert(stream, exchange);
        self.waiting.insert(stream);
        self.wake();
        Step::Hold
    }

    /// The stream is over.
    pub fn on_gone(&mut self, stream: StreamId, env: &mut Env<'_>) {
        let Some(exchange) = self.exchanges.get_mut(&stream) else {
            return;
        };
        match exchange.stage {
            // The answer may yet say whether it was sent.
            Stage::Replaying => exchange.gone = true,
            Stage::Forwarded => self.over(stream, Sent::Unknown, &[], env),
            // WeChat has refused it.
            Stage::Refused { .. } | Stage::Busy { .. } => {
                self.over(stream, Sent::Answered(answers::BAD_TOKEN), &[], env);
            }
            // Nothing was sent.
            Stage::Login
            | Stage::Body
            | Stage::Credit
            | Stage::NoToken { .. }
            | Stage::Kept { .. } => {
                self.waiting.remove(&stream);
                if let Some(exchange) = self.exchanges.remove(&stream) {
                    let asks = exchange.stage != Stage::Body
                        && !matches!(exchange.stage, Stage::Kept { .. });
                    if asks {
                        self.let_others_ask(&exchange, env);
                    }
                }
            }
        }
    }

    /// Gives back the right to ask for what is kept for all.
    pub(crate) fn let_others_ask(&self, exchange: &Exchange, env: &mut Env<'_>) {
        if let (Some(thing), Some(account)) = (
            exchange.thing,
            self.config.account(exchange.admitted.account),
        ) {
            cache::put(env.shared, &account.appid, thing, None, env.now.mono_ms);
        }
    }

    pub(crate) fn count(&mut self, metric: Metric) {
        self.effects.push_back(Effect::Count(metric, 1));
    }

    pub(crate) fn log(&mut self, level: LogLevel, line: String) {
        self.effects.push_back(Effect::Log { level, line });
    }

    pub(crate) fn wake(&mut self) {
        if !self.woken {
            self.woken = true;
            self.effects.push_back(Effect::Wake);
        }
    }
}
