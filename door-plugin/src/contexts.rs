//! The host's callbacks, and what it says of contexts.
//!
//! The SDK's dispatcher keeps a boxed context per stream, which costs a push as much as its verification and parsing
//! together, and panics on a call or a context that it does not know. So in the finished module each `weir_on_…` takes the
//! place of the SDK's `proxy_on_…` (`cargo xtask wasm`).
//!
//! What the host says about contexts and calls that we do not know changes nothing: it may repeat itself, or be late.
//!
//! A stream is done with at `on_done`; `on_delete` would be one more crossing with nothing new in it, and is not
//! exported.
#![allow(unsafe_code, reason = "the host's C ABI")]

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::types::Action;

use crate::root::Root;
use crate::stream::Stream;
use crate::worker::Worker;
use weir_engine::Response;
use weir_engine::fold::FoldMap;
use weir_hostcalls as host;

thread_local! {
    static CONTEXTS: RefCell<Contexts> = RefCell::default();
}

#[derive(Default)]
struct Contexts {
    /// One, mostly; while an update drains, two.
    roots: Vec<Known>,
    /// The streams, with the root they belong to.
    streams: FoldMap<u32, (u32, Stream)>,
}

/// A root context.
struct Known {
    id: u32,
    root: Rc<RefCell<Root>>,
    /// As soon as it is configured.
    worker: Option<Rc<Worker>>,
}

/// From now on the streams of this root are this worker's.
pub(crate) fn serve(root: u32, worker: Rc<Worker>) {
    with(|contexts| {
        if let Some(known) = contexts.roots.iter_mut().find(|known| known.id == root) {
            known.worker = Some(worker);
        }
    });
}

/// The root has said that it is done: what still comes for it or its streams is not ours any more.
pub(crate) fn end(root: u32) {
    // Dropped when nothing is borrowed: this may be called from one of its callbacks.
    let _ended = with(|contexts| {
        let place = contexts.roots.iter().position(|known| known.id == root);
        place.map(|place| contexts.roots.swap_remove(place))
    });
}

/// Nobody who holds the contexts calls anything that comes here: a borrow that fails is a fault of ours, and passing
/// traffic on is the harmless answer.
fn with<T: Default>(act: impl FnOnce(&mut Contexts) -> T) -> T {
    CONTEXTS.with(|contexts| match contexts.try_borrow_mut() {
        Ok(mut contexts) => act(&mut contexts),
        Err(_) => T::default(),
    })
}

/// Calls a root, with nothing of the contexts borrowed. `None`: it is not known.
fn on_root<T>(id: u32, act: impl FnOnce(&mut Root) -> T) -> Option<T> {
    let root = with(|contexts| {
        let known = contexts.roots.iter().find(|known| known.id == id)?;
        Some(known.root.clone())
    })?;
    let mut root = root.try_borrow_mut().ok()?;
    Some(act(&mut root))
}

impl Contexts {
    /// The stream and its worker, as long as it is ours.
    fn find(&mut self, id: u32) -> Option<(&mut Stream, &Worker)> {
        let (root, stream) = self.streams.get_mut(&id)?;
        let known = self.roots.iter().find(|known| known.id == *root)?;
        Some((stream, known.worker.as_deref()?))
    }
}

#[unsafe(no_mangle)]
extern "C" fn weir_on_context_create(id: u32, root: u32) {
    with(|contexts| {
        if root != 0 {
            contexts.streams.insert(id, (root, Stream::new(id)));
        } else if contexts.roots.iter().all(|known| known.id != id) {
            contexts.roots.push(Known {
                id,
                root: Rc::new(RefCell::new(Root::new(id))),
                worker: None,
            });
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn weir_on_vm_start(_: u32, _: usize) -> bool {
    true
}

#[unsafe(no_mangle)]
extern "C" fn weir_on_configure(id: u32, size: usize) -> bool {
    on_root(id, |root| root.on_configure(size)).unwrap_or(false)
}

#[unsafe(no_mangle)]
extern "C" fn weir_on_tick(id: u32) {
    on_root(id, Root::on_tick);
}

#[unsafe(no_mangle)]
extern "C" fn weir_on_queue_ready(id: u32, _: u32) {
    on_root(id, Root::on_queue_ready);
}

#[unsafe(no_mangle)]
extern "C" fn weir_on_http_call_response(
    id: u32,
    number: u32,
    headers: usize,
    body_size: usize,
    _: usize,
) {
    on_root(id, |root| root.on_call_done(number, headers, body_size));
}

/// Asks a stream. One that is not known may not pass: nobody has looked at it.
fn on_stream(id: u32, ask: impl FnOnce(&mut Stream, &Worker) -> Action) -> Action {
    let action = with(|contexts| {
        let (stream, worker) = contexts.find(id)?;
        Some(ask(stream, worker))
    });
    action.unwrap_or_else(|| {
        host::respond(&Response::empty(503));
        Action::Pause
    })
}

#[unsafe(no_mangle)]
extern "C" fn weir_on_request_headers(id: u32, _: usize, ends: bool) -> Action {
    on_stream(id, |stream, worker| stream.headers(worker, ends))
}

#[unsafe(no_mangle)]
extern "C" fn weir_on_request_body(id: u32, size: usize, ends: bool) -> Action {
    on_stream(id, |stream, worker| stream.body(worker, size, ends))
}

#[unsafe(no_mangle)]
extern "C" fn weir_on_request_trailers(id: u32, _: usize) -> Action {
    on_stream(id, Stream::trailers)
}

#[unsafe(no_mangle)]
extern "C" fn weir_on_response_headers(id: u32, _: usize, ends: bool) -> Action {
    let action = with(|contexts| {
        let (stream, worker) = contexts.find(id)?;
        Some(stream.answer_headers(worker, ends))
    });
    // An answer of ours, or of Envoy's.
    action.unwrap_or(Action::Continue)
}

#[unsafe(no_mangle)]
extern "C" fn weir_on_response_body(id: u32, size: usize, ends: bool) -> Action {
    let action = with(|contexts| {
        let (stream, worker) = contexts.find(id)?;
        Some(stream.answer_body(worker, size, ends))
    });
    action.unwrap_or(Action::Continue)
}

#[unsafe(no_mangle)]
extern "C" fn weir_on_done(id: u32) -> bool {
    let is_stream = with(|contexts| {
        let Some((root, stream)) = contexts.streams.remove(&id) else {
            return false;
        };
        let known = contexts.roots.iter().find(|known| known.id == root);
        if let Some(worker) = known.and_then(|known| known.worker.as_deref()) {
            stream.done(worker);
        }
        true
    });
    if is_stream {
        return true;
    }
    let others: Vec<_> = with(|contexts| {
        let others = contexts.roots.iter().filter(|known| known.id != id);
        others.map(|known| known.root.clone()).collect()
    });
    let draining =
        |root: &Rc<RefCell<Root>>| root.try_borrow().is_ok_and(|root| root.is_draining());
    let vm_stays = !others.iter().all(draining);
    let done = on_root(id, |root| root.on_done(vm_stays)).unwrap_or(true);
    if !vm_stays {
        for root in others {
            if let Ok(mut root) = root.try_borrow_mut() {
                root.on_done(false);
            }
        }
    }
    if done {
        end(id);
    }
    done
}
