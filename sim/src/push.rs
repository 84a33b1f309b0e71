//! What WeChat sends: a message or an event, with any field.
//!
//! [`Push::message`] and [`Push::event`] build every kind; the rest are shorthands for the usual ones. The four common
//! fields come first, then the fields given, then `MsgId`. `CreateTime` and `MsgId` are fixed when the push is built, so
//! that every attempt carries the same.

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::fields::{Fields, Value};
use crate::wechat::{Account, Format, ids};

/// The scene of a QR code: a number (QR_SCENE) or a text (QR_STR_SCENE). In JSON a number or a string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scene {
    /// 1 to 2^32 - 1.
    Number(u32),
    /// 1 to 64 characters.
    Text(String),
}

impl Scene {
    /// Digits that fit are a number, anything else is text.
    pub fn parse(text: &str) -> Self {
        match text.parse() {
            Ok(number) if number > 0 && !text.starts_with(['0', '+']) => Self::Number(number),
            _ => Self::Text(text.to_owned()),
        }
    }
}

impl std::fmt::Display for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// One push. See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    to_user_name: String,
    from_user_name: String,
    create_time: i64,
    msg_type: String,
    fields: Fields,
    msg_id: Option<u64>,
    body: Option<Vec<u8>>,
}

impl Push {
    fn new(account: &Account, openid: &str, msg_type: &str) -> Self {
        Self {
            to_user_name: account.original_id.clone(),
            from_user_name: openid.to_owned(),
            create_time: Clock::system().now_s(),
            msg_type: msg_type.to_owned(),
            fields: Fields::new(),
            msg_id: None,
            body: None,
        }
    }

    /// A message of any `MsgType`, with a fresh `MsgId`.
    pub fn message(account: &Account, openid: &str, msg_type: &str) -> Self {
        Self {
            msg_id: Some(ids::msg_id()),
            ..Self::new(account, openid, msg_type)
        }
    }

    /// An event of any kind.
    pub fn event(account: &Account, openid: &str, event: &str) -> Self {
        Self::new(account, openid, "event").field("Event", event)
    }

    /// A text message.
    pub fn text(account: &Account, openid: &str, content: &str) -> Self {
        Self::message(account, openid, "text").field("Content", content)
    }

    /// A picture.
    pub fn image(account: &Account, openid: &str, pic_url: &str, media_id: &str) -> Self {
        Self::message(account, openid, "image")
            .field("PicUrl", pic_url)
            .field("MediaId", media_id)
    }

    /// A place. Latitude and longitude as decimal texts.
    pub fn location(
        account: &Account,
        openid: &str,
        latitude: &str,
        longitude: &str,
        label: &str,
    ) -> Self {
        Self::message(account, openid, "location")
            .field("Location_X", Value::Number(latitude.to_owned()))
            .field("Location_Y", Value::Number(longitude.to_owned()))
            .field("Scale", 16_i64)
            .field("Label", label)
    }

    /// A plain follow.
    pub fn subscribe(account: &Account, openid: &str) -> Self {
        Self::event(account, openid, "subscribe").field("EventKey", "")
    }

    /// A follow by a QR code that carries a scene: `EventKey` is `qrscene_` and the scene.
    pub fn subscribe_by_qr(account: &Account, openid: &str, scene: &Scene) -> Self {
        Self::event(account, openid, "subscribe")
            .field("EventKey", format!("qrscene_{scene}"))
            .field("Ticket", ticket())
    }

    /// The end of a follow.
    pub fn unsubscribe(account: &Account, openid: &str) -> Self {
        Self::event(account, openid, "unsubscribe").field("EventKey", "")
    }

    /// A QR code scanned by somebody who follows already: `EventKey` is the scene without prefix.
    pub fn scan(account: &Account, openid: &str, scene: &Scene) -> Self {
        Self::event(account, openid, "SCAN")
            .field("EventKey", scene.to_string())
            .field("Ticket", ticket())
    }

    /// A menu button with a key.
    pub fn click(account: &Account, openid: &str, key: &str) -> Self {
        Self::event(account, openid, "CLICK").field("EventKey", key)
    }

    /// A menu button with a link.
    pub fn view(account: &Account, openid: &str, url: &str) -> Self {
        Self::event(account, openid, "VIEW").field("EventKey", url)
    }

    /// Adds a field.
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.push(name, value);
        self
    }

    /// Adds a field under a dotted path: `ScanCodeInfo.ScanType`.
    pub fn field_at(mut self, path: &str, value: impl Into<Value>) -> Self {
        self.fields.push_at(path, value);
        self
    }

    /// Another `CreateTime`, Unix seconds.
    pub fn at(mut self, create_time: i64) -> Self {
        self.create_time = create_time;
        self
    }

    /// Another `MsgId`, or none.
    pub fn with_msg_id(mut self, msg_id: Option<u64>) -> Self {
        self.msg_id = msg_id;
        self
    }

    /// Another `ToUserName`: a push for somebody else's account.
    pub fn addressed_to(mut self, original_id: &str) -> Self {
        self.to_user_name = original_id.to_owned();
        self
    }

    /// Sends these bytes in place of the fields (signed and encrypted like any other push): malformed bodies,
    /// or ones captured elsewhere. The fields still say who the parties of the reply are.
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// `ToUserName`: the account.
    pub fn to_user_name(&self) -> &str {
        &self.to_user_name
    }

    /// `FromUserName`: the user's openid.
    pub fn from_user_name(&self) -> &str {
        &self.from_user_name
    }

    /// `CreateTime`, Unix seconds.
    pub fn create_time(&self) -> i64 {
        self.create_time
    }

    /// `MsgId` of a message.
    pub fn msg_id(&self) -> Option<u64> {
        self.msg_id
    }

    /// Whether it is an event and not a message.
    pub fn is_event(&self) -> bool {
        self.msg_type == "event"
    }

    /// Every field in the order of the body.
    pub fn fields(&self) -> Fields {
        let mut all = Fields::new()
            .with("ToUserName", self.to_user_name.as_str())
            .with("FromUserName", self.from_user_name.as_str())
            .with("CreateTime", self.create_time)
            .with("MsgType", self.msg_type.as_str());
        for (name, value) in self.fields.iter() {
            all.push(name, value.clone());
        }
        if let Some(msg_id) = self.msg_id {
            all.push("MsgId", msg_id);
        }
        all
    }

    /// The readable body.
    pub fn body(&self, format: Format) -> Vec<u8> {
        match (&self.body, format) {
            (Some(body), _) => body.clone(),
            (None, Format::Xml) => self.fields().to_xml().into_bytes(),
            (None, Format::Json) => self.fields().to_json().into_bytes(),
        }
    }
}

/// A QR code's ticket in its real shape.
fn ticket() -> String {
    format!("gQ{}", ids::alphanumeric(94))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_of_digits_is_a_number_unless_it_would_not_read_back() {
        assert_eq!(Scene::parse("123456"), Scene::Number(123_456));
        for text in ["0", "007", "4294967296", "+5", "table-7"] {
            assert_eq!(Scene::parse(text), Scene::Text(text.to_owned()));
        }
    }

    #[test]
    fn the_body_starts_with_the_common_fields_and_ends_with_the_msg_id() {
        let account = Account::random("a");
        let push = Push::text(&account, "oUser", "你好 😀")
            .at(1_714_113_001)
            .with_msg_id(Some(24_000_000_000_000_001));
        assert_eq!(
            String::from_utf8(push.body(Format::Xml)).unwrap(),
            format!(
                "<xml><ToUserName><![CDATA[{}]]></ToUserName><FromUserName><![CDATA[oUser]]></FromUserName>\
                 <CreateTime>1714113001</CreateTime><MsgType><![CDATA[text]]></MsgType>\
                 <Content><![CDATA[你好 😀]]></Content><MsgId>24000000000000001</MsgId></xml>",
                account.original_id
            )
        );
        assert_eq!(
            String::from_utf8(push.body(Format::Json)).unwrap(),
            format!(
                "{{\"ToUserName\":\"{}\",\"FromUserName\":\"oUser\",\"CreateTime\":1714113001,\
                 \"MsgType\":\"text\",\"Content\":\"你好 😀\",\"MsgId\":24000000000000001}}",
                account.original_id
            )
        );
    }
}
