//! The host: starting it, changing its configuration, looking into it, ending it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::Base;
use crate::config::{self, Loaded, Surroundings};
use crate::faults::Faults;
use crate::front::{Front, Plan, Worker, bind};
use crate::lane::{Generation, LaneThread, ListenerPlan, Post, VmAddress};
use crate::log::{Level, Log, LogLine, Sink};
use crate::metrics::{Metrics, Summary};
use crate::shared::Shared;
use crate::upstream::pool::Cluster;

/// Where a configuration comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The text itself.
    Text(String),
}

/// Where the listeners go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Listen {
    /// Where the configuration says.
    #[default]
    AsConfigured,
    /// To 127.0.0.1, on ports that the kernel chooses; [`Host::addr`] tells them.
    Loopback,
}

/// How to start a host.
#[derive(Clone)]
pub struct Options {
    /// The `envoy.yaml`.
    pub envoy_yaml: Source,
    /// Worker threads, at least 1. The main thread's VM comes on top.
    pub workers: usize,
    /// The environment that `host_env_keys` are read from.
    pub env: HashMap<String, String>,
    /// Where relative file names start.
    pub base_dir: PathBuf,
    /// Where the listeners go.
    pub listen: Listen,
    /// Where the admin listener goes instead of where the configuration says.
    pub admin: Option<SocketAddr>,
    /// Whether each worker also listens on a port of its own; for tests that must choose the worker.
    pub worker_ports: bool,
    /// Lines below this are dropped.
    pub log_level: Level,
    /// Gets each line as it is said.
    pub log_sink: Option<Sink>,
    /// What goes wrong on request; for tests.
    pub faults: Option<Faults>,
}

impl Options {
    /// Two workers, the process's environment and working directory, levels from info.
    #[must_use]
    pub fn new(envoy_yaml: Source) -> Self {
        Self {
            envoy_yaml,
            workers: 2,
            env: std::env::vars().collect(),
            base_dir: PathBuf::new(),
            listen: Listen::AsConfigured,
            admin: None,
            worker_ports: false,
            log_level: Level::Info,
            log_sink: None,
            faults: None,
        }
    }
}

/// Why a host did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The configuration cannot be run.
    #[error(transparent)]
    Config(#[from] config::Problem),
    /// A module or a cluster's TLS settings cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// A plugin did not start or refused its configuration, as when Envoy refuses to start.
    #[error("plugin {plugin}: {why}{}", said(log))]
    Refused {
        /// The plugin's name.
        plugin: String,
        /// What went wrong.
        why: String,
        /// What was said meanwhile.
        log: Vec<LogLine>,
    },
    /// A listener's address cannot be used.
    #[error("listener {listener} on {address}: {error}")]
    Bind {
        /// Which.
        listener: String,
        /// Where.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// A thread cannot be started.
    #[error("a thread cannot be started: {0}")]
    Thread(std::io::Error),
}

fn said(log: &[LogLine]) -> String {
    let mut text = String::new();
    for line in log {
        let _ = write!(text, "\n  {line}");
    }
    text
}

/// Why an update was not taken; the old configuration goes on.
#[derive(Debug, thiserror::Error)]
#[error("update rejected: {0}")]
pub struct Rejected(pub String);

/// A running host. Dropped, it ends.
pub struct Host {
    options: Options,
    log: Log,
    metrics: Arc<Metrics>,
    shared: Arc<Shared<VmAddress>>,
    main: LaneThread,
    workers: Vec<LaneThread>,
    front: Option<Front>,
    /// Held while an update runs, so that they come one after the other.
    updating: Mutex<()>,
    generation: Arc<Mutex<Arc<Generation>>>,
    loaded: Mutex<Loaded>,
    addresses: BTreeMap<String, SocketAddr>,
    worker_addresses: BTreeMap<(String, usize), SocketAddr>,
    admin: Option<SocketAddr>,
}

impl Host {
    /// Starts a host as Envoy starts: the plugins are tried out, then started on the main thread, then on the
    /// workers; then the listeners open.
    ///
    /// # Errors
    /// Where Envoy would refuse to start, so does this, and says why.
    pub fn start(options: Options) -> Result<Self, Error> {
        let log = Log::new(options.log_level, options.log_sink.clone());
        let metrics = Arc::new(Metrics::default());
        let shared = Arc::new(Shared::new());
        let loaded = load(&options.envoy_yaml, &options)?;
        remark(&log, &loaded);
        let generation = make_generation(&loaded, None, &shared, &metrics)?;
        let lane = |name: &str| {
            let faults = options.faults.clone();
            LaneThread::spawn(name, &log, &metrics, &shared, faults).map_err(Error::Thread)
        };
        let main = lane("main")?;
        let workers = (0..options.workers.max(1))
            .map(|index| lane(&format!("worker {index}")))
            .collect::<Result<_, _>>()?;
        let mut host = Self {
            options,
            log,
            metrics,
            shared,
            main,
            workers,
            front: None,
            updating: Mutex::default(),
            generation: Arc::new(Mutex::new(Arc::clone(&generation))),
            loaded: Mutex::new(loaded),
            addresses: BTreeMap::new(),
            worker_addresses: BTreeMap::new(),
            admin: None,
        };
        host.try_out(&generation)?;
        host.install(&generation);
        host.open(&generation)?;
        Ok(host)
    }

    fn try_out(&self, generation: &Arc<Generation>) -> Result<(), Error> {
        let before = self.log.lines().len();
        for (plugin, base) in generation.listeners.iter().flat_map(|plan| &plan.plugins) {
            let tried = self.main.ask(|answer| Post::TryOut {
                generation: Arc::clone(generation),
                plugin: Arc::clone(plugin),
                base: Arc::clone(base),
                answer,
            });
            let refused = |why: &str| Error::Refused {
                plugin: plugin.name.clone(),
                why: why.to_owned(),
                log: self.log.lines().split_off(before),
            };
            match tried {
                Some(Ok(())) => {}
                Some(Err(why)) => return Err(refused(&why)),
                None => return Err(refused("the main thread has ended")),
            }
        }
        Ok(())
    }

    fn install(&self, generation: &Arc<Generation>) {
        for lane in std::iter::once(&self.main).chain(&self.workers) {
            lane.ask(|answer| Post::Install {
                generation: Arc::clone(generation),
                answer,
            });
        }
    }

    fn open(&mut self, generation: &Generation) -> Result<(), Error> {
        const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let place = |configured| match self.options.listen {
            Listen::AsConfigured => configured,
            Listen::Loopback => ANY,
        };
        let open = |listener: &str, address: SocketAddr| {
            let error = |error| Error::Bind {
                listener: listener.to_owned(),
                address,
                error,
            };
            let socket = bind(address).map_err(error)?;
            let address = socket.local_addr().map_err(error)?;
            Ok::<_, Error>((socket, address))
        };
        let mut listeners = Vec::new();
        for listener in &generation.config.listeners {
            let name = &listener.name;
            let (socket, address) = open(name, place(listener.address))?;
            self.addresses.insert(name.clone(), address);
            listeners.push((name.clone(), socket));
            if !self.options.worker_ports {
                continue;
            }
            for (index, worker) in self.workers.iter().enumerate() {
                let (socket, address) = open(name, ANY)?;
                self.worker_addresses.insert((name.clone(), index), address);
                worker.mailbox.post(Post::Listen {
                    listener: name.clone(),
                    socket,
                });
            }
        }
        let admin = self.options.admin.or(generation.config.admin.map(place));
        let admin = admin.map(|address| open("admin", address)).transpose()?;
        let (admin, address) = admin.unzip();
        self.admin = address;
        let plan = Plan {
            listeners,
            admin,
            workers: self.workers.iter().map(worker).collect(),
            metrics: Arc::clone(&self.metrics),
            generation: Arc::clone(&self.generation),
        };
        self.front = Some(Front::spawn(plan).map_err(Error::Thread)?);
        Ok(())
    }

    /// Changes to another configuration, as an update by Envoy's discovery services would: first tried out, then
    /// taken over by every thread. Requests in flight finish under the old one. Where only the plugin's
    /// configuration changes, its VMs stay and get new root contexts; where code or environment change, there are
    /// new VMs. Old roots are asked whether they are done when their last stream ends.
    ///
    /// # Errors
    /// The configuration cannot be run, a plugin refuses it, or it changes which listeners there are or where.
    pub fn update_config(&self, envoy_yaml: &str) -> Result<(), Rejected> {
        let _one_by_one = self.updating.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.try_update(envoy_yaml);
        let outcome = match &result {
            Ok(()) => "update_success",
            Err(rejected) => {
                self.log.say(Level::Warn, rejected.to_string());
                "update_rejected"
            }
        };
        self.metrics.increment(&format!("weir_host.{outcome}"));
        result
    }

    fn try_update(&self, envoy_yaml: &str) -> Result<(), Rejected> {
        let rejected = |error: Error| Rejected(error.to_string());
        let source = Source::Text(envoy_yaml.to_owned());
        let loaded = load(&source, &self.options).map_err(rejected)?;
        let old = self.generation();
        let places = |config: &config::Config| -> Vec<_> {
            let listeners = config.listeners.iter();
            listeners.map(|l| (l.name.clone(), l.address)).collect()
        };
        if places(&old.config) != places(&loaded.config) {
            return Err(Rejected(
                "the listeners or their addresses differ".to_owned(),
            ));
        }
        let new =
            make_generation(&loaded, Some(&old), &self.shared, &self.metrics).map_err(rejected)?;
        self.try_out(&new).map_err(rejected)?;
        remark(&self.log, &loaded);
        self.install(&new);
        *self
            .generation
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = new;
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(())
    }

    fn generation(&self) -> Arc<Generation> {
        let generation = self.generation.lock();
        Arc::clone(&generation.unwrap_or_else(PoisonError::into_inner))
    }

    /// Where a listener of this name listens; `None` if there is none.
    #[must_use]
    pub fn addr(&self, listener: &str) -> Option<SocketAddr> {
        self.addresses.get(listener).copied()
    }

    /// All listeners and where they listen.
    #[must_use]
    pub fn addrs(&self) -> &BTreeMap<String, SocketAddr> {
        &self.addresses
    }

    /// Where this worker alone listens for this listener; `None` without [`Options::worker_ports`].
    #[must_use]
    pub fn worker_addr(&self, listener: &str, worker: usize) -> Option<SocketAddr> {
        let key = (listener.to_owned(), worker);
        self.worker_addresses.get(&key).copied()
    }

    /// Where `/stats` and `/ready` are; `None` if nothing asks for them.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Counters and gauges by Envoy's names: the modules' as `wasmcustom.<name>`, reloads as
    /// `wasm.<plugin>.vm_reload_{success,backoff,failure}`, VMs as `wasm.<runtime>.{active,created}`, updates as
    /// `weir_host.update_{success,rejected}`.
    #[must_use]
    pub fn stats(&self) -> BTreeMap<String, u64> {
        self.metrics.numbers()
    }

    /// Histograms by Envoy's names, summarised.
    #[must_use]
    pub fn histograms(&self) -> BTreeMap<String, Summary> {
        self.metrics.histograms()
    }

    /// The last lines of the log, the oldest first.
    #[must_use]
    pub fn logs(&self) -> Vec<LogLine> {
        self.log.lines()
    }

    /// The configuration that runs, with what was not understood of it.
    #[must_use]
    pub fn loaded(&self) -> Loaded {
        let loaded = self.loaded.lock();
        loaded.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes the VMs of a worker crash, as a trap would. Says how many there were; a test hook.
    pub fn crash_worker(&self, worker: usize) -> usize {
        let worker = self.workers.get(worker);
        worker
            .and_then(|worker| worker.ask(|answer| Post::Crash { answer }))
            .unwrap_or(0)
    }

    /// Ends the host: listeners and connections first, then the roots, which are told but not waited for. A module
    /// in an endless loop is waited for without end.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        if let Some(mut front) = self.front.take() {
            front.stop();
        }
        for worker in &mut self.workers {
            worker.stop();
        }
        self.main.stop();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
    }
}

fn worker(lane: &LaneThread) -> Worker {
    Worker {
        mailbox: lane.mailbox.clone(),
        load: Arc::clone(&lane.load),
    }
}

fn load(source: &Source, options: &Options) -> Result<Loaded, Error> {
    let yaml = match source {
        Source::Text(text) => text.clone(),
        Source::File(path) => std::fs::read_to_string(path).map_err(|error| Error::File {
            path: path.clone(),
            error,
        })?,
    };
    let surroundings = Surroundings {
        base_dir: options.base_dir.clone(),
        env: options.env.clone(),
    };
    Ok(config::load(&yaml, &surroundings)?)
}

fn remark(log: &Log, loaded: &Loaded) {
    for path in &loaded.not_understood {
        log.say(Level::Warn, format!("not understood, not done: {path}"));
    }
    for path in &loaded.without_effect {
        log.say(Level::Debug, format!("accepted, no effect here: {path}"));
    }
}

/// Makes ready what all threads share. What has not changed since `old` is taken over from it.
fn make_generation(
    loaded: &Loaded,
    old: Option<&Arc<Generation>>,
    shared: &Arc<Shared<VmAddress>>,
    metrics: &Metrics,
) -> Result<Arc<Generation>, Error> {
    let config = &loaded.config;
    let mut bases: Vec<Arc<Base>> = old
        .iter()
        .flat_map(|old| &old.listeners)
        .flat_map(|plan| &plan.plugins)
        .map(|(_, base)| Arc::clone(base))
        .collect();
    let mut listeners = Vec::new();
    for listener in &config.listeners {
        let mut plugins = Vec::new();
        for filter in &listener.manager.filters {
            let base = Base::load(&filter.wasm.vm, &bases, shared, metrics);
            let base = base.map_err(Error::Unusable)?;
            bases.push(Arc::clone(&base));
            plugins.push((Arc::new(filter.wasm.clone()), base));
        }
        listeners.push(ListenerPlan {
            name: listener.name.clone(),
            manager: Arc::new(listener.manager.clone()),
            plugins,
        });
    }
    let mut clusters = HashMap::new();
    for cluster in &config.clusters {
        let unchanged = old
            .and_then(|old| old.clusters.get(&cluster.name))
            .filter(|known| known.config == *cluster);
        let ready = match unchanged {
            Some(known) => Arc::clone(known),
            None => {
                let ready = Cluster::new(cluster).map_err(Error::Unusable)?;
                ready.resolve();
                Arc::new(ready)
            }
        };
        clusters.insert(cluster.name.clone(), ready);
    }
    Ok(Arc::new(Generation {
        config: config.clone(),
        listeners,
        clusters,
    }))
}
