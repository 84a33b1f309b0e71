//! The reference of events, `docs/events.md`.

use std::fmt::{self, Write};

use serde_json::Value;
use weir_protocol::kinds::{Area, Carrier, Field, Items, Shape};

use super::cards::{CARD, card, card_snapshot};
use super::schema::{
    BLACKLIST, PHONE, RECEIVED, SEND, SESSION, SNAPSHOT, attributes, origin, other, replies,
    send_result, session_started, user, user_blacklist, user_phone,
};
use super::{CARRIERS, prefix, type_of};
use crate::{
    TYPE_CARD_SNAPSHOT, TYPE_SEND_RESULT, TYPE_SESSION_STARTED, TYPE_USER_BLACKLIST,
    TYPE_USER_PHONE, TYPE_USER_SNAPSHOT,
};

/// The page, in Markdown.
#[must_use]
pub fn page() -> String {
    let mut page = String::new();
    write(&mut page).expect("a String takes everything");
    page
}

const HEAD: &str = "\
# Events

Everything Weir learns is a [CloudEvent](https://cloudevents.io) 1.0 in JSON, sent to the store. This page describes each of them. It is made
from the same table as the events and their JSON Schemas (`weir schema events`): change `protocol/src/kinds/`, then run
`WEIR_REWRITE=1 cargo test -p weir-store-api`.
";

const SHAPES: &str = "\
## Shapes

WeChat writes one and the same push in many ways: as XML or JSON, numbers as texts or not, a list of one as a bare object, lists inside
wrappers or not. Here it has one shape. Names are WeChat's.

| shape | JSON | remarks |
|---|---|---|
| text | string | exactly as WeChat sent it |
| id | string | even if it has digits only, since many exceed 2^53; without blanks around it |
| integer | number | from -2^53 to 2^53 |
| seconds | number | Unix seconds |
| flag | number | 1: yes; 0: no |
| decimal | number | with the digits that WeChat sent |
| object | object | its fields are below it, with a `.` |
| list | array | its items' fields are below it, with `[].` |

A value that does not have its shape is kept as it came, plain ones as strings: an integer that WeChat left empty is `\"\"`. Fields that are not
listed are kept as they came, and so are pushes of kinds that are not listed: nothing WeChat sends is left out. *Always* says that WeChat's pages
have the field in every such push.
";

fn write(page: &mut String) -> fmt::Result {
    writeln!(page, "{HEAD}")?;
    writeln!(page, "## Every event\n\n| attribute | |\n|---|---|")?;
    for (name, _, doc) in attributes() {
        writeln!(page, "| `{name}` | {doc} |")?;
    }
    writeln!(page, "\n| field of `data` | |\n|---|---|")?;
    for (name, _, doc) in origin() {
        writeln!(page, "| `{name}` | {doc} |")?;
    }
    writeln!(page, "| `received_at_ms` | {RECEIVED} In pushes alone. |")?;
    writeln!(
        page,
        "| `push` | What WeChat sent: below. In pushes alone. |"
    )?;
    writeln!(page, "| `user` | In snapshots alone. |\n")?;
    writeln!(page, "{SHAPES}")?;
    for carrier in CARRIERS {
        common(page, carrier)?;
        for area in Area::ALL {
            if area.carrier() == carrier {
                self::area(page, area)?;
            }
        }
    }
    writeln!(
        page,
        "## Profiles\n\n### `{TYPE_USER_SNAPSHOT}`\n\n{SNAPSHOT} `data.user` is WeChat's object, unchanged:\n"
    )?;
    writeln!(page, "| field | |\n|---|---|")?;
    for (name, _, doc) in user() {
        writeln!(page, "| `{name}` | {doc} |")?;
    }
    own(page, TYPE_USER_BLACKLIST, BLACKLIST, &user_blacklist())?;
    writeln!(page, "\n## Member cards")?;
    own(page, TYPE_CARD_SNAPSHOT, CARD, &card_snapshot())?;
    writeln!(page, "\nOf `card` this is known:\n\n| field | |\n|---|---|")?;
    for (name, doc) in card() {
        writeln!(page, "| `{name}` | {doc} |")?;
    }
    writeln!(page, "\n## Logins")?;
    own(page, TYPE_SESSION_STARTED, SESSION, &session_started())?;
    own(page, TYPE_USER_PHONE, PHONE, &user_phone())?;
    writeln!(page, "\n## Replies of applications")?;
    for (kind, doc, data) in replies() {
        own(page, kind, doc, &data)?;
    }
    writeln!(page, "\n## Active messages")?;
    own(page, TYPE_SEND_RESULT, SEND, &send_result())
}

/// An event that is no push: the fields of its `data` beside those that all have.
fn own(page: &mut String, kind: &str, doc: &str, data: &Value) -> fmt::Result {
    writeln!(page, "\n### `{kind}`\n\n{doc}\n")?;
    writeln!(page, "| field | |\n|---|---|")?;
    let known: Vec<_> = origin().into_iter().map(|(name, _, _)| name).collect();
    for (name, field) in data["properties"].as_object().into_iter().flatten() {
        if !known.contains(&name.as_str()) {
            let doc = field["description"].as_str().unwrap_or_default();
            writeln!(page, "| `{name}` | {doc} |")?;
        }
    }
    Ok(())
}

/// What all pushes of a sort have.
fn common(page: &mut String, carrier: Carrier) -> fmt::Result {
    let (heading, whose) = match carrier {
        Carrier::Message => ("Messages: what all have", "message"),
        Carrier::Event => ("Events: what all have", "event"),
        Carrier::Component => ("Notices to third-party platforms: what all have", "notice"),
    };
    writeln!(
        page,
        "## {heading}\n\n`type` is `{}` and the kind in lower case. Each {whose} may have these fields beside its own.\n",
        prefix(carrier)
    )?;
    table(page, carrier.fields())?;
    writeln!(page, "### `{}*`\n\n{}\n", prefix(carrier), other(carrier))
}

fn area(page: &mut String, area: Area) -> fmt::Result {
    let heading = match area {
        Area::Messages => "Messages",
        Area::Events => "Events of Official Accounts",
        Area::Cards => "Events of cards and invoices",
        Area::MiniProgram => "Events of mini programs",
        Area::Component => "Notices to third-party platforms",
    };
    writeln!(page, "## {heading}\n")?;
    let field = match area.carrier() {
        Carrier::Message => "MsgType",
        Carrier::Event => "Event",
        Carrier::Component => "InfoType",
    };
    for kind in area.kinds() {
        let name = type_of(area.carrier(), kind);
        writeln!(
            page,
            "### `{name}`\n\n`{field}` `{}`. {}\n",
            kind.name, kind.doc
        )?;
        if !kind.fields.is_empty() {
            table(page, kind.fields)?;
        }
    }
    Ok(())
}

fn table(page: &mut String, fields: &[Field]) -> fmt::Result {
    writeln!(page, "| field | shape | always | |\n|---|---|---|---|")?;
    rows(page, "", fields)?;
    writeln!(page)
}

fn rows(page: &mut String, before: &str, fields: &[Field]) -> fmt::Result {
    for field in fields {
        let name = format!("{before}{}", field.name);
        let always = if field.required { "yes" } else { "" };
        let doc = field.doc.replace('|', "\\|");
        writeln!(
            page,
            "| `{name}` | {} | {always} | {doc}{} |",
            shape(&field.shape),
            around(field)
        )?;
        inner(page, &name, &field.shape)?;
    }
    Ok(())
}

fn inner(page: &mut String, name: &str, shape: &Shape) -> fmt::Result {
    match (shape, shape.item()) {
        (Shape::Object(fields), _) => rows(page, &format!("{name}."), fields),
        (_, Some(item)) => inner(page, &format!("{name}[]"), item),
        (_, None) => Ok(()),
    }
}

fn shape(shape: &Shape) -> String {
    let word = match shape {
        Shape::Text => "text",
        Shape::Id => "id",
        Shape::Integer => "integer",
        Shape::Decimal => "decimal",
        Shape::Flag => "flag",
        Shape::Seconds => "seconds",
        Shape::Object(_) => "object",
        Shape::List(_) | Shape::Items(_) | Shape::Lifted(_) => "list",
    };
    match shape.item() {
        Some(Shape::Object(_)) | None => word.to_owned(),
        Some(item) => format!("{word} of {}", self::shape(item)),
    }
}

/// What is taken off.
fn around(field: &Field) -> String {
    match &field.shape {
        Shape::Items(Items { wrapper, .. }) => {
            format!(" WeChat has each in an element `{wrapper}`.")
        }
        Shape::Lifted(Items { wrapper, .. }) => {
            format!(" WeChat has them in `{wrapper}`, except in JSON.")
        }
        _ => String::new(),
    }
}
