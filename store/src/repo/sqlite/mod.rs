//! SQLite: one thread that writes, a few connections that read.
//!
//! # Durability
//! Write-ahead log with `synchronous=FULL`: a commit returns after the log is on the disk.
//!
//! # Concurrency
//! Readers never wait for the writer, nor it for them. Several stores may share a file; they wait for each
//! other's commits, at most the configured timeout.

mod cards;
mod people;
mod sends;
mod work;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use async_trait::async_trait;
use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::{Semaphore, oneshot};

use super::{Batch, Cell, Part, Repo, RepoError, Row, Settings, Taken, migrate};

/// Pages written to the log before they are moved into the database file: 32 MiB. Fewer would have the writer
/// stop for it too often, more would make readers search a longer log.
const CHECKPOINT_PAGES: u32 = 8_192;
/// What the writer keeps of the database in memory, in KiB: most of the index pages that new rows touch.
const WRITER_CACHE_KIB: i64 = 128 * 1024;
/// What each reader keeps.
const READER_CACHE_KIB: i64 = 16 * 1024;
/// How long to wait while another store migrates.
const MIGRATION: Duration = Duration::from_secs(600);
/// Between two attempts to switch to the write-ahead log.
const SWITCH_PAUSE: Duration = Duration::from_millis(10);
/// More prepared statements than there are.
const STATEMENTS: usize = 64;

/// A database file.
#[derive(Debug)]
pub struct Sqlite {
    writer: Writer,
    readers: Arc<Readers>,
}

impl Sqlite {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// It cannot be opened, is not ours, or cannot be made durable.
    pub fn open(path: &Path, settings: Settings) -> anyhow::Result<Self> {
        let named = || format!("cannot open the SQLite database {}", path.display());
        let mut connection = Connection::open(path).with_context(named)?;
        connection.busy_timeout(settings.timeout)?;
        let mode = log_ahead(&connection, settings.timeout).with_context(named)?;
        ensure!(
            mode == "wal",
            "the SQLite database must be a file: it has no write-ahead log"
        );
        connection.pragma_update(None, "synchronous", "FULL")?;
        // Where fsync alone does not reach the medium (macOS), ask for what does; elsewhere it changes nothing.
        connection.pragma_update(None, "fullfsync", true)?;
        connection.pragma_update(None, "checkpoint_fullfsync", true)?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.busy_timeout(MIGRATION)?;
        migrate(&mut connection).with_context(named)?;
        connection.busy_timeout(settings.timeout)?;
        Ok(Self {
            writer: Writer::start(connection)?,
            readers: Arc::new(Readers::new(path, settings)),
        })
    }
}

/// Switches to the write-ahead log, and says what is used then.
///
/// Of several stores that find a new file at once, one does it. The switch makes a writer of a reader, and where several
/// want that SQLite turns all but one away at once, whatever its timeout: if each waited for the others to stop reading,
/// all would wait for ever. The pragma has let go of its lock when it fails, so here it can be waited for.
fn log_ahead(connection: &Connection, timeout: Duration) -> rusqlite::Result<String> {
    let begun = Instant::now();
    loop {
        let switched =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0));
        match switched {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && begun.elapsed() < timeout =>
            {
                std::thread::sleep(SWITCH_PAUSE);
            }
            switched => return switched,
        }
    }
}

fn migrate(connection: &mut Connection) -> anyhow::Result<()> {
    // IMMEDIATE takes the file's write lock: of several stores that start, one migrates.
    let lock = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    lock.execute_batch(migrate::CREATE_TABLE)?;
    let applied = lock
        .prepare(migrate::APPLIED)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    for step in migrate::missing(migrate::SQLITE, &applied)? {
        lock.execute_batch(step.sql)
            .with_context(|| format!("migration {} failed", step.name))?;
        lock.execute(&sql(migrate::NOTE), (step.version, step.name))?;
        tracing::info!(step = step.name, "migrated");
    }
    Ok(lock.commit()?)
}

#[async_trait]
impl Repo for Sqlite {
    async fn commit(&self, batch: &Batch) -> Result<Vec<Taken>, RepoError> {
        let batch = batch.clone();
        self.writer.run(move |writer| writer.commit(&batch)).await
    }

    async fn select(
        &self,
        statement: &'static str,
        parameters: Vec<Vec<Cell>>,
    ) -> Result<Vec<Row>, RepoError> {
        let readers = Arc::clone(&self.readers);
        readers
            .run(move |connection| rows(connection, statement, &parameters))
            .await
    }

    async fn change(
        &self,
        statement: &'static str,
        parameters: Vec<Vec<Cell>>,
    ) -> Result<Vec<Row>, RepoError> {
        self.writer
            .run(move |writer| writer.change(statement, &parameters))
            .await
    }

    async fn catch_up(&self, part: &Arc<Part>) -> Result<bool, RepoError> {
        let part = Arc::clone(part);
        self.writer.run(move |writer| writer.catch_up(&part)).await
    }

    async fn check(&self) -> Result<(), RepoError> {
        // The file's lock can be had, and the writer is not stuck behind something.
        self.writer.run(write::Writing::check).await
    }
}

fn rows(
    connection: &mut Connection,
    statement: &str,
    parameters: &[Vec<Cell>],
) -> rusqlite::Result<Vec<Row>> {
    // One snapshot for all branches of a listing.
    let snapshot = connection.transaction()?;
    let found = run(&snapshot, statement, parameters)?;
    Transaction::finish(snapshot)?;
    Ok(found)
}

fn run(
    transaction: &Transaction<'_>,
    statement: &str,
    parameters: &[Vec<Cell>],
) -> rusqlite::Result<Vec<Row>> {
    let mut found = Vec::new();
    let mut statement = transaction.prepare_cached(&sql(statement))?;
    for cells in parameters {
        let mut rows = statement.query(rusqlite::params_from_iter(cells))?;
        while let Some(row) = rows.next()? {
            found.push(Row::try_from(row)?);
        }
    }
    Ok(found)
}

/// The statement in SQLite's spelling: `?1` for `$1`, which SQLite would take for a name.
fn sql(statement: &str) -> String {
    statement.replace('$', "?")
}

type Job = Box<dyn FnOnce(&mut write::Writing) + Send>;

/// The thread that writes; it ends, and closes the database, when this is dropped.
#[derive(Debug)]
struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    fn start(connection: Connection) -> anyhow::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || {
                let mut writing = write::Writing::new(connection);
                for job in queue {
                    job(&mut writing);
                }
            })?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut write::Writing) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, RepoError> {
        let gone = || RepoError::Unavailable("the writer has ended".to_owned());
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |writing| {
            // Whoever asked may have gone; the work is done all the same.
            let _ = answer.send(work(writing));
        });
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(job).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?.map_err(error)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported, and every job after it was answered.
            let _ = thread.join();
        }
    }
}

/// Connections that read, each used by one request at a time, opened when first needed.
#[derive(Debug)]
struct Readers {
    path: PathBuf,
    settings: Settings,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Readers {
    fn new(path: &Path, settings: Settings) -> Self {
        Self {
            path: path.to_owned(),
            settings,
            idle: Mutex::default(),
            permits: Semaphore::new(settings.read_connections),
        }
    }

    async fn run<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, RepoError> {
        let readers = Arc::clone(&self);
        let permit = tokio::time::timeout(self.settings.timeout, self.permits.acquire());
        let _permit = permit
            .await
            .map_err(|_| RepoError::Unavailable("all readers are busy".to_owned()))?
            .map_err(|_| RepoError::Unavailable("the readers are closed".to_owned()))?;
        let read = tokio::task::spawn_blocking(move || {
            let mut connection = readers.take()?;
            let result = work(&mut connection);
            if result.is_ok() {
                readers.idle().push(connection);
            }
            result
        });
        read.await
            .map_err(|_| RepoError::Unavailable("a reader panicked".to_owned()))?
            .map_err(error)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // Push and pop cannot leave the list in disorder.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> rusqlite::Result<Connection> {
        if let Some(connection) = self.idle().pop() {
            return Ok(connection);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(self.settings.timeout)?;
        connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    }
}

/// Our error as SQLite's, for a row that is not what we wrote.
fn unreadable(error: RepoError) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into())
}

/// SQLite's error as ours. Its messages name tables and columns, never values.
fn error(error: rusqlite::Error) -> RepoError {
    match error.sqlite_error_code() {
        Some(ErrorCode::TooBig | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => {
            RepoError::Refused(error.to_string())
        }
        _ => RepoError::Unavailable(error.to_string()),
    }
}
