//! The compiled side of a VM: module, identity and settings, shared by the VMs of all threads.
//!
//! A module is compiled once in a process, however many hosts and threads run it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use wasmtime::{Engine, Module};

use crate::config::{VmConfig, WasmFilter};
use crate::lane::VmAddress;
use crate::metrics::Metrics;
use crate::shared::{Shared, Tenancy};

/// What two VMs on one thread cannot both be: same settings, same code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct VmIdentity {
    pub(crate) config: VmConfig,
    code: CodeId,
}

/// What two root contexts in one VM cannot both be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PluginKey {
    name: String,
    root_id: String,
    configuration: Vec<u8>,
}

impl PluginKey {
    pub(crate) fn of(plugin: &WasmFilter) -> Self {
        Self {
            name: plugin.name.clone(),
            root_id: plugin.root_id.clone(),
            configuration: plugin.configuration.clone(),
        }
    }
}

/// A module under an identity, from which the VMs of all threads are made.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) identity: Arc<VmIdentity>,
    pub(crate) module: Module,
    pub(crate) counters: VmCounters,
    /// Plugins that were tried in a canary VM, and whether they were configured.
    pub(crate) tried: Mutex<HashMap<PluginKey, bool>>,
    _tenancy: Tenancy<VmAddress>,
}

impl Base {
    /// Loads the module and gives it an identity; if one of `known` has that identity, it is taken.
    ///
    /// # Errors
    /// What is wrong with the file or the module, in words.
    pub(crate) fn load(
        config: &VmConfig,
        known: &[Arc<Self>],
        shared: &Arc<Shared<VmAddress>>,
        metrics: &Metrics,
    ) -> Result<Arc<Self>, String> {
        let (code, module) = compile(&config.code)?;
        let identity = VmIdentity {
            config: config.clone(),
            code,
        };
        if let Some(base) = known.iter().find(|base| *base.identity == identity) {
            return Ok(Arc::clone(base));
        }
        Ok(Arc::new(Self {
            identity: Arc::new(identity),
            module,
            counters: VmCounters::new(metrics, &config.runtime),
            tried: Mutex::default(),
            _tenancy: Tenancy::new(shared, &config.vm_id),
        }))
    }
}

/// How many VMs there are and were. The base counts as one, as in Envoy.
#[derive(Debug)]
pub(crate) struct VmCounters {
    active: crate::metrics::Number,
    created: crate::metrics::Number,
}

impl VmCounters {
    fn new(metrics: &Metrics, runtime: &str) -> Self {
        let counters = Self {
            active: metrics.number(&format!("wasm.{runtime}.active")),
            created: metrics.number(&format!("wasm.{runtime}.created")),
        };
        counters.up();
        counters
    }

    pub(crate) fn up(&self) {
        use std::sync::atomic::Ordering::Relaxed;
        self.active.fetch_add(1, Relaxed);
        self.created.fetch_add(1, Relaxed);
    }

    pub(crate) fn down(&self) {
        self.active
            .fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Drop for VmCounters {
    fn drop(&mut self) {
        self.down();
    }
}

/// A module by its content.
type CodeId = usize;

struct Compiled {
    bytes: Vec<u8>,
    module: Module,
}

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);
static COMPILED: Mutex<Vec<Compiled>> = Mutex::new(Vec::new());

pub(crate) fn engine() -> &'static Engine {
    &ENGINE
}

fn compile(file: &Path) -> Result<(CodeId, Module), String> {
    let say = |what: &dyn std::fmt::Display| format!("{}: {what}", file.display());
    let bytes = std::fs::read(file).map_err(|error| say(&error))?;
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(id) = compiled.iter().position(|known| known.bytes == bytes) {
        return Ok((id, compiled[id].module.clone()));
    }
    let module = Module::new(engine(), &bytes).map_err(|error| say(&format!("{error:#}")))?;
    if module.get_export("proxy_abi_version_0_2_1").is_none() {
        return Err(say(&"no module of the proxy-wasm ABI 0.2.1"));
    }
    let id = compiled.len();
    compiled.push(Compiled {
        bytes,
        module: module.clone(),
    });
    Ok((id, module))
}
