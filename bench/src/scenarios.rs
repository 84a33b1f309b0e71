//! What is compared, and one slice of it.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::edge::{Ack, DIRECT_BODY, Edge, Ground, Load};
use crate::load::{self, Pace};
use crate::pushes::{Expected, Maker, Mode, Requests};
use crate::sink::Sink;

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    /// Envoy alone.
    Direct,
    /// Weir in Envoy, `ack: at_once`.
    Weir,
    /// The native server behind Envoy.
    Native,
    /// WeChat's API behind Envoy alone.
    Api(Calls),
    /// WeChat's API behind the door.
    Door(Calls),
}

/// What applications call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Calls {
    Gets,
    Messages,
}

/// One of the things compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// For the reader of the figures.
    pub(crate) what: &'static str,
    answers: Answers,
    pub(crate) mode: Mode,
    copies: bool,
    load: Load,
}

impl Scenario {
    const fn new(name: &'static str, what: &'static str, answers: Answers, mode: Mode) -> Self {
        Self {
            name,
            what,
            answers,
            mode,
            copies: false,
            load: Load::AsIs,
        }
    }

    /// Weir in plain mode with a configuration of this size.
    const fn with(name: &'static str, what: &'static str, load: Load) -> Self {
        let mut scenario = Self::new(name, what, Answers::Weir, Mode::Plain);
        scenario.load = load;
        scenario
    }
}

/// All of them.
pub(crate) const SCENARIOS: [Scenario; 16] = [
    Scenario::new(
        "direct_buf",
        "Envoy alone: buffer filter, direct_response; the body of a plain push",
        Answers::Direct,
        Mode::Plain,
    ),
    Scenario::new(
        "direct_buf_encrypted",
        "the same with the body of an encrypted push",
        Answers::Direct,
        Mode::Encrypted,
    ),
    Scenario::new(
        "weir_plain",
        "Weir, plain mode, distinct pushes, ack at_once",
        Answers::Weir,
        Mode::Plain,
    ),
    Scenario::new(
        "weir_encrypted",
        "Weir, encrypted mode, replies encrypted",
        Answers::Weir,
        Mode::Encrypted,
    ),
    Scenario {
        copies: true,
        ..Scenario::new(
            "weir_half_copies",
            "Weir, plain mode, every push sent twice",
            Answers::Weir,
            Mode::Plain,
        )
    },
    Scenario::with("weir_1_rule", "Weir, plain mode, one rule", Load::Rules(1)),
    Scenario::with(
        "weir_10_rules",
        "the same after nine rules that look for words",
        Load::Rules(10),
    ),
    Scenario::with("weir_1000_rules", "after 999 such", Load::Rules(1_000)),
    Scenario::with("weir_10000_rules", "after 9,999 such", Load::Rules(10_000)),
    Scenario::with(
        "weir_1000_accounts",
        "Weir, plain mode, one account of a thousand",
        Load::Accounts(1_000),
    ),
    Scenario::new(
        "native_plain",
        "Envoy in front of a native server that does the same, plain mode, both on one core",
        Answers::Native,
        Mode::Plain,
    ),
    Scenario::new(
        "native_encrypted",
        "the same in encrypted mode",
        Answers::Native,
        Mode::Encrypted,
    ),
    Scenario::new(
        "api_gets",
        "Envoy alone passes GETs of applications on to WeChat's API",
        Answers::Api(Calls::Gets),
        Mode::Plain,
    ),
    Scenario::new(
        "door_gets",
        "the same through the door, with the access token put in",
        Answers::Door(Calls::Gets),
        Mode::Plain,
    ),
    Scenario::new(
        "api_messages",
        "Envoy alone passes template messages on",
        Answers::Api(Calls::Messages),
        Mode::Plain,
    ),
    Scenario::new(
        "door_messages",
        "the same through the door: linter, access token, a record in the store",
        Answers::Door(Calls::Messages),
        Mode::Plain,
    ),
];

/// What one slice gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    pub(crate) requests: usize,
    pub(crate) request_bytes: usize,
    pub(crate) events: usize,
    pub(crate) batches: usize,
    /// CPU time of the edge, from the first request to the last event.
    pub(crate) cpu: Duration,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Slice {
    /// Requests per second of the edge's CPU time.
    pub(crate) fn per_cpu_second(&self) -> f64 {
        self.requests as f64 / self.cpu.as_secs_f64()
    }
}

impl Scenario {
    /// Whether the module makes a difference.
    pub(crate) fn is_weir(&self) -> bool {
        self.answers == Answers::Weir
    }

    /// Starts the edge it needs.
    pub(crate) fn start(&self, ground: &Ground<'_>, module: &Path, sink: &Sink) -> Result<Edge> {
        match self.answers {
            Answers::Direct => ground.direct(),
            Answers::Weir => ground.weir(module, self.mode, Ack::AtOnce, self.load, sink.address()),
            Answers::Native => ground.native(self.mode, sink.address()),
            Answers::Api(_) => ground.api(false, sink.address()),
            Answers::Door(_) => ground.api(true, sink.address()),
        }
        .with_context(|| format!("{} does not start", self.name))
    }

    fn requests(&self, maker: &mut Maker, count: usize) -> Requests {
        let expected = match self.answers {
            Answers::Direct => Expected::Body(DIRECT_BODY),
            Answers::Weir | Answers::Native => Expected::Reply(self.mode),
            Answers::Api(calls) | Answers::Door(calls) => {
                return maker.calls(calls == Calls::Messages, count);
            }
        };
        if self.copies {
            maker.half_copies(self.mode, count, expected)
        } else {
            maker.distinct(self.mode, count, expected)
        }
    }

    /// Sends `count` requests as fast as they are answered, and checks all that comes of it.
    ///
    /// # Errors
    /// A wrong answer, or an event that is missing or came twice: then the figures say nothing.
    pub(crate) fn slice(
        &self,
        edge: &Edge,
        sink: &Sink,
        maker: &mut Maker,
        count: usize,
        connections: usize,
    ) -> Result<Slice> {
        let requests = Rc::new(self.requests(maker, count));
        // The records of what was sent have no number to be counted by; `host-tests` counts them.
        let makes_events = matches!(self.answers, Answers::Weir | Answers::Native);
        sink.expect(if makes_events {
            requests.numbers
        } else {
            (0, 0)
        });
        let before = edge.cpu_time()?;
        let outcome = load::send(edge.address, &requests, connections, Pace::Saturating)
            .with_context(|| self.name)?;
        let arrived = sink.settle().with_context(|| self.name)?;
        let cpu = edge.cpu_time()? - before;
        for (number, body) in &outcome.samples {
            maker
                .judge(requests.expected, *number, body)
                .with_context(|| format!("{}: the answer to push {number}", self.name))?;
        }
        let expected = if makes_events { requests.distinct() } else { 0 };
        ensure!(
            arrived.events == expected,
            "{}: {} events for {expected} pushes",
            self.name,
            arrived.events
        );
        Ok(Slice {
            requests: requests.len(),
            request_bytes: requests.mean_bytes(),
            events: arrived.events,
            batches: arrived.batches,
            cpu,
            took: outcome.took,
            p50: outcome.percentile(50),
            p99: outcome.percentile(99),
        })
    }
}
