//! People as they were last answered with, so that who is asked about again and again costs no query.
//!
//! # What is true
//! Whatever this process has committed, an answer that begins afterwards has: [`People::changed`] takes out everybody whom
//! the commit can concern before its senders are told. What another process committed on the same database is seen after
//! [`Limits::cached_people_ms`](crate::config::Limits) at the latest. A listener for the database's notifications would see it
//! sooner, and not at all while its connection is broken without anybody knowing; SQLite has none. A bound that always
//! holds is easier to rely on, and who must not wait for it asks with `cache-control: no-cache`.
//!
//! # Whom a change concerns
//! A person is kept with the *marks* of all that makes them up: each identity and each unionid. An event about an identity, or
//! one that tells a unionid, carries the same marks. So a merge takes out both: one by the identity that was told the
//! unionid, the other by the unionid.
//!
//! # A change while one reads
//! The read may have been before the commit and arrive here after it. Recent changes are remembered, and what was read before
//! one of them is answered with, but not kept.
//!
//! # Bounds
//! People by number, the oldest goes first; changes remembered by number, and who reads for longer is not kept.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use weir_store_api::read::Person;

use crate::fact::{Change, Fact};

/// Changes that are remembered, for reads that were under way.
const RECENT: usize = 4_096;

/// A part of what makes a person up, as a number. Two of the same number only take out one person too many.
pub(crate) type Mark = u64;

/// People who are kept.
#[derive(Debug)]
pub(crate) struct People {
    /// Keyed by chance: who chooses openids cannot choose marks.
    hasher: RandomState,
    most: usize,
    lifetime: Duration,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    people: HashMap<i64, Entry>,
    /// Who has the mark, by the uid asked for.
    marked: HashMap<Mark, HashSet<i64>>,
    /// In the order in which they came; one that was taken out, or came again, has another number.
    order: VecDeque<(i64, u64)>,
    next: u64,
    /// The newest changes, and how many there were.
    recent: VecDeque<Mark>,
    changes: u64,
}

#[derive(Debug)]
struct Entry {
    answer: Bytes,
    marks: Vec<Mark>,
    until: Instant,
    number: u64,
}

/// When a read began, counted in changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun(u64);

impl People {
    pub(crate) fn new(most: usize, lifetime: Duration) -> Self {
        Self {
            hasher: RandomState::new(),
            most,
            lifetime,
            kept: Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Whoever panicked here left at worst a person who is found by fewer marks than they have.
        self.kept.lock().unwrap_or_else(|poisoned: PoisonError<_>| {
            let mut kept = poisoned.into_inner();
            *kept = Kept {
                changes: kept.changes + RECENT as u64 + 1,
                ..Kept::default()
            };
            self.kept.clear_poison();
            kept
        })
    }

    /// The answer about whom this uid finds, if it is kept.
    pub(crate) fn get(&self, uid: i64, now: Instant) -> Option<Bytes> {
        let kept = self.kept();
        let entry = kept.people.get(&uid)?;
        (now < entry.until).then(|| entry.answer.clone())
    }

    /// To be called before a person is read.
    pub(crate) fn begin(&self) -> Begun {
        Begun(self.kept().changes)
    }

    /// Keeps the answer about a person, unless they changed since it was begun to be read.
    pub(crate) fn keep(
        &self,
        uid: i64,
        person: &Person,
        answer: Bytes,
        begun: Begun,
        now: Instant,
    ) {
        if self.most == 0 {
            return;
        }
        let marks = self.marks_of(person);
        let mut kept = self.kept();
        let missed = usize::try_from(kept.changes - begun.0).unwrap_or(usize::MAX);
        if missed > kept.recent.len() {
            return;
        }
        let since = kept.recent.iter().rev().take(missed);
        if since.into_iter().any(|change| marks.contains(change)) {
            return;
        }
        kept.remove(uid);
        let number = kept.next;
        kept.next += 1;
        for mark in &marks {
            kept.marked.entry(*mark).or_default().insert(uid);
        }
        let until = now + self.lifetime;
        kept.people.insert(
            uid,
            Entry {
                answer,
                marks,
                until,
                number,
            },
        );
        kept.order.push_back((uid, number));
        // Who was taken out is still in the order: it must not grow beyond what it is for.
        while kept.people.len() > self.most || kept.order.len() > 2 * self.most {
            let Some((uid, number)) = kept.order.pop_front() else {
                return;
            };
            if kept
                .people
                .get(&uid)
                .is_some_and(|entry| entry.number == number)
            {
                kept.remove(uid);
            }
        }
    }

    /// Takes out everybody who has one of the marks. To be called after the change is durable, and before anybody is told.
    pub(crate) fn changed(&self, marks: impl IntoIterator<Item = Mark>) {
        let mut kept = self.kept();
        for mark in marks {
            kept.changes += 1;
            if kept.recent.len() == RECENT {
                kept.recent.pop_front();
            }
            kept.recent.push_back(mark);
            for uid in kept.marked.remove(&mark).unwrap_or_default() {
                kept.remove(uid);
            }
        }
    }

    /// What makes a person up.
    pub(crate) fn marks_of(&self, person: &Person) -> Vec<Mark> {
        let identities = person.identities.iter();
        let identities =
            identities.map(|known| self.identity(&known.user.account, &known.user.openid));
        let unionids = person
            .unionids
            .iter()
            .map(|unionid| self.mark(("unionid", unionid)));
        identities.chain(unionids).collect()
    }

    /// To be called when something about these users of an account was changed, before that is told.
    pub(crate) fn users_changed(&self, account: &str, openids: &[String]) {
        self.changed(openids.iter().map(|openid| self.identity(account, openid)));
    }

    /// The same where it can be anybody.
    pub(crate) fn all_changed(&self) {
        let mut kept = self.kept();
        *kept = Kept {
            // Whoever reads now began before more changes than are remembered.
            changes: kept.changes + RECENT as u64 + 1,
            ..Kept::default()
        };
    }

    /// Whom an event's fact concerns.
    pub(crate) fn marks(&self, fact: &Fact) -> impl Iterator<Item = Mark> {
        let sighting = fact.sighting.as_ref();
        let unionid = sighting.and_then(|sighting| match &sighting.change {
            Change::Profile(profile) => profile.unionid.as_ref(),
            Change::Named(unionid) => Some(unionid),
            Change::Login { unionid, .. } => unionid.as_ref(),
            _ => None,
        });
        let identity = sighting.map(|sighting| self.identity(&fact.account, &sighting.openid));
        identity
            .into_iter()
            .chain(unionid.map(|unionid| self.mark(("unionid", unionid))))
    }

    fn identity(&self, account: &str, openid: &str) -> Mark {
        self.mark((account, openid))
    }

    /// No account has the name of the other sort: they are compared with what follows.
    fn mark(&self, what: impl Hash) -> Mark {
        self.hasher.hash_one(what)
    }
}

impl Kept {
    fn remove(&mut self, uid: i64) {
        let Some(entry) = self.people.remove(&uid) else {
            return;
        };
        for mark in entry.marks {
            if let Some(uids) = self.marked.get_mut(&mark) {
                uids.remove(&uid);
                if uids.is_empty() {
                    self.marked.remove(&mark);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_store_api::read::{PersonIdentity, User};

    use super::*;
    use crate::fact::Sighting;
    use crate::fold::Clock;

    fn person(openids: &[&str], unionids: &[&str]) -> Person {
        let identities = openids.iter().map(|openid| PersonIdentity {
            uid: 1,
            logged_in_at: None,
            phone_number: None,
            customer_service_until: None,
            user: User {
                account: "demo".to_owned(),
                openid: (*openid).to_owned(),
                unionid: None,
                name: None,
                display_name: String::new(),
                first_seen_at: String::new(),
                profile: None,
                profile_at: None,
                follow: None,
                local_tags: Vec::new(),
                blacklisted: false,
                blacklisted_since: None,
            },
        });
        Person {
            uid: 1,
            name: None,
            first_seen_at: String::new(),
            pending: false,
            unionids: unionids
                .iter()
                .map(|unionid| (*unionid).to_owned())
                .collect(),
            identities: identities.collect(),
            merges: Vec::new(),
            audit: None,
            extensions: Default::default(),
        }
    }

    fn fact(openid: &str, unionid: Option<&str>) -> Fact {
        let change = Change::Login {
            to_mini_program: true,
            unionid: unionid.map(str::to_owned),
        };
        Fact {
            account: "demo".to_owned(),
            appid: None,
            at: Clock::new(1, 1, "s", "i"),
            sighting: Some(Sighting {
                openid: openid.to_owned(),
                change,
            }),
            reply: None,
            sends: None,
            cards: Vec::new(),
        }
    }

    struct World {
        people: People,
        now: Instant,
    }

    impl World {
        fn new(most: usize) -> Self {
            Self {
                people: People::new(most, Duration::from_secs(1)),
                now: Instant::now(),
            }
        }

        fn keep(&self, uid: i64, openids: &[&str], unionids: &[&str]) {
            let begun = self.people.begin();
            self.keep_of(begun, uid, openids, unionids);
        }

        fn keep_of(&self, begun: Begun, uid: i64, openids: &[&str], unionids: &[&str]) {
            let person = person(openids, unionids);
            self.people
                .keep(uid, &person, Bytes::from_static(b"{}"), begun, self.now);
        }

        fn has(&self, uid: i64) -> bool {
            self.people.get(uid, self.now).is_some()
        }

        fn changed(&self, openid: &str, unionid: Option<&str>) {
            self.people
                .changed(self.people.marks(&fact(openid, unionid)));
        }
    }

    #[test]
    fn an_event_takes_out_the_person_by_every_uid_of_theirs_and_nobody_else() {
        let world = World::new(10);
        world.keep(1, &["oA", "oB"], &[]);
        world.keep(2, &["oA", "oB"], &[]);
        world.keep(3, &["oC"], &[]);
        world.changed("oB", None);
        assert_eq!([1, 2, 3].map(|uid| world.has(uid)), [false, false, true]);
    }

    /// oC turns out to have the unionid that oA has: both were somebody, and are somebody else now.
    #[test]
    fn a_merge_takes_out_both_people() {
        let world = World::new(10);
        world.keep(1, &["oA"], &["uA"]);
        world.keep(3, &["oC"], &["uC"]);
        world.keep(4, &["oD"], &["uD"]);
        world.changed("oC", Some("uA"));
        assert_eq!([1, 3, 4].map(|uid| world.has(uid)), [false, false, true]);
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let world = World::new(10);
        let begun = world.people.begin();
        world.changed("oA", None);
        world.changed("oB", None);
        world.keep_of(begun, 1, &["oA"], &[]);
        world.keep_of(begun, 2, &["oC"], &[]);
        assert_eq!([1, 2].map(|uid| world.has(uid)), [false, true]);
        for _ in 0..RECENT {
            world.changed("oB", None);
        }
        world.keep_of(begun, 3, &["oD"], &[]);
        assert!(
            !world.has(3),
            "nobody knows any more what changed meanwhile"
        );
    }

    #[test]
    fn somebody_is_kept_for_a_while_and_not_longer() {
        let mut world = World::new(10);
        world.keep(1, &["oA"], &[]);
        world.now += Duration::from_millis(999);
        assert!(world.has(1));
        world.now += Duration::from_millis(1);
        assert!(!world.has(1));
    }

    #[test]
    fn the_oldest_goes_first_and_nothing_is_left_behind() {
        let world = World::new(2);
        for round in 0..100 {
            for uid in 1..=3 {
                world.keep(uid, &[&format!("o{uid}")], &["u"]);
            }
            assert_eq!(
                [1, 2, 3].map(|uid| world.has(uid)),
                [false, true, true],
                "{round}"
            );
        }
        let kept = world.people.kept();
        assert!(kept.order.len() <= 4);
        assert_eq!(kept.marked.len(), 3);
    }

    #[test]
    fn without_room_nobody_is_kept() {
        let world = World::new(0);
        world.keep(1, &["oA"], &[]);
        assert!(!world.has(1));
    }
}
