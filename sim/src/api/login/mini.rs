//! The users of a mini program: who has a session, and what their codes stand for.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::codes::{CodeFault, Codes};
use crate::wechat::{ids, open_data};

/// A session that was not used for this long has ended, and the next `wx.login` makes a new session key.
/// WeChat names no figure; three days is what is observed.
pub const SESSION_IDLE_MS: i64 = 3 * 86_400_000;

/// A telephone number, as its owner gives it to a mini program.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phone {
    /// Without `+`: `86`.
    pub country_code: String,
    /// Without the country's code.
    pub number: String,
    /// `countryCode` is a JSON number and not a text: WeChat does both.
    #[serde(default)]
    pub country_code_is_number: bool,
}

impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Phone(…)")
    }
}

impl Phone {
    /// A number of mainland China; its `countryCode` is a text.
    pub fn mainland(number: &str) -> Self {
        Self {
            country_code: "86".to_owned(),
            number: number.to_owned(),
            country_code_is_number: false,
        }
    }

    /// `phoneNumber`, `purePhoneNumber` and `countryCode`, without the watermark. Foreign numbers have their country's code
    /// in `phoneNumber`.
    pub fn info(&self) -> Value {
        let full = match self.country_code.as_str() {
            "86" => self.number.clone(),
            foreign => format!("+{foreign}{}", self.number),
        };
        let country_code = match self.country_code.parse::<u32>() {
            Ok(number) if self.country_code_is_number => json!(number),
            _ => json!(self.country_code),
        };
        json!({"phoneNumber": full, "purePhoneNumber": self.number, "countryCode": country_code})
    }
}

/// Whom a `js_code` logs in, and under which key.
#[derive(Clone)]
pub(in crate::api) struct Login {
    pub(in crate::api) openid: String,
    pub(in crate::api) session_key: String,
}

struct Session {
    key: String,
    used_ms: i64,
}

/// What one mini program's users did.
#[derive(Default)]
pub(in crate::api) struct Logins {
    sessions: HashMap<String, Session>,
    risky: HashSet<String>,
    js_codes: Codes<Login>,
    phone_codes: Codes<Phone>,
}

impl Logins {
    /// `wx.login`: the session goes on, or a new one begins.
    pub(super) fn js_code(&mut self, now_ms: i64, openid: &str) -> String {
        let login = Login {
            openid: openid.to_owned(),
            session_key: self.use_session(now_ms, openid).to_owned(),
        };
        self.js_codes.issue(now_ms, ids::alphanumeric(32), login)
    }

    /// `getPhoneNumber`.
    pub(super) fn phone_code(&mut self, now_ms: i64, openid: &str, phone: Phone) -> String {
        if self.session_key(now_ms, openid).is_some() {
            self.use_session(now_ms, openid);
        }
        self.phone_codes.issue(now_ms, ids::hex(64), phone)
    }

    /// The key of the session there is.
    pub(super) fn session_key(&self, now_ms: i64, openid: &str) -> Option<&str> {
        let session = self.sessions.get(openid)?;
        (now_ms - session.used_ms < SESSION_IDLE_MS).then_some(session.key.as_str())
    }

    /// The key of the session there is from now on.
    pub(super) fn use_session(&mut self, now_ms: i64, openid: &str) -> &str {
        if self.session_key(now_ms, openid).is_none() {
            self.sessions.remove(openid);
        }
        let session = self
            .sessions
            .entry(openid.to_owned())
            .or_insert_with(|| Session {
                key: open_data::session_key(),
                used_ms: now_ms,
            });
        session.used_ms = now_ms;
        &session.key
    }

    pub(super) fn end_session(&mut self, openid: &str) {
        self.sessions.remove(openid);
    }

    pub(super) fn mark_risky(&mut self, openid: &str) {
        self.risky.insert(openid.to_owned());
    }

    /// Uses up a `js_code`, unless its user is risky: `None`.
    pub(in crate::api) fn log_in(
        &mut self,
        now_ms: i64,
        code: &str,
    ) -> Result<Option<Login>, CodeFault> {
        if self
            .risky
            .contains(&self.js_codes.look(now_ms, code)?.openid)
        {
            return Ok(None);
        }
        self.js_codes.redeem(now_ms, code).map(Some)
    }

    /// Uses up a code of `getPhoneNumber`.
    pub(in crate::api) fn phone(&mut self, now_ms: i64, code: &str) -> Result<Phone, CodeFault> {
        self.phone_codes.redeem(now_ms, code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_goes_on_while_it_is_used_and_a_code_keeps_the_key_of_its_login() {
        let mut logins = Logins::default();
        assert_eq!(logins.session_key(0, "o1"), None);
        let first = logins.js_code(0, "o1");
        let key = logins.session_key(0, "o1").unwrap().to_owned();
        logins.js_code(SESSION_IDLE_MS - 1, "o1");
        assert_eq!(
            logins.session_key(SESSION_IDLE_MS, "o1"),
            Some(key.as_str())
        );
        assert_eq!(logins.session_key(2 * SESSION_IDLE_MS, "o1"), None);
        logins.end_session("o1");
        logins.js_code(1, "o1");
        assert_ne!(logins.session_key(1, "o1"), Some(key.as_str()));
        let Ok(Some(login)) = logins.log_in(2, &first) else {
            panic!("the code is good");
        };
        assert_eq!(login.session_key, key);
    }

    #[test]
    fn a_country_code_is_a_text_or_a_number_and_only_foreign_numbers_carry_it() {
        assert_eq!(
            Phone::mainland("13580006666").info(),
            json!({"phoneNumber": "13580006666", "purePhoneNumber": "13580006666", "countryCode": "86"})
        );
        let foreign = Phone {
            country_code: "852".into(),
            number: "5551234".into(),
            country_code_is_number: true,
        };
        assert_eq!(
            foreign.info(),
            json!({"phoneNumber": "+8525551234", "purePhoneNumber": "5551234", "countryCode": 852})
        );
    }
}
