//! Asks the store for a user until it says what is expected, or for long enough.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Step;
use crate::http::{self, BadTarget, Request, Target};
use crate::wechat::Account;

const POLL_EVERY: Duration = Duration::from_millis(25);
/// For one answer of the store.
const PATIENCE: Duration = Duration::from_secs(5);

/// The store's read API.
pub(super) struct Store {
    target: Target,
}

/// What a user's row has to say, by JSON pointer.
pub(super) struct Expected {
    path: String,
    values: Vec<(String, Value)>,
}

impl Expected {
    pub(super) fn new(account: &Account, openid: &str) -> Self {
        let path = format!("/v1/users/{}/{openid}", account.name);
        Self {
            path,
            values: Vec::new(),
        }
        .that("/account", account.name.as_str())
        .that("/openid", openid)
    }

    pub(super) fn that(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        self.values.push((pointer.to_owned(), value.into()));
        self
    }

    /// Each member of an object, below `pointer`.
    pub(super) fn that_all(mut self, pointer: &str, object: &Value) -> Self {
        for (name, value) in object.as_object().into_iter().flatten() {
            self = self.that(&format!("{pointer}/{name}"), value.clone());
        }
        self
    }

    /// What is missing or different in `row`.
    fn differences(&self, row: &Value) -> Vec<String> {
        self.values
            .iter()
            .filter_map(|(pointer, expected)| {
                let found = row.pointer(pointer).unwrap_or(&Value::Null);
                (found != expected).then(|| {
                    format!(
                        "{} is {found}, expected {expected}",
                        pointer.trim_start_matches('/').replace('/', ".")
                    )
                })
            })
            .collect()
    }
}

/// One answer: its status and body.
type Answer = Result<(u16, String), String>;

impl Store {
    pub(super) fn new(url: &str) -> Result<Self, BadTarget> {
        Target::parse(url).map(|target| Self { target })
    }

    /// Asks until nothing differs or patience is over. The row goes into the step when `show` says so, or it is wrong.
    pub(super) async fn wait_for(
        &self,
        name: &str,
        expected: &Expected,
        patience: Duration,
        show: bool,
    ) -> Step {
        let started = Instant::now();
        loop {
            let answer = self.get(&expected.path).await;
            let wrong = judge(&answer, expected);
            if wrong.is_empty() || started.elapsed() >= patience {
                let (status, body) =
                    answer.map_or((None, None), |(status, body)| (Some(status), Some(body)));
                return Step {
                    name: name.to_owned(),
                    took: started.elapsed(),
                    status,
                    saw: if show {
                        format!("GET {}", expected.path)
                    } else {
                        summary(body.as_deref())
                    },
                    json: body.filter(|_| show || !wrong.is_empty()),
                    wrong,
                };
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    async fn get(&self, path: &str) -> Answer {
        let base = self.target.path().trim_end_matches('/');
        let request = Request::new("GET", &format!("{base}{path}"));
        let exchange = tokio::time::timeout(PATIENCE, http::exchange(&self.target, &request)).await;
        let response = exchange
            .map_err(|_| "no answer in time".to_owned())?
            .map_err(|fault| fault.to_string())?;
        Ok((
            response.status,
            String::from_utf8_lossy(&response.body).into_owned(),
        ))
    }
}

fn judge(answer: &Answer, expected: &Expected) -> Vec<String> {
    match answer {
        Err(why) => vec![format!("the store: {why}")],
        Ok((200, body)) => match serde_json::from_str(body) {
            Ok(row) => expected.differences(&row),
            Err(_) => vec!["the store's answer is not JSON".to_owned()],
        },
        Ok((status, _)) => vec![format!("the store answers {status}")],
    }
}

/// The row in a few words.
fn summary(body: Option<&str>) -> String {
    let row: Value = body
        .and_then(|body| serde_json::from_str(body).ok())
        .unwrap_or_default();
    let words = [
        "/profile/nickname",
        "/profile/subscribe_scene",
        "/follow/state",
    ];
    let words: Vec<&str> = words
        .iter()
        .filter_map(|pointer| row.pointer(pointer)?.as_str())
        .collect();
    words.join(", ")
}
