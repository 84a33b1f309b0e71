//! `weir replay`: recorded pushes once more, signed and encrypted afresh.
//!
//! Lines are read, started and waited for one by one: the file may be larger than memory. At most `--in-flight`
//! pushes are on their way.

mod args;
mod fresh;
mod record;
mod report;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::task::JoinSet;
use weir_protocol::kinds::Carrier;
use weir_sim::{Exchange, Push, Sender, SendingClock};

pub use args::ReplayArgs;
pub(crate) use args::positive;

use crate::Outcome;
use crate::account::Known;
use crate::push::{self, Kind};
use fresh::Fresh;
use record::{Record, Unsendable};
use report::Report;

/// Longer lines are bad: no push comes near.
const MAX_LINE_BYTES: u64 = 4 << 20;
/// Pushes on their way when their times are set by `--rate` or `--speed`.
const PACED_IN_FLIGHT: u32 = 64;

/// A push that has been answered, or not.
struct Done {
    line: u64,
    kind: Kind,
    account: usize,
    exchange: Exchange,
}

/// Runs the command.
///
/// # Errors
/// It could not be tried: no account, no URL, no file.
pub async fn run(args: &ReplayArgs) -> anyhow::Result<Outcome> {
    let accounts = args.account.all()?;
    let senders = senders(args, &accounts)?;
    let mut lines = Lines::open(&args.file)?;
    let mut report = Report::new(args.json, args.dry_run);
    let mut fresh = Fresh::default();
    let mut pace = Pace::new(args);
    let mut on_their_way = JoinSet::new();
    let paced = args.rate.is_some() || args.speed.is_some();
    let in_flight = args
        .in_flight
        .unwrap_or(if paced { PACED_IN_FLIGHT } else { 1 }) as usize;
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());

    while let Some((number, line)) = lines.next()? {
        if number < args.from || line.as_ref().is_ok_and(|line| line.trim().is_empty()) {
            continue;
        }
        let read = line
            .map_err(Unsendable::Bad)
            .and_then(|line| record::read(&line, &accounts));
        let Record {
            account,
            mut fields,
            at_ms,
        } = match read {
            Ok(record) => record,
            Err(unsendable) => {
                report.unsendable(number, &unsendable)?;
                continue;
            }
        };
        let known = &accounts[account];
        if fields.text("ToUserName").is_some() {
            fresh::set(
                &mut fields,
                "ToUserName",
                known.account.original_id.as_str(),
            );
        }
        if args.new_ids {
            fresh.renew(&known.account.name, &mut fields);
        }
        let kind = Kind::of(&fields);
        let push = push::build(&known.account, &fields);
        if args.dry_run {
            let url = known.url(&args.url, kind.carrier);
            report.would_send(number, &kind, &push, &url)?;
            continue;
        }
        let due = pace.due(at_ms);
        loop {
            tokio::select! {
                biased;
                _ = &mut stop => {
                    report.interrupted(number);
                    break;
                }
                Some(done) = on_their_way.join_next() => {
                    let done: Done = done.context("a task of this program failed")?;
                    report.done(&done, &accounts[done.account])?;
                }
                () = tokio::time::sleep_until(due.into()), if on_their_way.len() < in_flight => {
                    let sender = senders[account].of(kind.carrier).clone();
                    on_their_way.spawn(send(sender, number, kind, account, push));
                    break;
                }
            }
        }
        if report.is_interrupted() {
            break;
        }
    }
    while let Some(done) = on_their_way.join_next().await {
        let done = done.context("a task of this program failed")?;
        report.done(&done, &accounts[done.account])?;
    }
    report.finish()
}

async fn send(sender: Sender, line: u64, kind: Kind, account: usize, push: Push) -> Done {
    let exchange = sender.push(&push).await;
    Done {
        line,
        kind,
        account,
        exchange,
    }
}

/// What sends for one account: to a third-party platform, notices go elsewhere than what authorised accounts get.
struct Senders {
    pushes: Sender,
    notices: Sender,
}

impl Senders {
    fn of(&self, carrier: Carrier) -> &Sender {
        match carrier {
            Carrier::Message | Carrier::Event => &self.pushes,
            Carrier::Component => &self.notices,
        }
    }
}

/// One for each account.
fn senders(args: &ReplayArgs, accounts: &[Known]) -> anyhow::Result<Vec<Senders>> {
    if accounts.is_empty() {
        bail!("the configuration has no such account");
    }
    let one_url = |known: &Known| known.url(&args.url, Carrier::Message) == args.url;
    if accounts.len() > 1 && accounts.iter().all(one_url) {
        bail!("the URL has a path, so all accounts would be sent there: choose one with --account");
    }
    let timing = SendingClock {
        attempts: args.attempts,
        ..SendingClock::faster(args.faster)
    };
    let sender = |known: &Known, carrier| -> anyhow::Result<Sender> {
        let target = args.connect.target(&known.url(&args.url, carrier))?;
        Ok(Sender::to(known.account.clone(), target)?.with_timing(timing.clone()))
    };
    let senders = |known| {
        Ok(Senders {
            pushes: sender(known, Carrier::Message)?,
            notices: sender(known, Carrier::Component)?,
        })
    };
    accounts.iter().map(senders).collect()
}

/// The lines of a file with their numbers, from 1.
struct Lines {
    reader: Box<dyn BufRead + Send>,
    number: u64,
}

impl Lines {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let reader: Box<dyn Read + Send> = if path.as_os_str() == "-" {
            Box::new(std::io::stdin())
        } else {
            let file = File::open(path);
            Box::new(file.with_context(|| format!("recording {}", path.display()))?)
        };
        Ok(Self {
            reader: Box::new(BufReader::new(reader)),
            number: 0,
        })
    }

    /// The next line, or why it is none.
    fn next(&mut self) -> anyhow::Result<Option<(u64, Result<String, String>)>> {
        let mut bytes = Vec::new();
        let mut limited = (&mut self.reader).take(MAX_LINE_BYTES);
        if limited.read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let mut line = Err(format!("longer than {} MiB", MAX_LINE_BYTES >> 20));
        if bytes.len() as u64 == MAX_LINE_BYTES && bytes.last() != Some(&b'\n') {
            skip_line(&mut self.reader)?;
        } else {
            line = String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned());
        }
        Ok(Some((self.number, line)))
    }
}

/// The rest of a line, without keeping it.
fn skip_line(reader: &mut dyn BufRead) -> std::io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        reader.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

/// When pushes are due.
struct Pace {
    rate: Option<f64>,
    speed: Option<f64>,
    begun: Instant,
    started: u64,
    /// The time of the first push, in the recording.
    first_ms: Option<i64>,
}

impl Pace {
    fn new(args: &ReplayArgs) -> Self {
        Self {
            rate: args.rate,
            speed: args.speed,
            begun: Instant::now(),
            started: 0,
            first_ms: None,
        }
    }

    /// When the next push is due, which was recorded at `at_ms`.
    fn due(&mut self, at_ms: Option<i64>) -> Instant {
        let number = self.started;
        self.started += 1;
        let seconds = match (self.rate, self.speed, at_ms) {
            (Some(rate), _, _) => number as f64 / rate,
            (None, Some(speed), Some(at_ms)) => {
                let first = *self.first_ms.get_or_insert(at_ms);
                at_ms.saturating_sub(first) as f64 / 1000.0 / speed
            }
            _ => 0.0,
        };
        // A recording with a wild date must not overflow the clock.
        let wait = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default();
        self.begun.checked_add(wait).unwrap_or(self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(rate: Option<f64>, speed: Option<f64>) -> Pace {
        Pace {
            rate,
            speed,
            begun: Instant::now(),
            started: 0,
            first_ms: None,
        }
    }

    #[test]
    fn pushes_are_due_by_rate_or_as_they_were_recorded() {
        let after = |pace: &mut Pace, at_ms| (pace.due(at_ms) - pace.begun).as_millis();
        let mut by_rate = pace(Some(4.0), None);
        let due: Vec<u128> = (0..3).map(|_| after(&mut by_rate, None)).collect();
        assert_eq!(due, [0, 250, 500]);

        let mut by_speed = pace(None, Some(2.0));
        let recorded = [Some(5_000), Some(7_000), None, Some(4_000), Some(i64::MAX)];
        let due: Vec<u128> = recorded.map(|at| after(&mut by_speed, at)).to_vec();
        assert_eq!(due[..4], [0, 1_000, 0, 0]);

        assert_eq!(after(&mut pace(None, None), Some(9)), 0);
    }
}
