//! Somebody, across accounts and apps.

use std::collections::{BTreeMap, BTreeSet};

use weir_store_api::read::{FollowState, Person, PersonIdentity, PersonMerge, User};

use super::super::{care, tags};
use super::users::{read, user_columns};
use super::{Repo, RepoError, seconds};
use crate::fold::Clock;
use crate::people::{self, Identity, Logins};

/// How long customer-service messages may be sent after a user's message, in seconds. Source: WeChat's page on them.
const CUSTOMER_SERVICE_S: i64 = 48 * 3_600;

/// Whoever is held together with an identity by unionids, each with every unionid of theirs: a row for each of those, one for
/// who has none. UNION finds nobody twice, so it ends. CROSS JOIN is how SQLite is told to keep to the order of the tables.
const PERSON: &str = concat!(
    "WITH RECURSIVE person (user_key) AS (\
        SELECT user_key FROM users WHERE user_key = $1 \
        UNION \
        SELECT theirs.user_key FROM person p CROSS JOIN unions own CROSS JOIN unions theirs \
        WHERE own.user_key = p.user_key AND theirs.unionid = own.unionid) \
     SELECT l.first_at, l.last_at, t.phone_number, \
        (SELECT max(m.sent_at) FROM messages m WHERE m.user_key = u.user_key), n.unionid, n.at, n.at_ms, n.tie, ",
    user_columns!(),
    " FROM person p CROSS JOIN users u LEFT JOIN follows f ON f.user_key = u.user_key \
     LEFT JOIN logins l ON l.user_key = u.user_key LEFT JOIN phones t ON t.user_key = u.user_key LEFT JOIN unions n ON n.user_key = u.user_key \
     CROSS JOIN accounts a WHERE u.user_key = p.user_key AND a.account_key = u.account_key"
);

/// `$1` account, `$2` openid.
const IDENTITY: &str = "SELECT u.user_key FROM accounts a CROSS JOIN users u \
     WHERE a.name = $1 AND u.account_key = a.account_key AND u.openid = $2";

/// The person whom a uid finds; `None`: nobody has had it.
///
/// # Errors
/// The database did not answer.
pub async fn person(repo: &dyn Repo, uid: i64) -> Result<Option<Person>, RepoError> {
    let Some((person, users, more)) = found(repo, uid).await? else {
        return Ok(None);
    };
    let uids: Vec<i64> = person.identities().iter().map(|known| known.uid).collect();
    let mut told = told(&person, users, more);
    told.audit = care::audit(repo, &uids).await?;
    let mut local = tags::local(repo, &uids).await?;
    for known in &mut told.identities {
        known.user.local_tags = local.remove(&known.uid).unwrap_or_default();
    }
    told.extensions = care::fields(repo, &uids).await?;
    Ok(Some(told))
}

/// The uid of the person whom an account knows by this openid, which is that of the identity that was seen first.
///
/// # Errors
/// The database did not answer.
pub async fn person_uid(
    repo: &dyn Repo,
    account: &str,
    openid: &str,
) -> Result<Option<i64>, RepoError> {
    let name = vec![account.into(), openid.into()];
    let Some(mut row) = repo.select(IDENTITY, vec![name]).await?.pop() else {
        return Ok(None);
    };
    let found = found(repo, row.some_int()?).await?;
    Ok(found.map(|(person, ..)| person.uid()))
}

type People = (people::Person, BTreeMap<i64, User>, BTreeMap<i64, More>);

/// A person, and by uid what else is known of their identities.
async fn found(repo: &dyn Repo, uid: i64) -> Result<Option<People>, RepoError> {
    let mut identities: BTreeMap<i64, Identity> = BTreeMap::new();
    let mut users: BTreeMap<i64, User> = BTreeMap::new();
    let mut more: BTreeMap<i64, More> = BTreeMap::new();
    for mut row in repo.select(PERSON, vec![vec![uid.into()]]).await? {
        let (first, last) = (row.int()?, row.int()?);
        let told = More {
            phone: row.text()?,
            written_at: row.int()?,
        };
        let unionid = (row.text()?, row.int()?, row.int()?, row.int()?);
        let found = read(&mut row)?;
        let identity = identities
            .entry(found.user_key)
            .or_insert_with(|| Identity {
                uid: found.user_key,
                account: found.user.account.clone(),
                openid: found.user.openid.clone(),
                first_seen: found.first_seen,
                unionids: BTreeMap::new(),
                follows: (found.user.follow.as_ref())
                    .is_some_and(|follow| follow.state == FollowState::Following),
                logins: (first.zip(last)).map(|(first, last)| Logins { first, last }),
            });
        if let (Some(unionid), Some(at), Some(at_ms), Some(tie)) = unionid {
            identity.told(&unionid, Clock::from_parts(at, at_ms, tie));
        }
        more.insert(found.user_key, told);
        users.insert(found.user_key, found.user);
    }
    let person = people::Person::of(identities.into_values().collect());
    Ok(person.map(|person| (person, users, more)))
}

/// What else is known of an identity.
#[derive(Debug, Default)]
struct More {
    phone: Option<String>,
    /// When it wrote its newest message, Unix seconds.
    written_at: Option<i64>,
}

impl More {
    /// Until when customer-service messages may be sent to it. Who unfollowed or is blacklisted gets
    /// none, whatever they wrote.
    fn customer_service_until(&self, user: &User) -> Option<String> {
        let has_left =
            (user.follow.as_ref()).is_some_and(|follow| follow.state == FollowState::Unfollowed);
        let until = self.written_at?.saturating_add(CUSTOMER_SERVICE_S);
        (!has_left && !user.blacklisted).then(|| seconds(until))
    }
}

/// The person as the API tells of them.
fn told(
    person: &people::Person,
    mut users: BTreeMap<i64, User>,
    mut more: BTreeMap<i64, More>,
) -> Person {
    let known = person.identities().iter();
    let unionids: BTreeSet<&String> = known.flat_map(|known| known.unionids.keys()).collect();
    let identities = person.identities().iter().filter_map(|known| {
        let user = users.remove(&known.uid)?;
        let more = more.remove(&known.uid).unwrap_or_default();
        Some(PersonIdentity {
            uid: known.uid,
            logged_in_at: known.logins.map(|logins| seconds(logins.last)),
            customer_service_until: more.customer_service_until(&user),
            phone_number: more.phone,
            user,
        })
    });
    let identities: Vec<_> = identities.collect();
    let merges = person.merges().iter().map(|merge| PersonMerge {
        at: seconds(merge.at),
        uid: merge.uid,
        into: merge.into,
        unionid: merge.unionid.clone(),
    });
    let first = person.identities().iter().map(|known| known.first_seen);
    Person {
        uid: person.uid(),
        name: (identities.iter()).find_map(|known| known.user.name.clone()),
        first_seen_at: seconds(first.min().unwrap_or_default()),
        pending: person.is_pending(),
        unionids: unionids.into_iter().cloned().collect(),
        merges: merges.collect(),
        identities,
        audit: None,
        extensions: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::migrate;

    /// From one identity to the next by an index, never by looking at all.
    #[test]
    fn a_person_is_found_by_indexes() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        for step in migrate::SQLITE {
            connection.execute_batch(step.sql).unwrap();
        }
        let explain = format!("EXPLAIN QUERY PLAN {}", PERSON.replace('$', "?"));
        let mut explain = connection.prepare(&explain).unwrap();
        let steps: Vec<String> = explain
            .query_map(rusqlite::params![1], |row| row.get(3))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for expected in [
            "SEARCH own USING PRIMARY KEY (user_key=?)",
            "SEARCH theirs USING COVERING INDEX unions_by_unionid (unionid=?)",
            "SEARCH u USING INTEGER PRIMARY KEY (rowid=?)",
            "SEARCH m USING COVERING INDEX messages_by_user (user_key=?)",
        ] {
            assert!(
                steps.iter().any(|step| step.starts_with(expected)),
                "{expected}: {steps:#?}"
            );
        }
        let is_small = |step: &String| step.starts_with("SCAN p") || step == "SCAN CONSTANT ROW";
        assert!(
            steps
                .iter()
                .all(|step| is_small(step) || !step.starts_with("SCAN")),
            "{steps:#?}"
        );
    }
}
