//! WeChat as a client: verifies the URL, sends pushes with its patience, judges the reply.
//!
//! [`Sender::push`] is the whole exchange: up to three attempts, each over its own connection, each closed after 5 s. The
//! pieces are open for tests that need to bend one: [`Sender::request`] signs one request, anyone may change it, and
//! [`Sender::attempt`] sends it; [`Sender::bending`] does so inside an exchange, attempt by attempt.
//!
//! Retries carry the same `MsgId` and `CreateTime`. Whether WeChat signs them anew is not known, so both are here: anew
//! by default, the same bytes with [`Sender::repeating`].
//!
//! Source: WeChat's pages on receiving messages and on message encryption; what they leave open (three attempts in all,
//! a status other than 200 counts as failed) is as several projects observed it.

mod clock;
mod envelope;
mod exchange;
mod judge;
mod verify;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use clock::{AfterFailure, SendingClock};
pub use exchange::{Attempt, Exchange, Fault, Outcome, Reply, UserSees};
pub use verify::Verification;

use crate::clock::Clock;
use crate::http::{self, Request, Target};
use crate::push::Push;
use crate::wechat::{Account, AesKey, Mode};

/// Changes a request before it is sent. The number is the attempt's, from 1.
pub type Bend = dyn Fn(u32, &mut Request) + Send + Sync;

/// WeChat's sending side for one account and one URL. Cheap to clone; safe to use from many tasks.
#[derive(Clone)]
pub struct Sender {
    account: Account,
    key: Option<AesKey>,
    targets: Vec<Target>,
    sending: SendingClock,
    clock: Clock,
    repeat: bool,
    bend: Option<Arc<Bend>>,
}

impl Sender {
    /// A sender with WeChat's own timing and the machine's clock.
    ///
    /// # Errors
    /// The URL or the account's key is not usable.
    pub fn new(account: Account, url: &str) -> anyhow::Result<Self> {
        Self::to(account, Target::parse(url)?)
    }

    /// As [`new`](Self::new), with a target of one's own making.
    ///
    /// # Errors
    /// The account's key is not usable.
    pub fn to(account: Account, target: Target) -> anyhow::Result<Self> {
        account.check()?;
        let key = if account.encoding_aes_key.is_empty() {
            None
        } else {
            Some(account.aes_key()?)
        };
        Ok(Self {
            account,
            key,
            targets: vec![target],
            sending: SendingClock::default(),
            clock: Clock::system(),
            repeat: false,
            bend: None,
        })
    }

    /// Another timing.
    pub fn with_timing(mut self, sending: SendingClock) -> Self {
        self.sending = sending;
        self
    }

    /// Another clock for the `timestamp` of requests: one that lags makes stale requests.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// One target per attempt; the last serves all further ones.
    ///
    /// # Panics
    /// When `targets` is empty.
    pub fn with_targets(mut self, targets: Vec<Target>) -> Self {
        assert!(!targets.is_empty(), "a sender needs a target");
        self.targets = targets;
        self
    }

    /// Retries repeat the first attempt byte by byte: same nonce, timestamp, signature and ciphertext.
    pub fn repeating(mut self) -> Self {
        self.repeat = true;
        self
    }

    /// Lets `bend` change each request of an exchange before it is sent.
    pub fn bending(mut self, bend: impl Fn(u32, &mut Request) + Send + Sync + 'static) -> Self {
        self.bend = Some(Arc::new(bend));
        self
    }

    /// Who it sends for.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The timing in use.
    pub fn timing(&self) -> &SendingClock {
        &self.sending
    }

    /// The request that WeChat would send for `push` now: signed afresh, encrypted as the account's mode says.
    pub fn request(&self, push: &Push) -> Request {
        envelope::request(
            &self.account,
            self.key.as_ref(),
            self.path(1),
            self.clock.now_s(),
            push,
        )
    }

    /// Sends `push` as WeChat does, and says what the user sees in the end.
    pub async fn push(&self, push: &Push) -> Exchange {
        let started = Instant::now();
        let mut attempts = Vec::new();
        let mut first: Option<Request> = None;
        for number in 1..=self.sending.attempts {
            if number > 1 {
                tokio::time::sleep_until(
                    (started + self.sending.start_of(number, &attempts)).into(),
                )
                .await;
            }
            let mut request = match &first {
                Some(request) if self.repeat => request.clone(),
                _ => self.request(push),
            };
            request.path = self.path(number).to_owned();
            first.get_or_insert_with(|| request.clone());
            if let Some(bend) = &self.bend {
                bend(number, &mut request);
            }
            let attempt = self.attempt_at(number, started, &request).await;
            let reply = match &attempt.outcome {
                Outcome::Answered => attempt
                    .response
                    .as_ref()
                    .map(|response| self.judge(push, &response.body)),
                _ => None,
            };
            attempts.push(attempt);
            if let Some(reply) = reply {
                return Exchange { attempts, reply };
            }
        }
        Exchange {
            attempts,
            reply: UserSees::ServiceFault(Fault::NoAnswer),
        }
    }

    /// Sends one request, once, with WeChat's patience, and judges nothing.
    pub async fn attempt(&self, request: &Request) -> Attempt {
        self.attempt_at(1, Instant::now(), request).await
    }

    /// What the user would see, were `body` the answer to `push`.
    pub fn judge(&self, push: &Push, body: &[u8]) -> UserSees {
        judge::judge(&self.account, self.key.as_ref(), push, body)
    }

    /// Verifies the URL as the console does when it is set up: GET with `echostr`.
    pub async fn verify_url(&self) -> Verification {
        let (request, echostr) = verify::request(&self.account, self.path(1), self.clock.now_s());
        verify::conclude(self.attempt(&request).await, &echostr)
    }

    /// The GET request of [`verify_url`](Self::verify_url), for tests that bend it.
    pub fn verification_request(&self) -> Request {
        verify::request(&self.account, self.path(1), self.clock.now_s()).0
    }

    async fn attempt_at(&self, number: u32, started: Instant, request: &Request) -> Attempt {
        let begun = Instant::now();
        // Dropping the exchange at the cut closes the connection, as WeChat does.
        let result = tokio::time::timeout(
            self.sending.cut,
            http::exchange(self.target(number), request),
        )
        .await;
        let took = begun.elapsed();
        let (response, outcome) = match result {
            Err(_) => (None, Outcome::Cut),
            Ok(Err(fault)) => (None, Outcome::Broken(fault.to_string())),
            Ok(Ok(response)) if response.status == 200 => (Some(response), Outcome::Answered),
            Ok(Ok(response)) => (Some(response), Outcome::Refused),
        };
        Attempt {
            number,
            started_after: begun.duration_since(started),
            took,
            response,
            outcome,
        }
    }

    fn target(&self, number: u32) -> &Target {
        let index = (number as usize - 1).min(self.targets.len() - 1);
        &self.targets[index]
    }

    fn path(&self, number: u32) -> &str {
        self.target(number).path()
    }

    /// A copy that signs and encrypts in another mode than the account's: what a downgrade looks like.
    pub fn in_mode(&self, mode: Mode) -> Self {
        let mut other = self.clone();
        other.account.mode = mode;
        other
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender")
            .field("account", &self.account)
            .field("targets", &self.targets)
            .field("sending", &self.sending)
            .field("repeat", &self.repeat)
            .finish_non_exhaustive()
    }
}

impl SendingClock {
    /// When attempt `number` starts, counted from the start of the first.
    fn start_of(&self, number: u32, earlier: &[Attempt]) -> Duration {
        match self.after_failure {
            AfterFailure::WaitForSlot => self.interval * (number - 1),
            AfterFailure::AtOnce => earlier
                .last()
                .map_or(Duration::ZERO, |last| last.started_after + last.took),
        }
    }
}
