//! A wasm filter on one stream: which callbacks run, and what their answers and failures mean.
//!
//! When the VM has failed, before or during a callback, the stream gets one 503 without a body; later callbacks are
//! not made. Streams that are parked meanwhile are not told: nothing calls them until their own next event.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::local_reply::LocalReply;
use super::stream::{Stream, Way};
use super::travel::{BodyView, OnData, OnHeaders, OnTrailers, Step};
use crate::config::WasmFilter;
use crate::context::StreamContext;
use crate::plugin::PluginHandle;
use crate::vm::{Called, Vm, abi_size};

/// One filter on one stream.
pub(crate) struct Filter {
    plugin: Arc<WasmFilter>,
    /// None when no VM could be had: every callback then fails.
    handle: RefCell<Option<Rc<PluginHandle>>>,
    context: Cell<u32>,
    /// Whether the module knows the context.
    created: Cell<bool>,
    destroyed: Cell<bool>,
    /// Whether the stream was failed on behalf of this filter.
    failed: Cell<bool>,
}

/// A callback's answer, or that there is none because the VM has failed.
type Said = Result<u32, ()>;

impl Filter {
    pub(crate) fn new(plugin: Arc<WasmFilter>, handle: Option<Rc<PluginHandle>>) -> Self {
        Self {
            plugin,
            handle: RefCell::new(handle),
            context: Cell::new(0),
            created: Cell::new(false),
            destroyed: Cell::new(false),
            failed: Cell::new(false),
        }
    }

    /// Gives the filter its context in the VM.
    pub(crate) fn attach(&self, stream: &Rc<Stream>, index: usize) {
        if let Some(handle) = &*self.handle.borrow() {
            let id = handle.vm.new_stream_context(StreamContext {
                root: handle.root,
                plugin: Arc::clone(&self.plugin),
                stream: Rc::downgrade(stream),
                filter: index,
            });
            self.context.set(id);
        }
    }

    fn vm(&self) -> Option<Rc<Vm>> {
        let handle = self.handle.borrow();
        handle.as_ref().map(|handle| Rc::clone(&handle.vm))
    }

    /// Tells the module of the context, once.
    fn create(&self) {
        if self.created.replace(true) {
            return;
        }
        let Some((vm, root)) = self
            .handle
            .borrow()
            .as_ref()
            .map(|handle| (Rc::clone(&handle.vm), handle.root))
        else {
            return;
        };
        let id = self.context.get();
        let function = &vm.callbacks.on_context_create;
        vm.call("proxy_on_context_create", function, id, (id, root));
        vm.settle();
    }

    /// Whether callbacks for the response are made at all.
    fn is_out_of_the_way(&self, way: Way) -> bool {
        way == Way::Encode && (!self.created.get() || self.failed.get())
    }

    /// Makes a callback. The answer counts before what it asked for happens, and a failure before both.
    fn ask(
        &self,
        stream: &Rc<Stream>,
        call: impl FnOnce(&Vm, u32) -> Called<u32>,
        replied_means: u32,
    ) -> Said {
        let Some(vm) = self.vm() else {
            return self.fail(stream);
        };
        let said = match call(&vm, self.context.get()) {
            Called::Failed => self.fail(stream),
            Called::Absent => Ok(0),
            Called::Returned { replied: true, .. } => Ok(replied_means),
            Called::Returned { value, .. } => Ok(value),
        };
        vm.settle();
        said
    }

    fn fail(&self, stream: &Rc<Stream>) -> Said {
        if self.plugin.legacy_fail_open {
            return Ok(0);
        }
        if !self.failed.replace(true) {
            stream.send_local_reply(LocalReply::new(503, "", "wasm_fail_stream"));
        }
        Err(())
    }

    pub(crate) fn on_headers(
        &self,
        stream: &Rc<Stream>,
        way: Way,
        step: &Step,
        end: bool,
    ) -> OnHeaders {
        if way == Way::Decode {
            self.create();
        }
        if self.is_out_of_the_way(way) {
            return OnHeaders::Continue;
        }
        step.sees_headers.set(true);
        let travel = stream.travel(way);
        let count = travel.headers.borrow().as_ref().map_or(0, |h| h.len());
        let call = |vm: &Vm, id| {
            let params = (id, abi_size(count), u32::from(end));
            let functions = &vm.callbacks;
            match way {
                Way::Decode => vm.call(
                    "proxy_on_request_headers",
                    &functions.on_request_headers,
                    id,
                    params,
                ),
                Way::Encode => vm.call(
                    "proxy_on_response_headers",
                    &functions.on_response_headers,
                    id,
                    params,
                ),
            }
        };
        const STOP_ALL: u32 = 4;
        match self.ask(stream, call, STOP_ALL) {
            Ok(0) => {
                step.sees_headers.set(false);
                OnHeaders::Continue
            }
            Ok(1) if self.plugin.allow_on_headers_stop_iteration => OnHeaders::StopIteration,
            _ => OnHeaders::StopAll,
        }
    }

    pub(crate) fn on_data(
        &self,
        stream: &Rc<Stream>,
        way: Way,
        step: &Step,
        data: Vec<u8>,
        end: bool,
    ) -> OnData {
        let travel = stream.travel(way);
        if self.is_out_of_the_way(way) || !self.created.get() {
            *travel.piece.borrow_mut() = data;
            return OnData::Continue;
        }
        let size = if step.sees_body.get() == BodyView::Held {
            stream.hold_within_limit(way, data);
            if stream.has_ended() || travel.aborted.get() {
                return OnData::StopAndBuffer; // it was too much
            }
            travel.held_bytes()
        } else {
            let size = data.len();
            *travel.piece.borrow_mut() = data;
            step.sees_body.set(BodyView::Piece);
            size
        };
        let call = |vm: &Vm, id| {
            let params = (id, abi_size(size), u32::from(end));
            let functions = &vm.callbacks;
            match way {
                Way::Decode => vm.call(
                    "proxy_on_request_body",
                    &functions.on_request_body,
                    id,
                    params,
                ),
                Way::Encode => vm.call(
                    "proxy_on_response_body",
                    &functions.on_response_body,
                    id,
                    params,
                ),
            }
        };
        const STOP_AND_DROP: u32 = 3;
        match self.ask(stream, call, STOP_AND_DROP) {
            Ok(0) => {
                step.sees_body.set(BodyView::Nothing);
                OnData::Continue
            }
            Ok(1) => {
                step.sees_body.set(BodyView::Held);
                OnData::StopAndBuffer
            }
            Ok(2) => {
                step.sees_body.set(BodyView::Nothing);
                OnData::StopAndBuffer
            }
            _ => {
                step.sees_body.set(BodyView::Nothing);
                OnData::StopAndDrop
            }
        }
    }

    pub(crate) fn on_trailers(&self, stream: &Rc<Stream>, way: Way, step: &Step) -> OnTrailers {
        if self.is_out_of_the_way(way) || !self.created.get() {
            return OnTrailers::Continue;
        }
        step.sees_trailers.set(true);
        let travel = stream.travel(way);
        let count = travel.trailers.borrow().as_ref().map_or(0, |t| t.len());
        let call = |vm: &Vm, id| {
            let params = (id, abi_size(count));
            let functions = &vm.callbacks;
            match way {
                Way::Decode => vm.call(
                    "proxy_on_request_trailers",
                    &functions.on_request_trailers,
                    id,
                    params,
                ),
                Way::Encode => vm.call(
                    "proxy_on_response_trailers",
                    &functions.on_response_trailers,
                    id,
                    params,
                ),
            }
        };
        match self.ask(stream, call, 1) {
            Ok(0) => {
                step.sees_trailers.set(false);
                OnTrailers::Continue
            }
            _ => OnTrailers::Stop,
        }
    }

    /// The stream has ended. A filter that never saw the request hears of it now.
    pub(crate) fn on_log(&self) {
        self.create();
        if let Some(vm) = self.vm() {
            let id = self.context.get();
            vm.call("proxy_on_log", &vm.callbacks.on_log, id, id);
            vm.settle();
        }
    }

    /// The last callbacks; afterwards the context is gone, and with the last stream perhaps the root.
    pub(crate) fn on_destroy(&self) {
        if self.destroyed.replace(true) {
            return;
        }
        let Some(handle) = self.handle.borrow_mut().take() else {
            return;
        };
        let vm = &handle.vm;
        let id = self.context.get();
        vm.call("proxy_on_done", &vm.callbacks.on_done, id, id);
        vm.settle();
        vm.call("proxy_on_delete", &vm.callbacks.on_delete, id, id);
        vm.settle();
        vm.remove_context(id);
    }
}
