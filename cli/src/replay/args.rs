//! The arguments of `weir replay`, and its help.

use std::path::PathBuf;

use clap::Args;

use crate::account::AccountArgs;
use crate::target::ConnectArgs;

/// Arguments of `weir replay`.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct ReplayArgs {
    /// The push URL; with --config its scheme and host are enough, and each account's path is added
    pub(super) url: String,
    /// The recording, one JSON object per line; '-' is the standard input
    pub(super) file: PathBuf,

    /// Give every push a new MsgId and CreateTime, so that it is not taken for a copy
    #[arg(long)]
    pub(super) new_ids: bool,
    /// Start so many pushes per second
    #[arg(long, value_name = "N", value_parser = positive, conflicts_with = "speed")]
    pub(super) rate: Option<f64>,
    /// Keep the recorded intervals, N times as fast
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(super) speed: Option<f64>,
    /// Wait for answers when so many pushes are on their way [default: 1, with --rate or --speed 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(super) in_flight: Option<u32>,
    /// Begin at this line, as an earlier run said
    #[arg(long, value_name = "LINE", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) from: u64,
    /// How often to try one push, 5 seconds apart, as WeChat does
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=3))]
    pub(super) attempts: u32,
    /// Be so many times as impatient as WeChat: 10 makes 500 ms of its 5 s
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) faster: u32,
    /// Send nothing: say of each line what would be sent
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print one JSON object per line of the recording, and one with the counts at the end
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) account: AccountArgs,
    #[command(flatten)]
    pub(super) connect: ConnectArgs,
}

pub(crate) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("it has to be a number above 0".to_owned()),
    }
}

const HELP: &str = "\
A line is one of these; others are named, counted and left out:
  {\"type\":\"weir.message.text\",\"data\":{\"account\":\"demo\",\"push\":{…}},…}   an event of the store
  {\"query\":…,\"headers\":…,\"body\":\"<xml>…\"}                          a request as WeChat sent it

Each push is signed and encrypted anew with the account's present Token and key; encrypted requests
are decrypted for that with the present key. Who wrote it stays, and so do MsgId and CreateTime
without --new-ids: then the gateway and the store recognise what they have had, and nothing is
stored twice.

Pushes start in the order of the file. Without --rate, --speed or --in-flight each waits for the
answer to the one before. Ctrl-C lets those on their way finish and says where to go on.

Exit codes: 0 every line was sent and answered as WeChat wants it, or is not a push; 1 a line was
bad or a push failed, or it was interrupted; 2 it could not be tried.

Examples:
  curl -s 'http://127.0.0.1:8090/v1/events?account=demo' | jq -c '.items | reverse[]' > day.ndjson
  weir replay http://127.0.0.1:10000 day.ndjson --config envoy.yaml
  weir replay http://127.0.0.1:10000 day.ndjson --config envoy.yaml --new-ids --rate 200
  weir replay https://staging.example.com day.ndjson --config envoy.yaml --new-ids --speed 10
  weir replay http://127.0.0.1:10000 day.ndjson --config envoy.yaml --from 1201 --json";
