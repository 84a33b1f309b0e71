//! What WeChat's blacklist tells: whether it has somebody.

use weir_store_api::UserBlacklist;

use super::{Attributes, Change, Fact, Sighting, account, identifier, word};
use crate::fold::Clock;

pub(super) fn read(event: Attributes<'_>, data: &str) -> Option<Fact> {
    let data: UserBlacklist<'_> = serde_json::from_str(data).ok()?;
    let at_ms = i64::try_from(data.told_at_ms).ok()?;
    Some(Fact {
        account: account(&data.account)?,
        appid: identifier(data.appid.into_owned()),
        at: Clock::new(at_ms.div_euclid(1000), at_ms, event.source, event.id),
        sighting: Some(Sighting {
            openid: word(event.subject?)?,
            change: Change::Blacklisted(data.blacklisted),
        }),
        reply: None,
        sends: None,
        cards: Vec::new(),
    })
}
