//! Reads the log again for what it was stored too early for: the store had it, and did not know yet what to make of it.
//!
//! So do cards and active messages that were pushed before the store kept them, and unionids that came with cards. After a
//! migration the log up to then is read once, in its order.
//!
//! # States
//! How far it was read is a row of the database, written in the transaction that projects what was read. A process that is killed
//! loses the part under way and nothing else; of several one does each part. Projecting again what was projected before changes
//! nothing: rows that are there stay, and folds take a fact twice like once.
//!
//! # Bounds
//! [`PART`] events at a time, a transaction each; between two it rests for as long as one took, so that what comes in has at least half
//! of the writer.
//!
//! # Out of scope
//! People: whoever pushed is known since then. What was erased, which is not there to be read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cache::People;
use crate::fact::{self, Attributes, Fact, Sighting};
use crate::repo::{Part, Past, Repo, RepoError, past, unread};

/// Events of a part.
const PART: i64 = 200;
/// Shortest rest between two.
const REST: Duration = Duration::from_millis(5);
/// Rest after a failure.
const PATIENCE: Duration = Duration::from_secs(1);

/// The task that does it, to be told to end.
#[derive(Debug)]
pub(crate) struct CatchUp {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl CatchUp {
    pub(crate) fn start(repo: Arc<dyn Repo>, people: Arc<People>) -> Self {
        let (end, mut ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut read = 0;
            loop {
                let begun = Instant::now();
                let rest = match part(&*repo, &people).await {
                    Ok(0) => break,
                    Ok(events) => {
                        read += events;
                        begun.elapsed().max(REST)
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the log of before cannot be read now");
                        PATIENCE
                    }
                };
                // Whoever started it may have gone, too.
                if tokio::time::timeout(rest, &mut ended).await.is_ok() {
                    return;
                }
            }
            if read > 0 {
                tracing::info!(read, "the log of before was read again");
            }
        });
        Self { end, task }
    }

    /// Begins no part any more, and waits for the one under way.
    pub(crate) async fn finish(self) {
        // If it is not there any more, it has ended.
        let _ = self.end.send(());
        if self.task.await.is_err() {
            tracing::error!("reading the log of before panicked; the next start goes on with it");
        }
    }
}

/// Reads a part. How many events it had; 0: nothing is left.
async fn part(repo: &dyn Repo, people: &People) -> Result<usize, RepoError> {
    let Some(unread) = unread(repo).await? else {
        return Ok(0);
    };
    let events = past(repo, unread, PART).await?;
    let is_last = i64::try_from(events.len()).is_ok_and(|count| count < PART);
    let upto = match events.last() {
        Some(last) if !is_last => last.seq,
        _ => unread.last,
    };
    let facts = events
        .iter()
        .filter_map(|event| Some((event.seq, told(event)?)));
    let part = Arc::new(Part {
        after: unread.after,
        upto,
        facts: facts.collect(),
    });
    repo.catch_up(&part).await?;
    let facts = part.facts.iter();
    people.changed(facts.flat_map(|(_, fact)| people.marks(fact)));
    Ok(events.len().max(1))
}

/// What an event tells that may not have been known when it was stored.
fn told(event: &Past) -> Option<Fact> {
    let attributes = Attributes {
        source: &event.source,
        id: &event.id,
        kind: &event.kind,
        subject: event.subject.as_deref(),
        at_ms: event.at_ms,
        now_ms: event.stored_at_ms,
    };
    let fact = fact::read(attributes, event.data.as_deref()?)?;
    let is_named = fact.sighting.as_ref().is_some_and(Sighting::is_named);
    let is_news = fact.sends.is_some() || !fact.cards.is_empty() || is_named;
    is_news.then_some(fact)
}
