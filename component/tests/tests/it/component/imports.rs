//! Everything that the components may ask of their host.

use wasmtime::component::Component;
use wasmtime::{Engine, Result, ensure};
use weir_component_tests::built;
use weir_testbed::layout::Layout;

/// What Rust's library asks for: streams, the environment, and the end.
const ANY: [&str; 13] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
];
/// What a request takes. No file, no socket.
const EDGE: [&str; 5] = [
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:random/random",
];
const OURS: [&str; 2] = ["weir:state/meter", "weir:state/table"];
const THEIRS: [&str; 3] = [
    "wasi:config/store",
    "wasi:keyvalue/atomics",
    "wasi:keyvalue/store",
];

fn allowed(component: fn(&Layout) -> std::path::PathBuf, lists: &[&[&str]]) -> Result<()> {
    let engine = Engine::default();
    let component = Component::from_file(&engine, built(component)?)?;
    let ty = component.component_type();
    for (import, _) in ty.imports(&engine) {
        let name = import.split('@').next().unwrap_or_default();
        ensure!(
            lists.iter().any(|list| list.contains(&name)),
            "{import} is not in the list of what it may ask of its host"
        );
    }
    Ok(())
}

#[test]
fn the_component_asks_for_http_clocks_chance_and_shared_state() -> Result<()> {
    allowed(Layout::component, &[&ANY, &EDGE, &OURS])
}

#[test]
fn for_other_hosts_it_asks_for_nothing_of_ours() -> Result<()> {
    allowed(Layout::component_keyvalue, &[&ANY, &EDGE, &THEIRS])
}

#[test]
fn the_codec_asks_for_no_clock_no_chance_and_no_network() -> Result<()> {
    allowed(Layout::codec, &[&ANY])
}
