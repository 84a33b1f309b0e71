//! The listener, and which instance gets a request.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::instance::{Factory, Made};
use super::{Error, Options};

/// Requests that an instance serves before it is made anew.
const REUSE: u32 = 10_000;
/// How long an instance may be busy with one request: far beyond what the component allows itself.
const STUCK: Duration = Duration::from_secs(60);

/// A component that serves until this is dropped.
pub struct Server {
    address: SocketAddr,
    admin: Option<SocketAddr>,
    _tasks: JoinSet<()>,
}

struct Shared {
    factory: Factory,
    idle: Mutex<Vec<(Made, u32)>>,
    free: Arc<Semaphore>,
}

impl Server {
    /// Compiles the component, asks it whether it takes its configuration, and serves.
    ///
    /// # Errors
    /// It cannot be served; the message says why.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let factory = Factory::new(&options)?;
        let mut first = factory.make().await.map_err(Error::Component)?;
        factory.check(&mut first).await?;
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            factory,
            idle: Mutex::new(vec![(first, 0)]),
            free: Arc::new(Semaphore::new(options.instances)),
        });
        let mut tasks = JoinSet::new();
        let admin = match options.admin {
            None => None,
            Some(address) => {
                let listener = TcpListener::bind(address).await?;
                let address = listener.local_addr()?;
                tasks.spawn(serve(listener, shared.clone(), Shared::show));
                Some(address)
            }
        };
        tasks.spawn(serve(listener, shared, Shared::push));
        Ok(Self {
            address,
            admin,
            _tasks: tasks,
        })
    }

    /// Where pushes come.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics are shown.
    #[must_use]
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }
}

async fn serve<F>(
    listener: TcpListener,
    shared: Arc<Shared>,
    answer: impl Fn(Arc<Shared>, Request<Incoming>) -> F + Copy + Send + 'static,
) where
    F: Future<Output = Response<HyperOutgoingBody>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let tcp = tokio::select! {
            tcp = listener.accept() => tcp,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((tcp, _)) = tcp else {
            // Out of files, mostly: some will be closed.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ = tcp.set_nodelay(true);
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(shared.clone(), request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            // A connection that ends badly is the client's affair.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(tcp), service)
                .await;
        });
    }
}

impl Shared {
    async fn push(self: Arc<Self>, request: Request<Incoming>) -> Response<HyperOutgoingBody> {
        let Ok(permit) = self.free.clone().try_acquire_owned() else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "");
        };
        let idle = (self.idle.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let (mut made, served) = match idle {
            Some(idle) => idle,
            None => match self.factory.make().await {
                Ok(made) => (made, 0),
                Err(error) => {
                    eprintln!("weir-serve: no instance: {error:#}");
                    return plain(StatusCode::SERVICE_UNAVAILABLE, "");
                }
            },
        };
        let (sender, answer) = tokio::sync::oneshot::channel();
        let mut http = made.store.data_mut().http();
        let taken = http
            .new_incoming_request(Scheme::Http, request)
            .and_then(|request| Ok((request, http.new_response_outparam(sender)?)));
        let Ok((request, outparam)) = taken else {
            return plain(StatusCode::BAD_REQUEST, "");
        };
        let shared = self.clone();
        // What follows from a request goes on after its answer, and when nobody waits for that any more.
        tokio::spawn(async move {
            let call = made.proxy.wasi_http_incoming_handler();
            let call = call.call_handle(&mut made.store, request, outparam);
            match tokio::time::timeout(STUCK, call).await {
                Ok(Ok(())) if served < REUSE => {
                    let mut idle = shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
                    idle.push((made, served + 1));
                }
                Ok(Ok(())) => {}
                Ok(Err(error)) => eprintln!("weir-serve: an instance has crashed: {error:#}"),
                Err(_) => eprintln!("weir-serve: an instance is stuck"),
            }
            drop(permit);
        });
        match answer.await {
            Ok(Ok(answer)) => answer,
            _ => plain(StatusCode::SERVICE_UNAVAILABLE, ""),
        }
    }

    async fn show(self: Arc<Self>, request: Request<Incoming>) -> Response<HyperOutgoingBody> {
        match request.uri().path() {
            "/ready" => plain(StatusCode::OK, "LIVE\n"),
            "/stats" => plain(StatusCode::OK, self.factory.common.metrics.text()),
            _ => plain(StatusCode::NOT_FOUND, "there is /ready and /stats\n"),
        }
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<HyperOutgoingBody> {
    let body = Full::new(text.into()).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response
}
