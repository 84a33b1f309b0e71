//! One thread of the host with its VMs: the main thread, or a worker.
//!
//! A lane is reached by its mailbox only; what it holds never leaves its thread. The main lane has a VM of its own
//! that runs ticks, queues and callouts like any other, and serves no requests. Workers serve.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::TcpStream as StdStream;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, mpsc as std_mpsc};
use std::thread::JoinHandle;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};

use crate::base::{Base, PluginKey, VmIdentity};
use crate::config::{Config, ConnectionManager, WasmFilter};
use crate::faults::Faults;
use crate::http::request::Place;
use crate::http::server;
use crate::log::{Level, Log};
use crate::metrics::Metrics;
use crate::plugin::{PluginHandle, PluginSlot};
use crate::shared::Shared;
use crate::upstream::pool::{Cluster, Pool};
use crate::vm::Vm;

/// A configuration with everything that is shared by all threads made ready.
pub(crate) struct Generation {
    pub(crate) config: Config,
    pub(crate) listeners: Vec<ListenerPlan>,
    pub(crate) clusters: HashMap<String, Arc<Cluster>>,
}

/// What a listener does.
pub(crate) struct ListenerPlan {
    pub(crate) name: String,
    pub(crate) manager: Arc<ConnectionManager>,
    pub(crate) plugins: Vec<(Arc<WasmFilter>, Arc<Base>)>,
}

/// What is sent to a lane.
pub(crate) enum Post {
    /// An item was put into a queue: once for each item.
    QueueReady {
        vm: Arc<VmIdentity>,
        context: u32,
        queue: u32,
    },
    /// Try a plugin out under this configuration, in a canary VM that is thrown away.
    TryOut {
        generation: Arc<Generation>,
        plugin: Arc<WasmFilter>,
        base: Arc<Base>,
        answer: std_mpsc::Sender<Result<(), String>>,
    },
    /// Run this configuration from now on.
    Install {
        generation: Arc<Generation>,
        answer: std_mpsc::Sender<()>,
    },
    /// Serve this connection.
    Connection {
        listener: String,
        tcp: StdStream,
        load: Load,
    },
    /// Accept connections here, past the balancing of the front.
    Listen {
        listener: String,
        socket: std::net::TcpListener,
    },
    /// Treat all VMs as if they had trapped.
    Crash { answer: std_mpsc::Sender<usize> },
    /// End.
    Stop,
}

/// Where a lane takes its posts.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox(mpsc::UnboundedSender<Post>);

impl Mailbox {
    /// Posts; to a lane that has ended, nothing happens.
    pub(crate) fn post(&self, post: Post) {
        let _ = self.0.send(post);
    }
}

/// A VM as other threads know it: by thread and identity. Which VM that is, is looked up on arrival.
#[derive(Debug, Clone)]
pub(crate) struct VmAddress {
    pub(crate) mailbox: Mailbox,
    pub(crate) vm: Arc<VmIdentity>,
}

/// Counts as one connection of a worker while it lives.
pub(crate) struct Load(Arc<AtomicUsize>);

impl Load {
    pub(crate) fn on(worker: &Arc<AtomicUsize>) -> Self {
        worker.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(worker))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A running lane, from outside.
pub(crate) struct LaneThread {
    pub(crate) mailbox: Mailbox,
    /// Its connections.
    pub(crate) load: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl LaneThread {
    pub(crate) fn spawn(
        name: &str,
        log: &Log,
        metrics: &Arc<Metrics>,
        shared: &Arc<Shared<VmAddress>>,
        faults: Option<Faults>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (sender, posts) = mpsc::unbounded_channel();
        let mailbox = Mailbox(sender);
        let log = log.for_thread(name);
        let (metrics, shared) = (Arc::clone(metrics), Arc::clone(shared));
        let own = mailbox.clone();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .stack_size(8 * 1024 * 1024)
            .spawn(move || {
                let lane = Lane::new(log, metrics, shared, own, faults);
                LocalSet::new().block_on(&runtime, run(lane, posts));
            })?;
        Ok(Self {
            mailbox,
            load: Arc::default(),
            thread: Some(thread),
        })
    }

    /// Asks the lane something and waits for the answer; `None` if it has ended.
    pub(crate) fn ask<T>(&self, post: impl FnOnce(std_mpsc::Sender<T>) -> Post) -> Option<T> {
        let (sender, answer) = std_mpsc::channel();
        self.mailbox.post(post(sender));
        answer.recv().ok()
    }

    /// Ends the lane and waits for it.
    pub(crate) fn stop(&mut self) {
        self.mailbox.post(Post::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a lane that panicked has said so on its way
        }
    }
}

/// One thread's share of everything.
pub(crate) struct Lane {
    pub(crate) log: Log,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) shared: Arc<Shared<VmAddress>>,
    pub(crate) faults: Option<Faults>,
    mailbox: Mailbox,
    generation: RefCell<Arc<Generation>>,
    slots: RefCell<Vec<Rc<Vec<PluginSlot>>>>,
    pools: RefCell<HashMap<String, Rc<Pool>>>,
    /// The working VMs by identity. A crashed one is forgotten, so that the next user makes a fresh one.
    vms: RefCell<Vec<Weak<Vm>>>,
    handles: RefCell<Vec<(PluginKey, Weak<PluginHandle>)>>,
    /// VMs that live for roots which are not done yet.
    draining: RefCell<Vec<Rc<Vm>>>,
}

impl Lane {
    fn new(
        log: Log,
        metrics: Arc<Metrics>,
        shared: Arc<Shared<VmAddress>>,
        mailbox: Mailbox,
        faults: Option<Faults>,
    ) -> Rc<Self> {
        let nothing = Generation {
            config: Config {
                node_id: String::new(),
                node_cluster: String::new(),
                admin: None,
                listeners: Vec::new(),
                clusters: Vec::new(),
            },
            listeners: Vec::new(),
            clusters: HashMap::new(),
        };
        Rc::new(Self {
            log,
            metrics,
            shared,
            faults,
            mailbox,
            generation: RefCell::new(Arc::new(nothing)),
            slots: RefCell::default(),
            pools: RefCell::default(),
            vms: RefCell::default(),
            handles: RefCell::default(),
            draining: RefCell::default(),
        })
    }

    pub(crate) fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.generation.borrow())
    }

    pub(crate) fn address_of(&self, vm: &Arc<VmIdentity>) -> VmAddress {
        VmAddress {
            mailbox: self.mailbox.clone(),
            vm: Arc::clone(vm),
        }
    }

    /// A listener under the present configuration.
    pub(crate) fn place(&self, listener: &str) -> Option<Place> {
        let generation = self.generation();
        let index = generation
            .listeners
            .iter()
            .position(|plan| plan.name == listener)?;
        Some(Place {
            manager: Arc::clone(&generation.listeners[index].manager),
            listener: index,
        })
    }

    /// The plugins of a place that was asked for just now.
    pub(crate) fn slots(&self, place: &Place) -> Rc<Vec<PluginSlot>> {
        let slots = self.slots.borrow();
        slots.get(place.listener).cloned().unwrap_or_default()
    }

    /// The connections of a cluster, if there is such a cluster.
    pub(crate) fn pool(&self, cluster: &str) -> Option<Rc<Pool>> {
        let mut pools = self.pools.borrow_mut();
        if let Some(pool) = pools.get(cluster) {
            return Some(Rc::clone(pool));
        }
        let pool = Pool::new(self.generation.borrow().clusters.get(cluster)?, &self.log);
        pools.insert(cluster.to_owned(), Rc::clone(&pool));
        Some(pool)
    }

    // ---- VMs --------------------------------------------------------------------------------------------------

    fn vm(&self, identity: &VmIdentity) -> Option<Rc<Vm>> {
        let vms = self.vms.borrow();
        vms.iter()
            .filter_map(Weak::upgrade)
            .find(|vm| *vm.base.identity == *identity)
    }

    fn vm_or_new(self: &Rc<Self>, base: &Arc<Base>) -> Option<Rc<Vm>> {
        if let Some(vm) = self.vm(&base.identity) {
            return Some(vm);
        }
        match Vm::create(self, base) {
            Ok(vm) => {
                let mut vms = self.vms.borrow_mut();
                vms.retain(|vm| vm.strong_count() > 0);
                vms.push(Rc::downgrade(&vm));
                Some(vm)
            }
            Err(why) => {
                self.log.say(Level::Error, format!("Wasm VM failed {why}"));
                None
            }
        }
    }

    /// A crashed VM is not found by its identity any more.
    pub(crate) fn forget_vm(&self, identity: &VmIdentity) {
        let mut vms = self.vms.borrow_mut();
        vms.retain(|vm| {
            vm.upgrade()
                .is_some_and(|vm| *vm.base.identity != *identity || !vm.has_failed())
        });
    }

    /// The plugin's root in its VM: the running one, or a new one; `None` when that is impossible.
    pub(crate) fn plugin_handle(
        self: &Rc<Self>,
        base: &Arc<Base>,
        plugin: &Arc<WasmFilter>,
    ) -> Option<Rc<PluginHandle>> {
        let key = PluginKey::of(plugin);
        let running = self
            .handles
            .borrow()
            .iter()
            .filter(|(known, _)| *known == key)
            .filter_map(|(_, handle)| handle.upgrade())
            .find(|handle| *handle.vm.base.identity == *base.identity && !handle.vm.has_failed());
        if running.is_some() {
            return running;
        }
        let vm = self.vm_or_new(base)?;
        let root = vm.start(plugin);
        let Some(root) = root.filter(|_| !vm.has_failed()) else {
            let why = "Wasm VM failed Failed to start thread-local Wasm";
            self.log.say(Level::Error, why);
            return None;
        };
        if !vm.configure(root) || vm.has_failed() {
            let why = "Wasm VM failed Failed to configure thread-local Wasm plugin";
            self.log.say(Level::Error, why);
            vm.remove_context(root);
            return None;
        }
        let handle = Rc::new(PluginHandle { vm, root });
        let mut handles = self.handles.borrow_mut();
        handles.retain(|(_, handle)| handle.strong_count() > 0);
        handles.push((key, Rc::downgrade(&handle)));
        Some(handle)
    }

    /// Starts and configures the plugin in a VM of its own, which is then thrown away without a word to it.
    fn try_out(self: &Rc<Self>, base: &Arc<Base>, plugin: &Arc<WasmFilter>) -> Result<(), String> {
        const REFUSED: &str = "the plugin refused its configuration";
        let key = PluginKey::of(plugin);
        let tried = base.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tried.get(&key).copied();
        drop(tried);
        match known {
            Some(true) => return Ok(()),
            Some(false) => return Err(REFUSED.to_owned()),
            None => {}
        }
        let vm = Vm::create(self, base)?;
        let root = vm.start(plugin).filter(|_| !vm.has_failed());
        let root = root.ok_or("the plugin did not start")?;
        let configured = vm.configure(root) && !vm.has_failed();
        let mut tried = base.tried.lock().unwrap_or_else(PoisonError::into_inner);
        tried.insert(key, configured);
        if configured {
            Ok(())
        } else {
            Err(REFUSED.to_owned())
        }
    }

    pub(crate) fn keep_draining(&self, vm: &Rc<Vm>) {
        let mut draining = self.draining.borrow_mut();
        if !draining.iter().any(|kept| Rc::ptr_eq(kept, vm)) {
            draining.push(Rc::clone(vm));
        }
    }

    /// Lets go of the VMs whose roots are all done.
    pub(crate) fn drop_drained(&self) {
        let (keep, drained) = self
            .draining
            .take()
            .into_iter()
            .partition(|vm| vm.is_draining());
        self.draining.borrow_mut().extend::<Vec<_>>(keep);
        drop::<Vec<_>>(drained);
    }

    // ---- Posts ------------------------------------------------------------------------------------------------

    /// Makes a configuration the present one, as far as it is not about plugins. Says which was.
    fn adopt(&self, generation: Arc<Generation>) -> Arc<Generation> {
        self.pools.borrow_mut().retain(|name, pool| {
            let new = generation.clusters.get(name);
            new.is_some_and(|cluster| Arc::ptr_eq(cluster, &pool.cluster))
        });
        self.generation.replace(generation)
    }

    fn install(self: &Rc<Self>, generation: Arc<Generation>) {
        self.adopt(Arc::clone(&generation));
        let slots = generation
            .listeners
            .iter()
            .map(|plan| {
                let plugins = plan.plugins.iter();
                Rc::new(
                    plugins
                        .map(|(plugin, base)| PluginSlot::new(self, plugin, base))
                        .collect(),
                )
            })
            .collect();
        let old = self.slots.replace(slots);
        drop(old); // roots without streams are asked whether they are done, now
    }

    fn on_queue_ready(&self, vm: &VmIdentity, context: u32, queue: u32) {
        if let Some(vm) = self.vm(vm) {
            vm.on_queue_ready(context, queue);
        }
    }

    fn crash(&self) -> usize {
        let vms: Vec<_> = self.vms.borrow().iter().filter_map(Weak::upgrade).collect();
        for vm in &vms {
            vm.fail("Function: (none) failed: crashed on request");
        }
        vms.len()
    }

    fn stop(&self) {
        let slots = self.slots.take();
        drop(slots);
        let draining = self.draining.take();
        drop(draining);
        self.pools.take();
    }
}

async fn run(lane: Rc<Lane>, mut posts: mpsc::UnboundedReceiver<Post>) {
    let mut connections = JoinSet::new();
    loop {
        let post = tokio::select! {
            post = posts.recv() => post,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        match post {
            None | Some(Post::Stop) => break,
            Some(Post::QueueReady { vm, context, queue }) => {
                lane.on_queue_ready(&vm, context, queue);
            }
            Some(Post::TryOut {
                generation,
                plugin,
                base,
                answer,
            }) => {
                let present = lane.adopt(generation);
                let _ = answer.send(lane.try_out(&base, &plugin));
                lane.adopt(present);
            }
            Some(Post::Install { generation, answer }) => {
                lane.install(generation);
                let _ = answer.send(());
            }
            Some(Post::Connection {
                listener,
                tcp,
                load,
            }) => {
                let Ok(tcp) = TcpStream::from_std(tcp) else {
                    continue; // gone already
                };
                let serving = server::serve(Rc::clone(&lane), listener, tcp);
                connections.spawn_local(async move {
                    serving.await;
                    drop(load);
                });
            }
            Some(Post::Listen { listener, socket }) => {
                if let Ok(socket) = TcpListener::from_std(socket) {
                    connections.spawn_local(accept(lane.mailbox.clone(), listener, socket));
                }
            }
            Some(Post::Crash { answer }) => {
                let _ = answer.send(lane.crash());
            }
        }
    }
    // Connections end first, then their roots, as at the end of Envoy's process.
    connections.shutdown().await;
    lane.stop();
}

async fn accept(mailbox: Mailbox, listener: String, socket: TcpListener) {
    let load = Arc::default();
    loop {
        let Ok((tcp, _)) = socket.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        if let Ok(tcp) = tcp.into_std() {
            mailbox.post(Post::Connection {
                listener: listener.clone(),
                tcp,
                load: Load::on(&load),
            });
        }
    }
}
