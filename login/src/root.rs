//! The filter's decisions at the root's turn: what WeChat is asked, and what its answers mean.

use serde::Deserialize;
use serde_json::{Value, json};
use weir_engine::config::AccountId;
use weir_engine::token_call::{self, Need};
use weir_engine::tokens::{self, Fetched};
use weir_engine::{CallOutcome, Env, HttpRequest, LogLevel, StreamId};
use weir_protocol::api::{self, AnswerError, ApiError, Class};
use weir_store_api::SessionBy;
use zeroize::Zeroizing;

use crate::answers;
use crate::config::Account;
use crate::effect::{Answer, Call, Effect};
use crate::login::{Ask, Exchange, Login, Stage};
use crate::metric::Metric;
use crate::mini::Phone;
use crate::session::Who;
use crate::web::{self, State};

const PHONE_PATH: &str = "/wxa/business/getuserphonenumber";
/// WeChat's codes for a code that is good for nothing any more.
const CODE_OF_NOBODY: i64 = 40029;
const CODE_USED: i64 = 40163;
const CODE_ENDED: i64 = 42003;
const RISKY_USER: i64 = 40226;

/// What `jscode2session` and `oauth2/access_token` say. No `Debug`: keys and tokens are in it.
#[derive(Deserialize)]
struct User {
    openid: String,
    unionid: Option<String>,
    session_key: Option<Zeroizing<String>>,
    access_token: Option<String>,
    /// Somebody who looks at a snapshot of the page: the openid is nobody's.
    is_snapshotuser: Option<u8>,
}

impl Login {
    /// The root is called as [`Effect::Wake`] asked.
    pub fn on_woken(&mut self, env: &mut Env<'_>) {
        self.woken = false;
        self.turn(env);
    }

    /// The root's timer.
    pub fn on_tick(&mut self, env: &mut Env<'_>) {
        self.woken = false;
        self.turn(env);
        self.start_batch(env);
    }

    /// A call is over.
    pub fn on_call_done(&mut self, call: Call, outcome: &CallOutcome<'_>, env: &mut Env<'_>) {
        self.calls.remove(&call);
        match call {
            Call::AccessToken(account) => self.on_access_token(account, outcome, env),
            Call::Of(stream) => self.on_answer(stream, outcome, env),
            Call::Told(stream) => self.on_told(stream, outcome, env),
            Call::Store => {
                let rejected = self.records.done(outcome, env);
                if rejected > 0 {
                    let reason = "rejected";
                    let lost = Metric::Lost { reason };
                    self.effects.push_back(Effect::Count(lost, rejected as u64));
                }
            }
        }
        self.turn(env);
    }

    /// The host will not wait any longer: what is left is lost, and counted. Nothing comes after it.
    pub fn abandon(&mut self) {
        let is_told = |exchange: &&Exchange| matches!(exchange.stage, Stage::Told(_));
        let on_their_way = self.exchanges.values().filter(is_told).count();
        let lost = self.records.abandon() + on_their_way;
        if lost > 0 {
            let reason = "abandoned";
            let metric = Metric::Lost { reason };
            self.effects.push_back(Effect::Count(metric, lost as u64));
            let line = format!("weir: logins lost with what was replaced: {lost}");
            self.log(LogLevel::Error, line);
        }
        self.exchanges.clear();
        self.calls.clear();
    }

    fn turn(&mut self, env: &mut Env<'_>) {
        let waiting: Vec<_> = (self.exchanges.iter())
            .filter(|(_, exchange)| matches!(exchange.stage, Stage::Wants(_)))
            .map(|(stream, _)| *stream)
            .collect();
        for stream in waiting {
            self.look_at(stream, env);
        }
        for account in self.wanted.clone() {
            self.want_token(account, env);
        }
        if self.records.is_a_batch() {
            self.start_batch(env);
        }
    }

    /// Asks WeChat, if everything that takes is there.
    fn look_at(&mut self, stream: StreamId, env: &mut Env<'_>) {
        let config = self.config.clone();
        let Some(mut exchange) = self.exchanges.remove(&stream) else {
            return;
        };
        let Stage::Wants(mut ask) = exchange.stage else {
            return;
        };
        let Some(account) = config.account(exchange.account) else {
            return;
        };
        if env.now.mono_ms.saturating_sub(exchange.since_ms) > config.limits.wait_ms {
            exchange.stage = Stage::Wants(ask);
            return self.fail(stream, &exchange);
        }
        let mut token = None;
        if let Ask::Phone { tried, .. } = &mut ask {
            match tokens::current(env.shared, &account.appid, env.now.mono_ms) {
                // One that was refused is not tried again.
                Some((current, ..)) if tried.as_ref() != Some(&current) => {
                    token = Some(current);
                }
                _ => {
                    self.wanted.insert(exchange.account);
                    exchange.stage = Stage::Wants(ask);
                    self.exchanges.insert(stream, exchange);
                    return;
                }
            }
        }
        let request = self.request(account, &mut ask, token);
        exchange.stage = Stage::Asked(ask);
        self.exchanges.insert(stream, exchange);
        self.start(Call::Of(stream), request);
    }

    fn request(&self, account: &Account, ask: &mut Ask, token: Option<String>) -> HttpRequest {
        let appid = account.appid.as_str();
        let secret = account.app_secret.expose();
        let mut body = Vec::new();
        let path = match ask {
            Ask::MiniProgramUser { code } => with_query(
                "/sns/jscode2session",
                &[
                    ("appid", appid),
                    ("secret", secret),
                    ("js_code", code),
                    ("grant_type", "authorization_code"),
                ],
            ),
            Ask::WebUser { code, .. } => with_query(
                "/sns/oauth2/access_token",
                &[
                    ("appid", appid),
                    ("secret", secret),
                    ("code", code),
                    ("grant_type", "authorization_code"),
                ],
            ),
            Ask::Profile {
                openid,
                access_token,
                ..
            } => with_query(
                "/sns/userinfo",
                &[
                    ("access_token", access_token),
                    ("openid", openid),
                    ("lang", "zh_CN"),
                ],
            ),
            Ask::Phone { code, tried, .. } => {
                body = json!({ "code": code }).to_string().into_bytes();
                let token = tried.insert(token.unwrap_or_default());
                with_query(PHONE_PATH, &[("access_token", token)])
            }
        };
        let peer = &self.config.wechat_api;
        let is_post = !body.is_empty();
        if is_post {
            HttpRequest::post(peer, path, "application/json", body)
        } else {
            HttpRequest::get(peer, path)
        }
    }

    fn on_answer(&mut self, stream: StreamId, outcome: &CallOutcome<'_>, env: &mut Env<'_>) {
        let Some(mut exchange) = self.exchanges.remove(&stream) else {
            return;
        };
        let stage = std::mem::replace(&mut exchange.stage, Stage::Wants(Ask::nothing()));
        let Stage::Asked(ask) = stage else {
            return;
        };
        let CallOutcome::Answer {
            status: 200, body, ..
        } = outcome
        else {
            // The code may be used now: asking again would only say so.
            return self.fail(stream, &exchange);
        };
        let refusal = match api::check(body) {
            Ok(()) => None,
            Err(AnswerError::Malformed) => {
                return self.fail(stream, &exchange);
            }
            Err(AnswerError::Refused(error)) => Some(error),
        };
        if let Some(error) = refusal {
            return self.on_refusal(stream, exchange, ask, &error, env);
        }
        let account = exchange.account;
        match ask {
            Ask::MiniProgramUser { .. } => {
                let Ok(User {
                    openid,
                    unionid,
                    session_key: Some(session_key),
                    ..
                }) = serde_json::from_slice(body)
                else {
                    return self.fail(stream, &exchange);
                };
                let by = SessionBy::MiniProgram;
                let data = self.session_started(account, by, unionid.as_deref(), None, env.now);
                let who = Who::User {
                    openid,
                    unionid,
                    session_key: Some(session_key),
                    uid: None,
                };
                self.tell(stream, exchange, data, who, None, env);
            }
            Ask::Phone { openid, .. } => {
                let answer: Value = serde_json::from_slice(body).unwrap_or_default();
                let phone = answer.get("phone_info").and_then(|info| {
                    // Another account's is nothing of ours.
                    let appid = info.pointer("/watermark/appid").and_then(Value::as_str);
                    let ours = self.config.account(account).map(|a| a.appid.as_str());
                    Phone::read(info).filter(|_| appid.is_none() || appid == ours)
                });
                let Some(phone) = phone else {
                    return self.fail(stream, &exchange);
                };
                self.learned_phone(account, &openid, &phone, env);
                let said = json!({
                    "errcode": 0,
                    "phoneNumber": phone.number,
                    "purePhoneNumber": phone.pure,
                    "countryCode": phone.country_code,
                });
                self.end(stream, &exchange, "ok", answers::json(200, &said));
            }
            Ask::WebUser { state, .. } => match serde_json::from_slice::<User>(body) {
                Ok(user) => self.on_web_user(stream, exchange, user, state, env),
                Err(_) => self.fail(stream, &exchange),
            },
            Ask::Profile {
                openid,
                unionid,
                state,
                ..
            } => {
                let answer: Value = serde_json::from_slice(body).unwrap_or_default();
                let text = |name: &str| answer.get(name).and_then(Value::as_str);
                let profile = text("nickname").zip(text("headimgurl"));
                let unionid = unionid.or_else(|| text("unionid").map(str::to_owned));
                self.let_in(stream, exchange, state, openid, unionid, profile, env);
            }
        }
    }

    fn on_web_user(
        &mut self,
        stream: StreamId,
        mut exchange: Exchange,
        user: User,
        state: State,
        env: &mut Env<'_>,
    ) {
        if user.is_snapshotuser == Some(1) {
            let text = "This is a snapshot of the page. Open the page itself to log in.";
            return self.end(stream, &exchange, "refused", answers::page(403, text));
        }
        let User {
            openid, unionid, ..
        } = user;
        match user.access_token.filter(|_| state.wants_profile) {
            Some(access_token) => {
                exchange.stage = Stage::Wants(Ask::Profile {
                    openid,
                    unionid,
                    access_token,
                    state,
                });
                self.exchanges.insert(stream, exchange);
            }
            None => self.let_in(stream, exchange, state, openid, unionid, None, env),
        }
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "what is known of a user, and where"
    )]
    fn let_in(
        &mut self,
        stream: StreamId,
        exchange: Exchange,
        state: State,
        openid: String,
        unionid: Option<String>,
        profile: Option<(&str, &str)>,
        env: &mut Env<'_>,
    ) {
        let (account, by) = (exchange.account, SessionBy::Web);
        let data = self.session_started(account, by, unionid.as_deref(), profile, env.now);
        let who = Who::User {
            openid,
            unionid,
            session_key: None,
            uid: None,
        };
        self.tell(stream, exchange, data, who, Some(state), env);
    }

    fn on_refusal(
        &mut self,
        stream: StreamId,
        mut exchange: Exchange,
        ask: Ask,
        error: &ApiError,
        env: &mut Env<'_>,
    ) {
        let config = self.config.clone();
        let account = exchange.account;
        let class = error.class();
        if let (
            Ask::Phone {
                tried: Some(token), ..
            },
            Class::Token,
        ) = (&ask, class)
            && let Some(of) = config.account(account)
        {
            // WeChat looked at the token before the code: that is still good.
            tokens::invalidate(env.shared, &of.appid, token);
            self.wanted.insert(account);
            exchange.stage = Stage::Wants(ask);
            self.exchanges.insert(stream, exchange);
            return;
        }
        let label = class.name();
        self.count(Metric::ApiError {
            account,
            class: label,
        });
        let is_page = matches!(ask, Ask::WebUser { .. } | Ask::Profile { .. });
        let (status, text) = match error.errcode {
            CODE_OF_NOBODY | CODE_USED | CODE_ENDED => (
                if is_page { 400 } else { 401 },
                "the code is used, over or nobody's: ask WeChat for another",
            ),
            RISKY_USER => (403, "WeChat takes this user for a risk"),
            _ if class == Class::MinuteQuota => (429, "too often; try again in a minute"),
            _ if class == Class::Transient => (503, "WeChat does not answer now; try again later"),
            _ => {
                if let Some(of) = config.account(account) {
                    // Of our credentials, mostly: an operator has to act.
                    let (name, kind) = (&of.name, exchange.kind);
                    let code = error.errcode;
                    let line =
                        format!("weir: account={name} kind={kind} WeChat refuses: errcode {code}");
                    self.log(LogLevel::Error, line);
                }
                (
                    502,
                    "WeChat refuses; whoever runs this site can find out why",
                )
            }
        };
        let answer = if is_page {
            answers::page(
                status,
                "The login did not work. Go back to where you came from, and try again.",
            )
        } else {
            answers::error(status, error.errcode, text)
        };
        self.end(stream, &exchange, "refused", answer);
    }

    /// WeChat has not answered, or nothing that can be read.
    pub(crate) fn fail(&mut self, stream: StreamId, exchange: &Exchange) {
        let answer = if exchange.kind == web::KIND {
            answers::page(
                503,
                "WeChat does not answer now. Go back to where you came from, and try again.",
            )
        } else {
            answers::busy()
        };
        self.end(stream, exchange, "failed", answer);
    }

    pub(crate) fn end(
        &mut self,
        stream: StreamId,
        exchange: &Exchange,
        outcome: &'static str,
        answer: Answer,
    ) {
        self.count_call(exchange.account, exchange.kind, outcome);
        self.effects.push_back(Effect::Respond { stream, answer });
    }

    fn want_token(&mut self, id: AccountId, env: &mut Env<'_>) {
        let config = self.config.clone();
        let Some(account) = config.account(id) else {
            self.wanted.remove(&id);
            return;
        };
        let call = Call::AccessToken(id);
        if self.calls.contains(&call) {
            return;
        }
        let (appid, secret) = (&account.appid, &account.app_secret);
        match token_call::need(env, &config.wechat_api, appid, secret, self.me) {
            Need::Nothing => drop(self.wanted.remove(&id)),
            Need::Call(request) => self.start(call, request),
            Need::Patience => {}
        }
    }

    fn on_access_token(&mut self, id: AccountId, outcome: &CallOutcome<'_>, env: &mut Env<'_>) {
        let config = self.config.clone();
        let Some(account) = config.account(id) else {
            return;
        };
        let (fetched, refusal) = token_call::settle(env, &account.appid, self.me, outcome);
        if let Some(error) = refusal {
            let name = &account.name;
            let line = format!("weir: account={name} WeChat gives no access token: {error}");
            self.log(LogLevel::Error, line);
            let class = error.token_call_class().name();
            self.count(Metric::ApiError { account: id, class });
        }
        if !matches!(fetched, Fetched::Token { .. }) {
            // Whoever waits asks again at a later tick, until its time is over.
            self.wanted.remove(&id);
        }
    }

    fn start_batch(&mut self, env: &mut Env<'_>) {
        let config = self.config.clone();
        let Some((peer, path)) = &config.store else {
            return;
        };
        if let Some(request) = self.records.next_call(peer, path, env.now.mono_ms) {
            self.start(Call::Store, request);
        }
    }

    pub(crate) fn start(&mut self, call: Call, request: HttpRequest) {
        self.calls.insert(call);
        self.effects.push_back(Effect::Call { call, request });
    }
}

impl Ask {
    /// In the place of one that is being looked at.
    pub(crate) fn nothing() -> Self {
        Self::MiniProgramUser {
            code: String::new(),
        }
    }
}

fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let begun = format!("{path}?");
    let length = begun.len();
    let mut query = form_urlencoded::Serializer::for_suffix(begun, length);
    query.extend_pairs(parameters);
    query.finish()
}
