//! A wasm filter: which module, in which VM, with which configuration, and what happens when it fails.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{Fields, Node, Problem, Surroundings};

/// What happens to requests once the VM of their worker has crashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailurePolicy {
    /// Each later request of that worker gets a 503.
    Closed,
    /// The next request builds a fresh VM, at most once per back-off interval; in between, 503.
    Reload,
    /// Later requests go past the filter.
    Open,
}

/// One wasm HTTP filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WasmFilter {
    /// `config.name`; appears in log lines and reload counters.
    pub name: String,
    /// `config.root_id`.
    pub root_id: String,
    /// The bytes handed to `on_configure`.
    pub configuration: Vec<u8>,
    /// The VM it lives in.
    pub vm: VmConfig,
    /// What happens after a crash.
    pub failure_policy: FailurePolicy,
    /// The legacy `fail_open`: also the crashing request goes past the filter.
    pub legacy_fail_open: bool,
    /// The least time between two VMs of one worker under [`FailurePolicy::Reload`].
    pub reload_interval: Duration,
    /// Whether `Pause` from the headers callback still delivers the body.
    pub allow_on_headers_stop_iteration: bool,
}

/// What makes two filters share a VM: all of it equal.
#[derive(Clone, PartialEq, Eq)]
pub struct VmConfig {
    /// `vm_id`: the name under which VMs share data and queues.
    pub vm_id: String,
    /// `runtime`, kept for the names of the VM counters.
    pub runtime: String,
    /// The file of the module.
    pub code: PathBuf,
    /// The bytes handed to `on_vm_start`.
    pub configuration: Vec<u8>,
    /// What the module sees as its environment. Values may be secrets: never shown.
    pub environment: BTreeMap<String, String>,
}

impl fmt::Debug for VmConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VmConfig")
            .field("vm_id", &self.vm_id)
            .field("runtime", &self.runtime)
            .field("code", &self.code)
            .field("environment", &self.environment.keys())
            .finish_non_exhaustive()
    }
}

/// Reads the `typed_config` of a wasm filter.
pub(super) fn read(outer: &Fields<'_>, surroundings: &Surroundings) -> Result<WasmFilter, Problem> {
    let config = outer.require("config")?.fields()?;
    let failure_policy = match config.get("failure_policy") {
        None => FailurePolicy::Closed,
        Some(node) => match node.text()?.as_str() {
            "UNSPECIFIED" | "FAIL_CLOSED" => FailurePolicy::Closed,
            "FAIL_RELOAD" => FailurePolicy::Reload,
            "FAIL_OPEN" => FailurePolicy::Open,
            _ => return Err(node.problem("expected FAIL_CLOSED, FAIL_RELOAD or FAIL_OPEN")),
        },
    };
    let filter = WasmFilter {
        name: config.text_or("name", "")?,
        root_id: config.text_or("root_id", "")?,
        configuration: config
            .get("configuration")
            .map_or(Ok(Vec::new()), |node| any_to_bytes(&node))?,
        vm: read_vm(&config.require("vm_config")?, surroundings)?,
        failure_policy,
        legacy_fail_open: config.boolean_or("fail_open", false)?,
        reload_interval: read_reload_interval(&config)?,
        allow_on_headers_stop_iteration: config
            .boolean_or("allow_on_headers_stop_iteration", false)?,
    };
    config.finish(&[]);
    Ok(filter)
}

fn read_reload_interval(config: &Fields<'_>) -> Result<Duration, Problem> {
    const DEFAULT: Duration = Duration::from_secs(1);
    let Some(reload) = config.get("reload_config") else {
        return Ok(DEFAULT);
    };
    let reload = reload.fields()?;
    let mut interval = DEFAULT;
    if let Some(backoff) = reload.get("backoff") {
        let backoff = backoff.fields()?;
        interval = backoff.require("base_interval")?.duration()?;
        backoff.finish(&["max_interval"]); // Envoy's reload back-off is flat
    }
    reload.finish(&[]);
    Ok(interval)
}

fn read_vm(node: &Node<'_>, surroundings: &Surroundings) -> Result<VmConfig, Problem> {
    let fields = node.fields()?;
    let code = fields.require("code")?.fields()?;
    let local = code.require("local")?.fields()?;
    let file = surroundings.file(&local.require("filename")?.text()?);
    local.finish(&[]);
    code.finish(&[]);
    let vm = VmConfig {
        vm_id: fields.text_or("vm_id", "")?,
        runtime: fields.text_or("runtime", "envoy.wasm.runtime.v8")?,
        code: file,
        configuration: fields
            .get("configuration")
            .map_or(Ok(Vec::new()), |node| any_to_bytes(&node))?,
        environment: fields
            .get("environment_variables")
            .map_or(Ok(BTreeMap::new()), |node| {
                read_environment(&node, surroundings)
            })?,
    };
    fields.finish(&["allow_precompiled", "nack_on_code_cache_miss"]);
    Ok(vm)
}

/// Missing host keys are skipped without a word, as Envoy does; a name given twice is refused, as Envoy does.
fn read_environment(
    node: &Node<'_>,
    surroundings: &Surroundings,
) -> Result<BTreeMap<String, String>, Problem> {
    let fields = node.fields()?;
    let mut environment = BTreeMap::new();
    if let Some(values) = fields.get("key_values") {
        for (key, value) in values.fields()?.entries() {
            environment.insert(key.to_owned(), value.text()?);
        }
    }
    let mut host_keys = Vec::new();
    for item in fields.items_or_none("host_env_keys")? {
        let key = item.text()?;
        if environment.contains_key(&key) || host_keys.contains(&key) {
            return Err(item.problem(format!("the key {key} is given twice")));
        }
        host_keys.push(key);
    }
    for key in host_keys {
        if let Some(value) = surroundings.env.get(&key) {
            environment.insert(key, value.clone());
        }
    }
    fields.finish(&[]);
    Ok(environment)
}

/// `google.protobuf.Any` as Envoy hands it to the module: the value of a `StringValue`.
fn any_to_bytes(node: &Node<'_>) -> Result<Vec<u8>, Problem> {
    let fields = node.fields()?;
    let type_name = fields.type_name()?;
    if type_name != "StringValue" {
        // A Struct reaches the plugin as protobuf bytes, not as JSON; nobody wants that, so nothing here makes them.
        return Err(node.problem(format!(
            "a {type_name} reaches a plugin as protobuf bytes; write a google.protobuf.StringValue"
        )));
    }
    let bytes = fields.text_or("value", "")?.into_bytes();
    fields.finish(&[]);
    Ok(bytes)
}
