//! A child process that cannot outlive its guard.
//!
//! Dropping a [`Process`] asks the child to end (SIGTERM), waits a little, then makes it end (SIGKILL). Always by the
//! pid of the very child, which is not reaped before, so the pid cannot have become somebody else's. Standard output and
//! standard error land in files: a full pipe never blocks a child, and a failed run can be read afterwards.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a child may take to end after SIGTERM before SIGKILL. Envoy with a worker in an endless loop never obeys.
const GRACE: Duration = Duration::from_secs(5);
/// Between two looks at a child or its output.
const STEP: Duration = Duration::from_millis(10);
/// How much of a log an error message quotes, in lines.
const TAIL_LINES: usize = 30;

/// Calls `probe` until it gives something.
///
/// # Errors
/// `probe` failed, or `limit` passed.
pub fn wait_until<T>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = probe()? {
            return Ok(found);
        }
        if Instant::now() >= end {
            bail!("no sign of {what} within {limit:?}");
        }
        thread::sleep(STEP);
    }
}

/// A running child, ended when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Process {
    /// Starts `command` under `name`; its output goes to `<dir>/<name>.out` and `<dir>/<name>.log`, its input is empty.
    ///
    /// # Errors
    /// The program could not be started or the files not be made.
    pub fn start(name: &str, mut command: Command, dir: &Path) -> Result<Self> {
        let out = dir.join(format!("{name}.out"));
        let err = dir.join(format!("{name}.log"));
        let file = |path: &Path| {
            File::create(path).with_context(|| format!("cannot make {}", path.display()))
        };
        command
            .stdin(Stdio::null())
            .stdout(file(&out)?)
            .stderr(file(&err)?);
        let child = command.spawn().with_context(|| {
            format!(
                "cannot start {name} ({})",
                Path::new(command.get_program()).display()
            )
        })?;
        Ok(Self {
            name: name.to_owned(),
            child,
            out,
            err,
        })
    }

    /// The child's pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file that holds its standard output.
    #[must_use]
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// The file that holds its standard error.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.err
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// The system would not tell.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Calls `probe` until it gives something, as long as the child runs.
    ///
    /// # Errors
    /// The child ended first, `probe` failed, or `limit` passed; the message quotes the end of the child's output.
    pub fn wait_until<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut probe: impl FnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let found = wait_until(what, limit, || {
            if let Some(found) = probe(self)? {
                return Ok(Some(found));
            }
            match self.child.try_wait()? {
                Some(status) => bail!("it ended ({status}) before {what}"),
                None => Ok(None),
            }
        });
        found.with_context(|| format!("{}\n{}", self.name, self.tail()))
    }

    /// Waits for a complete line of standard output for which `pick` gives something.
    ///
    /// # Errors
    /// As [`wait_until`](Self::wait_until).
    pub fn wait_for_line<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut pick: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        self.wait_until(what, limit, |me| {
            let text = fs::read(&me.out).unwrap_or_default();
            let complete = text
                .iter()
                .rposition(|&byte| byte == b'\n')
                .map_or(0, |end| end + 1);
            Ok(
                String::from_utf8_lossy(text.get(..complete).unwrap_or_default())
                    .lines()
                    .find_map(&mut pick),
            )
        })
    }

    /// Asks the child to end and returns at once.
    ///
    /// # Errors
    /// The system refused.
    pub fn terminate(&self) -> Result<()> {
        let pid = i32::try_from(self.child.id()).context("a pid fits i32")?;
        kill(Pid::from_raw(pid), Signal::SIGTERM)
            .with_context(|| format!("cannot signal {}", self.name))
    }

    /// Ends the child in order, by force if it will not, and tells how it ended.
    ///
    /// # Errors
    /// The system refused.
    pub fn stop(mut self) -> Result<ExitStatus> {
        self.end()
    }

    /// Ends the child by force, now.
    ///
    /// # Errors
    /// The system refused.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn end(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        self.terminate()?;
        let end = Instant::now() + GRACE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(STEP);
        }
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    /// The last lines of its output, for a message to a person.
    #[must_use]
    pub fn tail(&self) -> String {
        let mut text = String::new();
        for path in [&self.out, &self.err] {
            let content = fs::read(path).unwrap_or_default();
            let content = String::from_utf8_lossy(&content);
            let lines: Vec<&str> = content.lines().collect();
            if !lines.is_empty() {
                text += &format!("--- end of {}\n", path.display());
                for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
                    text += line;
                    text.push('\n');
                }
            }
        }
        text
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nobody is left to be told, and a child that cannot be signalled is already gone.
        let _ = self.end();
    }
}
