//! What an operator writes: the configuration as a JSON document, read and checked.
//!
//! [`parse`] either gives the ready configuration or every problem there is, each with its path. Secrets are in the
//! document only by the name of an environment variable; the value is looked up and kept in types that do not print it.
//!
//! | module | is |
//! |---|---|
//! | `shape`  | what a document may look like, as data, and the check against it |
//! | `shapes` | the tables: every field with its bounds and its default |
//! | `node`   | a value with its path, and the problems |
//! | `read`   | from the document to what it means |
//! | `rules`  | the same for the rules |
//! | `host`   | what of it a host may be unable to give |
//! | `door`   | the document of the API door: its tables, and what it means |
//! | `login`  | the document of the login filter, likewise |
//! | `schema` | the tables as a JSON Schema (feature `schema`) |
//!
//! This is a crate of its own because it runs once: the plugin has it compiled for size, and the engine for speed.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod door;
mod host;
mod login;
mod node;
mod read;
mod rules;
#[cfg(feature = "schema")]
mod schema;
mod shape;
mod shapes;

use serde_json::Value;
use weir_engine::capability::Capabilities;
use weir_engine::config::Config;

pub use node::Problem;
#[cfg(feature = "schema")]
pub use schema::{door_schema, login_schema, schema};

use node::{Node, Problems};

/// Reads and checks a document. `env` looks up environment variables.
///
/// # Errors
/// Every problem there is, with its path.
pub fn parse(
    document: &[u8],
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Vec<Problem>> {
    // Not `parse_for`: a module for Envoy has no use for what that looks at, nor room.
    read(document, &shapes::DOCUMENT, |root| {
        read::read_document(root, env)
    })
}

/// The same for a host that gives only so much: what of the document needs more is a problem.
///
/// # Errors
/// Every problem there is, with its path.
pub fn parse_for(
    host: Capabilities,
    document: &[u8],
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Vec<Problem>> {
    let config = read(document, &shapes::DOCUMENT, |root| {
        host::check(root, host);
        read::read_document(root, env)
    })?;
    Ok(config.on(host))
}

/// The same for the document of the API door.
///
/// # Errors
/// Every problem there is, with its path.
pub fn parse_door(
    document: &[u8],
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<weir_door::config::Config, Vec<Problem>> {
    read(document, &door::DOCUMENT, |root| {
        door::read_document(root, env)
    })
}

/// The same for the document of the login filter.
///
/// # Errors
/// Every problem there is, with its path.
pub fn parse_login(
    document: &[u8],
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<weir_login::config::Config, Vec<Problem>> {
    read(document, &login::DOCUMENT, |root| {
        login::read_document(root, env)
    })
}

fn read<T>(
    document: &[u8],
    shape: &shape::Shape,
    read: impl Fn(&Node<'_>) -> Option<T>,
) -> Result<T, Vec<Problem>> {
    let value: Value = match serde_json::from_slice(document) {
        Ok(value) => value,
        Err(e) => {
            return Err(vec![Problem {
                path: String::new(),
                text: format!(
                    "the plugin's configuration is not JSON ({e}); give it as a google.protobuf.StringValue"
                ),
            }]);
        }
    };
    let problems = Problems::default();
    let root = Node::root(&value, &problems);
    shape.check(&root);
    let config = read(&root);
    let problems = problems.into_vec();
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(problems),
    }
}
