//! `weir schema`: the JSON Schemas of the configuration and of the store's events.

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::{Map, Value as Json};
use weir_store_api::docs::schemas;

use crate::Outcome;
use crate::term::outln;

/// Arguments of `weir schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    #[command(subcommand)]
    of: Of,
}

#[derive(Debug, Subcommand)]
enum Of {
    /// The configuration: for editors that complete and check while one types
    #[command(after_long_help = CONFIG_HELP)]
    Config,
    /// The configuration of the API door
    Door,
    /// The configuration of the login filter
    Login,
    /// The events that the store gets: one object, with a schema for each type of event
    #[command(after_long_help = EVENTS_HELP)]
    Events {
        /// The schema of this type alone: weir.message.text, weir.event.subscribe …
        #[arg(value_name = "TYPE", conflicts_with = "list")]
        kind: Option<String>,
        /// List the types; one that ends in * stands for all that have no schema of their own
        #[arg(long)]
        list: bool,
    },
}

const CONFIG_HELP: &str = "\
The schema is made from the tables that configurations are checked against. What a schema cannot
say (names taken twice, variables that are not set, slips in templates) 'weir validate' says.

Exit code: 0.

Example, for editors that know the YAML language server:
  weir schema config > weir.schema.json
  # yaml-language-server: $schema=weir.schema.json        (first line of weir.yaml)";

const EVENTS_HELP: &str = "\
Exit codes: 0 printed, 2 there is no such type.

Examples:
  weir schema events --list
  weir schema events weir.event.subscribe > subscribe.schema.json";

/// Runs the command.
///
/// # Errors
/// There is no event of the type.
pub fn run(args: &SchemaArgs) -> anyhow::Result<Outcome> {
    match &args.of {
        Of::Config => print(&weir_config::schema())?,
        Of::Door => print(&weir_config::door_schema())?,
        Of::Login => print(&weir_config::login_schema())?,
        Of::Events { list: true, .. } => {
            for schema in schemas() {
                outln!("{}", schema.kind)?;
            }
        }
        Of::Events {
            kind: Some(kind), ..
        } => {
            let Some(found) = schemas().into_iter().find(|schema| schema.kind == *kind) else {
                bail!("there is no event of type {kind:?}; --list shows all");
            };
            print(&found.schema)?;
        }
        Of::Events { kind: None, .. } => {
            let all: Map<String, Json> = schemas()
                .into_iter()
                .map(|schema| (schema.kind, schema.schema))
                .collect();
            print(&Json::Object(all))?;
        }
    }
    Ok(Outcome::Good)
}

fn print(schema: &Json) -> anyhow::Result<()> {
    outln!("{}", serde_json::to_string_pretty(schema)?)?;
    Ok(())
}
