//! What the modules and the host say: kept for whoever asks, and passed on to a listener if there is one.
//!
//! Bounds: the last [`CAPACITY`] lines are kept. Messages of modules are taken as they are, newlines included, as
//! Envoy does; who prints them must know that.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// How many lines are kept.
pub(crate) const CAPACITY: usize = 10_000;

/// Severity, with the numbers of the ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Level {
    /// 0
    Trace = 0,
    /// 1
    Debug = 1,
    /// 2
    Info = 2,
    /// 3
    Warn = 3,
    /// 4
    Error = 4,
    /// 5
    Critical = 5,
}

impl Level {
    pub(crate) fn from_abi(level: u32) -> Option<Self> {
        Some(match level {
            0 => Self::Trace,
            1 => Self::Debug,
            2 => Self::Info,
            3 => Self::Warn,
            4 => Self::Error,
            5 => Self::Critical,
            _ => return None,
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
        })
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Severity.
    pub level: Level,
    /// The thread it was said on: `main` or `worker 0` and so on.
    pub thread: String,
    /// What was said; a module's own words begin with `wasm log`.
    pub message: String,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] [{}] {}", self.level, self.thread, self.message)
    }
}

/// Takes each line as it is said, on the thread that says it.
pub type Sink = Arc<dyn Fn(&LogLine) + Send + Sync>;

/// The log of one host. Clones write to the same log.
#[derive(Clone)]
pub(crate) struct Log {
    level: Level,
    sink: Option<Sink>,
    lines: Arc<Mutex<VecDeque<LogLine>>>,
    thread: Arc<str>,
}

impl Log {
    pub(crate) fn new(level: Level, sink: Option<Sink>) -> Self {
        Self {
            level,
            sink,
            lines: Arc::default(),
            thread: Arc::from("main"),
        }
    }

    /// The same log, for another thread.
    pub(crate) fn for_thread(&self, name: &str) -> Self {
        Self {
            thread: Arc::from(name),
            ..self.clone()
        }
    }

    pub(crate) fn level(&self) -> Level {
        self.level
    }

    pub(crate) fn say(&self, level: Level, message: impl Into<String>) {
        if level < self.level {
            return;
        }
        let line = LogLine {
            level,
            thread: self.thread.to_string(),
            message: message.into(),
        };
        if let Some(sink) = &self.sink {
            sink(&line);
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == CAPACITY {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    pub(crate) fn lines(&self) -> Vec<LogLine> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect()
    }
}
