//! The filter's decisions about requests, of one worker under one configuration.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use serde::Serialize;
use weir_engine::config::AccountId;
use weir_engine::owners::OwnerId;
use weir_engine::records::Records;
use weir_engine::{Env, LogLevel, StreamId, tokens};

use crate::answers;
use crate::config::Config;
use crate::effect::{Answer, Call, Effect, Identity, Step};
use crate::events::event;
use crate::head::Head;
use crate::metric::Metric;
use crate::mini::{self, Deed};
use crate::session::{BEARER_PREFIX, Session, Who};
use crate::web::State;

/// Cookies of one name that are looked at: a browser sends one for each path, a stranger as many as there is room for.
pub(crate) const MAX_COOKIES: usize = 4;

/// The filter.
pub struct Login {
    pub(crate) config: Rc<Config>,
    pub(crate) me: OwnerId,
    pub(crate) exchanges: BTreeMap<StreamId, Exchange>,
    /// Accounts whose access token is missing.
    pub(crate) wanted: BTreeSet<AccountId>,
    pub(crate) calls: BTreeSet<Call>,
    pub(crate) records: Records,
    pub(crate) effects: VecDeque<Effect>,
    pub(crate) woken: bool,
}

/// A request that is held.
pub(crate) struct Exchange {
    pub(crate) account: AccountId,
    pub(crate) kind: &'static str,
    pub(crate) since_ms: u64,
    pub(crate) stage: Stage,
}

/// Where it is.
pub(crate) enum Stage {
    /// Its body is on its way.
    Body(Deed, Option<Session>),
    /// WeChat is to be asked at the root's turn.
    Wants(Ask),
    /// WeChat has been asked.
    Asked(Ask),
    /// The store is being told who logged in, and asked which person that is.
    Told(Told),
}

/// A login that the store is being told of.
pub(crate) struct Told {
    /// The event: to be told again if the store does not take it in time.
    pub(crate) event: Vec<u8>,
    pub(crate) who: Who,
    /// Of a page: where its browser goes on.
    pub(crate) back: Option<State>,
}

/// What WeChat is asked.
pub(crate) enum Ask {
    /// Who has this `js_code`.
    MiniProgramUser { code: String },
    /// Which phone; with the access token that it was asked with.
    Phone {
        code: String,
        openid: String,
        tried: Option<String>,
    },
    /// Who has this code of a page.
    WebUser { code: String, state: State },
    /// What the user is called, by the user's own access token.
    Profile {
        openid: String,
        unionid: Option<String>,
        access_token: String,
        state: State,
    },
}

impl Login {
    /// A filter for `config`. Creates what is to be shared, so call it while configuring, never later.
    pub fn new(config: Rc<Config>, env: &mut Env<'_>) -> Self {
        for account in &config.accounts {
            tokens::prepare(env.shared, &account.appid);
        }
        Self {
            config,
            me: OwnerId::from_random(env.random()),
            exchanges: BTreeMap::new(),
            wanted: BTreeSet::new(),
            calls: BTreeSet::new(),
            records: Records::default(),
            effects: VecDeque::new(),
            woken: false,
        }
    }

    /// The next thing to do, in order.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Whether it may be dropped without loss.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.exchanges.is_empty() && self.calls.is_empty() && self.records.is_empty()
    }

    /// A request's head is there; identity headers have been taken out of it.
    pub fn on_request(&mut self, stream: StreamId, head: &Head<'_>, env: &mut Env<'_>) -> Step {
        let config = self.config.clone();
        let path = head.path();
        if path == config.callback_path && !config.pages.is_empty() {
            return self.on_callback(stream, head, env);
        }
        match mini::route(&config, path) {
            Some((account, deed)) => self.on_deed(stream, account, deed, head, env),
            None => self.on_page(head, env),
        }
    }

    /// How much of the body is wanted; more of it is not read. `None`: none of it.
    #[must_use]
    pub fn wants(&self, stream: StreamId) -> Option<usize> {
        let stage = &self.exchanges.get(&stream)?.stage;
        matches!(stage, Stage::Body(..)).then_some(self.config.limits.max_body_bytes)
    }

    /// The body that was wanted; `None` if it is larger.
    pub fn on_body(&mut self, stream: StreamId, body: Option<Vec<u8>>, env: &mut Env<'_>) -> Step {
        let Some(exchange) = self.exchanges.remove(&stream) else {
            return Step::Hold;
        };
        let Stage::Body(deed, session) = exchange.stage else {
            return Step::Hold;
        };
        let account = exchange.account;
        match body {
            Some(body) => self.on_complete(stream, account, deed, session, &body, env),
            None => {
                let answer = answers::error(413, 45002, "the body is too large");
                self.refuse(account, deed.name(), "malformed", answer)
            }
        }
    }

    /// Nobody waits for this one any more. What WeChat is asked for it is recorded all the same.
    pub fn on_gone(&mut self, stream: StreamId) {
        let asked =
            |exchange: &Exchange| matches!(exchange.stage, Stage::Asked(_) | Stage::Told(_));
        if self
            .exchanges
            .get(&stream)
            .is_some_and(|exchange| !asked(exchange))
        {
            self.exchanges.remove(&stream);
        }
    }

    /// Who asks: by a bearer token of ours, or a cookie. With an account, its users alone.
    pub(crate) fn session(
        &self,
        head: &Head<'_>,
        of: Option<AccountId>,
        unix_s: u64,
    ) -> Option<(AccountId, Session)> {
        let config = &self.config;
        let open = |text: &str| {
            let session = Session::open(&config.sessions, text, unix_s)?;
            let account = config.account_by(|account| account.name == session.account)?;
            of.is_none_or(|of| of == account)
                .then_some((account, session))
        };
        let bearer = head
            .bearer()
            .and_then(|token| token.strip_prefix(BEARER_PREFIX));
        bearer.and_then(open).or_else(|| {
            let accounts = config.accounts.iter().zip((0..).map(AccountId));
            accounts
                .filter(|(_, id)| of.is_none_or(|of| of == *id))
                .flat_map(|(account, _)| head.cookies(cookie_name(&account.name)).take(MAX_COOKIES))
                .find_map(open)
        })
    }

    /// Holds a request until WeChat has answered.
    pub(crate) fn ask(
        &mut self,
        stream: StreamId,
        account: AccountId,
        kind: &'static str,
        ask: Ask,
        env: &mut Env<'_>,
    ) -> Step {
        if self.exchanges.len() >= self.config.limits.held_max {
            self.count(Metric::Crowd);
            return Step::Respond(answers::busy());
        }
        let exchange = Exchange {
            account,
            kind,
            since_ms: env.now.mono_ms,
            stage: Stage::Wants(ask),
        };
        self.exchanges.insert(stream, exchange);
        self.wake();
        Step::Hold
    }

    /// A session for this user, sealed.
    pub(crate) fn seal(&self, account: AccountId, who: Who, env: &mut Env<'_>) -> Option<String> {
        let session = Session {
            account: self.config.account(account)?.name.clone(),
            who,
            ends_s: env.now.unix_s() + self.config.sessions.lasts_s,
        };
        session.seal(&self.config.sessions, env.random)
    }

    /// The cookie for a sealed session of this account; an empty one takes it away.
    pub(crate) fn session_cookie(&self, account: AccountId, sealed: &str) -> Option<String> {
        let name = cookie_name(&self.config.account(account)?.name);
        let sessions = &self.config.sessions;
        let lasts_s = if sealed.is_empty() {
            0
        } else {
            sessions.lasts_s
        };
        Some(answers::cookie(sessions, &name, sealed, "/", lasts_s))
    }

    /// Tells the store something about a user.
    pub(crate) fn record<T: Serialize>(
        &mut self,
        kind: &'static str,
        account: AccountId,
        openid: &str,
        data: T,
        env: &mut Env<'_>,
    ) {
        let config = self.config.clone();
        let (Some(account), Some(_)) = (config.account(account), &config.store) else {
            return;
        };
        let event = event(kind, account, openid, data, env.now, None, env.random);
        self.keep(event);
    }

    /// Tells the store of something in its turn.
    pub(crate) fn keep(&mut self, event: Vec<u8>) {
        if !self
            .records
            .push(event, self.config.limits.outbox_max_events)
        {
            let reason = "overflow";
            self.count(Metric::Lost { reason });
        }
    }

    pub(crate) fn refuse(
        &mut self,
        account: AccountId,
        kind: &'static str,
        outcome: &'static str,
        answer: Answer,
    ) -> Step {
        self.count_call(account, kind, outcome);
        Step::Respond(answer)
    }

    pub(crate) fn count_call(
        &mut self,
        account: AccountId,
        kind: &'static str,
        outcome: &'static str,
    ) {
        self.count(Metric::Call {
            account,
            kind,
            outcome,
        });
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

/// Who asks, for the application.
pub(crate) fn identity(session: Session) -> Identity {
    let account = session.account;
    match session.who {
        Who::User {
            openid,
            unionid,
            uid,
            ..
        } => Identity {
            account,
            openid: Some(openid),
            unionid,
            uid,
        },
        Who::Guest(uid) => Identity {
            account,
            uid: Some(uid),
            ..Identity::default()
        },
    }
}

fn cookie_name(account: &str) -> String {
    format!("weir_session_{account}")
}
