//! The component for hosts that have `wasi:keyvalue` and `wasi:config`, in a host that has nothing of ours.

use wasmtime::component::{Component, Linker};
use wasmtime::error::Context as _;
use wasmtime::{Engine, Result, Store};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};
use wasmtime_wasi_http::p2::bindings::Proxy;
use wasmtime_wasi_keyvalue::{WasiKeyValue, WasiKeyValueCtx, WasiKeyValueCtxBuilder};
use weir_component_tests::host::{Host, Instance};
use weir_component_tests::{TOKEN, built, document, follow, signed, store};
use weir_testbed::layout::Layout;

/// What such a host has.
struct Own {
    settings: WasiConfigVariables,
    values: WasiKeyValueCtx,
}

async fn instance(settings: WasiConfigVariables) -> Result<Instance<Own>> {
    let engine = Engine::default();
    let component = Component::from_file(&engine, built(Layout::component_keyvalue)?)?;
    let mut linker = Linker::<Host<Own>>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi_config::add_to_linker(&mut linker, |host: &mut Host<Own>| {
        WasiConfig::from(&host.own.settings)
    })?;
    wasmtime_wasi_keyvalue::add_to_linker(&mut linker, |host: &mut Host<Own>| {
        WasiKeyValue::new(&host.own.values, &mut host.resources)
    })?;
    let own = Own {
        settings,
        values: WasiKeyValueCtxBuilder::new().build(),
    };
    let wasi = WasiCtx::builder().inherit_stderr().build();
    let mut store = Store::new(&engine, Host::new(wasi, own));
    let proxy = Proxy::instantiate_async(&mut store, &component, &linker).await?;
    Ok(Instance { store, proxy })
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_host_keeps_values_a_copy_is_recognised_without_the_store() -> Result<()> {
    let (origin, mut events) = store().await?;
    let mut settings = WasiConfigVariables::new();
    settings.insert("weir", document(&origin).to_string());
    settings.insert("TOKEN", TOKEN);
    let mut instance = instance(settings).await?;

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
