//! What WeChat's error codes mean for a message or another call, in one table.
//!
//! Source: WeChat's documentation of each call, and of its global return codes. A code that is not here is taken as WeChat
//! numbers them: below 0 it is WeChat's own trouble, above 0 the message is refused for good.

/// The account's quota of today is used up.
pub const QUOTA: i64 = 45009;
/// No user of the account has this openid.
pub const INVALID_OPENID: i64 = 40003;
/// The user is on the account's blacklist.
pub const BLACKLISTED: i64 = 43019;
/// The account may not make this call.
pub const UNAUTHORIZED: i64 = 48001;

/// The account has as many tags as it may have.
pub const TOO_MANY_TAGS: i64 = 45056;
/// A user has as many tags as they may have.
pub const TOO_MANY_OF_USER: i64 = 45059;
/// The tag's name is not allowed, or another one has it.
pub const NAME_TAKEN: i64 = 45157;
/// The account has no such tag.
pub const NO_SUCH_TAG: i64 = 45159;
/// The openid is one of another account.
pub const OTHERS_OPENID: i64 = 49003;

/// What to do about an errcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// WeChat has done it: it has the message.
    Done,
    /// This is not done; others may be.
    Refuse,
    /// Nothing is done for a while: too much in this minute.
    NextMinute,
    /// WeChat's own trouble: it may have been done or not.
    Busy,
    /// The account may not make this call, today or tomorrow: end the run, unless it can do without.
    Bar,
    /// Nothing would be done any more: end the run.
    Stop,
}

/// What an errcode means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// What to do.
    pub then: Then,
    /// In words; empty for a code that is not known.
    pub reason: &'static str,
}

/// Looks an errcode up.
#[must_use]
pub fn meaning(errcode: i64) -> Meaning {
    use Then::{Bar, Busy, Done, NextMinute, Refuse, Stop};
    let (then, reason) = match errcode {
        0 => (Done, ""),
        45065 => (Done, "WeChat had it already, by its client_msg_id"),

        INVALID_OPENID => (Refuse, "no user of this account has this openid"),
        43004 => (Refuse, "the user does not follow the account (any more)"),
        BLACKLISTED => (Refuse, "the user is on the account's blacklist"),
        43101 => (
            Refuse,
            "the user has not consented, or the consent is used up",
        ),
        46004 => (Refuse, "there is no such user"),
        48002 => (Refuse, "the user does not take messages of this account"),
        50005 => (Refuse, "the user does not follow the account"),
        45015 => (
            Refuse,
            "the user has not written for 48 hours, or follows no more",
        ),
        45047 => (Refuse, "too many messages since the user last wrote"),

        45002 => (Refuse, "the text is too long"),
        47003 => (Refuse, "a value does not fit the template"),
        40033 | 47001 => (Refuse, "WeChat could not read the message"),
        44002 | 44004 => (Refuse, "the text is empty"),
        45003 | 45004 | 45008 => (Refuse, "a part of the message is too long"),
        40097 => (
            Refuse,
            "a parameter is missing, or has a value that it cannot have",
        ),

        40032 => (Refuse, "too many users in one call"),
        TOO_MANY_TAGS => (Refuse, "the account has as many tags as it may have"),
        45057 => (
            Refuse,
            "more than 100,000 followers have the tag: take it from some first",
        ),
        45058 => (Refuse, "the tag is one of WeChat's own"),
        TOO_MANY_OF_USER => (Refuse, "a user has as many tags as they may have"),
        NAME_TAKEN => (Refuse, "the name is not allowed, or another tag has it"),
        45158 => (Refuse, "the name is too long"),
        NO_SUCH_TAG => (Refuse, "there is no tag of this id"),
        OTHERS_OPENID => (Refuse, "the openid is one of another account"),

        40056 => (Refuse, "there is no card of this code"),
        40073 => (Refuse, "there is no card of this card_id"),
        40079 => (Refuse, "the card is not within its time"),
        40127 => (Refuse, "the card was given to a friend, or deleted"),
        43009..=43011 => (
            Refuse,
            "the account has no permission for this function of cards",
        ),

        40037 => (Stop, "the account has no template of this id"),
        41030 | 40165 => (Stop, "the Mini Program has no such page"),
        40013 => (Stop, "the appid is wrong, or may not be used here"),
        QUOTA => (
            Stop,
            "the account's quota for today is used up: go on after 00:00 Beijing time",
        ),
        UNAUTHORIZED | 48008 | 50001 | 61007 => (Bar, "the account may not make this call"),
        48004 => (Bar, "the account was banned from this call"),
        40001 | 40014 | 41001 | 42001 => (Stop, "WeChat refuses the access token"),
        40125 | 40243 | 41004 => (Stop, "the key or secret is wrong"),
        40164 | 61004 | 89503 | 89506 | 89507 => {
            (Stop, "WeChat does not know the address that calls it")
        }

        45011 => (NextMinute, "too many calls in this minute"),
        -1 | 50002 | 61450 => (Busy, "WeChat was busy"),
        _ if errcode < 0 => (Busy, ""),
        _ => (Refuse, ""),
    };
    Meaning { then, reason }
}

/// Why, in words: ours where the code is known, else WeChat's; and the door's, where it is the door that refuses.
#[must_use]
pub fn reason(errcode: i64, errmsg: &str) -> String {
    let known = meaning(errcode).reason;
    let said = without_rid(errmsg);
    match (said.strip_prefix("weir: "), known) {
        (None, "") if said.is_empty() => "WeChat gives no reason".to_owned(),
        (None, "") => format!("WeChat says: {said}"),
        (None, known) => known.to_owned(),
        (Some(door), "") => format!("the door says: {door}"),
        (Some(door), known) => format!("{known} (the door says: {door})"),
    }
}

/// The key that 47003 complains of: `thing1` of `argument invalid! data.thing1.value invalid rid: …`.
#[must_use]
pub fn field(errmsg: &str) -> Option<&str> {
    let (_, rest) = errmsg.split_once("data.")?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    Some(&rest[..end.unwrap_or(rest.len())]).filter(|key| !key.is_empty())
}

/// WeChat's text without what it says to itself at the end.
fn without_rid(errmsg: &str) -> &str {
    let end = ["rid:", "hint:"]
        .iter()
        .filter_map(|mark| errmsg.find(mark))
        .min();
    errmsg[..end.unwrap_or(errmsg.len())].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_are_not_known_are_taken_by_their_sign() {
        assert_eq!(meaning(-1007).then, Then::Busy);
        assert_eq!(meaning(99_999).then, Then::Refuse);
    }

    #[test]
    fn the_field_is_found_in_what_wechat_says() {
        let errmsg = "argument invalid! data.thing1.value invalid rid: 5f3ded7d-22929d02-4ba1f5f6";
        assert_eq!(field(errmsg), Some("thing1"));
        assert_eq!(
            without_rid(errmsg),
            "argument invalid! data.thing1.value invalid"
        );
        assert_eq!(field("argument invalid!"), None);
        assert_eq!(field("data."), None);
    }
}
