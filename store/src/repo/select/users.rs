//! People: listed by first storage, or by the beginning of their follow when the filter is about follows.

use std::ops::Range;

use weir_store_api::UserFacts;
use weir_store_api::read::{Follow, FollowState, Page, User, UserCounts, UserDetail};

use super::super::person::{profile, state_column};
use super::super::tags;
use super::{ByTime, Cell, Order, Position, Repo, RepoError, Row, Slice};
use super::{account_names, milliseconds, page, seconds};

/// Which people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Of this account.
    pub account: Option<String>,
    /// In this state.
    pub state: Option<FollowState>,
    /// Who came by the QR code of this scene.
    pub scene: Option<String>,
    /// Whose follow began within these Unix seconds.
    pub followed: Option<Range<i64>>,
    /// With this unionid.
    pub unionid: Option<String>,
    /// Who is blacklisted, or who is not.
    pub blacklisted: Option<bool>,
}

impl UserFilter {
    /// How the listing is sorted.
    #[must_use]
    pub fn order(&self) -> Order {
        let by_follow = self.state.is_some() || self.scene.is_some() || self.followed.is_some();
        if by_follow && self.unionid.is_none() && self.blacklisted != Some(true) {
            Order::Follows
        } else {
            Order::Users
        }
    }
}

/// The columns that [`read`] reads, in its order, of `users u`, `accounts a` and `follows f`, if there is one.
macro_rules! user_columns {
    () => {
        "u.user_key, a.name, u.openid, u.first_seen_at, \
         u.subscribe, u.nickname, u.sex, u.language, u.city, u.province, u.country, u.headimgurl, \
         u.subscribe_time, u.unionid, u.remark, u.groupid, u.tagid_list, u.subscribe_scene, u.qr_scene, \
         u.qr_scene_str, u.profile_at_ms, \
         (SELECT k.at FROM blacklist k WHERE k.user_key = u.user_key AND k.listed = 1), \
         f.state, f.since, f.until, f.scene, f.subscribe_scene, f.followed_times, f.unfollowed_times"
    };
}
pub(super) use user_columns;

/// A statement that [`read`] reads. CROSS JOIN is how SQLite is told to keep to the order of the tables: the
/// first one is cut to the page, the others are looked up for its rows.
macro_rules! statement {
    ($($part:literal),*) => {
        concat!("SELECT ", user_columns!(), " ", $($part),*)
    };
}

/// People, with or without a follow.
macro_rules! people {
    ($condition:literal) => {
        statement!(
            "FROM users u LEFT JOIN follows f ON f.user_key = u.user_key CROSS JOIN accounts a \
             WHERE a.account_key = u.account_key AND ",
            $condition
        )
    };
}

/// People by the beginning of their follow.
macro_rules! followers {
    ($condition:literal) => {
        ByTime {
            ties: followers!("since = $2 AND user_key < $3 AND ", $condition),
            rest: followers!("since >= $2 AND since < $3 AND ", $condition),
        }
    };
    ($range:literal, $condition:literal) => {
        statement!(
            "FROM (SELECT * FROM follows WHERE account_key = $1 AND ",
            $range,
            $condition,
            " ORDER BY since DESC, user_key DESC LIMIT $4) f CROSS JOIN users u CROSS JOIN accounts a \
             WHERE u.user_key = f.user_key AND a.account_key = u.account_key"
        )
    };
}

const ALL: &str = people!("u.user_key < $1 ORDER BY u.user_key DESC LIMIT $2");
const BY_ACCOUNT: &str =
    people!("u.account_key = $1 AND u.user_key < $2 ORDER BY u.user_key DESC LIMIT $3");
/// A unionid has one row per account: few enough to look at each.
const BY_UNIONID: &str = people!("u.unionid = $1 AND u.user_key < $2 ORDER BY u.user_key DESC");
const ONE: &str = people!("u.account_key = $1 AND u.openid = $2");
const BY_STATE: ByTime = followers!("state = $5");
const BY_SCENE: ByTime = followers!("state = $5 AND scene = $6");
/// Who is not blacklisted, of the same listings.
const ALL_OTHERS: &str = people!(
    "u.user_key < $1 AND NOT EXISTS (SELECT 1 FROM blacklist b WHERE b.user_key = u.user_key AND b.listed = 1) \
     ORDER BY u.user_key DESC LIMIT $2"
);
const OTHERS_BY_ACCOUNT: &str = people!(
    "u.account_key = $1 AND u.user_key < $2 \
     AND NOT EXISTS (SELECT 1 FROM blacklist b WHERE b.user_key = u.user_key AND b.listed = 1) \
     ORDER BY u.user_key DESC LIMIT $3"
);
const OTHERS_BY_STATE: ByTime = followers!(
    "state = $5 AND NOT EXISTS (SELECT 1 FROM blacklist b WHERE b.user_key = follows.user_key AND b.listed = 1)"
);
const OTHERS_BY_SCENE: ByTime = followers!(
    "state = $5 AND scene = $6 \
     AND NOT EXISTS (SELECT 1 FROM blacklist b WHERE b.user_key = follows.user_key AND b.listed = 1)"
);
/// `$1` account, `$2` the key to stay below, `$3` limit, and what may be `NULL`: `$4` state, `$5` scene, `$6` and `$7` range
/// of the follow's beginning. A blacklist is short: what does not fit is passed over.
const BLACKLISTED: &str = statement!(
    "FROM blacklist b CROSS JOIN users u LEFT JOIN follows f ON f.user_key = u.user_key CROSS JOIN accounts a \
     WHERE b.account_key = $1 AND b.listed = 1 AND b.user_key < $2 \
     AND u.user_key = b.user_key AND a.account_key = u.account_key \
     AND (CAST($4 AS BIGINT) IS NULL OR f.state = CAST($4 AS BIGINT)) \
     AND (CAST($5 AS TEXT) IS NULL OR f.scene = CAST($5 AS TEXT)) \
     AND (CAST($6 AS BIGINT) IS NULL OR f.since >= CAST($6 AS BIGINT) AND f.since < CAST($7 AS BIGINT)) \
     ORDER BY b.user_key DESC LIMIT $3"
);
const ACTIVITY: &str = "SELECT count(*), max(sent_at) FROM messages WHERE user_key = $1";

/// How SQLite must go about each.
#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] = &[
    (ALL, "SEARCH u USING INTEGER PRIMARY KEY (rowid<?)"),
    (
        BY_ACCOUNT,
        "users_by_account (account_key=? AND user_key<?)",
    ),
    (BY_UNIONID, "users_by_unionid (unionid=?"),
    (ONE, "users_by_openid (account_key=? AND openid=?)"),
    (
        BY_STATE.ties,
        "follows_by_state (account_key=? AND state=? AND since=? AND user_key<?)",
    ),
    (
        BY_STATE.rest,
        "follows_by_state (account_key=? AND state=? AND since>? AND since<?)",
    ),
    (
        BY_SCENE.ties,
        "follows_by_scene (account_key=? AND scene=? AND state=? AND since=? AND user_key<?)",
    ),
    (
        BY_SCENE.rest,
        "follows_by_scene (account_key=? AND scene=? AND state=? AND since>? AND since<?)",
    ),
    (ALL_OTHERS, "SEARCH u USING INTEGER PRIMARY KEY (rowid<?)"),
    (
        OTHERS_BY_ACCOUNT,
        "users_by_account (account_key=? AND user_key<?)",
    ),
    (
        OTHERS_BY_STATE.rest,
        "follows_by_state (account_key=? AND state=? AND since>? AND since<?)",
    ),
    (
        OTHERS_BY_SCENE.rest,
        "follows_by_scene (account_key=? AND scene=? AND state=? AND since>? AND since<?)",
    ),
    (
        BLACKLISTED,
        "blacklist_by_account (account_key=? AND user_key<?)",
    ),
    (ACTIVITY, "messages_by_user (user_key=?)"),
];

/// A page of people.
///
/// # Errors
/// The database did not answer.
pub async fn users(
    repo: &dyn Repo,
    filter: &UserFilter,
    slice: Slice,
) -> Result<Page<User>, RepoError> {
    let order = filter.order();
    let after = slice.after;
    let rows = if let Some(unionid) = &filter.unionid {
        repo.select(
            BY_UNIONID,
            vec![vec![unionid.as_str().into(), after.minor.into()]],
        )
        .await?
    } else if filter.blacklisted == Some(true) {
        let accounts = account_names(repo, filter.account.as_deref()).await?;
        let (from, until) = match &filter.followed {
            Some(range) => (range.start.into(), range.end.into()),
            None => (Cell::Null, Cell::Null),
        };
        let branch = |(key, _): &(i64, String)| {
            vec![
                (*key).into(),
                after.minor.into(),
                slice.rows(),
                filter.state.map(state_column).into(),
                filter.scene.as_deref().into(),
                from.clone(),
                until.clone(),
            ]
        };
        repo.select(BLACKLISTED, accounts.iter().map(branch).collect())
            .await?
    } else if order == Order::Follows {
        let accounts = account_names(repo, filter.account.as_deref()).await?;
        by_follow(repo, filter, &accounts, slice).await?
    } else if filter.account.is_some() {
        let accounts = account_names(repo, filter.account.as_deref()).await?;
        let branch = |key: i64| vec![key.into(), after.minor.into(), slice.rows()];
        let branches = accounts.iter().map(|(key, _)| branch(*key)).collect();
        let statement = match filter.blacklisted {
            None => BY_ACCOUNT,
            Some(_) => OTHERS_BY_ACCOUNT,
        };
        repo.select(statement, branches).await?
    } else {
        let statement = match filter.blacklisted {
            None => ALL,
            Some(_) => ALL_OTHERS,
        };
        repo.select(statement, vec![vec![after.minor.into(), slice.rows()]])
            .await?
    };

    let mut users = Vec::with_capacity(rows.len());
    for mut row in rows {
        let found = read(&mut row)?;
        // Only the rows of a unionid have not been chosen by the statement itself.
        if filter.unionid.is_none() || found.fits(filter) {
            users.push((found.position(order), (found.user_key, found.user)));
        }
    }
    let mut page = page(users, order, slice.limit);
    let keys: Vec<i64> = page.items.iter().map(|(key, _)| *key).collect();
    let mut local = tags::local(repo, &keys).await?;
    let items = page.items.drain(..).map(|(key, mut user)| {
        user.local_tags = local.remove(&key).unwrap_or_default();
        user
    });
    Ok(Page {
        items: items.collect(),
        next_cursor: page.next_cursor,
    })
}

/// A branch for each account and state.
async fn by_follow(
    repo: &dyn Repo,
    filter: &UserFilter,
    accounts: &[(i64, String)],
    slice: Slice,
) -> Result<Vec<Row>, RepoError> {
    let states = filter.state.map_or(
        vec![FollowState::Following, FollowState::Unfollowed],
        |state| vec![state],
    );
    let mut branches = Vec::new();
    for (key, _) in accounts {
        for state in &states {
            let mut more = vec![state_column(*state).into()];
            more.extend(filter.scene.as_deref().map(Cell::from));
            branches.push((*key, more));
        }
    }
    let statements = match (&filter.scene, filter.blacklisted) {
        (Some(_), None) => BY_SCENE,
        (Some(_), Some(_)) => OTHERS_BY_SCENE,
        (None, None) => BY_STATE,
        (None, Some(_)) => OTHERS_BY_STATE,
    };
    statements
        .rows(repo, &branches, filter.followed.as_ref(), slice)
        .await
}

/// One person, with what they did.
///
/// # Errors
/// The database did not answer.
pub async fn user(
    repo: &dyn Repo,
    account: &str,
    openid: &str,
) -> Result<Option<UserDetail>, RepoError> {
    let accounts = account_names(repo, Some(account)).await?;
    let Some((key, _)) = accounts.first() else {
        return Ok(None);
    };
    let rows = repo
        .select(ONE, vec![vec![(*key).into(), openid.into()]])
        .await?;
    let Some(mut row) = rows.into_iter().next() else {
        return Ok(None);
    };
    let mut found = read(&mut row)?;
    let mut local = tags::local(repo, &[found.user_key]).await?;
    found.user.local_tags = local.remove(&found.user_key).unwrap_or_default();
    let mut activity = repo
        .select(ACTIVITY, vec![vec![found.user_key.into()]])
        .await?;
    let (messages, last_message_at) = match activity.pop() {
        Some(mut row) => (row.some_int()?, row.int()?),
        None => (0, None),
    };
    Ok(Some(UserDetail {
        uid: found.user_key,
        user: found.user,
        counts: UserCounts {
            messages: messages.unsigned_abs(),
        },
        last_message_at: last_message_at.map(seconds),
    }))
}

/// A question of an event's sender: what is known of its user?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The event's place among those it came with.
    pub event: usize,
    /// The account's name.
    pub account: String,
    /// The user.
    pub openid: String,
    /// The event's time, Unix seconds.
    pub second: i64,
}

/// `$1` account, `$2` openid: one row, or none.
const KNOWN: &str = "SELECT u.first_seen_at, u.remark, u.nickname FROM accounts a \
    JOIN users u ON u.account_key = a.account_key AND u.openid = $2 WHERE a.name = $1";

/// What is known of the users of these events, which are stored. An event is the user's first push when nothing about
/// the user is older: the same for every copy of it.
///
/// # Errors
/// The database did not answer.
pub async fn known(repo: &dyn Repo, asks: &[Ask]) -> Result<Vec<UserFacts>, RepoError> {
    let mut known = Vec::with_capacity(asks.len());
    for ask in asks {
        let parameters = vec![ask.account.as_str().into(), ask.openid.as_str().into()];
        let row = repo
            .select(KNOWN, vec![parameters])
            .await?
            .into_iter()
            .next();
        known.push(match row {
            None => UserFacts::default(),
            Some(mut row) => UserFacts {
                first_push: row.some_int()? >= ask.second,
                remark: row.text()?.filter(|remark| !remark.is_empty()),
                nickname: row.text()?.filter(|nickname| !nickname.is_empty()),
            },
        });
    }
    Ok(known)
}

/// A person with the keys a listing sorts by.
pub(super) struct Found {
    pub(super) user_key: i64,
    /// Unix seconds.
    pub(super) first_seen: i64,
    since: i64,
    pub(super) user: User,
}

impl Found {
    fn position(&self, order: Order) -> Position {
        let major = if order == Order::Follows {
            self.since
        } else {
            0
        };
        Position {
            major,
            minor: self.user_key,
        }
    }

    /// Whether a person with the right unionid fits the other filters too.
    fn fits(&self, filter: &UserFilter) -> bool {
        let follow = self.user.follow.as_ref();
        let account = filter
            .account
            .as_ref()
            .is_none_or(|account| *account == self.user.account);
        let state = filter
            .state
            .is_none_or(|state| follow.is_some_and(|follow| follow.state == state));
        let scene =
            filter.scene.is_none() || follow.is_some_and(|follow| follow.scene == filter.scene);
        let time = filter
            .followed
            .as_ref()
            .is_none_or(|range| follow.is_some() && range.contains(&self.since));
        let blacklisted = filter
            .blacklisted
            .is_none_or(|blacklisted| blacklisted == self.user.blacklisted);
        account && state && scene && time && blacklisted
    }
}

/// Reads the columns of a `statement!`.
pub(super) fn read(row: &mut Row) -> Result<Found, RepoError> {
    let user_key = row.some_int()?;
    let account = row.some_text()?;
    let openid = row.some_text()?;
    let first_seen = row.some_int()?;
    let mut profile = profile(row)?;
    let profile_at = row.int()?.map(milliseconds);
    let blacklisted_since = row.int()?.map(seconds);
    let (follow, since) = follow(row)?;
    profile.openid.clone_from(&openid);
    let named = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    let name = named(&profile.remark).or_else(|| named(&profile.nickname));
    let user = User {
        unionid: profile.unionid.clone(),
        display_name: name.clone().unwrap_or_else(|| nameless(&openid)),
        name,
        account,
        openid,
        first_seen_at: seconds(first_seen),
        profile: profile_at.is_some().then_some(profile),
        profile_at,
        follow,
        local_tags: Vec::new(),
        blacklisted: blacklisted_since.is_some(),
        blacklisted_since,
    };
    Ok(Found {
        user_key,
        first_seen,
        since,
        user,
    })
}

/// What to call somebody without a name: the same for ever, and nobody's words.
fn nameless(openid: &str) -> String {
    let last = openid.char_indices().rev().nth(5);
    let end = last.map_or(openid, |(start, _)| &openid[start..]);
    format!("#{end}")
}

/// Reads the columns of `follows`; with the raw `since`, which listings sort by.
fn follow(row: &mut Row) -> Result<(Option<Follow>, i64), RepoError> {
    let Some(state) = row.int()? else {
        return Ok((None, 0));
    };
    let since = row.some_int()?;
    let follow = Follow {
        state: if state == state_column(FollowState::Following) {
            FollowState::Following
        } else {
            FollowState::Unfollowed
        },
        since: Some(since).filter(|since| *since != 0).map(seconds),
        until: row.int()?.map(seconds),
        scene: row.text()?,
        subscribe_scene: row.text()?,
        followed_times: row.some_int()?.unsigned_abs(),
        unfollowed_times: row.some_int()?.unsigned_abs(),
    };
    Ok((Some(follow), since))
}
