//! What a phone number given to a Mini Program tells.

use weir_store_api::UserPhone;

use super::{Attributes, Change, Fact, Phone, Sighting, account, identifier, word};
use crate::fold::Clock;

pub(super) fn read(event: Attributes<'_>, data: &str) -> Option<Fact> {
    let data: UserPhone<'_> = serde_json::from_str(data).ok()?;
    let at_ms = i64::try_from(data.learned_at_ms).ok()?;
    let part = |text: &str| word(text).unwrap_or_default();
    Some(Fact {
        account: account(&data.account)?,
        appid: identifier(data.appid.into_owned()),
        at: Clock::new(at_ms.div_euclid(1000), at_ms, event.source, event.id),
        sighting: Some(Sighting {
            openid: word(event.subject?)?,
            change: Change::Phone(Box::new(Phone {
                number: word(&data.phone_number)?,
                pure: part(&data.pure_phone_number),
                country_code: part(&data.country_code),
            })),
        }),
        reply: None,
        sends: None,
        cards: Vec::new(),
    })
}
