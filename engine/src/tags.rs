//! Gives users the tags that rules ask for, up to 50 users in one call.
//!
//! Tagging twice does no harm, so a copy that is handled twice does none either.

use crate::config::AccountId;

/// A user who gets tags.
pub(crate) struct Tagging {
    pub(crate) account: AccountId,
    pub(crate) openid: String,
    pub(crate) tags: Vec<u32>,
}

/// One user and one tag.
pub(crate) struct TagJob {
    pub(crate) openid: String,
    pub(crate) tag: u32,
}
