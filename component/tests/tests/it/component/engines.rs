//! How long an engine lives: with its instance where the host uses that again, with its request where it does not.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker, ResourceTable};
use wasmtime::error::Context as _;
use wasmtime::{Engine, Result, Store, ensure};
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyIndices};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use weir_component_tests::{TOKEN, built, document, follow, signed, store};
use weir_testbed::layout::Layout;

use self::weir::state::meter::{self, Measurement};
use self::weir::state::table::{self, Entry, Refusal};

wasmtime::component::bindgen!({ world: "edge", path: "../wit" });

/// The table, and how often it was asked.
#[derive(Default)]
struct Table {
    values: HashMap<String, Vec<u8>>,
    version: HashMap<String, u32>,
    asked: u32,
}

struct Host {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    resources: ResourceTable,
    table: Table,
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

impl table::Host for Host {
    fn get(&mut self, key: String) -> Option<Entry> {
        self.table.asked += 1;
        let value = self.table.values.get(&key)?.clone();
        let version = self.table.version[&key];
        Some(Entry { value, version })
    }

    fn set(&mut self, key: String, value: Vec<u8>, over: Option<u32>) -> Result<(), Refusal> {
        self.table.asked += 1;
        let version = self.table.version.entry(key.clone()).or_default();
        if over.is_some_and(|over| over != *version) {
            return Err(Refusal::Conflict);
        }
        *version += 1;
        self.table.values.insert(key, value);
        Ok(())
    }
}

impl meter::Host for Host {
    fn add(&mut self, _: Vec<Measurement>) {}
}

/// The system's clock, less so many seconds.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        now - Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

/// A host that may use an instance again.
struct Maker {
    engine: Engine,
    pre: InstancePre<Host>,
    clock: Clock,
    origin: String,
}

impl Maker {
    fn new(origin: String) -> Result<Self> {
        let engine = Engine::default();
        let component = Component::from_file(&engine, built(Layout::component)?)?;
        let mut linker = Linker::<Host>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        table::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host)?;
        meter::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host)?;
        let pre = linker.instantiate_pre(&component)?;
        Ok(Self {
            engine,
            pre,
            clock: Clock::default(),
            origin,
        })
    }

    async fn make(&self, table: Table) -> Result<(Store<Host>, Proxy)> {
        let host = Host {
            wasi: WasiCtx::builder()
                .env("WEIR_CONFIG", document(&self.origin).to_string())
                .env("TOKEN", TOKEN)
                .wall_clock(self.clock.clone())
                .inherit_stderr()
                .build(),
            http: WasiHttpCtx::new(),
            resources: ResourceTable::new(),
            table,
        };
        let mut store = Store::new(&self.engine, host);
        let instance = self.pre.instantiate_async(&mut store).await?;
        let proxy = ProxyIndices::new(&self.pre)?.load(&mut store, &instance)?;
        Ok((store, proxy))
    }
}

/// A follow; how often the table was asked for it.
async fn follows((store, proxy): &mut (Store<Host>, Proxy), number: usize) -> Result<u32> {
    store.data_mut().table.asked = 0;
    let body = follow(&format!("oAbCdEf0123456789GhIjKlM{number:04}"));
    let request = hyper::Request::builder()
        .method("POST")
        .uri(format!("http://weir{}", signed("/wechat/demo", "")))
        .body(Full::new(Bytes::from(body)))?;
    let (sender, answer) = tokio::sync::oneshot::channel();
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(Scheme::Http, request)?;
    let outparam = http.new_response_outparam(sender)?;
    let handler = proxy.wasi_http_incoming_handler();
    handler.call_handle(&mut *store, request, outparam).await?;
    let answer = answer.await?.ok().context("an answer")?;
    let body = answer.into_body().collect().await;
    let body = body.ok().context("a body")?.to_bytes();
    ensure!(
        String::from_utf8_lossy(&body).contains("Welcome"),
        "push {number}: {body:?}"
    );
    Ok(store.data().table.asked)
}

/// Rows of the engines that look alive.
fn owners(table: &Table) -> usize {
    table
        .values
        .get("weir/owners/16")
        .map_or(0, |rows| rows.len() / 16)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_used_again_keeps_its_engine() -> Result<()> {
    let (origin, mut events) = store().await?;
    let maker = Maker::new(origin)?;
    let mut instance = maker.make(Table::default()).await?;
    let mut asked = Vec::new();
    for number in 0..20 {
        asked.push(follows(&mut instance, number).await?);
        let event = events.recv().await.context("the store is told")?;
        ensure!(event.contains("weir.event.subscribe"));
    }
    // The first ones made an engine each. Of the others some had the root's turn.
    let least = asked.iter().min().context("some")?;
    ensure!(asked[0] >= 3 * least, "{asked:?}");
    let few = asked.iter().filter(|asked| **asked <= least * 2).count();
    ensure!(few >= 10, "{asked:?}");
    ensure!(owners(&instance.0.data().table) == 1, "one engine");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_of_a_host_that_makes_an_instance_per_request_leave_nothing_behind() -> Result<()> {
    let (origin, mut events) = store().await?;
    let maker = Maker::new(origin)?;
    let mut table = Table::default();
    for number in 0..5 {
        let mut instance = maker.make(table).await?;
        follows(&mut instance, number).await?;
        events.recv().await.context("the store is told")?;
        table = std::mem::take(&mut instance.0.data_mut().table);
        // It would look alive for seconds, and the table has room for so many.
        ensure!(owners(&table) == 0, "push {number}");
    }
    Ok(())
}

/// An engine's time never goes back; the system's may.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_stops_nobody() -> Result<()> {
    let (origin, mut events) = store().await?;
    let maker = Maker::new(origin)?;
    let mut instance = maker.make(Table::default()).await?;
    for number in 0..6 {
        if number == 3 {
            // As far as a signed request may be old or early.
            maker.clock.0.store(60, Ordering::Relaxed);
        }
        follows(&mut instance, number).await?;
        events.recv().await.context("the store is told")?;
    }
    ensure!(
        owners(&instance.0.data().table) == 1,
        "the one before has signed off"
    );
    Ok(())
}
