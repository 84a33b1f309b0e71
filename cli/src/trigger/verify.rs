//! `weir trigger URL verify`: WeChat's console checks the URL before it takes it.

use serde_json::json;
use weir_sim::http::Request;
use weir_sim::wechat::signature::sign;
use weir_sim::wechat::{cipher, ids};
use weir_sim::{Attempt, Clock, Outcome as AttemptOutcome};

use super::{TriggerArgs, attempt_json, print_attempt, request, sender, verdict};
use crate::Outcome;
use crate::account::{AccountKind, Known};
use crate::term::outln;

pub(super) async fn run(args: &TriggerArgs, known: &Known, url: &str) -> anyhow::Result<Outcome> {
    let sender = sender(args, known, url)?;
    let (request, echo) = match known.kind {
        AccountKind::WeCom => sealed(known, sender.verification_request())?,
        _ => {
            let request = sender.verification_request();
            let echo = request
                .query_value("echostr")
                .unwrap_or_default()
                .to_owned();
            (request, echo)
        }
    };
    if args.dry_run {
        request::print(args.json, url, &request, &[])?;
        return Ok(Outcome::Good);
    }
    let attempt = sender.attempt(&request).await;
    let refusal = refusal(&attempt, &echo);
    let sentence = match &refusal {
        None => "WeChat's console takes this URL.".to_owned(),
        Some(why) => format!("WeChat's console refuses this URL: {why}."),
    };
    if args.json {
        let whole = json!({
            "url": url,
            "kind": "verify",
            "attempts": [attempt_json(&attempt)],
            "verdict": if refusal.is_none() { "verified" } else { "not_verified" },
            "sentence": sentence,
        });
        outln!("{}", serde_json::to_string_pretty(&whole)?)?;
    } else {
        print_attempt(&attempt)?;
        outln!("\n{sentence}")?;
        for note in verdict::hints(std::slice::from_ref(&attempt)) {
            outln!("note: {note}")?;
        }
    }
    Ok(Outcome::good_if(refusal.is_none()))
}

/// What is wrong with the answer; it has to be `echo` to the byte.
fn refusal(attempt: &Attempt, echo: &str) -> Option<&'static str> {
    match (&attempt.outcome, &attempt.response) {
        (AttemptOutcome::Answered, Some(response)) if response.body == echo.as_bytes() => None,
        (AttemptOutcome::Answered, _) => Some("the answer is not exactly the echostr"),
        (AttemptOutcome::Refused, _) => Some("the status is not 200"),
        (AttemptOutcome::Cut | AttemptOutcome::Broken(_), _) => Some("there is no answer"),
    }
}

/// WeCom encrypts the `echostr`, and signs it too. Source: WeCom's page on receiving messages.
fn sealed(known: &Known, mut request: Request) -> anyhow::Result<(Request, String)> {
    let account = &known.account;
    let echo = ids::echostr();
    let prefix = ids::alphanumeric(cipher::PREFIX_LEN).into_bytes();
    let prefix: [u8; cipher::PREFIX_LEN] = prefix
        .try_into()
        .expect("it has that many letters and digits");
    let sealed = cipher::encrypt(&account.aes_key()?, prefix, echo.as_bytes(), &account.appid);
    let timestamp = Clock::system().now_s().to_string();
    let nonce = ids::nonce();
    let signature = sign(&[&account.token, &timestamp, &nonce, &sealed]);
    request.query.clear();
    request
        .set_query("msg_signature", signature)
        .set_query("timestamp", timestamp)
        .set_query("nonce", nonce)
        .set_query("echostr", sealed);
    Ok((request, echo))
}
