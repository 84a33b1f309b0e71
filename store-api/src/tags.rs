//! Tags of an account's followers, as the store's API takes and answers them. WeChat keeps them.

use serde::{Deserialize, Serialize};

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tag {
    /// WeChat's; up to 2 they are WeChat's own tags.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// How many followers have it; `null` for one that was just made or renamed.
    pub count: Option<u64>,
}

/// `GET /v1/accounts/{account}/tags`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tags {
    /// All of them, 100 of the account's own at most.
    pub items: Vec<Tag>,
}

/// What a tag is to be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TagName {
    /// 1 to 30 characters.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 30))]
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

/// What became of it. Each openid is in one of the three.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TagsChanged {
    /// WeChat did it.
    pub done: Vec<String>,
    /// WeChat does not do it.
    pub refused: Vec<TagRefused>,
    /// WeChat was not asked any more, or did not answer: ask again.
    pub later: Vec<String>,
    /// Why they are `later`.
    pub reason: Option<String>,
}

/// A user whom WeChat does not give a tag, or does not take it from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TagRefused {
    /// Who.
    pub openid: String,
    /// WeChat's.
    pub errcode: i64,
    /// In words.
    pub reason: String,
}
