//! A host of wasmtime's own parts, for one instance.

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use tokio::sync::oneshot;
use wasmtime::component::ResourceTable;
use wasmtime::error::Context as _;
use wasmtime::{Result, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::Proxy;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// WASI with HTTP, and what else a test gives an instance.
pub struct Host<T> {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    /// The resources of all.
    pub resources: ResourceTable,
    /// What else there is.
    pub own: T,
}

impl<T> Host<T> {
    /// With nothing used yet.
    pub fn new(wasi: WasiCtx, own: T) -> Self {
        Self {
            wasi,
            http: WasiHttpCtx::new(),
            resources: ResourceTable::new(),
            own,
        }
    }
}

impl<T: Send> WasiView for Host<T> {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.resources,
        }
    }
}

impl<T: Send> WasiHttpView for Host<T> {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.resources,
            hooks: Default::default(),
        }
    }
}

/// One instance, used for one request after another.
pub struct Instance<T: 'static> {
    /// Its host.
    pub store: Store<Host<T>>,
    /// Itself.
    pub proxy: Proxy,
}

impl<T: Send> Instance<T> {
    /// The status and the body of the answer to a request.
    ///
    /// # Errors
    /// It traps, or gives none.
    pub async fn ask(&mut self, method: &str, target: &str, body: &str) -> Result<(u16, String)> {
        let request = hyper::Request::builder()
            .method(method)
            .uri(format!("http://weir{target}"))
            .body(Full::new(Bytes::from(body.to_owned())))?;
        let (sender, answer) = oneshot::channel();
        let mut http = self.store.data_mut().http();
        let request = http.new_incoming_request(Scheme::Http, request)?;
        let outparam = http.new_response_outparam(sender)?;
        let handler = self.proxy.wasi_http_incoming_handler();
        handler
            .call_handle(&mut self.store, request, outparam)
            .await?;
        let answer = answer.await?.ok().context("an answer")?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await;
        let body = body.ok().context("a body")?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}
