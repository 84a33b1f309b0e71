//! What the application does with a call.

use std::time::Duration;

use serde_json::{Value, json};

use super::Asked;

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub(super) delay: Duration,
    pub(super) then: Then,
}

/// What happens after the delay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Then {
    /// An answer.
    Say {
        status: u16,
        content_type: &'static str,
        body: Vec<u8>,
    },
    /// The connection is reset; the request was read, or only its head.
    Reset { read: bool },
    /// Nothing, for ever.
    Hang,
}

impl Answer {
    fn say(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self {
            delay: Duration::ZERO,
            then: Then::Say {
                status,
                content_type,
                body,
            },
        }
    }

    /// 200 with JSON.
    pub fn json(reply: &Value) -> Self {
        Self::say(200, "application/json", reply.to_string())
    }

    /// 200 with a text reply in JSON.
    pub fn text(text: &str) -> Self {
        Self::json(&json!({ "text": text }))
    }

    /// 200 with a text reply in WeChat's XML.
    pub fn xml(text: &str) -> Self {
        // The parties are the backend's to know: these are nobody's.
        let xml = format!(
            "<xml><ToUserName><![CDATA[somebody]]></ToUserName><FromUserName><![CDATA[app]]></FromUserName>\
             <CreateTime>1700000000</CreateTime><MsgType><![CDATA[text]]></MsgType>\
             <Content><![CDATA[{}]]></Content></xml>",
            text.replace("]]>", "]]]]><![CDATA[>")
        );
        Self::say(200, "text/xml", xml)
    }

    /// 200 with nothing.
    pub fn empty() -> Self {
        Self::say(200, "text/plain", "")
    }

    /// This status, with words that are no reply.
    pub fn status(status: u16) -> Self {
        Self::say(status, "text/plain", "no reply of mine")
    }

    /// 200 with these bytes, whatever they are.
    pub fn body(bytes: impl Into<Vec<u8>>) -> Self {
        Self::say(200, "application/octet-stream", bytes)
    }

    /// The request is read, and the connection reset.
    pub fn reset() -> Self {
        let then = Then::Reset { read: true };
        Self {
            delay: Duration::ZERO,
            then,
        }
    }

    /// The connection is reset before the request's body is read.
    pub fn reset_unread() -> Self {
        let then = Then::Reset { read: false };
        Self {
            delay: Duration::ZERO,
            then,
        }
    }

    /// No answer, and the connection stays open.
    pub fn hang() -> Self {
        Self {
            delay: Duration::ZERO,
            then: Then::Hang,
        }
    }

    /// The same, after this long.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// What the user asks for: `wait 7 …` is answered after 7 seconds; `empty`, `garbage`, `reset`, `hang`, `xml` and
    /// `status 500` (with or without `wait` before) are what they say; anything else is answered with itself.
    pub fn by_words(asked: &Asked) -> Self {
        let text = asked.text().unwrap_or_default();
        let mut words = text.split_whitespace().peekable();
        let mut delay = Duration::ZERO;
        if words.next_if_eq(&"wait").is_some() {
            let seconds = words.next().and_then(|number| number.parse().ok());
            delay = seconds
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .unwrap_or_default();
        }
        let answer = match (words.next(), words.next()) {
            (Some("empty"), None) => Self::empty(),
            (Some("garbage"), None) => Self::body("<xml>not quite"),
            (Some("reset"), None) => Self::reset(),
            (Some("hang"), None) => Self::hang(),
            (Some("xml"), None) => Self::xml(&text),
            (Some("status"), Some(status)) if status.parse::<u16>().is_ok() => {
                Self::status(status.parse().unwrap_or_default())
            }
            _ => Self::text(&format!("You said: {text}")),
        };
        answer.after(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &Answer) {
        let body = json!({"id": "1", "data": {"push": {"Content": text}}});
        let asked = Asked::of_body(body.to_string().into_bytes());
        assert_eq!(Answer::by_words(&asked), *expected, "{text}");
    }

    #[test]
    fn people_get_what_their_words_ask_for() {
        check("hello", &Answer::text("You said: hello"));
        let slow = Answer::text("You said: wait 1.5 hello").after(Duration::from_millis(1_500));
        check("wait 1.5 hello", &slow);
        check("empty", &Answer::empty());
        check(
            "wait 2 reset",
            &Answer::reset().after(Duration::from_secs(2)),
        );
        check("status 503", &Answer::status(503));
        check("status quo", &Answer::text("You said: status quo"));
        check("wait -1", &Answer::text("You said: wait -1"));
    }
}
