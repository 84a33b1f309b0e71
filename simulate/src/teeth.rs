//! Mistakes planted in the engine, one at a time: each must be noticed.

use weir_engine::planted::plant;

use crate::plan::Without;
use crate::run;

pub use weir_engine::planted::Bug;

/// Where a mistake was noticed.
#[derive(Debug, Clone, Copy)]
pub struct Caught {
    /// The seed.
    pub seed: u64,
    /// What did not hold.
    pub invariant: &'static str,
}

/// Runs with `bug` planted.
pub fn with<T>(bug: Bug, act: impl FnOnce() -> T) -> T {
    plant(Some(bug));
    let result = act();
    plant(None);
    result
}

/// The first of `seeds` that notices `bug`.
pub fn catch(bug: Bug, mut seeds: impl Iterator<Item = u64>) -> Option<Caught> {
    with(bug, || {
        seeds.find_map(|seed| {
            let violation = run(seed, &Without::default()).violation?;
            let invariant = violation.invariant;
            Some(Caught { seed, invariant })
        })
    })
}
