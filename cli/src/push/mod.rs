//! Pushes by the table of kinds: what WeChat would send for a name and a few values.
//!
//! People and stores write a push as [typed JSON](weir_protocol::kinds) does: lists are lists, and numbers may be texts. [`wire`] gives the fields
//! the shape WeChat sends them in, which for XML means elements around lists. [`sample`] makes up what nobody said.

pub mod kind;
pub mod sample;
pub mod wire;

use weir_protocol::kinds::Carrier;
use weir_sim::wechat::Format;
use weir_sim::{Account, Fields, Push};

pub use kind::Kind;

/// The readable body of `fields` in the account's format, ready to be signed.
///
/// Who the parties are is read off the fields, as WeChat would.
#[must_use]
pub fn build(account: &Account, fields: &Fields) -> Push {
    let kind = Kind::of(fields);
    let wired = wire::wire(fields, &kind, account.format);
    let body = match account.format {
        Format::Xml => wired.to_xml(),
        Format::Json => wired.to_json(),
    };
    with_body(account, fields, body.into_bytes())
}

/// A push with this body, which is sent as it is. `fields` say who its parties are.
#[must_use]
pub fn with_body(account: &Account, fields: &Fields, body: Vec<u8>) -> Push {
    let text = |name: &str| fields.text(name).unwrap_or_default();
    let openid = text("FromUserName");
    let push = match Kind::of(fields).carrier {
        Carrier::Message => Push::message(account, openid, text("MsgType")),
        Carrier::Event => Push::event(account, openid, text("Event")),
        Carrier::Component => Push::event(account, openid, text("InfoType")),
    };
    let create_time = text("CreateTime").parse();
    push.addressed_to(fields.text("ToUserName").unwrap_or(&account.original_id))
        .at(create_time.unwrap_or_default())
        .with_msg_id(None)
        .with_body(body)
}
