//! The world: one queue of what is to happen, and the parts that it happens to.
//!
//! | file | has |
//! |---|---|
//! | `travel` | requests on their way between WeChat and the gateway |
//! | `hosts` | what hosts do with engines: beginnings, ticks, inputs, effects, answers |
//! | `outgoing` | calls of engines: when they take effect at their peer, and what comes back |
//! | `mishaps` | what goes wrong, and the ends that come of it |

mod hosts;
mod mishaps;
mod outgoing;
mod travel;

use weir_engine::{Engine, Input};

use crate::api::Api;
use crate::app::App;
use crate::calls::InFlight;
use crate::checks::{Checks, Tally, Violation};
use crate::faults::Faults;
use crate::node::{Node, Slot, Worker};
use crate::plan::{Mishap, Plan};
use crate::queue::Queue;
use crate::rng::Rng;
use crate::shared::Shared;
use crate::store::Store;
use crate::timeline::{Note, Timeline};
use crate::wechat::{Fate, Progress, Request};

/// Longer than this after the last fault nothing may take.
const PATIENT_MS: u64 = 400_000;
/// An engine with nothing to do is called this often: its ticks do nothing but sign that it is alive.
const IDLE_TICK_MS: u64 = 1_000;
/// How long a replaced configuration may drain, mostly. Source: the plugin.
const DRAIN_MS: u64 = 60_000;

/// Something that is to happen.
enum Event {
    /// WeChat sends a push, for the first time or again.
    Send(usize),
    /// A request reaches its worker.
    Arrive(usize),
    /// WeChat reads the response to a request.
    Hear(usize),
    /// WeChat closes a request's connection, or it breaks.
    Close(usize),
    /// The gateway learns that a stream is gone.
    Gone(usize),
    Tick {
        engine: usize,
        number: u32,
    },
    Wake(usize),
    /// A call takes effect at its peer.
    Effect(usize),
    /// A call returns.
    Return(usize),
    Mishap(Mishap),
    Restart {
        node: usize,
        worker: usize,
    },
    NodeUp(usize),
    StoreUp,
    /// Nobody waits for an engine any longer.
    HandOver(usize),
    Calm,
}

pub(crate) struct World<'p> {
    plan: &'p Plan,
    faults: Faults,
    queue: Queue<Event>,
    pub(crate) timeline: Timeline,
    checks: Checks<'p>,
    nodes: Vec<Node>,
    engines: Vec<Slot>,
    requests: Vec<Request>,
    pushes: Vec<Progress>,
    calls: Vec<InFlight>,
    store: Store,
    api: Api,
    app: App,
    /// Of WeChat and the network.
    net: Rng,
    /// Of ticks, wake-ups and other habits of hosts.
    host: Rng,
}

/// On whose behalf an engine is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Root,
    Stream(usize),
}

/// What came of a run.
pub(crate) struct Course {
    pub(crate) violation: Option<Violation>,
    pub(crate) timeline: Timeline,
    pub(crate) tally: Tally,
    pub(crate) virtual_ms: u64,
}

/// Runs a plan to its end.
pub(crate) fn run(plan: &Plan) -> Course {
    let mut world = World::new(plan);
    world.live();
    let virtual_ms = world.now();
    Course {
        violation: world.checks.take(),
        tally: world.checks.tally,
        timeline: world.timeline,
        virtual_ms,
    }
}

impl<'p> World<'p> {
    fn new(plan: &'p Plan) -> Self {
        let mut host = Rng::new(plan.seed, 3);
        let nodes = (plan.nodes.iter().enumerate())
            .map(|(number, workers)| Node {
                up: true,
                life: 0,
                workers: std::iter::repeat_with(Worker::default)
                    .take(*workers)
                    .collect(),
                shared: Shared::new(Rng::new(plan.seed, 100 + number as u64)),
                unrecorded_before: 0,
                left_by: Vec::new(),
                chance: Rng::new(plan.seed, 200 + number as u64),
                ahead_ms: i64::try_from(host.below(4_000)).unwrap_or(0) - 2_000,
                origin_ms: host.below(1 << 40),
            })
            .collect();
        let mut store = Store::new(Rng::new(plan.seed, 4));
        store.poison = plan.poison.map(|push| plan.pushes[push].id.clone());
        let mut world = Self {
            plan,
            faults: plan.faults,
            queue: Queue::new(),
            timeline: Timeline::default(),
            checks: Checks::new(plan),
            nodes,
            engines: Vec::new(),
            requests: Vec::new(),
            pushes: plan.pushes.iter().map(|_| Progress::new()).collect(),
            calls: Vec::new(),
            store,
            api: Api::new(Rng::new(plan.seed, 5)),
            app: App::new(Rng::new(plan.seed, 7), plan.pushes.len()),
            net: Rng::new(plan.seed, 6),
            host,
        };
        for fault in plan.faults.iter() {
            world.note(Note::Fault(fault));
        }
        for (number, push) in plan.pushes.iter().enumerate() {
            if push.skipped {
                world.pushes[number].fate = Fate::GaveUp;
            } else {
                world.queue.at(push.at_ms, Event::Send(number));
            }
        }
        for (at_ms, mishap) in &plan.mishaps {
            world.queue.at(*at_ms, Event::Mishap(*mishap));
        }
        world.queue.at(plan.calm_ms, Event::Calm);
        for node in 0..world.nodes.len() {
            for worker in 0..world.nodes[node].workers.len() {
                world.begin(node, worker);
            }
            world.trouble_shared(node);
        }
        world
    }

    fn now(&self) -> u64 {
        self.queue.now_ms()
    }

    fn note(&mut self, note: Note) {
        self.timeline.note(self.queue.now_ms(), note);
    }

    fn live(&mut self) {
        while let Some(event) = self.queue.pop() {
            if self.now() > self.plan.calm_ms + PATIENT_MS {
                let held = self
                    .engines
                    .iter()
                    .find(|slot| slot.engine.as_ref().is_some_and(|engine| !engine.is_idle()));
                let who = held.map_or_else(String::new, |slot| slot.name.to_string());
                self.checks.violated(
                    "every-wait-ends",
                    format!("{who} still has something to do long after the last fault"),
                );
                return;
            }
            self.happen(event);
            if self.checks.is_violated() {
                return;
            }
            if self.is_over() {
                break;
            }
        }
        // The gauges are shown at ticks.
        for engine in 0..self.engines.len() {
            self.input(engine, Scope::Root, Input::Tick);
        }
        self.checks.at_the_end(
            &self.pushes,
            &self.engines,
            &self.nodes,
            &self.store,
            &self.api,
            &self.app,
        );
    }

    /// Whether nothing is left to happen but ticks.
    fn is_over(&self) -> bool {
        self.now() >= self.plan.calm_ms
            && self.pushes.iter().all(|push| push.fate != Fate::Open)
            && (self.nodes.iter()).all(|node| {
                node.up
                    && node.left_by.is_empty()
                    && node.workers.iter().all(|w| w.serves.is_some())
            })
            && (self.engines.iter()).all(|slot| {
                slot.held.is_empty() && slot.engine.as_ref().is_none_or(Engine::is_idle)
            })
            && self.requests.iter().all(|request| request.closed)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Send(push) => self.send(push),
            Event::Arrive(request) => self.arrive(request),
            Event::Hear(request) => self.hear(request),
            Event::Close(request) => self.close(request),
            Event::Gone(request) => self.gone(request),
            Event::Tick { engine, number } => self.tick(engine, number),
            Event::Wake(engine) => {
                if !self.stalls(engine, || Event::Wake(engine)) {
                    let who = self.engines[engine].name;
                    self.note(Note::Woken { who });
                    self.input(engine, Scope::Root, Input::Woken);
                }
            }
            Event::Effect(call) => self.effect(call),
            Event::Return(call) => self.returned(call),
            Event::Mishap(mishap) => self.mishap(mishap),
            Event::Restart { node, worker } => {
                if self.nodes[node].up && self.nodes[node].workers[worker].serves.is_none() {
                    self.begin(node, worker);
                }
            }
            Event::NodeUp(node) => self.node_up(node),
            Event::StoreUp => self.note(Note::StoreUp),
            Event::HandOver(engine) => self.hand_over(engine),
            Event::Calm => self.calm(),
        }
    }
}
