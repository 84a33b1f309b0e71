//! `json` for libFuzzer.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| weir_fuzz::unit::run(weir_fuzz::json::check, data));
