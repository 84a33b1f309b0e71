//! The callbacks of streams, and what the host says of contexts.
//!
//! The SDK's dispatcher keeps a boxed context per stream in a map of its own and wants a callback at the beginning and
//! one at the end of each; that costs a push as much as its verification and parsing together. So the callbacks of
//! streams are our own, and the SDK keeps those of root contexts, which are few. In the finished module each `weir_on_…`
//! takes the place of the SDK's `proxy_on_…` (`cargo xtask wasm`).
//!
//! A stream is done with at `on_done`; `on_delete` would be one more crossing with nothing new in it, and is dropped.
#![allow(unsafe_code, reason = "the host's C ABI")]

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::types::Action;

use crate::stream::Stream;
use crate::worker::Worker;
use weir_engine::fold::FoldMap;

thread_local! {
    static CONTEXTS: RefCell<Contexts> = RefCell::default();
}

#[derive(Default)]
struct Contexts {
    /// The root contexts that the SDK knows, with their workers as soon as they are configured. One, mostly.
    roots: Vec<(u32, Option<Rc<Worker>>)>,
    /// Roots that have ended and are to be forgotten.
    ended: Vec<u32>,
    /// The streams whose path is not known yet or is a push URL, with the root they belong to.
    streams: FoldMap<u32, (u32, Stream)>,
}

/// The SDK's callbacks, for root contexts.
mod sdk {
    unsafe extern "C" {
        pub(super) safe fn proxy_on_context_create(context: u32, root: u32);
        pub(super) safe fn proxy_on_done(context: u32) -> bool;
        pub(super) safe fn proxy_on_delete(context: u32);
    }
}

/// From now on the streams of this root are this worker's.
pub(crate) fn serve(root: u32, worker: Rc<Worker>) {
    with(|contexts| {
        if let Some(known) = contexts.roots.iter_mut().find(|(id, _)| *id == root) {
            known.1 = Some(worker);
        }
    });
}

/// The root has said that it is done; the SDK is told at the next callback that is not this root's.
pub(crate) fn end(root: u32) {
    with(|contexts| contexts.ended.push(root));
}

/// Nobody who holds the contexts calls anything that comes here: a borrow that fails is a fault of ours, and passing
/// traffic on is the harmless answer.
fn with<T: Default>(act: impl FnOnce(&mut Contexts) -> T) -> T {
    CONTEXTS.with(|contexts| match contexts.try_borrow_mut() {
        Ok(mut contexts) => act(&mut contexts),
        Err(_) => T::default(),
    })
}

impl Contexts {
    /// The stream and its worker, as long as it is ours.
    fn find(&mut self, id: u32) -> Option<(&mut Stream, &Worker)> {
        let (root, stream) = self.streams.get_mut(&id)?;
        let (_, worker) = self.roots.iter().find(|(known, _)| known == root)?;
        Some((stream, worker.as_deref()?))
    }
}

#[unsafe(no_mangle)]
extern "C" fn weir_on_context_create(id: u32, root: u32) {
    let ended = with(|contexts| {
        if root == 0 {
            contexts.roots.push((id, None));
        } else {
            contexts.streams.insert(id, (root, Stream::new(id)));
        }
        std::mem::take(&mut contexts.ended)
    });
    for root in ended {
        with(|contexts| contexts.roots.retain(|(id, _)| *id != root));
        sdk::proxy_on_delete(root);
    }
    if root == 0 {
        sdk::proxy_on_context_create(id, root);
    }
}

#[unsafe(no_mangle)]
extern "C" fn weir_on_request_headers(id: u32, _: usize, end_of_stream: bool) -> Action {
    let action = with(|contexts| {
        let (stream, worker) = contexts.find(id)?;
        let action = stream.headers(worker, end_of_stream);
        if action.is_none() {
            contexts.streams.remove(&id);
        }
        action
    });
    action.unwrap_or(Action::Continue)
}

#[unsafe(no_mangle)]
extern "C" fn weir_on_request_body(id: u32, size: usize, end_of_stream: bool) -> Action {
    let ours = with(|contexts| {
        let (stream, worker) = contexts.find(id)?;
        stream.body(worker, size, end_of_stream);
        Some(Action::Pause)
    });
    ours.unwrap_or(Action::Continue)
}

#[unsafe(no_mangle)]
extern "C" fn weir_on_request_trailers(id: u32, _: usize) -> Action {
    let ours = with(|contexts| {
        let (stream, worker) = contexts.find(id)?;
        stream.trailers(worker);
        Some(Action::Pause)
    });
    ours.unwrap_or(Action::Continue)
}

#[unsafe(no_mangle)]
extern "C" fn weir_on_done(id: u32) -> bool {
    let is_root = with(|contexts| {
        let Some((root, stream)) = contexts.streams.remove(&id) else {
            return contexts.roots.iter().any(|(root, _)| *root == id);
        };
        let worker = contexts.roots.iter().find(|(known, _)| *known == root);
        if let Some((_, Some(worker))) = worker {
            stream.done(worker);
        }
        false
    });
    if !is_root {
        return true;
    }
    let done = sdk::proxy_on_done(id);
    if done {
        end(id);
    }
    done
}
