//! Group commit: many requests, one writer, one transaction.
//!
//! A request hands its events to the writer and waits. While the database makes one transaction durable the
//! next ones gather, so the busier the store, the more events share the price of a commit. When the last commit
//! had company, the next one waits a moment for as much again: a busy sender of single events is then committed
//! together with its neighbours and not beside them.
//!
//! # Bounds
//! Events and bytes that wait are bounded; a request beyond is refused at once ([`Refusal::Full`]) and waits
//! nowhere. A commit closes at `max_commit_events`, or with the request that passes it.
//!
//! # One bad event
//! What the database will never take is found by halving the batch; everything else of it is stored.
//!
//! # A sender that leaves
//! Its events are stored all the same. When it sends them again they are duplicates.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::cache::People;
use crate::config::Limits;
use crate::event::NewEvent;
use crate::metrics::{Metrics, Queued};
use crate::repo::{Batch, Repo, RepoError, Stored, Taken};

/// What became of an event that was handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable.
    Stored(Taken),
    /// The database will never take it.
    Refused,
}

/// Why nothing is known of the events of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The queue has no room; nothing was stored.
    Full,
    /// The store is ending; nothing was stored.
    Ending,
    /// The database failed; some may be stored.
    Failed,
}

/// The entrance to the writer.
#[derive(Debug, Clone)]
pub struct Ingest {
    queue: mpsc::Sender<Request>,
    /// Room for events, and for bytes.
    rooms: [Arc<Semaphore>; 2],
    metrics: Arc<Metrics>,
}

struct Request {
    events: Vec<NewEvent>,
    answer: oneshot::Sender<Result<Vec<Outcome>, Refusal>>,
    place: Place,
}

/// A request's place in the queue, its own until it is answered.
struct Place {
    _rooms: [OwnedSemaphorePermit; 2],
    _queued: Queued,
}

/// The writer, to be told to end.
#[derive(Debug)]
pub struct Writer {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Takes in nothing more, commits what was taken, and returns.
    pub async fn finish(self) {
        // If it is not there any more, it has ended.
        let _ = self.end.send(());
        if self.task.await.is_err() {
            tracing::error!("the writer panicked; what it had taken is unanswered");
        }
    }
}

impl Ingest {
    /// Starts the writer of a database.
    #[must_use]
    pub(crate) fn start(
        repo: Arc<dyn Repo>,
        limits: Limits,
        metrics: Arc<Metrics>,
        people: Arc<People>,
    ) -> (Self, Writer) {
        // Every request in the queue has at least one event: the rooms bound the queue, its own size never does.
        let (queue, requests) = mpsc::channel(limits.max_queued_events);
        let (end, ended) = oneshot::channel();
        let writing = Writing {
            repo,
            limits,
            metrics: Arc::clone(&metrics),
            people,
            requests,
            last_requests: 1,
        };
        let ingest = Self {
            queue,
            rooms: [limits.max_queued_events, limits.max_queued_bytes]
                .map(|room| Arc::new(Semaphore::new(room))),
            metrics,
        };
        let task = tokio::spawn(writing.run(ended));
        (ingest, Writer { end, task })
    }

    /// Stores the events of a request of `bytes`; returns when they are durable. The outcomes are in their order.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn store(
        &self,
        events: Vec<NewEvent>,
        bytes: usize,
    ) -> Result<Vec<Outcome>, Refusal> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let room = |room: &Arc<Semaphore>, amount: usize| {
            let amount = u32::try_from(amount).map_err(|_| Refusal::Full)?;
            Arc::clone(room)
                .try_acquire_many_owned(amount)
                .map_err(|_| Refusal::Full)
        };
        let place = Place {
            _rooms: [
                room(&self.rooms[0], events.len())?,
                room(&self.rooms[1], bytes)?,
            ],
            _queued: self.metrics.queued(events.len()),
        };
        let (answer, answered) = oneshot::channel();
        let request = Request {
            events,
            answer,
            place,
        };
        match self.queue.try_send(request) {
            Ok(()) => answered.await.unwrap_or(Err(Refusal::Failed)),
            Err(TrySendError::Full(_)) => Err(Refusal::Full),
            Err(TrySendError::Closed(_)) => Err(Refusal::Ending),
        }
    }
}

/// The writer's own.
struct Writing {
    repo: Arc<dyn Repo>,
    limits: Limits,
    metrics: Arc<Metrics>,
    people: Arc<People>,
    requests: mpsc::Receiver<Request>,
    /// How many requests the last commit served.
    last_requests: usize,
}

impl Writing {
    async fn run(mut self, ended: oneshot::Receiver<()>) {
        let mut ended = ended.fuse();
        loop {
            let first = tokio::select! {
                biased;
                _ = &mut ended => {
                    // What is in the queue stays; nothing joins it.
                    self.requests.close();
                    continue;
                }
                request = self.requests.recv() => request,
            };
            let Some(first) = first else {
                return;
            };
            let group = self.gather(first).await;
            self.last_requests = group.len();
            self.commit(group).await;
        }
    }

    /// The requests of the next commit.
    async fn gather(&mut self, first: Request) -> Vec<Request> {
        let mut events = first.events.len();
        let mut group = vec![first];
        let deadline = Instant::now() + Duration::from_millis(self.limits.commit_delay_ms);
        while events < self.limits.max_commit_events {
            let request = match self.requests.try_recv() {
                Ok(request) => request,
                Err(_) if group.len() >= self.last_requests => break,
                Err(_) => match timeout_at(deadline, self.requests.recv()).await {
                    Ok(Some(request)) => request,
                    Ok(None) | Err(_) => break,
                },
            };
            events += request.events.len();
            group.push(request);
        }
        group
    }

    /// Counts what new events tell of active messages.
    fn count_sends(&self, events: &[NewEvent], outcomes: &[Outcome]) {
        let new = |outcome: &Outcome| matches!(outcome, Outcome::Stored(taken) if taken.stored == Stored::Created);
        let told = events
            .iter()
            .zip(outcomes)
            .filter(|(_, outcome)| new(outcome));
        let facts = told.filter_map(|(event, _)| event.fact.as_ref()?.sends.as_deref());
        for facts in facts {
            if let Some(sent) = &facts.sent {
                self.metrics.send(sent.api, sent.outcome);
            }
            for report in &facts.reports {
                self.metrics.delivery(report.failure.is_some());
            }
        }
    }

    async fn commit(&self, group: Vec<Request>) {
        let mut senders = Vec::with_capacity(group.len());
        let mut events = Vec::new();
        for request in group {
            senders.push((request.events.len(), request.answer, request.place));
            events.extend(request.events);
        }
        let count = events.len();
        let begun = Instant::now();
        let batch = Batch::from(events);
        let result = store(&*self.repo, batch.clone()).await;
        // Also after a failure: it may have been stored all the same.
        let facts = batch.iter().filter_map(|event| event.fact.as_ref());
        let marks = facts.flat_map(|fact| self.people.marks(fact));
        self.people.changed(marks);
        let mut outcomes = match result {
            Ok(outcomes) => {
                self.metrics.committed(count, begun.elapsed());
                self.count_sends(&batch, &outcomes);
                Ok(outcomes.into_iter())
            }
            Err(error) => {
                self.metrics.failed_to_commit();
                tracing::error!(%error, events = count, "a commit failed");
                Err(Refusal::Failed)
            }
        };
        for (count, answer, place) in senders {
            drop(place);
            let outcomes = outcomes
                .as_mut()
                .map(|outcomes| outcomes.take(count).collect());
            // Whoever left will send again.
            let _ = answer.send(outcomes.map_err(|refusal| *refusal));
        }
    }
}

/// Commits a batch; if the database refuses its data, each half by itself.
fn store(repo: &dyn Repo, batch: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, RepoError>> {
    async move {
        match repo.commit(&batch).await {
            Ok(taken) => Ok(taken.into_iter().map(Outcome::Stored).collect()),
            Err(RepoError::Refused(reason)) if batch.len() <= 1 => {
                tracing::warn!(reason, "the database refuses an event");
                Ok(vec![Outcome::Refused; batch.len()])
            }
            Err(RepoError::Refused(_)) => {
                let (first, second) = batch.halves();
                let mut outcomes = store(repo, first).await?;
                outcomes.extend(store(repo, second).await?);
                Ok(outcomes)
            }
            Err(error) => Err(error),
        }
    }
    .boxed()
}
