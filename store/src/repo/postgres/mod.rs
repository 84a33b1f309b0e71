//! PostgreSQL: one connection that writes, a pool that reads.
//!
//! # Durability
//! The writing session sets `synchronous_commit` itself, so a server whose default is `off` cannot take it away.
//!
//! # Concurrency
//! Several stores may share a database: rows that two of them want are locked in one order, and a batch that the
//! server sacrificed to another (deadlock, serialization) is tried again.
//!
//! # Out of scope
//! TLS to the server: it is on the same machine, or behind a proxy that speaks it.

mod cards;
mod people;
mod sends;
mod statements;
mod work;
mod write;

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts};
use futures_util::future::try_join_all;
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls};

use super::{Batch, Cell, Part, Repo, RepoError, Row, Settings, Taken, migrate};
use write::Writing;

/// Any number, as long as every store takes the same: it names the advisory lock of migrations.
const MIGRATION_LOCK: i64 = 0x7765_6972_7374_6f72;
/// How often a batch is tried that the server sacrificed to another transaction.
const ATTEMPTS: u32 = 5;

/// A database on a server.
pub struct Postgres {
    config: Config,
    timeout: Duration,
    /// The writing session; `None` until needed, and after a failure that may have broken it.
    writer: Mutex<Option<Writing>>,
    readers: Pool,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The configuration holds a password.
        formatter.debug_struct("Postgres").finish_non_exhaustive()
    }
}

impl Postgres {
    /// Connects and migrates.
    ///
    /// # Errors
    /// The URL is malformed, the server cannot be reached, or the schema is not ours.
    pub async fn open(url: &str, settings: Settings) -> anyhow::Result<Self> {
        // The parser's message could repeat a part of the URL.
        let mut config: Config = url
            .parse()
            .map_err(|_| anyhow::anyhow!("the PostgreSQL URL is malformed"))?;
        config
            .application_name("weir-store")
            .connect_timeout(settings.timeout)
            .keepalives(true)
            .tcp_user_timeout(settings.timeout);
        let milliseconds = settings.timeout.as_millis();
        let options = config.get_options().unwrap_or_default();
        config.options(format!(
            "{options} -c statement_timeout={milliseconds} -c lock_timeout={milliseconds} -c synchronous_commit=on"
        ));

        let manager = Manager::from_config(
            config.clone(),
            NoTls,
            ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let readers = Pool::builder(manager)
            .max_size(settings.read_connections)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(settings.timeout),
                create: Some(settings.timeout),
                recycle: Some(settings.timeout),
            })
            .build()?;
        let postgres = Self {
            config,
            timeout: settings.timeout,
            writer: Mutex::default(),
            readers,
        };
        postgres
            .migrate()
            .await
            .context("cannot use the PostgreSQL database")?;
        Ok(postgres)
    }

    async fn migrate(&self) -> anyhow::Result<()> {
        let mut client = connect(&self.config).await?;
        let lock = client.transaction().await.map_err(error)?;
        // Held until the transaction ends: of several stores that start, one migrates, however long it takes.
        lock.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
            .await
            .map_err(error)?;
        lock.execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK])
            .await
            .map_err(error)?;
        lock.batch_execute(migrate::CREATE_TABLE)
            .await
            .map_err(error)?;
        let applied = lock.query(migrate::APPLIED, &[]).await.map_err(error)?;
        let applied: Vec<_> = applied.iter().map(|row| (row.get(0), row.get(1))).collect();
        for step in migrate::missing(migrate::POSTGRES, &applied)? {
            lock.batch_execute(step.sql)
                .await
                .map_err(error)
                .with_context(|| format!("migration {} failed", step.name))?;
            lock.execute(migrate::NOTE, &[&step.version, &step.name])
                .await
                .map_err(error)?;
            tracing::info!(step = step.name, "migrated");
        }
        lock.commit().await.map_err(error)?;
        Ok(())
    }

    async fn reader(&self) -> Result<deadpool_postgres::Client, RepoError> {
        self.readers.get().await.map_err(|error| match error {
            deadpool_postgres::PoolError::Backend(backend) => self::error(backend),
            _ => RepoError::Unavailable("all readers are busy".to_owned()),
        })
    }

    /// Commits once. Whatever goes wrong, the session is not used again: its state is unknown, and so is what it
    /// knows by heart.
    async fn try_commit(&self, batch: &Batch) -> Result<Vec<Taken>, Failure> {
        let (mut slot, mut writing) = self.writing().await?;
        let results = tokio::time::timeout(self.timeout, writing.commit(batch))
            .await
            .map_err(|_| RepoError::Unavailable("no answer in time".to_owned()))??;
        *slot = Some(writing);
        Ok(results)
    }

    /// The same for a part of the log.
    async fn try_catch_up(&self, part: &Part) -> Result<bool, Failure> {
        let (mut slot, mut writing) = self.writing().await?;
        let is_ours = tokio::time::timeout(self.timeout, writing.catch_up(part))
            .await
            .map_err(|_| RepoError::Unavailable("no answer in time".to_owned()))??;
        *slot = Some(writing);
        Ok(is_ours)
    }

    /// The writing session, and where it is put back.
    async fn writing(&self) -> Result<(MutexGuard<'_, Option<Writing>>, Writing), Failure> {
        let mut slot = self.writer.lock().await;
        let writing = match slot.take() {
            Some(writing) if !writing.is_closed() => writing,
            _ => Writing::start(connect(&self.config).await?).await?,
        };
        Ok((slot, writing))
    }
}

#[async_trait]
impl Repo for Postgres {
    async fn commit(&self, batch: &Batch) -> Result<Vec<Taken>, RepoError> {
        let mut attempt = 1;
        loop {
            match self.try_commit(batch).await {
                Ok(results) => return Ok(results),
                Err(Failure::Sacrificed(_)) if attempt < ATTEMPTS => attempt += 1,
                Err(Failure::Sacrificed(error) | Failure::Final(error)) => return Err(error),
            }
        }
    }

    async fn select(
        &self,
        statement: &'static str,
        parameters: Vec<Vec<Cell>>,
    ) -> Result<Vec<Row>, RepoError> {
        let client = self.reader().await?;
        let statement = client.prepare_cached(statement).await.map_err(error)?;
        // PostgreSQL's text cannot hold U+0000: nothing stored equals a text that does.
        let can_match = |cells: &&Vec<Cell>| {
            let has_nul = |cell: &Cell| matches!(cell, Cell::Text(text) if text.contains('\0'));
            !cells.iter().any(has_nul)
        };
        // All branches are on their way at once.
        let branches = parameters.iter().filter(can_match).map(|cells| {
            let cells: Vec<_> = cells
                .iter()
                .map(|cell| cell as &(dyn ToSql + Sync))
                .collect();
            let (client, statement) = (&client, &statement);
            async move { client.query(statement, &cells).await }
        });
        let branches = tokio::time::timeout(self.timeout, try_join_all(branches))
            .await
            .map_err(|_| RepoError::Unavailable("no answer in time".to_owned()))?;
        let rows = branches.map_err(error)?;
        rows.iter()
            .flatten()
            .map(|row| Row::try_from(row).map_err(error))
            .collect()
    }

    async fn change(
        &self,
        statement: &'static str,
        parameters: Vec<Vec<Cell>>,
    ) -> Result<Vec<Row>, RepoError> {
        let mut client = self.reader().await?;
        let changing = async {
            let statement = client.prepare_cached(statement).await?;
            let transaction = client.transaction().await?;
            let mut found = Vec::new();
            for cells in &parameters {
                let cells: Vec<_> = cells
                    .iter()
                    .map(|cell| cell as &(dyn ToSql + Sync))
                    .collect();
                for row in transaction.query(&statement, &cells).await? {
                    found.push(Row::try_from(&row)?);
                }
            }
            transaction.commit().await?;
            Ok(found)
        };
        tokio::time::timeout(self.timeout, changing)
            .await
            .map_err(|_| RepoError::Unavailable("no answer in time".to_owned()))?
            .map_err(error)
    }

    async fn catch_up(&self, part: &Arc<Part>) -> Result<bool, RepoError> {
        // One that the server sacrificed is read again.
        self.try_catch_up(part)
            .await
            .map_err(|failure| match failure {
                Failure::Sacrificed(error) | Failure::Final(error) => error,
            })
    }

    async fn check(&self) -> Result<(), RepoError> {
        let mut rows = self
            .select("SELECT pg_is_in_recovery()::int::bigint", vec![vec![]])
            .await?;
        match rows.pop().map(|mut row| row.some_int()) {
            Some(Ok(0)) => Ok(()),
            _ => Err(RepoError::Unavailable(
                "the server is a read-only standby".to_owned(),
            )),
        }
    }
}

/// Why a commit did not happen.
enum Failure {
    /// The server chose another transaction over it; again, it can succeed.
    Sacrificed(RepoError),
    /// Trying again at once is pointless.
    Final(RepoError),
}

impl From<RepoError> for Failure {
    fn from(error: RepoError) -> Self {
        Self::Final(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let sacrificed = matches!(
            error.code(),
            Some(&SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE)
        );
        let error = self::error(error);
        if sacrificed {
            Self::Sacrificed(error)
        } else {
            Self::Final(error)
        }
    }
}

async fn connect(config: &Config) -> Result<tokio_postgres::Client, RepoError> {
    let (client, connection) = config.connect(NoTls).await.map_err(error)?;
    tokio::spawn(async move {
        // Its failure is also every pending query's, and told there.
        let _ = connection.await;
    });
    Ok(client)
}

/// PostgreSQL's error as ours. Its messages can quote values, so only its code is repeated.
fn error(error: tokio_postgres::Error) -> RepoError {
    if let Some(code) = error.as_db_error().map(DbError::code) {
        let text = format!("SQLSTATE {}", code.code());
        // Classes 22 (data exception), 23 (integrity constraint), 54 (program limit): it is the data.
        return if ["22", "23", "54"]
            .iter()
            .any(|class| code.code().starts_with(class))
        {
            RepoError::Refused(text)
        } else {
            RepoError::Unavailable(text)
        };
    }
    let cause = error
        .source()
        .and_then(|cause| cause.downcast_ref::<std::io::Error>());
    RepoError::Unavailable(cause.map_or_else(
        || "the connection failed".to_owned(),
        |cause| format!("the connection failed: {cause}"),
    ))
}
