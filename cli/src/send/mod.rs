//! `weir send`: one message to many users through the door, each of them once.
//!
//! | file | idea |
//! |---|---|
//! | `list.rs` | who is to get it |
//! | `message.rs`, `fill.rs` | what it is, for one of them |
//! | `journal.rs` | what is on the disk before it leaves, so that no crash sends it twice |
//! | `sending.rs` | one message to its end |
//! | `report.rs` | what became of each |
//!
//! What is to be done about somebody follows from the list and the journal alone, so a run that was killed is resumed by the
//! same command. Out of scope: choosing the recipients, and delivery: WeChat tells that later by events.

mod args;
mod fate;
mod fill;
mod journal;
mod list;
mod message;
mod report;
mod sending;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::bail;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use args::SendArgs;

use crate::Outcome;
use crate::door::Door;
use crate::errcodes;
use crate::journal::Journal;
use crate::pace::{Pace, Stop, interrupted};
use crate::term::{count, outln};
use fate::Fate;
use journal::{Campaign, Past};
use list::{List, Recipient, Wanted};
use message::Message;
use report::Report;
use sending::Sending;

/// How long WeChat recognises a `client_msg_id`, less what a call and a clock may be off. Source: WeChat's documentation of
/// template messages, 10 minutes.
const RECOGNISED_MS: i64 = 9 * 60 * 1000;
/// So many bad lines are shown.
const SHOWN: usize = 20;

/// Runs the command.
///
/// # Errors
/// It could not be tried: a bad list, a journal of something else, another run at work, no door.
pub async fn run(args: &SendArgs) -> anyhow::Result<Outcome> {
    let message = Message::of(args)?;
    let list = list(args, &message)?;
    if args.dry_run {
        for recipient in &list.recipients {
            outln!("{}", message.body(recipient))?;
        }
        return Ok(Outcome::Good);
    }
    let door = Door::of(&args.door, &args.account, &args.connect, args.concurrency)?;
    let (name, id) = (message.api.name(), message.template_id.as_deref());
    let mut campaign = Campaign::new(&args.campaign, &args.account, name, id);
    let journal = Journal::open(&args.journal_path(), &mut campaign)?;
    let past = campaign.past;

    let all = list.recipients.len();
    let mut report = Report::new(args, all)?;
    let mut to_send = Vec::new();
    let now_ms = now_ms();
    for recipient in list.recipients {
        let past = past.get(&recipient.openid);
        match plan(past, message.api.is_recognised(), args, now_ms) {
            Plan::Send { since_ms } => to_send.push((recipient, since_ms)),
            Plan::Leave(fate) => report.earlier(&recipient.openid, &fate)?,
        }
    }
    drop(past);

    let sending = Arc::new(Sending {
        door,
        message,
        journal,
        pace: Pace::new(args.rate),
        minute: Duration::from_secs(args.pause),
        answered: false.into(),
    });
    let told = send_all(args, &sending, to_send, &mut report).await;
    let stop = sending.pace.stopped();
    let sending = Arc::into_inner(sending);
    let journal = sending.expect("those who send are done").journal;
    journal.close()?;
    told?;
    let counts = report.finish(all, stop.as_ref())?;
    if let Some(Stop::Useless { errcode, why }) = stop
        && !counts.any_sent_now
        && errcode != Some(errcodes::QUOTA)
    {
        bail!("nothing was sent: {why}");
    }
    Ok(Outcome::good_if(counts.complete))
}

fn list(args: &SendArgs, message: &Message) -> anyhow::Result<List> {
    let wanted = Wanted {
        openid: &args.openid_column,
        columns: message.columns(),
    };
    let list = list::read(&args.to, wanted)?;
    for (line, why) in list.bad.iter().take(SHOWN) {
        eprintln!("weir: {}: line {line}: {why}", args.to.display());
    }
    if list.bad.len() > SHOWN {
        eprintln!("weir: … and {} more", list.bad.len() - SHOWN);
    }
    if list.doubles > 0 {
        let lines = count(list.doubles, "line");
        eprintln!("weir: {lines} name somebody again: each is sent the message once");
    }
    match list.bad.len() {
        0 => Ok(list),
        _ if args.skip_bad => Ok(list),
        bad => bail!(
            "{} cannot be used, and nothing was sent; --skip-bad leaves them out",
            count(bad, "line")
        ),
    }
}

/// What is to be done about somebody.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    /// Send it. It may have been sent at this time already, under an id that WeChat recognises.
    Send { since_ms: Option<i64> },
    /// This is what became of it.
    Leave(Fate),
}

/// Decides by what the journal has. `recognised`: WeChat knows a message that it has had.
fn plan(past: Option<&Past>, recognised: bool, args: &SendArgs, now_ms: i64) -> Plan {
    let Some(past) = past else {
        return Plan::Send { since_ms: None };
    };
    if let Some(since_ms) = past.first_intent_ms {
        let in_time = recognised && (0..RECOGNISED_MS).contains(&(now_ms - since_ms));
        if in_time {
            let since_ms = Some(since_ms);
            return Plan::Send { since_ms };
        }
        if args.repeat_unknown {
            return Plan::Send { since_ms: None };
        }
        let cut = || Fate::unknown("the run ended before the answer was known", false);
        let mut fate = past.fate.clone().unwrap_or_else(cut);
        fate.retryable = false;
        return Plan::Leave(fate);
    }
    match &past.fate {
        Some(fate) if fate.outcome == fate::Outcome::Sent => Plan::Leave(fate.clone()),
        Some(fate) if !fate.retryable && !args.repeat_refused => Plan::Leave(fate.clone()),
        _ => Plan::Send { since_ms: None },
    }
}

/// Sends to everybody who is left, until the run is stopped.
async fn send_all(
    args: &SendArgs,
    sending: &Arc<Sending>,
    to_send: Vec<(Recipient, Option<i64>)>,
    report: &mut Report<'_>,
) -> anyhow::Result<()> {
    let to_send = Arc::new(Mutex::new(to_send.into_iter()));
    let (done, mut results) = mpsc::channel::<(String, Fate)>(args.concurrency as usize);
    let mut senders = JoinSet::new();
    for _ in 0..args.concurrency {
        let (sending, to_send, done) = (sending.clone(), to_send.clone(), done.clone());
        senders.spawn(async move {
            let next = || {
                to_send
                    .lock()
                    .expect("nobody panics while holding it")
                    .next()
            };
            while let Some((recipient, since_ms)) = next() {
                let Some(fate) = sending.send(&recipient, since_ms).await else {
                    break;
                };
                if done.send((recipient.openid, fate)).await.is_err() {
                    break;
                }
            }
        });
    }
    drop(done);
    let mut interrupted = std::pin::pin!(interrupted());
    let mut told = Ok(());
    loop {
        tokio::select! {
            result = results.recv() => {
                let Some((openid, fate)) = result else { break };
                if told.is_ok() {
                    told = report.now(&openid, &fate);
                }
                // Nobody reads any more: what is on its way is let finish, and is in the journal.
                if told.is_err() {
                    sending.pace.stop(Stop::Interrupted);
                }
            }
            () = &mut interrupted, if sending.pace.stopped().is_none() => {
                sending.pace.stop(Stop::Interrupted);
            }
        }
    }
    while let Some(ended) = senders.join_next().await {
        ended?;
    }
    told
}

/// Unix milliseconds.
pub(crate) fn now_ms() -> i64 {
    weir_sim::Clock::system().now_ms()
}
