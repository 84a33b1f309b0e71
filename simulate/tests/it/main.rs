//! The simulation itself: that it can be repeated, and that a world without trouble is in order.

use weir_simulate::teeth::{self, Bug};
use weir_simulate::{Fault, Without, run, shrink};

fn nothing() -> Without {
    Without::default()
}

#[test]
fn a_seed_does_the_same_whenever_it_is_run() {
    for seed in 0..60 {
        let first = run(seed, &nothing());
        let second = run(seed, &nothing());
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert!(first.timeline().eq(second.timeline()), "seed {seed}");
    }
}

#[test]
fn seeds_differ() {
    let hashes: std::collections::BTreeSet<u64> =
        (0..60).map(|seed| run(seed, &nothing()).hash).collect();
    assert_eq!(hashes.len(), 60);
}

#[test]
fn with_every_trouble_everything_holds() {
    for seed in 0..500 {
        assert_eq!(run(seed, &nothing()).violation, None, "seed {seed}");
    }
}

#[test]
fn a_planted_mistake_is_noticed_and_shrunk_and_gone_afterwards() {
    let caught = teeth::catch(Bug::ReplyBeforeCommit, 0..100).expect("noticed");
    assert_eq!(caught.invariant, "acknowledged-is-stored");
    let (less, outcome) = teeth::with(Bug::ReplyBeforeCommit, || {
        shrink(caught.seed, &nothing()).expect("it fails")
    });
    let violation = outcome.violation.expect("the same failure");
    assert_eq!(violation.invariant, caught.invariant);
    assert_eq!(run(caught.seed, &less).violation, None);
}

#[test]
fn without_trouble_every_push_is_heard_and_stored_at_the_first_attempt() {
    let calm = Without {
        faults: Fault::ALL.iter().copied().collect(),
        pushes: Vec::new(),
    };
    for seed in 0..300 {
        let outcome = run(seed, &calm);
        assert_eq!(outcome.violation, None, "seed {seed}");
        let tally = outcome.tally;
        assert_eq!(tally.pushes, tally.requests, "seed {seed}");
        assert_eq!(tally.pushes, tally.heard, "seed {seed}");
        assert_eq!(tally.pushes, tally.stored, "seed {seed}");
    }
}
