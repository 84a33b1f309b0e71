//! Four times as many pushes as the store can take: what is let in is answered in time, the rest is told at once to come
//! again, and memory stays where it is.
//!
//! The store is a sink of a known speed; the outbox and the number of held pushes are bounded to what it takes in the time
//! that WeChat waits. Each push has a connection of its own, which is closed after 5 s, as WeChat's are.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::Options;
use crate::edge::{Ack, Edge, Ground, Load};
use crate::pushes::{Expected, Maker, Mode, Requests};
use crate::report::{self, Figure};
use crate::sink::Sink;

/// The name to choose it by.
pub(crate) const NAME: &str = "overload";
/// Events a second that the store takes, and pushes a second that come.
const CAPACITY: u32 = 200;
const RATE: u32 = 4 * CAPACITY;
const SECONDS: u32 = 20;
/// WeChat's.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pushes held and events kept, which the store takes in 4 s.
const HELD: u32 = 4 * CAPACITY;
/// What is to be reached. The gateway's own deadline is 4.5 s; the rest is the way there and back.
const MOST_MS: f64 = 4_600.0;
/// RSS that may come after the first quarter.
const MOST_GROWTH_MB: f64 = 4.0;

#[derive(Default)]
struct Seen {
    /// Milliseconds of those answered 200.
    answered: Vec<f64>,
    /// Milliseconds of those told to come again.
    turned_away: Vec<f64>,
    cut: usize,
}

/// Runs it; gives the section of the report and what is held against the figures.
///
/// # Errors
/// As the comparison's.
pub(crate) fn run(
    ground: &Ground<'_>,
    options: &Options,
    maker: &mut Maker,
) -> Result<(Value, Vec<Figure>)> {
    report::progress(NAME);
    let sink = Sink::slow(CAPACITY)?;
    let module = ground.layout.built_wasm()?;
    let (mode, ack) = (Mode::Plain, Ack::AfterStore);
    let edge = ground.weir(&module, mode, ack, Load::Held(HELD), sink.address())?;
    let seconds = if options.quick { 2 } else { SECONDS };
    let count = (RATE * seconds) as usize;
    let requests = Rc::new(maker.distinct(mode, count, Expected::Reply(mode)));
    sink.expect(requests.numbers);
    let (seen, growth) = send(&edge, &requests)?;
    let most = |all: &[f64]| all.iter().copied().fold(0.0, f64::max);
    let section = json!({
        "what": format!("{RATE} pushes/s for {seconds} s, after_store, a store that takes {CAPACITY} events/s"),
        "pushes": count,
        "answered": seen.answered.len(),
        "answered_most_ms": most(&seen.answered),
        "turned_away": seen.turned_away.len(),
        "turned_away_most_ms": most(&seen.turned_away),
        "cut_by_wechat": seen.cut,
        "rss_growth_mb": growth,
    });
    ensure!(
        !seen.answered.is_empty() && !seen.turned_away.is_empty(),
        "{NAME}: nobody was answered, or nobody turned away: {section}"
    );
    let figures = vec![
        Figure::at_most(
            "overload, 4 times the capacity: slowest 200, ms",
            most(&seen.answered),
            MOST_MS,
        ),
        Figure::at_most(
            "overload: RSS growth after the first quarter, MB",
            growth,
            MOST_GROWTH_MB,
        ),
    ];
    Ok((section, figures))
}

/// Sends all of them at the rate; gives what was seen, and by how many MB Envoy grew after the first quarter.
fn send(edge: &Edge, requests: &Rc<Requests>) -> Result<(Seen, f64)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let work = LocalSet::new();
    let sent = work.run_until(async {
        let start = Instant::now();
        let mut tasks = Vec::with_capacity(requests.len());
        let mut early = 0;
        for index in 0..requests.len() {
            let due = start + Duration::from_secs_f64(index as f64 / f64::from(RATE));
            tokio::time::sleep_until(due.into()).await;
            if index == requests.len() / 4 {
                early = edge.envoy.resident_bytes()?;
            }
            let (requests, address) = (requests.clone(), edge.address);
            tasks.push(tokio::task::spawn_local(async move {
                let attempt = attempt(address, &requests, index);
                let result = tokio::time::timeout(PATIENCE, attempt).await;
                (result.ok().transpose(), due.elapsed())
            }));
        }
        let mut seen = Seen::default();
        for task in tasks {
            let (status, took) = task.await.context("a push's task died")?;
            let ms = took.as_secs_f64() * 1e3;
            match status? {
                Some(200) => seen.answered.push(ms),
                Some(503) => seen.turned_away.push(ms),
                None => seen.cut += 1,
                Some(status) => anyhow::bail!("{NAME}: status {status}"),
            }
        }
        let growth = edge.envoy.resident_bytes()? as f64 - early as f64;
        Ok((seen, growth / 1e6))
    });
    runtime.block_on(sent)
}

/// One push over a connection of its own; the status it is answered with.
async fn attempt(address: SocketAddr, requests: &Requests, index: usize) -> Result<u16> {
    let (request, _) = requests.at(index).context("within the slice")?;
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    let status = str::from_utf8(&head[9..12])?;
    Ok(status.parse()?)
}

/// Prints what [`run`] gave.
pub(crate) fn print(section: &Value) {
    let number = |key: &str| section[key].as_f64().unwrap_or(0.0);
    println!(
        "\n{NAME}: {}\n  answered {} (slowest {:.0} ms), turned away {} (slowest {:.0} ms), left to WeChat {}, RSS growth {:.1} MB",
        section["what"].as_str().unwrap_or_default(),
        number("answered"),
        number("answered_most_ms"),
        number("turned_away"),
        number("turned_away_most_ms"),
        number("cut_by_wechat"),
        number("rss_growth_mb"),
    );
}
