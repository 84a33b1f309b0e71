//! Who somebody is, as a sealed value.

use serde::{Deserialize, Serialize};
use weir_engine::Random;
use zeroize::Zeroizing;

use crate::config::Sessions;
use crate::seal::{open, seal};

const PURPOSE: &str = "weir session";
/// Sessions of mini programs begin so where they are bearer tokens: an application's own tokens are left alone.
pub(crate) const BEARER_PREFIX: &str = "weir1.";

/// A user, or a guest. No `Debug`: the session_key is in it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    /// The account's name: places change with the configuration.
    #[serde(rename = "a")]
    pub(crate) account: String,
    #[serde(rename = "w")]
    pub(crate) who: Who,
    /// Unix time, seconds.
    #[serde(rename = "e")]
    pub(crate) ends_s: u64,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Who {
    #[serde(rename = "u")]
    User {
        #[serde(rename = "o")]
        openid: String,
        #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
        unionid: Option<String>,
        /// Of a mini program.
        #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
        session_key: Option<Zeroizing<String>>,
        /// The person's, where the store said it at the login.
        #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
        uid: Option<i64>,
    },
    /// With its uid, which is negative.
    #[serde(rename = "g")]
    Guest(i64),
}

impl Session {
    pub(crate) fn seal(&self, sessions: &Sessions, random: &mut dyn Random) -> Option<String> {
        // Names are fixed and keys are strings: writing cannot fail.
        let value = Zeroizing::new(serde_json::to_vec(self).ok()?);
        seal(&sessions.key, PURPOSE, &value, random)
    }

    /// `None`: it is none, or it is over.
    pub(crate) fn open(sessions: &Sessions, text: &str, unix_s: u64) -> Option<Self> {
        let keys = [Some(&sessions.key), sessions.previous_key.as_ref()];
        let value = open(keys.into_iter().flatten(), PURPOSE, text)?;
        let session: Self = serde_json::from_slice(&value).ok()?;
        (unix_s < session.ends_s).then_some(session)
    }
}

/// A guest's uid: negative, and hardly ever anybody else's.
pub(crate) fn guest_uid(random: &mut dyn Random) -> i64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    // 52 bits: JSON numbers keep it.
    let number = u64::from_le_bytes(bytes) >> 12;
    -1 - number.cast_signed()
}
