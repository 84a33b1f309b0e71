//! The `weir` command: what an operator and a script need beside the gateway.
//!
//! | command | does |
//! |---|---|
//! | [`validate`] | says whether a configuration would be taken, and points at what is wrong |
//! | [`trigger`] | sends a push as WeChat does, and says what WeChat would make of the answer |
//! | [`replay`] | sends recorded pushes again |
//! | [`import`] | makes rules of what the console answered |
//! | [`send`] | sends one message to many users, each of them once |
//! | [`clear_quota`] | has WeChat count an account's calls from 0 again |
//! | [`serve`] | becomes the host of the WASI component |
//! | [`sync`] | brings an account's followers into the store |
//! | [`schema`] | prints JSON Schemas |
//!
//! The binary is a line around [`run`]. Everything here is native: nothing of it is in the module that Envoy loads.

pub mod account;
pub mod clear_quota;
pub mod config_file;
pub mod door;
pub mod environment;
pub mod finding;
pub mod import;
mod interrupt;
mod journal;
pub mod push;
pub mod replay;
pub mod schema;
pub mod send;
pub mod serve;
pub mod source;
pub mod sync;
pub mod target;
pub mod term;
pub mod trigger;
pub mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Weir on the command line: check configurations, try rules, send pushes again.
///
/// Weir is an Envoy filter that speaks WeChat. This tool needs no Envoy and no gateway to check a configuration, and speaks to a running
/// one exactly as WeChat does.
#[derive(Debug, Parser)]
#[command(name = "weir", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 all is right, 1 what was checked or tried is wrong, 2 it could not be checked or tried.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a configuration: Weir's own, or a whole envoy.yaml
    Validate(validate::ValidateArgs),
    /// Send a push as WeChat does, and see what comes of it
    Trigger(Box<trigger::TriggerArgs>),
    /// Send recorded pushes again
    Replay(Box<replay::ReplayArgs>),
    /// Make rules of what WeChat's console answered
    Import(Box<import::ImportArgs>),
    /// Send a template, subscribe or customer-service message to many users, each of them once
    Send(Box<send::SendArgs>),
    /// Have WeChat count an account's calls of today from 0 again
    ClearQuota(clear_quota::ClearQuotaArgs),
    /// Bring an account's followers into the store, as WeChat has them
    Sync(Box<sync::SyncArgs>),
    /// Serve Weir without Envoy, as a WASI component
    Serve(serve::ServeArgs),
    /// Print the JSON Schema of what Weir reads and writes
    Schema(schema::SchemaArgs),
}

/// What came of a command that could be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All is right.
    Good,
    /// What was checked or tried is wrong.
    Bad,
}

impl Outcome {
    /// [`Good`](Self::Good) when it is.
    #[must_use]
    pub fn good_if(right: bool) -> Self {
        if right { Self::Good } else { Self::Bad }
    }
}

/// Runs a command; the exit code is the one that `--help` promises.
pub async fn run(cli: Cli) -> ExitCode {
    let outcome = match cli.command {
        Command::Validate(args) => validate::run(&args),
        Command::Trigger(args) => trigger::run(&args).await,
        Command::Replay(args) => replay::run(&args).await,
        Command::Import(args) => import::run(&args).await,
        Command::Send(args) => send::run(&args).await,
        Command::ClearQuota(args) => clear_quota::run(&args).await,
        Command::Sync(args) => sync::run(&args).await,
        Command::Serve(args) => serve::run(&args),
        Command::Schema(args) => schema::run(&args),
    };
    match outcome {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Bad) => ExitCode::FAILURE,
        // Whoever read the output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
