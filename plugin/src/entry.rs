//! How the module starts. Which ABI it speaks, and memory for what a hostcall returns, are the SDK's.

use proxy_wasm::types::LogLevel;

use weir_hostcalls as host;

proxy_wasm::main! {{
    // The SDK's own hook is set together with a context that it would dispatch to, and there is none.
    std::panic::set_hook(Box::new(|panic| {
        host::log(LogLevel::Critical, &panic.to_string());
    }));
}}
