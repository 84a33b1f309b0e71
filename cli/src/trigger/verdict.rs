//! What WeChat would do with what it got.

use serde::Serialize;
use weir_sim::{Attempt, Clock, Exchange, Fault, Outcome, Reply, UserSees};

use crate::account::{AccountKind, Known};
use crate::push::Kind;

/// How often WeChat tries in all.
const ATTEMPTS: usize = 3;
/// A reply that far from now comes from a clock that is wrong, seconds.
const CLOCK_TOLERANCE_S: u64 = 300;

/// What WeChat would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The user sees the reply.
    ReplyShown,
    /// The reply is right, and this kind of push shows none.
    ReplyIgnored,
    /// The user sees nothing, as the answer asks.
    NothingShown,
    /// The user sees the notice that the service is at fault.
    ServiceFault,
    /// It tries again.
    TriesAgain,
}

impl Verdict {
    /// Whether the answer was in order.
    pub(crate) fn is_good(self) -> bool {
        match self {
            Self::ReplyShown | Self::ReplyIgnored | Self::NothingShown => true,
            Self::ServiceFault | Self::TriesAgain => false,
        }
    }
}

/// The verdict and its reasons, in words.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) sentence: String,
    pub(crate) notes: Vec<String>,
}

pub(crate) fn judge(exchange: &Exchange, kind: &Kind, known: &Known) -> Judged {
    let mut notes = hints(&exchange.attempts);
    let (verdict, sentence) = match &exchange.reply {
        UserSees::Reply(reply) => {
            notes.extend(doubts(reply, known));
            if kind.is_answered() {
                (
                    Verdict::ReplyShown,
                    "WeChat shows the reply to the user.".to_owned(),
                )
            } else {
                (
                    Verdict::ReplyIgnored,
                    format!(
                        "The user sees nothing: WeChat shows no reply to {}.",
                        kind.name
                    ),
                )
            }
        }
        UserSees::Nothing => (
            Verdict::NothingShown,
            "WeChat shows nothing to the user, and does not try again.".to_owned(),
        ),
        UserSees::ServiceFault(Fault::NoAnswer) if exchange.attempts.len() < ATTEMPTS => (
            Verdict::TriesAgain,
            format!(
                "WeChat tries again (attempt {} of {ATTEMPTS}); after the last one the user sees “service fault”.",
                exchange.attempts.len() + 1
            ),
        ),
        UserSees::ServiceFault(fault) => (
            Verdict::ServiceFault,
            format!("WeChat shows the user “service fault”: {fault}."),
        ),
    };
    if verdict == Verdict::ServiceFault && !kind.is_answered() {
        notes.push(format!(
            "of {} the user may see nothing; the account's operators get an alarm",
            kind.name
        ));
    }
    Judged {
        verdict,
        sentence,
        notes,
    }
}

/// What is right by the letter and still looks wrong.
fn doubts(reply: &Reply, known: &Known) -> Vec<String> {
    let mut doubts = Vec::new();
    let created = reply.fields.text("CreateTime").unwrap_or_default();
    if let Ok(created) = created.parse::<i64>() {
        let off = Clock::system().now_s().abs_diff(created);
        if off > CLOCK_TOLERANCE_S {
            doubts.push(format!(
                "the reply's CreateTime is {off} s from this machine's time"
            ));
        }
    }
    let articles = crate::trigger::shown::articles(&reply.fields).len();
    if reply.articles_shown < articles {
        doubts.push(format!(
            "of {articles} articles WeChat shows {}: in answer to a message it drops the others",
            reply.articles_shown
        ));
    }
    if known.kind == AccountKind::MiniProgram && reply.msg_type != "transfer_customer_service" {
        doubts.push(
            "a mini program's users can only be handed to customer service; WeChat shows no other reply".to_owned(),
        );
    }
    doubts
}

/// What to look at, by the statuses that came.
pub(crate) fn hints(attempts: &[Attempt]) -> Vec<String> {
    let Some(attempt) = attempts.last() else {
        return Vec::new();
    };
    let hint = match (&attempt.outcome, attempt.status()) {
        (Outcome::Refused, Some(403)) => {
            "403 is Weir's word to a push it takes for forged: compare Token, EncodingAESKey, appid, original id, mode, and \
             the clock of this machine; weir_pushes{outcome} tells which"
        }
        (Outcome::Refused, Some(404)) => {
            "404: no account has this path, or the request went past Weir"
        }
        (Outcome::Refused, Some(405)) => "405: Weir takes POST and GET alone",
        (Outcome::Refused, Some(413)) => "413: the push is larger than limits.max_body_bytes",
        (Outcome::Refused, Some(503)) => {
            "503: Weir has no room, or its VM has crashed; see weir_outbox_events and Envoy's log"
        }
        (Outcome::Refused, Some(status)) if (300..400).contains(&status) => {
            "WeChat follows no redirect: give it the final URL"
        }
        (Outcome::Cut, _) => {
            "with \"ack\": \"after_store\" Weir holds the first two attempts while the store does not answer"
        }
        _ => return Vec::new(),
    };
    vec![hint.to_owned()]
}
