//! The component for hosts that have `wasi:keyvalue` and `wasi:config`, in a host that has nothing of ours.

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::error::Context as _;
use wasmtime::{Engine, Result, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};
use wasmtime_wasi_http::p2::bindings::Proxy;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use wasmtime_wasi_keyvalue::{WasiKeyValue, WasiKeyValueCtx, WasiKeyValueCtxBuilder};
use weir_component_tests::{TOKEN, built, document, follow, signed, store};
use weir_testbed::layout::Layout;

struct Host {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    resources: ResourceTable,
    settings: WasiConfigVariables,
    values: WasiKeyValueCtx,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.resources,
        }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.resources,
            hooks: Default::default(),
        }
    }
}

/// One instance, used for one request after another.
struct Instance {
    store: Store<Host>,
    proxy: Proxy,
}

impl Instance {
    async fn new(settings: WasiConfigVariables) -> Result<Self> {
        let engine = Engine::default();
        let component = Component::from_file(&engine, built(Layout::component_keyvalue)?)?;
        let mut linker = Linker::<Host>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        wasmtime_wasi_config::add_to_linker(&mut linker, |host: &mut Host| {
            WasiConfig::from(&host.settings)
        })?;
        wasmtime_wasi_keyvalue::add_to_linker(&mut linker, |host: &mut Host| {
            WasiKeyValue::new(&host.values, &mut host.resources)
        })?;
        let host = Host {
            wasi: WasiCtx::builder().inherit_stderr().build(),
            http: WasiHttpCtx::new(),
            resources: ResourceTable::new(),
            settings,
            values: WasiKeyValueCtxBuilder::new().build(),
        };
        let mut store = Store::new(&engine, host);
        let proxy = Proxy::instantiate_async(&mut store, &component, &linker).await?;
        Ok(Self { store, proxy })
    }

    /// The status and the body of the answer.
    async fn ask(&mut self, method: &str, target: &str, body: &str) -> Result<(u16, String)> {
        let request = hyper::Request::builder()
            .method(method)
            .uri(format!("http://weir{target}"))
            .body(Full::new(Bytes::from(body.to_owned())))?;
        let (sender, answer) = tokio::sync::oneshot::channel();
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

#[tokio::test(flavor = "multi_thread")]
async fn where_the_host_keeps_values_a_copy_is_recognised_without_the_store() -> Result<()> {
    let (origin, mut events) = store().await?;
    let mut settings = WasiConfigVariables::new();
    settings.insert("weir", document(&origin).to_string());
    settings.insert("TOKEN", TOKEN);
    let mut instance = Instance::new(settings).await?;

    let path = "/wechat/demo";
    let (status, echo) = (instance.ask("GET", &signed(path, "&echostr=4375"), "")).await?;
    assert_eq!((status, echo.as_str()), (200, "4375"));

    let push = follow("oAbCdEf0123456789GhIjKlMnOpQ");
    let first = instance.ask("POST", &signed(path, ""), &push).await?;
    assert!(first.0 == 200 && first.1.contains("Welcome"), "{first:?}");
    let event = events.recv().await.context("the store is told")?;
    assert!(event.contains("weir.event.subscribe"), "{event}");

    let copy = instance.ask("POST", &signed(path, ""), &push).await?;
    assert_eq!(copy, first);
    assert!(events.try_recv().is_err(), "the store is told once");

    let other = follow("oSomebodyElse9876543210AbCdE");
    assert_eq!(
        instance.ask("POST", &signed(path, ""), &other).await?.0,
        200
    );
    assert!(events.recv().await.is_some());
    Ok(())
}
