//! What operators and applications add to people: fields, and decisions. Not events: what these say is the store's own.
//!
//! # Fields
//! A row per field, under the uid that the person had when it was written. When two people turn out to be one, both of their
//! rows are theirs, and of each field the one that was written last counts. A field that is taken away is taken away from all of
//! a person's identities.
//!
//! Two who change one field at once: one of them finds that the row is not what it read, reads again and adds its own
//! change to the other's. That is what a merge patch asks for, so nothing is lost but what is contradicted.

use std::collections::BTreeMap;

use serde_json::Value;
use weir_store_api::read::{Audit, Decision, Fields};

use super::select::milliseconds;
use super::{Cell, Repo, RepoError};

/// How often a change is tried when others change the same at once.
const ATTEMPTS: usize = 16;

/// Why fields were not changed.
#[derive(Debug)]
pub enum FieldsError {
    /// They would be larger than they may be.
    TooLarge,
    /// Others change them all the time.
    Contended,
    /// The database did not answer.
    Repo(RepoError),
}

impl From<RepoError> for FieldsError {
    fn from(error: RepoError) -> Self {
        Self::Repo(error)
    }
}

/// `$1` an identity's uid.
const FIELDS: &str = "SELECT a.account_key, a.name, e.user_key, e.name, e.value, e.at_ms \
    FROM extensions e CROSS JOIN accounts a WHERE e.user_key = $1 AND a.account_key = e.account_key";
/// Writes a field if its row is the one that was read; says so by a row.
const WRITE: &str = "INSERT INTO extensions (user_key, account_key, name, value, at_ms) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (user_key, account_key, name) DO UPDATE SET value = excluded.value, at_ms = excluded.at_ms \
    WHERE extensions.at_ms = $6 RETURNING at_ms";
const REMOVE: &str =
    "DELETE FROM extensions WHERE user_key = $1 AND account_key = $2 AND name = $3";
pub(super) const REMOVE_ALL: &str = "DELETE FROM extensions WHERE user_key = $1";
/// `$1` an identity's uid: the last word on it.
const AUDIT: &str = "SELECT audit_key, state, reason, decider, at_ms FROM audits \
    WHERE user_key = $1 ORDER BY audit_key DESC LIMIT 1";
pub(super) const DECIDE: &str =
    "INSERT INTO audits (user_key, state, reason, decider, at_ms) VALUES ($1, $2, $3, $4, $5)";

/// How SQLite must go about each.
#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] = &[
    (FIELDS, "SEARCH e USING PRIMARY KEY (user_key=?)"),
    (
        AUDIT,
        "SEARCH audits USING INDEX audits_by_user (user_key=?)",
    ),
];

/// A field as it stands.
#[derive(Debug)]
struct Field {
    value: Value,
    /// When the row that counts was written, and whose it is.
    written: (i64, i64),
    /// When the row of the one who would write now was; 0: there is none.
    own_at_ms: i64,
}

/// Fields by account, as `(key, name)`, and name.
type All = BTreeMap<(i64, String), BTreeMap<String, Field>>;

async fn all(repo: &dyn Repo, uids: &[i64], own: i64) -> Result<All, RepoError> {
    let unreadable = || RepoError::Unavailable("a JSON column is not what we wrote".to_owned());
    let mut all = All::new();
    let identities = uids.iter().map(|uid| vec![Cell::Int(*uid)]).collect();
    for mut row in repo.select(FIELDS, identities).await? {
        let account = (row.some_int()?, row.some_text()?);
        let user_key = row.some_int()?;
        let name: String = serde_json::from_str(&row.some_text()?).map_err(|_| unreadable())?;
        let value: Value = serde_json::from_str(&row.some_text()?).map_err(|_| unreadable())?;
        let at_ms = row.some_int()?;
        let fields = all.entry(account).or_default();
        let field = fields.entry(name).or_insert(Field {
            value: Value::Null,
            written: (i64::MIN, 0),
            own_at_ms: 0,
        });
        if (at_ms, user_key) > field.written {
            field.written = (at_ms, user_key);
            field.value = value;
        }
        if user_key == own {
            field.own_at_ms = at_ms;
        }
    }
    Ok(all)
}

/// The fields that are kept of somebody who has these uids, by the account's name.
pub(super) async fn fields(
    repo: &dyn Repo,
    uids: &[i64],
) -> Result<BTreeMap<String, Fields>, RepoError> {
    let all = all(repo, uids, 0).await?.into_iter();
    Ok(all
        .map(|((_, account), fields)| {
            let fields = fields.into_iter().map(|(name, field)| (name, field.value));
            (account, fields.collect())
        })
        .collect())
}

/// Applies a merge patch to the fields that are kept at one account of somebody who has these uids, the person's own in
/// front. Returns the fields as they are then. Source: RFC 7396.
///
/// # Errors
/// See [`FieldsError`]; after [`FieldsError::Contended`] a part of it may have been done.
pub async fn patch(
    repo: &dyn Repo,
    uids: &[i64],
    account: (i64, &str),
    patch: &Fields,
    max_bytes: usize,
    now_ms: i64,
) -> Result<Fields, FieldsError> {
    let own = uids.first().copied().unwrap_or_default();
    for _ in 0..ATTEMPTS {
        let mut all = all(repo, uids, own).await?;
        let known = all
            .remove(&(account.0, account.1.to_owned()))
            .unwrap_or_default();
        let before: Fields = known
            .iter()
            .map(|(name, field)| (name.clone(), field.value.clone()))
            .collect();
        let after = merged(before.clone(), patch);
        if serde_json::to_string(&after).map_or(true, |text| text.len() > max_bytes) {
            return Err(FieldsError::TooLarge);
        }
        let row =
            |uid: i64, name: &str| vec![uid.into(), account.0.into(), Cell::Text(quoted(name))];
        let removed: Vec<_> = before
            .keys()
            .filter(|name| !after.contains_key(*name))
            .flat_map(|name| uids.iter().map(move |uid| row(*uid, name)))
            .collect();
        if !removed.is_empty() {
            repo.change(REMOVE, removed).await?;
        }
        let written: Vec<_> = after
            .iter()
            .filter(|(name, value)| before.get(*name) != Some(value))
            .map(|(name, value)| {
                let known = known.get(name);
                let newest = known.map_or(i64::MIN, |field| field.written.0);
                let mut cells = row(own, name);
                cells.push(Cell::Text(value.to_string()));
                cells.push(now_ms.max(newest.saturating_add(1)).into());
                cells.push(known.map_or(0, |field| field.own_at_ms).into());
                cells
            })
            .collect();
        let wanted = written.len();
        if wanted == 0 || repo.change(WRITE, written).await?.len() == wanted {
            return Ok(after);
        }
    }
    Err(FieldsError::Contended)
}

/// A name as its column has it.
fn quoted(name: &str) -> String {
    Value::from(name).to_string()
}

/// The fields after a merge patch.
fn merged(mut fields: Fields, patch: &Fields) -> Fields {
    for (name, change) in patch {
        match change {
            Value::Null => {
                fields.remove(name);
            }
            Value::Object(change) => {
                let inner = match fields.remove(name) {
                    Some(Value::Object(inner)) => inner,
                    _ => Fields::new(),
                };
                fields.insert(name.clone(), merged(inner, change).into());
            }
            value => {
                fields.insert(name.clone(), value.clone());
            }
        }
    }
    fields
}

/// The last word on somebody who has these uids.
pub(super) async fn audit(repo: &dyn Repo, uids: &[i64]) -> Result<Option<Audit>, RepoError> {
    let identities = uids.iter().map(|uid| vec![Cell::Int(*uid)]).collect();
    let mut last: Option<(i64, Audit)> = None;
    for mut row in repo.select(AUDIT, identities).await? {
        let key = row.some_int()?;
        let audit = Audit {
            state: row.some_text()?,
            reason: row.some_text()?,
            by: row.some_text()?,
            at: milliseconds(row.some_int()?),
        };
        if last.as_ref().is_none_or(|(newest, _)| *newest < key) {
            last = Some((key, audit));
        }
    }
    Ok(last.map(|(_, audit)| audit))
}

/// Notes what was decided about a person.
///
/// # Errors
/// The database did not answer.
pub async fn decide(
    repo: &dyn Repo,
    uid: i64,
    decision: &Decision,
    now_ms: i64,
) -> Result<(), RepoError> {
    let row = vec![
        uid.into(),
        decision.state.as_str().into(),
        decision.reason.as_str().into(),
        decision.by.as_str().into(),
        now_ms.into(),
    ];
    repo.change(DECIDE, vec![row]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Fields {
        value.as_object().unwrap().clone()
    }

    /// The examples of RFC 7396, appendix A, whose patches are objects.
    #[test]
    fn patches_are_merged_as_the_standard_says() {
        for (before, patch, after) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            assert_eq!(
                merged(object(before), &object(patch.clone())),
                object(after),
                "{patch}"
            );
        }
    }
}
