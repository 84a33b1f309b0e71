//! What the host needs to start the module and to put bytes into it.
#![allow(unsafe_code, reason = "the host's C ABI")]

use crate::host::{self, Level};

unsafe extern "C" {
    /// The linker's: what has to run before anything else.
    fn __wasm_call_ctors();
}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: the host calls this once, before everything else.
    unsafe { __wasm_call_ctors() };
    std::panic::set_hook(Box::new(|panic| {
        host::log(Level::Critical, &panic.to_string());
    }));
}

/// Which version of the ABI is spoken; its name says it.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Memory for what a hostcall returns; `host::adopt` takes it over.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::into_raw(Box::<[u8]>::new_uninit_slice(size)).cast()
}
