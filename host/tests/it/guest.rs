//! The test plugin, built once.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

const TARGET: &str = "wasm32-wasip1";

/// The built module.
pub(crate) fn module() -> PathBuf {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(build).clone()
}

fn build() -> PathBuf {
    add_target();
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guest/Cargo.toml");
    let target_dir = concat!(env!("CARGO_TARGET_TMPDIR"), "/guest");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--quiet"])
        .args(["--target", TARGET])
        .args(["--manifest-path", manifest, "--target-dir", target_dir])
        // Flags for the tests (coverage, sanitizers) are not for the guest.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status();
    assert!(
        built.is_ok_and(|status| status.success()),
        "the guest plugin does not build"
    );
    PathBuf::from(target_dir)
        .join(TARGET)
        .join("release/guest.wasm")
}

/// Without rustup the target is expected to be there.
fn add_target() {
    let installed = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .output();
    let Ok(installed) = installed else { return };
    let installed = String::from_utf8_lossy(&installed.stdout);
    if !installed.lines().any(|line| line == TARGET) {
        let added = Command::new("rustup")
            .args(["target", "add", TARGET])
            .status();
        assert!(
            added.is_ok_and(|status| status.success()),
            "rustup target add {TARGET} failed"
        );
    }
}
