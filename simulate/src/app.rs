//! The applications: one must not be called twice about a push, the other knows a push again.

use crate::calls::{Course, End};
use crate::faults::{Fault, Faults};
use crate::plan::{Plan, Push};
use crate::rng::Rng;

/// The one that must not be called twice.
pub(crate) const ONCE: &str = "once";
/// The one that may be called again.
pub(crate) const AGAIN: &str = "again";
/// Its answer to a push of which it thinks nothing.
const SILENT_IN: u64 = 10;

pub(crate) struct App {
    rng: Rng,
    /// How often it has acted on each push.
    pub(crate) acted: Vec<u64>,
    /// What it is called about that is no push.
    pub(crate) strangers: u64,
}

impl App {
    pub(crate) fn new(rng: Rng, pushes: usize) -> Self {
        Self {
            rng,
            acted: vec![0; pushes],
            strangers: 0,
        }
    }

    /// How a call goes that waits so long.
    pub(crate) fn course(&mut self, timeout_ms: u32, faults: Faults) -> Course {
        let rng = &mut self.rng;
        let effect_ms = rng.between(1, 10);
        let mut return_ms = effect_ms + rng.between(1, 200);
        if faults.has(Fault::AppSlow) && rng.chance(700) {
            let least_ms = [0, 0, 4_000, 9_000][rng.index(4)];
            return_ms = effect_ms + rng.between(least_ms, 14_500);
        }
        if faults.has(Fault::AppErrors) && rng.chance(500) {
            let end = match rng.below(4) {
                0 => End::Status([400, 404, 500, 502, 503][rng.index(5)], None),
                1 => End::Malformed,
                _ => End::Reset,
            };
            let effect_ms = rng.chance(500).then_some(effect_ms);
            return Course {
                effect_ms,
                return_ms,
                end,
            };
        }
        let timeout_ms = u64::from(timeout_ms);
        if return_ms < timeout_ms {
            return Course::smooth(effect_ms, return_ms);
        }
        Course {
            effect_ms: Some(effect_ms),
            return_ms: timeout_ms,
            end: if rng.chance(500) {
                End::Reset
            } else {
                End::Status(504, None)
            },
        }
    }

    /// It acts on a push. What it says differs each time, so that who was answered with what can be told.
    pub(crate) fn take(&mut self, plan: &Plan, body: &[u8]) -> Vec<u8> {
        let Some(number) = about(plan, body) else {
            self.strangers += 1;
            return b"success".to_vec();
        };
        self.acted[number] += 1;
        // Who knows a push again says the same again.
        let times = match plan.pushes[number].app {
            Some(true) => 1,
            _ => self.acted[number],
        };
        let Push { openid, .. } = &plan.pushes[number];
        if plan.pushes[number].app_is_silent {
            return if times.is_multiple_of(2) {
                Vec::new()
            } else {
                b"success".to_vec()
            };
        }
        format!("{{\"text\":\"app{number} says {times} to {openid}\"}}").into_bytes()
    }
}

/// The push that a call is about.
pub(crate) fn about(plan: &Plan, body: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(body).ok()?;
    (plan.pushes.iter()).position(|push| text.contains(&push.id) || text == push.body)
}

/// Whether the application has nothing to say to a push.
pub(crate) fn is_silent(rng: &mut Rng) -> bool {
    rng.below(SILENT_IN) == 0
}
