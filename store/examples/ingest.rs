//! How many events per second the store takes, and how that compares with inserting the same rows raw.
//!
//! ```sh
//! cargo run --release -p weir-store --features testing --example ingest -- [--postgres] [--events 200000] [--posters 64] [--claim]
//! ```
//!
//! Per second of the clock, and per second of this process's processor time, which a busy machine distorts less (of PostgreSQL
//! it is the client's part alone). `raw` inserts the same rows into the same tables, as many per transaction as the store's
//! commits had on average, 100 per statement.
//!
//! Every round starts with an empty database in a temporary directory, or on a private PostgreSQL server. The posters are in this process too: they share the machine with the store, as the figures
//! do not hide, those per processor second least. One event in ten is the follow of a new person, the others are texts of random people so far.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use rusqlite::types::Value;
use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_postgres::types::ToSql;
use weir_store::config::Config;
use weir_store::repo::Cell;
use weir_store::testing::{TestPostgres, TestStore};

/// The time of the first event.
const T0: usize = 1_714_113_000;
/// Rows in one raw INSERT.
const RAW_ROWS: usize = 100;

#[derive(Parser)]
struct Options {
    /// Measure a private PostgreSQL server instead of a new SQLite file per round.
    #[arg(long)]
    postgres: bool,
    /// Fail where the store's rate, with the last of the batches, is less than this part of the raw one.
    #[arg(long)]
    at_least: Option<f64>,
    /// Events per round.
    #[arg(long, default_value_t = 200_000)]
    events: usize,
    /// Connections that post at once.
    #[arg(long, default_value_t = 64)]
    posters: usize,
    /// Events per second to send, however long answers take; 0: each poster sends when it is answered.
    #[arg(long, default_value_t = 0)]
    rate: usize,
    /// Events per request, one round each.
    #[arg(long, value_delimiter = ',', default_value = "1,10,100")]
    batches: Vec<usize>,
    /// Claim the work behind every event too.
    #[arg(long)]
    claim: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    println!("{} events, {} posters", options.events, options.posters);
    println!("        events/s               events/cpu s");
    println!("batch      store        raw     store        raw  events/commit   p50 ms   p99 ms");
    let server = options.postgres.then(TestPostgres::start).transpose()?;
    let mut part = f64::INFINITY;
    for (round, batch) in options.batches.iter().copied().enumerate() {
        let folder = tempfile::tempdir()?;
        let (store, raw) = if let Some(server) = &server {
            let database = server.database().await?;
            let store = measure(database.url(), round, batch, &options).await?;
            let beside = server.database().await?;
            let per_commit = store.per_commit.round() as usize;
            let raw = raw_postgres(beside.url(), options.events, per_commit).await?;
            (store, raw)
        } else {
            let database = format!("sqlite:{}", folder.path().join("weir.db").display());
            let store = measure(&database, round, batch, &options).await?;
            let per_commit = store.per_commit.round() as usize;
            let raw = raw(&folder.path().join("raw.db"), options.events, per_commit)?;
            (store, raw)
        };
        part = store.speed.by_clock / raw.by_clock;
        println!(
            "{batch:>5} {:>10.0} {:>10.0} {:>9.0} {:>10.0} {:>14.1} {:>8.2} {:>8.2}",
            store.speed.by_clock,
            raw.by_clock,
            store.speed.by_processor,
            raw.by_processor,
            store.per_commit,
            store.p50,
            store.p99
        );
    }
    println!("the store's part of the raw rate: {part:.2}");
    let wanted = options.at_least.unwrap_or_default();
    ensure!(part >= wanted, "at least {wanted} is wanted");
    Ok(())
}

/// Events per second.
struct Speed {
    by_clock: f64,
    by_processor: f64,
}

/// Measures the time from its making on.
struct Watch {
    begun: Instant,
    processor: f64,
}

impl Watch {
    fn start() -> Self {
        Self {
            begun: Instant::now(),
            processor: processor_seconds(),
        }
    }

    fn speed(&self, events: usize) -> Speed {
        Speed {
            by_clock: events as f64 / self.begun.elapsed().as_secs_f64(),
            by_processor: events as f64 / (processor_seconds() - self.processor),
        }
    }
}

/// What this process has used of the processors.
fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

struct Figures {
    speed: Speed,
    per_commit: f64,
    p50: f64,
    p99: f64,
}

async fn measure(
    database: &str,
    round: usize,
    batch: usize,
    options: &Options,
) -> anyhow::Result<Figures> {
    let store = TestStore::start(&Config::local(database)).await?;
    let address = store.url().trim_start_matches("http://").to_owned();
    let requests: Arc<Vec<Vec<u8>>> = Arc::new(
        (0..options.events.div_ceil(batch))
            .map(|number| {
                request(
                    round,
                    number * batch..((number + 1) * batch).min(options.events),
                    options.claim,
                )
            })
            .collect(),
    );
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let pace =
        (options.rate > 0).then(|| Duration::from_secs_f64(batch as f64 / options.rate as f64));
    let watch = Watch::start();
    let posters = (0..options.posters).map(|_| {
        let (address, requests, next) = (address.clone(), Arc::clone(&requests), Arc::clone(&next));
        tokio::spawn(async move {
            let mut connection = BufReader::new(TcpStream::connect(address).await?);
            connection.get_ref().set_nodelay(true)?;
            let mut took = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(request) = requests.get(number) else {
                    break;
                };
                // A late start is a part of the answer's time.
                let due = pace.map(|pace| begun + pace * u32::try_from(number).unwrap_or(u32::MAX));
                if let Some(due) = due {
                    tokio::time::sleep_until(due.into()).await;
                }
                let begun = due.unwrap_or_else(Instant::now);
                let answer = exchange(&mut connection, request).await?;
                took.push(begun.elapsed());
                ensure!(
                    !answer.contains("rejected") && !answer.contains("duplicate"),
                    "not all events were new"
                );
            }
            Ok(took)
        })
    });
    let mut took: Vec<Duration> = Vec::new();
    for poster in posters.collect::<Vec<_>>() {
        took.extend(poster.await??);
    }
    let speed = watch.speed(options.events);
    took.sort_unstable();
    let quantile =
        |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;

    let mut connection = BufReader::new(TcpStream::connect(address).await?);
    let metrics = exchange(
        &mut connection,
        b"GET /metrics HTTP/1.1\r\nhost: store\r\n\r\n",
    )
    .await?;
    let metric = |name: &str| -> anyhow::Result<f64> {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.context("a metric is missing")?.trim().parse()?)
    };
    let per_commit =
        metric("weir_store_commit_events_sum")? / metric("weir_store_commit_events_count")?;
    drop(connection);
    store.stop().await?;
    Ok(Figures {
        speed,
        per_commit,
        p50: quantile(0.5),
        p99: quantile(0.99),
    })
}

/// Sends a request and reads its answer, which must be 200.
async fn exchange(connection: &mut BufReader<TcpStream>, request: &[u8]) -> anyhow::Result<String> {
    connection.get_mut().write_all(request).await?;
    let mut length = 0;
    let mut line = String::new();
    connection.read_line(&mut line).await?;
    ensure!(
        line.starts_with("HTTP/1.1 200"),
        "the store answered {line}"
    );
    loop {
        line.clear();
        connection.read_line(&mut line).await?;
        let header = line.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await?;
    Ok(String::from_utf8(body)?)
}

/// One event's part in the workload.
struct Part {
    openid: String,
    is_follow: bool,
    second: usize,
}

fn part(number: usize) -> Part {
    let is_follow = number.is_multiple_of(10);
    let newest = number / 10;
    // Knuth's multiplicative hash: spread over the people so far, the same in every run.
    let spread = number.wrapping_mul(2_654_435_761) % (newest + 1);
    Part {
        openid: format!(
            "oAbCdEf01234{:016x}",
            if is_follow { newest } else { spread }
        ),
        is_follow,
        second: T0 + number / 1000,
    }
}

/// As the engine makes them: nothing about one tells where its neighbour is.
fn id(number: usize) -> String {
    let mix = |n: u64| {
        let n = (n ^ (n >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        (n ^ (n >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53)
    };
    let number = number as u64;
    format!("{:016x}{:016x}{number:08x}", mix(number), mix(!number))
}

fn data(number: usize, part: &Part) -> String {
    let Part { openid, second, .. } = part;
    let fields = if part.is_follow {
        r#""MsgType":"event","Event":"subscribe","EventKey":"qrscene_123456""#.to_owned()
    } else {
        format!(
            r#""MsgType":"text","Content":"this is a test 你好😀","MsgId":"{}""#,
            23_456_789_012_345_601 + number
        )
    };
    format!(
        concat!(
            r#"{{"account":"demo","appid":"wx0123456789abcdef","received_at_ms":{}345,"#,
            r#""push":{{"ToUserName":"gh_0a1b2c3d4e5f","FromUserName":"{}","CreateTime":"{}",{}}}}}"#
        ),
        second, openid, second, fields
    )
}

fn request(round: usize, numbers: std::ops::Range<usize>, is_claimed: bool) -> Vec<u8> {
    let claim = if is_claimed {
        r#""weirclaim":"0123456789abcdef","#
    } else {
        ""
    };
    let events = numbers.map(|number| {
        let part = part(number);
        let kind = if part.is_follow { "weir.event.subscribe" } else { "weir.message.text" };
        let minute = part.second - T0;
        format!(
            concat!(
                r#"{{"specversion":"1.0","id":"{}:{}","source":"/accounts/demo","type":"{}","#,
                r#""time":"2024-04-26T06:{:02}:{:02}Z","subject":"{}","datacontenttype":"application/json",{}"data":{}}}"#
            ),
            id(number),
            round,
            kind,
            minute / 60,
            minute % 60,
            part.openid,
            claim,
            data(number, &part)
        )
    });
    let body = format!("[{}]", events.collect::<Vec<_>>().join(","));
    format!(
        "POST /v1/events HTTP/1.1\r\nhost: store\r\ncontent-type: application/cloudevents-batch+json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Inserts the rows the store would make of the same events, as fast as one can who has them all: many rows per
/// statement, `per_commit` events per durable transaction.
fn raw(path: &Path, events: usize, per_commit: usize) -> anyhow::Result<Speed> {
    let connection = rusqlite::Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=8192; PRAGMA cache_size=-131072;",
    )?;
    for schema in [
        include_str!("../migrations/sqlite/0001_initial.sql"),
        include_str!("../migrations/sqlite/0007_care.sql"),
    ] {
        connection.execute_batch(schema)?;
    }
    let rows = commits(events, per_commit);
    let watch = Watch::start();
    for rows in &rows {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        rows.insert(&connection)?;
        connection.execute_batch("COMMIT")?;
    }
    Ok(watch.speed(events))
}

/// The rows of all commits.
fn commits(events: usize, per_commit: usize) -> Vec<Rows> {
    let per_commit = per_commit.max(1);
    let commits = (0..events).step_by(per_commit);
    commits
        .map(|from| Rows::of(from..(from + per_commit).min(events)))
        .collect()
}

/// The same in PostgreSQL.
async fn raw_postgres(url: &str, events: usize, per_commit: usize) -> anyhow::Result<Speed> {
    let (mut client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    for schema in [
        include_str!("../migrations/postgres/0001_initial.sql"),
        include_str!("../migrations/postgres/0007_care.sql"),
    ] {
        client.batch_execute(schema).await?;
    }
    let rows = commits(events, per_commit);
    // Prepared before: as many rows as most statements have.
    let mut prepared = HashMap::new();
    let watch = Watch::start();
    for rows in &rows {
        let transaction = client.transaction().await?;
        for (table, rows) in rows.tables() {
            for rows in rows.chunks(RAW_ROWS) {
                let width = rows[0].len();
                let statement = match prepared.entry((table, rows.len())) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => {
                        let row = |row: usize| {
                            let cells = (1..=width).map(|cell| format!("${}", row * width + cell));
                            format!("({})", cells.collect::<Vec<_>>().join(","))
                        };
                        let values = (0..rows.len()).map(row).collect::<Vec<_>>().join(",");
                        let sql =
                            format!("INSERT INTO {table} OVERRIDING SYSTEM VALUE VALUES {values}");
                        new.insert(transaction.prepare(&sql).await?)
                    }
                };
                let cells: Vec<Cell> = rows.iter().flatten().map(cell).collect();
                let cells: Vec<&(dyn ToSql + Sync)> = cells
                    .iter()
                    .map(|cell| cell as &(dyn ToSql + Sync))
                    .collect();
                transaction.execute(&*statement, &cells).await?;
            }
        }
        transaction.commit().await?;
    }
    Ok(watch.speed(events))
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::Integer(number) => Cell::Int(*number),
        Value::Text(text) => Cell::Text(text.clone()),
        _ => Cell::Null,
    }
}

/// The rows of one commit, per table.
#[derive(Default)]
struct Rows {
    follow_news: Vec<Vec<Value>>,
    events: Vec<Vec<Value>>,
    users: Vec<Vec<Value>>,
    follows: Vec<Vec<Value>>,
    messages: Vec<Vec<Value>>,
}

impl Rows {
    fn of(numbers: std::ops::Range<usize>) -> Self {
        let mut rows = Self::default();
        for number in numbers {
            let part = part(number);
            let seq = Value::Integer(number as i64 + 1);
            let user_key = |openid: &str| {
                usize::from_str_radix(&openid[12..], 16).unwrap_or_default() as i64 + 1
            };
            let user_key = Value::Integer(user_key(&part.openid));
            let second = Value::Integer(part.second as i64);
            let millisecond = Value::Integer(part.second as i64 * 1000 + 345);
            let text = |text: &str| Value::Text(text.to_owned());
            let kind = if part.is_follow {
                "weir.event.subscribe"
            } else {
                "weir.message.text"
            };
            rows.events.push(vec![
                seq.clone(),
                Value::Integer(1),
                text(&format!("{}:0", id(number))),
                text(kind),
                millisecond.clone(),
                text(&part.openid),
                text(&data(number, &part)),
                Value::Integer(1),
                millisecond.clone(),
            ]);
            if part.is_follow {
                let evidence = format!(
                    r#"{{"followed":{{"at":[{0},{0}345,-1234567890123456789],"scene":"123456"}}}}"#,
                    part.second
                );
                rows.users.push(vec![
                    user_key.clone(),
                    Value::Integer(1),
                    text(&part.openid),
                    second.clone(),
                ]);
                rows.follow_news.push(vec![
                    seq,
                    Value::Integer(1),
                    second.clone(),
                    Value::Integer(1),
                ]);
                rows.follows.push(vec![
                    user_key,
                    Value::Integer(1),
                    Value::Integer(1),
                    second,
                    Value::Null,
                    text("123456"),
                    Value::Null,
                    Value::Integer(1),
                    Value::Integer(0),
                    text(&evidence),
                ]);
            } else {
                rows.messages.push(vec![
                    seq,
                    Value::Integer(1),
                    user_key,
                    text("text"),
                    second,
                    millisecond,
                    text(&(23_456_789_012_345_601 + number).to_string()),
                    text("this is a test 你好😀"),
                ]);
            }
        }
        rows
    }

    fn tables(&self) -> [(&'static str, &Vec<Vec<Value>>); 5] {
        [
            (
                "events (seq, source_key, id, type, at_ms, subject, data, account_key, stored_at_ms)",
                &self.events,
            ),
            (
                "users (user_key, account_key, openid, first_seen_at)",
                &self.users,
            ),
            (
                "follows (user_key, account_key, state, since, until, scene, subscribe_scene, followed_times, \
                 unfollowed_times, evidence)",
                &self.follows,
            ),
            (
                "follow_news (seq, account_key, at, change)",
                &self.follow_news,
            ),
            (
                "messages (seq, account_key, user_key, kind, sent_at, received_ms, msg_id, text)",
                &self.messages,
            ),
        ]
    }

    fn insert(&self, connection: &rusqlite::Connection) -> anyhow::Result<()> {
        for (table, rows) in self.tables() {
            for rows in rows.chunks(RAW_ROWS) {
                let row = format!("({})", vec!["?"; rows[0].len()].join(","));
                let statement = format!(
                    "INSERT INTO {table} VALUES {}",
                    vec![row; rows.len()].join(",")
                );
                connection
                    .prepare_cached(&statement)?
                    .execute(rusqlite::params_from_iter(rows.iter().flatten()))?;
            }
        }
        Ok(())
    }
}
