//! One JSON Schema per `type` of event: the CloudEvent, and in it what WeChat sent.

use serde_json::{Value, json};
use weir_protocol::kinds::{Carrier, schema};

use super::cards::{CARD, card_snapshot};
use super::{CARRIERS, kinds, prefix, type_of};
use crate::{
    ASK_UID, ASK_USER, TYPE_CARD_SNAPSHOT, TYPE_REPLY_GIVEN, TYPE_REPLY_LATE, TYPE_REPLY_SENT,
    TYPE_REPLY_UNDELIVERABLE, TYPE_SEND_RESULT, TYPE_SESSION_STARTED, TYPE_USER_BLACKLIST,
    TYPE_USER_PHONE, TYPE_USER_SNAPSHOT,
};

/// The schema of one `type` of event.
#[derive(Debug, Clone, PartialEq)]
pub struct EventSchema {
    /// The `type`; ends in `*` where it stands for every type that has no schema of its own.
    pub kind: String,
    /// JSON Schema 2020-12, complete in itself.
    pub schema: Value,
}

/// All events there are, in the order of the reference.
#[must_use]
pub fn schemas() -> Vec<EventSchema> {
    let pushes = kinds().map(|(area, kind)| {
        let name = type_of(area.carrier(), kind);
        let push = schema::push(area.carrier(), Some(kind));
        let schema = event(&name, kind.doc, &json!({"const": name}), &push_data(&push));
        EventSchema { kind: name, schema }
    });
    let others = CARRIERS.into_iter().map(|carrier| {
        let name = format!("{}*", prefix(carrier));
        let pattern = format!("^{}[a-z0-9_.-]+$", prefix(carrier).replace('.', r"\."));
        let push = schema::push(carrier, None);
        let schema = event(
            &name,
            other(carrier),
            &json!({"type": "string", "pattern": pattern}),
            &push_data(&push),
        );
        EventSchema { kind: name, schema }
    });
    let snapshot = EventSchema {
        kind: TYPE_USER_SNAPSHOT.to_owned(),
        schema: event(
            TYPE_USER_SNAPSHOT,
            SNAPSHOT,
            &json!({"const": TYPE_USER_SNAPSHOT}),
            &snapshot_data(),
        ),
    };
    let card = EventSchema {
        kind: TYPE_CARD_SNAPSHOT.to_owned(),
        schema: event(
            TYPE_CARD_SNAPSHOT,
            CARD,
            &json!({"const": TYPE_CARD_SNAPSHOT}),
            &card_snapshot(),
        ),
    };
    let session = EventSchema {
        kind: TYPE_SESSION_STARTED.to_owned(),
        schema: event(
            TYPE_SESSION_STARTED,
            SESSION,
            &json!({"const": TYPE_SESSION_STARTED}),
            &session_started(),
        ),
    };
    let blacklist = EventSchema {
        kind: TYPE_USER_BLACKLIST.to_owned(),
        schema: event(
            TYPE_USER_BLACKLIST,
            BLACKLIST,
            &json!({"const": TYPE_USER_BLACKLIST}),
            &user_blacklist(),
        ),
    };
    let phone = EventSchema {
        kind: TYPE_USER_PHONE.to_owned(),
        schema: event(
            TYPE_USER_PHONE,
            PHONE,
            &json!({"const": TYPE_USER_PHONE}),
            &user_phone(),
        ),
    };
    let replies = replies().into_iter().map(|(kind, doc, data)| EventSchema {
        kind: kind.to_owned(),
        schema: event(kind, doc, &json!({"const": kind}), &data),
    });
    let send = EventSchema {
        kind: TYPE_SEND_RESULT.to_owned(),
        schema: event(
            TYPE_SEND_RESULT,
            SEND,
            &json!({"const": TYPE_SEND_RESULT}),
            &send_result(),
        ),
    };
    pushes
        .chain(others)
        .chain([snapshot, blacklist, card, session, phone])
        .chain(replies)
        .chain([send])
        .collect()
}

/// The events about an application's replies: type, what it is, schema of `data`.
pub(super) fn replies() -> [(&'static str, &'static str, Value); 4] {
    [
        (
            TYPE_REPLY_GIVEN,
            "What an application answered to a push that was forwarded to it.",
            reply_given(),
        ),
        (
            TYPE_REPLY_LATE,
            "An application's reply came after WeChat's last attempt; it is to go out as a send.",
            object(&about_push()),
        ),
        (
            TYPE_REPLY_SENT,
            "A late reply went out as a customer-service message.",
            object(&about_push()),
        ),
        (
            TYPE_REPLY_UNDELIVERABLE,
            "A late reply that will not reach the user.",
            undeliverable(),
        ),
    ]
}

fn about_push() -> Vec<(&'static str, Value, &'static str)> {
    let mut fields = origin();
    fields.push((
        "push",
        json!({"type": "string"}),
        "The `id` of the push's event.",
    ));
    fields
}

fn reply_given() -> Value {
    let mut fields = about_push();
    fields.push((
        "app",
        json!({"type": "string"}),
        "The application's name in the configuration.",
    ));
    fields.push((
        "create_time",
        json!({"type": "integer", "minimum": 0}),
        "`CreateTime` of the reply, Unix seconds.",
    ));
    fields.push((
        "reply",
        json!({"type": ["object", "null"]}),
        "The reply as rules write it; `null` for none.",
    ));
    let mut schema = object(&fields);
    schema["properties"]["failed"] = json!({
        "enum": ["timeout", "status", "reset", "malformed", "refused"],
        "description": "Why the application gave no reply, where it did not.",
    });
    schema
}

fn undeliverable() -> Value {
    let mut fields = about_push();
    fields.push((
        "reason",
        json!({"enum": ["not_allowed", "kind", "refused", "unknown"]}),
        "The account sends nothing; there is no send of this kind; WeChat refused; the call broke off and it may have been sent.",
    ));
    let mut schema = object(&fields);
    schema["properties"]["errcode"] = json!({
        "type": "integer",
        "description": "WeChat's `errcode`, where it refused.",
    });
    schema
}

pub(super) const SEND: &str = "What became of an active message that an application sent through the gateway, without its content. \
     `subject` is the recipient, `id` is random.";

/// Schema of `data` in [`TYPE_SEND_RESULT`].
pub(super) fn send_result() -> Value {
    let text = || json!({"type": "string", "minLength": 1});
    let mut fields = origin();
    fields.extend([
        (
            "client",
            text(),
            "Who sent it: the client's name in the configuration.",
        ),
        (
            "api",
            json!({"enum": ["template", "subscribe", "bizsend", "custom"]}),
            "`/cgi-bin/message/template/send`, `…/subscribe/send`, `…/subscribe/bizsend` or `…/custom/send`.",
        ),
        (
            "digest",
            json!({"type": "string", "pattern": "^[0-9a-f]{40}$"}),
            "SHA-1 of the request's body.",
        ),
        (
            "outcome",
            json!({"enum": ["sent", "refused", "unknown"]}),
            "WeChat took it; it refused; the call broke off and it may have been sent.",
        ),
        (
            "sent_at_ms",
            json!({"type": "integer", "minimum": 0}),
            "When WeChat answered, or the call broke off, in Unix milliseconds.",
        ),
    ]);
    let mut schema = object(&fields);
    for (name, shape, doc) in [
        (
            "errcode",
            json!({"type": "integer"}),
            "WeChat's; 0 where it took the message. Absent where there was no answer.",
        ),
        ("template_id", text(), "The template, where there is one."),
        (
            "msgtype",
            text(),
            "Of customer-service messages: `text`, `image` and so on.",
        ),
        (
            "client_msg_id",
            text(),
            "The application's own name for the message, where it gave one.",
        ),
        (
            "msgid",
            json!({"type": "string", "pattern": "^[0-9]+$"}),
            "WeChat's id of the message, where it answered one. Pushes name it later: `templatesendjobfinish`, `subscribe_msg_sent_event`.",
        ),
    ] {
        schema["properties"][name] = shape;
        schema["properties"][name]["description"] = json!(doc);
    }
    schema
}

pub(super) const SESSION: &str = "Somebody logged in, to a Mini Program or a page, or WeChat told more of who they are. `subject` is the openid.";

/// Schema of `data` in [`TYPE_SESSION_STARTED`].
pub(super) fn session_started() -> Value {
    let mut fields = origin();
    fields.extend([
        (
            "by",
            json!({"enum": ["mini_program", "web", "open_data"]}),
            "The code of `wx.login`; a page of the web; a Mini Program's open data about somebody who is here already.",
        ),
        (
            "started_at_ms",
            json!({"type": "integer", "minimum": 0}),
            "When WeChat answered, in Unix milliseconds.",
        ),
    ]);
    let mut schema = object(&fields);
    for (name, doc) in [
        (
            "unionid",
            "Who they are across the accounts of one Open Platform account, where WeChat told.",
        ),
        ("nickname", "Their nickname, where a page asked for it."),
        ("headimgurl", "Their picture, likewise."),
    ] {
        schema["properties"][name] = json!({"type": "string", "description": doc});
    }
    schema
}

pub(super) const BLACKLIST: &str = "Whether the account's blacklist has a user, as WeChat said in a sync: told when it is not what the store knew. \
     `subject` is the openid.";

/// Schema of `data` in [`TYPE_USER_BLACKLIST`].
pub(super) fn user_blacklist() -> Value {
    let mut fields = origin();
    fields.extend([
        (
            "blacklisted",
            json!({"type": "boolean"}),
            "Whether they are on it.",
        ),
        (
            "told_at_ms",
            json!({"type": "integer", "minimum": 0}),
            "When WeChat was asked, in Unix milliseconds.",
        ),
    ]);
    object(&fields)
}

pub(super) const PHONE: &str =
    "A phone number that a user of a Mini Program gave. `subject` is the openid.";

/// Schema of `data` in [`TYPE_USER_PHONE`].
pub(super) fn user_phone() -> Value {
    let mut fields = origin();
    fields.extend([
        (
            "phone_number",
            json!({"type": "string", "minLength": 1}),
            "As WeChat tells it: of other countries with `+` and the country's code before it.",
        ),
        (
            "pure_phone_number",
            json!({"type": "string"}),
            "Without the country's code.",
        ),
        (
            "country_code",
            json!({"type": "string"}),
            "The country's code, `86` for China.",
        ),
        (
            "learned_at_ms",
            json!({"type": "integer", "minimum": 0}),
            "When WeChat told it, in Unix milliseconds.",
        ),
    ]);
    object(&fields)
}

pub(super) const SNAPSHOT: &str =
    "Who a follower is, as WeChat's API answered: after a follow, and when it was asked for.";

/// What an event of an unknown kind is.
pub(super) fn other(carrier: Carrier) -> &'static str {
    match carrier {
        Carrier::Message => {
            "A message of a kind that is not known. Its other fields are as WeChat sent them."
        }
        Carrier::Event => {
            "An event of a kind that is not known. Its other fields are as WeChat sent them."
        }
        Carrier::Component => {
            "A notice of a kind that is not known. Its other fields are as WeChat sent them."
        }
    }
}

/// Attributes of a CloudEvent: name, schema, what it is.
pub(super) fn attributes() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("specversion", json!({"const": "1.0"}), "`1.0`."),
        (
            "id",
            json!({"type": "string", "minLength": 1, "maxLength": 128}),
            "The same for the same push, on whatever node and at whatever attempt. With `source` the event's name for good.",
        ),
        (
            "source",
            json!({"type": "string", "pattern": "^/accounts/[a-z0-9_-]{1,32}$"}),
            "`/accounts/` and the account's name in the configuration.",
        ),
        ("type", json!(true), "Below."),
        (
            "time",
            json!({"type": "string", "format": "date-time"}),
            "When it happened: WeChat's `CreateTime`; of a snapshot when WeChat answered.",
        ),
        (
            "subject",
            json!({"type": "string", "minLength": 1}),
            "The user's openid, where there is one.",
        ),
        (
            "datacontenttype",
            json!({"const": "application/json"}),
            "`application/json`.",
        ),
        (
            "weirask",
            json!({"enum": [ASK_USER, ASK_UID]}),
            "An extension: `user` asks the store what it knows of the user, for a rule that depends on it, `uid` which person it is, at a login. Absent mostly.",
        ),
        (
            "weirclaim",
            json!({"type": "string", "minLength": 1, "maxLength": 64}),
            "An extension: a random name of somebody who would do the work behind the event. The store gives it to one. Absent mostly.",
        ),
        (
            "weirleasems",
            json!({"type": "integer", "minimum": 1}),
            "An extension, with `weirclaim`: milliseconds after which another may have the work if it is not done.",
        ),
        ("data", json!(true), "Below."),
    ]
}

/// Fields of `data` in every event: name, schema, what it is.
pub(super) fn origin() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        (
            "account",
            json!({"type": "string", "pattern": "^[a-z0-9_-]{1,32}$"}),
            "The account's name in the configuration.",
        ),
        ("appid", json!({"type": "string"}), "The account's appid."),
    ]
}

pub(super) const RECEIVED: &str = "When the gateway had the push complete, in Unix milliseconds.";

fn event(name: &str, doc: &str, kind: &Value, data: &Value) -> Value {
    let mut schema = object(&attributes());
    let required = schema["required"].as_array_mut();
    required.expect("`object` makes it a list").retain(|name| {
        !["subject", "weirask", "weirclaim", "weirleasems"]
            .iter()
            .any(|optional| name == optional)
    });
    schema["properties"]["type"] = kind.clone();
    schema["properties"]["data"] = data.clone();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "description": doc,
        "type": "object",
        "properties": schema["properties"],
        "required": schema["required"],
        "$defs": schema::definitions(),
    })
}

fn push_data(push: &Value) -> Value {
    let mut fields = origin();
    fields.push((
        "received_at_ms",
        json!({"type": "integer", "minimum": 0}),
        RECEIVED,
    ));
    fields.push(("push", push.clone(), "What WeChat sent."));
    object(&fields)
}

/// Fields of a user, as `/cgi-bin/user/info` returns them: name, schema, what it is.
pub(super) fn user() -> Vec<(&'static str, Value, &'static str)> {
    let text = || json!({"type": "string"});
    let integer = || json!({"type": "integer"});
    let gone = "WeChat left it out or empty from 2021-12-27 on.";
    vec![
        ("openid", text(), "The user."),
        (
            "subscribe",
            integer(),
            "1: follows; 0: does not, and then nearly nothing else is there.",
        ),
        (
            "subscribe_time",
            integer(),
            "When they last followed, in Unix seconds.",
        ),
        (
            "subscribe_scene",
            text(),
            "How they found the account: `ADD_SCENE_QR_CODE` and others.",
        ),
        (
            "qr_scene",
            integer(),
            "The scene of the QR code, when it is a number.",
        ),
        (
            "qr_scene_str",
            text(),
            "The scene of the QR code, when it is a text.",
        ),
        (
            "unionid",
            text(),
            "The user across the accounts of one Open Platform account.",
        ),
        ("language", text(), "`zh_CN`, `en` and so on."),
        ("remark", text(), "The operators' name for them."),
        (
            "tagid_list",
            json!({"type": "array", "items": {"type": "integer"}}),
            "Their tags.",
        ),
        (
            "groupid",
            integer(),
            "Their group, from before there were tags.",
        ),
        ("nickname", text(), gone),
        ("sex", integer(), gone),
        ("city", text(), gone),
        ("province", text(), gone),
        ("country", text(), gone),
        ("headimgurl", text(), gone),
    ]
}

fn snapshot_data() -> Value {
    let mut user = object(&user());
    user["required"] = json!(["openid"]);
    let mut fields = origin();
    fields.push((
        "user",
        user,
        "The object that `/cgi-bin/user/info` or `batchget` returned, unchanged.",
    ));
    object(&fields)
}

/// An object that has all of these fields.
pub(super) fn object(fields: &[(&str, Value, &str)]) -> Value {
    let mut properties = serde_json::Map::new();
    for (name, schema, doc) in fields {
        let mut schema = schema.clone();
        if let Some(schema) = schema.as_object_mut() {
            schema.entry("description").or_insert_with(|| json!(doc));
        }
        properties.insert((*name).to_owned(), schema);
    }
    let required: Vec<_> = fields.iter().map(|(name, _, _)| *name).collect();
    json!({"type": "object", "properties": properties, "required": required})
}
