//! Tags of an account's followers, as the store's API takes and answers them. WeChat keeps them where the account may use
//! tags there; else the store does.

use serde::{Deserialize, Serialize};

use crate::jobs::JobState;

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tag {
    /// WeChat's; up to 2 they are WeChat's own tags. Below 0 it is the store's.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// How many followers have it; `null` for one that was just made or renamed.
    pub count: Option<u64>,
    /// Where it is kept.
    pub place: TagPlace,
    /// Why the store alone keeps it; `null`: WeChat does.
    pub why_local: Option<String>,
}

/// Where a tag is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum TagPlace {
    /// At WeChat, and in the store as WeChat said last.
    Wechat,
    /// In the store alone.
    Local,
}

/// `GET /v1/accounts/{account}/tags`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tags {
    /// All of them, 100 of the account's own at most.
    pub items: Vec<Tag>,
    /// Why these are as the store has them, and not as WeChat has them now; `null`: they are.
    pub warning: Option<String>,
}

/// What a tag is to be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TagName {
    /// 1 to 30 characters, none of them a control character.
    #[cfg_attr(
        feature = "openapi",
        schema(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,30}$")
    )]
    pub name: String,
}

/// Who is to have a tag, or to have it no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TagMembers {
    /// 1 to 1,000 followers.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 1000))]
    pub openids: Vec<String>,
}

/// What became of it. Each openid is in one of the three; `(erased)` stands for whoever was erased since.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct TagsChanged {
    /// It is done.
    pub done: Vec<String>,
    /// It is not done, and will not be.
    pub refused: Vec<TagRefused>,
    /// Nobody has done it yet.
    pub later: Vec<String>,
    /// Why they are `later`.
    pub reason: Option<String>,
}

/// A user who is not given a tag, or not relieved of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TagRefused {
    /// Who.
    pub openid: String,
    /// WeChat's, or the one that WeChat would give.
    pub errcode: i64,
    /// In words.
    pub reason: String,
}

/// What is to happen to a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum TagChange {
    /// It is made.
    Create,
    /// It gets another name.
    Rename,
    /// It is deleted.
    Delete,
    /// Followers get it.
    Give,
    /// Followers have it no more.
    Take,
}

/// A change that is on its way to WeChat, or was. It outlives the store's end: an account's changes are made one after the
/// other, in the order in which they were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TagOperation {
    /// Its number.
    pub id: i64,
    /// The account's name in the gateway's configuration.
    pub account: String,
    /// What is wanted.
    pub change: TagChange,
    /// Of which tag; `null` for one that is to be made.
    pub tag_id: Option<i64>,
    /// What it is to be called.
    pub name: Option<String>,
    /// How it is. `failed`: WeChat does not do it, or could not be asked for too long; `reason` says why.
    pub state: JobState,
    /// When it was asked for.
    pub asked_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// When it is tried again, while it rests.
    pub due_at: Option<String>,
    /// WeChat's, where it was WeChat who would not.
    pub errcode: Option<i64>,
    /// Why it rests or failed.
    pub reason: Option<String>,
    /// The tag, once it is made.
    pub tag: Option<Tag>,
    /// What has become of the followers so far, where it is about some.
    pub members: Option<TagsChanged>,
}
