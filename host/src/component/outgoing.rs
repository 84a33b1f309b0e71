//! Where the calls of instances go: one client for all, which keeps connections.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use wasmtime_wasi_http::{Error as CallError, RequestOptions, WasiBody, WasiHttpHooks};

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

#[derive(Clone)]
pub(super) struct Outgoing(reqwest::Client);

impl Outgoing {
    pub(super) fn new(options: &Options) -> Result<Self, Error> {
        let mut client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        for way in &options.ways {
            client = client.resolve(&way.name, way.address);
        }
        for path in &options.trusted_ca {
            let wrong = |path: &PathBuf, why: &dyn std::fmt::Display| {
                Error::Certificate(path.clone(), why.to_string())
            };
            let pem = std::fs::read(path).map_err(|e| wrong(path, &e))?;
            let certificates =
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|e| wrong(path, &e))?;
            for certificate in certificates {
                client = client.add_root_certificate(certificate);
            }
        }
        let client = client.build();
        client
            .map(Self)
            .map_err(|e| Error::Io(std::io::Error::other(e)))
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
        let client = self.0.clone();
        Box::new(async move {
            let limit = options
                .and_then(|options| options.first_byte_timeout)
                .unwrap_or(Duration::from_secs(60));
            let (head, body) = request.into_parts();
            let call = async {
                let body: Bytes = body.collect().await?.to_bytes();
                let request = http::Request::from_parts(head, body);
                let request = request.try_into().map_err(failed)?;
                client.execute(request).await.map_err(failed)
            };
            let answer = tokio::time::timeout(limit, call).await;
            let answer = answer.map_err(|_| CallError::HttpResponseTimeout)??;
            let answer = http::Response::from(answer).map(|body| {
                body.map_err(|_| CallError::HttpResponseIncomplete)
                    .boxed_unsync()
            });
            let nothing_left: Call<()> = Box::new(async { Ok(()) });
            Ok((answer, nothing_left))
        })
    }
}

/// What became of a call that brought no answer. Only where it was not connected it is certain that the peer has not seen it.
fn failed(error: reqwest::Error) -> CallError {
    if error.is_connect() {
        CallError::ConnectionRefused
    } else if error.is_timeout() {
        CallError::HttpResponseTimeout
    } else {
        CallError::ConnectionTerminated
    }
}
