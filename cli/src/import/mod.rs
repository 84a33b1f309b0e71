//! `weir import`: what an account answered by WeChat's console, as rules.
//!
//! Server mode (a push URL) switches the console's menu and its automatic replies off. WeChat's API still tells what
//! they were; this makes rules of it that answer the same. What cannot be said in rules is left out by name.
//!
//! Sources: the official pages on `get_current_autoreply_info` and `get_current_selfmenu_info`.

mod api;
mod args;
mod autoreply;
mod menu;
mod reply;
mod rule;
mod write;

use serde_json::Value as Json;

pub use args::ImportArgs;
use args::{From, What};

use crate::Outcome;
use crate::source::Source;
use rule::{Imported, Notes};

/// Runs the command.
///
/// # Errors
/// There is no answer of WeChat's: the file or the API gives something else.
pub async fn run(args: &ImportArgs) -> anyhow::Result<Outcome> {
    let (what, from) = args.parts();
    let answer = read(from, what).await?;
    let mut notes = Notes::default();
    let imported = match what {
        What::Autoreply => Imported {
            rules: autoreply::rules(&answer, &mut notes)?,
            menu: None,
        },
        What::Menu => menu::import(&answer, &mut notes)?,
    };
    write::print(&imported, &notes, from)?;
    for note in notes.all() {
        eprintln!("warning: {note}");
    }
    Ok(Outcome::good_if(!from.strict || notes.is_empty()))
}

/// WeChat's answer, from where it is.
async fn read(from: &From, what: What) -> anyhow::Result<Json> {
    let (name, text) = match (&from.file, &from.api) {
        (Some(path), _) => {
            let source = Source::read(path)?;
            (source.name().to_owned(), source.text().to_owned())
        }
        (None, Some(base)) => (base.clone(), api::get(from, base, what.path()).await?),
        (None, None) => anyhow::bail!("a file or --api is needed"),
    };
    let answer: Json = serde_json::from_str(&text)
        .map_err(|error| anyhow::anyhow!("{name}: not an answer of WeChat's API: {error}"))?;
    match answer.get("errcode").and_then(Json::as_i64) {
        None | Some(0) => Ok(answer),
        Some(code) => {
            let message = answer.get("errmsg").and_then(Json::as_str);
            anyhow::bail!(
                "{name}: WeChat refuses: {code} {}",
                crate::term::harmless(message.unwrap_or_default())
            )
        }
    }
}
