//! A request on its way: what the door remembers of it until WeChat has answered.

use weir_protocol::api::{self, AnswerError, SendAnswer};

use crate::admit::{Admitted, Head, Kind, Put};
use crate::cache::Thing;
use crate::effect::Step;
use crate::sends::{self, Send};

/// Headers of requests.
pub(crate) const AUTHORIZATION: &str = "authorization";
pub(crate) const ACCOUNT: &str = "x-weir-account";
/// How often a call is made again because of its token, and because WeChat was busy.
pub(crate) const MAX_TOKEN_REPLAYS: u8 = 4;
pub(crate) const MAX_BUSY_REPLAYS: u8 = 2;

/// Where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The body of a login is on its way.
    Login,
    /// The body is on its way.
    Body,
    /// There is no access token; since when, monotonic milliseconds.
    NoToken { since_ms: u64 },
    /// The store is to say whether the user has allowed the message.
    Credit,
    /// Somebody else asks for the same thing.
    Kept { since_ms: u64 },
    /// WeChat has it.
    Forwarded,
    /// WeChat's answer is held back: it is asked again with another token, when there is one.
    Refused { since_ms: u64 },
    /// The same, because it was busy; when.
    Busy { again_ms: u64 },
    /// It is asked again.
    Replaying,
}

#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) admitted: Admitted,
    pub(crate) stage: Stage,
    pub(crate) method: String,
    pub(crate) content_type: Option<String>,
    pub(crate) content_length: Option<u64>,
    /// What a login is to be held against.
    pub(crate) authorization: Option<String>,
    pub(crate) named_account: Option<String>,
    pub(crate) certificate: Option<String>,
    /// The request's body, where it is kept.
    pub(crate) body: Option<Vec<u8>>,
    /// The access token of the last try.
    pub(crate) token: String,
    pub(crate) token_replays: u8,
    pub(crate) busy_replays: u8,
    pub(crate) thing: Option<Thing>,
    pub(crate) send: Option<Send>,
    /// What is not for WeChat's eyes, of the headers that it has.
    hide: &'static [&'static str],
    /// The caller has gone; what comes of the call still counts.
    pub(crate) gone: bool,
}

impl Exchange {
    pub(crate) fn new(admitted: Admitted, head: &Head<'_>) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let is_login = admitted.kind == Kind::LoginByBody;
        let thing = (head.method == "GET" && head.ends)
            .then(|| Thing::of(&admitted.path, &admitted.query))
            .flatten();
        Self {
            stage: if is_login { Stage::Login } else { Stage::Body },
            method: head.method.to_owned(),
            content_type: owned(head.content_type),
            content_length: head.content_length,
            authorization: owned(head.authorization.filter(|_| is_login)),
            named_account: owned(head.account.filter(|_| is_login)),
            certificate: owned(head.certificate.filter(|_| is_login)),
            body: head.ends.then(Vec::new),
            token: String::new(),
            token_replays: 0,
            busy_replays: 0,
            thing,
            send: None,
            hide: match (head.authorization, head.account) {
                (None, None) => &[],
                (None, Some(_)) => &[ACCOUNT],
                (Some(_), None) => &[AUTHORIZATION],
                (Some(_), Some(_)) => &[AUTHORIZATION, ACCOUNT],
            },
            gone: false,
            admitted,
        }
    }

    /// Whether the body is to be there before the request goes on, given how much of it may be kept.
    pub(crate) fn wants_body(&self, most: usize) -> bool {
        let small = self
            .content_length
            .is_none_or(|length| length <= most as u64);
        self.body.is_none() && (small || sends::is_send(&self.admitted.path))
    }

    pub(crate) fn put(&self) -> Put {
        match self.admitted.kind {
            Kind::Call(put) => put,
            Kind::Login | Kind::LoginByBody => Put::Nothing,
        }
    }

    /// Whether the body ought to be JSON.
    pub(crate) fn is_json(&self) -> bool {
        let kind = self.content_type.as_deref();
        self.method == "POST" && kind.is_none_or(|kind| !kind.starts_with("multipart/"))
    }

    /// Whether the call may be made again without doing twice what it does: GET reads.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.method == "GET"
    }

    /// Whether it sets the counts of calls back.
    pub(crate) fn is_clear_quota(&self) -> bool {
        self.admitted.path == "/cgi-bin/clear_quota"
    }

    /// Reads WeChat's answer, and remembers what it calls a message. Also whether it says of itself that all is well.
    pub(crate) fn read(&mut self, answer: &[u8]) -> (Result<(), AnswerError>, bool) {
        let Some(send) = &mut self.send else {
            return (api::check(answer), false);
        };
        match SendAnswer::parse(answer) {
            Ok(answer) => {
                send.learn(answer.msgid);
                (Ok(()), answer.says_so)
            }
            Err(error) => (Err(error), false),
        }
    }

    /// It goes to WeChat.
    pub(crate) fn forward(&mut self, secret: &str) -> Step {
        self.stage = Stage::Forwarded;
        Step::Forward {
            path: self.target(secret),
            hide: self.hide,
        }
    }

    /// The target at WeChat.
    pub(crate) fn target(&self, secret: &str) -> String {
        let Admitted { path, query, .. } = &self.admitted;
        match self.put() {
            Put::AccessToken => format!("{path}?access_token={}{query}", self.token),
            Put::Secret => {
                let secret: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
                format!("{path}?secret={secret}{query}")
            }
            Put::Nothing => match query.strip_prefix('&') {
                Some(query) => format!("{path}?{query}"),
                None => path.clone(),
            },
        }
    }
}
