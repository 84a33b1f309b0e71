//! The arguments of `weir import`, and its help.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::environment::EnvFile;
use crate::target::ConnectArgs;

/// Arguments of `weir import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(subcommand)]
    what: WhatArgs,
}

#[derive(Debug, Subcommand)]
enum WhatArgs {
    /// The replies to a follow, to keywords and to other messages (get_current_autoreply_info)
    #[command(after_long_help = AUTOREPLY_HELP)]
    Autoreply(From),
    /// The menu (get_current_selfmenu_info)
    #[command(after_long_help = MENU_HELP)]
    Menu(From),
}

/// What to import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Autoreply,
    Menu,
}

impl What {
    /// Where WeChat's API tells it.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Autoreply => "/cgi-bin/get_current_autoreply_info",
            Self::Menu => "/cgi-bin/get_current_selfmenu_info",
        }
    }
}

impl ImportArgs {
    pub(super) fn parts(&self) -> (What, &From) {
        match &self.what {
            WhatArgs::Autoreply(from) => (What::Autoreply, from),
            WhatArgs::Menu(from) => (What::Menu, from),
        }
    }
}

/// From where, and how to write it.
#[derive(Debug, Args)]
pub(super) struct From {
    /// WeChat's answer, as JSON; '-' is the standard input
    #[arg(required_unless_present = "api", conflicts_with = "api")]
    pub(super) file: Option<PathBuf>,
    /// Ask WeChat's API instead, or something before it that puts the access token in
    #[arg(long, value_name = "URL")]
    pub(super) api: Option<String>,
    /// Name of the environment variable with the access token
    #[arg(long, value_name = "NAME", requires = "api")]
    pub(super) access_token_env: Option<String>,
    /// How to write it
    #[arg(long, value_enum, default_value = "json")]
    pub(super) format: WriteFormat,
    /// Print one part alone, without a name around it
    #[arg(long, value_enum)]
    pub(super) print: Option<Part>,
    /// Fail when anything was left out or changed
    #[arg(long)]
    pub(super) strict: bool,
    #[command(flatten)]
    pub(super) env: EnvFile,
    #[command(flatten)]
    pub(super) connect: ConnectArgs,
}

/// How rules are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum WriteFormat {
    /// For the configuration as Envoy has it
    Json,
    /// With what was left out as comments
    Yaml,
}

/// A part of what was imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    /// The list for an account's "rules"
    Rules,
    /// The body for /cgi-bin/menu/create
    Menu,
}

const AUTOREPLY_HELP: &str = "\
Prints {\"rules\": […], \"notes\": […]}: the rules go into an account's \"rules\", above a last rule of
your own if you want one. Exact keywords come before those that may be anywhere in a text, then
everything else.

Warnings (on the standard error, and as notes or YAML comments) name what rules cannot say:
  - of several replies that would all be sent, the first: a reply to a push is one message;
  - of several articles in answer to a message, the first: WeChat shows one;
  - films that WeChat gives a link to and no media id;
  - the console answers other messages about once an hour per user; a rule answers every time.

Exit codes: 0 written, 1 with --strict: something was left out or changed, 2 nothing was written.

Examples:
  weir import autoreply answer.json --format yaml
  WX=$(…) weir import autoreply --api https://api.weixin.qq.com --access-token-env WX --print rules";

const MENU_HELP: &str = "\
Prints {\"rules\": […], \"menu\": {…}, \"notes\": […]}: the menu is the body for /cgi-bin/menu/create. What
the console answered itself (texts, pictures, recordings, articles) becomes a button with a key
and a rule for its CLICK; everything else stays what it was. A film that WeChat gives a link to and
no media id becomes a button with that link.

Exit codes: 0 written, 1 with --strict: something was left out or changed, 2 nothing was written.

Examples:
  weir import menu answer.json
  weir import menu answer.json --print rules --format yaml
  WX=$(…) weir import menu --api https://api.weixin.qq.com --access-token-env WX --print menu";
