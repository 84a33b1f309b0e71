//! One message to its end: noted, sent, sent again where that cannot reach the user twice, and noted again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::RECOGNISED_MS;
use super::door::{Answer, Door};
use super::errcodes::{self, Then};
use super::fate::Fate;
use super::journal::Journal;
use super::list::Recipient;
use super::message::Message;
use super::now_ms;
use super::pace::{Pace, Stop};

/// Tries of a message that WeChat was too busy for, or whose answer was lost.
const TRIES: u32 = 4;
/// Tries to reach a door that has answered before: half a minute.
const CONNECTS: u32 = 9;
/// Tries to reach a door that never has.
const FIRST_CONNECTS: u32 = 2;
/// Pauses in a row, after which WeChat means it.
const PAUSES: u32 = 10;
/// The first wait; each is twice as long as the one before.
const WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// What all that send share.
pub(super) struct Sending {
    pub(super) door: Door,
    pub(super) message: Message,
    pub(super) journal: Journal,
    pub(super) pace: Pace,
    /// How long to pause when there were too many calls in a minute.
    pub(super) minute: Duration,
    /// Whether the door has ever answered.
    pub(super) answered: AtomicBool,
}

/// How often a message has met what.
#[derive(Default)]
struct Tries {
    /// A try may have sent it.
    doubtful: u32,
    connects: u32,
    pauses: u32,
}

/// What one try brought.
enum Step {
    Done(Fate),
    /// The run is useless: nothing was sent, and nothing would be.
    Stop(Option<i64>, String),
    /// Try again after a wait of one's own.
    Wait(Duration),
    /// Try again after a pause of all.
    Pause(Duration),
}

impl Sending {
    /// Sends to one recipient. `since_ms`: an earlier run may have sent it then. `None`: the run was stopped before it began.
    pub(super) async fn send(&self, recipient: &Recipient, since_ms: Option<i64>) -> Option<Fate> {
        if !self.pace.turn().await {
            return None;
        }
        let begun_ms = now_ms();
        let openid = &recipient.openid;
        if self.journal.intend(openid, begun_ms).await.is_err() {
            self.pace.stop(Stop::NoJournal);
            return None;
        }
        let fate = self.carry_out(recipient, since_ms, begun_ms).await;
        if self.journal.settle(openid, &fate).is_err() {
            self.pace.stop(Stop::NoJournal);
        }
        Some(fate)
    }

    async fn carry_out(&self, recipient: &Recipient, since_ms: Option<i64>, begun_ms: i64) -> Fate {
        let body = self.message.body(recipient);
        let recognised_until_ms = since_ms.unwrap_or(begun_ms) + RECOGNISED_MS;
        let mut tries = Tries::default();
        if since_ms.is_some() {
            tries.doubtful += 1;
        }
        loop {
            let answer = self.door.send(&body).await;
            let reached = !matches!(answer, Answer::NotReached(_));
            self.answered.fetch_or(reached, Ordering::Relaxed);
            let go_on = match self.judge(answer, &mut tries) {
                Step::Done(fate) => return fate,
                Step::Stop(errcode, why) => {
                    let fate = self.not_sent(&tries, why.clone());
                    self.pace.stop(Stop::Useless { errcode, why });
                    return match errcode {
                        Some(errcode) => fate.with_errcode(errcode),
                        None => fate,
                    };
                }
                Step::Wait(time) => self.pace.wait(time).await && self.pace.turn().await,
                Step::Pause(time) => {
                    self.pace.pause(time);
                    self.pace.turn().await
                }
            };
            if !go_on {
                return self.not_sent(&tries, "the run was stopped".to_owned());
            }
            if tries.doubtful > 0 && now_ms() >= recognised_until_ms {
                return Fate::unknown("no answer for so long that WeChat forgets it", false);
            }
        }
    }

    /// This try did not send it; an earlier one may have.
    fn not_sent(&self, tries: &Tries, why: String) -> Fate {
        match tries.doubtful {
            0 => Fate::postponed(why),
            _ => self.doubt(why),
        }
    }

    fn doubt(&self, why: String) -> Fate {
        Fate::unknown(why, self.message.api.is_recognised())
    }

    fn judge(&self, answer: Answer, tries: &mut Tries) -> Step {
        match answer {
            Answer::Told {
                errcode,
                errmsg,
                msgid,
            } => self.told(errcode, &errmsg, msgid, tries),
            Answer::Lost(why) => self.doubtful(None, why, tries),
            Answer::NotTaken(why) => match tries.doubtful {
                0 => Step::Done(Fate::refused(why)),
                _ => Step::Done(self.doubt(why)),
            },
            Answer::NotLetIn(why) => Step::Stop(None, why),
            Answer::Limited(wait) => {
                let wait = wait.unwrap_or_else(|| backoff(tries.pauses));
                self.pause(
                    None,
                    "the door has had enough of us".to_owned(),
                    wait,
                    tries,
                )
            }
            Answer::NotReached(why) => {
                tries.connects += 1;
                let most = if self.answered.load(Ordering::Relaxed) {
                    CONNECTS
                } else {
                    FIRST_CONNECTS
                };
                if tries.connects >= most {
                    let why = format!("the door at {} is not reached: {why}", self.door.origin());
                    return Step::Stop(None, why);
                }
                Step::Wait(backoff(tries.connects))
            }
        }
    }

    fn told(&self, errcode: i64, errmsg: &str, msgid: Option<String>, tries: &mut Tries) -> Step {
        let meaning = errcodes::meaning(errcode);
        let said = errcodes::without_rid(errmsg);
        let reason = match meaning.reason {
            "" if said.is_empty() => "WeChat gives no reason".to_owned(),
            known => match (said.strip_prefix("weir: "), known) {
                (Some(door), "") => format!("the door says: {door}"),
                (Some(door), known) => format!("{known} (the door says: {door})"),
                (None, "") => format!("WeChat says: {said}"),
                (None, known) => known.to_owned(),
            },
        };
        match meaning.then {
            Then::Sent => Step::Done(Fate::sent(errcode, msgid)),
            Then::Refuse => {
                let mut fate = Fate::refused(reason).with_errcode(errcode);
                fate.field = errcodes::field(errmsg).map(str::to_owned);
                Step::Done(fate)
            }
            Then::Stop => Step::Stop(Some(errcode), reason),
            Then::Busy => self.doubtful(Some(errcode), reason, tries),
            Then::NextMinute => self.pause(Some(errcode), reason, self.minute, tries),
        }
    }

    /// It may have been sent: tried again only if WeChat would recognise it.
    fn doubtful(&self, errcode: Option<i64>, why: String, tries: &mut Tries) -> Step {
        tries.doubtful += 1;
        if self.message.api.is_recognised() && tries.doubtful < TRIES {
            return Step::Wait(backoff(tries.doubtful));
        }
        let fate = self.doubt(why);
        Step::Done(Fate { errcode, ..fate })
    }

    fn pause(&self, errcode: Option<i64>, why: String, time: Duration, tries: &mut Tries) -> Step {
        tries.pauses += 1;
        if tries.pauses >= PAUSES {
            return Step::Stop(errcode, why);
        }
        Step::Pause(jittered(time))
    }
}

fn backoff(tries: u32) -> Duration {
    let wait = WAIT.saturating_mul(1 << tries.saturating_sub(1).min(16));
    jittered(wait.min(LONGEST_WAIT))
}

/// Up to a quarter more, so that not everybody comes at once.
fn jittered(time: Duration) -> Duration {
    time.mul_f64(1.0 + fastrand::f64() / 4.0)
}
