//! A private PostgreSQL, gone with the process that started it.
//!
//! A shell makes the cluster, starts the server and waits at its standard input, whose other end this process
//! holds. When that closes, for whatever reason (a drop, an exit, a kill), the shell stops the server and removes
//! the directory. PostgreSQL refuses to run as root: started by root, it all runs as `postgres`, else `nobody`.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tokio_postgres::NoTls;

/// Where packages put the programs when they are not on the `PATH`; the version's directory comes below.
const PACKAGES: [&str; 3] = ["/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt"];
/// How long cluster and server may take together.
const PATIENCE: Duration = Duration::from_secs(120);
/// The port can be taken between choosing and using it.
const ATTEMPTS: u32 = 3;

/// A server for tests.
#[derive(Debug)]
pub struct TestPostgres {
    url: String,
    /// The shell that keeps it; none for a server that was there.
    shell: Option<Mutex<Child>>,
}

impl TestPostgres {
    /// Starts a private server, without fsync: it holds nothing worth keeping.
    ///
    /// # Errors
    /// PostgreSQL is not installed, or did not start; its log is quoted.
    pub fn start() -> anyhow::Result<Self> {
        let programs = programs().context(
            "PostgreSQL is needed for this test: install it (Debian: apt-get install postgresql), name a server in \
             WEIR_TEST_POSTGRES_URL, or, on a machine of your own, set WEIR_WITHOUT_POSTGRES=1 to do without",
        )?;
        let mut attempt = 1;
        loop {
            match Self::try_start(&programs) {
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    /// The server all tests of a process share: the one `WEIR_TEST_POSTGRES_URL` names, else a private one.
    /// `None` if there is none and `WEIR_WITHOUT_POSTGRES=1` allows that, which `CI=true` overrules.
    ///
    /// # Panics
    /// There is none and there should be.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<TestPostgres>> = OnceLock::new();
        let is =
            |name: &str, value: &str| std::env::var_os(name).is_some_and(|found| found == value);
        let start = || {
            if let Ok(url) = std::env::var("WEIR_TEST_POSTGRES_URL") {
                return Some(Self { url, shell: None });
            }
            if is("WEIR_WITHOUT_POSTGRES", "1") && !is("CI", "true") {
                return None;
            }
            match Self::start() {
                Ok(postgres) => Some(postgres),
                Err(error) => panic!("{error:#}"),
            }
        };
        SHARED.get_or_init(start).as_ref()
    }

    /// `postgres://…` of an administrator.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes an empty database.
    ///
    /// # Errors
    /// The server refused.
    pub async fn database(&self) -> anyhow::Result<TestDatabase> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("weir_test_{}_{count}", std::process::id());
        execute(&self.url, &format!("CREATE DATABASE {name}")).await?;
        let (server, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let (server, _) = server
            .rsplit_once('/')
            .filter(|(server, _)| !server.ends_with('/'))
            .unwrap_or((server, ""));
        let query = if query.is_empty() {
            String::new()
        } else {
            format!("?{query}")
        };
        Ok(TestDatabase {
            url: format!("{server}/{name}{query}"),
            // A private server takes its databases with it.
            drop_by: self.shell.is_none().then(|| self.url.clone()),
            name,
        })
    }

    fn try_start(programs: &Path) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new()
            .prefix("weir-postgres-")
            .tempdir()?;
        let user = match fs::metadata(home.path())?.uid() {
            0 => Some(unprivileged_user()?),
            _ => None,
        };
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT])
            .current_dir(home.path())
            .env("HOME", home.path())
            .env("LC_ALL", "C.UTF-8")
            .env("BIN", programs)
            .env("DIR", home.path())
            .env("PORT", port.to_string())
            // What ends the tests (Ctrl-C, a time limit) must leave the shell to clean up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some((uid, gid)) = user {
            chown(home.path(), Some(uid), Some(gid))?;
            command.uid(uid).gid(gid);
        }
        let shell = command.spawn().context("cannot run /bin/sh")?;
        // From here on the shell removes the directory.
        let home = home.keep();
        let postgres = Self {
            url: format!("postgres://postgres@127.0.0.1:{port}/postgres"),
            shell: Some(Mutex::new(shell)),
        };
        wait_until_ready(&home)?;
        Ok(postgres)
    }
}

/// Runs as the server's user. `set -e` is not used: whatever fails, the directory must go.
const SCRIPT: &str = r#"
"$BIN/initdb" --auth=trust --username=postgres --encoding=UTF8 --locale=C --no-sync --pgdata="$DIR/data" \
    >"$DIR/log" 2>&1 &&
"$BIN/postgres" -D "$DIR/data" -p "$PORT" -k "$DIR" -c listen_addresses=127.0.0.1 -c max_connections=200 \
    -c fsync=off -c full_page_writes=off -c shared_buffers=64MB >>"$DIR/log" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -QUIT "$(head -n 1 "$DIR/data/postmaster.pid")"
wait "$server"
cd / && rm -rf "$DIR"
"#;

fn wait_until_ready(home: &Path) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // The server's last word in this file, once it accepts connections.
        let status = fs::read_to_string(home.join("data/postmaster.pid")).unwrap_or_default();
        if status
            .lines()
            .last()
            .is_some_and(|line| line.trim() == "ready")
        {
            return Ok(());
        }
        let log = fs::read_to_string(home.join("log")).unwrap_or_default();
        let failed = log.contains("FATAL") || log.contains("initdb: error");
        ensure!(
            !failed && Instant::now() < deadline,
            "PostgreSQL did not start:\n{log}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Drop for TestPostgres {
    fn drop(&mut self) {
        let Some(shell) = self.shell.take() else {
            return;
        };
        if let Ok(mut shell) = shell.into_inner() {
            // Its sign to clean up.
            drop(shell.stdin.take().map(|mut stdin| stdin.flush()));
            // How it ends is of no consequence.
            let _ = shell.wait();
        }
    }
}

/// A database of its own for one test.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    name: String,
    /// By whom it is dropped.
    drop_by: Option<String>,
}

impl TestDatabase {
    /// Its `postgres://…`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some(url) = self.drop_by.take() else {
            return;
        };
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A drop can run inside a runtime, which cannot wait for another.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(execute(&url, &statement))
        });
        // What remains is a database named weir_test_… on a server for tests.
        let _ = dropping.join();
    }
}

async fn execute(url: &str, statement: &str) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .context("cannot reach the PostgreSQL for tests")?;
    let connection = tokio::spawn(connection);
    client.batch_execute(statement).await?;
    drop(client);
    connection.await??;
    Ok(())
}

/// The directory of `initdb` and `postgres`: the newest package's, else on the `PATH`.
fn programs() -> Option<PathBuf> {
    let mut packaged: Vec<PathBuf> = PACKAGES
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    packaged.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    packaged
        .into_iter()
        .rev()
        .chain(std::env::split_paths(&path))
        .find(|folder| {
            ["initdb", "postgres"]
                .iter()
                .all(|program| folder.join(program).is_file())
        })
}

/// User and group to run as instead of root.
fn unprivileged_user() -> anyhow::Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd")?;
    for wanted in ["postgres", "nobody"] {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(wanted));
        let mut ids = line.into_iter().flat_map(|line| line.split(':').skip(2));
        if let (Some(uid), Some(gid)) = (ids.next(), ids.next()) {
            return Ok((uid.parse()?, gid.parse()?));
        }
    }
    bail!("PostgreSQL does not run as root, and there is no user postgres or nobody")
}
