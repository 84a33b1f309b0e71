//! One VM: an instance of the module on one thread, and the way in.
//!
//! Every entry into the module goes through [`Vm::call`]. While the module runs, its host calls only note what is to
//! happen to streams and roots; [`Vm::settle`] lets it happen once the callback has returned, so no host call ever
//! re-enters the module's callbacks. A trap ends this VM and nothing else: it is marked failed and never entered
//! again.
//!
//! Bounds: linear memory stops at 1 GiB, as in Envoy. There is no bound on running time, as in Envoy: an endless
//! loop holds its thread.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use wasmtime::{
    Instance, Linker, Store, StoreLimits, StoreLimitsBuilder, TypedFunc, WasmParams, WasmResults,
};

use crate::abi::Guest;
use crate::base::{Base, engine};
use crate::config::WasmFilter;
use crate::context::{Context, Root, StreamContext};
use crate::faults::Oddity;
use crate::http::local_reply::LocalReply;
use crate::http::stream::{Stream, Way};
use crate::imports;
use crate::lane::Lane;
use crate::log::Level;
use crate::metrics::{Histogram, Number};

/// The most linear memory of one VM.
const MAX_MEMORY_BYTES: usize = 1 << 30;

/// The module's callbacks. One that is not exported is not called.
macro_rules! callbacks {
    ($($name:ident: $params:ty => $results:ty,)*) => {
        #[derive(Clone)]
        pub(crate) struct Callbacks {
            $(pub(crate) $name: Option<TypedFunc<$params, $results>>,)*
        }

        impl Callbacks {
            fn find(instance: &Instance, store: &mut Store<VmState>) -> Result<Self, String> {
                Ok(Self {
                    $($name: find(instance, store, concat!("proxy_", stringify!($name)))?,)*
                })
            }
        }
    };
}

callbacks! {
    on_context_create: (u32, u32) => (),
    on_vm_start: (u32, u32) => u32,
    on_configure: (u32, u32) => u32,
    on_tick: u32 => (),
    on_queue_ready: (u32, u32) => (),
    on_http_call_response: (u32, u32, u32, u32, u32) => (),
    on_request_headers: (u32, u32, u32) => u32,
    on_request_body: (u32, u32, u32) => u32,
    on_request_trailers: (u32, u32) => u32,
    on_response_headers: (u32, u32, u32) => u32,
    on_response_body: (u32, u32, u32) => u32,
    on_response_trailers: (u32, u32) => u32,
    on_done: u32 => u32,
    on_log: u32 => (),
    on_delete: u32 => (),
}

fn find<P: WasmParams, R: WasmResults>(
    instance: &Instance,
    store: &mut Store<VmState>,
    name: &str,
) -> Result<Option<TypedFunc<P, R>>, String> {
    let Some(function) = instance.get_func(&mut *store, name) else {
        return Ok(None);
    };
    let function = function
        .typed(&*store)
        .map_err(|error| format!("{name} has another signature: {error:#}"))?;
    Ok(Some(function))
}

/// What happened to a call into the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Called<R> {
    /// The callback is not exported.
    Absent,
    /// The VM had failed before, or failed now.
    Failed,
    /// It returned; `replied` says that it answered a stream, which outweighs what it returned.
    Returned { value: R, replied: bool },
}

impl<R> Called<R> {
    /// The value, or what counts when there is none.
    pub(crate) fn value_or(self, absent: R) -> Result<R, Failed> {
        match self {
            Self::Absent => Ok(absent),
            Self::Failed => Err(Failed),
            Self::Returned { value, .. } => Ok(value),
        }
    }
}

/// The VM has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed;

/// What a host call asked for, to happen when the callback has returned.
pub(crate) enum Deferred {
    Continue(Weak<Stream>, usize, Way),
    Reset(Weak<Stream>),
    Reply(Weak<Stream>, LocalReply),
    EndRoot(u32),
}

/// A metric the module defined.
pub(crate) enum Metric {
    Counter(Number),
    Gauge(Number),
    Histogram(Histogram),
}

/// The host's side of one VM, as host calls see it.
pub(crate) struct VmState {
    pub(crate) lane: Rc<Lane>,
    pub(crate) base: Arc<Base>,
    pub(crate) vm: Weak<Vm>,
    pub(crate) guest: Option<Guest>,
    pub(crate) contexts: HashMap<u32, Context>,
    /// The context whose callback runs; 0 outside of callbacks.
    pub(crate) current: u32,
    /// The context that host calls act on instead, if the module chose one; 0 if not.
    pub(crate) effective: u32,
    /// Whether host calls other than logging, clock and the like are refused: during start-up and allocation.
    pub(crate) restricted: bool,
    /// Whether the callback that runs has answered a stream.
    pub(crate) replied: bool,
    pub(crate) deferred: Vec<Deferred>,
    pub(crate) metrics: HashMap<u32, Metric>,
    pub(crate) next_metric: u32,
    pub(crate) next_call: u32,
    next_context: u32,
    limits: StoreLimits,
}

impl VmState {
    fn new_context(&mut self, context: Context) -> u32 {
        let id = self.next_context;
        self.next_context += 1;
        self.contexts.insert(id, context);
        id
    }

    /// The context that host calls act on.
    pub(crate) fn acting(&self) -> u32 {
        if self.effective != 0 && self.contexts.contains_key(&self.effective) {
            self.effective
        } else {
            self.current
        }
    }

    /// The root of the context that host calls act on.
    pub(crate) fn acting_root(&self) -> u32 {
        let acting = self.acting();
        match self.contexts.get(&acting) {
            Some(Context::Stream(stream)) => stream.root,
            _ => acting,
        }
    }

    pub(crate) fn root(&mut self, id: u32) -> Option<&mut Root> {
        match self.contexts.get_mut(&id) {
            Some(Context::Root(root)) => Some(root),
            _ => None,
        }
    }
}

/// One VM.
pub(crate) struct Vm {
    pub(crate) base: Arc<Base>,
    pub(crate) callbacks: Callbacks,
    lane: Rc<Lane>,
    store: RefCell<Store<VmState>>,
    failed: Cell<bool>,
}

impl Vm {
    /// Makes an instance of the module and runs its `_initialize`.
    ///
    /// # Errors
    /// Why that is impossible, in words.
    pub(crate) fn create(lane: &Rc<Lane>, base: &Arc<Base>) -> Result<Rc<Self>, String> {
        let state = VmState {
            lane: Rc::clone(lane),
            base: Arc::clone(base),
            vm: Weak::new(),
            guest: None,
            contexts: HashMap::new(),
            current: 0,
            effective: 0,
            restricted: true,
            replied: false,
            deferred: Vec::new(),
            metrics: HashMap::new(),
            next_metric: 0,
            next_call: 0,
            next_context: 1,
            limits: StoreLimitsBuilder::new()
                .memory_size(MAX_MEMORY_BYTES)
                .build(),
        };
        let mut store = Store::new(engine(), state);
        store.limiter(|state| &mut state.limits);
        let mut linker = Linker::new(engine());
        imports::register(&mut linker).map_err(|error| format!("{error:#}"))?;
        if let Some(faults) = &lane.faults {
            let wrapped = faults.wrap(&mut linker, &mut store, &base.module);
            wrapped.map_err(|error| format!("{error:#}"))?;
        }
        let instance = linker
            .instantiate(&mut store, &base.module)
            .map_err(|error| format!("{error:#}"))?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or("the module exports no memory")?;
        let allocate = match find(&instance, &mut store, "malloc")? {
            Some(malloc) => malloc,
            None => find(&instance, &mut store, "proxy_on_memory_allocate")?
                .ok_or("the module exports neither malloc nor proxy_on_memory_allocate")?,
        };
        store.data_mut().guest = Some(Guest { memory, allocate });
        if let Some(initialize) = find::<(), ()>(&instance, &mut store, "_initialize")? {
            initialize
                .call(&mut store, ())
                .map_err(|error| format!("_initialize failed: {error:#}"))?;
        } else if let Some(start) = find::<(), ()>(&instance, &mut store, "_start")? {
            start
                .call(&mut store, ())
                .map_err(|error| format!("_start failed: {error:#}"))?;
        }
        store.data_mut().restricted = false;
        let callbacks = Callbacks::find(&instance, &mut store)?;
        base.counters.up();
        let vm = Rc::new(Self {
            base: Arc::clone(base),
            callbacks,
            lane: Rc::clone(lane),
            store: RefCell::new(store),
            failed: Cell::new(false),
        });
        vm.with_state(|state| state.vm = Rc::downgrade(&vm));
        Ok(vm)
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.get()
    }

    /// Marks the VM as crashed: it is never entered again, and the next user of its identity gets a fresh one.
    pub(crate) fn fail(&self, why: &str) {
        if self.failed.replace(true) {
            return;
        }
        self.lane.log.say(Level::Error, why);
        self.lane.forget_vm(&self.base.identity);
    }

    pub(crate) fn with_state<R>(&self, use_state: impl FnOnce(&mut VmState) -> R) -> R {
        use_state(self.store.borrow_mut().data_mut())
    }

    /// Enters the module. What its host calls asked for waits for [`settle`](Self::settle).
    pub(crate) fn call<P: WasmParams, R: WasmResults>(
        &self,
        name: &str,
        function: &Option<TypedFunc<P, R>>,
        context: u32,
        params: P,
    ) -> Called<R> {
        if self.failed.get() {
            return Called::Failed;
        }
        let Some(function) = function else {
            return Called::Absent;
        };
        let mut store = self.store.borrow_mut();
        let state = store.data_mut();
        state.current = context;
        state.effective = 0;
        state.replied = false;
        let result = function.call(&mut *store, params);
        let state = store.data_mut();
        state.current = 0;
        state.effective = 0;
        let replied = std::mem::take(&mut state.replied);
        drop(store);
        match result {
            Ok(value) => Called::Returned { value, replied },
            Err(error) => {
                self.fail(&format!("Function: {name} failed: {error:#}"));
                Called::Failed
            }
        }
    }

    /// Lets happen what the host calls asked for, in their order.
    pub(crate) fn settle(&self) {
        // Taken as a whole: what comes of the first may enter the module again, and settles its own.
        let deferred = self.with_state(|state| std::mem::take(&mut state.deferred));
        for action in deferred {
            match action {
                Deferred::Continue(stream, filter, way) => {
                    if let Some(stream) = stream.upgrade() {
                        stream.resume_filter(filter, way);
                    }
                }
                Deferred::Reset(stream) => {
                    if let Some(stream) = stream.upgrade() {
                        stream.reset("wasm_close_stream");
                    }
                }
                Deferred::Reply(stream, reply) => {
                    if let Some(stream) = stream.upgrade() {
                        stream.send_local_reply(reply);
                    }
                }
                Deferred::EndRoot(root) => self.delete_root(root),
            }
        }
    }

    /// Makes a root context and starts it: `on_context_create`, then `on_vm_start`.
    pub(crate) fn start(&self, plugin: &Arc<WasmFilter>) -> Option<u32> {
        let root = self
            .with_state(|state| state.new_context(Context::Root(Root::new(Arc::clone(plugin)))));
        let created = self.call(
            "proxy_on_context_create",
            &self.callbacks.on_context_create,
            root,
            (root, 0),
        );
        let size = self.base.identity.config.configuration.len();
        let started = match created {
            Called::Failed => Called::Failed,
            _ => self.call(
                "proxy_on_vm_start",
                &self.callbacks.on_vm_start,
                root,
                (root, abi_size(size)),
            ),
        };
        self.settle();
        matches!(started.value_or(1), Ok(value) if value != 0).then_some(root)
    }

    /// Configures a root context.
    pub(crate) fn configure(&self, root: u32) -> bool {
        if self.is_odd(Oddity::TooEarly) {
            self.make_every_callback(root);
        }
        let Some(size) = self.with_state(|state| {
            let root = state.root(root)?;
            root.configuring = true;
            Some(root.plugin.configuration.len())
        }) else {
            return false;
        };
        let called = self.call(
            "proxy_on_configure",
            &self.callbacks.on_configure,
            root,
            (root, abi_size(size)),
        );
        self.with_state(|state| {
            if let Some(root) = state.root(root) {
                root.configuring = false;
                root.configured = true;
            }
        });
        self.settle();
        matches!(called.value_or(1), Ok(value) if value != 0)
    }

    /// Makes a stream context on the host's side only; the module hears of it by `on_context_create`.
    pub(crate) fn new_stream_context(&self, context: StreamContext) -> u32 {
        self.with_state(|state| state.new_context(Context::Stream(context)))
    }

    pub(crate) fn remove_context(&self, id: u32) {
        let removed = self.with_state(|state| state.contexts.remove(&id));
        drop(removed); // outside of the store's borrow: a root ends its timers and callouts here
    }

    /// Asks the root whether it is done; keeps it, and the VM, while it is not.
    pub(crate) fn shut_down_root(self: &Rc<Self>, root: u32) {
        let odd = self.is_odd(Oddity::TooLate);
        if odd {
            self.call("proxy_on_done", &self.callbacks.on_done, root, root);
        }
        let done = self.call("proxy_on_done", &self.callbacks.on_done, root, root);
        let failed = done == Called::Failed;
        let done = failed || matches!(done.value_or(1), Ok(value) if value != 0);
        if done {
            self.settle();
            if odd {
                self.make_every_callback(root);
            }
            self.delete_root(root);
        } else {
            self.with_state(|state| {
                if let Some(root) = state.root(root) {
                    root.pending_done = true;
                }
            });
            self.lane.keep_draining(self);
            self.settle();
        }
    }

    fn delete_root(&self, root: u32) {
        if self.with_state(|state| !state.contexts.contains_key(&root)) {
            return;
        }
        self.call("proxy_on_delete", &self.callbacks.on_delete, root, root);
        self.settle();
        self.remove_context(root);
        self.lane.drop_drained();
    }

    /// Whether a root waits for `proxy_done`.
    pub(crate) fn is_draining(&self) -> bool {
        !self.failed.get()
            && self.with_state(|state| {
                state
                    .contexts
                    .values()
                    .any(|context| matches!(context, Context::Root(root) if root.pending_done))
            })
    }

    pub(crate) fn on_tick(&self, root: u32) {
        self.call("proxy_on_tick", &self.callbacks.on_tick, root, root);
        self.settle();
        if self.is_odd(Oddity::IdleQueue) {
            for queue in [1, u32::MAX] {
                self.on_queue_ready(root, queue);
            }
        }
    }

    /// Whether to do what no good host does.
    pub(crate) fn is_odd(&self, oddity: Oddity) -> bool {
        let faults = self.lane.faults.as_ref();
        faults.is_some_and(|faults| faults.is(oddity))
    }

    /// Every callback there is for a root and for a stream of it, whatever the module expects.
    fn make_every_callback(&self, root: u32) {
        const STREAM: u32 = u32::MAX;
        let all = &self.callbacks;
        self.call("proxy_on_tick", &all.on_tick, root, root);
        self.call("proxy_on_queue_ready", &all.on_queue_ready, root, (root, 1));
        self.call(
            "proxy_on_http_call_response",
            &all.on_http_call_response,
            root,
            (root, 1, 1, 1, 0),
        );
        self.call(
            "proxy_on_context_create",
            &all.on_context_create,
            STREAM,
            (STREAM, root),
        );
        self.call(
            "proxy_on_request_headers",
            &all.on_request_headers,
            STREAM,
            (STREAM, 1, 0),
        );
        self.call(
            "proxy_on_request_body",
            &all.on_request_body,
            STREAM,
            (STREAM, 1, 1),
        );
        self.call(
            "proxy_on_request_trailers",
            &all.on_request_trailers,
            STREAM,
            (STREAM, 1),
        );
        for context in [STREAM, STREAM] {
            self.call("proxy_on_done", &all.on_done, context, context);
        }
        self.settle();
    }

    /// Wakes a root for one enqueue. A root that is gone is skipped without a word.
    pub(crate) fn on_queue_ready(&self, root: u32, queue: u32) {
        if self.with_state(|state| state.contexts.contains_key(&root)) {
            self.call(
                "proxy_on_queue_ready",
                &self.callbacks.on_queue_ready,
                root,
                (root, queue),
            );
            self.settle();
        }
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.base.counters.down();
    }
}

/// A size as the ABI carries it.
pub(crate) fn abi_size(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
