//! What the store learns of logins.

use serde::Serialize;
use weir_engine::Random;
use weir_engine::time::{Now, rfc3339};
use weir_store_api::CloudEvent;

use crate::config::Account;

/// An event, about a user.
pub(crate) fn event<T: Serialize>(
    kind: &'static str,
    account: &Account,
    openid: &str,
    data: T,
    now: Now,
    ask: Option<&'static str>,
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
        weirask: ask.map(Into::into),
        weirclaim: None,
        weirleasems: None,
        data,
    };
    // Names are fixed: writing cannot fail.
    serde_json::to_vec(&event).unwrap_or_default()
}
