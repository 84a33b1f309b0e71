//! One message to its end: noted, sent, sent again where that cannot reach the user twice, and noted again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::fate::Fate;
use super::message::Message;
use super::past::RECOGNISED_MS;
use super::recipient::Recipient;
use super::{Ledger, NotKept};
use crate::clock::now_ms;
use crate::door::{Door, Reply, Told};
use crate::errcodes::{self, Then};
use crate::pace::{Pace, Patience, Stop, backoff};

/// Tries of a message that WeChat was too busy for, or whose answer was lost.
const TRIES: u32 = 4;

/// What all that send share.
pub struct Sending<L> {
    door: Door,
    message: Message,
    /// Who was about to be sent it, and what became of it.
    pub ledger: L,
    /// When the next may leave.
    pub pace: Pace,
    /// How long to pause when there were too many calls in a minute.
    minute: Duration,
    /// Whether the door has ever answered.
    answered: AtomicBool,
}

/// How often a message has met what.
#[derive(Default)]
struct Tries {
    /// A try may have sent it.
    doubtful: u32,
    patience: Patience,
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

impl<L: Ledger> Sending<L> {
    /// `minute`: how long to pause when WeChat says that there were too many calls in this minute.
    #[must_use]
    pub fn new(door: Door, message: Message, ledger: L, pace: Pace, minute: Duration) -> Self {
        Self {
            door,
            message,
            ledger,
            pace,
            minute,
            answered: false.into(),
        }
    }

    /// Sends to one recipient. `since_ms`: an earlier run may have sent it then. `None`: the run was stopped before it began.
    pub async fn send(&self, recipient: &Recipient, since_ms: Option<i64>) -> Option<Fate> {
        if !self.pace.turn().await {
            return None;
        }
        let begun_ms = now_ms();
        let openid = &recipient.openid;
        match self.ledger.begin(openid, begun_ms).await {
            Ok(None) => {}
            Ok(fate) => return fate,
            Err(NotKept(why)) => {
                self.pace.stop(Stop::NotKept(why));
                return None;
            }
        }
        let fate = self.carry_out(recipient, since_ms, begun_ms).await;
        if let Err(NotKept(why)) = self.ledger.settle(openid, &fate) {
            self.pace.stop(Stop::NotKept(why));
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
            let reply = self.door.post(self.message.api.path(), &body).await;
            let reached = !matches!(reply, Reply::NotReached(_));
            self.answered.fetch_or(reached, Ordering::Relaxed);
            let go_on = match self.judge(reply, &mut tries) {
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

    fn judge(&self, reply: Reply, tries: &mut Tries) -> Step {
        match reply {
            Reply::Told(told) => self.told(&told, tries),
            Reply::Lost(why) => self.doubtful(None, why, tries),
            Reply::NotTaken(why) => match tries.doubtful {
                0 => Step::Done(Fate::refused(why)),
                _ => Step::Done(self.doubt(why)),
            },
            Reply::NotLetIn(why) => Step::Stop(None, why),
            Reply::Limited(time) => match tries.patience.pause(time) {
                Some(time) => Step::Pause(time),
                None => Step::Stop(None, "the door has had enough of us".to_owned()),
            },
            Reply::NotReached(why) => {
                match tries
                    .patience
                    .connect(self.answered.load(Ordering::Relaxed))
                {
                    Some(time) => Step::Wait(time),
                    None => {
                        let origin = self.door.origin();
                        Step::Stop(None, format!("the door at {origin} is not reached: {why}"))
                    }
                }
            }
        }
    }

    fn told(&self, told: &Told, tries: &mut Tries) -> Step {
        let msgid = match &told.body["msgid"] {
            Value::Number(number) => Some(number.to_string()),
            Value::String(text) => Some(text.clone()),
            _ => None,
        };
        let errcode = match told.errcode {
            Some(errcode) => errcode,
            None if msgid.is_some() => 0,
            None => return self.doubtful(None, "the answer is not WeChat's".to_owned(), tries),
        };
        let reason = errcodes::reason(errcode, told.errmsg());
        match errcodes::meaning(errcode).then {
            Then::Done => Step::Done(Fate::sent(errcode, msgid)),
            Then::Refuse => {
                let mut fate = Fate::refused(reason).with_errcode(errcode);
                fate.field = errcodes::field(told.errmsg()).map(str::to_owned);
                Step::Done(fate)
            }
            Then::Stop | Then::Bar => Step::Stop(Some(errcode), reason),
            Then::Busy => self.doubtful(Some(errcode), reason, tries),
            Then::NextMinute => match tries.patience.pause(Some(self.minute)) {
                Some(time) => Step::Pause(time),
                None => Step::Stop(Some(errcode), reason),
            },
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
}
