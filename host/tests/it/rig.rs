//! What a test runs on: this host with the guest plugin and an upstream; or, for comparison, a real Envoy.
//!
//! With `WEIR_HOST_TESTS_ENVOY` set to an Envoy the very same tests run against it, except those that need a hook
//! that Envoy does not have. That is how the tests themselves are kept honest.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use weir_host::{Faults, Host, Listen, Options, Source};

use crate::client::{self, Reply};
use crate::guest;
use crate::upstream::Upstream;

/// How a test differs from the usual.
pub(crate) struct Setup {
    /// The guest's configuration: its name, and what it is to do.
    pub(crate) words: String,
    /// Another module than the guest.
    pub(crate) module: Option<PathBuf>,
    pub(crate) workers: usize,
    /// Fields of the plugin's `config`.
    pub(crate) filter: String,
    /// Fields of the `http_connection_manager`.
    pub(crate) manager: String,
    /// Fields of the listener.
    pub(crate) listener: String,
    /// More entries of `http_filters`, after the guest.
    pub(crate) filters: String,
    /// More entries of `clusters`.
    pub(crate) clusters: String,
    /// The routes.
    pub(crate) routes: String,
    pub(crate) env: HashMap<String, String>,
    pub(crate) worker_ports: bool,
    /// `enable_trailers` of the listener.
    pub(crate) trailers: bool,
    /// `allow_on_headers_stop_iteration` of the plugin.
    pub(crate) stop_iteration: bool,
    /// What the host does wrong.
    pub(crate) faults: Option<Faults>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            words: "one".to_owned(),
            module: None,
            workers: 1,
            filter: "failure_policy: FAIL_RELOAD".to_owned(),
            manager: String::new(),
            listener: String::new(),
            filters: String::new(),
            clusters: String::new(),
            routes: "- { match: { prefix: / }, route: { cluster: up } }".to_owned(),
            env: HashMap::new(),
            worker_ports: false,
            trailers: true,
            stop_iteration: true,
            faults: None,
        }
    }
}

impl Setup {
    pub(crate) fn words(words: &str) -> Self {
        Self {
            words: words.to_owned(),
            ..Self::default()
        }
    }

    /// The whole `envoy.yaml`.
    pub(crate) fn yaml(&self, upstream: SocketAddr) -> String {
        let Self {
            words,
            filter,
            manager,
            listener,
            filters,
            clusters,
            routes,
            trailers,
            stop_iteration,
            ..
        } = self;
        let module = self.module.clone().unwrap_or_else(guest::module);
        let module = module.display();
        let port = upstream.port();
        format!(
            r#"
node: {{ id: the-node, cluster: the-cluster }}
admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }} }}
static_resources:
  listeners:
  - name: main
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }}
    {listener}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: main
          http_protocol_options: {{ enable_trailers: {trailers} }}
          {manager}
          http_filters:
          - name: guest-filter
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: guest
                root_id: the-root
                {filter}
                allow_on_headers_stop_iteration: {stop_iteration}
                vm_config:
                  vm_id: guest-vm
                  runtime: envoy.wasm.runtime.v8
                  code: {{ local: {{ filename: "{module}" }} }}
                  configuration:
                    "@type": type.googleapis.com/google.protobuf.StringValue
                    value: for the vm
                  environment_variables:
                    host_env_keys: [GUEST_SECRET, GUEST_MISSING]
                    key_values: {{ GUEST_PLAIN: plain }}
                configuration:
                  "@type": type.googleapis.com/google.protobuf.StringValue
                  value: {words}
          {filters}
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              {routes}
  clusters:
  - name: up
    type: STATIC
    load_assignment:
      cluster_name: up
      endpoints: [ {{ lb_endpoints: [ {{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }} }} ] }} ]
  - name: empty
    type: STATIC
  - name: nobody
    type: STATIC
    load_assignment:
      cluster_name: nobody
      endpoints: [ {{ lb_endpoints: [ {{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: 1 }} }} }} }} ] }} ]
  - name: closed
    type: STATIC
    load_assignment:
      cluster_name: closed
      endpoints: [ {{ lb_endpoints: [ {{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }} }} ] }} ]
    circuit_breakers: {{ thresholds: [ {{ max_connections: 1, max_pending_requests: 0, max_requests: 1 }} ] }}
  {clusters}
"#
        )
    }

    pub(crate) fn start(self) -> Rig {
        self.try_start().unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn try_start(self) -> Result<Rig, String> {
        self.try_start_with(Upstream::start())
    }

    pub(crate) fn try_start_with(self, upstream: Upstream) -> Result<Rig, String> {
        let yaml = self.yaml(upstream.address);
        let runner = match envoy() {
            Some(envoy) => Runner::Envoy(Envoy::start(&envoy, &yaml, &self)?),
            None => Runner::Host(Box::new(start_host(&yaml, &self)?)),
        };
        Ok(Rig { runner, upstream })
    }
}

fn envoy() -> Option<PathBuf> {
    std::env::var_os("WEIR_HOST_TESTS_ENVOY").map(PathBuf::from)
}

/// Whether the tests run on this host. Those that need its hooks end at once on Envoy.
pub(crate) fn on_this_host() -> bool {
    envoy().is_none()
}

fn start_host(yaml: &str, setup: &Setup) -> Result<Host, String> {
    let mut options = Options::new(Source::Text(yaml.to_owned()));
    options.workers = setup.workers;
    options.env.clone_from(&setup.env);
    options.listen = Listen::Loopback;
    options.worker_ports = setup.worker_ports;
    options.faults.clone_from(&setup.faults);
    let host = Host::start(options).map_err(|error| error.to_string())?;
    assert_eq!(
        host.loaded().not_understood,
        Vec::<String>::new(),
        "the tests' own configuration is understood"
    );
    Ok(host)
}

enum Runner {
    Host(Box<Host>),
    Envoy(Envoy),
}

/// A running host with its upstream.
pub(crate) struct Rig {
    runner: Runner,
    pub(crate) upstream: Upstream,
}

impl Rig {
    pub(crate) fn start(words: &str) -> Self {
        Setup::words(words).start()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match &self.runner {
            Runner::Host(host) => host.addr("main").expect("the listener is configured"),
            Runner::Envoy(envoy) => envoy.address,
        }
    }

    /// The host itself, for its hooks.
    pub(crate) fn host(&self) -> &Host {
        match &self.runner {
            Runner::Host(host) => host,
            Runner::Envoy(_) => panic!("a test that needs a hook must not run on Envoy"),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        client::get(self.address(), path)
    }

    pub(crate) fn body(&self, path: &str) -> String {
        self.get(path).body
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Reply {
        client::post(self.address(), path, body)
    }

    pub(crate) fn stats(&self) -> BTreeMap<String, u64> {
        match &self.runner {
            Runner::Host(host) => host.stats(),
            Runner::Envoy(envoy) => envoy.stats(),
        }
    }

    /// A counter or gauge of the guest.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let stats = self.stats();
        let name = format!("wasmcustom.guest.{name}");
        stats.get(&name).copied().unwrap_or(0)
    }

    /// The log, as text.
    pub(crate) fn log(&self) -> String {
        match &self.runner {
            Runner::Host(host) => {
                let lines = host.logs();
                lines.iter().map(|line| format!("{line}\n")).collect()
            }
            Runner::Envoy(envoy) => envoy.log(),
        }
    }

    /// Waits for a line.
    pub(crate) fn expect_log(&self, part: &str) {
        client::eventually(&format!("{part:?} in the log"), || {
            self.log().contains(part)
        });
    }

    /// Waits for a count.
    pub(crate) fn expect_count(&self, name: &str, count: u64) {
        let what = format!("{name} = {count}");
        client::eventually(&what, || self.count(name) == count);
    }
}

/// A real Envoy.
struct Envoy {
    child: Child,
    address: SocketAddr,
    admin: SocketAddr,
    log: PathBuf,
}

impl Envoy {
    fn start(program: &PathBuf, yaml: &str, setup: &Setup) -> Result<Self, String> {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("envoy-{run}"));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a directory");
        let (config, log, admin) = (dir.join("envoy.yaml"), dir.join("log"), dir.join("admin"));
        std::fs::write(&config, yaml).expect("a file");
        let output = std::fs::File::create(&log).expect("a file");
        let child = Command::new(program)
            .arg("-c")
            .arg(&config)
            .args(["--concurrency", &setup.workers.to_string()])
            .args(["--disable-hot-restart", "-l", "warning"])
            .args(["--component-log-level", "wasm:info"])
            .arg("--admin-address-path")
            .arg(&admin)
            .envs(&setup.env)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .expect("Envoy starts");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut envoy = Self {
            child,
            address: any,
            admin: any,
            log,
        };
        let begun = std::time::Instant::now();
        loop {
            if let Ok(Some(_)) = envoy.child.try_wait() {
                return Err(envoy.log());
            }
            let text = std::fs::read_to_string(&admin).unwrap_or_default();
            if let Ok(address) = text.parse() {
                envoy.admin = address;
                // An Envoy that is about to give up may still listen.
                let ask = |path| client::try_get(envoy.admin, path).map(|reply| reply.body);
                let listeners = ask("/listeners").unwrap_or_default();
                let line = listeners
                    .lines()
                    .find_map(|line| line.strip_prefix("main::"));
                let ready = ask("/ready").is_some_and(|body| body.contains("LIVE"));
                if let Some(Ok(address)) = line.map(str::parse)
                    && ready
                {
                    envoy.address = address;
                    return Ok(envoy);
                }
            }
            assert!(begun.elapsed() < client::PATIENCE, "Envoy is not ready");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    fn stats(&self) -> BTreeMap<String, u64> {
        let text = client::get(self.admin, "/stats").body;
        text.lines()
            .filter_map(|line| line.split_once(": "))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
