//! The thread in front of the workers: it accepts connections and spreads them, answers the admin listener, and
//! keeps the addresses of clusters fresh.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use crate::lane::{Generation, Load, Mailbox, Post};
use crate::metrics::Metrics;
use crate::upstream::pool::Cluster;

/// How often names are looked up again.
const DNS_REFRESH: Duration = Duration::from_secs(5);

/// A worker, as the front knows it.
#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) mailbox: Mailbox,
    pub(crate) load: Arc<AtomicUsize>,
}

/// What the front does.
pub(crate) struct Plan {
    pub(crate) listeners: Vec<(String, std::net::TcpListener)>,
    pub(crate) admin: Option<std::net::TcpListener>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) metrics: Arc<Metrics>,
    /// The configuration that runs now.
    pub(crate) generation: Arc<Mutex<Arc<Generation>>>,
}

/// The running front.
pub(crate) struct Front {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Front {
    pub(crate) fn spawn(plan: Plan) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("front".to_owned())
            .spawn(move || {
                LocalSet::new().block_on(&runtime, async move {
                    for (name, socket) in plan.listeners {
                        tokio::task::spawn_local(accept(name, socket, plan.workers.clone()));
                    }
                    if let Some(socket) = plan.admin {
                        tokio::task::spawn_local(admin(socket, plan.metrics));
                    }
                    tokio::task::spawn_local(refresh(plan.generation));
                    let _ = stopped.await; // a dropped front stops too
                });
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    pub(crate) fn stop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a front that panicked has said so on its way
        }
    }
}

/// Binds a listener for [`Plan`].
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = std::net::TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Each connection goes to the worker that has the fewest; among equals, in turn.
async fn accept(name: String, socket: std::net::TcpListener, workers: Vec<Worker>) {
    let Ok(socket) = TcpListener::from_std(socket) else {
        return;
    };
    let mut turn = 0;
    loop {
        let Ok((tcp, _)) = socket.accept().await else {
            // Out of file descriptors, most likely: give them time to come back.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        turn += 1;
        let in_turn = (0..workers.len()).map(|offset| &workers[(turn + offset) % workers.len()]);
        let Some(worker) = in_turn.min_by_key(|worker| worker.load.load(Ordering::Relaxed)) else {
            return;
        };
        if let Ok(tcp) = tcp.into_std() {
            worker.mailbox.post(Post::Connection {
                listener: name.clone(),
                tcp,
                load: Load::on(&worker.load),
            });
        }
    }
}

async fn refresh(generation: Arc<Mutex<Arc<Generation>>>) {
    loop {
        tokio::time::sleep(DNS_REFRESH).await;
        let clusters = clusters_of(&generation);
        for cluster in clusters.into_iter().filter(|cluster| cluster.has_names()) {
            let _ = tokio::task::spawn_blocking(move || cluster.resolve()).await;
        }
    }
}

fn clusters_of(generation: &Mutex<Arc<Generation>>) -> Vec<Arc<Cluster>> {
    let generation = generation.lock().unwrap_or_else(PoisonError::into_inner);
    generation.clusters.values().cloned().collect()
}

async fn admin(socket: std::net::TcpListener, metrics: Arc<Metrics>) {
    let Ok(socket) = TcpListener::from_std(socket) else {
        return;
    };
    loop {
        let Ok((tcp, _)) = socket.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let metrics = Arc::clone(&metrics);
        let service = service_fn(move |request: Request<Incoming>| {
            let response = answer(request.uri().path(), &metrics);
            async move { Ok::<_, std::convert::Infallible>(response) }
        });
        tokio::task::spawn_local(async move {
            // A connection that ends badly is the client's affair.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(tcp), service)
                .await;
        });
    }
}

fn answer(path: &str, metrics: &Metrics) -> Response<Full<Bytes>> {
    let (status, body) = match path {
        "/ready" => (StatusCode::OK, "LIVE\n".to_owned()),
        "/stats" => (StatusCode::OK, metrics.text()),
        _ => (
            StatusCode::NOT_FOUND,
            "there is /ready and /stats\n".to_owned(),
        ),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
}
