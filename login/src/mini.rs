//! The calls of mini programs.

use serde::Deserialize;
use serde_json::{Value, json};
use weir_engine::config::AccountId;
use weir_engine::time::Now;
use weir_engine::{Env, StreamId};
use weir_protocol::open_data;
use weir_store_api::{SessionBy, SessionStarted, TYPE_SESSION_STARTED, TYPE_USER_PHONE, UserPhone};

use crate::answers;
use crate::config::Config;
use crate::effect::Step;
use crate::head::Head;
use crate::login::{Ask, Exchange, Login, Stage};
use crate::metric::Metric;
use crate::session::{Session, Who};

/// Longest code, bytes; WeChat's have 32.
const MAX_CODE_BYTES: usize = 256;

/// What a mini program wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// `{"code"}` of `wx.login`.
    Login,
    /// `{"code"}` of the button for phone numbers; with a session.
    Phone,
    /// `{"encryptedData", "iv"}`; with a session.
    OpenData,
    /// `{"rawData", "signature"}`; with a session.
    Check,
    Logout,
}

impl Deed {
    const ALL: [Self; 5] = [
        Self::Login,
        Self::Phone,
        Self::OpenData,
        Self::Check,
        Self::Logout,
    ];

    /// The last segment of its path.
    const fn path(self) -> &'static str {
        match self {
            Self::Login => "/login",
            Self::Phone => "/phone",
            Self::OpenData => "/open-data",
            Self::Check => "/check",
            Self::Logout => "/logout",
        }
    }

    /// In metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Phone => "phone",
            Self::OpenData => "open_data",
            Self::Check => "check",
            Self::Logout => "logout",
        }
    }
}

/// Which call of which account this path is.
pub(crate) fn route(config: &Config, path: &str) -> Option<(AccountId, Deed)> {
    (config.accounts.iter())
        .zip((0..).map(AccountId))
        .find_map(|(account, id)| {
            let rest = path.strip_prefix(account.path.as_deref()?)?;
            let deed = Deed::ALL.into_iter().find(|deed| deed.path() == rest)?;
            Some((id, deed))
        })
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Encrypted {
    encrypted_data: String,
    iv: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    raw_data: String,
    signature: String,
}

impl Login {
    pub(crate) fn on_deed(
        &mut self,
        stream: StreamId,
        account: AccountId,
        deed: Deed,
        head: &Head<'_>,
        env: &mut Env<'_>,
    ) -> Step {
        let kind = deed.name();
        if head.method != "POST" {
            let answer = answers::error(405, 43002, "POST only");
            return self.refuse(account, kind, "malformed", answer);
        }
        let session = self.session(head, Some(account), env.now.unix_s());
        let session = session.map(|(_, session)| session);
        if session.is_none() && deed != Deed::Login && deed != Deed::Logout {
            let answer = answers::error(401, 40001, "no session, or it is over: log in");
            return self.refuse(account, kind, "no_session", answer);
        }
        if head.ends {
            return self.on_complete(stream, account, deed, session, &[], env);
        }
        if self.exchanges.len() >= self.config.limits.held_max {
            self.count(Metric::Crowd);
            return Step::Respond(answers::busy());
        }
        let exchange = Exchange {
            account,
            kind,
            since_ms: env.now.mono_ms,
            stage: Stage::Body(deed, session),
        };
        self.exchanges.insert(stream, exchange);
        Step::Hold
    }

    pub(crate) fn on_complete(
        &mut self,
        stream: StreamId,
        account: AccountId,
        deed: Deed,
        session: Option<Session>,
        body: &[u8],
        env: &mut Env<'_>,
    ) -> Step {
        let kind = deed.name();
        let user = match session.map(|session| session.who) {
            Some(Who::User {
                openid,
                unionid,
                session_key,
                ..
            }) => Some((openid, unionid, session_key)),
            _ => None,
        };
        match (deed, user) {
            (Deed::Logout, _) => {
                self.count_call(account, kind, "ok");
                let mut answer = answers::empty(204);
                let cookie = self.session_cookie(account, "");
                answer
                    .headers
                    .extend(cookie.map(|cookie| ("set-cookie", cookie)));
                Step::Respond(answer)
            }
            (Deed::Login, _) => match code(body) {
                Some(code) => self.ask(stream, account, kind, Ask::MiniProgramUser { code }, env),
                None => self.malformed(account, kind, "expected {\"code\": …}"),
            },
            (Deed::Phone, Some((openid, ..))) => match code(body) {
                Some(code) => {
                    let tried = None;
                    let ask = Ask::Phone {
                        code,
                        openid,
                        tried,
                    };
                    self.ask(stream, account, kind, ask, env)
                }
                None => self.malformed(account, kind, "expected {\"code\": …}"),
            },
            (Deed::OpenData, Some((openid, _, Some(key)))) => {
                let Ok(sent) = serde_json::from_slice::<Encrypted>(body) else {
                    let text = "expected {\"encryptedData\": …, \"iv\": …}";
                    return self.malformed(account, kind, text);
                };
                self.open_data(account, &openid, &key, &sent, env)
            }
            (Deed::Check, Some((_, _, Some(key)))) => {
                let Ok(sent) = serde_json::from_slice::<Raw>(body) else {
                    let text = "expected {\"rawData\": …, \"signature\": …}";
                    return self.malformed(account, kind, text);
                };
                if open_data::verify_raw_data(&sent.raw_data, &key, &sent.signature) {
                    self.count_call(account, kind, "ok");
                    return Step::Respond(answers::json(200, &json!({ "errcode": 0 })));
                }
                let answer = answers::error(403, -41005, "the signature is not this user's");
                self.refuse(account, kind, "forged", answer)
            }
            (Deed::Phone | Deed::OpenData | Deed::Check, _) => {
                let answer = answers::error(401, 40001, "this session is no mini program's");
                self.refuse(account, kind, "no_session", answer)
            }
        }
    }

    fn malformed(&mut self, account: AccountId, kind: &'static str, text: &str) -> Step {
        let answer = answers::error(400, 47001, text);
        self.refuse(account, kind, "malformed", answer)
    }

    fn open_data(
        &mut self,
        account: AccountId,
        openid: &str,
        key: &str,
        sent: &Encrypted,
        env: &mut Env<'_>,
    ) -> Step {
        let kind = Deed::OpenData.name();
        let config = self.config.clone();
        let appid = config.account(account).map_or("", |account| &account.appid);
        let opened = open_data::decrypt(key, &sent.iv, &sent.encrypted_data, appid);
        let read = opened
            .ok()
            .and_then(|data| serde_json::from_str::<Value>(&data.json).ok());
        let Some(data) = read else {
            let text =
                "it cannot be decrypted for this user: it is damaged, or wx.login came after it";
            let answer = answers::error(400, -41003, text);
            return self.refuse(account, kind, "forged", answer);
        };
        let text = |name: &str| data.get(name).and_then(Value::as_str);
        if text("openId").is_some_and(|theirs| theirs != openid) {
            let answer = answers::error(403, -41003, "it is another user's");
            return self.refuse(account, kind, "forged", answer);
        }
        if let Some(unionid) = text("unionId") {
            let by = SessionBy::OpenData;
            if let Some(data) = self.session_started(account, by, Some(unionid), None, env.now) {
                self.record(TYPE_SESSION_STARTED, account, openid, data, env);
            }
        }
        if let Some(phone) = Phone::read(&data) {
            self.learned_phone(account, openid, &phone, env);
        }
        self.count_call(account, kind, "ok");
        Step::Respond(answers::json(200, &data))
    }

    /// What the store learns when somebody is there; with nickname and picture where they are known.
    pub(crate) fn session_started(
        &self,
        account: AccountId,
        by: SessionBy,
        unionid: Option<&str>,
        profile: Option<(&str, &str)>,
        now: Now,
    ) -> Option<SessionStarted<'static>> {
        let of = self.config.account(account)?;
        Some(SessionStarted {
            account: of.name.clone().into(),
            appid: of.appid.clone().into(),
            by,
            unionid: unionid.map(|unionid| unionid.to_owned().into()),
            nickname: profile.map(|(nickname, _)| nickname.to_owned().into()),
            headimgurl: profile.map(|(_, picture)| picture.to_owned().into()),
            started_at_ms: now.unix_ms,
        })
    }

    pub(crate) fn learned_phone(
        &mut self,
        account: AccountId,
        openid: &str,
        phone: &Phone,
        env: &mut Env<'_>,
    ) {
        let config = self.config.clone();
        let Some(of) = config.account(account) else {
            return;
        };
        let data = UserPhone {
            account: of.name.as_str().into(),
            appid: of.appid.as_str().into(),
            phone_number: phone.number.as_str().into(),
            pure_phone_number: phone.pure.as_str().into(),
            country_code: phone.country_code.as_str().into(),
            learned_at_ms: env.now.unix_ms,
        };
        self.record(TYPE_USER_PHONE, account, openid, data, env);
    }
}

/// A phone number, from `getuserphonenumber` or open data.
pub(crate) struct Phone {
    pub(crate) number: String,
    pub(crate) pure: String,
    pub(crate) country_code: String,
}

impl Phone {
    /// `countryCode` is a string or a number.
    pub(crate) fn read(data: &Value) -> Option<Self> {
        let text = |name: &str| match data.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        Some(Self {
            number: text("phoneNumber")?,
            pure: text("purePhoneNumber").unwrap_or_default(),
            country_code: text("countryCode").unwrap_or_default(),
        })
    }
}

fn code(body: &[u8]) -> Option<String> {
    let Code { code } = serde_json::from_slice(body).ok()?;
    is_code(&code).then_some(code)
}

/// Whether it may be one: it goes into a URL.
pub(crate) fn is_code(code: &str) -> bool {
    (1..=MAX_CODE_BYTES).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic())
}
