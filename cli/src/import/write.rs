//! Prints what was imported.

use std::io::Write as _;

use serde_json::{Value as Json, json};

use super::args::{From, Part, WriteFormat};
use super::rule::{Imported, Notes, Rule};
use crate::term::{harmless, outln};

pub(super) fn print(imported: &Imported, notes: &Notes, args: &From) -> anyhow::Result<()> {
    let menu = imported.menu.clone().unwrap_or(Json::Null);
    match (args.format, args.print) {
        (WriteFormat::Json, Some(Part::Rules)) => {
            outln!("{}", serde_json::to_string_pretty(&imported.rules)?)?;
        }
        (WriteFormat::Json, None) => {
            let mut whole = json!({"rules": imported.rules, "notes": notes.all()});
            if let Some(menu) = &imported.menu {
                whole["menu"] = menu.clone();
            }
            outln!("{}", serde_json::to_string_pretty(&whole)?)?;
        }
        // WeChat takes it as JSON alone.
        (_, Some(Part::Menu)) => outln!("{}", serde_json::to_string_pretty(&menu)?)?,
        (WriteFormat::Yaml, Some(Part::Rules)) => {
            write!(
                std::io::stdout(),
                "{}",
                yaml_rules(&imported.rules, notes, "")?
            )?;
        }
        (WriteFormat::Yaml, None) => {
            let rules = yaml_rules(&imported.rules, notes, "  ")?;
            let empty = if imported.rules.is_empty() { " []" } else { "" };
            outln!("rules:{empty}")?;
            write!(std::io::stdout(), "{rules}")?;
            if let Some(menu) = &imported.menu {
                outln!("# for /cgi-bin/menu/create\nmenu:")?;
                write!(
                    std::io::stdout(),
                    "{}",
                    indented(&serde_yaml_ng::to_string(menu)?, "  ")
                )?;
            }
        }
    }
    Ok(())
}

/// A list of rules, with what there is to say about each above it.
fn yaml_rules(rules: &[Rule], notes: &Notes, indent: &str) -> anyhow::Result<String> {
    let mut out = String::new();
    let comment = |out: &mut String, note: &str| {
        for line in harmless(note).lines() {
            out.push_str(&format!("{indent}# {line}\n"));
        }
    };
    for rule in rules {
        rule.notes.iter().for_each(|note| comment(&mut out, note));
        let item = serde_yaml_ng::to_string(&[rule])?;
        out.push_str(&indented(&item, indent));
    }
    notes
        .loose()
        .iter()
        .for_each(|note| comment(&mut out, note));
    if rules.is_empty() && indent.is_empty() {
        out.push_str("[]\n");
    }
    Ok(out)
}

fn indented(text: &str, by: &str) -> String {
    text.lines().map(|line| format!("{by}{line}\n")).collect()
}
