//! Every order of up to eight facts, and many random orders of more, against the definition of a person.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// A fact about an identity, named by its place among those of a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Seen,
    Follows,
    Leaves,
    /// A profile with this unionid.
    Told(&'static str),
    LogsIn,
    /// With the unionid in its answer.
    LogsInAs(&'static str),
    /// With the unionid in the push.
    TakesACard(&'static str),
}
use Kind::{Follows, Leaves, LogsIn, LogsInAs, Seen, TakesACard, Told};

#[derive(Debug, Clone, Copy)]
struct Fact {
    who: (&'static str, &'static str),
    second: i64,
    kind: Kind,
}

fn fact(who: (&'static str, &'static str), second: i64, kind: Kind) -> Fact {
    Fact { who, second, kind }
}

fn clock(fact: &Fact) -> Clock {
    let id = format!("{:?}{}{:?}", fact.who, fact.second, fact.kind);
    Clock::new(fact.second, fact.second * 1000, "s", &id)
}

type Name = (&'static str, &'static str);

/// What the tables hold, in memory.
#[derive(Debug, Clone, Default)]
struct Store {
    identities: BTreeMap<Name, Identity>,
    /// The newest follow or unfollow of each.
    follows: BTreeMap<Name, (Clock, bool)>,
}

impl Store {
    fn apply(&mut self, fact: &Fact) {
        let uid = 1 + i64::try_from(self.identities.len()).unwrap();
        let (account, openid) = fact.who;
        let identity = self.identities.entry(fact.who);
        let identity = identity.or_insert_with(|| Identity::new(uid, account, openid, fact.second));
        identity.seen(fact.second);
        let at = clock(fact);
        match fact.kind {
            Seen => {}
            Told(unionid) | TakesACard(unionid) => identity.told(unionid, at),
            LogsIn => identity.logged_in(fact.second),
            LogsInAs(unionid) => {
                identity.logged_in(fact.second);
                identity.told(unionid, at);
            }
            Follows | Leaves => {
                let newest = self.follows.entry(fact.who).or_insert((at, false));
                *newest = (*newest).max((at, fact.kind == Follows));
                identity.follows = newest.1;
            }
        }
    }

    fn of(facts: &[Fact]) -> Self {
        let mut store = Self::default();
        facts.iter().for_each(|fact| store.apply(fact));
        store
    }

    /// The person of an identity: as the database finds them, by unionids until there is nobody new.
    fn person(&self, name: Name) -> Person {
        let mut found = BTreeSet::from([name]);
        loop {
            let unionids: BTreeSet<&String> = (found.iter())
                .flat_map(|name| self.identities[name].unionids.keys())
                .collect();
            let shares = |identity: &Identity| {
                let mut own = identity.unionids.keys();
                own.any(|unionid| unionids.contains(unionid))
            };
            let more = self.identities.iter().filter(|(_, other)| shares(other));
            let before = found.len();
            found.extend(more.map(|(name, _)| *name));
            if found.len() == before {
                let identities = found.iter().map(|name| self.identities[name].clone());
                return Person::of(identities.collect()).unwrap();
            }
        }
    }

    /// Everybody, with names in the place of numbers, which depend on the order of storage.
    fn everybody(&self) -> BTreeMap<Name, Portrait> {
        let by_uid: BTreeMap<i64, Name> = (self.identities.iter())
            .map(|(name, identity)| (identity.uid, *name))
            .collect();
        let mut everybody = BTreeMap::new();
        for name in self.identities.keys() {
            if everybody.contains_key(name) {
                continue;
            }
            let person = self.person(*name);
            check(&person);
            let known = person.identities().iter();
            let merges = person.merges().iter();
            let portrait = Portrait {
                uid: by_uid[&person.uid()],
                identities: known.map(|known| by_uid[&known.uid]).collect(),
                merges: merges
                    .map(|merge| (merge.at, by_uid[&merge.uid], by_uid[&merge.into]))
                    .collect(),
                is_pending: person.is_pending(),
            };
            // Each of them finds this person, and nobody finds another one.
            for name in portrait.identities.clone() {
                assert!(everybody.insert(name, portrait.clone()).is_none());
            }
        }
        everybody
    }
}

/// What is told of a person, without numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Portrait {
    uid: Name,
    identities: Vec<Name>,
    merges: Vec<(i64, Name, Name)>,
    is_pending: bool,
}

/// The fourth invariant: pointers lead home.
fn check(person: &Person) {
    assert_eq!(person.merges().len() + 1, person.identities().len());
    let pointers: BTreeMap<i64, i64> = (person.merges().iter())
        .map(|merge| (merge.uid, merge.into))
        .collect();
    assert_eq!(
        pointers.len(),
        person.merges().len(),
        "nobody is merged twice"
    );
    for identity in person.identities() {
        let mut uid = identity.uid;
        for _ in 0..person.identities().len() {
            uid = pointers.get(&uid).copied().unwrap_or(uid);
        }
        assert_eq!(uid, person.uid());
    }
}

/// The definition, without any of the above: who shares a unionid is one, and so are those who are one with one.
fn by_definition(facts: &[Fact]) -> BTreeSet<BTreeSet<Name>> {
    let mut groups: Vec<(BTreeSet<Name>, BTreeSet<&str>)> = Vec::new();
    for fact in facts {
        let mut group = (BTreeSet::from([fact.who]), BTreeSet::new());
        if let Told(unionid) | LogsInAs(unionid) | TakesACard(unionid) = fact.kind {
            group.1.insert(unionid);
        }
        let touches = |other: &(BTreeSet<Name>, BTreeSet<&str>)| {
            !other.0.is_disjoint(&group.0) || !other.1.is_disjoint(&group.1)
        };
        let (same, others): (Vec<_>, Vec<_>) = groups.into_iter().partition(touches);
        groups = others;
        for (names, unionids) in same {
            group.0.extend(names);
            group.1.extend(unionids);
        }
        groups.push(group);
    }
    groups.into_iter().map(|(names, _)| names).collect()
}

fn is_pending_by_definition(facts: &[Fact], group: &BTreeSet<Name>) -> bool {
    let of_group = || facts.iter().filter(|fact| group.contains(&fact.who));
    let logged_in = of_group().any(|fact| matches!(fact.kind, LogsIn | LogsInAs(_)));
    let follows = group.iter().any(|name| {
        let pushes = of_group().filter(|fact| fact.who == *name);
        let pushes = pushes.filter(|fact| matches!(fact.kind, Follows | Leaves));
        let newest = pushes.max_by_key(|fact| clock(fact));
        newest.is_some_and(|newest| newest.kind == Follows)
    });
    follows && !logged_in
}

/// Everybody of these facts, held against the definition.
fn people(facts: &[Fact]) -> BTreeMap<Name, Portrait> {
    let everybody = Store::of(facts).everybody();
    let groups = by_definition(facts);
    let found: BTreeSet<BTreeSet<Name>> = (everybody.values())
        .map(|told| told.identities.iter().copied().collect())
        .collect();
    assert_eq!(found, groups);
    for group in &groups {
        let seen = |name: &Name| {
            let seconds = facts.iter().filter(|fact| fact.who == *name);
            (seconds.map(|fact| fact.second).min(), *name)
        };
        let first = group.iter().min_by_key(|name| seen(name)).unwrap();
        for name in group {
            assert_eq!(everybody[name].uid, *first, "{name:?}");
            let pending = is_pending_by_definition(facts, group);
            assert_eq!(everybody[name].is_pending, pending, "{name:?}");
        }
    }
    everybody
}

/// Calls `each` with the store after every order of the facts.
fn all_orders(facts: &mut [Fact], applied: usize, store: &Store, each: &mut impl FnMut(&Store)) {
    if applied == facts.len() {
        return each(store);
    }
    for next in applied..facts.len() {
        facts.swap(applied, next);
        let mut more = store.clone();
        more.apply(&facts[applied]);
        all_orders(facts, applied + 1, &more, each);
        facts.swap(applied, next);
    }
}

fn every_order_ends_alike(facts: &[Fact]) -> usize {
    let expected = people(facts);
    let mut orders = 0;
    all_orders(&mut facts.to_vec(), 0, &Store::default(), &mut |store| {
        assert_eq!(store.everybody(), expected);
        orders += 1;
    });
    orders
}

const MP: Name = ("mp", "oMp");
const MINI: Name = ("mini", "oMini");
const SHOP: Name = ("shop", "oShop");
const OTHER: Name = ("mp", "oOther");

#[test]
fn a_follower_waits_until_a_login_brings_the_same_unionid() {
    let follow = [fact(MP, 10, Follows), fact(MP, 11, Told("u"))];
    assert!(people(&follow)[&MP].is_pending);
    let mut facts = follow.to_vec();
    facts.push(fact(MINI, 20, LogsIn));
    let apart = people(&facts);
    assert!(apart[&MP].is_pending && apart[&MINI].identities == [MINI]);
    facts.push(fact(MINI, 30, LogsInAs("u")));
    let one = &people(&facts)[&MINI];
    assert!(!one.is_pending);
    assert_eq!(one.identities, [MP, MINI]);
    assert_eq!(one.merges, [(30, MINI, MP)]);
}

#[test]
fn a_user_of_the_app_who_follows_later_keeps_the_apps_number() {
    let facts = [
        fact(MINI, 10, LogsInAs("u")),
        fact(MP, 20, Follows),
        fact(MP, 21, Told("u")),
    ];
    let one = &people(&facts)[&MP];
    assert_eq!((one.uid, one.is_pending), (MINI, false));
}

#[test]
fn two_people_who_are_found_to_be_one_are_merged_and_every_pointer_is_followed() {
    let facts = [
        fact(MINI, 10, LogsInAs("u")),
        fact(SHOP, 20, LogsInAs("u")),
        fact(OTHER, 5, Follows),
        fact(MP, 1, Told("v")),
        fact(OTHER, 30, Told("v")),
        fact(SHOP, 40, Told("v")),
    ];
    let one = &people(&facts)[&SHOP];
    assert_eq!(one.uid, MP);
    assert_eq!(
        one.merges,
        [(20, SHOP, MINI), (30, OTHER, MP), (40, MINI, MP)]
    );
}

#[test]
fn a_leaver_waits_for_nothing() {
    let facts = [fact(MP, 10, Follows), fact(MP, 20, Leaves)];
    assert!(!people(&facts)[&MP].is_pending);
}

#[test]
fn every_order_of_eight_facts_ends_alike() {
    let stories = [
        // Follow, profile and login around one another, and the unionid known late.
        [
            fact(MP, 10, Follows),
            fact(MP, 11, Told("u")),
            fact(MINI, 12, LogsIn),
            fact(MINI, 13, LogsInAs("u")),
            fact(SHOP, 12, Seen),
            fact(SHOP, 20, Told("u")),
            fact(MP, 21, Leaves),
            fact(MP, 22, Follows),
        ],
        // Two people of two each, and a third, who turn out to be one.
        [
            fact(MP, 10, Told("u")),
            fact(MINI, 10, LogsInAs("u")),
            fact(SHOP, 9, Told("v")),
            fact(OTHER, 11, TakesACard("v")),
            fact(("web", "oW"), 12, Told("w")),
            fact(OTHER, 13, Told("w")),
            fact(MINI, 13, Told("w")),
            fact(SHOP, 8, Follows),
        ],
        // All within one second, some twice.
        [
            fact(MP, 10, Follows),
            fact(MP, 10, Leaves),
            fact(MP, 10, Told("u")),
            fact(MINI, 10, LogsInAs("u")),
            fact(MINI, 10, LogsInAs("u")),
            fact(OTHER, 10, Told("v")),
            fact(SHOP, 10, Told("v")),
            fact(SHOP, 10, Told("u")),
        ],
    ];
    for story in stories {
        assert_eq!(every_order_ends_alike(&story), 40_320);
        // Shorter ones are its beginnings.
        for length in 0..story.len() {
            every_order_ends_alike(&story[..length]);
        }
    }
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % u64::try_from(sides).unwrap()) as usize
    }

    fn one_of<T: Copy>(&mut self, these: &[T]) -> T {
        these[self.roll(these.len())]
    }
}

fn random_facts(dice: &mut Dice, length: usize) -> Vec<Fact> {
    let names = [MP, MINI, SHOP, OTHER, ("web", "oW"), ("mini", "oTwo")];
    let unionids = ["u", "v", "w", "x"];
    let names = &names[..2 + dice.roll(names.len() - 1)];
    let one = |dice: &mut Dice| {
        let unionid = dice.one_of(&unionids);
        let kinds = [
            Seen,
            Follows,
            Leaves,
            LogsIn,
            Told(unionid),
            LogsInAs(unionid),
            TakesACard(unionid),
        ];
        let second = 10 + i64::try_from(dice.roll(12)).unwrap();
        fact(dice.one_of(names), second, dice.one_of(&kinds))
    };
    (0..length).map(|_| one(dice)).collect()
}

#[test]
fn every_order_of_some_random_facts_ends_alike() {
    for (length, times) in [(3, 200), (4, 100), (5, 40), (6, 6), (7, 1)] {
        for seed in 0..times {
            let mut dice = Dice(seed * 10 + length);
            every_order_ends_alike(&random_facts(&mut dice, length as usize));
        }
    }
}

/// Random stories of 9 to 40 facts in a random order, some of them twice. `WEIR_PEOPLE_STORIES` says how many.
#[test]
fn any_order_and_repetition_of_many_random_facts_ends_alike_and_people_only_grow() {
    let stories = std::env::var("WEIR_PEOPLE_STORIES");
    let stories = stories.map_or(500, |stories| stories.parse().unwrap());
    let mut merged = 0;
    for seed in 0..stories {
        let mut dice = Dice(1_000_000 + seed);
        let length = 9 + dice.roll(32);
        let facts = random_facts(&mut dice, length);
        let expected = people(&facts);
        let mut order: Vec<usize> = (0..facts.len()).chain(0..facts.len() / 3).collect();
        for place in (1..order.len()).rev() {
            order.swap(place, dice.roll(place + 1));
        }
        let mut store = Store::default();
        let mut together: BTreeSet<(Name, Name)> = BTreeSet::new();
        for (count, place) in order.iter().enumerate() {
            store.apply(&facts[*place]);
            // A look at everybody costs more than all the rest: some moments will do.
            if count % 8 == 0 || count + 1 == order.len() {
                let everybody = store.everybody();
                let one = |(name, told): (&Name, &Portrait)| {
                    let others = told.identities.clone().into_iter();
                    let name = *name;
                    others.map(move |other| (name, other)).collect::<Vec<_>>()
                };
                let now: BTreeSet<_> = everybody.iter().flat_map(one).collect();
                assert!(together.is_subset(&now), "seed {seed}: people were parted");
                together = now;
            }
        }
        assert_eq!(store.everybody(), expected, "seed {seed}");
        merged += expected
            .values()
            .filter(|told| !told.merges.is_empty())
            .count();
    }
    assert!(
        u64::try_from(merged).unwrap() > stories,
        "nothing was at stake"
    );
}
