//! What an application's own replies and active messages tell. They are the application's: no sign of
//! life of the user they go to.

use super::{Attributes, Fact, account, identifier};
use crate::fold::Clock;
use crate::reply;
use crate::sends;

/// A reply is the application's: it tells nothing of the user.
pub(super) fn reply(event: Attributes<'_>, data: &str) -> Option<Fact> {
    let told = reply::read(event.kind, data)?;
    let at_ms = event.at_ms.unwrap_or(event.now_ms);
    Some(Fact {
        account: account(&told.account)?,
        appid: identifier(told.appid.into_owned()),
        at: Clock::new(at_ms.div_euclid(1000), at_ms, event.source, event.id),
        sighting: None,
        reply: Some(Box::new(told.reply)),
        sends: None,
        cards: Vec::new(),
    })
}

/// To be sent something is no sign of life: it tells nothing of the user.
pub(super) fn send(event: Attributes<'_>, data: &str) -> Option<Fact> {
    let (data, facts) = sends::result(event.subject, data)?;
    let sent_at_ms = facts.sent.as_ref()?.sent_at_ms;
    Some(Fact {
        account: account(&data.account)?,
        appid: identifier(data.appid.into_owned()),
        at: Clock::new(
            sent_at_ms.div_euclid(1000),
            sent_at_ms,
            event.source,
            event.id,
        ),
        sighting: None,
        reply: None,
        sends: Some(Box::new(facts)),
        cards: Vec::new(),
    })
}
