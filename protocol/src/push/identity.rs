//! What tells one push from every other, so that the copies WeChat sends when it gets no answer are recognised.
//!
//! WeChat advises `MsgId` for messages, and sender and `CreateTime` for events. But `CreateTime` counts seconds, and
//! one user can cause two events in one (`user_get_card` and `user_view_card` do), so more is looked at.
//!
//! Source: official page on receiving messages and events.

use sha1::{Digest, Sha1};

use super::Push;
use crate::fields::Value;

impl Push<'_> {
    /// Appends what tells this push from every other one of the same account, and is the same for all its copies.
    ///
    /// | push | parts |
    /// |---|---|
    /// | message with a `MsgId` | that |
    /// | event | To, From, `CreateTime`, `Event`, `EventKey`, and [what tells twins apart](TWINS) |
    /// | notice to a platform | `AppId`, `CreateTime`, `InfoType`, `AuthorizerAppid` |
    ///
    /// Where that is not enough (a message without `MsgId`, an event or notice whose fields are not known here) the
    /// SHA-1 of the body is added. Every part has its length before it, so no two lists of parts look the same.
    pub fn write_identity(&self, out: &mut Vec<u8>) {
        let mut parts = Parts(out);
        if self.is_component() {
            parts.tag(b'c');
            parts.text(self.text(self.at.app_id));
            parts.number(self.create_time);
            parts.text(self.text(self.at.info_type));
            parts.text(self.fields.text("AuthorizerAppid").unwrap_or_default());
            let info_type = self.info_type().unwrap_or_default();
            if !SELF_EVIDENT_NOTICES.contains(&info_type) {
                parts.hash(self.body);
            }
            return;
        }
        if let (None, Some(msg_id)) = (self.event(), self.msg_id()) {
            parts.tag(b'm');
            parts.text(msg_id);
            return;
        }
        let Some(event) = self.event() else {
            parts.tag(b'x');
            self.origin(&mut parts);
            parts.text(self.msg_type());
            parts.hash(self.body);
            return;
        };
        parts.tag(b'e');
        self.origin(&mut parts);
        parts.text(event);
        parts.text(self.event_key().unwrap_or_default());
        parts.text(self.msg_id().unwrap_or_default());
        for name in TWINS {
            parts.text(self.fields.text(name).unwrap_or_default());
        }
        self.templates(&mut parts);
        if !SELF_EVIDENT
            .iter()
            .any(|known| event.eq_ignore_ascii_case(known))
        {
            parts.hash(self.body);
        }
    }

    /// Between whom, and when.
    fn origin(&self, parts: &mut Parts<'_>) {
        parts.text(self.to_user_name());
        parts.text(self.from_user_name());
        parts.number(self.create_time);
    }

    /// The templates of a subscription event: in JSON the list is not wrapped.
    fn templates(&self, parts: &mut Parts<'_>) {
        const WRAPPERS: [&str; 3] = [
            "SubscribeMsgPopupEvent",
            "SubscribeMsgChangeEvent",
            "SubscribeMsgSentEvent",
        ];
        let wrapped = WRAPPERS
            .iter()
            .find_map(|name| match self.fields.get(name) {
                Some(Value::Object(fields)) => Some(fields),
                _ => None,
            });
        for item in wrapped.unwrap_or(&self.fields).list("List") {
            parts.tag(b't');
            parts.text(
                item.get("TemplateId")
                    .and_then(Value::text)
                    .unwrap_or_default(),
            );
            parts.text(item.get("MsgID").and_then(Value::text).unwrap_or_default());
        }
    }
}

/// Fields that tell two events apart which one user causes in one second. `AgentID` is WeCom's: one user follows two
/// applications.
pub const TWINS: [&str; 10] = [
    "MsgID",
    "CardId",
    "UserCardCode",
    "OrderId",
    "TransId",
    "MenuId",
    "OpenID",
    "RevokeInfo",
    "trace_id",
    "AgentID",
];

/// Notices that their account identifies.
const SELF_EVIDENT_NOTICES: [&str; 4] = [
    "component_verify_ticket",
    "authorized",
    "updateauthorized",
    "unauthorized",
];

/// Events that their key and [`TWINS`] identify.
const SELF_EVIDENT: [&str; 32] = [
    "subscribe",
    "unsubscribe",
    "SCAN",
    "LOCATION",
    "CLICK",
    "VIEW",
    "view_miniprogram",
    "user_enter_tempsession",
    "TEMPLATESENDJOBFINISH",
    "MASSSENDJOBFINISH",
    "subscribe_msg_popup_event",
    "subscribe_msg_change_event",
    "subscribe_msg_sent_event",
    "kf_create_session",
    "kf_close_session",
    "kf_switch_session",
    "user_info_modified",
    "user_authorization_revoke",
    "user_authorization_cancellation",
    "wxa_media_check",
    "card_pass_check",
    "card_not_pass_check",
    "user_get_card",
    "user_gifting_card",
    "user_del_card",
    "user_consume_card",
    "user_pay_from_pay_cell",
    "user_view_card",
    "user_enter_session_from_card",
    "card_sku_remind",
    "card_pay_order",
    "submit_membercard_user_info",
];

/// Writes parts so that they cannot run into each other.
struct Parts<'o>(&'o mut Vec<u8>);

impl Parts<'_> {
    fn tag(&mut self, tag: u8) {
        self.0.push(tag);
    }

    fn text(&mut self, text: &str) {
        // No body has 4 GiB.
        self.0.extend_from_slice(&(text.len() as u32).to_be_bytes());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn hash(&mut self, body: &[u8]) {
        self.tag(b'#');
        self.0.extend_from_slice(&Sha1::digest(body));
    }
}
