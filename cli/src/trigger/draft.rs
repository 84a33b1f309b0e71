//! From the command line to a push.

use anyhow::{Context, bail};
use weir_protocol::kinds::Carrier;
use weir_sim::wechat::ids;
use weir_sim::{Fields, Push};

use super::args::TriggerArgs;
use crate::account::Known;
use crate::push::{self, Kind, sample};

/// A push, ready to be signed.
pub(super) struct Draft {
    pub(super) kind: Kind,
    pub(super) push: Push,
    /// What the operator may not have meant.
    pub(super) notes: Vec<String>,
}

pub(super) fn make(args: &TriggerArgs, known: &Known) -> anyhow::Result<Draft> {
    let openid = args.openid.clone().unwrap_or_else(ids::openid);
    if let Some(path) = &args.raw {
        let body = std::fs::read(path).with_context(|| format!("body file {}", path.display()))?;
        return Ok(raw(known, openid, body));
    }
    let mut kind = Kind::named(args.kind.as_deref().unwrap_or_default());
    let mut fields = sample::push(&kind, &known.account, &openid);
    say(args, &kind, &mut fields)?;
    for (name, value) in &args.set {
        fields.set_at(name, value.clone())?;
    }
    for name in &args.without {
        if !fields.remove(name) {
            bail!(
                "--without {name}: there is no such field in a {}",
                kind.name
            );
        }
    }
    // What was set may have made another kind of it.
    kind = Kind::of(&fields);
    let mut notes = Vec::new();
    if kind.known.is_none() {
        notes.push(format!(
            "{} is no kind that Weir knows; it is sent with the fields given",
            kind.name
        ));
    }
    if kind.carrier == Carrier::Component {
        notes.push(
            "this goes to a third-party platform, whose appid and keys the account must have"
                .to_owned(),
        );
    }
    Ok(Draft {
        push: push::build(&known.account, &fields),
        kind,
        notes,
    })
}

/// Puts VALUE and --scene where they belong.
fn say(args: &TriggerArgs, kind: &Kind, fields: &mut Fields) -> anyhow::Result<()> {
    let by_qr_code = matches!(kind.name.as_str(), "subscribe" | "SCAN");
    let scene = match (&args.scene, &args.value) {
        (Some(scene), _) if by_qr_code => Some(scene),
        (Some(_), _) => bail!("--scene goes with subscribe and SCAN"),
        (None, value) => value.as_ref().filter(|_| by_qr_code),
    };
    if let Some(scene) = scene {
        let prefix = if kind.name == "subscribe" {
            "qrscene_"
        } else {
            ""
        };
        fields.set_at("EventKey", format!("{prefix}{scene}"))?;
        fields.set_at("Ticket", sample::ticket())?;
        return Ok(());
    }
    let Some(value) = &args.value else {
        return Ok(());
    };
    let field = ["Content", "EventKey"]
        .into_iter()
        .find(|name| fields.get(name).is_some());
    match field {
        Some(field) => Ok(fields.set_at(field, value.as_str())?),
        None => bail!(
            "a {} has no text or key; name the field with --set",
            kind.name
        ),
    }
}

/// A body as it is. It says itself who its parties are, if it can be read.
fn raw(known: &Known, openid: String, body: Vec<u8>) -> Draft {
    let read = match body.trim_ascii_start().first() {
        Some(b'{') => Fields::from_json(&body).ok(),
        _ => Fields::from_xml(&body).ok(),
    };
    let mut notes = Vec::new();
    let fields = read.unwrap_or_else(|| {
        notes.push("the body cannot be read; it is sent all the same".to_owned());
        Fields::new()
            .with("ToUserName", known.account.original_id.as_str())
            .with("FromUserName", openid)
            .with("MsgType", "raw")
    });
    Draft {
        kind: Kind::of(&fields),
        push: push::with_body(&known.account, &fields, body),
        notes,
    }
}
