//! How long one person takes to read, out of many.
//!
//! ```sh
//! cargo run --release -p weir-store --features testing --example reads -- [--postgres] [--people 1000000] [--reads 20000]
//! ```
//!
//! Every second person has two identities, at an account and at a Mini Program, held together by a unionid; every identity
//! follows or logged in, and wrote. Asked are people by chance, so nearly none is kept ready (`cold`), and then a hundred of them
//! again and again (`kept`). The one who asks is in this process too.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use weir_store::config::Config;
use weir_store::testing::{TestPostgres, TestStore};

/// The time of the first event.
const T0: i64 = 1_714_113_000;
/// People of one statement, so that no transaction is too large.
const STEP: i64 = 50_000;

#[derive(Parser)]
struct Options {
    /// On a private PostgreSQL server instead of a SQLite file.
    #[arg(long)]
    postgres: bool,
    /// How many people.
    #[arg(long, default_value_t = 1_000_000)]
    people: i64,
    /// How many reads of each sort.
    #[arg(long, default_value_t = 20_000)]
    reads: i64,
    /// Connections that read at once.
    #[arg(long, default_value_t = 4)]
    readers: i64,
    /// Fail where the slowest hundredth of the cold reads takes longer, in milliseconds.
    #[arg(long)]
    p99_at_most: Option<f64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let folder = tempfile::tempdir()?;
    let server = options.postgres.then(TestPostgres::start).transpose()?;
    let mut database = None;
    let url = match &server {
        Some(server) => database.insert(server.database().await?).url().to_owned(),
        None => format!("sqlite:{}", folder.path().join("weir.db").display()),
    };
    // The store makes the tables.
    TestStore::start(&Config::local(url.as_str()))
        .await?
        .stop()
        .await?;
    let begun = Instant::now();
    populate(&url, options.people).await?;
    println!(
        "{} people, made in {:.0} s",
        options.people,
        begun.elapsed().as_secs_f64()
    );

    let store = TestStore::start(&Config::local(url.as_str())).await?;
    let address = store.url().trim_start_matches("http://").to_owned();
    println!("          p50 ms   p99 ms   max ms  reads/s");
    let people = options.people;
    let cold = read(&address, &options, move |number| spread(number) % people).await?;
    cold.print("cold");
    let kept = read(&address, &options, move |number| {
        spread(number % 100) % people
    })
    .await?;
    kept.print("kept");
    store.stop().await?;
    let most = options.p99_at_most.unwrap_or(f64::INFINITY);
    ensure!(cold.p99 <= most, "at most {most} ms is wanted");
    Ok(())
}

/// Knuth's multiplicative hash: the same people in every run.
fn spread(number: i64) -> i64 {
    number.wrapping_mul(2_654_435_761) & i64::MAX
}

struct Figures {
    p50: f64,
    p99: f64,
    max: f64,
    per_second: f64,
}

impl Figures {
    fn print(&self, what: &str) {
        println!(
            "{what:<8} {:>7.2} {:>8.2} {:>8.2} {:>8.0}",
            self.p50, self.p99, self.max, self.per_second
        );
    }
}

async fn read(
    address: &str,
    options: &Options,
    whom: impl Fn(i64) -> i64 + Copy + Send + 'static,
) -> anyhow::Result<Figures> {
    let begun = Instant::now();
    let readers = (0..options.readers).map(|reader| {
        let address = address.to_owned();
        let numbers = (0..options.reads).filter(move |number| number % options.readers == reader);
        let numbers: Vec<i64> = numbers.collect();
        tokio::spawn(async move {
            let mut connection = BufReader::new(TcpStream::connect(address).await?);
            connection.get_ref().set_nodelay(true)?;
            let mut took = Vec::with_capacity(numbers.len());
            for number in numbers {
                let uid = whom(number) + 1;
                let begun = Instant::now();
                let person = ask(&mut connection, uid).await?;
                took.push(begun.elapsed());
                ensure!(
                    person.contains(&format!(r#""uid":{uid},"#)),
                    "{uid} is somebody else"
                );
            }
            Ok(took)
        })
    });
    let mut took: Vec<Duration> = Vec::new();
    for reader in readers.collect::<Vec<_>>() {
        took.extend(reader.await??);
    }
    let per_second = took.len() as f64 / begun.elapsed().as_secs_f64();
    took.sort_unstable();
    let quantile =
        |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    Ok(Figures {
        p50: quantile(0.5),
        p99: quantile(0.99),
        max: quantile(1.0),
        per_second,
    })
}

/// Asks for a person, who must be there.
async fn ask(connection: &mut BufReader<TcpStream>, uid: i64) -> anyhow::Result<String> {
    let request = format!("GET /v1/people/{uid} HTTP/1.1\r\nhost: store\r\n\r\n");
    connection.get_mut().write_all(request.as_bytes()).await?;
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

/// The rows of people `{from}` to `{to}`, told by their numbers: a recursive count makes them in either database. People of even
/// number are at the account and the Mini Program; the second identity's number is the first's and a billion.
const ROWS: [&str; 5] = [
    "INSERT INTO users (user_key, account_key, openid, first_seen_at, nickname, subscribe, subscribe_time, unionid, profile_at_ms)
     {override} SELECT n, 1, 'oAbCdEf01234' || n, {t0} + n, 'nick' || n, 1, {t0} + n, 'union' || n, ({t0} + n) * 1000 FROM numbers",
    "INSERT INTO users (user_key, account_key, openid, first_seen_at, unionid)
     {override} SELECT n + 1000000000, 2, 'oMini' || n, {t0} + n + 1, 'union' || n FROM numbers WHERE n % 2 = 0",
    "INSERT INTO follows (user_key, account_key, state, since, scene, followed_times, unfollowed_times, evidence)
     SELECT n, 1, 1, {t0} + n, '123456', 1, 0, '{}' FROM numbers",
    "INSERT INTO unions (user_key, unionid, at, at_ms, tie)
     SELECT n, 'union' || n, {t0} + n, 0, 0 FROM numbers
     UNION ALL SELECT n + 1000000000, 'union' || n, {t0} + n, 0, 0 FROM numbers WHERE n % 2 = 0",
    "INSERT INTO messages (seq, account_key, user_key, kind, sent_at, received_ms, msg_id, text)
     SELECT n, 1, n, 'text', {t0} + n, 0, 'm' || n, 'this is a test' FROM numbers",
];

async fn populate(url: &str, people: i64) -> anyhow::Result<()> {
    let accounts =
        "INSERT INTO accounts (account_key, name) {override} VALUES (1, 'demo'), (2, 'mini')";
    let mut statements = vec![accounts.to_owned()];
    for from in (1..=people).step_by(usize::try_from(STEP)?) {
        let to = (from + STEP - 1).min(people);
        for rows in ROWS {
            let numbers = format!(
                "WITH RECURSIVE numbers (n) AS (SELECT CAST({from} AS BIGINT) UNION ALL SELECT n + 1 FROM numbers WHERE n < {to}) "
            );
            statements.push(numbers + rows);
        }
    }
    let statements = statements
        .iter()
        .map(|sql| sql.replace("{t0}", &T0.to_string()));
    if let Some(path) = url.strip_prefix("sqlite:") {
        let connection = rusqlite::Connection::open(path)?;
        for sql in statements {
            connection.execute_batch(&sql.replace("{override}", ""))?;
        }
        return Ok(());
    }
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    for sql in statements {
        let sql = sql.replace("{override}", "OVERRIDING SYSTEM VALUE");
        client
            .batch_execute(&sql)
            .await
            .context("people cannot be made")?;
    }
    // As a server does by itself, sooner or later.
    client.batch_execute("VACUUM ANALYZE").await?;
    Ok(())
}
