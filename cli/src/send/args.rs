//! The arguments of `weir send`, and its help.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{ArgGroup, Args};
use serde_json::{Map, Value};
use weir_errands::send::{Api, Message, Repeat, Spec};

use crate::door::DoorArgs;
use crate::target::ConnectArgs;

/// Arguments of `weir send`.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
#[command(group = ArgGroup::new("kind").required(true).args(["template", "subscribe", "bizsend", "custom_text"]))]
pub struct SendArgs {
    #[command(flatten)]
    pub(super) door: DoorArgs,
    /// The account that sends, as the door's configuration names it
    #[arg(long, value_name = "NAME")]
    pub(super) account: String,

    /// What this sending is called: within it everybody gets the message once, however often it is run
    #[arg(long, value_name = "ID", value_parser = campaign)]
    pub(super) campaign: String,
    /// Who gets it: CSV with a header, or JSON lines, with an openid and what --data needs; '-' is the standard input
    #[arg(long, value_name = "FILE")]
    pub(super) to: PathBuf,
    /// The column with the openid
    #[arg(long, value_name = "COLUMN", default_value = "openid")]
    pub(super) openid_column: String,
    /// Leave lines out that cannot be used; without this nothing is sent if there is one
    #[arg(long)]
    pub(super) skip_bad: bool,

    /// Send template messages of an Official Account
    #[arg(long, value_name = "TEMPLATE_ID", help_heading = "Message")]
    pub(super) template: Option<String>,
    /// Send subscribe messages of a Mini Program
    #[arg(long, value_name = "TEMPLATE_ID", help_heading = "Message")]
    pub(super) subscribe: Option<String>,
    /// Send subscription notifications of an Official Account
    #[arg(long, value_name = "TEMPLATE_ID", help_heading = "Message")]
    pub(super) bizsend: Option<String>,
    /// Send this text as a customer-service message, to users who wrote within 48 hours
    #[arg(long, value_name = "TEXT", help_heading = "Message", conflicts_with_all = ["data", "url", "page", "miniprogram"])]
    pub(super) custom_text: Option<String>,
    /// The template's values: JSON, or a file with it: {"thing1": "{name}", "amount2": "{total}元"}
    #[arg(long, value_name = "JSON|FILE", help_heading = "Message")]
    pub(super) data: Option<String>,
    /// What a template message opens
    #[arg(long, value_name = "URL", help_heading = "Message")]
    pub(super) url: Option<String>,
    /// The Mini Program that a message of an Official Account opens
    #[arg(long, value_name = "APPID", help_heading = "Message")]
    pub(super) miniprogram: Option<String>,
    /// The page that opens
    #[arg(long, value_name = "PATH", help_heading = "Message")]
    pub(super) page: Option<String>,
    /// Which version of the Mini Program a subscribe message opens
    #[arg(long, value_parser = ["formal", "trial", "developer"], requires = "subscribe", help_heading = "Message")]
    pub(super) state: Option<String>,
    /// The language that a subscribe message opens in
    #[arg(long, value_parser = ["zh_CN", "en_US", "zh_HK", "zh_TW"], requires = "subscribe", help_heading = "Message")]
    pub(super) lang: Option<String>,

    /// Begin at most so many messages a second
    #[arg(long, value_name = "N", default_value_t = 50.0, value_parser = crate::replay::positive, help_heading = "Sending")]
    pub(super) rate: f64,
    /// Wait for answers when so many messages are on their way
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=256), help_heading = "Sending")]
    pub(super) concurrency: u32,
    /// How long to wait when WeChat says that there were too many calls in this minute
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600), help_heading = "Sending")]
    pub(super) pause: u64,
    /// Where it is kept who was sent the message [default: CAMPAIGN.weir-send]
    #[arg(long, value_name = "FILE", help_heading = "Sending")]
    pub(super) journal: Option<PathBuf>,
    /// Send again to those of whom it is not known whether they were sent the message: they may get it twice
    #[arg(long, help_heading = "Sending")]
    pub(super) repeat_unknown: bool,
    /// Try again to send to those whom WeChat refused
    #[arg(long, help_heading = "Sending")]
    pub(super) repeat_refused: bool,
    /// Send nothing and keep no journal: print the request's body for each recipient
    #[arg(long, help_heading = "Sending")]
    pub(super) dry_run: bool,

    /// Write what became of each recipient into this file, one JSON object per line
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(super) report: Option<PathBuf>,
    /// Print that, and a summary in JSON at the end
    #[arg(long, help_heading = "Output")]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) connect: ConnectArgs,
}

impl SendArgs {
    pub(super) fn journal_path(&self) -> PathBuf {
        let by_name = || PathBuf::from(format!("{}.weir-send", self.campaign));
        self.journal.clone().unwrap_or_else(by_name)
    }

    /// What is sent.
    ///
    /// # Errors
    /// The data is no JSON of the right shape, or cannot be read.
    pub(super) fn message(&self) -> anyhow::Result<Message> {
        let (kind, template_id) = match (&self.template, &self.subscribe, &self.bizsend) {
            (Some(id), ..) => (Api::Template, Some(id)),
            (_, Some(id), _) => (Api::Subscribe, Some(id)),
            (.., Some(id)) => (Api::Bizsend, Some(id)),
            _ => (Api::Custom, None),
        };
        let spec = Spec {
            template_id: template_id.cloned(),
            data: self.data.as_deref().map(read_data).transpose()?,
            text: self.custom_text.clone(),
            url: self.url.clone(),
            miniprogram: self.miniprogram.clone(),
            page: self.page.clone(),
            state: self.state.clone(),
            lang: self.lang.clone(),
            ..Spec::new(kind)
        };
        Message::new(&self.campaign, &spec).map_err(|misfit| match misfit.field {
            "text" => anyhow!("--custom-text: {}", misfit.why),
            "template_id" => anyhow!("--{}: {}", kind.name(), misfit.why),
            field => anyhow!("--{field}: {}", misfit.why),
        })
    }

    /// What is tried again beyond what may be by itself.
    pub(super) fn repeat(&self) -> Repeat {
        Repeat {
            unknown: self.repeat_unknown,
            refused: self.repeat_refused,
        }
    }
}

/// JSON, or a file with it.
fn read_data(given: &str) -> anyhow::Result<Map<String, Value>> {
    let text = if given.trim_start().starts_with('{') {
        given.to_owned()
    } else {
        let path = Path::new(given);
        std::fs::read_to_string(path).with_context(|| format!("--data {}", path.display()))?
    };
    serde_json::from_str(&text).context("--data: not a JSON object")
}

fn campaign(text: &str) -> Result<String, String> {
    if weir_errands::send::is_campaign(text) {
        return Ok(text.to_owned());
    }
    Err("1 to 64 letters, digits, - _ and .; it begins with neither - nor .".to_owned())
}

const HELP: &str = "\
In --data, --url, --page and --custom-text, {column} is that column of the list; {{ is a brace. The
list is read to its end before anything is sent; who is in it twice is sent the message once.

The journal holds what is about to be sent, on the disk before it leaves, and what became of it. Run
the same command again after a crash, a stop or a used-up quota: it goes on where it was. Whether a
message left whose result is missing is not known. Template messages carry a client_msg_id, by which
WeChat recognises for 10 minutes that it had them: within 9 they are sent again. Older ones and other
kinds are reported as unknown and not repeated, unless --repeat-unknown says so.

Of each recipient --report and --json tell, whatever run it was sent in:
  {\"openid\":\"o…\",\"outcome\":\"sent\",\"errcode\":0,\"msgid\":\"…\",\"retryable\":false}
  {\"openid\":\"o…\",\"outcome\":\"refused\",\"errcode\":47003,\"reason\":\"…\",\"field\":\"thing1\",\"retryable\":false}
outcome: sent; refused: not sent, for certain; unknown: sent or not. retryable: the next run sends it
by itself. \"earlier\": true is what an earlier run brought.

A used-up quota (45009), a wrong template and whatever else would meet every message end the run.
Ctrl-C lets messages on their way finish.

Exit codes: 0 all were sent, now or earlier; 1 some were not, or the run ended before; 2 it could not
be tried: a bad list, a journal of something else, another run at work, no door.

Examples:
  export SHOP_KEY=…
  weir send --door http://127.0.0.1:10001 --account demo --key-env SHOP_KEY \\
      --campaign spring-2026 --to followers.csv --template TEMPLATE_ID \\
      --data '{\"thing1\":\"{name}\",\"amount2\":\"{total}元\"}' --url 'https://example.com/o/{order}'
  weir send … --subscribe TEMPLATE_ID --data data.json --page 'order?id={order}' --rate 200
  weir send … --custom-text 'Hi {name}, we are back.' --report sent.ndjson
  weir send … --dry-run | head";
