//! Calls that may be made again: whatever is in the way is waited for, until it is clear that waiting does not help.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::door::{Door, Reply};
use crate::errcodes::{self, Then, UNAUTHORIZED};
use crate::pace::{Pace, Patience, Stop, backoff};

/// Tries of a call that WeChat was too busy for, or whose answer was lost.
const TRIES: u32 = 6;

/// The run is over: [`Pace::stopped`] says why.
#[derive(Debug)]
pub struct Ended;

/// Why there is no answer.
#[derive(Debug)]
pub enum Failed {
    /// The run is over.
    Ended,
    /// WeChat does not do this one.
    Refused {
        /// WeChat's.
        errcode: i64,
        /// In words.
        why: String,
    },
}

impl From<Ended> for Failed {
    fn from(_: Ended) -> Self {
        Self::Ended
    }
}

/// The door, with patience.
pub struct Calls {
    door: Door,
    /// How long to pause when there were too many calls in a minute.
    minute: Duration,
    /// Whether the door has ever answered.
    answered: AtomicBool,
    /// How many calls were made, and answered or not.
    made: AtomicU64,
}

impl Calls {
    /// `minute`: how long to pause when WeChat says that there were too many calls in this minute; 60 s is right.
    #[must_use]
    pub fn new(door: Door, minute: Duration) -> Self {
        Self {
            door,
            minute,
            answered: false.into(),
            made: 0.into(),
        }
    }

    /// How many calls were made.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// WeChat's answer to a GET of `target`, a path with its query.
    ///
    /// # Errors
    /// WeChat does not do it, or the run is over: where nothing helps, this stops `pace` with the reason.
    pub async fn get(&self, pace: &Pace, target: &str) -> Result<Value, Failed> {
        self.call(pace, Ask::Get(target), Need::Must).await
    }

    /// WeChat's answer to a POST, which must be one that may be made twice: an answer that got lost is asked for again.
    ///
    /// # Errors
    /// As of [`get`](Self::get).
    pub async fn post(&self, pace: &Pace, path: &str, body: &Value) -> Result<Value, Failed> {
        self.call(pace, Ask::Post(path, body), Need::Must).await
    }

    /// The same for a GET that the run can do without: as of [`post_if_allowed`](Self::post_if_allowed).
    ///
    /// # Errors
    /// As of [`get`](Self::get).
    pub async fn get_if_allowed(&self, pace: &Pace, target: &str) -> Result<Value, Failed> {
        self.call(pace, Ask::Get(target), Need::May).await
    }

    /// The same for a call that the run can do without: that the account may not make it ends no run. That the door does not let
    /// it through counts as [`UNAUTHORIZED`].
    ///
    /// # Errors
    /// As of [`get`](Self::get).
    pub async fn post_if_allowed(
        &self,
        pace: &Pace,
        path: &str,
        body: &Value,
    ) -> Result<Value, Failed> {
        self.call(pace, Ask::Post(path, body), Need::May).await
    }

    async fn call(&self, pace: &Pace, ask: Ask<'_>, need: Need) -> Result<Value, Failed> {
        let mut patience = Patience::default();
        let mut tries = 0;
        let useless = |errcode, why| {
            pace.stop(Stop::Useless { errcode, why });
            Failed::Ended
        };
        loop {
            if !pace.turn().await {
                return Err(Failed::Ended);
            }
            let reply = match ask {
                Ask::Get(target) => self.door.get(target).await,
                Ask::Post(path, body) => self.door.post(path, body).await,
            };
            let reached = !matches!(reply, Reply::NotReached(_));
            let answered = self.answered.fetch_or(reached, Ordering::Relaxed);
            self.made.fetch_add(u64::from(reached), Ordering::Relaxed);
            let (errcode, why, wait) = match reply {
                Reply::NotReached(why) => {
                    let why = format!("the door at {} is not reached: {why}", self.door.origin());
                    (None, why, patience.connect(answered).map(Wait::Alone))
                }
                Reply::Lost(why) => {
                    tries += 1;
                    (
                        None,
                        why,
                        (tries < TRIES).then(|| Wait::Alone(backoff(tries))),
                    )
                }
                Reply::Limited(time) => {
                    let why = "the door has had enough of us".to_owned();
                    (None, why, patience.pause(time).map(Wait::All))
                }
                Reply::NotLetIn(why) if need == Need::May => {
                    let errcode = UNAUTHORIZED;
                    return Err(Failed::Refused { errcode, why });
                }
                Reply::NotLetIn(why) | Reply::NotTaken(why) => (None, why, None),
                Reply::Told(told) => {
                    let errcode = told.errcode.unwrap_or(0);
                    let why = errcodes::reason(errcode, told.errmsg());
                    match errcodes::meaning(errcode).then {
                        Then::Done => return Ok(told.body),
                        Then::Refuse => return Err(Failed::Refused { errcode, why }),
                        Then::Bar if need == Need::May => {
                            return Err(Failed::Refused { errcode, why });
                        }
                        Then::Stop | Then::Bar => return Err(useless(Some(errcode), why)),
                        Then::Busy => {
                            tries += 1;
                            let wait = (tries < TRIES).then(|| Wait::Alone(backoff(tries)));
                            (Some(errcode), why, wait)
                        }
                        Then::NextMinute => {
                            let wait = patience.pause(Some(self.minute)).map(Wait::All);
                            (Some(errcode), why, wait)
                        }
                    }
                }
            };
            match wait {
                None => return Err(useless(errcode, why)),
                Some(Wait::All(time)) => pace.pause(time),
                Some(Wait::Alone(time)) => {
                    if !pace.wait(time).await {
                        return Err(Failed::Ended);
                    }
                }
            }
        }
    }
}

/// A call.
#[derive(Clone, Copy)]
enum Ask<'a> {
    Get(&'a str),
    Post(&'a str, &'a Value),
}

/// Whether the run ends when the account may not make a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Must,
    May,
}

/// Who waits.
enum Wait {
    Alone(Duration),
    All(Duration),
}
