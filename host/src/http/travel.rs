//! How a message travels through the filters: forwards as a request, backwards as a response.
//!
//! This is Envoy's filter manager, for both directions at once. A message is headers, then pieces of body, then
//! perhaps trailers; each filter sees them in turn and may stop them. What it stops waits in one buffer per
//! direction, until the filter lets go: by returning "continue" from a later callback, or by resuming from outside.
//!
//! Bounds: the buffer holds at most the listener's limit. A filter that stopped and asked for the rest gets the
//! message refused above it; one that stopped everything makes the sender wait.

use std::cell::{Cell, RefCell};

use super::headers::Headers;

/// Where a stopped filter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Iteration {
    /// Nothing is held.
    Continue,
    /// Held, but later parts of the message still reach this filter.
    StopSingle,
    /// Held, and later parts wait until it continues.
    StopAll,
}

/// What a filter says to headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnHeaders {
    Continue,
    StopIteration,
    StopAll,
}

/// What a filter says to a piece of body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnData {
    Continue,
    StopAndBuffer,
    StopAndDrop,
}

/// What a filter says to trailers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnTrailers {
    Continue,
    Stop,
}

/// Which bytes a filter sees as "the body".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyView {
    /// None.
    Nothing,
    /// The piece that is passing.
    Piece,
    /// All that was held so far.
    Held,
}

/// One filter's place in one direction.
#[derive(Debug)]
pub(crate) struct Step {
    /// Which filter, in the order of the configuration.
    pub(crate) filter: usize,
    pub(crate) iteration: Cell<Iteration>,
    pub(crate) headers_passed: Cell<bool>,
    /// Whether this filter has been given the end of the message.
    pub(crate) ended: Cell<bool>,
    pub(crate) sees_headers: Cell<bool>,
    pub(crate) sees_trailers: Cell<bool>,
    pub(crate) sees_body: Cell<BodyView>,
}

/// One direction of a stream.
#[derive(Debug)]
pub(crate) struct Travel {
    pub(crate) headers: RefCell<Option<Headers>>,
    pub(crate) trailers: RefCell<Option<Headers>>,
    /// What a filter holds.
    pub(crate) held: RefCell<Option<Vec<u8>>>,
    /// The piece that is passing.
    pub(crate) piece: RefCell<Vec<u8>>,
    /// Whether the end of the message has come in.
    pub(crate) complete: Cell<bool>,
    /// Whether filters are no longer asked.
    pub(crate) aborted: Cell<bool>,
    /// Bytes of body that came in.
    pub(crate) body_bytes: Cell<u64>,
    pub(crate) steps: Vec<Step>,
}

impl Travel {
    /// A direction over these filters, in this order.
    pub(crate) fn over(filters: impl Iterator<Item = usize>) -> Self {
        let step = |filter| Step {
            filter,
            iteration: Cell::new(Iteration::Continue),
            headers_passed: Cell::new(false),
            ended: Cell::new(false),
            sees_headers: Cell::new(false),
            sees_trailers: Cell::new(false),
            sees_body: Cell::new(BodyView::Nothing),
        };
        Self {
            headers: RefCell::default(),
            trailers: RefCell::default(),
            held: RefCell::default(),
            piece: RefCell::default(),
            complete: Cell::new(false),
            aborted: Cell::new(false),
            body_bytes: Cell::new(0),
            steps: filters.map(step).collect(),
        }
    }

    /// Adds to what is held, and says how much that is now.
    pub(crate) fn hold(&self, data: Vec<u8>) -> usize {
        let mut held = self.held.borrow_mut();
        match held.as_mut() {
            Some(held) => held.extend_from_slice(&data),
            None => *held = Some(data),
        }
        held.as_ref().map_or(0, Vec::len)
    }

    /// How much is held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held.borrow().as_ref().map_or(0, Vec::len)
    }

    pub(crate) fn has_trailers(&self) -> bool {
        self.trailers.borrow().is_some()
    }

    /// The step of a filter, with its position.
    pub(crate) fn step_of(&self, filter: usize) -> Option<(usize, &Step)> {
        let mut steps = self.steps.iter().enumerate();
        steps.find(|(_, step)| step.filter == filter)
    }

    /// Whether a filter has stopped everything.
    pub(crate) fn is_stopped(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| step.iteration.get() == Iteration::StopAll)
    }
}
