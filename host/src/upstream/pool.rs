//! A cluster's connections: kept per worker thread, limited for the whole process.
//!
//! HTTP/1.1: a connection carries one request at a time and is kept for the next. The circuit breakers are Envoy's:
//! at most so many connections, requests that wait for one, and requests on one. What exceeds them at dispatch is
//! refused on the spot.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::forward::{Failure, NoConnection};
use super::tls::Connector;
use crate::config;
use crate::http::pipe::PipeBody;
use crate::log::{Level, Log};

/// One cluster of the process.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) config: config::Cluster,
    hosts: RwLock<Vec<SocketAddr>>,
    connections: Arc<Semaphore>,
    pending: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    tls: Option<Connector>,
}

impl Cluster {
    /// # Errors
    /// What is wrong with its TLS settings, in words.
    pub(crate) fn new(config: &config::Cluster) -> Result<Self, String> {
        let permits = |max: usize| Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
        let tls = config.tls.as_ref().map(Connector::new).transpose();
        Ok(Self {
            hosts: RwLock::default(),
            connections: permits(config.breakers.max_connections),
            pending: permits(config.breakers.max_pending_requests),
            requests: permits(config.breakers.max_requests),
            tls: tls.map_err(|what| format!("cluster {}: {what}", config.name))?,
            config: config.clone(),
        })
    }

    /// Whether an endpoint is a name, so that its addresses can change.
    pub(crate) fn has_names(&self) -> bool {
        let mut endpoints = self.config.endpoints.iter();
        endpoints.any(|endpoint| endpoint.host.parse::<std::net::IpAddr>().is_err())
    }

    /// Looks its endpoints up. Blocks.
    pub(crate) fn resolve(&self) {
        use std::net::ToSocketAddrs as _;
        let mut hosts = Vec::new();
        for endpoint in &self.config.endpoints {
            let Ok(found) = (endpoint.host.as_str(), endpoint.port).to_socket_addrs() else {
                continue; // no address, no host
            };
            let mut found: Vec<_> = found.collect();
            if self.config.prefer_ipv4 && found.iter().any(SocketAddr::is_ipv4) {
                found.retain(SocketAddr::is_ipv4);
            }
            hosts.extend(found);
        }
        *self.hosts.write().unwrap_or_else(PoisonError::into_inner) = hosts;
    }

    fn host(&self, turn: usize) -> Option<SocketAddr> {
        let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner);
        hosts.get(turn.checked_rem(hosts.len())?).copied()
    }
}

/// Why a request is refused before it is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The cluster has no host.
    NoHost,
    /// A circuit breaker is open.
    Overflow,
}

struct Idle {
    sender: SendRequest<PipeBody>,
    connection: OwnedSemaphorePermit,
    since: Instant,
}

/// One cluster's connections on one thread.
pub(crate) struct Pool {
    pub(crate) cluster: Arc<Cluster>,
    log: Log,
    idle: RefCell<Vec<Idle>>,
    freed: Notify,
    turn: Cell<usize>,
    tending: Cell<bool>,
}

impl Pool {
    pub(crate) fn new(cluster: &Arc<Cluster>, log: &Log) -> Rc<Self> {
        Rc::new(Self {
            cluster: Arc::clone(cluster),
            log: log.clone(),
            idle: RefCell::default(),
            freed: Notify::new(),
            turn: Cell::new(0),
            tending: Cell::new(false),
        })
    }

    /// Makes sure that there is room for one more request.
    pub(crate) fn reserve(self: &Rc<Self>) -> Result<Reservation, Refused> {
        self.cluster.host(0).ok_or(Refused::NoHost)?;
        if let Some(idle) = self.take_idle() {
            return match self.lease(idle) {
                Ok(lease) => Ok(Reservation::Ready(lease)),
                Err(idle) => {
                    self.idle.borrow_mut().push(idle);
                    Err(Refused::Overflow)
                }
            };
        }
        let waiting = Arc::clone(&self.cluster.pending).try_acquire_owned();
        Ok(Reservation::Waiting(
            Rc::clone(self),
            waiting.map_err(|_| Refused::Overflow)?,
        ))
    }

    fn take_idle(&self) -> Option<Idle> {
        let mut idle = self.idle.borrow_mut();
        while let Some(candidate) = idle.pop() {
            if candidate.sender.is_ready() {
                return Some(candidate);
            }
        }
        None
    }

    fn lease(self: &Rc<Self>, idle: Idle) -> Result<Lease, Idle> {
        let Ok(request) = Arc::clone(&self.cluster.requests).try_acquire_owned() else {
            return Err(idle);
        };
        Ok(Lease {
            pool: Rc::clone(self),
            sender: idle.sender,
            connection: idle.connection,
            _request: request,
        })
    }

    /// Waits for a connection: one that is given back, or a new one if there may be one more.
    async fn connection(self: &Rc<Self>) -> Result<Idle, Failure> {
        loop {
            let allowed = Arc::clone(&self.cluster.connections).acquire_owned();
            tokio::select! {
                biased;
                allowed = allowed => {
                    let connection = allowed.map_err(|_| Failure::Overflow)?;
                    return self.dial(connection).await;
                }
                () = self.freed.notified() => if let Some(idle) = self.take_idle() {
                    return Ok(idle);
                },
            }
        }
    }

    async fn dial(&self, connection: OwnedSemaphorePermit) -> Result<Idle, Failure> {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let Some(address) = self.cluster.host(turn) else {
            let gone = NoConnection::refused("the last host went away");
            return Err(Failure::Connect(gone));
        };
        let limit = self.cluster.config.connect_timeout;
        let sender = tokio::time::timeout(limit, self.handshake(address)).await;
        let sender = sender.unwrap_or_else(|_| Err(NoConnection::timeout()));
        match sender {
            Ok(sender) => Ok(Idle {
                sender,
                connection,
                since: Instant::now(),
            }),
            Err(none) => {
                let cluster = &self.cluster.config.name;
                let message = format!("cluster {cluster}: {}", none.details);
                self.log.say(Level::Debug, message);
                Err(Failure::Connect(none))
            }
        }
    }

    async fn handshake(&self, address: SocketAddr) -> Result<SendRequest<PipeBody>, NoConnection> {
        let tcp = TcpStream::connect(address)
            .await
            .map_err(|error| NoConnection::refused(format_args!("{address}: {error}")))?;
        let _ = tcp.set_nodelay(true);
        let Some(tls) = &self.cluster.tls else {
            return begin(TokioIo::new(tcp)).await;
        };
        let tls = tls
            .connect(tcp, address.ip())
            .await
            .map_err(|error| NoConnection::refused(format_args!("{address}: TLS: {error}")))?;
        begin(TokioIo::new(tls)).await
    }

    fn give_back(self: &Rc<Self>, idle: Idle) {
        self.idle.borrow_mut().push(idle);
        self.freed.notify_one();
        let Some(limit) = self.cluster.config.idle_timeout else {
            return;
        };
        if self.tending.replace(true) {
            return;
        }
        let pool = Rc::downgrade(self);
        tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(limit / 2).await;
                let Some(pool) = pool.upgrade() else { return };
                let mut idle = pool.idle.borrow_mut();
                idle.retain(|idle| idle.since.elapsed() < limit && !idle.sender.is_closed());
                if idle.is_empty() {
                    pool.tending.set(false);
                    return;
                }
            }
        });
    }
}

async fn begin<T>(io: TokioIo<T>) -> Result<SendRequest<PipeBody>, NoConnection>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
{
    let (sender, connection) = handshake(io).await.map_err(NoConnection::refused)?;
    tokio::task::spawn_local(async move {
        let _ = connection.await; // whoever waits for an answer learns of its end there
    });
    Ok(sender)
}

/// Room for one request.
pub(crate) enum Reservation {
    /// A connection is there.
    Ready(Lease),
    /// A connection is to be waited for.
    Waiting(Rc<Pool>, OwnedSemaphorePermit),
}

impl Reservation {
    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        match self {
            Self::Ready(lease) => &lease.pool.cluster,
            Self::Waiting(pool, _) => &pool.cluster,
        }
    }

    /// Waits for the connection.
    pub(crate) async fn lease(self) -> Result<Lease, Failure> {
        match self {
            Self::Ready(lease) => Ok(lease),
            Self::Waiting(pool, _waiting) => {
                let idle = pool.connection().await?;
                pool.lease(idle).map_err(|_| Failure::Overflow)
            }
        }
    }
}

/// A connection for the time of one request. Dropped before the response is complete, it is closed.
pub(crate) struct Lease {
    pool: Rc<Pool>,
    pub(crate) sender: SendRequest<PipeBody>,
    connection: OwnedSemaphorePermit,
    _request: OwnedSemaphorePermit,
}

impl Lease {
    /// Another connection, for when the upstream closed this one before anything was sent on it.
    pub(crate) async fn renew(self) -> Result<Self, Failure> {
        let Self {
            pool,
            connection,
            _request,
            sender: _,
        } = self;
        let idle = pool.dial(connection).await?;
        Ok(Self {
            pool,
            sender: idle.sender,
            connection: idle.connection,
            _request,
        })
    }

    /// Gives the connection back once it can carry another request; if it cannot, it is closed.
    pub(crate) fn release(self) {
        let Self {
            pool,
            mut sender,
            connection,
            ..
        } = self;
        tokio::task::spawn_local(async move {
            if sender.ready().await.is_ok() {
                pool.give_back(Idle {
                    sender,
                    connection,
                    since: Instant::now(),
                });
            }
        });
    }
}
