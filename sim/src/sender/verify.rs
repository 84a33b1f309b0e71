//! Verification of the URL: GET with `echostr`, and the answer has to be its bytes and nothing else.

use super::exchange::{Attempt, Outcome};
use crate::http::Request;
use crate::wechat::signature::sign;
use crate::wechat::{Account, ids};

/// What came of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// The one request.
    pub attempt: Attempt,
    /// `Ok`, or what was wrong with the answer.
    pub result: Result<(), String>,
}

/// A request with the three-part signature, and the headers WeChat sends.
pub(super) fn signed(
    method: &str,
    account: &Account,
    path: &str,
    timestamp: &str,
    nonce: &str,
) -> Request {
    let mut request = Request::new(method, path);
    request
        .set_query("signature", sign(&[&account.token, timestamp, nonce]))
        .set_query("timestamp", timestamp)
        .set_query("nonce", nonce)
        .add_header("User-Agent", "Mozilla/4.0")
        .add_header("Accept", "*/*")
        .add_header("Pragma", "no-cache");
    request
}

/// The request and its `echostr`.
pub(super) fn request(account: &Account, path: &str, now_s: i64) -> (Request, String) {
    let echostr = ids::echostr();
    let mut request = signed("GET", account, path, &now_s.to_string(), &ids::nonce());
    request.set_query("echostr", echostr.as_str());
    (request, echostr)
}

pub(super) fn conclude(attempt: Attempt, echostr: &str) -> Verification {
    let result = match (&attempt.outcome, &attempt.response) {
        (Outcome::Answered, Some(response)) if response.body == echostr.as_bytes() => Ok(()),
        (Outcome::Answered, _) => Err("the answer is not exactly the echostr".to_owned()),
        (Outcome::Refused, response) => Err(format!(
            "status {}, and 200 is expected",
            response.as_ref().map_or(0, |r| r.status)
        )),
        (Outcome::Cut, _) => Err("no answer in time".to_owned()),
        (Outcome::Broken(why), _) => Err(why.clone()),
    };
    Verification { attempt, result }
}
