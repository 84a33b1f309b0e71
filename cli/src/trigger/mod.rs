//! `weir trigger`: one push, as WeChat would send it, and what becomes of it.

mod args;
mod draft;
mod kinds;
mod request;
pub(crate) mod shown;
pub(crate) mod verdict;
mod verify;

use serde_json::json;
use weir_protocol::kinds::Carrier;
use weir_sim::{Attempt, Outcome as AttemptOutcome, Sender, SendingClock, UserSees};

pub use args::TriggerArgs;

use crate::Outcome;
use crate::account::Known;
use crate::term::outln;
use verdict::Judged;

/// Runs the command.
///
/// # Errors
/// It could not be tried: the account is not known, the URL is none, a field cannot be set.
pub async fn run(args: &TriggerArgs) -> anyhow::Result<Outcome> {
    if args.list_kinds {
        kinds::print()?;
        return Ok(Outcome::Good);
    }
    let known = args.account.one()?;
    // clap has it: without --list-kinds there is a URL.
    let url = args.url.as_deref().unwrap_or_default();
    if args.is_verification() {
        return verify::run(args, &known, &known.url(url, Carrier::Component)).await;
    }
    let draft = draft::make(args, &known)?;
    let url = known.url(url, draft.kind.carrier);
    let sender = sender(args, &known, &url)?;
    if args.dry_run {
        let readable = draft.push.body(known.account.format);
        request::print(args.json, &url, &sender.request(&draft.push), &readable)?;
        return Ok(Outcome::Good);
    }
    send(args, &known, &sender, &url, &draft).await
}

fn sender(args: &TriggerArgs, known: &Known, url: &str) -> anyhow::Result<Sender> {
    let timing = SendingClock {
        attempts: args.attempts,
        ..SendingClock::faster(args.faster)
    };
    Ok(Sender::to(known.account.clone(), args.connect.target(url)?)?.with_timing(timing))
}

async fn send(
    args: &TriggerArgs,
    known: &Known,
    sender: &Sender,
    url: &str,
    draft: &draft::Draft,
) -> anyhow::Result<Outcome> {
    if !args.json {
        outln!(
            "{} from {} to {} ({}, {}) at {url}",
            draft.kind.name,
            draft.push.from_user_name(),
            draft.push.to_user_name(),
            serde_json::to_value(known.account.mode)?
                .as_str()
                .unwrap_or_default(),
            serde_json::to_value(known.account.format)?
                .as_str()
                .unwrap_or_default(),
        )?;
        for note in &draft.notes {
            outln!("note: {note}")?;
        }
    }
    let exchange = sender.push(&draft.push).await;
    let judged = verdict::judge(&exchange, &draft.kind, known);
    if args.json {
        print_json(draft, url, &exchange, &judged)?;
    } else {
        for attempt in &exchange.attempts {
            print_attempt(attempt)?;
        }
        if let UserSees::Reply(reply) = &exchange.reply {
            outln!("\nreply: {}", shown::heading(reply))?;
            for line in shown::lines(reply) {
                outln!("  │ {line}")?;
            }
        }
        outln!("\n{}", judged.sentence)?;
        for note in &judged.notes {
            outln!("note: {note}")?;
        }
    }
    Ok(Outcome::good_if(judged.verdict.is_good()))
}

fn print_attempt(attempt: &Attempt) -> std::io::Result<()> {
    let ms = attempt.took.as_secs_f64() * 1000.0;
    let at = match attempt.number {
        1 => String::new(),
        _ => format!(" at {:.1} s", attempt.started_after.as_secs_f64()),
    };
    outln!(
        "attempt {}{at}: {} after {ms:.1} ms",
        attempt.number,
        crate::term::harmless(&outcome_words(attempt))
    )
}

fn outcome_words(attempt: &Attempt) -> String {
    match (&attempt.outcome, attempt.status()) {
        (AttemptOutcome::Answered | AttemptOutcome::Refused, status) => {
            format!("status {}", status.unwrap_or_default())
        }
        (AttemptOutcome::Cut, _) => "no answer within 5 s, connection closed".to_owned(),
        (AttemptOutcome::Broken(why), _) => why.clone(),
    }
}

fn attempt_json(attempt: &Attempt) -> serde_json::Value {
    json!({
        "number": attempt.number,
        "started_after_ms": millis(attempt.started_after),
        "took_ms": millis(attempt.took),
        "status": attempt.status(),
        "error": match &attempt.outcome {
            AttemptOutcome::Answered | AttemptOutcome::Refused => None,
            AttemptOutcome::Cut | AttemptOutcome::Broken(_) => Some(outcome_words(attempt)),
        },
    })
}

fn millis(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

fn print_json(
    draft: &draft::Draft,
    url: &str,
    exchange: &weir_sim::Exchange,
    judged: &Judged,
) -> anyhow::Result<()> {
    let reply = match &exchange.reply {
        UserSees::Reply(reply) => {
            serde_json::from_str(&reply.fields.to_json()).unwrap_or(serde_json::Value::Null)
        }
        UserSees::Nothing | UserSees::ServiceFault(_) => serde_json::Value::Null,
    };
    let notes: Vec<&String> = draft.notes.iter().chain(&judged.notes).collect();
    let whole = json!({
        "url": url,
        "kind": draft.kind.name,
        "openid": draft.push.from_user_name(),
        "attempts": exchange.attempts.iter().map(attempt_json).collect::<Vec<_>>(),
        "verdict": judged.verdict,
        "sentence": judged.sentence,
        "reply": reply,
        "notes": notes,
    });
    outln!("{}", serde_json::to_string_pretty(&whole)?)?;
    Ok(())
}
