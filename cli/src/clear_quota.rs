//! `weir clear-quota`: has WeChat count an account's calls of today from 0 again.
//!
//! WeChat does that for all of its APIs at once, and 10 times a month: so it happens by this command, or an application's own
//! call, and never by itself. Source: WeChat's page on `clear_quota`.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::bail;
use clap::Args;
use serde_json::json;
use weir_errands::door::Reply;
use weir_errands::errcodes;

use crate::Outcome;
use crate::door::DoorArgs;
use crate::target::ConnectArgs;
use crate::term::{harmless, outln};

const PATH: &str = "/cgi-bin/clear_quota";

/// Arguments of `weir clear-quota`.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct ClearQuotaArgs {
    /// The account, as the door's configuration names it
    #[arg(value_parser = crate::door::account)]
    account: String,
    /// The account's appid, which WeChat wants to be told
    #[arg(long, value_name = "APPID")]
    appid: String,
    #[command(flatten)]
    door: DoorArgs,
    /// Do not ask whether it is meant
    #[arg(long)]
    yes: bool,
    /// Print what came of it in JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

const HELP: &str = "\
The quotas of all APIs are cleared at once, and WeChat does it 10 times a month. What the door had
stopped for the day (45009) it calls again.

The door lets a client do it only if its configuration allows the whole path:
  \"allow\": [\"/cgi-bin/\", \"/cgi-bin/clear_quota\"]

Exit codes: 0 cleared; 1 not cleared, WeChat's or the door's reason is told; 2 it could not be tried,
or it is not known whether it was.

Example:
  weir clear-quota demo --appid wx0123456789abcdef --door http://127.0.0.1:10001 --key-env OPS_KEY";

/// Runs the command.
///
/// # Errors
/// It could not be tried, nobody said yes, or the answer was lost.
pub async fn run(args: &ClearQuotaArgs) -> anyhow::Result<Outcome> {
    let door = args.door.open(&args.account, &args.connect, 1)?;
    if !args.yes {
        confirm(&args.account)?;
    }
    // Once: each time counts.
    let (errcode, reason) = match door.post(PATH, &json!({"appid": args.appid})).await {
        Reply::Told(told) => {
            let errcode = told.errcode.unwrap_or(0);
            (errcode, reason(errcode, told.errmsg()))
        }
        Reply::NotReached(why) => bail!("the door at {} is not reached: {why}", door.origin()),
        Reply::Limited(_) => bail!("the door has had enough of us: try again in a while"),
        Reply::NotLetIn(why) | Reply::NotTaken(why) => bail!("{why}"),
        Reply::Lost(why) => {
            bail!(
                "it is not known whether the quotas were cleared ({why}); it would count as one of 10 this month"
            )
        }
    };
    let cleared = errcode == 0;
    if args.json {
        let reason = (!cleared).then_some(&reason);
        outln!(
            "{}",
            json!({"account": args.account, "cleared": cleared, "errcode": errcode, "reason": reason})
        )?;
    } else if cleared {
        outln!(
            "{}: cleared. WeChat counts from 0 again, and the door calls what it had stopped",
            args.account
        )?;
    } else {
        outln!(
            "{}: not cleared: {errcode} {}",
            args.account,
            harmless(&reason)
        )?;
    }
    Ok(Outcome::good_if(cleared))
}

fn confirm(account: &str) -> anyhow::Result<()> {
    let mut stdin = std::io::stdin().lock();
    if !stdin.is_terminal() {
        bail!("WeChat does this 10 times a month: --yes says that it is meant");
    }
    eprint!("Clear all quotas of {account}? WeChat does it 10 times a month. [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    stdin.read_line(&mut answer)?;
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        bail!("nothing was done");
    }
    Ok(())
}

/// What an errcode means to this call.
fn reason(errcode: i64, errmsg: &str) -> String {
    let known = match errcode {
        48006 => "WeChat has cleared them 10 times this month, and does it no more until the next",
        40013 if !errmsg.starts_with("weir: ") => "the appid is not this account's",
        // The door's own refusal has WeChat's code.
        48001 if errmsg.starts_with("weir: ") => {
            "the door does not let this client: its configuration has to allow /cgi-bin/clear_quota by the whole path"
        }
        _ => return errcodes::reason(errcode, errmsg),
    };
    known.to_owned()
}
