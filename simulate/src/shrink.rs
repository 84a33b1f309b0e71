//! The same failure with less: fewer pushes and fewer kinds of trouble, as long as the same thing does not hold.

use crate::faults::{Fault, Faults};
use crate::plan::{Plan, Without};
use crate::{Outcome, faults_of, run};

/// What can be left out of `seed` while it still breaks the same invariant, and how it goes then. `None`: it breaks none.
#[must_use]
pub fn shrink(seed: u64, without: &Without) -> Option<(Without, Outcome)> {
    let mut best = run(seed, without);
    let invariant = best.violation.as_ref()?.invariant;
    let pushes = Plan::new(seed, &Without::default()).pushes.len();
    let mut without = without.clone();
    let attempt = |candidate: Without| {
        let outcome = run(seed, &candidate);
        let same = outcome.violation.as_ref()?.invariant == invariant;
        same.then_some((candidate, outcome))
    };
    for fault in faults_of(seed).without(without.faults).iter() {
        let mut candidate = without.clone();
        candidate.faults = candidate.faults.with(fault);
        if candidate.faults != without.faults
            && let Some((found, outcome)) = attempt(candidate)
        {
            (without, best) = (found, outcome);
        }
    }
    for push in 0..pushes {
        let mut candidate = without.clone();
        candidate.pushes.push(push);
        if let Some((found, outcome)) = attempt(candidate) {
            (without, best) = (found, outcome);
        }
    }
    Some((without, best))
}

impl Without {
    /// The arguments that leave the same out.
    #[must_use]
    pub fn arguments(&self) -> String {
        let mut words = String::new();
        if self.faults != Faults::default() {
            let names: Vec<_> = self.faults.iter().map(Fault::name).collect();
            words.push_str(&format!(" --without {}", names.join(",")));
        }
        if !self.pushes.is_empty() {
            let numbers: Vec<_> = self.pushes.iter().map(usize::to_string).collect();
            words.push_str(&format!(" --skip {}", numbers.join(",")));
        }
        words
    }
}
