//! What the store does for accounts through the API door: `/v1/accounts/{account}/syncs` and
//! `…/campaigns`.
//!
//! Times are RFC 3339 in UTC. A field without a value is `null`, never absent.

use serde::{Deserialize, Serialize};

/// The body of `POST /v1/accounts/{account}/syncs`; all of it may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SyncRequest {
    /// Ask about these users alone: 1 to 10,000. Without it, about all who follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openids: Option<Vec<String>>,
    /// The account's appid; needed as long as the store has seen no event of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appid: Option<String>,
    /// Who asks, for the audit: up to 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, for the audit: up to 512 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// No store has taken it up yet.
    Waiting,
    /// A store is at work, or was until a moment ago.
    Running,
    /// It goes on at `due_at`; `reason` says what was in the way.
    Resting,
    /// It is complete.
    Done,
    /// It ended before it was complete, and `reason` says why. The next one goes on where it was.
    Failed,
    /// Somebody ended it. The next one goes on where it was.
    Stopped,
}

impl JobState {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Waiting,
        Self::Running,
        Self::Resting,
        Self::Done,
        Self::Failed,
        Self::Stopped,
    ];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Resting => "resting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }

    /// Whether nothing more is done.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Stopped)
    }
}

/// A sync: an account's followers, as WeChat has them, into the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sync {
    /// Its number.
    pub id: i64,
    /// The account's name in the gateway's configuration.
    pub account: String,
    /// How it is.
    pub state: JobState,
    /// How many users it asks about by name; `null`: all who follow.
    pub chosen: Option<u64>,
    /// Who asked, in their own words; `timer` where it was the store's configuration.
    pub by: Option<String>,
    /// Why, in their own words.
    pub why: Option<String>,
    /// When it was asked for.
    pub asked_at: String,
    /// When a store first took it up.
    pub begun_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// When it goes on, while it rests.
    pub due_at: Option<String>,
    /// WeChat's, where it was WeChat who would not.
    pub errcode: Option<i64>,
    /// Why it rests, or ended before it was complete.
    pub reason: Option<String>,
    /// How far it is; as of a second ago at most while it runs.
    pub progress: SyncProgress,
}

/// How far a sync is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct SyncProgress {
    /// How many follow, by WeChat's last word.
    pub followers: u64,
    /// Users who were stored.
    pub stored: u64,
    /// People of the store who were compared with the list.
    pub compared: u64,
    /// Those of them who are not in the list, and follow all the same: they came after their page.
    pub came_since: u64,
    /// Those who follow no more.
    pub unfollowed: u64,
    /// Pages of the list that were read.
    pub pages: u64,
    /// Calls to WeChat that were made.
    pub calls: u64,
    /// Users whom WeChat does not know: the first twenty.
    pub unknown: Vec<String>,
    /// How many those are.
    pub unknown_users: u64,
    /// How many are on the account's blacklist; `null`: it was not read, or not yet.
    pub blacklisted: Option<u64>,
    /// Why it is not read: the account may not, or the gateway's door does not let it.
    pub no_blacklist: Option<String>,
}

/// The body of `POST /v1/accounts/{account}/campaigns`: one message to many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CampaignRequest {
    /// What it is called: within it everybody gets the message once, however often it is asked for. 1 to 64 letters, digits,
    /// `-`, `_` and `.`.
    pub name: String,
    /// The message: `kind` (`template`, `subscribe`, `bizsend`, `custom`), `template_id` and `data`, or `text`; `url`,
    /// `miniprogram`, `page`, `state`, `lang`. In its texts `{column}` is that member of a recipient.
    pub message: serde_json::Map<String, serde_json::Value>,
    /// Who gets it: objects with an `openid` and what the message uses. As JSON lines (`application/x-ndjson`) they follow
    /// the first line, which is this object without them.
    #[serde(default)]
    pub recipients: Vec<serde_json::Map<String, serde_json::Value>>,
    /// Messages a second, above 0 and up to 1000; as the store is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Who asks, for the audit: up to 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, for the audit: up to 512 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The body of `POST /v1/accounts/{account}/campaigns/{name}/resume`; all of it may be left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    /// Send again to those of whom it is not known whether they were sent it: they may get it twice.
    #[serde(default)]
    pub repeat_unknown: bool,
    /// Try again to send to those whom WeChat refused.
    #[serde(default)]
    pub repeat_refused: bool,
}

/// One message to many, by the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Campaign {
    /// What it is called.
    pub name: String,
    /// The account's name in the gateway's configuration.
    pub account: String,
    /// How it is.
    pub state: JobState,
    /// Who asked, in their own words.
    pub by: Option<String>,
    /// Why, in their own words.
    pub why: Option<String>,
    /// When it was asked for.
    pub asked_at: String,
    /// When a store first took it up.
    pub begun_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// When it goes on, while it rests.
    pub due_at: Option<String>,
    /// WeChat's, where it was WeChat who would not.
    pub errcode: Option<i64>,
    /// Why it rests, or ended before everybody had their turn.
    pub reason: Option<String>,
    /// How far it is; as of a second ago at most while it runs.
    pub progress: CampaignProgress,
}

/// How far a campaign is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct CampaignProgress {
    /// Who are to get it.
    pub recipients: u64,
    /// WeChat took it.
    pub sent: u64,
    /// It was not sent, for certain.
    pub refused: u64,
    /// It was sent or not.
    pub unknown: u64,
}

/// What became of a recipient's message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Recipient {
    /// Whose; `null`: of somebody who was erased.
    pub openid: Option<String>,
    /// `sent`; `refused`: not sent, for certain; `unknown`: sent or not; `null`: it has not had its turn, or is on its way.
    pub outcome: Option<String>,
    /// When it left, where it may have been sent and that is not known.
    pub begun_at: Option<String>,
    /// WeChat's.
    pub errcode: Option<i64>,
    /// WeChat's.
    pub msgid: Option<String>,
    /// Why it was not sent, in words.
    pub reason: Option<String>,
    /// Which key of the data WeChat did not take.
    pub field: Option<String>,
    /// Whether the next run sends it by itself.
    pub retryable: bool,
}
