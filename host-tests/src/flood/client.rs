//! Sends requests, many at a time over one connection, and looks at every answer.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::oneshot;

use super::Counts;
use super::bend::Requests;
use super::draft::Wire;

/// How long a batch may take. Nothing wrong is worth waiting for.
const LIMIT: Duration = Duration::from_secs(60);
/// Most faults that are told in full.
const MAX_FAULTS: usize = 10;
/// Most bytes of a request at fault that are shown.
const SHOWN: usize = 4_000;

/// What came of the requests of one connection, or of all.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) left_out: u64,
    pub(super) statuses: BTreeMap<u16, u64>,
    /// Never complete, so never answered.
    pub(super) unanswered: u64,
    pub(super) ways: Counts,
    /// Whatever was not met with a plain no.
    pub(super) faults: Vec<String>,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.left_out += other.left_out;
        self.unanswered += other.unanswered;
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (way, count) in other.ways {
            *self.ways.entry(way).or_default() += count;
        }
        self.faults.extend(other.faults);
    }

    fn note(&mut self, wire: &Wire, answer: Option<Answer>) {
        self.sent += 1;
        *self.ways.entry(wire.way).or_default() += 1;
        let Some(answer) = answer else {
            self.unanswered += 1;
            return;
        };
        *self.statuses.entry(answer.status).or_default() += 1;
        // A gateway may say a word about HTTP that it does not understand; Weir says none.
        let plain = match answer.status {
            403 | 405 | 413 => answer.body == 0,
            400..500 => true,
            _ => false,
        };
        if !plain && self.faults.len() < MAX_FAULTS {
            let shown = &wire.bytes[..wire.bytes.len().min(SHOWN)];
            self.faults.push(format!(
                "{}: status {}, {} bytes of body, to {}",
                wire.way,
                answer.status,
                answer.body,
                shown.escape_ascii()
            ));
        }
    }
}

/// What is looked at of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// Bytes of the body.
    body: usize,
    /// Nothing comes after it.
    closes: bool,
}

/// Sends so many wrong requests, `ahead` of them at a time before an answer is waited for.
///
/// # Errors
/// No connection, or an answer that never comes or is no HTTP.
pub(super) async fn send(
    address: SocketAddr,
    mut requests: Requests,
    count: u64,
    ahead: u64,
) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut line = Line::default();
    while tally.sent < count && tally.faults.len() < MAX_FAULTS {
        let batch: VecDeque<_> = (0..ahead.min(count - tally.sent))
            .map(|_| requests.bent())
            .collect();
        let ways: Vec<_> = batch.iter().map(|wire| wire.way).collect();
        let through = line.through(address, batch, |wire, answer| tally.note(wire, answer));
        let in_time = tokio::time::timeout(LIMIT, through).await;
        in_time.with_context(|| format!("no answer to one of {ways:?}"))??;
    }
    tally.left_out = requests.left_out;
    Ok(tally)
}

/// Sends every sample as it is; each must be acknowledged.
///
/// # Errors
/// One was not.
pub(super) async fn send_good(address: SocketAddr, requests: Requests, ahead: usize) -> Result<()> {
    let mut line = Line::default();
    let mut refused = Vec::new();
    let mut good = requests.good().peekable();
    while good.peek().is_some() {
        let batch: VecDeque<_> = good.by_ref().take(ahead).collect();
        let through = line.through(address, batch, |wire, answer| {
            if answer.is_none_or(|answer| answer.status != 200) {
                refused.push(format!("{answer:?} to {}", wire.bytes.escape_ascii()));
            }
        });
        let in_time = tokio::time::timeout(LIMIT, through).await;
        in_time.context("no answer to a good push")??;
    }
    ensure!(
        refused.is_empty(),
        "{} good pushes were refused, such as: {}",
        refused.len(),
        refused[0]
    );
    Ok(())
}

/// A connection, made anew whenever the other side has had enough.
#[derive(Debug, Default)]
struct Line(Option<TcpStream>);

impl Line {
    /// Sends a batch and tells of each what became of it, in order. What was behind a request that ended the connection
    /// is sent again.
    async fn through(
        &mut self,
        address: SocketAddr,
        mut batch: VecDeque<Wire>,
        mut note: impl FnMut(&Wire, Option<Answer>),
    ) -> Result<()> {
        let mut idle = 0;
        while !batch.is_empty() {
            let stream = match self.0.take() {
                Some(stream) => stream,
                None => {
                    let stream = TcpStream::connect(address).await.context("no connection")?;
                    stream.set_nodelay(true)?;
                    stream
                }
            };
            // Up to the first that ends the connection.
            let end = batch.iter().position(|wire| wire.unfinished);
            let count = end.map_or(batch.len(), |end| end + 1);
            let bytes: Vec<u8> = batch
                .iter()
                .take(count)
                .flat_map(|wire| &wire.bytes)
                .copied()
                .collect();
            let (mut reader, mut writer) = stream.into_split();
            let (done, written) = oneshot::channel();
            let write = async {
                // Who answers early may not read the rest: what it said counts.
                let _ = writer.write_all(&bytes).await;
                let _ = done.send(());
                std::future::pending::<()>().await
            };
            let before = batch.len();
            let read = answers(&mut reader, written, &mut batch, count, &mut note);
            let open = tokio::select! {
                open = read => open?,
                () = write => false,
            };
            if open && end.is_none() {
                self.0 = Some(reader.reunite(writer)?);
            }
            idle = if batch.len() < before { 0 } else { idle + 1 };
            if idle > 3 {
                bail!("no answer to {:?}", batch.front().map(|wire| wire.way));
            }
        }
        Ok(())
    }
}

/// Reads the answers to the first `count` of the batch and takes those off it. Whether the connection is still good.
async fn answers(
    reader: &mut OwnedReadHalf,
    written: oneshot::Receiver<()>,
    batch: &mut VecDeque<Wire>,
    count: usize,
    note: &mut impl FnMut(&Wire, Option<Answer>),
) -> Result<bool> {
    let mut buffer = Vec::with_capacity(16 * 1024);
    for _ in 0..count {
        if batch.front().is_some_and(|wire| wire.unfinished) {
            // What is never complete gets no answer: whoever sent it hangs up.
            let _ = written.await;
            if let Some(wire) = batch.pop_front() {
                note(&wire, None);
            }
            return Ok(false);
        }
        let answer = loop {
            if let Some((answer, size)) = parse(&buffer)? {
                buffer.drain(..size);
                break answer;
            }
            match reader.read_buf(&mut buffer).await {
                Ok(read) if read > 0 => {}
                _ => return Ok(false),
            }
        };
        if let Some(wire) = batch.pop_front() {
            note(&wire, Some(answer));
        }
        if answer.closes {
            return Ok(false);
        }
    }
    ensure!(buffer.is_empty(), "more answers than requests");
    Ok(true)
}

/// An answer at the start of the buffer, and how long it is; `None` while it is not complete.
fn parse(buffer: &[u8]) -> Result<Option<(Answer, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(start) = head.parse(buffer)? else {
        return Ok(None);
    };
    let header = |name: &str| {
        let found = head
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| {
            String::from_utf8_lossy(header.value)
                .trim()
                .to_ascii_lowercase()
        })
    };
    let body = header("content-length")
        .context("an answer without a length")?
        .parse()?;
    let answer = Answer {
        status: head.code.context("a status")?,
        body,
        closes: header("connection").is_some_and(|value| value == "close"),
    };
    let size = start + body;
    Ok((buffer.len() >= size).then_some((answer, size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_in_one_stream() {
        let first = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
        let second =
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\nConnection: Close\r\n\r\nbad";
        let both = [&first[..], second].concat();
        let (answer, size) = parse(&both).unwrap().unwrap();
        assert_eq!(
            (answer.status, answer.body, answer.closes, size),
            (403, 0, false, first.len())
        );
        let (answer, size) = parse(&both[size..]).unwrap().unwrap();
        assert_eq!(
            (answer.status, answer.body, answer.closes, size),
            (400, 3, true, second.len())
        );
        assert_eq!(parse(&second[..second.len() - 1]).unwrap(), None);
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn anything_but_a_plain_no_is_a_fault() {
        let wire = Wire {
            way: "some",
            bytes: Vec::new(),
            unfinished: false,
        };
        let mut tally = Tally::default();
        for (status, body) in [(403, 0), (413, 0), (405, 0), (400, 11), (404, 0)] {
            tally.note(
                &wire,
                Some(Answer {
                    status,
                    body,
                    closes: false,
                }),
            );
        }
        tally.note(&wire, None);
        assert!(tally.faults.is_empty());
        for (status, body) in [(200, 7), (200, 0), (503, 0), (403, 1), (302, 0)] {
            tally.note(
                &wire,
                Some(Answer {
                    status,
                    body,
                    closes: false,
                }),
            );
        }
        assert_eq!(
            (tally.faults.len(), tally.sent, tally.unanswered),
            (5, 11, 1)
        );
    }
}
