//! Weir's configuration in whatever file it is in, for commands that only want to read it.

use anyhow::{Context, anyhow, bail};
use serde_json::Value as Json;

use crate::source::Source;
use crate::validate::{document, envoy};

/// The accounts of a file: Weir's configuration as JSON or YAML, or an Envoy configuration with Weir in it. They are
/// not checked: `weir validate` does that.
///
/// # Errors
/// The file cannot be understood, or holds no configuration.
pub fn accounts(source: &Source) -> anyhow::Result<Vec<Json>> {
    let documents = document::parse(source).map_err(|finding| {
        let (line, column) = source.position(finding.span.start);
        anyhow!("{}:{line}:{column}: {}", source.name(), finding.message)
    })?;
    let mut configurations = Vec::new();
    for root in &documents {
        if !envoy::is_envoy(root) {
            configurations.push(root.to_json());
            continue;
        }
        let filters: Vec<_> = envoy::filters(root).collect();
        for filter in &filters {
            if filters.len() > 1 && !envoy::is_weir(filter) {
                continue;
            }
            let text = envoy::configuration(filter).and_then(|node| node.text());
            let text = text.with_context(|| {
                format!(
                    "{}: the wasm filter's configuration is not a StringValue",
                    source.name()
                )
            })?;
            let read = serde_json::from_str(text)
                .with_context(|| format!("{}: the wasm filter's configuration", source.name()))?;
            configurations.push(read);
        }
    }
    let lists: Vec<&Vec<Json>> = configurations
        .iter()
        // The accounts of the API door and of logins get no pushes: those configurations have clients, or sessions.
        .filter(|configuration| {
            ["clients", "sessions"]
                .iter()
                .all(|field| configuration.get(field).is_none())
        })
        .filter_map(|configuration| configuration.get("accounts")?.as_array())
        .collect();
    if lists.is_empty() {
        bail!("{} holds no configuration of Weir", source.name());
    }
    Ok(lists.into_iter().flatten().cloned().collect())
}
