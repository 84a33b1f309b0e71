//! Where the calls of instances go: one client for all, which keeps connections.

use std::net::SocketAddr;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;
use wasmtime_wasi_http::{Error as CallError, RequestOptions, WasiBody, WasiHttpHooks};

use super::joined::Joined;
use super::{Error, Options};

/// A name, and where it is: `api.weixin.qq.com=127.0.0.1:8443`. The port is used where the URL has none.
#[derive(Debug, Clone)]
pub struct Way {
    name: String,
    address: SocketAddr,
}

impl FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, address) = text.split_once('=').ok_or("expected NAME=ADDRESS")?;
        Ok(Self {
            name: name.to_owned(),
            address: address
                .parse()
                .map_err(|_| "expected NAME=ADDRESS, like api.weixin.qq.com=127.0.0.1:8443")?,
        })
    }
}

pub(super) type Client = legacy::Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>;

#[derive(Clone)]
pub(super) struct Outgoing {
    client: Client,
    joined: Joined,
}

/// What became of a call that brought no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It was not connected: certainly the peer has not seen it.
    Unreached,
    /// Nobody knows how far it came.
    Broken,
}

impl Outgoing {
    pub(super) fn new(options: &Options) -> Result<Self, Error> {
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        for path in &options.trusted_ca {
            let wrong = |why: String| Error::Certificate(path.clone(), why);
            let certificates = CertificateDer::pem_file_iter(path);
            for certificate in certificates.map_err(|e| wrong(e.to_string()))? {
                let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
                roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::Io(std::io::Error::other(e)))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new(&options.ways));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self {
            joined: Joined::new(client.clone(), options.batch),
            client,
        })
    }
}
type Call<T> = Box<dyn Future<Output = Result<T, CallError>> + Send>;

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Call<()>,
    ) -> Call<(http::Response<WasiBody>, Call<()>)> {
        let Self { client, joined } = self.clone();
        Box::new(async move {
            let (head, body) = request.into_parts();
            let call = async {
                let body: Bytes = body.collect().await?.to_bytes();
                let request = match joined.send(http::Request::from_parts(head, body)).await {
                    Ok(answer) => return Ok(answer?.map(whole)),
                    Err(request) => request.map(Full::new),
                };
                let answer = client.request(request).await.map_err(|e| Failure::of(&e))?;
                Ok::<_, CallError>(answer.map(|body| {
                    body.map_err(|_| CallError::HttpResponseIncomplete)
                        .boxed_unsync()
                }))
            };
            // Without a limit, the instance has one of its own.
            let answer = match options.and_then(|options| options.first_byte_timeout) {
                None => call.await?,
                Some(limit) => tokio::time::timeout(limit, call)
                    .await
                    .map_err(|_| CallError::HttpResponseTimeout)??,
            };
            let nothing_left: Call<()> = Box::new(async { Ok(()) });
            Ok((answer, nothing_left))
        })
    }
}

fn whole(body: Bytes) -> WasiBody {
    Full::new(body)
        .map_err(|never| match never {})
        .boxed_unsync()
}

impl Failure {
    pub(super) fn of(error: &legacy::Error) -> Self {
        if error.is_connect() {
            Self::Unreached
        } else {
            Self::Broken
        }
    }
}

impl From<Failure> for CallError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreached => Self::ConnectionRefused,
            Failure::Broken => Self::ConnectionTerminated,
        }
    }
}

/// Where names are: where the operator says, or where the system does.
#[derive(Clone)]
pub(super) struct Resolver {
    ways: Arc<[Way]>,
    system: GaiResolver,
}

impl Resolver {
    fn new(ways: &[Way]) -> Self {
        Self {
            ways: ways.into(),
            system: GaiResolver::new(),
        }
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.system.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let ways = self.ways.iter().filter(|way| way.name == name.as_str());
        let known: Vec<_> = ways.map(|way| way.address).collect();
        if !known.is_empty() {
            return Box::pin(std::future::ready(Ok(known.into_iter())));
        }
        let asked = self.system.call(name);
        Box::pin(async move { Ok(asked.await?.collect::<Vec<_>>().into_iter()) })
    }
}
