//! The host's callbacks, and what it says of contexts.
//!
//! The SDK's dispatcher keeps a boxed context per stream, which costs a push as much as its verification and parsing
//! together, and panics on a call or a context that it does not know. So in the finished module each `weir_on_…` takes the
//! place of the SDK's `proxy_on_…` (`cargo xtask wasm`). [`module!`](crate::module) writes them; what they do is here.
//!
//! What the host says about contexts and calls that we do not know changes nothing: it may repeat itself, or be late.
//!
//! A stream is done with at `on_done`; `on_delete` would be one more crossing with nothing new in it, and is not
//! exported.

use std::cell::RefCell;
use std::rc::Rc;
use std::thread::LocalKey;

use proxy_wasm::types::Action;
use weir_engine::fold::FoldMap;
use weir_engine::{Response, StreamId};
use weir_hostcalls as host;

use crate::root::Root;
use crate::{Filter, Stream, Worker};

/// The callbacks of a module whose decisions are those of a [`Filter`].
#[macro_export]
macro_rules! module {
    ($filter:ty) => {
        std::thread_local! {
            static CONTEXTS: $crate::contexts::Contexts<$filter> = $crate::contexts::Contexts::default();
        }

        mod entry {
            proxy_wasm::main! {{
                $crate::contexts::on_start();
            }}
        }

        #[unsafe(no_mangle)]
        extern "C" fn weir_on_context_create(id: u32, root: u32) {
            $crate::contexts::on_context_create(&CONTEXTS, id, root);
        }

        #[unsafe(no_mangle)]
        extern "C" fn weir_on_vm_start(_: u32, _: usize) -> bool {
            true
        }

        #[unsafe(no_mangle)]
        extern "C" fn weir_on_configure(id: u32, size: usize) -> bool {
            $crate::contexts::on_configure(&CONTEXTS, id, size)
        }

        #[unsafe(no_mangle)]
        extern "C" fn weir_on_tick(id: u32) {
            $crate::contexts::on_tick(&CONTEXTS, id);
        }

        #[unsafe(no_mangle)]
        extern "C" fn weir_on_queue_ready(id: u32, _: u32) {
            $crate::contexts::on_queue_ready(&CONTEXTS, id);
        }

        #[unsafe(no_mangle)]
        extern "C" fn weir_on_http_call_response(
            id: u32,
            number: u32,
            headers: usize,
            body_size: usize,
            _: usize,
        ) {
            $crate::contexts::on_call_done(&CONTEXTS, id, number, headers, body_size);
        }

        #[unsafe(no_mangle)]
        extern "C" fn weir_on_request_headers(
            id: u32,
            _: usize,
            ends: bool,
        ) -> proxy_wasm::types::Action {
            $crate::contexts::on_request_headers(&CONTEXTS, id, ends)
        }

        #[unsafe(no_mangle)]
        extern "C" fn weir_on_request_body(
            id: u32,
            size: usize,
            ends: bool,
        ) -> proxy_wasm::types::Action {
            $crate::contexts::on_request_body(&CONTEXTS, id, size, ends)
        }

        #[unsafe(no_mangle)]
        extern "C" fn weir_on_request_trailers(id: u32, _: usize) -> proxy_wasm::types::Action {
            $crate::contexts::on_request_trailers(&CONTEXTS, id)
        }

        #[unsafe(no_mangle)]
        extern "C" fn weir_on_response_headers(
            id: u32,
            _: usize,
            ends: bool,
        ) -> proxy_wasm::types::Action {
            $crate::contexts::on_response_headers(&CONTEXTS, id, ends)
        }

        #[unsafe(no_mangle)]
        extern "C" fn weir_on_response_body(
            id: u32,
            size: usize,
            ends: bool,
        ) -> proxy_wasm::types::Action {
            $crate::contexts::on_response_body(&CONTEXTS, id, size, ends)
        }

        #[unsafe(no_mangle)]
        extern "C" fn weir_on_done(id: u32) -> bool {
            $crate::contexts::on_done(&CONTEXTS, id)
        }
    };
}

/// What the host has told of contexts.
pub struct Contexts<F: Filter>(RefCell<Known<F>>);

/// Where a module keeps them.
pub type Place<F> = &'static LocalKey<Contexts<F>>;

struct Known<F: Filter> {
    /// One, mostly; while an update drains, two.
    roots: Vec<KnownRoot<F>>,
    /// The streams, with the root they belong to.
    streams: FoldMap<u32, (u32, F::Stream)>,
}

/// A root context.
struct KnownRoot<F: Filter> {
    id: u32,
    root: Rc<RefCell<Root<F>>>,
    /// As soon as it is configured.
    worker: Option<Rc<Worker<F>>>,
}

impl<F: Filter> Default for Contexts<F> {
    fn default() -> Self {
        Self(RefCell::new(Known {
            roots: Vec::new(),
            streams: FoldMap::default(),
        }))
    }
}

impl<F: Filter> Known<F> {
    /// The stream and its worker, as long as it is ours.
    fn find(&mut self, id: u32) -> Option<(&mut F::Stream, &Worker<F>)> {
        let (root, stream) = self.streams.get_mut(&id)?;
        let known = self.roots.iter().find(|known| known.id == *root)?;
        Some((stream, known.worker.as_deref()?))
    }
}

/// Nobody who holds the contexts calls anything that comes here: a borrow that fails is a fault of ours, and the harmless
/// answer is none.
fn with<F: Filter, T>(place: Place<F>, act: impl FnOnce(&mut Known<F>) -> T) -> Option<T> {
    place.with(|contexts| Some(act(&mut *contexts.0.try_borrow_mut().ok()?)))
}

/// Calls a root, with nothing of the contexts borrowed. `None`: it is not known.
fn on_root<F: Filter, T>(
    place: Place<F>,
    id: u32,
    act: impl FnOnce(&mut Root<F>) -> T,
) -> Option<T> {
    let root = with(place, |contexts| {
        let known = contexts.roots.iter().find(|known| known.id == id)?;
        Some(known.root.clone())
    })??;
    let mut root = root.try_borrow_mut().ok()?;
    Some(act(&mut root))
}

/// Gives the root its turn. One that says it is done is forgotten: what still comes for it is not ours any more.
fn turn<F: Filter>(place: Place<F>, id: u32, act: impl FnOnce(&mut Root<F>) -> bool) {
    if on_root(place, id, act) == Some(true) {
        end(place, id);
    }
}

fn end<F: Filter>(place: Place<F>, root: u32) {
    // Dropped when nothing is borrowed.
    let _ended = with(place, |contexts| {
        let place = contexts.roots.iter().position(|known| known.id == root);
        place.map(|place| contexts.roots.swap_remove(place))
    });
}

/// Asks a stream. `None`: it is not known.
fn on_stream<F: Filter>(
    place: Place<F>,
    id: u32,
    ask: impl FnOnce(&mut F::Stream, &Worker<F>) -> Action,
) -> Option<Action> {
    with(place, |contexts| {
        let (stream, worker) = contexts.find(id)?;
        Some(ask(stream, worker))
    })?
}

/// What becomes of a stream that is not known: nobody has looked at it.
fn or_unknown<F: Filter>(action: Option<Action>) -> Action {
    action.unwrap_or_else(|| {
        if F::PASSES_UNKNOWN {
            return Action::Continue;
        }
        host::respond(&Response::empty(503));
        Action::Pause
    })
}

/// The module starts. Which ABI it speaks, and memory for what a hostcall returns, are the SDK's.
pub fn on_start() {
    // The SDK's own hook is set together with a context that it would dispatch to, and there is none.
    std::panic::set_hook(Box::new(|panic| {
        host::log(proxy_wasm::types::LogLevel::Critical, &panic.to_string());
    }));
}

#[doc(hidden)]
pub fn on_context_create<F: Filter>(place: Place<F>, id: u32, root: u32) {
    with(place, |contexts| {
        if root != 0 {
            let stream = F::Stream::new(StreamId(id));
            contexts.streams.insert(id, (root, stream));
        } else if contexts.roots.iter().all(|known| known.id != id) {
            contexts.roots.push(KnownRoot {
                id,
                root: Rc::new(RefCell::new(Root::new(id))),
                worker: None,
            });
        }
    });
}

#[doc(hidden)]
pub fn on_configure<F: Filter>(place: Place<F>, id: u32, size: usize) -> bool {
    let Some(Some(worker)) = on_root(place, id, |root| root.on_configure(size)) else {
        return false;
    };
    // From now on the streams of this root are this worker's.
    with(place, |contexts| {
        if let Some(known) = contexts.roots.iter_mut().find(|known| known.id == id) {
            known.worker = Some(worker);
        }
    });
    true
}

#[doc(hidden)]
pub fn on_tick<F: Filter>(place: Place<F>, id: u32) {
    turn(place, id, Root::on_tick);
}

#[doc(hidden)]
pub fn on_queue_ready<F: Filter>(place: Place<F>, id: u32) {
    turn(place, id, Root::on_queue_ready);
}

#[doc(hidden)]
pub fn on_call_done<F: Filter>(place: Place<F>, id: u32, number: u32, headers: usize, size: usize) {
    turn(place, id, |root| root.on_call_done(number, headers, size));
}

#[doc(hidden)]
pub fn on_request_headers<F: Filter>(place: Place<F>, id: u32, ends: bool) -> Action {
    or_unknown::<F>(on_stream(place, id, |stream, worker| {
        stream.headers(worker, ends)
    }))
}

#[doc(hidden)]
pub fn on_request_body<F: Filter>(place: Place<F>, id: u32, size: usize, ends: bool) -> Action {
    or_unknown::<F>(on_stream(place, id, |stream, worker| {
        stream.body(worker, size, ends)
    }))
}

#[doc(hidden)]
pub fn on_request_trailers<F: Filter>(place: Place<F>, id: u32) -> Action {
    or_unknown::<F>(on_stream(place, id, F::Stream::trailers))
}

#[doc(hidden)]
pub fn on_response_headers<F: Filter>(place: Place<F>, id: u32, ends: bool) -> Action {
    // Of a stream that is not known it is an answer of ours, or of Envoy's.
    on_stream(place, id, |stream, worker| {
        stream.answer_headers(worker, ends)
    })
    .unwrap_or(Action::Continue)
}

#[doc(hidden)]
pub fn on_response_body<F: Filter>(place: Place<F>, id: u32, size: usize, ends: bool) -> Action {
    on_stream(place, id, |stream, worker| {
        stream.answer_body(worker, size, ends)
    })
    .unwrap_or(Action::Continue)
}

#[doc(hidden)]
pub fn on_done<F: Filter>(place: Place<F>, id: u32) -> bool {
    let is_stream = with(place, |contexts| {
        let Some((root, stream)) = contexts.streams.remove(&id) else {
            return false;
        };
        let known = contexts.roots.iter().find(|known| known.id == root);
        if let Some(worker) = known.and_then(|known| known.worker.as_deref()) {
            stream.done(worker);
        }
        true
    });
    if is_stream == Some(true) {
        return true;
    }
    let others: Vec<_> = with(place, |contexts| {
        let others = contexts.roots.iter().filter(|known| known.id != id);
        others.map(|known| known.root.clone()).collect()
    })
    .unwrap_or_default();
    let draining =
        |root: &Rc<RefCell<Root<F>>>| root.try_borrow().is_ok_and(|root| root.is_draining());
    let vm_stays = !others.iter().all(draining);
    let done = on_root(place, id, |root| root.on_done(vm_stays)).unwrap_or(true);
    if !vm_stays {
        for root in others {
            if let Ok(mut root) = root.try_borrow_mut() {
                root.on_done(false);
            }
        }
    }
    if done {
        end(place, id);
    }
    done
}
