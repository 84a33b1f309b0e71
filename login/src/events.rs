//! What the store learns of logins.

use serde::Serialize;
use weir_engine::Random;
use weir_engine::time::{Now, rfc3339};
use weir_store_api::CloudEvent;

use crate::config::Account;

/// By which way somebody came.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum By {
    MiniProgram,
    Web,
    /// A mini program's open data said more of somebody who is here already.
    OpenData,
}

/// `weir.session.started`.
#[derive(Serialize)]
pub(crate) struct SessionStarted<'a> {
    pub(crate) account: &'a str,
    pub(crate) appid: &'a str,
    pub(crate) by: By,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unionid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nickname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) headimgurl: Option<&'a str>,
    pub(crate) started_at_ms: u64,
}

/// `weir.user.phone`.
#[derive(Serialize)]
pub(crate) struct UserPhone<'a> {
    pub(crate) account: &'a str,
    pub(crate) appid: &'a str,
    pub(crate) phone_number: &'a str,
    pub(crate) pure_phone_number: &'a str,
    pub(crate) country_code: &'a str,
    pub(crate) learned_at_ms: u64,
}

/// An event, about a user.
pub(crate) fn event<T: Serialize>(
    kind: &'static str,
    account: &Account,
    openid: &str,
    data: T,
    now: Now,
    random: &mut dyn Random,
) -> Vec<u8> {
    let mut id = [0; 16];
    random.fill(&mut id);
    let event = CloudEvent {
        specversion: "1.0".into(),
        id: format!("{:032x}", u128::from_le_bytes(id)).into(),
        source: account.source.as_str().into(),
        kind: kind.into(),
        time: Some(rfc3339(now.unix_s()).into()),
        subject: Some(openid.into()),
        datacontenttype: Some("application/json".into()),
        weirask: None,
        weirclaim: None,
        weirleasems: None,
        data,
    };
    // Names are fixed: writing cannot fail.
    serde_json::to_vec(&event).unwrap_or_default()
}
