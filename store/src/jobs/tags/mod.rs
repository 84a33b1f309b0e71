//! Changes of tags at WeChat, asked for by the API.
//!
//! A change is a job: durable before it is answered, done by whichever store holds the account's lease, waiting when the quota
//! is used up, its outcome kept in its row. An account's changes are made one after the other in the order in which they were
//! asked for: who is given a tag and then relieved of it does not end up with it.
//!
//! # Made twice
//! A store that is killed may have asked WeChat, and another asks again. Of all changes that is the same but for making a tag
//! and deleting one. So it is noted before WeChat is asked that it is; a name that is taken then, or a tag that is gone, is
//! ours.

mod rows;
mod work;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use weir_store_api::tags::{Tag, TagChange, TagOperation, TagRefused, TagsChanged};

use super::Errands;
use crate::error::Error;
use crate::repo::Repo;
pub use rows::{operation, operations};
pub(super) use work::{Work, read_all};

/// What changes of tags are among jobs.
pub(super) const KIND: &str = "tags";
/// Rests in a row because of trouble that passes: a day of them.
pub(super) const TROUBLES: i64 = 24;
/// How often it is looked whether one is made.
const LOOK: Duration = Duration::from_millis(40);

/// What is wanted: its `request`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub(crate) enum Wanted {
    /// A tag of this name.
    Create { name: String },
    /// Another name for this tag.
    Rename { id: i64, name: String },
    /// No such tag.
    Delete { id: i64 },
    /// These followers have it.
    Give { id: i64, openids: Vec<String> },
    /// These followers do not.
    Take { id: i64, openids: Vec<String> },
}

impl Wanted {
    fn change(&self) -> TagChange {
        match self {
            Self::Create { .. } => TagChange::Create,
            Self::Rename { .. } => TagChange::Rename,
            Self::Delete { .. } => TagChange::Delete,
            Self::Give { .. } => TagChange::Give,
            Self::Take { .. } => TagChange::Take,
        }
    }

    fn tag_id(&self) -> Option<i64> {
        match self {
            Self::Create { .. } => None,
            Self::Rename { id, .. }
            | Self::Delete { id }
            | Self::Give { id, .. }
            | Self::Take { id, .. } => Some(*id),
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Create { name } | Self::Rename { name, .. } => Some(name),
            _ => None,
        }
    }

    fn openids(&self) -> Option<&[String]> {
        match self {
            Self::Give { openids, .. } | Self::Take { openids, .. } => Some(openids),
            _ => None,
        }
    }
}

/// How far it is: its `counts`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Done {
    /// WeChat was, or was about to be, asked to make or delete a tag.
    asked: bool,
    tag: Option<Tag>,
    /// Of the followers that are named, by their places: who is erased is taken out of the request alone.
    places: BTreeMap<usize, Fate>,
}

/// What has become of a follower.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fate {
    Done,
    Refused { errcode: i64, reason: String },
}

impl Done {
    /// Notes what has become of these, where nothing has yet.
    fn note(&mut self, openids: &[String], these: &[String], fate: &Fate) {
        for (place, openid) in openids.iter().enumerate() {
            if these.contains(openid) {
                self.places.entry(place).or_insert_with(|| fate.clone());
            }
        }
    }

    /// What has become of all of these.
    fn members_of(&self, openids: &[String], reason: Option<&str>) -> TagsChanged {
        let mut members = TagsChanged::default();
        for (place, openid) in openids.iter().enumerate() {
            let openid = openid.clone();
            match self.places.get(&place) {
                None => members.later.push(openid),
                Some(Fate::Done) => members.done.push(openid),
                Some(Fate::Refused { errcode, reason }) => members.refused.push(TagRefused {
                    openid,
                    errcode: *errcode,
                    reason: reason.clone(),
                }),
            }
        }
        members.reason = reason
            .filter(|_| !members.later.is_empty())
            .map(str::to_owned);
        members
    }
}

impl Errands {
    /// Has a tag changed at WeChat: durable on return. Waits so long for it to be done.
    ///
    /// # Errors
    /// Too many changes of this account wait.
    pub(crate) async fn change_tags(
        &self,
        repo: &dyn Repo,
        account: &str,
        wanted: &Wanted,
        patience: Duration,
    ) -> Result<TagOperation, Error> {
        let Some(id) = rows::create(repo, account, wanted).await? else {
            return Err(Error::Contended);
        };
        self.wake.notify_one();
        let begun = Instant::now();
        loop {
            tokio::time::sleep(LOOK).await;
            let found = operation(repo, account, id).await?;
            let operation = found.ok_or(Error::Internal)?;
            if operation.state.is_over() || begun.elapsed() >= patience {
                return Ok(operation);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_nothing_is_known_of_is_for_later() {
        let openids = ["o1", "o2", "o3"].map(str::to_owned);
        let mut done = Done::default();
        done.note(&openids, &openids[1..2], &Fate::Done);
        let members = done.members_of(&openids, Some("the quota"));
        assert_eq!(members.later, ["o1", "o3"]);
        assert_eq!(members.reason.as_deref(), Some("the quota"));
        let refused = Fate::Refused {
            errcode: 40003,
            reason: "no".to_owned(),
        };
        done.note(&openids, &openids, &refused);
        let members = done.members_of(&openids, Some("over"));
        assert_eq!((members.done.len(), members.refused.len()), (1, 2));
        assert_eq!(members.reason, None);
    }
}
