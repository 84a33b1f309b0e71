//! A plugin on one thread: its root context in its VM, and what happens when that VM has crashed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::Base;
use crate::config::{FailurePolicy, WasmFilter};
use crate::lane::Lane;
use crate::vm::Vm;

/// A root context in a VM. With the last handle the root is asked whether it is done.
pub(crate) struct PluginHandle {
    pub(crate) vm: Rc<Vm>,
    pub(crate) root: u32,
}

impl Drop for PluginHandle {
    fn drop(&mut self) {
        self.vm.shut_down_root(self.root);
    }
}

/// What a new stream gets from a plugin.
pub(crate) enum Admission {
    /// The filter runs; without a handle it answers 503.
    Filter(Option<Rc<PluginHandle>>),
    /// The filter is skipped.
    Skip,
}

/// The place of one wasm filter on one thread.
pub(crate) struct PluginSlot {
    pub(crate) plugin: Arc<WasmFilter>,
    base: Arc<Base>,
    handle: RefCell<Option<Rc<PluginHandle>>>,
    loaded: Cell<Instant>,
}

impl PluginSlot {
    /// Starts the plugin on this thread, or finds it running.
    pub(crate) fn new(lane: &Rc<Lane>, plugin: &Arc<WasmFilter>, base: &Arc<Base>) -> Self {
        Self {
            plugin: Arc::clone(plugin),
            base: Arc::clone(base),
            handle: RefCell::new(lane.plugin_handle(base, plugin)),
            loaded: Cell::new(Instant::now()),
        }
    }

    /// What a new stream gets. After a crash this is where a fresh VM is made, if policy and back-off allow.
    pub(crate) fn admit(&self, lane: &Rc<Lane>) -> Admission {
        if let Some(handle) = self.working_handle() {
            return Admission::Filter(Some(handle));
        }
        match self.plugin.failure_policy {
            FailurePolicy::Closed => Admission::Filter(None),
            FailurePolicy::Open => Admission::Skip,
            FailurePolicy::Reload => {
                self.reload(lane);
                Admission::Filter(self.working_handle())
            }
        }
    }

    fn working_handle(&self) -> Option<Rc<PluginHandle>> {
        let handle = self.handle.borrow();
        handle
            .as_ref()
            .filter(|handle| !handle.vm.has_failed())
            .cloned()
    }

    fn reload(&self, lane: &Rc<Lane>) {
        let count = |what: &str| {
            let name = &self.plugin.name;
            lane.metrics
                .increment(&format!("wasm.{name}.vm_reload_{what}"));
        };
        if self.loaded.get().elapsed() < jittered(self.plugin.reload_interval) {
            return count("backoff");
        }
        let fresh = lane.plugin_handle(&self.base, &self.plugin);
        count(if fresh.is_some() {
            "success"
        } else {
            "failure"
        });
        let crashed = self.handle.replace(fresh);
        drop(crashed);
        self.loaded.set(Instant::now());
    }
}

/// The interval, up to half as long again: several workers that crashed together do not come back together.
fn jittered(interval: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness there is no jitter, and no harm.
    let _ = getrandom::fill(&mut byte);
    interval + interval / 2 * u32::from(byte[0]) / 256
}
