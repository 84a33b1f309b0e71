//! Pages: who may see them, and the way to WeChat and back.

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use weir_engine::config::AccountId;
use weir_engine::{Env, StreamId};

use crate::answers;
use crate::config::{Page, Scope, Strangers};
use crate::effect::Step;
use crate::head::Head;
use crate::login::{Ask, Login, MAX_COOKIES, identity};
use crate::mini::is_code;
use crate::seal::{open, seal};
use crate::session::{Session, Who, guest_uid};

const PURPOSE: &str = "weir state";
/// How long a browser may be at WeChat, seconds.
const STATE_LASTS_S: u64 = 600;
/// Longest path that a browser is brought back to; from longer ones it comes back to the beginning.
const MAX_RETURN_BYTES: usize = 1_024;
pub(crate) const KIND: &str = "page";

/// What a browser takes along to WeChat and back, in a cookie of its own.
#[derive(Serialize, Deserialize)]
pub(crate) struct State {
    /// The account's name.
    #[serde(rename = "a")]
    pub(crate) account: String,
    /// Where it wanted to go: a path of this site.
    #[serde(rename = "r")]
    pub(crate) return_to: String,
    /// Whether the user's name is to be asked for.
    #[serde(rename = "i")]
    pub(crate) wants_profile: bool,
    /// The `state` in the URLs.
    #[serde(rename = "n")]
    pub(crate) nonce: String,
    /// Unix time, seconds.
    #[serde(rename = "e")]
    ends_s: u64,
}

impl State {
    /// One cookie per login on its way: two tabs do not disturb each other.
    pub(crate) fn cookie_name(nonce: &str) -> String {
        format!("weir_state_{}", nonce.get(..8).unwrap_or_default())
    }
}

impl Login {
    pub(crate) fn on_page(&mut self, head: &Head<'_>, env: &mut Env<'_>) -> Step {
        let config = self.config.clone();
        let path = head.path();
        // An application may read /%73hop/ as /shop/.
        let read = percent_decode_str(path).decode_utf8_lossy();
        let page = (config.pages.iter())
            .filter(|page| is_within(path, &page.prefix) || is_within(&read, &page.prefix))
            .max_by_key(|page| page.prefix.len());
        let of = page.map(|page| page.account);
        let session = self.session(head, of, env.now.unix_s());
        let suits = |session: &Session| {
            let is_user = matches!(session.who, Who::User { .. });
            is_user || page.is_none_or(|page| page.strangers == Strangers::Guests)
        };
        let session = session.map(|(_, session)| session).filter(suits);
        match (session, page) {
            (Some(session), _) => Step::Forward {
                identity: Some(identity(session)),
                set_cookie: None,
            },
            (None, None) => Step::Forward {
                identity: None,
                set_cookie: None,
            },
            (None, Some(page)) if page.strangers == Strangers::Guests => {
                self.as_guest(page.account, env)
            }
            (None, Some(page)) if head.is_a_visit() => self.send_to_wechat(page, head, env),
            (None, Some(page)) => {
                let answer = answers::error(401, 40001, "no session, or it is over: log in");
                self.refuse(page.account, KIND, "no_session", answer)
            }
        }
    }

    fn as_guest(&mut self, account: AccountId, env: &mut Env<'_>) -> Step {
        let config = self.config.clone();
        let Some(of) = config.account(account) else {
            return Step::Respond(answers::busy());
        };
        let session = Session {
            account: of.name.clone(),
            who: Who::Guest(guest_uid(env.random)),
            ends_s: env.now.unix_s() + config.sessions.lasts_s,
        };
        let sealed = session.seal(&config.sessions, env.random);
        Step::Forward {
            set_cookie: sealed.and_then(|sealed| self.session_cookie(account, &sealed)),
            identity: Some(identity(session)),
        }
    }

    fn send_to_wechat(&mut self, page: &Page, head: &Head<'_>, env: &mut Env<'_>) -> Step {
        let config = self.config.clone();
        let Some(account) = config.account(page.account) else {
            return Step::Respond(answers::busy());
        };
        let nonce = format!("{:032x}", u128::from_le_bytes(env.random()));
        let state = State {
            account: account.name.clone(),
            return_to: return_to(head.target).to_owned(),
            wants_profile: page.scope == Scope::UserInfo,
            ends_s: env.now.unix_s() + STATE_LASTS_S,
            nonce,
        };
        let sealed = serde_json::to_vec(&state)
            .ok()
            .and_then(|value| seal(&config.sessions.key, PURPOSE, &value, env.random));
        let Some(sealed) = sealed else {
            return Step::Respond(answers::busy());
        };
        let back = format!("{}{}", config.public_url, config.callback_path);
        let back: String = form_urlencoded::byte_serialize(back.as_bytes()).collect();
        // WeChat checks the order, and wants the fragment.
        let url = format!(
            "https://open.weixin.qq.com/connect/oauth2/authorize?appid={}&redirect_uri={back}&response_type=code&scope={}&state={}#wechat_redirect",
            account.appid,
            page.scope.name(),
            state.nonce,
        );
        let mut answer = answers::redirect(url);
        let name = State::cookie_name(&state.nonce);
        let path = &config.callback_path;
        let cookie = answers::cookie(&config.sessions, &name, &sealed, path, STATE_LASTS_S);
        answer.headers.push(("set-cookie", cookie));
        self.count_call(page.account, KIND, "sent_to_wechat");
        Step::Respond(answer)
    }

    /// A browser comes back from WeChat.
    pub(crate) fn on_callback(
        &mut self,
        stream: StreamId,
        head: &Head<'_>,
        env: &mut Env<'_>,
    ) -> Step {
        let config = self.config.clone();
        let given = head.parameter("state").unwrap_or_default();
        let unix_s = env.now.unix_s();
        let keys = || {
            let keys = [
                Some(&config.sessions.key),
                config.sessions.previous_key.as_ref(),
            ];
            keys.into_iter().flatten()
        };
        let state = head
            .cookies(State::cookie_name(&given))
            .take(MAX_COOKIES)
            .filter_map(|text| open(keys(), PURPOSE, text))
            .filter_map(|value| serde_json::from_slice::<State>(&value).ok())
            .find(|state| {
                unix_s < state.ends_s && bool::from(state.nonce.as_bytes().ct_eq(given.as_bytes()))
            });
        let account = state
            .as_ref()
            .and_then(|state| config.account_by(|account| account.name == state.account));
        let (Some(state), Some(account)) = (state, account) else {
            let text = "This login was begun elsewhere, or too long ago. Go back to where you came from, and try again.";
            let whose = config.pages.first().map(|page| page.account);
            return match whose {
                Some(account) => self.refuse(account, KIND, "forged", answers::page(400, text)),
                None => Step::Respond(answers::page(400, text)),
            };
        };
        match head.parameter("code").filter(|code| is_code(code)) {
            Some(code) => self.ask(stream, account, KIND, Ask::WebUser { code, state }, env),
            None => {
                let text = "You did not agree, so nobody knows who you are.";
                self.refuse(account, KIND, "refused", answers::page(403, text))
            }
        }
    }
}

/// Whether the path is below the prefix, or the prefix without its slash.
fn is_within(path: &str, prefix: &str) -> bool {
    path.starts_with(prefix) || prefix.strip_suffix('/') == Some(path)
}

/// Where a browser comes back to: this site, whatever it asked for.
fn return_to(target: &str) -> &str {
    let is_ours = target.starts_with('/')
        && !target.starts_with("//")
        && !target.starts_with("/\\")
        && target.len() <= MAX_RETURN_BYTES
        && target.bytes().all(|byte| byte.is_ascii_graphic());
    if is_ours { target } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::{is_within, return_to};

    #[test]
    fn a_page_is_what_is_below_its_prefix() {
        assert!(is_within("/shop/", "/shop/") && is_within("/shop/a", "/shop/"));
        assert!(is_within("/shop", "/shop/"));
        assert!(!is_within("/shopping", "/shop/") && !is_within("/", "/shop/"));
        assert!(is_within("/anything", "/"));
    }

    #[test]
    fn a_browser_never_comes_back_to_another_site() {
        assert_eq!(return_to("/shop/a?b=c"), "/shop/a?b=c");
        for elsewhere in [
            "//evil.example/",
            "https://evil.example/",
            "/\\evil.example",
            "",
        ] {
            assert_eq!(return_to(elsewhere), "/", "{elsewhere}");
        }
        assert_eq!(return_to(&format!("/{}", "a".repeat(2_000))), "/");
    }
}
