//! What an event tells of an application's reply to a push: given, late, sent, undeliverable.
//!
//! The push is named by the `id` of its event, which has the same `source`. Data that is not what its type promises
//! tells nothing.

use std::borrow::Cow;

use serde_json::value::RawValue;
use weir_store_api::{
    ReplyGiven, ReplyLate, TYPE_REPLY_GIVEN, TYPE_REPLY_LATE, TYPE_REPLY_SENT,
    TYPE_REPLY_UNDELIVERABLE,
};

use crate::event::{ID_MAX_BYTES, NAME_MAX_BYTES, is_name};

/// What all types of this module begin with.
const PREFIX: &str = "weir.reply.";

/// What became known of the reply to a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyFact {
    /// The `id` of the push's event.
    pub push: String,
    /// What became known.
    pub news: ReplyNews,
}

/// What became known of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyNews {
    /// The application's call is over.
    Given(Answer),
    /// WeChat's last attempt is over, and somebody would send the reply.
    Late,
    /// How a send ended.
    Delivered(Delivery),
}

/// What a call of the application brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The application's name in the configuration.
    pub app: String,
    /// The reply's JSON text as it was sent; `None`: there is none to give.
    pub reply: Option<String>,
    /// `CreateTime` of the reply, Unix seconds.
    pub create_time: i64,
    /// Why the application gave none.
    pub failed: Option<String>,
}

/// How a send ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Whether WeChat took it.
    pub is_sent: bool,
    /// Why not.
    pub reason: Option<String>,
    /// WeChat's `errcode`, where it refused.
    pub errcode: Option<i64>,
}

/// An account and what is told of a reply of its own.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    pub(crate) account: Cow<'a, str>,
    pub(crate) appid: Cow<'a, str>,
    pub(crate) reply: ReplyFact,
}

/// Whether events of this type are about replies.
pub(crate) fn concerns(kind: &str) -> bool {
    kind.starts_with(PREFIX)
}

/// Reads an event's data; `None` if it tells nothing, or nothing we can read.
pub(crate) fn read<'a>(kind: &str, data: &'a str) -> Option<Told<'a>> {
    if kind == TYPE_REPLY_GIVEN {
        let data: ReplyGiven<'a, &'a RawValue> = serde_json::from_str(data).ok()?;
        let answer = Answer {
            app: name(&data.app)?,
            reply: data.reply.map(|reply| reply.get().to_owned()),
            create_time: i64::try_from(data.create_time).ok()?,
            failed: optional(data.failed.as_deref())?,
        };
        return told(
            data.account,
            data.appid,
            &data.push,
            ReplyNews::Given(answer),
        );
    }
    if ![TYPE_REPLY_LATE, TYPE_REPLY_SENT, TYPE_REPLY_UNDELIVERABLE].contains(&kind) {
        return None;
    }
    let data: ReplyLate<'a> = serde_json::from_str(data).ok()?;
    let news = if kind == TYPE_REPLY_LATE {
        ReplyNews::Late
    } else {
        ReplyNews::Delivered(Delivery {
            is_sent: kind == TYPE_REPLY_SENT,
            reason: optional(data.reason.as_deref())?,
            errcode: data.errcode,
        })
    };
    told(data.account, data.appid, &data.push, news)
}

fn told<'a>(
    account: Cow<'a, str>,
    appid: Cow<'a, str>,
    push: &str,
    news: ReplyNews,
) -> Option<Told<'a>> {
    is_name(push, ID_MAX_BYTES).then(|| Told {
        account,
        appid,
        reply: ReplyFact {
            push: push.to_owned(),
            news,
        },
    })
}

fn name(text: &str) -> Option<String> {
    is_name(text, NAME_MAX_BYTES).then(|| text.to_owned())
}

/// What may be absent, but not be anything else than a name. The outer `None`: it is.
#[expect(
    clippy::option_option,
    reason = "absent and unreadable are two things, and both end in `?`"
)]
fn optional(text: Option<&str>) -> Option<Option<String>> {
    match text {
        None => Some(None),
        Some(text) => name(text).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_given(rest: &str) -> Option<ReplyFact> {
        let data = format!(r#"{{"account":"demo","appid":"wx1",{rest}}}"#);
        read(TYPE_REPLY_GIVEN, &data).map(|told| told.reply)
    }

    #[test]
    fn a_reply_keeps_its_json_to_the_byte() {
        let reply = r#"{"text": "😀 \u0000", "n":18446744073709551616}"#;
        let given = read_given(&format!(
            r#""push":"p","app":"shop","create_time":1714113002,"reply":{reply}"#
        ));
        let Some(ReplyNews::Given(answer)) = given.map(|fact| fact.news) else {
            panic!("it is one");
        };
        assert_eq!(answer.reply.as_deref(), Some(reply));
        assert_eq!(answer.create_time, 1_714_113_002);
    }

    #[test]
    fn no_reply_is_null_or_absent_and_the_failure_is_kept() {
        for reply in [r#""reply":null,"#, ""] {
            let given = read_given(&format!(
                r#"{reply}"push":"p","app":"shop","create_time":1,"failed":"timeout""#
            ));
            let answer = Answer {
                app: "shop".to_owned(),
                reply: None,
                create_time: 1,
                failed: Some("timeout".to_owned()),
            };
            assert_eq!(
                given.map(|fact| fact.news),
                Some(ReplyNews::Given(answer)),
                "{reply}"
            );
        }
    }

    #[test]
    fn data_that_is_not_what_its_type_promises_tells_nothing() {
        for rest in [
            r#""app":"shop","create_time":1,"reply":null"#,
            r#""push":"","app":"shop","create_time":1,"reply":null"#,
            r#""push":"p\u0000","app":"shop","create_time":1,"reply":null"#,
            r#""push":"p","app":"a\u0000","create_time":1,"reply":null"#,
            r#""push":"p","app":"shop","create_time":-1,"reply":null"#,
            r#""push":"p","app":"shop","create_time":18446744073709551615,"reply":null"#,
            r#""push":"p","app":"shop","create_time":1,"reply":null,"failed":"\n""#,
        ] {
            assert_eq!(read_given(rest), None, "{rest}");
        }
        let late = r#"{"account":"demo","appid":"wx1","push":"p","errcode":"45015"}"#;
        assert!(read(TYPE_REPLY_SENT, late).is_none());
        let late = r#"{"account":"demo","appid":"wx1","push":"p"}"#;
        assert!(read("weir.reply.of_the_future", late).is_none());
    }
}
