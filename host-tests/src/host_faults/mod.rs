//! What Weir does when its host fails: every function that the module imports, whatever it returns.
//!
//! [`ROWS`] is the promise, [`page`] writes it down for people (`docs/host-faults.md`), [`trial`] tries it. A host call
//! that fails does nothing and says so, by any status there is.

pub mod trial;

use std::fmt::{self, Write as _};

use weir_host::{Oddity, Scope};

/// The statuses of ABI 0.2.1 but `Ok`, some errnos of WASI that are no status, and a number that is neither.
pub const STATUSES: &[u32] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 28, 52, 58, 9_999];
/// `NotFound`: said of what is not there, so that it is not a failure where something may be absent.
pub const NOT_FOUND: u32 = 1;

/// What becomes of pushes while a host call fails. In all cases no VM is lost, nothing that was acknowledged is lost,
/// nothing is stored twice, and all is as before when the fault ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serving {
    /// They are answered and kept as ever.
    AsEver,
    /// WeChat's last attempt is answered, at its deadline: the store cannot be asked. The event is delivered afterwards.
    AtLast,
    /// They are kept, and no answer reaches WeChat.
    Unheard,
    /// They are kept, and the first answer does not reach WeChat; its next attempt is answered.
    HeardLater,
    /// They are turned away and not kept: WeChat comes again.
    TurnedAway,
    /// It is not called while serving.
    NotAsked,
}

impl Serving {
    fn words(self) -> &'static str {
        match self {
            Self::AsEver => "answered as ever",
            Self::AtLast => "held; WeChat's last attempt is answered at its deadline",
            Self::Unheard => "kept; no answer is heard",
            Self::HeardLater => "kept; WeChat's next attempt is answered",
            Self::TurnedAway => "turned away; WeChat comes again",
            Self::NotAsked => "not called",
        }
    }
}

/// What becomes of a configuration while a host call fails, at the start of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starting {
    /// It is taken.
    Taken,
    /// It is refused with a line in the log, or without one if the log is what fails.
    Refused,
    /// It is refused, but taken where the status is [`NOT_FOUND`].
    RefusedUnlessAbsent,
    /// It is not called then.
    NotAsked,
}

impl Starting {
    fn words(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Refused => "refused",
            Self::RefusedUnlessAbsent => "refused, unless it says `NotFound`",
            Self::NotAsked => "not called",
        }
    }

    /// Whether the configuration is taken under this status.
    #[must_use]
    pub fn takes(self, status: u32) -> bool {
        match self {
            Self::Taken | Self::NotAsked => true,
            Self::Refused => false,
            Self::RefusedUnlessAbsent => status == NOT_FOUND,
        }
    }
}

/// A function of the host, and what follows when it fails.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its name, as imported.
    pub import: &'static str,
    /// On whose behalf it is called while serving.
    pub scope: Scope,
    /// What Weir asks it for.
    pub purpose: &'static str,
    /// See there.
    pub starting: Starting,
    /// See there.
    pub serving: Serving,
    /// What is lost meanwhile, and what makes up for it.
    pub remarks: &'static str,
}

const fn row(
    import: &'static str,
    scope: Scope,
    purpose: &'static str,
    starting: Starting,
    serving: Serving,
    remarks: &'static str,
) -> Row {
    Row {
        import,
        scope,
        purpose,
        starting,
        serving,
        remarks,
    }
}

/// Every function that the module imports, in one row or in two where it matters who calls.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row("proxy_get_buffer_bytes", Scope::Stream, "the body of a push; the configuration",
        Starting::Refused, Serving::TurnedAway,
        "503; 403 where the host says that there is no body."),
    row("proxy_get_buffer_bytes", Scope::Root, "the body of a call's answer",
        Starting::Refused, Serving::AtLast,
        "An answer that cannot be read whole is none: the call is made again, and the store recognises what it has."),
    row("proxy_get_header_map_value", Scope::Stream, "the path of a request",
        Starting::NotAsked, Serving::TurnedAway,
        "503, whatever the path; where the host says that there is no path, the request goes on to the next filter."),
    row("proxy_get_header_map_value", Scope::Root, "the status of a call's answer",
        Starting::NotAsked, Serving::AtLast,
        "An answer without a status is no yes: the call is made again."),
    row("proxy_send_local_response", Scope::Anywhere, "an answer to WeChat",
        Starting::NotAsked, Serving::Unheard,
        "Each attempt is answered, and so is one that comes when it is heard."),
    row("proxy_set_effective_context", Scope::Anywhere, "an answer to a push that was held",
        Starting::NotAsked, Serving::HeardLater,
        "The answer is known then, and needs no other context."),
    row("proxy_http_call", Scope::Anywhere, "a call of the store or of WeChat's API",
        Starting::NotAsked, Serving::AtLast,
        "As while the store is down: events wait in the outbox, calls are tried again with growing pauses."),
    row("proxy_get_shared_data", Scope::Anywhere, "what the workers share: claims, signs of life, access tokens",
        Starting::RefusedUnlessAbsent, Serving::AsEver,
        "Copies on other workers are not recognised; the store keeps one. Nothing is created over what may be there."),
    row("proxy_set_shared_data", Scope::Anywhere, "the same, written",
        Starting::Refused, Serving::AsEver,
        "Copies on other workers are not recognised; the store keeps one. Refused at a start only where something has to be created."),
    row("proxy_register_shared_queue", Scope::Anywhere, "a queue of the worker's own, to be woken by",
        Starting::Refused, Serving::NotAsked, ""),
    row("proxy_enqueue_shared_queue", Scope::Anywhere, "a wake-up of the root context",
        Starting::NotAsked, Serving::AsEver,
        "The next tick does the work, 50 ms later at most."),
    row("proxy_dequeue_shared_queue", Scope::Anywhere, "the wake-ups that are served",
        Starting::NotAsked, Serving::AsEver,
        "They stay in the queue until it can be read."),
    row("proxy_set_tick_period_milliseconds", Scope::Anywhere, "ticks",
        Starting::Refused, Serving::NotAsked, ""),
    row("proxy_define_metric", Scope::Anywhere, "a metric",
        Starting::NotAsked, Serving::AsEver,
        "Counts are kept and told later; measurements too, 4,096 of each kind at most."),
    row("proxy_increment_metric", Scope::Anywhere, "a count",
        Starting::NotAsked, Serving::AsEver,
        "Counts are kept and told later; a replaced configuration stays for that, for a minute at most."),
    row("proxy_record_metric", Scope::Anywhere, "a measurement",
        Starting::NotAsked, Serving::AsEver,
        "The measurements meanwhile are lost."),
    row("proxy_log", Scope::Anywhere, "a line in the log",
        Starting::Taken, Serving::AsEver,
        "The lines meanwhile are lost."),
    row("proxy_done", Scope::Anywhere, "the end of a configuration that was replaced",
        Starting::NotAsked, Serving::NotAsked,
        "Said again at every tick until the host hears it."),
    row("clock_time_get", Scope::Anywhere, "both clocks",
        Starting::Taken, Serving::AsEver,
        "Time stands still: no deadline passes. If it never ran, every push is stale: 403."),
    row("random_get", Scope::Anywhere, "names of workers, prefixes of encrypted replies, jitter",
        Starting::Refused, Serving::AsEver,
        "Encrypted replies begin with 16 zero bytes meanwhile, instead of random ones."),
    row("environ_sizes_get", Scope::Anywhere, "the secrets, by the names in the configuration",
        Starting::Refused, Serving::NotAsked, ""),
    row("environ_get", Scope::Anywhere, "the secrets, by the names in the configuration",
        Starting::Refused, Serving::NotAsked, ""),
    row("fd_write", Scope::Anywhere, "the last words of a panic within a panic",
        Starting::NotAsked, Serving::NotAsked, ""),
    row("proc_exit", Scope::Anywhere, "the end of the program",
        Starting::NotAsked, Serving::NotAsked, ""),
];

/// What a host does that it should not, and what follows.
pub const ODDITIES: &[(Oddity, &str, Serving)] = &[
    (
        Oddity::AnswerTwice,
        "each answer of a call comes twice",
        Serving::AsEver,
    ),
    (
        Oddity::AnswerToNobody,
        "an answer comes to a call that was never made",
        Serving::AsEver,
    ),
    (
        Oddity::NoHeaders,
        "an answer has a body and no headers",
        Serving::AtLast,
    ),
    (
        Oddity::StatusZero,
        "an answer has the status 0",
        Serving::AtLast,
    ),
    (
        Oddity::ShortBody,
        "an answer's body is shorter than was said",
        Serving::AtLast,
    ),
    (
        Oddity::IdleQueue,
        "a queue is said to be ready that is empty, or unknown",
        Serving::AsEver,
    ),
    (
        Oddity::TooEarly,
        "ticks, answers and requests come before the configuration",
        Serving::AsEver,
    ),
    (
        Oddity::TooLate,
        "a configuration is ended twice; ticks, answers and requests come after that",
        Serving::AsEver,
    ),
];

const HEAD: &str = "\
# Host faults

Weir asks its host, Envoy, for everything it does. This page says what follows when a host call fails, whatever status it
returns: all of ABI 0.2.1, errnos of WASI, and numbers that are neither. It is made from the table that the tests try call by
call and status by status: change `host-tests/src/host_faults/`, then run `WEIR_REWRITE=1 cargo test -p weir-host-tests page`.

In all cases no VM is lost; what was acknowledged is in the store, and once; an application is called once per push at most; and when the
fault ends, pushes are served as before.
";

/// The page, in Markdown.
#[must_use]
pub fn page() -> String {
    let mut page = String::new();
    write(&mut page).expect("a String takes everything");
    page
}

fn write(page: &mut String) -> fmt::Result {
    page.push_str(HEAD);
    page.push_str(
        "\n## Calls\n\n| call | asked for | at a start the configuration is | pushes meanwhile | remarks |\n|---|---|---|---|---|\n",
    );
    for row in ROWS {
        writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            row.import,
            row.purpose,
            row.starting.words(),
            row.serving.words(),
            row.remarks
        )?;
    }
    page.push_str("\n## Oddities\n\n| the host | pushes meanwhile |\n|---|---|\n");
    for (_, words, serving) in ODDITIES {
        writeln!(page, "| {words} | {} |", serving.words())?;
    }
    Ok(())
}
