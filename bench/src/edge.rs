//! Envoy in each variant, from the repository's `envoy.yaml`.
//!
//! All variants keep what the file says about listener, timeouts and limits, so that only the work differs; the access
//! log is off in all of them.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use weir_testbed::bootstrap::{Bootstrap, DOOR_LISTENER, FILTER, LISTENER, STORE, WECHAT_API};
use weir_testbed::envoy::{Binary, Envoy, Options};
use weir_testbed::layout::Layout;
use weir_testbed::process::Process;

use crate::cores::{Cores, cpu_time};
use crate::pushes::{self, Mode};

/// What Envoy without Weir answers.
pub(crate) const DIRECT_BODY: &[u8] = b"success";
/// How long the native server may take to start.
const START_LIMIT: Duration = Duration::from_secs(10);

/// When Weir answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ack {
    AtOnce,
    AfterStore,
}

/// How much the configuration holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// What `envoy.yaml` has.
    AsIs,
    /// So many rules that look for a word anywhere in a text, and then one that answers.
    Rules(usize),
    /// So many accounts; the pushes are for one in the middle.
    Accounts(usize),
    /// As it is, but no more pushes held and events kept than this.
    Held(u32),
}

/// What every edge stands on.
#[derive(Debug)]
pub(crate) struct Ground<'l> {
    pub(crate) layout: &'l Layout,
    pub(crate) envoy: Binary,
    pub(crate) cores: Cores,
}

/// A running Envoy, and the native server behind it in that variant. Both on the edge's core.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) envoy: Envoy,
    /// Kept running; it is not spoken to.
    _behind: Option<Process>,
    /// Envoy's and the native server's.
    pids: Vec<u32>,
    /// Where pushes go.
    pub(crate) address: SocketAddr,
    /// From Envoy's start to its readiness, the module's compilation included.
    pub(crate) ready_after: Duration,
    /// How long a worker took to read its configuration, milliseconds, as the plugin logged it; the longest.
    pub(crate) configured_ms: Option<u64>,
}

impl<'l> Ground<'l> {
    /// Finds Envoy and divides the cores.
    ///
    /// # Errors
    /// There is no Envoy, or only one core and the run is no quick one.
    pub(crate) fn prepare(layout: &'l Layout, quick: bool) -> Result<Self> {
        let envoy = weir_testbed::envoy::find(layout, |what| eprintln!("{what}"))?;
        let cores = Cores::divide(quick)?;
        Ok(Self {
            layout,
            envoy,
            cores,
        })
    }

    /// Envoy alone: it collects the body and answers.
    pub(crate) fn direct(&self) -> Result<Edge> {
        let mut bootstrap = self.bootstrap(nowhere())?;
        replace_filter(
            &mut bootstrap,
            Some(json!({
                "name": "buffer",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer",
                    "max_request_bytes": 262_144,
                },
            })),
        )?;
        let body = String::from_utf8_lossy(DIRECT_BODY);
        set_route(
            &mut bootstrap,
            json!({ "direct_response": { "status": 200, "body": { "inline_string": body } } }),
        )?;
        self.start("direct", &bootstrap, None)
    }

    /// Envoy with Weir, which sends its events to `store`.
    pub(crate) fn weir(
        &self,
        module: &Path,
        mode: Mode,
        ack: Ack,
        load: Load,
        store: SocketAddr,
    ) -> Result<Edge> {
        let mut bootstrap = self.bootstrap(store)?;
        bootstrap.wasm_file(module)?;
        bootstrap.plugin(|plugin| {
            configure(plugin, mode, ack);
            fill(plugin, load);
        })?;
        self.start("weir", &bootstrap, None)
    }

    /// Envoy in front of the native server, which sends its events to `sink`.
    pub(crate) fn native(&self, mode: Mode, sink: SocketAddr) -> Result<Edge> {
        let mut bootstrap = self.bootstrap(sink)?;
        let mut configuration = Value::Null;
        bootstrap.plugin(|plugin| {
            configure(plugin, mode, Ack::AtOnce);
            configuration = plugin.clone();
        })?;
        let dir = self.layout.scratch("bench", "native")?;
        let file = dir.join("configuration.json");
        fs::write(&file, configuration.to_string())?;
        let mut server = self.cores.on_edge(|| {
            let mut command = Command::new(std::env::current_exe()?);
            command
                .args(["native", "--sink", &sink.to_string(), "--configuration"])
                .arg(&file)
                .envs(pushes::environment());
            Process::start("native", command, &dir)
        })?;
        let address = server.wait_for_line("its address", START_LIMIT, |line| {
            line.strip_prefix("listening on ")?.parse().ok()
        })?;
        replace_filter(&mut bootstrap, None)?;
        add_cluster(&mut bootstrap, address)?;
        set_route(
            &mut bootstrap,
            json!({ "route": { "cluster": "native", "timeout": "5s" } }),
        )?;
        self.start("proxy", &bootstrap, Some(server))
    }

    /// Envoy with the listener for applications, whose calls go to `api`: through the door, or past where it would be.
    pub(crate) fn api(&self, with_door: bool, api: SocketAddr) -> Result<Edge> {
        let mut bootstrap = Bootstrap::read(&self.layout.envoy_yaml())?;
        bootstrap
            .bind_to_any_loopback_port()?
            .endpoint(STORE, api)?
            .endpoint(WECHAT_API, api)?
            .door(&self.layout.door_wasm(), |_| {})?;
        bootstrap.only_door(with_door)?;
        self.start(if with_door { "door" } else { "api" }, &bootstrap, None)
    }

    fn bootstrap(&self, store: SocketAddr) -> Result<Bootstrap> {
        let mut bootstrap = Bootstrap::read(&self.layout.envoy_yaml())?;
        bootstrap.only_listeners(&[LISTENER])?;
        bootstrap
            .bind_to_any_loopback_port()?
            .without_access_log()?
            .endpoint(STORE, store)?
            .endpoint(WECHAT_API, nowhere())?;
        Ok(bootstrap)
    }

    fn start(&self, name: &str, bootstrap: &Bootstrap, behind: Option<Process>) -> Result<Edge> {
        let dir = self.layout.scratch("bench", name)?;
        let options = Options {
            concurrency: 1,
            environment: pushes::environment(),
            ..Options::default()
        };
        let started = Instant::now();
        let mut envoy = self
            .cores
            .on_edge(|| Envoy::start(&self.envoy, bootstrap, &dir, &options))?;
        let ready_after = started.elapsed();
        let behind_pid = behind.as_ref().map(Process::pid);
        Ok(Edge {
            address: envoy
                .push_address()
                .or_else(|_| envoy.listener(DOOR_LISTENER))?,
            pids: [envoy.process().pid()]
                .into_iter()
                .chain(behind_pid)
                .collect(),
            envoy,
            _behind: behind,
            ready_after,
            configured_ms: configured_ms(&dir)?,
        })
    }
}

impl Edge {
    /// CPU time of all its processes so far.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        self.pids.iter().copied().map(cpu_time).sum()
    }
}

/// What the plugin's log says of reading the configuration.
fn configured_ms(dir: &Path) -> Result<Option<u64>> {
    let log = fs::read_to_string(dir.join("envoy.log"))?;
    let times = log.lines().filter_map(|line| {
        let (_, rest) = line.split_once("weir: configured ")?;
        rest.rsplit_once("ms=")?.1.trim().parse().ok()
    });
    Ok(times.max())
}

/// Nothing listens there; nothing is sent there either.
fn nowhere() -> SocketAddr {
    ([127, 0, 0, 1], 9).into()
}

fn configure(plugin: &mut Value, mode: Mode, ack: Ack) {
    plugin["accounts"][0]["mode"] = match mode {
        Mode::Plain => "plain",
        Mode::Encrypted => "encrypted",
    }
    .into();
    plugin["store"]["ack"] = match ack {
        Ack::AtOnce => "at_once",
        Ack::AfterStore => "after_store",
    }
    .into();
}

fn fill(plugin: &mut Value, load: Load) {
    match load {
        Load::AsIs => {}
        Load::Held(count) => {
            plugin["limits"]["parked_max"] = count.into();
            plugin["limits"]["outbox_max_events"] = count.into();
            plugin["limits"]["batch_max_events"] = 50.into();
        }
        Load::Rules(count) => {
            let rules = &mut plugin["accounts"][0]["rules"];
            let answer = (rules.as_array().into_iter().flatten())
                .find(|rule| rule["when"]["message"] == "text")
                .cloned();
            *rules = (1..count)
                .map(|n| {
                    let word = format!("约{n}号");
                    json!({ "when": { "keyword": { "contains": word } }, "reply": "none" })
                })
                .chain(answer)
                .collect();
        }
        Load::Accounts(count) => {
            let one = plugin["accounts"][0].clone();
            let others = (1..count).map(|n| {
                let mut other = one.clone();
                other["name"] = format!("other{n}").into();
                other["path"] = format!("/wechat/other{n}").into();
                other["appid"] = format!("wx{n:016x}").into();
                other
            });
            let mut accounts: Vec<Value> = others.collect();
            accounts.insert(accounts.len() / 2, one);
            plugin["accounts"] = accounts.into();
        }
    }
}

/// Puts another filter in the place of Weir, or none.
fn replace_filter(bootstrap: &mut Bootstrap, by: Option<Value>) -> Result<()> {
    let filters = bootstrap
        .connection_manager()?
        .get_mut("http_filters")
        .and_then(Value::as_array_mut)
        .context("the listener has filters")?;
    let at = filters
        .iter()
        .position(|filter| filter["name"] == FILTER)
        .context("Weir is one of the filters")?;
    filters.splice(at..=at, by);
    Ok(())
}

/// Sends every path the same way.
fn set_route(bootstrap: &mut Bootstrap, action: Value) -> Result<()> {
    let routes = bootstrap
        .connection_manager()?
        .pointer_mut("/route_config/virtual_hosts/0/routes")
        .context("the listener has routes")?;
    let mut route = json!({ "match": { "prefix": "/" } });
    if let (Some(route), Value::Object(action)) = (route.as_object_mut(), action) {
        route.extend(action);
    }
    *routes = json!([route]);
    Ok(())
}

fn add_cluster(bootstrap: &mut Bootstrap, address: SocketAddr) -> Result<()> {
    let clusters = bootstrap
        .document_mut()
        .pointer_mut("/static_resources/clusters")
        .and_then(Value::as_array_mut)
        .context("there are clusters")?;
    clusters.push(json!({
        "name": "native",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": "native",
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": { "socket_address": {
                "address": address.ip().to_string(),
                "port_value": address.port(),
            } } } }] }],
        },
    }));
    Ok(())
}
