//! Bends requests.

mod content;
mod query;

use std::sync::Arc;

use fastrand::Rng;

use super::draft::{Draft, Wire, now_s, right, wire};
use super::oracle;
use super::samples::Sample;
use content::{
    body_bytes, body_cut, body_garbage, body_large, body_withheld, frame, push_beyond, push_bytes,
    push_cut, push_field, push_garbage,
};
use query::{
    another_method, another_mode, odd_stamp, parameter_missing, parameter_twice, query_bytes,
    query_long_or_none, signature_changed, signature_of_something_else, stale, verification,
};

/// Wrong requests without end, drawn from a seed.
#[derive(Debug)]
pub(super) struct Requests {
    samples: Arc<Vec<Sample>>,
    rng: Rng,
    /// Bent requests that might be right after all, and were not given out.
    pub(super) left_out: u64,
}

type Bend = fn(&Sample, &mut Rng) -> Draft;

/// Every way to bend, by what is wrong then.
const WAYS: [(&str, Bend); 22] = [
    ("signature: changed", signature_changed),
    ("signature: of something else", signature_of_something_else),
    ("query: a parameter missing", parameter_missing),
    ("query: a parameter twice", parameter_twice),
    ("query: not of the right shape", odd_stamp),
    ("query: stale", stale),
    ("query: bytes changed", query_bytes),
    ("query: too long or none", query_long_or_none),
    ("mode: another one", another_mode),
    ("verification: wrong", verification),
    ("method: another one", another_method),
    ("body: cut short", body_cut),
    ("body: bytes changed", body_bytes),
    ("body: garbage", body_garbage),
    ("body: never complete", body_withheld),
    ("body: too large", body_large),
    ("inside: the frame", frame),
    ("inside: cut short", push_cut),
    ("inside: bytes changed", push_bytes),
    ("inside: garbage", push_garbage),
    ("inside: a field missing, twice or odd", push_field),
    ("inside: beyond a bound", push_beyond),
];

impl Requests {
    pub(super) fn new(samples: Arc<Vec<Sample>>, seed: u64) -> Self {
        Self {
            samples,
            rng: Rng::with_seed(seed),
            left_out: 0,
        }
    }

    /// The next wrong one.
    pub(super) fn bent(&mut self) -> Wire {
        loop {
            let sample = &self.samples[self.rng.usize(..self.samples.len())];
            let mut chosen = self.rng.usize(..WAYS.len());
            if chosen == LARGE && self.rng.u8(..) > 2 {
                chosen = self.rng.usize(..LARGE); // these are dear
            }
            let (way, bend) = WAYS[chosen];
            let draft = bend(sample, &mut self.rng);
            if oracle::might_be_right(sample, &draft, now_s()) {
                self.left_out += 1;
                continue;
            }
            return wire(way, &draft, &mut self.rng);
        }
    }

    /// Every sample as it is, in another order each time.
    pub(super) fn good(mut self) -> impl Iterator<Item = Wire> {
        let mut order: Vec<usize> = (0..self.samples.len()).collect();
        self.rng.shuffle(&mut order);
        order.into_iter().map(move |index| {
            let draft = right(&self.samples[index], &mut self.rng);
            wire(self.samples[index].variant.name, &draft, &mut self.rng)
        })
    }
}

/// The place of `body: too large` in [`WAYS`].
const LARGE: usize = 15;

fn pick<'a, T: ?Sized>(rng: &mut Rng, from: &[&'a T]) -> &'a T {
    from[rng.usize(..from.len())]
}
