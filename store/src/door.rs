//! The way to WeChat: the gateway's API door, as a client of it.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use weir_errands::door::{Entrance, Reply, Told, Unusable};
use weir_errands::errcodes::{self, Then};

use crate::wechat::{Delay, Refusal, Verdict, Wechat};

/// After too many calls in a minute.
const MINUTE: Duration = Duration::from_secs(60);
/// Where an operator has to act first.
const OPERATOR: Duration = Duration::from_secs(600);
/// With the day's quota used up: tomorrow is at most 24 tries away.
const QUOTA: Duration = Duration::from_secs(3_600);

/// WeChat behind the door.
#[derive(Clone)]
pub struct ThroughDoor(Entrance);

impl ThroughDoor {
    /// By this entrance.
    #[must_use]
    pub fn new(entrance: Entrance) -> Self {
        Self(entrance)
    }
}

impl fmt::Debug for ThroughDoor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It holds a key.
        formatter.write_str("ThroughDoor")
    }
}

#[async_trait]
impl Wechat for ThroughDoor {
    async fn post(&self, account: &str, path: &str, body: &Value) -> Verdict {
        match self.0.door(account) {
            Ok(door) => verdict(door.post(path, body).await),
            Err(unusable) => no_door(&unusable),
        }
    }

    async fn get(&self, account: &str, target: &str) -> Verdict {
        match self.0.door(account) {
            Ok(door) => verdict(door.get(target).await),
            Err(unusable) => no_door(&unusable),
        }
    }
}

/// The door has no account of this name.
fn no_door(unusable: &Unusable) -> Verdict {
    Verdict::Later(Delay {
        errcode: None,
        why: unusable.to_string(),
        wait: Some(OPERATOR),
        for_all: true,
        maybe_done: false,
    })
}

/// What a reply of the door means.
fn verdict(reply: Reply) -> Verdict {
    let not_done = Delay {
        errcode: None,
        why: String::new(),
        wait: None,
        for_all: true,
        maybe_done: false,
    };
    Verdict::Later(match reply {
        Reply::Told(told) => return by_errcode(told),
        Reply::NotReached(why) => Delay {
            why: format!("the door is not reached: {why}"),
            ..not_done
        },
        Reply::Limited(wait) => Delay {
            why: "the door has had enough for now".to_owned(),
            wait,
            ..not_done
        },
        Reply::NotLetIn(why) => Delay {
            why,
            wait: Some(OPERATOR),
            ..not_done
        },
        Reply::NotTaken(why) => Delay {
            why,
            wait: Some(OPERATOR),
            for_all: false,
            ..not_done
        },
        Reply::Lost(why) => Delay {
            why,
            for_all: false,
            maybe_done: true,
            ..not_done
        },
    })
}

fn by_errcode(told: Told) -> Verdict {
    let errcode = told.errcode.unwrap_or(0);
    let why = errcodes::reason(errcode, told.errmsg());
    let delay = |wait: Option<Duration>, for_all| {
        Verdict::Later(Delay {
            errcode: Some(errcode),
            why: why.clone(),
            wait,
            for_all,
            maybe_done: wait.is_none(),
        })
    };
    match (errcodes::meaning(errcode).then, errcode) {
        (Then::Done, _) => Verdict::Done(told.body),
        (Then::NextMinute, _) => delay(Some(MINUTE), true),
        (Then::Busy, _) => delay(None, false),
        (Then::Stop, errcodes::QUOTA) => delay(Some(QUOTA), true),
        (Then::Bar | Then::Refuse, _) => Verdict::Refused(Refusal { errcode, why }),
        (Then::Stop, _) => delay(Some(OPERATOR), true),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(body: Value) -> Verdict {
        let errcode = body["errcode"].as_i64();
        verdict(Reply::Told(Told { errcode, body }))
    }

    #[test]
    fn an_answer_is_one_with_and_without_an_errcode() {
        let body = json!({"errcode": 0, "bonus": 1});
        assert_eq!(told(body.clone()), Verdict::Done(body));
        let body = json!({"tag": {"id": 100}});
        assert_eq!(told(body.clone()), Verdict::Done(body));
    }

    #[test]
    fn what_is_no_matter_of_time_is_refused_with_its_meaning() {
        for (errcode, words) in [
            (40056, "no card of this code"),
            (40127, "given to a friend"),
            (45059, "as many tags"),
            (48001, "may not make this call"),
        ] {
            let Verdict::Refused(refusal) = told(json!({"errcode": errcode, "errmsg": "x"})) else {
                panic!("{errcode} is refused");
            };
            assert_eq!(refusal.errcode, errcode);
            assert!(refusal.why.contains(words), "{refusal:?}");
        }
    }

    #[test]
    fn what_stands_in_every_calls_way_holds_all_and_the_rest_one() {
        let delay = |reply| match verdict(reply) {
            Verdict::Later(delay) => (delay.for_all, delay.wait, delay.maybe_done),
            other => panic!("{other:?}"),
        };
        let errcode = |errcode: i64| {
            Reply::Told(Told {
                errcode: Some(errcode),
                body: json!({}),
            })
        };
        assert_eq!(delay(errcode(45009)), (true, Some(QUOTA), false));
        assert_eq!(delay(errcode(45011)), (true, Some(MINUTE), false));
        assert_eq!(delay(errcode(40164)), (true, Some(OPERATOR), false));
        assert_eq!(delay(errcode(-1)), (false, None, true));
        let second = Some(Duration::from_secs(1));
        assert_eq!(delay(Reply::Limited(second)), (true, second, false));
        assert_eq!(delay(Reply::NotReached(String::new())), (true, None, false));
        assert_eq!(
            delay(Reply::NotLetIn(String::new())),
            (true, Some(OPERATOR), false)
        );
        assert_eq!(
            delay(Reply::NotTaken(String::new())),
            (false, Some(OPERATOR), false)
        );
        assert_eq!(delay(Reply::Lost(String::new())), (false, None, true));
    }
}
