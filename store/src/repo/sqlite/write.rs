//! One batch, one transaction. In the same process a statement costs about a microsecond: the rows go one by
//! one through prepared statements.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, named_params};

use super::super::cards::CardNews;
use super::super::catch_up::{self, Part};
use super::super::people::Ties;
use super::super::person::{FollowRow, ProfileRow, load, person_columns};
use super::super::sends::Additions;
use super::super::work::pages;
use super::super::{Cell, Row, Stored, Taken};
use super::{cards, people, run, sends, sql, unreadable, work};
use crate::event::NewEvent;
use crate::fact::{Change, Erasure, Fact, Message};
use crate::fold::Person;

/// The connection that writes, and what it knows by heart.
pub(super) struct Writing {
    connection: Connection,
    known: Known,
}

/// Keys of rows that never change. Forgotten when a transaction fails: its rows are gone.
#[derive(Default)]
struct Known {
    sources: HashMap<String, i64>,
    accounts: HashMap<String, i64>,
    /// Per account and appid the earliest time noted.
    appids: HashMap<i64, HashMap<String, i64>>,
}

/// A person of this batch.
struct Someone<'a> {
    user_key: i64,
    /// `first_seen_at` as the row has it.
    stored_at: i64,
    /// What it must become, if that is earlier.
    first_seen_at: i64,
    is_new: bool,
    /// The facts that change more than `first_seen_at`.
    news: Vec<&'a Fact>,
}

/// People by account and openid.
type People<'a> = HashMap<(i64, &'a str), Someone<'a>>;

impl Writing {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            known: Known::default(),
        }
    }

    pub(super) fn commit(&mut self, events: &[NewEvent]) -> rusqlite::Result<Vec<Taken>> {
        let result = self.try_commit(events);
        if result.is_err() {
            self.known = Known::default();
        }
        result
    }

    fn try_commit(&mut self, events: &[NewEvent]) -> rusqlite::Result<Vec<Taken>> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let known = &mut self.known;
        let mut people = People::new();
        let mut additions = Additions::default();
        let mut news = CardNews::default();
        let mut results = Vec::with_capacity(events.len());
        for event in events {
            let account_key = match &event.fact {
                Some(fact) => Some(known.account(&transaction, &fact.account)?),
                None => None,
            };
            let source_key = known.source(&transaction, &event.source)?;
            let Some(seq) = insert_event(&transaction, event, source_key, account_key)? else {
                results.push(Stored::Duplicate.into());
                continue;
            };
            results.push(Stored::Created.into());
            if let (Some(fact), Some(account_key)) = (&event.fact, account_key) {
                known.appid(&transaction, fact, account_key)?;
                project(&transaction, &mut people, fact, account_key, seq)?;
                additions.add(seq, account_key, fact);
                news.add(account_key, fact);
            }
        }
        let mut ties = Ties::default();
        for ((account_key, _), someone) in &people {
            save(&transaction, *account_key, someone)?;
            for fact in &someone.news {
                ties.add(someone.user_key, fact);
            }
        }
        let pages = pages(events, &results, &known.sources, &known.accounts);
        work::write(&transaction, &pages, &mut results)?;
        sends::write(&transaction, &additions)?;
        cards::write(&transaction, &news)?;
        people::write(&transaction, &ties)?;
        transaction.commit()?;
        Ok(results)
    }

    /// See [`Repo::catch_up`](crate::repo::Repo::catch_up).
    pub(super) fn catch_up(&mut self, part: &Part) -> rusqlite::Result<bool> {
        let result = self.try_catch_up(part);
        if result.is_err() {
            self.known = Known::default();
        }
        result
    }

    fn try_catch_up(&mut self, part: &Part) -> rusqlite::Result<bool> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let known = &mut self.known;
        if transaction.execute(&sql(catch_up::NOTE), (part.after, part.upto))? == 0 {
            return Ok(false);
        }
        let (mut additions, mut news) = (Additions::default(), CardNews::past());
        let mut ties = Ties::default();
        for (seq, fact) in &part.facts {
            let account_key = known.account(&transaction, &fact.account)?;
            known.appid(&transaction, fact, account_key)?;
            transaction
                .prepare_cached(&sql(catch_up::ADOPT))?
                .execute((seq, account_key))?;
            additions.add(*seq, account_key, fact);
            news.add(account_key, fact);
            if let Some(sighting) = fact.sighting.as_ref().filter(|known| known.is_named()) {
                let person = (account_key, sighting.openid.as_str());
                let someone = meet(&transaction, person, fact.at.second())?;
                ties.add(someone.user_key, fact);
            }
        }
        sends::write(&transaction, &additions)?;
        cards::write(&transaction, &news)?;
        people::write(&transaction, &ties)?;
        transaction.commit()?;
        Ok(true)
    }

    /// Runs a statement that changes rows, for each set of parameters, in one transaction.
    pub(super) fn change(
        &mut self,
        statement: &str,
        parameters: &[Vec<Cell>],
    ) -> rusqlite::Result<Vec<Row>> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let rows = run(&transaction, statement, parameters)?;
        transaction.commit()?;
        Ok(rows)
    }

    /// Whether a commit could be made now.
    pub(super) fn check(&mut self) -> rusqlite::Result<()> {
        let lock = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        lock.query_row("SELECT count(*) FROM weir_migrations", [], |_| Ok(()))?;
        lock.rollback()
    }
}

impl Known {
    fn source(&mut self, transaction: &Transaction<'_>, source: &str) -> rusqlite::Result<i64> {
        let statement = "INSERT INTO sources (source) VALUES (?1) \
            ON CONFLICT (source) DO UPDATE SET source = excluded.source RETURNING source_key";
        key(&mut self.sources, transaction, statement, source)
    }

    fn account(&mut self, transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<i64> {
        let statement = "INSERT INTO accounts (name) VALUES (?1) \
            ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING account_key";
        key(&mut self.accounts, transaction, statement, name)
    }

    /// Notes the earliest use of an appid.
    fn appid(
        &mut self,
        transaction: &Transaction<'_>,
        fact: &Fact,
        account_key: i64,
    ) -> rusqlite::Result<()> {
        let appid = fact.appid.as_deref().unwrap_or_default();
        let second = fact.at.second();
        let noted = self.appids.entry(account_key).or_default();
        if noted.get(appid).is_some_and(|noted| *noted <= second) {
            return Ok(());
        }
        let earliest = transaction
            .prepare_cached(
                "INSERT INTO account_appids (account_key, appid, first_seen_at) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (account_key, appid) \
                 DO UPDATE SET first_seen_at = min(first_seen_at, excluded.first_seen_at) \
                 RETURNING first_seen_at",
            )?
            .query_row((account_key, appid, second), |row| row.get(0))?;
        noted.insert(appid.to_owned(), earliest);
        Ok(())
    }
}

fn key(
    known: &mut HashMap<String, i64>,
    transaction: &Transaction<'_>,
    statement: &str,
    name: &str,
) -> rusqlite::Result<i64> {
    if let Some(key) = known.get(name) {
        return Ok(*key);
    }
    let key = transaction.query_row(statement, [name], |row| row.get(0))?;
    known.insert(name.to_owned(), key);
    Ok(key)
}

/// The new event's `seq`; `None` if it was there.
fn insert_event(
    transaction: &Transaction<'_>,
    event: &NewEvent,
    source_key: i64,
    account_key: Option<i64>,
) -> rusqlite::Result<Option<i64>> {
    let inserted = transaction
        .prepare_cached(
            "INSERT INTO events (source_key, id, type, at_ms, subject, data, account_key, stored_at_ms) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (source_key, id) DO NOTHING",
        )?
        .execute((
            source_key,
            &event.id,
            &event.kind,
            event.at_ms,
            &event.subject,
            &event.data,
            account_key,
            event.stored_at_ms,
        ))?;
    Ok((inserted == 1).then(|| transaction.last_insert_rowid()))
}

fn project<'a>(
    transaction: &Transaction<'_>,
    people: &mut People<'a>,
    fact: &'a Fact,
    account_key: i64,
    seq: i64,
) -> rusqlite::Result<()> {
    let Some(sighting) = &fact.sighting else {
        return Ok(());
    };
    let second = fact.at.second();
    let person = (account_key, sighting.openid.as_str());
    let someone = match people.entry(person) {
        Entry::Occupied(met) => met.into_mut(),
        Entry::Vacant(first) => first.insert(meet(transaction, person, second)?),
    };
    someone.first_seen_at = someone.first_seen_at.min(second);
    match &sighting.change {
        Change::Seen => {}
        Change::Message(message) => {
            insert_message(
                transaction,
                fact,
                message,
                account_key,
                someone.user_key,
                seq,
            )?;
        }
        Change::Follow { .. } | Change::Unfollow | Change::Erase(Erasure::Unfollow) => {
            let change = matches!(sighting.change, Change::Follow { .. });
            transaction
                .prepare_cached(
                    "INSERT INTO follow_news (seq, account_key, at, change) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute((seq, account_key, second, change))?;
            someone.news.push(fact);
        }
        Change::Erase(Erasure::Demand(_))
        | Change::Named(_)
        | Change::Profile(_)
        | Change::Login { .. }
        | Change::Phone(_)
        | Change::Blacklisted(_) => someone.news.push(fact),
    }
    Ok(())
}

/// Finds the person, or makes them known.
fn meet<'a>(
    transaction: &Transaction<'_>,
    (account_key, openid): (i64, &str),
    second: i64,
) -> rusqlite::Result<Someone<'a>> {
    let known = transaction
        .prepare_cached(
            "SELECT user_key, first_seen_at FROM users WHERE account_key = ?1 AND openid = ?2",
        )?
        .query_row((account_key, openid), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((user_key, stored_at)) = known {
        return Ok(Someone {
            user_key,
            stored_at,
            first_seen_at: stored_at,
            is_new: false,
            news: Vec::new(),
        });
    }
    transaction
        .prepare_cached(
            "INSERT INTO users (account_key, openid, first_seen_at) VALUES (?1, ?2, ?3)",
        )?
        .execute((account_key, openid, second))?;
    Ok(Someone {
        user_key: transaction.last_insert_rowid(),
        stored_at: second,
        first_seen_at: second,
        is_new: true,
        news: Vec::new(),
    })
}

fn insert_message(
    transaction: &Transaction<'_>,
    fact: &Fact,
    message: &Message,
    account_key: i64,
    user_key: i64,
    seq: i64,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO messages (seq, account_key, user_key, kind, sent_at, received_ms, msg_id, text) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute((
            seq,
            account_key,
            user_key,
            &message.kind,
            fact.at.second(),
            fact.at.millisecond(),
            &message.msg_id,
            &message.text,
        ))?;
    Ok(())
}

/// Writes what changed about a person.
fn save(
    transaction: &Transaction<'_>,
    account_key: i64,
    someone: &Someone<'_>,
) -> rusqlite::Result<()> {
    let user_key = someone.user_key;
    if someone.first_seen_at < someone.stored_at {
        transaction
            .prepare_cached("UPDATE users SET first_seen_at = ?2 WHERE user_key = ?1")?
            .execute((user_key, someone.first_seen_at))?;
    }
    if someone.news.is_empty() {
        return Ok(());
    }
    let before = if someone.is_new {
        Person::default()
    } else {
        stored(transaction, user_key)?
    };
    let mut person = before.clone();
    for fact in &someone.news {
        if let Some(sighting) = &fact.sighting {
            person.apply(fact.at, &sighting.change);
        }
    }
    if person.profile != before.profile {
        save_profile(transaction, &ProfileRow::new(user_key, &person))?;
    }
    if person != before
        && let Some(follow) = FollowRow::new(user_key, account_key, &person)
    {
        save_follow(transaction, &follow)?;
    }
    Ok(())
}

fn stored(transaction: &Transaction<'_>, user_key: i64) -> rusqlite::Result<Person> {
    let statement = concat!(
        "SELECT ",
        person_columns!(),
        " FROM users u LEFT JOIN follows f ON f.user_key = u.user_key WHERE u.user_key = ?1"
    );
    transaction
        .prepare_cached(statement)?
        .query_row([user_key], |row| {
            load(&mut Row::try_from(row)?).map_err(unreadable)
        })
}

fn save_profile(transaction: &Transaction<'_>, row: &ProfileRow<'_>) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "UPDATE users SET subscribe = :subscribe, nickname = :nickname, sex = :sex, language = :language, \
             city = :city, province = :province, country = :country, headimgurl = :headimgurl, \
             subscribe_time = :subscribe_time, unionid = :unionid, remark = :remark, groupid = :groupid, \
             tagid_list = :tagid_list, subscribe_scene = :subscribe_scene, qr_scene = :qr_scene, \
             qr_scene_str = :qr_scene_str, profile_at_ms = :profile_at_ms, profile_clocks = :profile_clocks \
             WHERE user_key = :user_key",
        )?
        .execute(named_params! {
            ":user_key": row.user_key,
            ":subscribe": row.subscribe,
            ":nickname": row.nickname,
            ":sex": row.sex,
            ":language": row.language,
            ":city": row.city,
            ":province": row.province,
            ":country": row.country,
            ":headimgurl": row.headimgurl,
            ":subscribe_time": row.subscribe_time,
            ":unionid": row.unionid,
            ":remark": row.remark,
            ":groupid": row.groupid,
            ":tagid_list": row.tagid_list,
            ":subscribe_scene": row.subscribe_scene,
            ":qr_scene": row.qr_scene,
            ":qr_scene_str": row.qr_scene_str,
            ":profile_at_ms": row.profile_at_ms,
            ":profile_clocks": row.profile_clocks,
        })?;
    Ok(())
}

fn save_follow(transaction: &Transaction<'_>, row: &FollowRow) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO follows (user_key, account_key, state, since, until, scene, subscribe_scene, \
             followed_times, unfollowed_times, evidence) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
             ON CONFLICT (user_key) DO UPDATE SET state = excluded.state, since = excluded.since, \
             until = excluded.until, scene = excluded.scene, subscribe_scene = excluded.subscribe_scene, \
             followed_times = excluded.followed_times, unfollowed_times = excluded.unfollowed_times, \
             evidence = excluded.evidence",
        )?
        .execute((
            row.user_key,
            row.account_key,
            row.state,
            row.since,
            row.until,
            &row.scene,
            &row.subscribe_scene,
            row.followed_times,
            row.unfollowed_times,
            &row.evidence,
        ))?;
    Ok(())
}
