//! What goes wrong, and the ends that come of it.

use weir_engine::{Engine, Input};

use super::{DRAIN_MS, Event, Scope, World};
use crate::faults::{Fault, Faults};
use crate::node::Ending;
use crate::plan::Mishap;
use crate::rng::Rng;
use crate::shared::Shared;
use crate::timeline::Note;

impl World<'_> {
    pub(super) fn mishap(&mut self, mishap: Mishap) {
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

    pub(super) fn crash(&mut self, node: usize, worker: usize) {
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

    pub(super) fn node_up(&mut self, node: usize) {
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

    pub(super) fn reload(&mut self, node: usize, worker: usize) {
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
    pub(super) fn new_code_soon(&mut self, node: usize, within_ms: u64) {
        if self.faults.has(Fault::NewCode) && self.host.chance(400) {
            let ms = self.host.below(within_ms);
            let mishap = Event::Mishap(Mishap::NewCode { node });
            self.queue.after(ms, mishap);
        }
    }

    /// Another module is loaded, in a VM of its own; the old one ends with its last stream.
    pub(super) fn new_code(&mut self, node: usize, worker: usize) {
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

    pub(super) fn hand_over(&mut self, engine: usize) {
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
    pub(super) fn end(&mut self, engine: usize, ending: Ending) {
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

    pub(super) fn calm(&mut self) {
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
