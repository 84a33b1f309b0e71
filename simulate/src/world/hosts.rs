//! What hosts do with engines: beginnings, ticks, inputs, effects, answers.

use weir_engine::owners::Mailbox;
use weir_engine::{CallOutcome, Engine, Env, Input, TICK_MS};

use super::{Event, IDLE_TICK_MS, Scope, World};
use crate::checks::{Responded, What};
use crate::faults::Fault;
use crate::node::{Ending, Meter, Node, Slot};
use crate::shared::{Left, Trouble};
use crate::timeline::{Name, Note};

impl World<'_> {
    /// Whether the engine's thread stands still; then `event` comes when it goes on.
    pub(super) fn stalls(&mut self, engine: usize, event: impl FnOnce() -> Event) -> bool {
        let Name { node, worker, .. } = self.engines[engine].name;
        let until_ms = self.nodes[usize::from(node)].workers[usize::from(worker)].stalled_until_ms;
        let stalls = self.engines[engine].engine.is_some() && until_ms > self.now();
        if stalls {
            self.queue.at(until_ms, event());
        }
        stalls
    }

    /// A new engine serves a worker.
    pub(super) fn begin(&mut self, node: usize, worker: usize) {
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

    pub(super) fn trouble_shared(&mut self, node: usize) {
        let per_mille = |fault, per_mille| if self.faults.has(fault) { per_mille } else { 0 };
        let trouble = Trouble {
            conflicts: per_mille(Fault::Conflicts, 400),
            refusals: per_mille(Fault::SharedFull, 150),
        };
        self.nodes[node].shared.trouble(trouble);
    }

    pub(super) fn tick_in(&mut self, engine: usize, ms: u64) {
        let slot = &mut self.engines[engine];
        slot.tick_number += 1;
        slot.tick_due_ms = self.queue.now_ms() + ms;
        let number = slot.tick_number;
        self.queue.after(ms, Event::Tick { engine, number });
    }

    pub(super) fn tick(&mut self, engine: usize, number: u32) {
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
    pub(super) fn input(&mut self, who: usize, scope: Scope, input: Input<'_>) {
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
    pub(super) fn inherit(&mut self, who: usize, what: What, left: (Left, Left)) {
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
    pub(super) fn lose_left(&mut self, engine: usize) {
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
    pub(super) fn lose_inherited(&mut self, engine: usize) {
        let givers =
            (0..self.engines.len()).filter(|giver| self.engines[*giver].heirs.contains(&engine));
        for giver in givers.collect::<Vec<_>>() {
            self.lose_left(giver);
        }
    }

    /// Does one thing that an engine wants. A call that the host refuses is given back.
    pub(super) fn perform(
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
    pub(super) fn wake(&mut self, who: usize) {
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

    pub(super) fn respond(
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
}
