//! How a store is run: flags, or the environment variables beside them.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, Parser};
use weir_errands::door::{Address, Entrance, Unusable};

use crate::jobs::{self, schedule::Timer};
use crate::repo::Settings;

/// Takes Weir's events, keeps them, and answers questions about accounts, users and messages.
#[derive(Clone, Parser)]
#[command(name = "weir-store", version)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one, which is then printed.
    #[arg(long, env = "WEIR_STORE_LISTEN", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,

    /// Where to keep it all: `sqlite:PATH`, or `postgres://user:password@host/database`.
    #[arg(
        long,
        env = "WEIR_STORE_DATABASE",
        default_value = "sqlite:weir.db",
        hide_env_values = true
    )]
    pub database: String,

    /// Name of the environment variable that holds the token every request to /v1 must then bear.
    #[arg(long, env = "WEIR_STORE_BEARER_TOKEN_ENV", value_name = "NAME")]
    pub bearer_token_env: Option<String>,

    /// Accounts who keep nothing personal of people who unfollow them: names, separated by commas.
    #[arg(
        long,
        env = "WEIR_STORE_ERASE_ON_UNFOLLOW",
        value_name = "ACCOUNTS",
        value_delimiter = ','
    )]
    pub erase_on_unfollow: Vec<String>,

    /// Print the API's description (OpenAPI 3.1, JSON) and end.
    #[arg(long)]
    pub openapi: bool,

    /// What it does through WeChat's API by itself.
    #[command(flatten)]
    pub errands: Errands,

    /// The bounds.
    #[command(flatten)]
    pub limits: Limits,
}

/// The API door, and what is done through it. The store is a client of the door like any other.
#[derive(Debug, Clone, Args)]
pub struct Errands {
    /// The API door's URL; without it the store does nothing through WeChat's API.
    #[arg(
        long,
        env = "WEIR_STORE_DOOR",
        value_name = "URL",
        requires = "door_key_env"
    )]
    pub door: Option<String>,

    /// Name of the environment variable that holds the store's key at the door.
    #[arg(long, env = "WEIR_STORE_DOOR_KEY_ENV", value_name = "NAME")]
    pub door_key_env: Option<String>,

    /// Trust the authorities in this PEM file alone when the door's URL is https, not the public ones.
    #[arg(long, env = "WEIR_STORE_DOOR_CACERT", value_name = "FILE")]
    pub door_cacert: Option<PathBuf>,

    /// Bring an account's followers into the store by the clock: demo=24h, demo=90m or demo=03:30 (Beijing time).
    #[arg(
        long,
        env = "WEIR_STORE_SYNC_EVERY",
        value_name = "ACCOUNT=WHEN",
        value_delimiter = ',',
        requires = "door"
    )]
    pub sync_every: Vec<Timer>,

    /// Calls to WeChat a second, for each job.
    #[arg(long, env = "WEIR_STORE_DOOR_RATE", value_name = "N", default_value_t = 50.0, value_parser = rate)]
    pub door_rate: f64,

    /// Calls to WeChat under way at a time, for each job.
    #[arg(long, env = "WEIR_STORE_DOOR_CONCURRENCY", value_name = "N", default_value_t = 4,
        value_parser = clap::value_parser!(u32).range(1..=64))]
    pub door_concurrency: u32,

    /// How long a store that does not answer keeps its jobs; then another goes on with them.
    #[arg(long, env = "WEIR_STORE_JOB_LEASE_MS", default_value_t = 10_000,
        value_parser = clap::value_parser!(u64).range(1_000..=600_000))]
    pub job_lease_ms: u64,
}

impl Default for Errands {
    fn default() -> Self {
        Self {
            door: None,
            door_key_env: None,
            door_cacert: None,
            sync_every: Vec::new(),
            door_rate: 50.0,
            door_concurrency: 4,
            job_lease_ms: 10_000,
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok();
    let rate = rate.filter(|rate| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "it has to be a number above 0".to_owned())
}

impl Errands {
    /// The way to the door, if there is one.
    ///
    /// # Errors
    /// The door's URL, its key or its certificates are not usable.
    pub fn open(&self) -> anyhow::Result<Option<jobs::Errands>> {
        let Some(url) = &self.door else {
            return Ok(None);
        };
        let name = self.door_key_env.as_deref();
        let name = name.context("--door needs --door-key-env")?;
        let key = std::env::var(name)
            .with_context(|| format!("the door key's variable {name} cannot be read"))?;
        ensure!(!key.is_empty(), "the door key's variable {name} is empty");
        let entrance = Entrance::new(Address {
            cacert: self.door_cacert.as_deref(),
            connections: self.door_concurrency,
            ..Address::new(url, &key)
        });
        let entrance = entrance.map_err(|unusable| {
            let what = match unusable {
                Unusable::Key => format!("what {name} holds cannot be a key"),
                Unusable::Url(_) | Unusable::Connect(_) => "--door".to_owned(),
                Unusable::Account | Unusable::Client(_) => "the way to the door".to_owned(),
            };
            anyhow::Error::new(unusable).context(what)
        })?;
        let settings = jobs::Settings {
            timers: self.sync_every.clone(),
            rate: self.door_rate,
            concurrency: self.door_concurrency,
            lease: Duration::from_millis(self.job_lease_ms),
        };
        Ok(Some(jobs::Errands::new(entrance, settings)))
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The database's URL can hold a password.
        formatter
            .debug_struct("Config")
            .field("listen", &self.listen)
            .field("bearer_token_env", &self.bearer_token_env)
            .field("errands", &self.errands)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// A store on a free port of the loopback with this database, and defaults otherwise.
    #[must_use]
    pub fn local(database: impl Into<String>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            database: database.into(),
            bearer_token_env: None,
            erase_on_unfollow: Vec::new(),
            openapi: false,
            errands: Errands::default(),
            limits: Limits::default(),
        }
    }

    /// Reads the token that requests must bear, if one is demanded.
    ///
    /// # Errors
    /// The variable is not set, or empty: a store that was meant to be closed must not be open.
    pub fn bearer_token(&self) -> anyhow::Result<Option<String>> {
        let Some(name) = &self.bearer_token_env else {
            return Ok(None);
        };
        let token = std::env::var(name)
            .with_context(|| format!("the bearer token's variable {name} cannot be read"))?;
        ensure!(
            !token.is_empty(),
            "the bearer token's variable {name} is empty"
        );
        Ok(Some(token))
    }
}

/// Declares the limits once: as flags with their defaults, and as [`Default`].
macro_rules! limits {
    ($($(#[doc = $doc:literal])* $name:ident: $kind:ty = $default:literal, $env:literal;)*) => {
        /// The bounds of a store, each with its unit in its name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
        pub struct Limits {
            $($(#[doc = $doc])* #[arg(long, env = $env, default_value_t = $default)] pub $name: $kind,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }
    };
}

limits! {
    /// Largest request body; a larger one is answered 413.
    max_body_bytes: usize = 8_388_608, "WEIR_STORE_MAX_BODY_BYTES";
    /// Most events in one request; more are answered 413.
    max_batch_events: usize = 1_000, "WEIR_STORE_MAX_BATCH_EVENTS";
    /// Largest single event; a larger one is rejected by name.
    max_event_bytes: usize = 1_048_576, "WEIR_STORE_MAX_EVENT_BYTES";
    /// Most events waiting for their commit; beyond, requests are answered 503.
    max_queued_events: usize = 20_000, "WEIR_STORE_MAX_QUEUED_EVENTS";
    /// Most bytes of requests waiting for their commit; beyond, requests are answered 503.
    max_queued_bytes: usize = 67_108_864, "WEIR_STORE_MAX_QUEUED_BYTES";
    /// Events after which a commit takes in no further request.
    max_commit_events: usize = 2_000, "WEIR_STORE_MAX_COMMIT_EVENTS";
    /// How long a commit waits for company when the last one had some; 0: never.
    commit_delay_ms: u64 = 2, "WEIR_STORE_COMMIT_DELAY_MS";
    /// Connections that read.
    read_connections: usize = 4, "WEIR_STORE_READ_CONNECTIONS";
    /// How long to wait for the database.
    database_timeout_ms: u64 = 5_000, "WEIR_STORE_DATABASE_TIMEOUT_MS";
    /// How long a request may take, its body included.
    request_timeout_ms: u64 = 30_000, "WEIR_STORE_REQUEST_TIMEOUT_MS";
    /// Most bytes of the fields that applications keep of one person at one account; more are answered 413.
    max_extension_bytes: usize = 16_384, "WEIR_STORE_MAX_EXTENSION_BYTES";
    /// People kept ready to be answered with; 0: none.
    cached_people: usize = 10_000, "WEIR_STORE_CACHED_PEOPLE";
    /// How long one is kept, and so how late the answer can be about what another store process was told.
    cached_people_ms: u64 = 1_000, "WEIR_STORE_CACHED_PEOPLE_MS";
    /// How long to wait for WeChat when a card is wanted as it is now; then it is shown as it is stored.
    refresh_timeout_ms: u64 = 5_000, "WEIR_STORE_REFRESH_TIMEOUT_MS";
    /// How long, when told to end, to wait for requests that were begun.
    shutdown_grace_ms: u64 = 10_000, "WEIR_STORE_SHUTDOWN_GRACE_MS";
}

impl Limits {
    /// Checks that a request within its own limits can ever be taken.
    ///
    /// # Errors
    /// A limit is 0, or one rules out what another allows; all such are named.
    pub fn check(&self) -> anyhow::Result<()> {
        let problems: Vec<&str> = [
            (self.max_batch_events == 0, "max-batch-events is 0"),
            (self.max_commit_events == 0, "max-commit-events is 0"),
            (self.read_connections == 0, "read-connections is 0"),
            (self.database_timeout_ms == 0, "database-timeout-ms is 0"),
            (self.request_timeout_ms == 0, "request-timeout-ms is 0"),
            (
                self.max_queued_events < self.max_batch_events,
                "max-queued-events is less than max-batch-events",
            ),
            (
                self.max_queued_bytes < self.max_body_bytes,
                "max-queued-bytes is less than max-body-bytes",
            ),
            (
                self.max_queued_bytes.max(self.max_queued_events) > u32::MAX as usize,
                "max-queued-bytes or max-queued-events is beyond 4294967295",
            ),
        ]
        .into_iter()
        .filter_map(|(is_wrong, problem)| is_wrong.then_some(problem))
        .collect();
        ensure!(
            problems.is_empty(),
            "the limits do not fit: {}",
            problems.join("; ")
        );
        Ok(())
    }

    /// What concerns the database.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            read_connections: self.read_connections,
            timeout: Duration::from_millis(self.database_timeout_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_well_formed_and_default_to_the_defaults() {
        Config::command().debug_assert();
        let config = Config::parse_from(["weir-store"]);
        assert_eq!(config.limits, Limits::default());
        config.limits.check().unwrap();
    }

    #[test]
    fn limits_that_rule_each_other_out_are_all_named() {
        let limits = Limits {
            read_connections: 0,
            max_queued_events: 1,
            ..Limits::default()
        };
        let error = limits.check().unwrap_err().to_string();
        assert!(
            error.contains("read-connections") && error.contains("max-queued-events"),
            "{error}"
        );
    }

    #[test]
    fn a_password_is_not_shown() {
        let config = Config::local("postgres://weir:hunter2@localhost/weir");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
