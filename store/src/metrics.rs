//! What the store counts, in the names Prometheus sees. No metric has a label that a sender can invent.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use weir_store_api::jobs::SyncProgress;
use weir_store_api::{SendApi, SendOutcome, WorkState};

/// Media type of [`Metrics::render`]. Source: OpenMetrics 1.0.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// What became of an active message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SendLabel {
    api: &'static str,
    outcome: &'static str,
}

/// A job's run: its kind is one that the store has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabel {
    kind: String,
    result: &'static str,
}

/// An account, as the gateway's configuration names it. Who asks for its sync bears the store's token.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AccountLabel {
    account: String,
}

/// A request, as far as it is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabel {
    method: &'static str,
    /// The route's pattern, never the path.
    route: String,
    status: u16,
}

/// Events counted as waiting, until this is dropped.
#[derive(Debug)]
pub(crate) struct Queued {
    gauge: Gauge,
    events: i64,
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.gauge.dec_by(self.events);
    }
}

/// The store's counters.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    events: Family<ResultLabel, Counter>,
    unread: Counter,
    claims: Family<ResultLabel, Counter>,
    sends: Family<SendLabel, Counter>,
    deliveries: Family<ResultLabel, Counter>,
    card_questions: Family<ResultLabel, Counter>,
    commits: Family<ResultLabel, Counter>,
    commit_events: Histogram,
    commit_seconds: Histogram,
    queue_events: Gauge,
    jobs: Family<JobLabel, Counter>,
    sync_running: Family<AccountLabel, Gauge>,
    sync_followers: Family<AccountLabel, Gauge>,
    sync_stored: Family<AccountLabel, Gauge>,
    sync_completed: Family<AccountLabel, Gauge>,
    requests: Family<RequestLabel, Counter>,
    request_seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("weir_store"),
            events: Family::default(),
            unread: Counter::default(),
            claims: Family::default(),
            sends: Family::default(),
            deliveries: Family::default(),
            card_questions: Family::default(),
            commits: Family::default(),
            commit_events: Histogram::new(exponential_buckets(1.0, 2.0, 13)),
            commit_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 15)),
            queue_events: Gauge::default(),
            jobs: Family::default(),
            sync_running: Family::default(),
            sync_followers: Family::default(),
            sync_stored: Family::default(),
            sync_completed: Family::default(),
            requests: Family::default(),
            request_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 15)),
        };
        let registry = &mut metrics.registry;
        registry.register(
            "events",
            "Events taken, by what became of them: created, duplicate, rejected, or failed with the database",
            metrics.events.clone(),
        );
        registry.register(
            "events_unread",
            "Events of Weir's own types whose data is not what the type promises: kept in the log only",
            metrics.unread.clone(),
        );
        registry.register(
            "claims",
            "Claims to the work behind a push or to the send of its reply, by what they were told: yours, elsewhere, \
             done or sent",
            metrics.claims.clone(),
        );
        registry.register(
            "sends",
            "Active messages that went through the gateway, by API and what WeChat did: sent, refused or unknown",
            metrics.sends.clone(),
        );
        registry.register(
            "deliveries",
            "What WeChat pushed about messages that it had taken: delivered or failed",
            metrics.deliveries.clone(),
        );
        registry.register(
            "card_questions",
            "Questions to WeChat about cards, by what came of them: stored, refused or later",
            metrics.card_questions.clone(),
        );
        registry.register(
            "commits",
            "Commits, by result: done or failed",
            metrics.commits.clone(),
        );
        registry.register(
            "commit_events",
            "Events per commit",
            metrics.commit_events.clone(),
        );
        registry.register(
            "commit_seconds",
            "Time from the beginning of a commit until it is durable",
            metrics.commit_seconds.clone(),
        );
        registry.register(
            "queue_events",
            "Events waiting for their commit, those being committed included",
            metrics.queue_events.clone(),
        );
        registry.register(
            "jobs",
            "Runs of jobs of this store, by kind and what came of them: done, failed, stopped, resting, or left to another",
            metrics.jobs.clone(),
        );
        registry.register(
            "sync_running",
            "1 while this store brings the account's followers in",
            metrics.sync_running.clone(),
        );
        registry.register(
            "sync_followers",
            "Followers of the account, by WeChat's last word in a sync",
            metrics.sync_followers.clone(),
        );
        registry.register(
            "sync_stored",
            "Followers whom the account's sync has stored so far",
            metrics.sync_stored.clone(),
        );
        registry.register(
            "sync_completed_timestamp_seconds",
            "When the account's last complete sync ended",
            metrics.sync_completed.clone(),
        );
        registry.register(
            "http_requests",
            "Requests, by route and status",
            metrics.requests.clone(),
        );
        registry.register(
            "http_request_seconds",
            "Time from a request's headers to the answer's",
            metrics.request_seconds.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// Counts events by what became of them.
    pub(crate) fn events(&self, result: &'static str, count: usize) {
        if count > 0 {
            self.events
                .get_or_create(&ResultLabel { result })
                .inc_by(count as u64);
        }
    }

    /// Counts an event whose data could not be read.
    pub(crate) fn unread(&self) {
        self.unread.inc();
    }

    /// Counts a claim by what it was told.
    pub(crate) fn claim(&self, state: WorkState) {
        let result = match state {
            WorkState::Yours => "yours",
            WorkState::Elsewhere => "elsewhere",
            WorkState::Done => "done",
            WorkState::Sent => "sent",
        };
        self.claims.get_or_create(&ResultLabel { result }).inc();
    }

    /// Counts an active message.
    pub(crate) fn send(&self, api: SendApi, outcome: SendOutcome) {
        let api = match api {
            SendApi::Template => "template",
            SendApi::Subscribe => "subscribe",
            SendApi::Bizsend => "bizsend",
            SendApi::Custom => "custom",
        };
        let outcome = match outcome {
            SendOutcome::Sent => "sent",
            SendOutcome::Refused => "refused",
            SendOutcome::Unknown => "unknown",
        };
        self.sends.get_or_create(&SendLabel { api, outcome }).inc();
    }

    /// Counts WeChat's word on a message.
    pub(crate) fn delivery(&self, has_failed: bool) {
        let result = if has_failed { "failed" } else { "delivered" };
        self.deliveries.get_or_create(&ResultLabel { result }).inc();
    }

    /// Counts a question about a card.
    pub(crate) fn card_question(&self, result: &'static str) {
        self.card_questions
            .get_or_create(&ResultLabel { result })
            .inc();
    }

    /// Counts a commit that was made durable.
    pub(crate) fn committed(&self, events: usize, took: Duration) {
        self.commits
            .get_or_create(&ResultLabel { result: "done" })
            .inc();
        self.commit_events.observe(events as f64);
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// Counts a commit that failed.
    pub(crate) fn failed_to_commit(&self) {
        self.commits
            .get_or_create(&ResultLabel { result: "failed" })
            .inc();
    }

    /// Notes events in the queue, for as long as the answer is kept.
    pub(crate) fn queued(&self, events: usize) -> Queued {
        let events = i64::try_from(events).unwrap_or(i64::MAX);
        self.queue_events.inc_by(events);
        Queued {
            gauge: self.queue_events.clone(),
            events,
        }
    }

    /// Counts a request.
    pub(crate) fn request(&self, method: &'static str, route: String, status: u16, took: Duration) {
        self.requests
            .get_or_create(&RequestLabel {
                method,
                route,
                status,
            })
            .inc();
        self.request_seconds.observe(took.as_secs_f64());
    }

    /// Counts a job's run by what came of it.
    pub(crate) fn job(&self, kind: &str, result: &'static str) {
        let kind = kind.to_owned();
        self.jobs.get_or_create(&JobLabel { kind, result }).inc();
    }

    /// Notes whether a sync of the account is at work here.
    pub(crate) fn sync_running(&self, account: &str, runs: bool) {
        let label = account_label(account);
        self.sync_running.get_or_create(&label).set(runs.into());
    }

    /// Notes how far the account's sync is.
    pub(crate) fn sync_progress(&self, account: &str, progress: &SyncProgress) {
        let label = account_label(account);
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.sync_followers
            .get_or_create(&label)
            .set(number(progress.followers));
        self.sync_stored
            .get_or_create(&label)
            .set(number(progress.stored));
    }

    /// Notes when the account's last complete sync ended, Unix milliseconds.
    pub(crate) fn synced(&self, account: &str, at_ms: i64) {
        self.sync_completed
            .get_or_create(&account_label(account))
            .set(at_ms / 1000);
    }

    /// All of it, as Prometheus reads it.
    ///
    /// # Errors
    /// None in practice: a `String` takes whatever is written to it.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn account_label(account: &str) -> AccountLabel {
    AccountLabel {
        account: account.to_owned(),
    }
}
