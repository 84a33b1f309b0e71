//! The contexts of a VM: what a number in the ABI stands for on the host's side.
//!
//! Context 0 is the VM itself. A root context is one plugin configuration; a stream context is one request in one
//! filter. Numbers are given out per VM and never twice while the VM lives.

use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use tokio::task::AbortHandle;

use crate::abi::Status;
use crate::config::WasmFilter;
use crate::http::headers::Headers;
use crate::http::stream::Stream;

/// One context.
pub(crate) enum Context {
    Root(Root),
    Stream(StreamContext),
}

impl Context {
    pub(crate) fn plugin(&self) -> &Arc<WasmFilter> {
        match self {
            Self::Root(root) => &root.plugin,
            Self::Stream(stream) => &stream.plugin,
        }
    }
}

/// The answer to a callout, as the module reads it while its callback runs.
#[derive(Debug, Default)]
pub(crate) struct CallResponse {
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<Headers>,
}

/// One plugin configuration in one VM.
pub(crate) struct Root {
    pub(crate) plugin: Arc<WasmFilter>,
    /// Whether the plugin's configuration can be read: only while it is being configured.
    pub(crate) configuring: bool,
    /// Whether it has been configured.
    pub(crate) configured: bool,
    /// Whether `on_done` said "not yet", so that `proxy_done` is awaited.
    pub(crate) pending_done: bool,
    pub(crate) tick: Option<AbortHandle>,
    /// The callouts in flight. They end with the root, and only with it.
    pub(crate) calls: HashMap<u32, AbortHandle>,
    pub(crate) response: Option<Rc<CallResponse>>,
    /// What `proxy_get_status` says: the code stays after a failed callout, the message does not.
    pub(crate) status: (u32, &'static str),
}

impl Root {
    pub(crate) fn new(plugin: Arc<WasmFilter>) -> Self {
        Self {
            plugin,
            configuring: false,
            configured: false,
            pending_done: false,
            tick: None,
            calls: HashMap::new(),
            response: None,
            status: (Status::Ok as u32, ""),
        }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if let Some(tick) = &self.tick {
            tick.abort();
        }
        for call in self.calls.values() {
            call.abort();
        }
    }
}

/// One request in one filter.
pub(crate) struct StreamContext {
    pub(crate) root: u32,
    pub(crate) plugin: Arc<WasmFilter>,
    pub(crate) stream: Weak<Stream>,
    /// Which of the stream's filters this is.
    pub(crate) filter: usize,
}
