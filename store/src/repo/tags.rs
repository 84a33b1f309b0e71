//! The tags of accounts: those at WeChat as WeChat said last, and the store's own, with who has them.
//!
//! What is known of WeChat's is as old as its question, by the database's clock: an answer that was on its way while a tag was
//! made does not undo it.

use std::collections::HashMap;

use weir_errands::sync::is_openid;
use weir_store_api::tags::{Tag, TagPlace};

use super::{Cell, Repo, RepoError};
use crate::tags::{OF_USER, is_local};

const NOW: &str = "SELECT now_ms FROM weir_clock";
/// `$1` account, `$2` id, `$3` name, `$4` count, `$5` when WeChat was asked.
const KNOW: &str = "INSERT INTO tags (account, tag_id, name, count, told_ms) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (account, tag_id) DO UPDATE SET name = excluded.name, count = excluded.count, told_ms = excluded.told_ms \
     WHERE tags.told_ms <= excluded.told_ms";
const FORGET_OLDER: &str = "DELETE FROM tags WHERE account = $1 AND tag_id >= 0 AND told_ms < $2";
const FORGET: &str = "DELETE FROM tags WHERE account = $1 AND tag_id = $2 RETURNING tag_id";
const LIST: &str = "SELECT t.tag_id, t.name, t.count, t.why_local, \
     (SELECT COUNT(*) FROM local_tagged g WHERE g.account = t.account AND g.tag_id = t.tag_id) \
     FROM tags t WHERE t.account = $1 ORDER BY t.tag_id";
/// `$1` account, `$2` name, `$3` why. None if another tag has the name, or there are too many.
const MAKE_LOCAL: &str = "INSERT INTO tags (account, tag_id, name, told_ms, why_local) \
     SELECT CAST($1 AS TEXT), (SELECT COALESCE(MIN(t.tag_id), 0) FROM tags t WHERE t.account = CAST($1 AS TEXT) AND t.tag_id < 0) - 1, \
     CAST($2 AS TEXT), c.now_ms, CAST($3 AS TEXT) FROM weir_clock c \
     WHERE NOT EXISTS (SELECT 1 FROM tags n WHERE n.account = CAST($1 AS TEXT) AND n.name = CAST($2 AS TEXT)) \
     AND (SELECT COUNT(*) FROM tags o WHERE o.account = CAST($1 AS TEXT) AND (o.tag_id < 0 OR o.tag_id > 2)) < 100 \
     ON CONFLICT DO NOTHING RETURNING tag_id";
const RENAME_LOCAL: &str = "UPDATE tags SET name = $3 WHERE account = $1 AND tag_id = $2 AND tag_id < 0 \
     AND NOT EXISTS (SELECT 1 FROM tags n WHERE n.account = $1 AND n.name = $3 AND n.tag_id <> $2) RETURNING tag_id";
const UNGIVE_ALL: &str = "DELETE FROM local_tagged WHERE account = $1 AND tag_id = $2";
/// `$1` account, `$2` tag, `$3` openid, `$4` how many of the store's own they may have.
const GIVE: &str = "INSERT INTO local_tagged (user_key, account, tag_id, given_at) \
     SELECT u.user_key, a.name, t.tag_id, c.now_ms / 1000 FROM accounts a \
     JOIN users u ON u.account_key = a.account_key AND u.openid = CAST($3 AS TEXT) \
     JOIN tags t ON t.account = a.name AND t.tag_id = CAST($2 AS BIGINT) CROSS JOIN weir_clock c \
     WHERE a.name = CAST($1 AS TEXT) \
     AND (SELECT COUNT(*) FROM local_tagged g WHERE g.user_key = u.user_key) < CAST($4 AS BIGINT) \
     ON CONFLICT DO NOTHING";
/// `$1` account, `$2` tag, `$3` openid.
const TAKE: &str = "DELETE FROM local_tagged WHERE tag_id = $2 AND user_key = (SELECT u.user_key FROM accounts a \
     JOIN users u ON u.account_key = a.account_key AND u.openid = $3 WHERE a.name = $1)";
/// `$1` account, `$2` openid, `$3` a tag of the store's own.
const OF_USER_ROW: &str = "SELECT u.openid, u.tagid_list, \
     (SELECT COUNT(*) FROM local_tagged g WHERE g.user_key = u.user_key), \
     (SELECT COUNT(*) FROM local_tagged g WHERE g.user_key = u.user_key AND g.tag_id = $3) \
     FROM accounts a JOIN users u ON u.account_key = a.account_key AND u.openid = $2 WHERE a.name = $1";
const LOCAL: &str =
    "SELECT user_key, tag_id FROM local_tagged WHERE user_key = $1 ORDER BY tag_id DESC";

/// The database's clock, Unix milliseconds.
///
/// # Errors
/// The database did not answer, as for all that follow.
pub async fn now_ms(repo: &dyn Repo) -> Result<i64, RepoError> {
    let mut rows = repo.select(NOW, vec![vec![]]).await?;
    let row = rows.pop();
    row.ok_or_else(|| RepoError::Unavailable("it has no clock".to_owned()))?
        .some_int()
}

/// An account's tags: the store's own in front.
///
/// # Errors
/// The database did not answer.
pub async fn tags(repo: &dyn Repo, account: &str) -> Result<Vec<Tag>, RepoError> {
    let rows = repo.select(LIST, vec![vec![account.into()]]).await?;
    let tags = rows.into_iter().map(|mut row| {
        let (id, name, count) = (row.some_int()?, row.some_text()?, row.int()?);
        let (why_local, local_count) = (row.text()?, row.some_int()?);
        let count = if is_local(id) {
            Some(local_count)
        } else {
            count
        };
        Ok(Tag {
            id,
            name,
            count: count.and_then(|count| u64::try_from(count).ok()),
            place: if is_local(id) {
                TagPlace::Local
            } else {
                TagPlace::Wechat
            },
            why_local,
        })
    });
    tags.collect()
}

/// Notes what WeChat was asked for at this time, and says of a tag.
///
/// # Errors
/// The database did not answer.
pub async fn know(
    repo: &dyn Repo,
    account: &str,
    tags: &[Tag],
    asked_ms: i64,
) -> Result<(), RepoError> {
    let cells = tags.iter().map(|tag| {
        vec![
            account.into(),
            tag.id.into(),
            tag.name.as_str().into(),
            tag.count.and_then(|count| i64::try_from(count).ok()).into(),
            asked_ms.into(),
        ]
    });
    repo.change(KNOW, cells.collect()).await.map(drop)
}

/// The same of all tags: what WeChat does not name is gone.
///
/// # Errors
/// The database did not answer.
pub async fn correct(
    repo: &dyn Repo,
    account: &str,
    tags: &[Tag],
    asked_ms: i64,
) -> Result<(), RepoError> {
    know(repo, account, tags, asked_ms).await?;
    let cells = vec![account.into(), asked_ms.into()];
    repo.change(FORGET_OLDER, vec![cells]).await.map(drop)
}

/// Forgets a tag, and who had it if it is the store's own. `false`: there was none.
///
/// # Errors
/// The database did not answer.
pub async fn forget(repo: &dyn Repo, account: &str, id: i64) -> Result<bool, RepoError> {
    let cells = || vec![vec![account.into(), id.into()]];
    let gone = repo.change(FORGET, cells()).await?;
    if is_local(id) {
        repo.change(UNGIVE_ALL, cells()).await?;
    }
    Ok(!gone.is_empty())
}

/// Makes a tag of the store's own; `None`: another tag has the name, or there are too many.
///
/// # Errors
/// The database did not answer.
pub async fn make_local(
    repo: &dyn Repo,
    account: &str,
    name: &str,
    why: &str,
) -> Result<Option<Tag>, RepoError> {
    let cells = vec![account.into(), name.into(), why.into()];
    let made = repo.change(MAKE_LOCAL, vec![cells]).await?;
    let Some(mut row) = made.into_iter().next() else {
        return Ok(None);
    };
    Ok(Some(Tag {
        id: row.some_int()?,
        name: name.to_owned(),
        count: Some(0),
        place: TagPlace::Local,
        why_local: Some(why.to_owned()),
    }))
}

/// Gives a tag of the store's own another name. `false`: there is none, or another tag has the name.
///
/// # Errors
/// The database did not answer.
pub async fn rename_local(
    repo: &dyn Repo,
    account: &str,
    id: i64,
    name: &str,
) -> Result<bool, RepoError> {
    let cells = vec![account.into(), id.into(), name.into()];
    Ok(!repo.change(RENAME_LOCAL, vec![cells]).await?.is_empty())
}

/// The tags of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfUser {
    /// At WeChat, as the newest profile said.
    pub wechat: Vec<i64>,
    /// How many of the store's own.
    pub local: usize,
    /// Whether the tag that was asked about is one of those.
    pub has_it: bool,
}

impl OfUser {
    /// Whether they may get this tag, too.
    #[must_use]
    pub fn may_get(&self, tag: i64) -> bool {
        self.has_it || self.wechat.contains(&tag) || self.wechat.len() + self.local < OF_USER
    }
}

/// The tags of those of these users whom the store knows; `tag` is asked about.
///
/// # Errors
/// The database did not answer.
pub async fn of_users(
    repo: &dyn Repo,
    account: &str,
    openids: &[String],
    tag: i64,
) -> Result<HashMap<String, OfUser>, RepoError> {
    // What cannot be an openid is nobody's, and need not be a text of the database's.
    let openids = openids.iter().filter(|openid| is_openid(openid));
    let cells = openids.map(|openid| vec![account.into(), openid.as_str().into(), tag.into()]);
    let rows = repo.select(OF_USER_ROW, cells.collect()).await?;
    let users = rows.into_iter().map(|mut row| {
        let (openid, list) = (row.some_text()?, row.text()?);
        let wechat = list.and_then(|list| serde_json::from_str(&list).ok());
        let user = OfUser {
            wechat: wechat.unwrap_or_default(),
            local: usize::try_from(row.some_int()?).unwrap_or(0),
            has_it: row.some_int()? > 0,
        };
        Ok((openid, user))
    });
    users.collect()
}

/// Gives a tag of the store's own to users whom it knows, each with how many of those they may have.
///
/// # Errors
/// The database did not answer.
pub async fn give_local(
    repo: &dyn Repo,
    account: &str,
    tag: i64,
    openids: &[(String, usize)],
) -> Result<(), RepoError> {
    let cells = openids.iter().map(|(openid, most)| {
        let most = i64::try_from(*most).unwrap_or(0);
        vec![
            account.into(),
            tag.into(),
            openid.as_str().into(),
            most.into(),
        ]
    });
    repo.change(GIVE, cells.collect()).await.map(drop)
}

/// Takes a tag of the store's own from users.
///
/// # Errors
/// The database did not answer.
pub async fn take_local(
    repo: &dyn Repo,
    account: &str,
    tag: i64,
    openids: &[String],
) -> Result<(), RepoError> {
    let cells = openids
        .iter()
        .map(|openid| vec![account.into(), tag.into(), openid.as_str().into()]);
    repo.change(TAKE, cells.collect()).await.map(drop)
}

/// The store's own tags of these users, by their keys.
///
/// # Errors
/// The database did not answer.
pub async fn local(repo: &dyn Repo, users: &[i64]) -> Result<HashMap<i64, Vec<i64>>, RepoError> {
    let cells = users.iter().map(|key| vec![Cell::Int(*key)]);
    let mut found: HashMap<i64, Vec<i64>> = HashMap::new();
    for mut row in repo.select(LOCAL, cells.collect()).await? {
        let (user, tag) = (row.some_int()?, row.some_int()?);
        found.entry(user).or_default().push(tag);
    }
    Ok(found)
}
