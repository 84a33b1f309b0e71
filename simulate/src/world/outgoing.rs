//! Calls of engines: when they take effect at their peer, and what comes back.

use weir_engine::{CallOutcome, Input, TICK_MS};

use super::{Event, Scope, World};
use crate::calls::{self, End, InFlight};
use crate::checks::DEADLINE_MS;
use crate::faults::Fault;
use crate::timeline::Note;

impl World<'_> {
    pub(super) fn call(
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

    pub(super) fn effect(&mut self, number: usize) {
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

    pub(super) fn returned(&mut self, number: usize) {
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
    pub(super) fn handed(&mut self, engine: usize, id: &str) {
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
}
