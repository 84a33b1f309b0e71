//! Runs the fuzzer and reads what it says.

use std::fmt;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weir_testbed::layout::Layout;

use super::Target;
use super::build::Programs;
use crate::{cargo, say};

/// Most memory of a job, MiB.
const MEMORY_MB: u32 = 1_024;
/// Longest input, bytes: about what pushes have. The target `bounds` makes large ones of short ones.
const MAX_INPUT: u32 = 4_096;

/// How many times longer by the clock a job may take than it works, before it ends by itself.
const PATIENCE: u32 = 30;
/// What libFuzzer ends with when it is interrupted.
const INTERRUPTED: i32 = 72;
/// Between two looks at a job.
const STEP: Duration = Duration::from_millis(200);

/// What came of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) target: &'static str,
    /// Each job's, of work.
    pub(super) seconds: u32,
    pub(super) jobs: u32,
    /// Inputs tried.
    pub(super) executions: u64,
    /// Edges of the code reached, in the job that reached the most.
    pub(super) edges: u64,
    /// Microseconds that the slowest input took.
    pub(super) slowest_us: u64,
    /// Jobs that an input ended.
    pub(super) crashes: u32,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} executions, {} edges, slowest {} us, {} crashes",
            self.executions, self.edges, self.slowest_us, self.crashes
        )
    }
}

/// Where inputs are put that break.
pub(super) fn crashes(layout: &Layout) -> PathBuf {
    layout.target().join("fuzz/crashes")
}

fn found(layout: &Layout, target: &str) -> PathBuf {
    layout.target().join("fuzz/found").join(target)
}

fn corpus(layout: &Layout, target: &str) -> PathBuf {
    layout.root().join("fuzz/corpus").join(target)
}

/// The fuzzer, with everything that is known of a target: new inputs go to the first folder.
fn fuzzer(layout: &Layout, programs: &Programs, (target, _): Target) -> Result<Command> {
    for folder in [found(layout, target), crashes(layout)] {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut command = Command::new(programs.of(target));
    command
        .current_dir(layout.target().join("fuzz"))
        .arg(format!(
            "-artifact_prefix={}/{target}-",
            crashes(layout).display()
        ))
        .arg(format!("-rss_limit_mb={MEMORY_MB}"))
        // By the wall's clock, which counts while a process is stopped: `weir_fuzz::unit` measures instead.
        .args(["-timeout=0", "-report_slow_units=1000000"])
        .arg(format!("-max_len={MAX_INPUT}"));
    Ok(command)
}

/// Runs so many jobs on a target at once, each for so many seconds of work.
pub(super) fn run(
    layout: &Layout,
    programs: &Programs,
    target: Target,
    seconds: u32,
    jobs: u32,
) -> Result<Outcome> {
    let (name, seeds) = target;
    let dictionary = layout.root().join(format!("fuzz/dictionaries/{name}.dict"));
    let log = |job| layout.target().join(format!("fuzz/{name}-{job}.log"));
    let start = |job: u32| -> Result<Child> {
        let mut command = fuzzer(layout, programs, target)?;
        if dictionary.is_file() {
            command.arg(format!("-dict={}", dictionary.display()));
        }
        command
            .arg(format!(
                "-max_total_time={}",
                seconds.saturating_mul(PATIENCE)
            ))
            .args(["-print_final_stats=1", "-entropic_scale_per_exec_time=1"])
            .args([found(layout, name), corpus(layout, name)])
            .args(seeds.map(|seeds| layout.root().join(seeds)))
            .stderr(File::create(log(job))?);
        command
            .spawn()
            .with_context(|| format!("cannot start {:?}", command.get_program()))
    };
    let mut running = (0..jobs).map(start).collect::<Result<Vec<_>>>()?;
    let mut outcome = Outcome {
        target: name,
        seconds,
        jobs,
        ..Outcome::default()
    };
    for (job, child) in (0..).zip(&mut running) {
        let status = work(child, Duration::from_secs(seconds.into()))?;
        let said = fs::read(log(job))?;
        let said = String::from_utf8_lossy(&said);
        let broken = !status.success() && status.code() != Some(INTERRUPTED);
        outcome.take(&said, broken)?;
        if broken {
            let lines: Vec<_> = said.lines().collect();
            say::loudly(&lines[lines.len().saturating_sub(30)..].join("\n"));
        }
    }
    Ok(outcome)
}

/// Lets a job work for so long, then ends it. What counts is its processor's time: where many want the processor, and some
/// stop others to measure, the clock on the wall says little.
fn work(child: &mut Child, long: Duration) -> Result<ExitStatus> {
    let mut told = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if !told && worked(child.id())? >= long {
            // libFuzzer then says what it did. The child is not reaped yet, so the number is its own.
            cargo::run(Command::new("kill").args(["-INT", &child.id().to_string()]))?;
            told = true;
        }
        thread::sleep(STEP);
    }
}

/// How long a process has worked, by `/proc`.
fn worked(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    ticks(&stat).context("a line of /proc that is not understood")
}

/// User and system time from a process's `stat`, in which only the name may hold blanks. Linux counts in hundredths of a
/// second there.
fn ticks(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (next()? + next()?)))
}

impl Outcome {
    /// Adds what a job said.
    fn take(&mut self, said: &str, broken: bool) -> Result<()> {
        self.executions += number(said, "stat::number_of_executed_units:")
            .context("the fuzzer does not say how many inputs it tried")?;
        self.edges = self.edges.max(number(said, " cov: ").unwrap_or(0));
        self.slowest_us = self
            .slowest_us
            .max(number(said, "slowest unit: ").unwrap_or(0));
        self.crashes += u32::from(broken);
        Ok(())
    }
}

/// The number after the last occurrence of a text.
fn number(said: &str, after: &str) -> Option<u64> {
    let (_, rest) = said.rsplit_once(after)?;
    let rest = rest.trim_start();
    let end = rest.find(|char: char| !char.is_ascii_digit());
    rest.get(..end.unwrap_or(rest.len()))?.parse().ok()
}

/// Replaces the committed corpus by few and small inputs that reach every edge that it and all that was found reach.
pub(super) fn minimise(layout: &Layout, programs: &Programs, target: Target) -> Result<()> {
    let (name, seeds) = target;
    let committed = corpus(layout, name);
    let fresh = layout.emptied(&format!("fuzz/fresh-{name}"))?;
    say::timed(&format!("minimising {name}"), || {
        let mut command = fuzzer(layout, programs, target)?;
        command
            // Edges alone: how often each is passed would triple the files, and a fuzzer finds that out in seconds.
            .args(["-set_cover_merge=1", "-use_counters=0"])
            .arg(&fresh)
            .args(
                [&committed, &found(layout, name)]
                    .into_iter()
                    .filter(|folder| folder.is_dir()),
            )
            .args(seeds.map(|seeds| layout.root().join(seeds)))
            .stderr(File::create(
                layout.target().join(format!("fuzz/{name}-merge.log")),
            )?);
        cargo::run(&mut command)?;
        let inputs = fs::read_dir(&fresh)?.collect::<Result<Vec<_>, _>>()?;
        ensure!(!inputs.is_empty(), "nothing is left");
        if committed.is_dir() {
            fs::remove_dir_all(&committed)?;
        }
        fs::create_dir_all(&committed)?;
        let mut size = 0;
        for input in &inputs {
            size += fs::copy(input.path(), committed.join(input.file_name()))?;
        }
        say::note(&format!("{} inputs, {size} bytes", inputs.len()));
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
#2	INITED cov: 700 ft: 701 corp: 1/1b exec/s: 0 rss: 26Mb
slowest unit: 342 us, 3 bytes
#9	NEW    cov: 1791 ft: 6718 corp: 438/37Kb lim: 110 exec/s: 2948 rss: 31Mb L: 56/110 MS: 1 CMP-
slowest unit: 1057 us, 5 bytes
stat::number_of_executed_units: 6118
stat::slowest_unit_time_sec:    0
";

    #[test]
    fn what_the_jobs_say_is_added_up() {
        let mut outcome = Outcome::default();
        outcome.take(SAID, false).unwrap();
        let other = SAID.replace("1791", "1800").replace("1057", "56");
        outcome.take(&other, true).unwrap();
        assert_eq!(
            outcome,
            Outcome {
                executions: 12_236,
                edges: 1_800,
                slowest_us: 1_057,
                crashes: 1,
                ..Outcome::default()
            }
        );
    }

    #[test]
    fn work_is_the_time_of_user_and_system() {
        let stat = "42 (fuzz (x) y) R 1 42 42 0 -1 4194560 300 0 0 0 250 50 0 0 39 19 1 0 1000 1 2";
        assert_eq!(ticks(stat), Some(Duration::from_secs(3)));
        assert_eq!(ticks("42"), None);
        let own = worked(std::process::id());
        assert!(own.is_ok());
    }

    #[test]
    fn a_fuzzer_that_says_nothing_is_an_error() {
        assert!(Outcome::default().take("Killed", true).is_err());
    }
}
