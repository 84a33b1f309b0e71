//! What a login tells: that a person uses an app, and which person.

use weir_store_api::{SessionBy, SessionStarted};

use super::{Attributes, Change, Fact, Sighting, account, identifier, word};
use crate::fold::Clock;

pub(super) fn read(event: Attributes<'_>, data: &str) -> Option<Fact> {
    let data: SessionStarted<'_> = serde_json::from_str(data).ok()?;
    let at_ms = i64::try_from(data.started_at_ms).ok()?;
    let unionid = data.unionid.as_deref().and_then(word);
    Some(Fact {
        account: account(&data.account)?,
        appid: identifier(data.appid.into_owned()),
        at: Clock::new(at_ms.div_euclid(1000), at_ms, event.source, event.id),
        sighting: Some(Sighting {
            openid: word(event.subject?)?,
            change: Change::Login {
                to_mini_program: data.by != SessionBy::Web,
                unionid,
            },
        }),
        reply: None,
        sends: None,
        cards: Vec::new(),
    })
}
