//! Which core a process runs on, and how much CPU time it used.

use std::time::Duration;

use anyhow::Result;

/// The two cores of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cores {
    /// What is measured runs here.
    pub(crate) edge: usize,
    /// The load, the sink, the store.
    pub(crate) load: usize,
}

impl Cores {
    /// Picks the first two cores this process may use, and keeps this thread (and those it starts) to the second.
    /// Where figures do not matter, one core may serve for both.
    ///
    /// # Errors
    /// There is only one, or the system has no such thing.
    pub(crate) fn divide(one_will_do: bool) -> Result<Self> {
        system::divide(one_will_do)
    }

    /// Runs `start` with this thread on the edge's core: what it starts stays there.
    ///
    /// # Errors
    /// Those of `start`, or the system refused.
    pub(crate) fn on_edge<T>(self, start: impl FnOnce() -> Result<T>) -> Result<T> {
        system::pin(self.edge)?;
        let started = start();
        system::pin(self.load)?;
        started
    }
}

/// User and system time of a process so far, all its threads, to the nanosecond.
///
/// # Errors
/// The process is gone, or the system does not tell.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    system::cpu_time(pid)
}

#[cfg(target_os = "linux")]
mod system {
    use std::time::Duration;

    use anyhow::{Context, Result, bail};
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::time::{clock_getcpuclockid, clock_gettime};
    use nix::unistd::Pid;

    use super::Cores;

    const THIS_THREAD: Pid = Pid::from_raw(0);

    pub(super) fn divide(one_will_do: bool) -> Result<Cores> {
        let allowed = sched_getaffinity(THIS_THREAD)?;
        let mut cores = (0..CpuSet::count()).filter(|&core| allowed.is_set(core).unwrap_or(false));
        let edge = cores.next().context("this process may run nowhere")?;
        let load = match cores.next() {
            Some(load) => load,
            None if one_will_do => edge,
            None => bail!("two cores are needed: one for what is measured, one for the load"),
        };
        pin(load)?;
        Ok(Cores { edge, load })
    }

    pub(super) fn pin(core: usize) -> Result<()> {
        let mut set = CpuSet::new();
        set.set(core)?;
        sched_setaffinity(THIS_THREAD, &set).with_context(|| format!("cannot run on core {core}"))
    }

    pub(super) fn cpu_time(pid: u32) -> Result<Duration> {
        let pid = Pid::from_raw(i32::try_from(pid)?);
        let clock = clock_getcpuclockid(pid).context("a process has no CPU clock")?;
        Ok(clock_gettime(clock)?.into())
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::time::Duration;

    use anyhow::{Result, bail};

    use super::Cores;

    pub(super) fn divide(_one_will_do: bool) -> Result<Cores> {
        bail!("the bench pins processes to cores, which only works on Linux")
    }

    pub(super) fn pin(_core: usize) -> Result<()> {
        divide(false).map(|_| ())
    }

    pub(super) fn cpu_time(_pid: u32) -> Result<Duration> {
        bail!("the bench reads CPU clocks of processes, which only works on Linux")
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::cpu_time;

    #[test]
    fn cpu_time_of_a_process_only_grows() {
        let me = std::process::id();
        let before = cpu_time(me).unwrap();
        let mut sum = 0_u64;
        for number in 0..1_000_000_u64 {
            sum = std::hint::black_box(sum ^ number);
        }
        assert!(cpu_time(me).unwrap() > before, "{sum}");
    }
}
