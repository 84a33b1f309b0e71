//! The arguments of `weir sync`, and its help.

use std::path::PathBuf;

use clap::Args;

use crate::door::{DoorArgs, account};
use crate::environment::EnvFile;
use crate::target::ConnectArgs;

/// Arguments of `weir sync`.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct SyncArgs {
    /// The account, as the door's configuration names it
    #[arg(value_parser = account)]
    pub(super) account: String,
    /// The API door's URL; without it the store does it, which has to know a door itself
    #[arg(long, value_name = "URL", requires = "key_env")]
    pub(super) door: Option<String>,
    /// The environment variable with the client's key at the door
    #[arg(long, value_name = "VAR", requires = "door")]
    pub(super) key_env: Option<String>,
    #[command(flatten)]
    pub(super) env: EnvFile,
    /// The store's URL
    #[arg(long, value_name = "URL")]
    pub(super) store: String,
    /// The environment variable with the store's bearer token, if it demands one
    #[arg(long, value_name = "VAR")]
    pub(super) store_token_env: Option<String>,
    /// The account's appid [default: as the store has it]
    #[arg(long, value_name = "APPID")]
    pub(super) appid: Option<String>,

    /// Ask about this user alone; may be given more than once
    #[arg(long = "openid", value_name = "OPENID", value_parser = openid)]
    pub(super) openids: Vec<String>,

    /// Watch the store do it to the end
    #[arg(long, conflicts_with = "door", help_heading = "By the store")]
    pub(super) watch: bool,
    /// Why, for the store's audit
    #[arg(
        long,
        value_name = "TEXT",
        conflicts_with = "door",
        help_heading = "By the store"
    )]
    pub(super) why: Option<String>,

    /// Begin at most so many calls to WeChat a second
    #[arg(long, value_name = "N", default_value_t = 50.0, value_parser = crate::replay::positive, help_heading = "Pace")]
    pub(super) rate: f64,
    /// Ask about so many hundreds of users at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64), help_heading = "Pace")]
    pub(super) concurrency: u32,
    /// How long to wait when WeChat says that there were too many calls in this minute
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600), help_heading = "Pace")]
    pub(super) pause: u64,
    /// Where it is kept how far the pass has come [default: ACCOUNT.weir-sync]
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "openids",
        requires = "door"
    )]
    pub(super) journal: Option<PathBuf>,
    /// Print how far it is once a second, and a summary at the end, in JSON
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) connect: ConnectArgs,
}

impl SyncArgs {
    /// The door, if the work is done here.
    pub(super) fn door(&self) -> Option<DoorArgs> {
        Some(DoorArgs {
            door: self.door.clone()?,
            key_env: self.key_env.clone()?,
            env: self.env.clone(),
        })
    }

    pub(super) fn journal_path(&self) -> PathBuf {
        let by_name = || PathBuf::from(format!("{}.weir-sync", self.account));
        self.journal.clone().unwrap_or_else(by_name)
    }
}

fn openid(text: &str) -> Result<String, String> {
    if weir_errands::sync::is_openid(text) {
        return Ok(text.to_owned());
    }
    Err("an openid: letters, digits, - and _".to_owned())
}

const HELP: &str = "\
A pass lists the account's followers (user/get, 10,000 to a page), asks who they are (batchget, 100
at a time) and stores what WeChat says. When all are stored, those whom the store has as followers
and the list has not are asked about once more: who left is then unfollowed in the store, by WeChat's
own word. A pass that ended early unfollows nobody. Then the blacklist is read (getblacklist, 10,000
to a page): who is on it is marked so in the store, who is not any more is so no longer. Where the
account or the key may not, the store's marks stay as they are.

The journal holds the pages and which hundreds are stored. Run the same command again after a crash,
a stop or a used-up quota: it goes on where it was. After a pass that was completed it begins the
next. Two runs of one journal cannot be at work at once.

A used-up quota (45009) ends the run: go on after 00:00 Beijing time.

Without --door the store does it, through the door that it was started with: this command asks for it,
and with --watch shows it to the end. Ctrl-C then ends the watching alone. The store keeps who asked,
why, and what came of it: GET /v1/accounts/ACCOUNT/syncs.

With --openid nothing is listed and nobody is unfollowed who is not asked about.

Exit codes: 0 all is stored; 1 the run ended before, or WeChat does not know a user; 2 it could not
be tried: no door, no store, another run at work.

Examples:
  export SHOP_KEY=…
  weir sync demo --door http://127.0.0.1:10001 --key-env SHOP_KEY --store http://127.0.0.1:8090
  weir sync demo --store http://127.0.0.1:8090 --watch
  weir sync demo … --json | tail -1
  weir sync demo … --openid oA1b2c3 --openid oD4e5f6";
