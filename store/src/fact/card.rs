//! What the API's answer about a card tells.

use super::{Attributes, Change, Fact, Sighting, account, identifier};
use crate::cards;
use crate::fold::Clock;

pub(super) fn read(event: Attributes<'_>, data: &str) -> Option<Fact> {
    let (name, appid, card) = cards::snapshot(data)?;
    let at_ms = event.at_ms.unwrap_or(event.now_ms);
    Some(Fact {
        account: account(&name)?,
        appid: identifier(appid.into_owned()),
        at: Clock::new(at_ms.div_euclid(1000), at_ms, event.source, event.id),
        sighting: card.holder.clone().map(|openid| Sighting {
            openid,
            change: Change::Seen,
        }),
        reply: None,
        sends: None,
        cards: vec![card],
    })
}
