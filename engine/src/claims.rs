//! Recognises copies of a push, so that the work behind it is done once.
//!
//! WeChat pushes again when it has no reply within 5 s, three times in all, and a copy can arrive on any
//! worker while the first is still in flight. The first [`claim`](Claims::claim) of a fingerprint is told
//! [`Claim::First`]; later ones are told who works on it, or that it was answered.
//!
//! # Shape
//! A table in shared data: a power of two of buckets, each one value holding [`SLOTS_PER_BUCKET`] slots of
//! [`SLOT`] bytes. The buckets are created while configuring and never again (a conditional write does not
//! protect a creation). A slot says: fingerprint, first sight on both clocks, owner, state, attempts.
//! Replies are not kept here: rules rebuild them, with the `CreateTime` of the first sight, so that every
//! copy gets the same one. Only those of applications are kept, next door (`late`).
//!
//! # States of a slot
//! ```text
//!            ┌────────────────────────────────────────────▶ Answered     rules rebuild the reply
//!  InFlight ─┤
//!            └▶ Calling ─┬▶ Given                                        an application's reply, and an attempt got it
//!               (app)    ├▶ Ready ─┬▶ Given                              nobody waited for it: the next attempt gets it,
//!                        │         └▶ Silent                             or it goes out as a send, never both
//!                        └▶ Silent                                       it had nothing to say
//! ```
//! The owner alone moves a slot to `Calling` and on from there, and only as long as it is the owner: what an application
//! said to an owner that was taken for dead reaches nobody.
//!
//! # Bounds
//! `slots` in all. In a full bucket the oldest answered slot makes room, else the oldest. A push whose slot
//! was lost this way is taken for new; the store's unique key still keeps one. Each round of
//! read-decide-write is tried 16 times, then the claim is [`Claim::Unrecorded`] and the push is handled anyway.
//!
//! # Source
//! wechat-protocol 3.1, 3.4; shared data as measured on Envoy 1.40.

use crate::event::EventId;
use crate::owners::{self, OwnerId};
use crate::planted::{Bug, planted};
use crate::shared::{self, SharedData, Write};
use crate::time::Now;

/// Slots in one bucket. 16 slots of 32 bytes cost 0.1 µs more to read than one.
pub const SLOTS_PER_BUCKET: usize = 16;
const SLOT: usize = 32;

/// 128 bits of the SHA-1 of what tells one push from every other, which is the event's id too: two pushes with one
/// fingerprint would have one place in the store as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint {
    slot: u64,
    bucket: u64,
}

impl From<&EventId> for Fingerprint {
    fn from(id: &EventId) -> Self {
        let [slot, bucket] = id.halves();
        // Zero marks an empty slot.
        Self {
            slot: slot.max(1),
            bucket,
        }
    }
}

impl Fingerprint {
    /// All of it, for other tables.
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let halves = self
            .slot
            .to_le_bytes()
            .into_iter()
            .chain(self.bucket.to_le_bytes());
        for (to, from) in bytes.iter_mut().zip(halves) {
            *to = from;
        }
        bytes
    }

    /// A number to spread fingerprints by.
    pub(crate) fn spread(self) -> u64 {
        self.bucket
    }
}

/// What the table says about a push that has just arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Nobody has seen it: the caller owns it now.
    First,
    /// It was in flight at an owner that died: the caller owns it now.
    TakenOver {
        /// Which attempt this is, and since when.
        sighting: Sighting,
        /// Its application may have been called.
        called: bool,
    },
    /// Somebody works on it; perhaps the caller itself.
    InFlight {
        /// Who.
        owner: OwnerId,
        /// Which attempt this is, and since when.
        sighting: Sighting,
    },
    /// It was answered with what the rules say.
    Answered(Sighting),
    /// It was answered, or is now, with what an application said.
    Replied(Sighting),
    /// There is nothing to say to it: the application said nothing, or its reply goes out as a send.
    Silent,
    /// The table has no place for it (absent, or too contended): handle it as if it were the first.
    Unrecorded,
}

/// When a push was first seen, and how often it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// Unix seconds of the first sight: the `CreateTime` of the reply to every copy.
    pub first_unix_s: u64,
    /// The same moment on the monotonic clock.
    pub first_mono_ms: u64,
    /// 1 for the first attempt.
    pub attempts: u8,
}

/// What came of an application's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replied {
    /// An attempt gets it now.
    Given,
    /// Nobody waits for it now.
    Ready,
    /// There is nothing to say.
    Silent,
}

/// Whether the table says by now what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It does.
    Yes {
        /// Other workers wait for that.
        watched: bool,
    },
    /// It could not be written: others may take the owner for dead, and then do not know.
    No,
    /// The push is not ours any more, and what the application said must reach nobody.
    NotOurs,
}

/// How a claim starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Work is to be done before the answer.
    InFlight,
    /// The answer goes out at once.
    Answered,
}

/// The table, as one engine sees it.
#[derive(Debug)]
pub struct Claims {
    bits: u32,
    /// Of the buckets' keys. The size is part of it: a table of another size must not be read as this one.
    prefix: String,
    retention_ms: u64,
    me: OwnerId,
}

impl Claims {
    /// Creates the table unless it exists. `slots` is rounded up to a power of two of buckets. Call while configuring.
    pub fn prepare(shared: &dyn SharedData, me: OwnerId, slots: usize, retention_ms: u64) -> Self {
        let bits = slots
            .div_ceil(SLOTS_PER_BUCKET)
            .max(1)
            .next_power_of_two()
            .ilog2();
        let claims = Self {
            prefix: format!("weir/dedup/{bits}/"),
            bits,
            retention_ms: if planted(Bug::RetentionTooShort) {
                1_000
            } else {
                retention_ms
            },
            me,
        };
        let buckets = 0..1u64 << bits;
        for bucket in buckets.filter(|_| !shared.guards_creation()) {
            shared::create(
                shared,
                &claims.bucket_key(bucket),
                &[0; SLOT * SLOTS_PER_BUCKET],
            );
        }
        claims
    }

    /// Claims a push. `start` is the state it gets when it is the first.
    pub fn claim(
        &self,
        shared: &dyn SharedData,
        print: Fingerprint,
        start: Start,
        now: Now,
    ) -> Claim {
        self.change(shared, print, |bucket| {
            let state = match start {
                Start::InFlight if planted(Bug::AnsweredBeforeStored) => State::Answered,
                Start::InFlight => State::InFlight,
                Start::Answered => State::Answered,
            };
            let first = Slot {
                print: print.slot,
                first_mono_ms: now.mono_ms,
                first_unix_s: now.unix_s(),
                owner: Some(self.me),
                state,
                attempts: 1,
                watched: false,
            };
            let Some(slot) = find(bucket, print) else {
                if let Some(slot) = self.room(bucket, now) {
                    first.write(slot);
                }
                return (Claim::First, Write::Yes);
            };
            let mut seen = Slot::read(slot);
            if now.mono_ms.saturating_sub(seen.first_mono_ms) > self.retention_ms {
                // Expired: WeChat gave up long ago, so this is somebody else's replay; the store decides.
                first.write(slot);
                return (Claim::First, Write::Yes);
            }
            if let Some(done) = seen.done(true) {
                seen.write(slot);
                return done;
            }
            seen.attempts = seen.attempts.saturating_add(1);
            let claim = match seen.owner {
                Some(owner) if owner == self.me || owners::is_alive(shared, owner, now.mono_ms) => {
                    seen.watched |= owner != self.me;
                    Claim::InFlight {
                        owner,
                        sighting: seen.sighting(),
                    }
                }
                _ => seen.take_over(self.me),
            };
            seen.write(slot);
            (claim, Write::Yes)
        })
        .unwrap_or(Claim::Unrecorded)
    }

    /// What has become of a push that another worker owns. `takes`: an attempt waits here that is in time for a reply.
    /// [`Claim::First`] does not occur; [`Claim::Unrecorded`] says that there is no slot any more.
    pub fn look(
        &self,
        shared: &dyn SharedData,
        print: Fingerprint,
        takes: bool,
        now: Now,
    ) -> Claim {
        self.change(shared, print, |bucket| {
            let Some(slot) = find(bucket, print) else {
                return (Claim::Unrecorded, Write::No);
            };
            let mut seen = Slot::read(slot);
            if let Some(done) = seen.done(takes) {
                seen.write(slot);
                return done;
            }
            match seen.owner {
                Some(owner) if owner == self.me || owners::is_alive(shared, owner, now.mono_ms) => {
                    let sighting = seen.sighting();
                    (Claim::InFlight { owner, sighting }, Write::No)
                }
                _ => {
                    let claim = seen.take_over(self.me);
                    seen.write(slot);
                    (claim, Write::Yes)
                }
            }
        })
        .unwrap_or(Claim::Unrecorded)
    }

    /// Records that a push was answered with what the rules say. Returns whether other workers wait for that.
    pub fn answered(&self, shared: &dyn SharedData, print: Fingerprint) -> bool {
        self.mark(shared, print, |slot| {
            // What an application says of it, or will, stands.
            if slot.state == State::InFlight {
                slot.state = State::Answered;
            }
        })
    }

    /// Gives a claim up: the next attempt takes it over. Its attempts stay counted.
    pub fn release(&self, shared: &dyn SharedData, print: Fingerprint) {
        self.mark(shared, print, |slot| match slot.state {
            State::InFlight | State::Answered => {
                slot.state = State::InFlight;
                slot.attempts *= u8::from(!planted(Bug::ReleaseForgetsAttempts));
                slot.owner = None;
            }
            // That its application may have been called stays known.
            State::Calling => slot.owner = None,
            State::Ready | State::Given | State::Silent => {}
        });
    }

    /// Records that the application is called from now on. `false`: it is not ours to call, or may have been called.
    /// `again`: the latter is no hindrance. A push that lost its slot may be called about: the store gives the work to one.
    /// `None`: that could not be recorded, so it must not be called now.
    pub fn calling(
        &self,
        shared: &dyn SharedData,
        print: Fingerprint,
        again: bool,
    ) -> Option<bool> {
        self.own(shared, print, self.me, |slot| {
            let free = match slot.state {
                // Somebody took us for dead, had no room for it and gave it up: it is ours still.
                State::InFlight => slot.owner.get_or_insert(self.me) == &self.me,
                State::Calling => again && slot.owner == Some(self.me),
                _ => false,
            };
            if free {
                slot.state = State::Calling;
            }
            free
        })
    }

    /// Records what came of the application.
    pub fn replied(&self, shared: &dyn SharedData, print: Fingerprint, replied: Replied) -> Told {
        let state = match replied {
            Replied::Given => State::Given,
            Replied::Ready => State::Ready,
            Replied::Silent => State::Silent,
        };
        let told = self.change(shared, print, |bucket| {
            // Nobody else knows of a push without a slot.
            let Some(slot) = find(bucket, print) else {
                return (Told::Yes { watched: false }, Write::No);
            };
            let mut seen = Slot::read(slot);
            let ours = seen.owner == Some(self.me)
                && matches!(seen.state, State::InFlight | State::Calling);
            if !ours {
                return (Told::NotOurs, Write::No);
            }
            seen.state = state;
            seen.write(slot);
            let watched = seen.watched;
            (Told::Yes { watched }, Write::Yes)
        });
        told.unwrap_or(Told::No)
    }

    /// Takes a reply that nobody got, to send it; from now on attempts get nothing. `owner`: whoever had it said, perhaps an
    /// engine that left it to us. `false`: somebody got it. `None`: that could not be recorded, so an attempt may still get it.
    pub fn send(
        &self,
        shared: &dyn SharedData,
        print: Fingerprint,
        owner: OwnerId,
    ) -> Option<bool> {
        if planted(Bug::SendWithoutSwap) {
            return Some(true);
        }
        self.own(shared, print, owner, |slot| {
            // Calling: that it is ready could not be recorded.
            let free =
                slot.owner == Some(owner) && matches!(slot.state, State::Ready | State::Calling);
            if free {
                slot.state = State::Silent;
            }
            free
        })
    }

    /// Changes a slot that is `owner`'s or nobody's; `false` when it is another's, or `change` says so, `true` also when there
    /// is none. `None`: it could not be written.
    fn own(
        &self,
        shared: &dyn SharedData,
        print: Fingerprint,
        owner: OwnerId,
        mut change: impl FnMut(&mut Slot) -> bool,
    ) -> Option<bool> {
        self.change(shared, print, |bucket| {
            let Some(slot) = find(bucket, print) else {
                return (true, Write::No);
            };
            let mut seen = Slot::read(slot);
            if seen.owner.is_some_and(|its| its != owner) || !change(&mut seen) {
                return (false, Write::No);
            }
            seen.write(slot);
            (true, Write::Yes)
        })
    }

    /// Returns whether other workers watch the slot.
    fn mark(&self, shared: &dyn SharedData, print: Fingerprint, set: impl Fn(&mut Slot)) -> bool {
        // A slot that made room in between needs no mark.
        let watched = self.change(shared, print, |bucket| match find(bucket, print) {
            None => (false, Write::No),
            Some(slot) => {
                let mut seen = Slot::read(slot);
                set(&mut seen);
                seen.write(slot);
                (seen.watched, Write::Yes)
            }
        });
        watched.unwrap_or(false)
    }

    fn change<T>(
        &self,
        shared: &dyn SharedData,
        print: Fingerprint,
        mut change: impl FnMut(&mut [[u8; SLOT]]) -> (T, Write),
    ) -> Option<T> {
        let key = self.bucket_key(print.bucket & ((1 << self.bits) - 1));
        shared::update(shared, &key, |value| {
            if shared.guards_creation() {
                value.resize(SLOT * SLOTS_PER_BUCKET, 0);
            }
            change(value.as_chunks_mut::<SLOT>().0)
        })
    }

    /// The first empty or expired slot, else the oldest of those that are missed least.
    fn room<'b>(&self, bucket: &'b mut [[u8; SLOT]], now: Now) -> Option<&'b mut [u8; SLOT]> {
        let mut oldest = (usize::MAX, (State::Calling, u64::MAX));
        for (place, slot) in bucket.iter().enumerate() {
            let seen = Slot::read(slot);
            let age_ms = now.mono_ms.saturating_sub(seen.first_mono_ms);
            if seen.print == 0 || age_ms > self.retention_ms {
                return bucket.get_mut(place);
            }
            let rank = (seen.state, seen.first_mono_ms);
            if rank < oldest.1 {
                oldest = (place, rank);
            }
        }
        bucket.get_mut(oldest.0)
    }

    fn bucket_key(&self, bucket: u64) -> String {
        let mut key = String::with_capacity(self.prefix.len() + 16);
        key.push_str(&self.prefix);
        // Hexadecimal, least digit first, by hand: this runs at every push.
        let mut rest = bucket;
        loop {
            let digit = u32::try_from(rest & 15).unwrap_or(0);
            key.push(char::from_digit(digit, 16).unwrap_or('0'));
            rest >>= 4;
            if rest == 0 {
                return key;
            }
        }
    }
}

fn find(bucket: &mut [[u8; SLOT]], print: Fingerprint) -> Option<&mut [u8; SLOT]> {
    bucket
        .iter_mut()
        .find(|slot| slot.first_chunk::<8>() == Some(&print.slot.to_le_bytes()))
}

/// In the order in which they make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Answered = 1,
    Silent = 2,
    Given = 3,
    InFlight = 0,
    Ready = 4,
    Calling = 5,
}

/// `print u64 | first_mono_ms u64 | first_unix_s u64 | owner u32 | state u8 | attempts u8 | watched u8 | 0`,
/// little-endian.
struct Slot {
    print: u64,
    first_mono_ms: u64,
    first_unix_s: u64,
    owner: Option<OwnerId>,
    state: State,
    attempts: u8,
    /// Copies wait at other workers than the owner.
    watched: bool,
}

impl Slot {
    fn read(bytes: &[u8; SLOT]) -> Self {
        let u64_at = |at| u64::from_le_bytes(part(bytes, at));
        let [state, attempts, watched, _] = part(bytes, 28);
        Self {
            print: u64_at(0),
            first_mono_ms: u64_at(8),
            first_unix_s: u64_at(16),
            owner: OwnerId::from_bits(u32::from_le_bytes(part(bytes, 24))),
            state: match state {
                1 => State::Answered,
                2 => State::Silent,
                3 => State::Given,
                4 => State::Ready,
                5 => State::Calling,
                _ => State::InFlight,
            },
            attempts,
            watched: watched != 0,
        }
    }

    fn write(&self, bytes: &mut [u8; SLOT]) {
        let owner = self.owner.map_or(0, OwnerId::to_bits);
        let marks = [self.state as u8, self.attempts, u8::from(self.watched), 0];
        put(bytes, 0, self.print.to_le_bytes());
        put(bytes, 8, self.first_mono_ms.to_le_bytes());
        put(bytes, 16, self.first_unix_s.to_le_bytes());
        put(bytes, 24, owner.to_le_bytes());
        put(bytes, 28, marks);
    }

    fn sighting(&self) -> Sighting {
        Sighting {
            first_unix_s: self.first_unix_s,
            first_mono_ms: self.first_mono_ms,
            attempts: self.attempts,
        }
    }

    /// What an attempt is told that comes when all is done. `takes`: it gets the reply that waits for one.
    fn done(&mut self, takes: bool) -> Option<(Claim, Write)> {
        match self.state {
            State::Answered => Some((Claim::Answered(self.sighting()), Write::No)),
            State::Silent => Some((Claim::Silent, Write::No)),
            State::Given => Some((Claim::Replied(self.sighting()), Write::No)),
            State::Ready if takes => {
                self.state = State::Given;
                Some((Claim::Replied(self.sighting()), Write::Yes))
            }
            // It is done, and yet nobody here can have it.
            State::Ready => {
                let owner = self.owner?;
                let sighting = self.sighting();
                Some((Claim::InFlight { owner, sighting }, Write::No))
            }
            State::InFlight | State::Calling => None,
        }
    }

    fn take_over(&mut self, by: OwnerId) -> Claim {
        self.owner = Some(by);
        Claim::TakenOver {
            sighting: self.sighting(),
            called: self.state == State::Calling && !planted(Bug::CallForgotten),
        }
    }
}

/// The part of a slot at `at`, which is within it.
fn part<const N: usize>(bytes: &[u8; SLOT], at: usize) -> [u8; N] {
    let part = bytes.get(at..).and_then(<[u8]>::first_chunk);
    part.copied().unwrap_or([0; N])
}

fn put<const N: usize>(bytes: &mut [u8; SLOT], at: usize, part: [u8; N]) {
    if let Some(to) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *to = part;
    }
}
