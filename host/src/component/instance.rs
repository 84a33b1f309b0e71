//! What an instance is made of, and what it may ask of us.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wasmtime::component::{Component, HasSelf, Instance, InstancePre, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyIndices};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use self::bindings::weir::state::meter::{self, Kind, Measurement};
use self::bindings::weir::state::table::{self, Entry, Refusal};
use super::outgoing::Outgoing;
use super::table::Table;
use super::{Error, Options};
use crate::metrics::Metrics;

/// What wasmtime makes of `component/wit`.
pub(super) mod bindings {
    #![allow(missing_docs, unreachable_pub, reason = "generated")]
    wasmtime::component::bindgen!({
        world: "edge",
        path: "../component/wit",
        exports: { default: async },
    });
}

/// What instances have in common.
#[derive(Default)]
pub(super) struct Common {
    table: Table,
    pub(super) metrics: Metrics,
}

/// Makes instances.
pub(super) struct Factory {
    engine: Engine,
    pre: InstancePre<World>,
    proxy: ProxyIndices,
    setup: bindings::EdgeIndices,
    environment: Vec<(String, String)>,
    outgoing: Outgoing,
    pub(super) common: Arc<Common>,
}

/// One instance, and its side of the world.
pub(super) struct Made {
    pub(super) store: Store<World>,
    pub(super) proxy: Proxy,
    instance: Instance,
}

pub(super) struct World {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    resources: ResourceTable,
    outgoing: Outgoing,
    common: Arc<Common>,
}

impl Factory {
    pub(super) fn new(options: &Options) -> Result<Self, Error> {
        let outgoing = Outgoing::new(options)?;
        let engine = Engine::default();
        let linked = || -> wasmtime::Result<_> {
            let component = Component::from_file(&engine, &options.component)?;
            let mut linker = Linker::<World>::new(&engine);
            wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
            wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
            table::add_to_linker::<_, HasSelf<World>>(&mut linker, |world| world)?;
            meter::add_to_linker::<_, HasSelf<World>>(&mut linker, |world| world)?;
            let pre = linker.instantiate_pre(&component)?;
            Ok((
                ProxyIndices::new(&pre)?,
                bindings::EdgeIndices::new(&pre)?,
                pre,
            ))
        };
        let (proxy, setup, pre) = linked().map_err(Error::Component)?;
        Ok(Self {
            engine,
            pre,
            proxy,
            setup,
            environment: options.environment.clone(),
            outgoing,
            common: Arc::default(),
        })
    }

    pub(super) async fn make(&self) -> wasmtime::Result<Made> {
        let world = World {
            wasi: WasiCtx::builder()
                .envs(&self.environment)
                .inherit_stderr()
                .build(),
            http: WasiHttpCtx::new(),
            resources: ResourceTable::new(),
            outgoing: self.outgoing.clone(),
            common: self.common.clone(),
        };
        let mut store = Store::new(&self.engine, world);
        let instance = self.pre.instantiate_async(&mut store).await?;
        let proxy = self.proxy.load(&mut store, &instance)?;
        Ok(Made {
            store,
            proxy,
            instance,
        })
    }

    /// Asks the component whether it can work.
    pub(super) async fn check(&self, made: &mut Made) -> Result<(), Error> {
        let edge = self.setup.load(&mut made.store, &made.instance);
        let edge = edge.map_err(Error::Component)?;
        let verdict = edge.weir_edge_setup().call_check(&mut made.store).await;
        verdict.map_err(Error::Component)?.map_err(Error::Refused)
    }
}

impl WasiView for World {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.resources,
        }
    }
}

impl WasiHttpView for World {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.resources,
            hooks: &mut self.outgoing,
        }
    }
}

impl table::Host for World {
    fn get(&mut self, key: String) -> Option<Entry> {
        self.common.table.get(&key)
    }

    fn set(&mut self, key: String, value: Vec<u8>, over: Option<u32>) -> Result<(), Refusal> {
        self.common.table.set(key, value, over)
    }
}

impl meter::Host for World {
    fn add(&mut self, measurements: Vec<Measurement>) {
        for Measurement { name, kind, value } in measurements {
            let name = format!("wasmcustom.{name}");
            match kind {
                Kind::Counter | Kind::Gauge => {
                    let number = self.common.metrics.number(&name);
                    // Two's complement: a gauge that goes down wraps around to what it is.
                    number.fetch_add(value.cast_unsigned(), Ordering::Relaxed);
                }
                Kind::Histogram => {
                    let histogram = self.common.metrics.histogram(&name);
                    let mut summary =
                        (histogram.lock()).unwrap_or_else(std::sync::PoisonError::into_inner);
                    let value = value.cast_unsigned();
                    summary.count += 1;
                    summary.sum += value;
                    summary.max = summary.max.max(value);
                }
            }
        }
    }
}
