//! People who log in, on WeChat's side: what a mini program's client gets from WeChat, and what a browser gets from
//! `open.weixin.qq.com`.
//!
//! Nobody here need follow. Bounds: an account's last [`MAX_CODES`] codes of each kind are remembered; a session is kept for every
//! openid that ever logged in, the tokens of an account's last [`MAX_GRANTS`] web logins.
//!
//! Source: WeChat's pages on 小程序登录, 手机号快速验证, 开放数据校验与解密 and 网页授权.

mod authorize;
mod codes;
mod mini;
mod oauth;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use authorize::Authorize;
pub use authorize::NotAuthorised;
pub(super) use authorize::Scope;
pub(super) use codes::CodeFault;
pub use codes::{CODE_LIFETIME_MS, MAX_CODES};
pub(super) use mini::Logins;
pub use mini::{Phone, SESSION_IDLE_MS};
pub use oauth::{ACCESS_LIFETIME_MS, MAX_GRANTS, REFRESH_LIFETIME_MS};
pub(super) use oauth::{Grant, OAuth, Visitor};

use super::world::{NoSuchAccount, World};
use crate::wechat::{ids, open_data};

/// What a mini program's client does.
impl World {
    /// `wx.login`: a code for `/sns/jscode2session`, good once and for five minutes. The user's session goes on; a new one, with
    /// a new key, begins if there is none, or if it was not used for [`SESSION_IDLE_MS`].
    ///
    /// # Errors
    /// [`NoSuchAccount`], as for all that follow.
    pub fn js_code(&self, account: &str, openid: &str) -> Result<String, NoSuchAccount> {
        self.with(account, |now_ms, state| {
            state.logins.js_code(now_ms, openid)
        })
    }

    /// The phone button: a code for `/wxa/business/getuserphonenumber`, good once and for five minutes. It tells the server the
    /// number and not the user; the user's session, if there is one, counts as used.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn phone_code(
        &self,
        account: &str,
        openid: &str,
        phone: &Phone,
    ) -> Result<String, NoSuchAccount> {
        self.with(account, |now_ms, state| {
            state.logins.phone_code(now_ms, openid, phone.clone())
        })
    }

    /// The key of the user's session, base64; `None` without a session.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn session_key(
        &self,
        account: &str,
        openid: &str,
    ) -> Result<Option<String>, NoSuchAccount> {
        self.with(account, |now_ms, state| {
            state.logins.session_key(now_ms, openid).map(str::to_owned)
        })
    }

    /// The user's session is over: the next `wx.login` makes a new key, and the client seals and signs with that one, whatever
    /// the server still has.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn end_session(&self, account: &str, openid: &str) -> Result<(), NoSuchAccount> {
        self.with(account, |_, state| state.logins.end_session(openid))
    }

    /// `encryptedData` and `iv`, both base64, of `json` (an object) with the watermark of this account and this moment added,
    /// sealed under the key of the user's session; one begins if there is none.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    ///
    /// # Panics
    /// When `json` is no object: `encryptedData` always is one.
    pub fn encrypted_data(
        &self,
        account: &str,
        openid: &str,
        json: &Value,
    ) -> Result<(String, String), NoSuchAccount> {
        self.with(account, |now_ms, state| {
            let mut json = json.clone();
            json["watermark"] = watermark(now_ms, &state.account.appid);
            let key = state.logins.use_session(now_ms, openid);
            let iv = open_data::iv();
            let sealed = open_data::seal(key, &iv, json.to_string().as_bytes())
                .expect("sessions have keys of 16 bytes");
            (sealed, STANDARD.encode(iv))
        })
    }

    /// `signature` of `rawData` under the key of the user's session; one begins if there is none.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn raw_data_signature(
        &self,
        account: &str,
        openid: &str,
        raw: &str,
    ) -> Result<String, NoSuchAccount> {
        self.with(account, |now_ms, state| {
            open_data::signature(raw, state.logins.use_session(now_ms, openid))
        })
    }

    /// What this user is called across the accounts bound to one Open Platform account. The rest of the profile stays.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn set_unionid(
        &self,
        account: &str,
        openid: &str,
        unionid: &str,
    ) -> Result<(), NoSuchAccount> {
        self.with(account, |_, state| state.users.set_unionid(openid, unionid))
    }

    /// WeChat takes this user for a risk: `/sns/jscode2session` answers 40226, and the code stays good.
    ///
    /// # Errors
    /// [`NoSuchAccount`].
    pub fn mark_risky(&self, account: &str, openid: &str) -> Result<(), NoSuchAccount> {
        self.with(account, |_, state| state.logins.mark_risky(openid))
    }
}

/// What `open.weixin.qq.com` does with a browser that is sent there.
impl World {
    /// The user agrees to what the address asks for: where their browser goes next, with a `code` (good once and for five minutes)
    /// and the `state`, which is empty if there was none. Which account it is, the address says.
    ///
    /// # Errors
    /// [`NotAuthorised`]: WeChat would show an error page.
    pub fn authorize(&self, url: &str, openid: &str) -> Result<String, NotAuthorised> {
        self.visit(url, openid.to_owned(), false)
    }

    /// As [`authorize`](Self::authorize), for somebody who looks at a snapshot of the page: `is_snapshotuser`, and an openid that
    /// was made up for this visit.
    ///
    /// # Errors
    /// [`NotAuthorised`].
    pub fn authorize_snapshot(&self, url: &str) -> Result<String, NotAuthorised> {
        self.visit(url, ids::openid(), true)
    }

    fn visit(&self, url: &str, openid: String, is_snapshot: bool) -> Result<String, NotAuthorised> {
        let asked = Authorize::parse(url)?;
        let visitor = Visitor {
            openid,
            scope: asked.scope,
            is_snapshot,
        };
        let code = self
            .with_appid(&asked.appid, |now_ms, state| {
                state.oauth.code(now_ms, visitor)
            })
            .ok_or(NotAuthorised::AppId)?;
        Ok(asked.back(&code))
    }
}

/// Whose data it is, and from when.
pub(super) fn watermark(now_ms: i64, appid: &str) -> Value {
    json!({"timestamp": now_ms.div_euclid(1000), "appid": appid})
}
