//! The world: one queue of what is to happen, and the parts that it happens to.

use weir_engine::owners::Mailbox;
use weir_engine::{CallOutcome, Engine, Env, Input, Method, StreamId, TICK_MS};

use crate::api::Api;
use crate::app::App;
use crate::calls::{self, End, InFlight};
use crate::checks::{Checks, DEADLINE_MS, Responded, Tally, Violation, What};
use crate::faults::{Fault, Faults};
use crate::node::{Ending, Meter, Node, Slot, Worker};
use crate::plan::{ATTEMPTS, BEGIN_UNIX_MS, Mishap, PATIENCE_MS, Plan};
use crate::queue::Queue;
use crate::rng::Rng;
use crate::shared::{Left, Shared, Trouble};
use crate::store::Store;
use crate::timeline::{Name, Note, Timeline};
use crate::wechat::{self, Fate, Progress, Request};

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

    // ── WeChat and the network ─────────────────────────────────────────────────────────────────────────────────────

    fn send(&mut self, push: usize) {
        if self.pushes[push].fate != Fate::Open {
            return;
        }
        self.pushes[push].attempts += 1;
        let attempt = self.pushes[push].attempts;
        let request = self.request(push, false);
        self.pushes[push].current = Some(request);
        let Request { node, worker, .. } = self.requests[request];
        self.note(Note::Attempt {
            push,
            attempt,
            request,
            node: node as u8,
            worker: worker as u8,
        });
        self.travel(request);
        if self.faults.has(Fault::Copies) && self.net.chance(400) {
            for _ in 0..self.net.between(1, 2) {
                let request = self.request(push, true);
                let Request { node, worker, .. } = self.requests[request];
                self.note(Note::Copy {
                    push,
                    request,
                    node: node as u8,
                    worker: worker as u8,
                });
                self.travel(request);
            }
        }
    }

    fn request(&mut self, push: usize, copy: bool) -> usize {
        let node = self.net.index(self.nodes.len());
        let worker = self.net.index(self.nodes[node].workers.len());
        self.requests.push(Request {
            push,
            copy,
            node,
            worker,
            sent_ms: self.now(),
            closed: false,
            end_is_told: true,
            engine: None,
            arrived_ms: 0,
            complete_ms: 0,
            found_busy: false,
            status: None,
        });
        self.requests.len() - 1
    }

    /// A request sets out.
    fn travel(&mut self, request: usize) {
        let mut delay_ms = self.net.between(1, 15);
        if self.faults.has(Fault::Reordering) && self.net.chance(400) {
            delay_ms = self.net.between(20, 7_000);
        }
        if self.faults.has(Fault::LostEnds) && self.net.chance(500) {
            self.requests[request].end_is_told = false;
        }
        self.queue.after(PATIENCE_MS, Event::Close(request));
        if self.faults.has(Fault::LostConnections) && self.net.chance(400) {
            if self.net.chance(400) {
                self.note(Note::Lost { request });
                if self.net.chance(500) {
                    let ms = self.net.below(PATIENCE_MS);
                    self.queue.after(ms, Event::Close(request));
                }
                return;
            }
            let ms = self.net.below(PATIENCE_MS);
            self.queue.after(ms, Event::Close(request));
        }
        self.queue.after(delay_ms, Event::Arrive(request));
    }

    fn arrive(&mut self, request: usize) {
        let Request { node, worker, .. } = self.requests[request];
        let serves = self.nodes[node].workers[worker].serves;
        let Some(engine) = serves.filter(|_| self.nodes[node].up) else {
            self.note(Note::NobodyHome { request });
            let ms = self.net.between(1, 15);
            self.queue.after(ms, Event::Close(request));
            return;
        };
        if self.stalls(engine, || Event::Arrive(request)) {
            return;
        }
        let at = self.engines[engine].name;
        self.note(Note::Arrived { request, at });
        let push = self.requests[request].push;
        let unix_s = (BEGIN_UNIX_MS + self.requests[request].sent_ms) / 1_000;
        let plan = self.plan;
        let (query, body) = wechat::sealed(
            &plan.pushes[push].body,
            plan.encrypted,
            unix_s,
            &mut self.net,
        );
        // The headers came a little earlier than the end of the body.
        let headers_ms = self.now().saturating_sub(self.net.below(10));
        self.requests[request].engine = Some(engine);
        self.requests[request].arrived_ms = headers_ms;
        self.requests[request].complete_ms = self.now();
        self.requests[request].found_busy =
            (self.engines[engine].calls).contains_key(&weir_engine::Call::Store);
        self.engines[engine].held.insert(request);
        let life = self.nodes[node].life;
        let home = self.pushes[push].homes.entry((node, life)).or_default();
        home.seen += 1;
        home.handled_by.push(engine);
        let route = plan.config.route("/").expect("the account's path");
        let input = Input::Request {
            stream: StreamId(request as u32),
            request: weir_engine::Request {
                account: route.account,
                authorizer: None,
                method: Method::Post,
                query: &query,
                body: &body,
                arrived_mono_ms: self.nodes[node].origin_ms + headers_ms,
            },
        };
        self.input(engine, Scope::Stream(request), input);
        // One whose clock is too far off has not read it.
        if self.requests[request].status != Some(403)
            && let Some(home) = self.pushes[push].homes.get_mut(&(node, life))
        {
            home.last = Some((engine, self.queue.now_ms()));
        }
        if self.requests[request].closed {
            // WeChat gave up while the request was on its way.
            self.tell_end(request);
        }
    }

    fn hear(&mut self, request: usize) {
        let Request {
            push,
            sent_ms,
            closed,
            status,
            ..
        } = self.requests[request];
        let Some(status) = status else { return };
        let counts = !closed && self.now() < sent_ms + PATIENCE_MS;
        self.note(Note::Heard {
            request,
            status,
            counts,
        });
        if !counts {
            return;
        }
        if status == 200 && self.pushes[push].fate == Fate::Open {
            self.pushes[push].fate = Fate::Heard;
        }
        self.close(request);
    }

    fn close(&mut self, request: usize) {
        if self.requests[request].closed {
            return;
        }
        self.requests[request].closed = true;
        if self.requests[request].status.is_none() {
            self.note(Note::Cut { request });
        }
        self.tell_end(request);
        let Request { push, copy, .. } = self.requests[request];
        if copy || self.pushes[push].fate != Fate::Open {
            return;
        }
        if self.pushes[push].attempts >= ATTEMPTS {
            self.pushes[push].fate = Fate::GaveUp;
            self.note(Note::GaveUp { push });
            return;
        }
        let ms = if self.net.chance(700) {
            self.net.below(50)
        } else {
            self.net.below(PATIENCE_MS)
        };
        self.queue.after(ms, Event::Send(push));
    }

    /// The gateway is told, perhaps, that a stream is over.
    fn tell_end(&mut self, request: usize) {
        if self.requests[request].engine.is_some() && self.requests[request].end_is_told {
            let ms = self.net.between(0, 20);
            self.queue.after(ms, Event::Gone(request));
        }
    }

    fn gone(&mut self, request: usize) {
        let Some(engine) = self.requests[request].engine else {
            return;
        };
        if self.stalls(engine, || Event::Gone(request)) {
            return;
        }
        let at = self.engines[engine].name;
        if self.engines[engine].held.remove(&request) {
            self.engines[engine].ended += 1;
            self.note(Note::Gone { request, at });
        }
        // A host says so of streams too that were answered from the root.
        let stream = StreamId(request as u32);
        self.input(engine, Scope::Stream(request), Input::Gone { stream });
    }

    // ── Hosts ──────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Whether the engine's thread stands still; then `event` comes when it goes on.
    fn stalls(&mut self, engine: usize, event: impl FnOnce() -> Event) -> bool {
        let Name { node, worker, .. } = self.engines[engine].name;
        let until_ms = self.nodes[usize::from(node)].workers[usize::from(worker)].stalled_until_ms;
        let stalls = self.engines[engine].engine.is_some() && until_ms > self.now();
        if stalls {
            self.queue.at(until_ms, event());
        }
        stalls
    }

    /// A new engine serves a worker.
    fn begin(&mut self, node: usize, worker: usize) {
        let number = self.engines.len();
        let now_ms = self.now();
        let Node {
            workers,
            shared,
            life,
            ..
        } = &mut self.nodes[node];
        let place = &mut workers[worker];
        place.lives += 1;
        place.serves = Some(number);
        let name = Name {
            node: node as u8,
            worker: worker as u8,
            life: place.lives,
        };
        let node_life = *life;
        // One name for all engines of a VM: the newest is woken.
        let mailbox = *place.mailbox.get_or_insert(Mailbox(number as u32 + 1));
        let mailbox = self.host.chance(900).then_some(mailbox);
        shared.trouble(Trouble::default());
        let now = self.nodes[node].now(now_ms);
        let Node { shared, chance, .. } = &mut self.nodes[node];
        let mut env = Env {
            now,
            shared,
            random: chance,
        };
        let engine = Engine::new(self.plan.config.clone(), &mut env).with_mailbox(mailbox);
        self.engines.push(Slot {
            name,
            node_life,
            engine: Some(engine),
            end: None,
            draining: false,
            ends_with_streams: false,
            heirs: Vec::new(),
            left_in_vain: false,
            unix_ahead_ms: now.unix_ms.cast_signed() - now.mono_ms.cast_signed(),
            held: Default::default(),
            ended: 0,
            calls: Default::default(),
            meter: Meter::default(),
            store: Default::default(),
            ticked_ms: now_ms,
            tick_due_ms: 0,
            tick_number: 0,
        });
        self.trouble_shared(node);
        self.note(Note::Began { who: name });
        let ms = self.host.between(1, TICK_MS);
        self.tick_in(number, ms);
    }

    fn trouble_shared(&mut self, node: usize) {
        let per_mille = |fault, per_mille| if self.faults.has(fault) { per_mille } else { 0 };
        let trouble = Trouble {
            conflicts: per_mille(Fault::Conflicts, 400),
            refusals: per_mille(Fault::SharedFull, 150),
        };
        self.nodes[node].shared.trouble(trouble);
    }

    fn tick_in(&mut self, engine: usize, ms: u64) {
        let slot = &mut self.engines[engine];
        slot.tick_number += 1;
        slot.tick_due_ms = self.queue.now_ms() + ms;
        let number = slot.tick_number;
        self.queue.after(ms, Event::Tick { engine, number });
    }

    fn tick(&mut self, engine: usize, number: u32) {
        if self.engines[engine].tick_number != number
            || self.stalls(engine, || Event::Tick { engine, number })
        {
            return;
        }
        self.input(engine, Scope::Root, Input::Tick);
        self.engines[engine].ticked_ms = self.now();
        if let Some(state) = &self.engines[engine].engine {
            let ms = if state.is_idle() {
                IDLE_TICK_MS
            } else {
                TICK_MS
            };
            let ms = ms + self.host.below(6);
            self.tick_in(engine, ms);
        }
    }

    /// Gives an engine an input, and does what it wants.
    fn input(&mut self, who: usize, scope: Scope, input: Input<'_>) {
        let Some(mut engine) = self.engines[who].engine.take() else {
            return;
        };
        let node = usize::from(self.engines[who].name.node);
        let mut now = self.nodes[node].now(self.now());
        if scope == Scope::Root {
            self.engines[who].unix_ahead_ms = now.unix_ms.cast_signed() - now.mono_ms.cast_signed();
        } else {
            // A stream has the wall clock of the root's last turn.
            now.unix_ms = now
                .mono_ms
                .saturating_add_signed(self.engines[who].unix_ahead_ms);
        }
        let before = self.engines[who].meter.clone();
        let what = match &input {
            Input::Woken => What::Woken,
            Input::HandOver => What::HandOver {
                had: engine.unfinished() as u64,
            },
            _ => What::Other,
        };
        let left_before = self.nodes[node].shared.left();
        let Node { shared, chance, .. } = &mut self.nodes[node];
        engine.handle(
            input,
            &mut Env {
                now,
                shared,
                random: chance,
            },
        );
        while let Some(effect) = engine.poll() {
            if let Some(call) = self.perform(who, scope, effect) {
                let outcome = CallOutcome::Refused;
                let Node { shared, chance, .. } = &mut self.nodes[node];
                engine.handle(
                    Input::CallDone { call, outcome },
                    &mut Env {
                        now,
                        shared,
                        random: chance,
                    },
                );
            }
        }
        let idle = engine.is_idle();
        self.engines[who].engine = Some(engine);
        let left = (left_before, self.nodes[node].shared.left());
        self.inherit(who, what, left);
        self.checks
            .after_input(&self.engines[who], &before, scope, what, left);
        if let Scope::Stream(request) = scope {
            let lost = self.engines[who].meter.overflow - before.overflow;
            let push = self.requests[request].push;
            let life = self.engines[who].node_life;
            let held = self.engines[who].held.contains(&request);
            if let Some(home) = self.pushes[push].homes.get_mut(&(node, life)) {
                home.turned_away = self.requests[request].status == Some(503);
                // What is counted though the push was taken is an event about its reply.
                home.counted_lost += if home.turned_away { lost } else { 0 };
                home.taken_since = (home.taken_since && lost == 0) || held;
            }
        }
        for (what, before, after) in [
            (
                "overflow",
                before.overflow,
                self.engines[who].meter.overflow,
            ),
            (
                "rejected",
                before.rejected,
                self.engines[who].meter.rejected,
            ),
            (
                "abandoned",
                before.abandoned,
                self.engines[who].meter.abandoned,
            ),
        ] {
            if after > before {
                let (who, count) = (self.engines[who].name, after - before);
                self.note(Note::Metric { who, what, count });
            }
        }
        let over = self.engines[who].ends_with_streams && self.engines[who].held.is_empty();
        if over {
            self.engines[who].ends_with_streams = false;
            let ms = self.host.below(3);
            self.queue.after(ms, Event::HandOver(who));
        }
        if self.engines[who].draining && idle && scope == Scope::Root {
            self.end(who, Ending::Drained);
        } else if !idle && self.engines[who].tick_due_ms > self.now() + TICK_MS + 5 {
            let ms = self.host.between(1, TICK_MS);
            self.tick_in(who, ms);
        }
    }

    /// Who has what was left behind. `left`: how much that was before an input, and after it.
    fn inherit(&mut self, who: usize, what: What, left: (Left, Left)) {
        let node = usize::from(self.engines[who].name.node);
        let (before, after) = left;
        let hands_over = matches!(what, What::HandOver { .. });
        if hands_over && after.bytes > before.bytes {
            self.nodes[node].left_by.push(who);
            // A host ticks all of its engines.
            for engine in 0..self.engines.len() {
                let slot = &self.engines[engine];
                let waits = usize::from(slot.name.node) == node && slot.engine.is_some();
                if waits && slot.tick_due_ms > self.now() + TICK_MS {
                    let ms = self.host.between(1, TICK_MS);
                    self.tick_in(engine, ms);
                }
            }
        }
        if after.bytes >= before.bytes {
            return;
        }
        let givers = self.nodes[node].left_by.clone();
        for giver in givers {
            if hands_over {
                // Nobody is there but who goes itself.
                self.lose_left(giver);
            } else {
                self.engines[giver].heirs.push(who);
            }
        }
        if after.bytes == 0 {
            self.nodes[node].left_by.clear();
        }
    }

    /// What an engine left is lost, or may be; and so what others left to it.
    fn lose_left(&mut self, engine: usize) {
        let slot = &mut self.engines[engine];
        if slot.left_in_vain {
            return;
        }
        let died = slot.died();
        slot.left_in_vain = true;
        self.checks.tally.deaths += u64::from(!died);
        self.lose_inherited(engine);
    }

    /// What was left to an engine may be lost.
    fn lose_inherited(&mut self, engine: usize) {
        let givers =
            (0..self.engines.len()).filter(|giver| self.engines[*giver].heirs.contains(&engine));
        for giver in givers.collect::<Vec<_>>() {
            self.lose_left(giver);
        }
    }

    /// Does one thing that an engine wants. A call that the host refuses is given back.
    fn perform(
        &mut self,
        who: usize,
        scope: Scope,
        effect: weir_engine::Effect,
    ) -> Option<weir_engine::Call> {
        use weir_engine::Effect;
        match effect {
            Effect::Respond { stream, response } => {
                self.respond(who, scope, stream.0 as usize, response);
            }
            Effect::Call { call, request } => return self.call(who, scope, call, request),
            Effect::Wake => self.wake(who),
            Effect::WakeOther(mailbox) => {
                let node = usize::from(self.engines[who].name.node);
                let mut workers = self.nodes[node].workers.iter();
                let woken = workers.find(|worker| worker.mailbox == Some(mailbox));
                if let Some(engine) = woken.and_then(|worker| worker.serves) {
                    self.wake(engine);
                }
            }
            Effect::Count(metric) => self.engines[who].meter.count(metric),
            Effect::Log { .. } => {}
        }
        None
    }

    /// A root is to be called soon; the newest engine of a worker alone can be.
    fn wake(&mut self, who: usize) {
        let name = self.engines[who].name;
        let lossy = self.faults.has(Fault::Wakes);
        if self.engines[who].draining || (lossy && self.host.chance(400)) {
            self.note(Note::LostWake { who: name });
        } else {
            let late = lossy && self.host.chance(300);
            let ms = self.host.below(if late { 400 } else { 3 });
            self.queue.after(ms, Event::Wake(who));
        }
    }

    fn respond(
        &mut self,
        who: usize,
        scope: Scope,
        request: usize,
        response: weir_engine::Response,
    ) {
        let after_ms = self.now().saturating_sub(self.requests[request].arrived_ms);
        self.note(Note::Responded {
            request,
            by: self.engines[who].name,
            status: response.status,
            after_ms,
        });
        let known = self.engines[who].held.remove(&request);
        let push = self.requests[request].push;
        let node = usize::from(self.engines[who].name.node);
        let life = self.engines[who].node_life;
        let now_ms = self.now();
        let home = self.pushes[push].homes.entry((node, life)).or_default();
        self.checks.on_response(Responded {
            known,
            scope,
            number: request,
            requests: &self.requests,
            by: who,
            slot: &self.engines[who],
            response: &response,
            home,
            now_ms,
            unrecorded: self.nodes[node].shared.unrecorded() > 0,
            stored: self.store.has(&self.plan.pushes[push].id),
            moved: (self.store.ledger.entry(&self.plan.pushes[push].id))
                .is_some_and(|entry| entry.moved),
            is_sent: self.store.ledger.is_sent(&self.plan.pushes[push].id),
        });
        if !known {
            return;
        }
        self.engines[who].ended += 1;
        self.requests[request].status = Some(response.status);
        let ms = self.net.between(1, 15);
        self.queue.after(ms, Event::Hear(request));
    }

    // ── Calls ──────────────────────────────────────────────────────────────────────────────────────────────────────

    fn call(
        &mut self,
        who: usize,
        scope: Scope,
        call: weir_engine::Call,
        request: weir_engine::HttpRequest,
    ) -> Option<weir_engine::Call> {
        use weir_engine::Call;
        let name = self.engines[who].name;
        let what = calls::name_of(call);
        let now_ms = self.now();
        let node = usize::from(name.node);
        let jobs = self.checks.on_call(
            who,
            &mut self.engines[who],
            &self.nodes[node],
            scope,
            call,
            &request,
            &self.store,
            &self.api,
            now_ms,
        );
        if self.faults.has(Fault::Host) && self.host.chance(250) {
            self.note(Note::HostRefused { by: name, what });
            let slot = &mut self.engines[who];
            self.checks
                .on_return(who, slot, call, &CallOutcome::Refused, "", now_ms);
            return Some(call);
        }
        let course = match call {
            Call::Store => self.store.course(&request.body, self.faults, now_ms),
            Call::App(_) => self.app.course(request.timeout_ms, self.faults),
            _ => self.api.course(call, self.faults),
        };
        let number = self.calls.len();
        self.note(Note::Called {
            call: number,
            by: name,
            what,
            jobs,
        });
        if let Call::Send(_) = call {
            self.new_code_soon(node, 60);
        }
        self.engines[who].calls.insert(call, number);
        self.calls.push(InFlight {
            engine: who,
            call,
            path: request.path,
            body: request.body,
            began_ms: now_ms,
            course,
            handed: Vec::new(),
            answer: None,
        });
        if let Some(ms) = course.effect_ms {
            self.queue.after(ms, Event::Effect(number));
        }
        self.queue.after(course.return_ms, Event::Return(number));
        None
    }

    fn effect(&mut self, number: usize) {
        let now_ms = self.now();
        let call = &mut self.calls[number];
        if call.call == weir_engine::Call::Store {
            if self.store.was_down_since(call.began_ms) {
                call.course.end = End::Reset;
                return;
            }
            let events: Vec<_> =
                serde_json::from_slice(&call.body).expect("checked when it was called");
            let taken = self.store.take(&events, now_ms);
            self.calls[number].answer = Some(taken.answer);
            if self.calls[number].began_ms + self.calls[number].course.return_ms <= now_ms {
                // Its caller has not waited for it.
                let all = self.plan.pushes.iter().zip(&mut self.pushes);
                all.filter(|(push, _)| taken.handed.contains(&push.id))
                    .for_each(|(_, progress)| progress.handed_in_vain = true);
            } else {
                self.calls[number].handed = taken.handed;
            }
            self.note(Note::Committed {
                call: number,
                new: taken.new,
                known: taken.known,
            });
        } else if let weir_engine::Call::App(_) = call.call {
            call.answer = Some(self.app.take(self.plan, &call.body));
            self.note(Note::Committed {
                call: number,
                new: 1,
                known: 0,
            });
        } else {
            let (answer, users) =
                self.api
                    .take(call.call, &call.path, &call.body, self.faults, now_ms);
            call.answer = Some(answer.to_string().into_bytes());
            if call.course.end != End::Answered {
                self.checks.tally.api_answers_lost += 1;
            }
            self.note(Note::Committed {
                call: number,
                new: users,
                known: 0,
            });
        }
    }

    fn returned(&mut self, number: usize) {
        let InFlight { engine, call, .. } = self.calls[number];
        if self.stalls(engine, || Event::Return(number)) {
            return;
        }
        let to = self.engines[engine].name;
        let now_ms = self.now();
        for id in std::mem::take(&mut self.calls[number].handed) {
            self.handed(engine, &id);
        }
        if self.engines[engine].engine.is_none() {
            return;
        }
        self.engines[engine].calls.remove(&call);
        let InFlight {
            began_ms,
            course,
            ref mut answer,
            ..
        } = self.calls[number];
        let mut end = course.end;
        if call == weir_engine::Call::Store && self.store.was_down_since(began_ms) {
            end = End::Reset;
        }
        let answer = answer.take();
        let (status, outcome) = match (end, &answer) {
            (End::Answered, Some(body)) => (
                200,
                CallOutcome::Answer {
                    status: 200,
                    retry_after_s: None,
                    body,
                },
            ),
            (End::Malformed, _) => (
                200,
                CallOutcome::Answer {
                    status: 200,
                    retry_after_s: None,
                    body: b"<html>no",
                },
            ),
            (End::Status(status, retry_after_s), _) => (
                status,
                CallOutcome::Answer {
                    status,
                    retry_after_s,
                    body: b"",
                },
            ),
            _ => (0, CallOutcome::Reset),
        };
        if let weir_engine::Call::App(_) = call {
            self.new_code_soon(usize::from(to.node), 8_000);
        }
        let what = calls::name_of(call);
        self.note(Note::Returned {
            call: number,
            to,
            what,
            status,
        });
        let InFlight { path, .. } = &self.calls[number];
        self.checks.on_return(
            engine,
            &mut self.engines[engine],
            call,
            &outcome,
            path,
            now_ms,
        );
        self.input(engine, Scope::Root, Input::CallDone { call, outcome });
    }

    /// An engine is handed the reply to a push: if no attempt waits for it there by now, nobody gets it.
    fn handed(&mut self, engine: usize, id: &str) {
        let number = self.plan.pushes.iter().position(|push| push.id == id);
        let Some(number) = number else { return };
        let slot = &self.engines[engine];
        let (node, life, now_ms) = (slot.name.node, slot.node_life, self.now());
        let engines = self.engines.iter().filter(|other| {
            (other.name.node, other.node_life) == (node, life) && other.engine.is_some()
        });
        let awaited = engines.flat_map(|slot| &slot.held).any(|request| {
            let request = &self.requests[*request];
            // Another worker of the node is told by its next tick at the latest.
            request.push == number && now_ms + 2 * TICK_MS <= request.arrived_ms + DEADLINE_MS
        });
        if !awaited {
            self.pushes[number].handed_in_vain = true;
        }
    }

    // ── What goes wrong ────────────────────────────────────────────────────────────────────────────────────────────

    fn mishap(&mut self, mishap: Mishap) {
        match mishap {
            Mishap::CrashWorker { node, worker } => {
                // Mostly one that has something to lose.
                let busy = self.engines.iter().filter(|slot| {
                    let engine = slot.engine.as_ref();
                    engine.is_some_and(|engine| !engine.is_idle()) && !slot.draining
                });
                let busy: Vec<_> = busy
                    .map(|slot| (slot.name.node, slot.name.worker))
                    .collect();
                let (mut node, mut worker) = (node, worker);
                if !busy.is_empty() && self.host.chance(700) {
                    let place = busy[self.host.index(busy.len())];
                    (node, worker) = (usize::from(place.0), usize::from(place.1));
                }
                if self.nodes[node].up {
                    self.crash(node, worker);
                    let ms = self.host.below(3_000);
                    self.queue.after(ms, Event::Restart { node, worker });
                }
            }
            Mishap::CrashNode { node } => {
                if !self.nodes[node].up {
                    return;
                }
                self.note(Note::NodeDied { node: node as u8 });
                for worker in 0..self.nodes[node].workers.len() {
                    self.crash(node, worker);
                }
                self.nodes[node].up = false;
                for giver in std::mem::take(&mut self.nodes[node].left_by) {
                    self.lose_left(giver);
                }
                let ms = self.host.between(100, 5_000);
                self.queue.after(ms, Event::NodeUp(node));
            }
            Mishap::Reload { node } => {
                for worker in 0..self.nodes[node].workers.len() {
                    self.reload(node, worker);
                }
            }
            Mishap::NewCode { node } => {
                for worker in 0..self.nodes[node].workers.len() {
                    self.new_code(node, worker);
                }
            }
            Mishap::StepClock { node, by_s } => {
                self.note(Note::ClockStepped {
                    node: node as u8,
                    by_s,
                });
                self.nodes[node].ahead_ms += by_s * 1_000;
            }
            Mishap::Stall { node, worker, ms } => {
                self.note(Note::Stalled {
                    node: node as u8,
                    worker: worker as u8,
                    ms,
                });
                let until_ms = self.now() + ms;
                self.nodes[node].workers[worker].stalled_until_ms = until_ms;
                self.checks.tally.stalls += 1;
            }
            Mishap::StoreDown { ms } => {
                self.note(Note::StoreDown { ms });
                let now_ms = self.now();
                self.store.goes_down(now_ms, ms);
                self.queue.after(ms, Event::StoreUp);
            }
            Mishap::ReplaceToken => {
                self.note(Note::TokenReplaced);
                let now_ms = self.now();
                self.api.replace_token(now_ms);
            }
        }
    }

    fn crash(&mut self, node: usize, worker: usize) {
        let place = &mut self.nodes[node].workers[worker];
        let mut engines = std::mem::take(&mut place.draining);
        engines.extend(place.serves.take());
        place.stalled_until_ms = 0;
        place.mailbox = None;
        for engine in engines {
            let who = self.engines[engine].name;
            self.note(Note::Crashed { who });
            self.end(engine, Ending::Crashed);
        }
    }

    fn node_up(&mut self, node: usize) {
        let life = self.nodes[node].life + 1;
        let name = 100 + node as u64 + 1_000 * u64::from(life);
        self.nodes[node].life = life;
        self.nodes[node].up = true;
        self.nodes[node].unrecorded_before = self.nodes[node].unrecorded();
        self.nodes[node].shared = Shared::new(Rng::new(self.plan.seed, name));
        self.nodes[node].origin_ms = self.host.below(1 << 40);
        for worker in 0..self.nodes[node].workers.len() {
            self.begin(node, worker);
        }
    }

    fn reload(&mut self, node: usize, worker: usize) {
        let Some(old) = self.nodes[node].workers[worker].serves else {
            return;
        };
        let who = self.engines[old].name;
        self.note(Note::Replaced { who });
        self.begin(node, worker);
        self.engines[old].draining = true;
        let idle = self.engines[old]
            .engine
            .as_ref()
            .is_some_and(Engine::is_idle);
        if idle {
            self.end(old, Ending::Drained);
            return;
        }
        self.nodes[node].workers[worker].draining.push(old);
        let ms = if self.host.chance(500) {
            DRAIN_MS
        } else {
            self.host.between(100, 12_000)
        };
        self.queue.after(ms, Event::HandOver(old));
    }

    /// New code comes, at times, when it hurts.
    fn new_code_soon(&mut self, node: usize, within_ms: u64) {
        if self.faults.has(Fault::NewCode) && self.host.chance(400) {
            let ms = self.host.below(within_ms);
            let mishap = Event::Mishap(Mishap::NewCode { node });
            self.queue.after(ms, mishap);
        }
    }

    /// Another module is loaded, in a VM of its own; the old one ends with its last stream.
    fn new_code(&mut self, node: usize, worker: usize) {
        let place = &mut self.nodes[node].workers[worker];
        let Some(old) = place.serves else {
            return;
        };
        place.mailbox = None;
        place.draining.push(old);
        let who = self.engines[old].name;
        self.note(Note::Replaced { who });
        self.begin(node, worker);
        if self.engines[old].held.is_empty() {
            let ms = self.host.below(3);
            self.queue.after(ms, Event::HandOver(old));
        } else {
            self.engines[old].ends_with_streams = true;
        }
    }

    fn hand_over(&mut self, engine: usize) {
        if self.engines[engine].engine.is_none() || self.stalls(engine, || Event::HandOver(engine))
        {
            return;
        }
        let who = self.engines[engine].name;
        self.note(Note::HandedOver { who });
        self.engines[engine].draining = false;
        self.input(engine, Scope::Root, Input::HandOver);
        self.end(engine, Ending::HandedOver);
    }

    /// An engine is no more.
    fn end(&mut self, engine: usize, ending: Ending) {
        let now_ms = self.now();
        let slot = &mut self.engines[engine];
        slot.engine = None;
        slot.end = Some((ending, now_ms));
        slot.calls.clear();
        let died = slot.died();
        match ending {
            _ if died => self.checks.tally.deaths += 1,
            Ending::HandedOver => self.checks.tally.handovers += 1,
            _ => {}
        }
        let held = std::mem::take(&mut slot.held);
        if died {
            self.lose_inherited(engine);
        }
        let slot = &self.engines[engine];
        let (who, node, worker) = (slot.name, slot.name.node, slot.name.worker);
        if ending == Ending::Drained {
            self.note(Note::Drained { who });
        }
        let place = &mut self.nodes[usize::from(node)].workers[usize::from(worker)];
        place.draining.retain(|other| *other != engine);
        // The host breaks the connections of a VM that died; those of a root that is done hang until WeChat has enough.
        if ending == Ending::Crashed {
            for request in held {
                let ms = self.net.between(1, 15);
                self.queue.after(ms, Event::Close(request));
            }
        }
    }

    fn calm(&mut self) {
        self.note(Note::Calm);
        self.faults = Faults::default();
        let now_ms = self.now();
        self.store.comes_back(now_ms);
        for node in 0..self.nodes.len() {
            self.trouble_shared(node);
            for worker in &mut self.nodes[node].workers {
                worker.stalled_until_ms = worker.stalled_until_ms.min(now_ms);
            }
        }
    }
}
