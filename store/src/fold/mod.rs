//! The projections as values: what is known of a person, from facts in any order.
//!
//! Pure, and the same for every database: a backend reads a [`Person`], applies the facts of new
//! events, and writes it back. Applying is commutative, and the log's unique key makes it happen once
//! per event, so every order of arrival ends in the same state (`tests/it/orders.rs` tries them all).

mod card;
mod clock;
mod credit;
mod follow;
mod profile;

pub use card::{CHANGES as CARD_CHANGES, Card, CardChange, Giving, Taking, Told as CardTold};
pub use clock::Clock;
pub use credit::{Balance, CreditChange, CreditNews, balance};
pub use follow::{Evidence, Follow, Followed};
pub use profile::{Clocks, Profile};

use crate::fact::{Change, Erasure};

/// What is known of a person within one account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// Their profile.
    pub profile: Profile,
    /// What pushes said about their follow.
    pub evidence: Evidence,
    /// How many follows were pushed.
    pub followed_times: i64,
    /// How many unfollows were pushed.
    pub unfollowed_times: i64,
}

impl Person {
    /// Takes in one fact. To be called once per event.
    pub fn apply(&mut self, at: Clock, change: &Change) {
        match change {
            Change::Seen
            | Change::Named(_)
            | Change::Message(_)
            | Change::Login { .. }
            | Change::Phone(_)
            | Change::Blacklisted(_) => {}
            Change::Follow { scene } => {
                self.evidence.follow(at, scene.as_deref());
                self.followed_times += 1;
            }
            Change::Unfollow => {
                self.evidence.unfollow(at);
                self.unfollowed_times += 1;
            }
            Change::Erase(why) => {
                if *why == Erasure::Unfollow {
                    self.evidence.unfollow(at);
                    self.unfollowed_times += 1;
                }
                self.profile.erase(at);
            }
            Change::Profile(told) => self.profile.learn(at, told),
        }
    }

    /// Their follow as it stands.
    #[must_use]
    pub fn follow(&self) -> Option<Follow> {
        self.evidence.conclude(&self.profile)
    }
}
