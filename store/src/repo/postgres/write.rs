//! One batch, one transaction, a handful of round trips however many events it has: rows travel as arrays.
//!
//! Several stores may do this at once. What two of them could both want is locked in one order: events by source
//! and id, then people by account and openid, then people by key, then work by source and push, then reports by account
//! and message, then credits by account, openid and template, then cards by id, code and account, then unionids and logins by people's key. An
//! erasure comes last, with what it finds: where it and another batch wait for each other, one of them is tried again.

use std::collections::{BTreeMap, HashMap};

use futures_util::future::try_join;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement, Transaction};

use super::super::cards::CardNews;
use super::super::catch_up::{self, Part};
use super::super::people::Ties;
use super::super::person::{FollowRow, ProfileRow, json, load};
use super::super::sends::Additions;
use super::super::work::pages;
use super::super::{Row, Stored, Taken};
use super::statements::Statements;
use super::{Failure, cards, people, sends, work};
use crate::event::NewEvent;
use crate::fact::{Change, Erasure, Fact, Message, Sighting};

/// The session that writes, and what it knows by heart.
pub(super) struct Writing {
    client: Client,
    statements: Statements,
    /// Keys of rows that never change.
    sources: HashMap<String, i64>,
    accounts: HashMap<String, i64>,
    /// Per account and appid the earliest time noted.
    appids: HashMap<(i64, String), i64>,
}

/// A person of this batch.
struct Someone<'a> {
    account_key: i64,
    openid: &'a str,
    /// Unknown until they are found or made known.
    user_key: Option<i64>,
    /// `first_seen_at` as the row has it.
    stored_at: i64,
    /// What it must become, if that is earlier.
    first_seen_at: i64,
    is_new: bool,
    /// The facts that change more than `first_seen_at`.
    news: Vec<&'a Fact>,
    /// Messages, with the `seq` of their events.
    messages: Vec<(i64, &'a Fact, &'a Message)>,
}

impl<'a> Someone<'a> {
    fn new(account_key: i64, openid: &'a str, first_seen_at: i64) -> Self {
        Self {
            account_key,
            openid,
            user_key: None,
            stored_at: first_seen_at,
            first_seen_at,
            is_new: false,
            news: Vec::new(),
            messages: Vec::new(),
        }
    }
}

/// By account and openid, which is the order their rows are made in.
type People<'a> = Vec<Someone<'a>>;

impl Writing {
    /// Prepares a session for writing.
    pub(super) async fn start(client: Client) -> Result<Self, Failure> {
        // What is answered must survive a crash, whatever the server's default.
        client.batch_execute("SET synchronous_commit = on").await?;
        let row = client
            .query_one("SELECT current_setting('fsync')", &[])
            .await?;
        if row.get::<_, &str>(0) != "on" {
            tracing::warn!(
                "the PostgreSQL server runs with fsync off: commits do not survive a crash of its machine"
            );
        }
        Ok(Self {
            statements: Statements::prepare(&client).await?,
            client,
            sources: HashMap::new(),
            accounts: HashMap::new(),
            appids: HashMap::new(),
        })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    pub(super) async fn commit(&mut self, events: &[NewEvent]) -> Result<Vec<Taken>, Failure> {
        let transaction = self.client.transaction().await?;
        let statements = &self.statements;
        let accounts = events.iter().filter_map(|event| event.fact.as_ref());
        know(
            &transaction,
            [&statements.add_accounts, &statements.find_accounts],
            &mut self.accounts,
            accounts.map(|fact| fact.account.as_str()),
        )
        .await?;
        know(
            &transaction,
            [&statements.add_sources, &statements.find_sources],
            &mut self.sources,
            events.iter().map(|event| event.source.as_str()),
        )
        .await?;

        let (sources, accounts) = (&self.sources, &self.accounts);
        let seqs = insert_events(
            &transaction,
            &statements.insert_events,
            events,
            sources,
            accounts,
        )
        .await?;
        let created: Vec<(i64, i64, &Fact)> = events
            .iter()
            .zip(&seqs)
            .filter_map(|(event, seq)| {
                let fact = event.fact.as_ref()?;
                Some(((*seq)?, *accounts.get(&fact.account)?, fact))
            })
            .collect();
        note_appids(
            &transaction,
            &statements.note_appids,
            &mut self.appids,
            &created,
        )
        .await?;

        let mut people = gather(&created);
        if !people.is_empty() {
            meet(&transaction, statements, &mut people).await?;
            insert_messages(&transaction, &statements.insert_messages, &people).await?;
            insert_follow_news(&transaction, &statements.insert_follow_news, &created).await?;
            save(&transaction, statements, &people).await?;
        }
        let taken = seqs.into_iter().map(|seq| match seq {
            Some(_) => Stored::Created.into(),
            None => Stored::Duplicate.into(),
        });
        let mut taken: Vec<Taken> = taken.collect();
        let pages = pages(events, &taken, sources, accounts);
        if !pages.is_empty() {
            work::write(&transaction, statements, &pages, &mut taken).await?;
        }
        let mut additions = Additions::default();
        for (seq, account_key, fact) in &created {
            additions.add(*seq, *account_key, fact);
        }
        sends::write(&transaction, statements, additions).await?;
        let mut news = CardNews::default();
        for (_, account_key, fact) in &created {
            news.add(*account_key, fact);
        }
        cards::write(&transaction, statements, &news).await?;
        let mut ties = Ties::default();
        for someone in &people {
            let Some(user_key) = someone.user_key else {
                continue;
            };
            for fact in &someone.news {
                ties.add(user_key, fact);
            }
        }
        people::write(&transaction, statements, &ties).await?;
        transaction.commit().await?;
        Ok(taken)
    }
}

impl Writing {
    /// See [`Repo::catch_up`](crate::repo::Repo::catch_up).
    pub(super) async fn catch_up(&mut self, part: &Part) -> Result<bool, Failure> {
        let transaction = self.client.transaction().await?;
        let statements = &self.statements;
        // Whoever comes second waits here, and finds that it is done.
        let noted = transaction
            .execute(catch_up::NOTE, &[&part.after, &part.upto])
            .await?;
        if noted == 0 {
            return Ok(false);
        }
        let accounts = part.facts.iter().map(|(_, fact)| fact.account.as_str());
        let know = [&statements.add_accounts, &statements.find_accounts];
        self::know(&transaction, know, &mut self.accounts, accounts).await?;
        let accounts = &self.accounts;
        let told: Vec<(i64, i64, &Fact)> = (part.facts.iter())
            .filter_map(|(seq, fact)| Some((*seq, *accounts.get(&fact.account)?, fact)))
            .collect();
        note_appids(
            &transaction,
            &statements.note_appids,
            &mut self.appids,
            &told,
        )
        .await?;
        let (mut additions, mut news) = (Additions::default(), CardNews::past());
        for (seq, account_key, fact) in &told {
            transaction
                .execute(catch_up::ADOPT, &[seq, account_key])
                .await?;
            additions.add(*seq, *account_key, fact);
            news.add(*account_key, fact);
        }
        let is_named = |fact: &Fact| fact.sighting.as_ref().is_some_and(Sighting::is_named);
        let named: Vec<_> = told.into_iter().filter(|told| is_named(told.2)).collect();
        let mut people = gather(&named);
        if !people.is_empty() {
            meet(&transaction, statements, &mut people).await?;
        }
        sends::write(&transaction, statements, additions).await?;
        cards::write(&transaction, statements, &news).await?;
        let mut ties = Ties::default();
        for someone in &people {
            if let Some(user_key) = someone.user_key {
                (someone.news.iter()).for_each(|fact| ties.add(user_key, fact));
            }
        }
        people::write(&transaction, statements, &ties).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// Learns the keys of names, making rows for new ones.
async fn know(
    transaction: &Transaction<'_>,
    [add, find]: [&Statement; 2],
    known: &mut HashMap<String, i64>,
    names: impl Iterator<Item = &str>,
) -> Result<(), Failure> {
    let mut missing: Vec<&str> = names.filter(|name| !known.contains_key(*name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    missing.sort_unstable();
    missing.dedup();
    transaction.execute(add, &[&missing]).await?;
    for row in transaction.query(find, &[&missing]).await? {
        known.insert(row.get(1), row.get(0));
    }
    Ok(())
}

/// The `seq` of each event that is new, `None` for the others.
async fn insert_events(
    transaction: &Transaction<'_>,
    statement: &Statement,
    events: &[NewEvent],
    sources: &HashMap<String, i64>,
    accounts: &HashMap<String, i64>,
) -> Result<Vec<Option<i64>>, Failure> {
    // By name, each name once: its first occurrence is the one that is new.
    let mut names: BTreeMap<(i64, &str), usize> = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        let source_key = sources.get(&event.source).copied().unwrap_or_default();
        names
            .entry((source_key, event.id.as_str()))
            .or_insert(index);
    }
    let source_keys: Vec<i64> = names.keys().map(|(source_key, _)| *source_key).collect();
    let ids: Vec<&str> = names.keys().map(|(_, id)| *id).collect();
    let chosen: Vec<&NewEvent> = names.values().map(|index| &events[*index]).collect();
    let kinds: Vec<&str> = chosen.iter().map(|event| event.kind.as_str()).collect();
    let times: Vec<Option<i64>> = chosen.iter().map(|event| event.at_ms).collect();
    let subjects: Vec<Option<&str>> = chosen
        .iter()
        .map(|event| event.subject.as_deref())
        .collect();
    let data: Vec<Option<&str>> = chosen.iter().map(|event| event.data.as_deref()).collect();
    let account = |event: &&NewEvent| accounts.get(&event.fact.as_ref()?.account).copied();
    let account_keys: Vec<Option<i64>> = chosen.iter().map(account).collect();
    let stored: Vec<i64> = chosen.iter().map(|event| event.stored_at_ms).collect();
    let rows = transaction
        .query(
            statement,
            &[
                &source_keys,
                &ids,
                &kinds,
                &times,
                &subjects,
                &data,
                &account_keys,
                &stored,
            ],
        )
        .await?;
    let mut seqs = vec![None; events.len()];
    for row in rows {
        let name: (i64, &str) = (row.get(0), row.get(1));
        if let Some(index) = names.get(&name) {
            seqs[*index] = Some(row.get(2));
        }
    }
    Ok(seqs)
}

/// Notes the earliest use of each appid.
async fn note_appids(
    transaction: &Transaction<'_>,
    statement: &Statement,
    noted: &mut HashMap<(i64, String), i64>,
    created: &[(i64, i64, &Fact)],
) -> Result<(), Failure> {
    let mut earlier: BTreeMap<(i64, &str), i64> = BTreeMap::new();
    for (_, account_key, fact) in created {
        let second = fact.at.second();
        let earliest = earlier
            .entry((*account_key, fact.appid.as_deref().unwrap_or_default()))
            .or_insert(second);
        *earliest = second.min(*earliest);
    }
    earlier.retain(|(account_key, appid), second| {
        let noted = noted.get(&(*account_key, (*appid).to_owned()));
        noted.is_none_or(|noted| *second < *noted)
    });
    if earlier.is_empty() {
        return Ok(());
    }
    let account_keys: Vec<i64> = earlier
        .keys()
        .map(|(account_key, _)| *account_key)
        .collect();
    let appids: Vec<&str> = earlier.keys().map(|(_, appid)| *appid).collect();
    let seconds: Vec<i64> = earlier.values().copied().collect();
    transaction
        .execute(statement, &[&account_keys, &appids, &seconds])
        .await?;
    for ((account_key, appid), second) in earlier {
        noted.insert((account_key, appid.to_owned()), second);
    }
    Ok(())
}

/// The people the new events are about, without their keys yet.
fn gather<'a>(created: &[(i64, i64, &'a Fact)]) -> People<'a> {
    let mut people: BTreeMap<(i64, &str), Someone<'a>> = BTreeMap::new();
    for (seq, account_key, fact) in created {
        let Some(sighting) = &fact.sighting else {
            continue;
        };
        let second = fact.at.second();
        let openid = sighting.openid.as_str();
        let someone = people
            .entry((*account_key, openid))
            .or_insert_with(|| Someone::new(*account_key, openid, second));
        someone.first_seen_at = someone.first_seen_at.min(second);
        match &sighting.change {
            Change::Seen => {}
            Change::Message(message) => someone.messages.push((*seq, fact, message)),
            Change::Follow { .. }
            | Change::Unfollow
            | Change::Erase(_)
            | Change::Named(_)
            | Change::Profile(_)
            | Change::Login { .. }
            | Change::Phone(_)
            | Change::Blacklisted(_) => someone.news.push(fact),
        }
    }
    people.into_values().collect()
}

/// Finds the people, and makes known those who are not.
async fn meet(
    transaction: &Transaction<'_>,
    statements: &Statements,
    people: &mut People<'_>,
) -> Result<(), Failure> {
    let find = &statements.find_users;
    let (accounts, openids, _) = strangers(people);
    let found = transaction.query(find, &[&accounts, &openids]).await?;
    recognize(people, &found, false);
    let (accounts, openids, seconds) = strangers(people);
    if accounts.is_empty() {
        return Ok(());
    }
    let add = &statements.add_users;
    let made = transaction
        .query(add, &[&accounts, &openids, &seconds])
        .await?;
    recognize(people, &made, true);
    let (accounts, openids, _) = strangers(people);
    if !accounts.is_empty() {
        // Another store made them known in between.
        let found = transaction.query(find, &[&accounts, &openids]).await?;
        recognize(people, &found, false);
    }
    Ok(())
}

/// The columns account, openid and time of the people whose key is not known.
fn strangers<'a>(people: &People<'a>) -> (Vec<i64>, Vec<&'a str>, Vec<i64>) {
    let strangers = || people.iter().filter(|someone| someone.user_key.is_none());
    (
        strangers().map(|someone| someone.account_key).collect(),
        strangers().map(|someone| someone.openid).collect(),
        strangers().map(|someone| someone.first_seen_at).collect(),
    )
}

fn recognize(people: &mut People<'_>, rows: &[tokio_postgres::Row], is_new: bool) {
    for row in rows {
        let name: (i64, &str) = (row.get(0), row.get(1));
        let index =
            people.binary_search_by(|someone| (someone.account_key, someone.openid).cmp(&name));
        if let Ok(index) = index {
            people[index].user_key = Some(row.get(2));
            people[index].stored_at = row.get(3);
            people[index].is_new = is_new;
        }
    }
}

async fn insert_messages(
    transaction: &Transaction<'_>,
    statement: &Statement,
    people: &People<'_>,
) -> Result<(), Failure> {
    let all = || {
        people.iter().flat_map(|someone| {
            let sent = someone.messages.iter();
            sent.map(move |(seq, fact, message)| (someone, *seq, *fact, *message))
        })
    };
    let seqs: Vec<i64> = all().map(|(_, seq, ..)| seq).collect();
    if seqs.is_empty() {
        return Ok(());
    }
    let accounts: Vec<i64> = all().map(|(someone, ..)| someone.account_key).collect();
    let users: Vec<Option<i64>> = all().map(|(someone, ..)| someone.user_key).collect();
    let kinds: Vec<&str> = all().map(|(.., message)| message.kind.as_str()).collect();
    let sent: Vec<i64> = all().map(|(_, _, fact, _)| fact.at.second()).collect();
    let received: Vec<i64> = all().map(|(_, _, fact, _)| fact.at.millisecond()).collect();
    let msg_ids: Vec<Option<&str>> = all()
        .map(|(.., message)| message.msg_id.as_deref())
        .collect();
    let texts: Vec<Option<&str>> = all().map(|(.., message)| message.text.as_deref()).collect();
    transaction
        .execute(
            statement,
            &[
                &seqs, &accounts, &users, &kinds, &sent, &received, &msg_ids, &texts,
            ],
        )
        .await?;
    Ok(())
}

async fn insert_follow_news(
    transaction: &Transaction<'_>,
    statement: &Statement,
    created: &[(i64, i64, &Fact)],
) -> Result<(), Failure> {
    let (mut seqs, mut accounts, mut seconds, mut changes) = (vec![], vec![], vec![], vec![]);
    for (seq, account_key, fact) in created {
        let change = match fact.sighting.as_ref().map(|sighting| &sighting.change) {
            Some(Change::Follow { .. }) => 1_i64,
            Some(Change::Unfollow | Change::Erase(Erasure::Unfollow)) => 0,
            _ => continue,
        };
        seqs.push(*seq);
        accounts.push(*account_key);
        seconds.push(fact.at.second());
        changes.push(change);
    }
    if !seqs.is_empty() {
        transaction
            .execute(statement, &[&seqs, &accounts, &seconds, &changes])
            .await?;
    }
    Ok(())
}

/// Writes what changed about the people.
async fn save(
    transaction: &Transaction<'_>,
    statements: &Statements,
    people: &People<'_>,
) -> Result<(), Failure> {
    let is_earlier = |someone: &Someone<'_>| someone.first_seen_at < someone.stored_at;
    let old = |someone: &&Someone<'_>| {
        !someone.is_new && (is_earlier(someone) || !someone.news.is_empty())
    };
    let locked: Vec<i64> = people
        .iter()
        .filter(old)
        .filter_map(|someone| someone.user_key)
        .collect();
    let mut before = HashMap::new();
    if !locked.is_empty() {
        // Sent together, run one after the other: the second sees what others committed before the locks were had.
        let keys: [&(dyn ToSql + Sync); 1] = [&locked];
        let (_, rows) = try_join(
            transaction.execute(&statements.lock_users, &keys),
            transaction.query(&statements.load_people, &keys),
        )
        .await?;
        for row in rows {
            let user_key: i64 = row.get(0);
            let mut row = Row::try_from(&row)?;
            row.int()?;
            before.insert(user_key, load(&mut row)?);
        }
    }

    let earlier = || people.iter().filter(|someone| is_earlier(someone));
    let keys: Vec<Option<i64>> = earlier().map(|someone| someone.user_key).collect();
    let seconds: Vec<i64> = earlier().map(|someone| someone.first_seen_at).collect();
    if !keys.is_empty() {
        transaction
            .execute(&statements.see_earlier, &[&keys, &seconds])
            .await?;
    }

    let mut changed = Vec::new();
    for someone in people.iter().filter(|someone| !someone.news.is_empty()) {
        let Some(user_key) = someone.user_key else {
            continue;
        };
        let before = before.remove(&user_key).unwrap_or_default();
        let mut person = before.clone();
        for fact in &someone.news {
            if let Some(sighting) = &fact.sighting {
                person.apply(fact.at, &sighting.change);
            }
        }
        if person != before {
            changed.push((user_key, someone.account_key, before, person));
        }
    }
    let profiles: Vec<ProfileRow<'_>> = changed
        .iter()
        .filter(|(.., before, person)| before.profile != person.profile)
        .map(|(user_key, _, _, person)| ProfileRow::new(*user_key, person))
        .collect();
    if !profiles.is_empty() {
        transaction
            .execute(&statements.save_profiles, &[&json(&profiles)])
            .await?;
    }
    let follows: Vec<FollowRow> = changed
        .iter()
        .filter_map(|(user_key, account_key, _, person)| {
            FollowRow::new(*user_key, *account_key, person)
        })
        .collect();
    if !follows.is_empty() {
        transaction
            .execute(&statements.save_follows, &[&json(&follows)])
            .await?;
    }
    Ok(())
}
