//! What kind of file it is, and where in it Weir's configuration stands.

use super::{envoy, plugin};
use crate::environment::Environment;
use crate::finding::Finding;
use crate::source::{Node, Source, json, yaml};

/// Finds and checks every configuration in a file: what each one holds, in words, and what is wrong.
pub(super) fn check(
    source: &Source,
    environment: &Environment,
    invent: bool,
) -> (Vec<String>, Vec<Finding>) {
    let documents = match parse(source) {
        Ok(documents) => documents,
        Err(finding) => return (Vec::new(), vec![finding]),
    };
    let (mut found, mut findings) = (Vec::new(), Vec::new());
    for root in &documents {
        if envoy::is_envoy(root) {
            envoy::check(source, root, environment, invent, &mut found, &mut findings);
        } else {
            let checked = plugin::check(
                &root.to_json(),
                root,
                &plugin::Variables::new(environment, invent, root),
            );
            found.push(checked.summary);
            findings.extend(checked.findings);
        }
    }
    if found.is_empty() && findings.is_empty() {
        findings.push(Finding::error(
            0..0,
            "",
            "there is no configuration of Weir in it",
        ));
    }
    (found, findings)
}

/// Reads a file as what it looks like: `{` is JSON unless the name says YAML and it is not JSON.
pub(crate) fn parse(source: &Source) -> Result<Vec<Node>, Finding> {
    let (name, text) = (source.name(), source.text());
    let named_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
    let starts_json = text.trim_start().starts_with(['{', '[']);
    if name.ends_with(".json") || starts_json {
        match json::parse(text) {
            Ok(root) => return Ok(vec![root]),
            Err(_) if named_yaml => {}
            Err(error) => {
                let span = error.offset..error.offset + 1;
                return Err(Finding::error(
                    span,
                    "",
                    format!("this is not JSON: {}", error.message),
                ));
            }
        }
    }
    yaml::parse(text).map_err(|error| {
        let span = error.offset..error.offset + 1;
        Finding::error(span, "", format!("this is not YAML: {}", error.message))
    })
}
