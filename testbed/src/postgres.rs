//! A private PostgreSQL for the length of a test run.
//!
//! Made by `initdb` in a temporary directory, reached on loopback without a password, without fsync (it holds nothing
//! worth keeping), gone with its guard. PostgreSQL refuses to run as root; started by root, it runs as the user
//! `postgres`, else `nobody`.
//!
//! Out of scope: a server that is already there. Whoever has one passes its URL to the tests and needs nothing of this.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::unistd::{Uid, User};

use crate::process::Process;

/// Where packages put the programs when they are not on the `PATH`; the version directory comes below.
const PACKAGE_DIRS: [&str; 3] = ["/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt"];
/// How long the server may take until it accepts connections.
const START_LIMIT: Duration = Duration::from_secs(60);
/// A port can be taken between choosing it and binding it.
const ATTEMPTS: u32 = 3;

/// The server's programs, where they were found.
#[derive(Debug, Clone)]
pub struct Programs {
    dir: PathBuf,
}

impl Programs {
    /// Looks on the `PATH`, then where packages install PostgreSQL (the newest first).
    #[must_use]
    pub fn find() -> Option<Self> {
        let on_path = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .collect::<Vec<_>>();
        let mut packaged: Vec<PathBuf> = PACKAGE_DIRS
            .iter()
            .filter_map(|dir| fs::read_dir(dir).ok())
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
            .collect();
        packaged.sort();
        packaged.reverse();
        on_path
            .into_iter()
            .chain(packaged)
            .find(|dir| {
                ["initdb", "postgres"]
                    .iter()
                    .all(|program| dir.join(program).is_file())
            })
            .map(|dir| Self { dir })
    }

    /// The directory they are in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn command(&self, program: &str, user: Option<&User>, home: &Path) -> Command {
        let mut command = Command::new(self.dir.join(program));
        // It must be able to enter its working directory, which ours may not be for another user.
        command.current_dir(home).env("LC_ALL", "C.UTF-8");
        if let Some(user) = user {
            command
                .uid(user.uid.as_raw())
                .gid(user.gid.as_raw())
                .env("HOME", home);
        }
        command
    }
}

/// A running server, ended and its data removed when this is dropped.
#[derive(Debug)]
pub struct Postgres {
    process: Option<Process>,
    home: PathBuf,
    url: String,
}

impl Postgres {
    /// Makes an empty cluster and starts a server on it; its logs go to `logs`.
    ///
    /// # Errors
    /// No user to run it as, or `initdb` or the server failed; the message quotes their output.
    pub fn start(programs: &Programs, logs: &Path) -> Result<Self> {
        let user = match Uid::effective().is_root() {
            true => Some(unprivileged_user()?),
            false => None,
        };
        let home = std::env::temp_dir().join(format!("weir-postgres-{}", std::process::id()));
        fs::create_dir(&home).with_context(|| format!("cannot make {}", home.display()))?;
        // From here on its drop removes the directory, whatever fails.
        let mut postgres = Self {
            process: None,
            home,
            url: String::new(),
        };
        let home = &postgres.home;
        if let Some(user) = &user {
            chown(home, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        }
        let output = programs
            .command("initdb", user.as_ref(), home)
            .args([
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--pgdata",
            ])
            .arg(home.join("data"))
            .output()
            .context("cannot run initdb")?;
        ensure!(
            output.status.success(),
            "initdb failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut attempt = 1;
        let (process, port) = loop {
            match serve(programs, user.as_ref(), home, logs) {
                Ok(server) => break server,
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        };
        postgres.url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        postgres.process = Some(process);
        Ok(postgres)
    }

    /// `postgres://…` of an administrator and an empty database; more can be created.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn serve(
    programs: &Programs,
    user: Option<&User>,
    home: &Path,
    logs: &Path,
) -> Result<(Process, u16)> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port();
    let mut command = programs.command("postgres", user, home);
    command
        .arg("-D")
        .arg(home.join("data"))
        .args(["-p", &port.to_string()]);
    for setting in [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "fsync=off",
        "full_page_writes=off",
        "max_connections=200",
        "log_min_messages=warning",
    ] {
        command.args(["-c", setting]);
    }
    let mut process = Process::start("postgres", command, logs)?.stopped_by_interrupt();
    // The server writes its port to this file, and `ready` as the last line once it accepts connections.
    let status = home.join("data").join("postmaster.pid");
    process.wait_until("accepting connections", START_LIMIT, |_| {
        let text = fs::read_to_string(&status).unwrap_or_default();
        Ok(text
            .lines()
            .last()
            .is_some_and(|line| line.trim() == "ready")
            .then_some(()))
    })?;
    Ok((process, port))
}

fn unprivileged_user() -> Result<User> {
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .context(
            "PostgreSQL does not run as root, and there is no user postgres or nobody to run it as",
        )
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.process.take());
        // Left-overs in the temporary directory are the system's to clean.
        let _ = fs::remove_dir_all(&self.home);
    }
}
