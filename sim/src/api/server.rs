//! The fake API on a socket: HTTP/1.1, plain or TLS, and the control API beside it.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::calls::{Answer, Call, Method};
use super::error::ApiError;
use super::faults::Then;
use super::stream::{self, Streamed};
use super::{World, control, tls};
use crate::clock::Clock;
use crate::resettable::{Conn, Reset, ResetSwitch};
use crate::wechat::Account;

/// Larger request bodies are answered with 413.
pub const MAX_BODY_BYTES: usize = 12 << 20;

/// What to serve and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Port 0 picks a free one.
    pub listen: SocketAddr,
    /// TLS instead of plain HTTP.
    pub tls: Option<TlsOptions>,
    /// Where the control API listens, if at all. It knows no access control: loopback only.
    pub control: Option<SocketAddr>,
    /// Whose API this is.
    pub accounts: Vec<Account>,
    /// The world's time.
    pub clock: Clock,
}

/// TLS with a fresh certificate for `api.weixin.qq.com`.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// The authority's certificate is written here, as PEM.
    pub ca_out: Option<PathBuf>,
}

impl Options {
    /// Plain HTTP and control on free ports of loopback, in the machine's time.
    pub fn local(accounts: Vec<Account>) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: any,
            tls: None,
            control: Some(any),
            accounts,
            clock: Clock::system(),
        }
    }
}

/// A running fake API. Dropping it closes its sockets and connections.
pub struct Server {
    addr: SocketAddr,
    control_addr: Option<SocketAddr>,
    ca_pem: Option<String>,
    world: Arc<World>,
    tasks: Vec<AbortHandle>,
}

impl Server {
    /// Binds, makes the certificate, and serves.
    ///
    /// # Errors
    /// An address is taken, or the CA file cannot be written.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let identity = match &options.tls {
            None => None,
            Some(tls_options) => {
                let identity = tls::identity()?;
                if let Some(path) = &tls_options.ca_out {
                    std::fs::write(path, &identity.ca_pem)
                        .with_context(|| format!("CA file {}", path.display()))?;
                }
                Some(identity)
            }
        };
        let listener = bind(options.listen).await?;
        let addr = listener.local_addr()?;
        let control = match options.control {
            Some(addr) => Some(bind(addr).await?),
            None => None,
        };
        let control_addr = control.as_ref().map(TcpListener::local_addr).transpose()?;

        let world = Arc::new(World::new(options.accounts, options.clock));
        let acceptor = identity
            .as_ref()
            .map(|identity| TlsAcceptor::from(identity.config.clone()));
        let mut tasks = vec![tokio::spawn(serve(listener, acceptor, world.clone())).abort_handle()];
        if let Some(listener) = control {
            let router = control::router(world.clone());
            tasks.push(
                tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle(),
            );
        }
        Ok(Self {
            addr,
            control_addr,
            ca_pem: identity.map(|identity| identity.ca_pem),
            world,
            tasks,
        })
    }

    /// Where the API listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where the control API listens.
    pub fn control_addr(&self) -> Option<SocketAddr> {
        self.control_addr
    }

    /// Whom clients have to trust, as PEM; `None` without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The state behind it, to act on without HTTP.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

async fn bind(addr: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(addr)
        .await
        .with_context(|| format!("cannot listen on {addr}"))
}

async fn serve(listener: TcpListener, acceptor: Option<TlsAcceptor>, world: Arc<World>) {
    // Owned here, so that aborting this task ends every connection.
    let mut connections = JoinSet::new();
    loop {
        let Ok((tcp, peer)) = listener.accept().await else {
            // Out of file descriptors, most likely: let some go.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let _ = tcp.set_nodelay(true);
        let (conn, reset) = Conn::new(tcp);
        let (acceptor, world) = (acceptor.clone(), world.clone());
        connections.spawn(async move {
            match acceptor {
                None => converse(conn, world, peer.ip(), reset).await,
                Some(acceptor) => {
                    if let Ok(tls) = acceptor.accept(conn).await {
                        converse(tls, world, peer.ip(), reset).await;
                    }
                }
            }
        });
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    world: Arc<World>,
    peer: IpAddr,
    reset: ResetSwitch,
) {
    let service = service_fn(|request| {
        let (world, reset) = (world.clone(), reset.clone());
        async move {
            let answer = answer(&world, peer, request).await;
            if answer.is_err() {
                reset.pull();
            }
            answer
        }
    });
    // Errors here are the peer's: it went away, or does not speak HTTP.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

type Response = hyper::Response<Streamed>;

async fn answer(
    world: &World,
    peer: IpAddr,
    request: hyper::Request<Incoming>,
) -> Result<Response, Reset> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    note_strange_headers(world, &head.headers);
    let Ok(body) = Limited::new(body, MAX_BODY_BYTES).collect().await else {
        return Ok(status(413));
    };
    let carry_out = || {
        let method = match head.method {
            hyper::Method::GET => Method::Get,
            hyper::Method::POST => Method::Post,
            _ => Method::Other,
        };
        let query = head.uri.query().unwrap_or_default();
        let content_type = head.headers.get(hyper::header::CONTENT_TYPE);
        let call = Call::new(method, path, query, body.to_bytes().to_vec(), peer)
            .of_type(content_type.and_then(|value| value.to_str().ok()));
        world.answer(&call)
    };

    let (delay_ms, then) = world.take_fault(path).unwrap_or_default();
    if delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    }
    match then {
        Then::Answer => {
            return Ok(match carry_out() {
                Answer::Json(value) => json(path, value.to_string()),
                Answer::Medium(medium) => stream::response(medium),
            });
        }
        Then::Errcode(errcode) => {
            world.enter_fault(path, Some(errcode));
            return Ok(json(
                path,
                ApiError::from(errcode)
                    .body(world.clock().now_s())
                    .to_string(),
            ));
        }
        Then::ResetAfter => drop(carry_out()),
        _ => world.enter_fault(path, None),
    }
    match then {
        Then::Status(code) => Ok(status(code)),
        Then::Body(text) => Ok(json(path, text)),
        Then::Hang => match std::future::pending::<Infallible>().await {},
        Then::Reset | Then::ResetAfter | Then::Answer | Then::Errcode(_) => Err(Reset),
    }
}

/// Headers by which an application is known to whoever stands between it and WeChat.
fn note_strange_headers(world: &World, headers: &hyper::HeaderMap) {
    for name in headers.keys().map(hyper::header::HeaderName::as_str) {
        if matches!(name, "authorization" | "cookie") || name.starts_with("x-weir-") {
            world.enter_strange_header(name);
        }
    }
}

fn json(path: &str, text: String) -> Response {
    let mut response = Response::new(Streamed::from(Bytes::from(text)));
    let value = hyper::header::HeaderValue::from_static(if path.starts_with("/sns/") {
        "text/plain"
    } else {
        "application/json; encoding=utf-8"
    });
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, value);
    response
}

fn status(code: u16) -> Response {
    let mut response = Response::new(Streamed::from(Bytes::new()));
    *response.status_mut() =
        hyper::StatusCode::from_u16(code).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    response
}
