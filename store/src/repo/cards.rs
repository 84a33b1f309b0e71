//! The rows of cards: the same for both databases.

use std::collections::BTreeMap;

use serde::Serialize;

use super::RepoError;
use super::person::json;
use crate::cards::CardFact;
use crate::fact::Fact;
use crate::fold::{Card, Clock};

/// Card id, code and account: the order that rows are locked in.
pub(super) type CardName<'a> = (&'a str, &'a str, i64);

/// What the new events of a batch tell of cards.
#[derive(Debug, Default)]
pub(super) struct CardNews<'a> {
    facts: BTreeMap<CardName<'a>, Vec<(Clock, &'a CardFact)>>,
    /// They were in the log before: WeChat may have been asked, and have answered since.
    is_past: bool,
}

/// A row of `cards`. Serialized, the keys are the column names.
#[derive(Debug, Serialize)]
pub(super) struct CardRow<'a> {
    pub(super) card_key: i64,
    pub(super) openid: Option<&'a str>,
    pub(super) card: String,
}

impl<'a> CardNews<'a> {
    /// News of before.
    pub(super) fn past() -> Self {
        Self {
            is_past: true,
            ..Self::default()
        }
    }

    /// Takes in the fact of a new event.
    pub(super) fn add(&mut self, account_key: i64, fact: &'a Fact) {
        for card in &fact.cards {
            let name = (card.card_id.as_str(), card.code.as_str(), account_key);
            self.facts.entry(name).or_default().push((fact.at, card));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// The cards, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = CardName<'a>> {
        self.facts.keys().copied()
    }

    /// What a card becomes of this one.
    pub(super) fn applied(&self, name: CardName<'_>, mut card: Card) -> Card {
        for (at, fact) in self.facts.get(&name).into_iter().flatten() {
            card.apply(*at, fact.holder.as_deref(), &fact.change);
        }
        card
    }

    /// Whether WeChat is to be asked of it, which is now this.
    pub(super) fn wants_more(&self, name: CardName<'_>, card: &Card) -> bool {
        let mut facts = self.facts.get(&name).into_iter().flatten();
        facts.any(|(at, fact)| {
            fact.change.wants_more() && !(self.is_past && card.is_told_since(*at))
        })
    }
}

impl<'a> CardRow<'a> {
    pub(super) fn new(card_key: i64, card: &'a Card) -> Self {
        Self {
            card_key,
            openid: card.holder(),
            card: json(card),
        }
    }
}

/// Reads the column `card`.
pub(super) fn card(column: &str) -> Result<Card, RepoError> {
    serde_json::from_str(column)
        .map_err(|_| RepoError::Unavailable("a JSON column is not what we wrote".to_owned()))
}
