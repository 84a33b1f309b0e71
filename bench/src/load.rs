//! Sends requests over many connections and judges the answers.
//!
//! One thread, raw HTTP/1.1 with keep-alive, one request at a time per connection. Each connection takes the next
//! request of the slice: at once, or when its time has come. In the second case latency counts from that time, not from
//! the sending, so that a slow answer cannot hide the wait of those behind it.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::pushes::Requests;

/// One answer in so many is looked at in full after the slice.
const SAMPLE_EVERY: usize = 997;
/// A slice that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(300);

/// How requests follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As fast as the answers come.
    Saturating,
    /// So many a second, whatever the answers do.
    PerSecond(u32),
}

/// What a slice was like for the senders.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// One per request, sorted.
    pub(crate) latencies: Vec<Duration>,
    /// Answers to look at in full: the push's number and the body.
    pub(crate) samples: Vec<(u32, Vec<u8>)>,
}

impl Outcome {
    /// The latency that `percent` of the requests did not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }
}

struct Shared {
    requests: Rc<Requests>,
    next: Cell<usize>,
    start: Instant,
    pace: Pace,
    latencies: RefCell<Vec<Duration>>,
    samples: RefCell<Vec<(u32, Vec<u8>)>>,
}

/// Sends all `requests` to `address`.
///
/// # Errors
/// An answer that is not what it must be, or none.
pub(crate) fn send(
    address: SocketAddr,
    requests: &Rc<Requests>,
    connections: usize,
    pace: Pace,
) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let work = LocalSet::new();
    let sent = work.run_until(async {
        let mut streams = Vec::with_capacity(connections);
        for _ in 0..connections {
            let stream = TcpStream::connect(address)
                .await
                .context("nobody listens")?;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        let shared = Rc::new(Shared {
            requests: requests.clone(),
            next: Cell::new(0),
            start: Instant::now(),
            pace,
            latencies: RefCell::new(Vec::with_capacity(requests.len())),
            samples: RefCell::default(),
        });
        let tasks: Vec<_> = streams
            .into_iter()
            .map(|stream| tokio::task::spawn_local(connection(stream, shared.clone())))
            .collect();
        for task in tasks {
            task.await.context("a connection's task died")??;
        }
        let took = shared.start.elapsed();
        let mut latencies = shared.latencies.take();
        latencies.sort_unstable();
        ensure!(
            latencies.len() == requests.len(),
            "requests without an answer"
        );
        Ok(Outcome {
            took,
            latencies,
            samples: shared.samples.take(),
        })
    });
    runtime.block_on(async {
        tokio::time::timeout(LIMIT, sent)
            .await
            .with_context(|| format!("not through after {LIMIT:?}"))?
    })
}

async fn connection(mut stream: TcpStream, shared: Rc<Shared>) -> Result<()> {
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let index = shared.next.get();
        let Some((request, number)) = shared.requests.at(index) else {
            return Ok(());
        };
        shared.next.set(index + 1);
        let started = match shared.pace {
            Pace::Saturating => Instant::now(),
            Pace::PerSecond(rate) => {
                let due =
                    shared.start + Duration::from_secs_f64(index as f64 / f64::from(rate.max(1)));
                tokio::time::sleep_until(due.into()).await;
                due
            }
        };
        stream.write_all(request).await?;
        let body = answer(&mut stream, &mut buffer)
            .await
            .with_context(|| format!("push {number}"))?;
        shared.latencies.borrow_mut().push(started.elapsed());
        ensure!(
            shared.requests.starts_right(number, body),
            "push {number}: another answer than expected: {:?}",
            String::from_utf8_lossy(body)
        );
        if index.is_multiple_of(SAMPLE_EVERY) {
            shared.samples.borrow_mut().push((number, body.to_vec()));
        }
    }
}

/// Reads one answer, which must be a 200, and gives its body.
async fn answer<'b>(stream: &mut TcpStream, buffer: &'b mut Vec<u8>) -> Result<&'b [u8]> {
    buffer.clear();
    loop {
        let read = stream.read_buf(buffer).await?;
        ensure!(read > 0, "the connection was closed");
        if let Some(start) = body_of(buffer)? {
            return Ok(&buffer[start..]);
        }
    }
}

/// Where the body starts, once all of it is there.
fn body_of(answer: &[u8]) -> Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; 24];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(start) = head.parse(answer)? else {
        return Ok(None);
    };
    let status = head.code.unwrap_or(0);
    ensure!(status == 200, "status {status}");
    let length = head
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| str::from_utf8(header.value).ok()?.parse::<usize>().ok())
        .context("an answer without a length")?;
    match answer.len().cmp(&(start + length)) {
        std::cmp::Ordering::Less => Ok(None),
        std::cmp::Ordering::Equal => Ok(Some(start)),
        std::cmp::Ordering::Greater => bail!("more than an answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_when_it_is_complete() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nsuccess";
        for end in 0..whole.len() {
            assert_eq!(body_of(&whole[..end]).unwrap(), None);
        }
        let start = body_of(whole).unwrap().unwrap();
        assert_eq!(&whole[start..], b"success");
        assert!(body_of(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").is_err());
        assert!(body_of(b"HTTP/1.1 200 OK\r\n\r\nsuccess").is_err());
    }

    #[test]
    fn a_percentile_is_a_latency_that_was_measured() {
        let outcome = |count: u64| Outcome {
            took: Duration::ZERO,
            latencies: (1..=count).map(Duration::from_millis).collect(),
            samples: Vec::new(),
        };
        assert_eq!(outcome(100).percentile(50), Duration::from_millis(50));
        assert_eq!(outcome(100).percentile(99), Duration::from_millis(99));
        assert_eq!(outcome(1).percentile(99), Duration::from_millis(1));
        assert_eq!(outcome(0).percentile(99), Duration::ZERO);
    }
}
