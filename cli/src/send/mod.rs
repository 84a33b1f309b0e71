//! `weir send`: one message to many users through the door, each of them once.
//!
//! The steps are `weir_errands`'s. Here are:
//!
//! | file | idea |
//! |---|---|
//! | `list.rs` | who is to get it |
//! | `journal.rs` | what is on the disk before it leaves, so that no crash sends it twice |
//! | `report.rs` | what became of each |

mod args;
mod journal;
mod list;
mod report;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::bail;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use weir_errands::clock::now_ms;
use weir_errands::errcodes;
use weir_errands::pace::{Pace, Stop};
use weir_errands::send::{Fate, Message, Plan, Recipient, Sending, plan};

pub use args::SendArgs;

use crate::Outcome;
use crate::interrupt::interrupted;
use crate::journal::Journal;
use crate::term::{count, outln};
use journal::{Campaign, Kept};
use list::{List, Wanted};
use report::Report;

/// So many bad lines are shown.
const SHOWN: usize = 20;

/// Runs the command.
///
/// # Errors
/// It could not be tried: a bad list, a journal of something else, another run at work, no door.
pub async fn run(args: &SendArgs) -> anyhow::Result<Outcome> {
    let message = args.message()?;
    let list = list(args, &message)?;
    if args.dry_run {
        for recipient in &list.recipients {
            outln!("{}", message.body(recipient))?;
        }
        return Ok(Outcome::Good);
    }
    let door = (args.door).open(&args.account, &args.connect, args.concurrency)?;
    let (name, id) = (message.api.name(), message.template_id.as_deref());
    let mut campaign = Campaign::new(&args.campaign, &args.account, name, id);
    let journal = Journal::open(&args.journal_path(), &mut campaign)?;
    let past = campaign.past;

    let all = list.recipients.len();
    let mut report = Report::new(args, all)?;
    let mut to_send = Vec::new();
    let (repeat, now_ms) = (args.repeat(), now_ms());
    for recipient in list.recipients {
        let past = past.get(&recipient.openid);
        match plan(past, message.api.is_recognised(), repeat, now_ms) {
            Plan::Send { since_ms } => to_send.push((recipient, since_ms)),
            Plan::Leave(fate) => report.earlier(&recipient.openid, &fate)?,
        }
    }
    drop(past);

    let sending = Arc::new(Sending::new(
        door,
        message,
        Kept(journal),
        Pace::new(args.rate),
        Duration::from_secs(args.pause),
    ));
    let told = send_all(args, &sending, to_send, &mut report).await;
    let stop = sending.pace.stopped();
    let sending = Arc::into_inner(sending);
    let Kept(journal) = sending.expect("those who send are done").ledger;
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

/// Sends to everybody who is left, until the run is stopped.
async fn send_all(
    args: &SendArgs,
    sending: &Arc<Sending<Kept>>,
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
