//! How long an engine lives: with its instance where the host uses that again, with its request where it does not.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::error::Context as _;
use wasmtime::{Engine, Result, Store, ensure};
use wasmtime_wasi::{HostWallClock, WasiCtx};
use wasmtime_wasi_http::p2::bindings::ProxyIndices;
use weir_component_tests::host::{Host, Instance};
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

impl table::Host for Host<Table> {
    fn get(&mut self, key: String) -> Option<Entry> {
        self.own.asked += 1;
        let value = self.own.values.get(&key)?.clone();
        let version = self.own.version[&key];
        Some(Entry { value, version })
    }

    fn set(&mut self, key: String, value: Vec<u8>, over: Option<u32>) -> Result<(), Refusal> {
        self.own.asked += 1;
        let version = self.own.version.entry(key.clone()).or_default();
        if over.is_some_and(|over| over != *version) {
            return Err(Refusal::Conflict);
        }
        *version += 1;
        self.own.values.insert(key, value);
        Ok(())
    }
}

impl meter::Host for Host<Table> {
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
    pre: InstancePre<Host<Table>>,
    clock: Clock,
    origin: String,
}

impl Maker {
    fn new(origin: String) -> Result<Self> {
        let engine = Engine::default();
        let component = Component::from_file(&engine, built(Layout::component)?)?;
        let mut linker = Linker::<Host<Table>>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        table::add_to_linker::<_, HasSelf<Host<Table>>>(&mut linker, |host| host)?;
        meter::add_to_linker::<_, HasSelf<Host<Table>>>(&mut linker, |host| host)?;
        let pre = linker.instantiate_pre(&component)?;
        Ok(Self {
            engine,
            pre,
            clock: Clock::default(),
            origin,
        })
    }

    async fn make(&self, table: Table) -> Result<Instance<Table>> {
        let wasi = WasiCtx::builder()
            .env("WEIR_CONFIG", document(&self.origin).to_string())
            .env("TOKEN", TOKEN)
            .wall_clock(self.clock.clone())
            .inherit_stderr()
            .build();
        let mut store = Store::new(&self.engine, Host::new(wasi, table));
        let instance = self.pre.instantiate_async(&mut store).await?;
        let proxy = ProxyIndices::new(&self.pre)?.load(&mut store, &instance)?;
        Ok(Instance { store, proxy })
    }
}

/// A follow; how often the table was asked for it.
async fn follows(instance: &mut Instance<Table>, number: usize) -> Result<u32> {
    instance.store.data_mut().own.asked = 0;
    let push = follow(&format!("oAbCdEf0123456789GhIjKlM{number:04}"));
    let target = signed("/wechat/demo", "");
    let (_, answer) = instance.ask("POST", &target, &push).await?;
    ensure!(answer.contains("Welcome"), "push {number}: {answer}");
    Ok(instance.store.data().own.asked)
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
    ensure!(owners(&instance.store.data().own) == 1, "one engine");
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
        table = std::mem::take(&mut instance.store.data_mut().own);
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
        owners(&instance.store.data().own) == 1,
        "the one before has signed off"
    );
    Ok(())
}
