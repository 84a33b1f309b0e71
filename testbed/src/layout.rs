//! Where things are: the repository, what cargo built, and scratch space for runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

/// The directories of one checkout.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
    target: PathBuf,
}

impl Layout {
    /// The checkout this crate was built in; build results are under `$CARGO_TARGET_DIR`, else under `target/`.
    #[must_use]
    pub fn of_this_checkout() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().unwrap_or(here).to_path_buf();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => root.join(dir), // an absolute one replaces the root
            None => root.join("target"),
        };
        Self { root, target }
    }

    /// The repository's root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo builds.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The repository's `envoy.yaml`.
    #[must_use]
    pub fn envoy_yaml(&self) -> PathBuf {
        self.root.join("envoy.yaml")
    }

    /// The module that Envoy and the wasmtime host load; `cargo xtask wasm` makes it.
    #[must_use]
    pub fn wasm(&self) -> PathBuf {
        self.target.join("weir.wasm")
    }

    /// The module of the API door; `cargo xtask wasm` makes it, too.
    #[must_use]
    pub fn door_wasm(&self) -> PathBuf {
        self.target.join("weir-door.wasm")
    }

    /// The module for logins; `cargo xtask wasm` makes it, too.
    #[must_use]
    pub fn login_wasm(&self) -> PathBuf {
        self.target.join("weir-login.wasm")
    }

    /// The component; `cargo xtask component` makes it.
    #[must_use]
    pub fn component(&self) -> PathBuf {
        self.target.join("weir-component.wasm")
    }

    /// The component for hosts that have `wasi:keyvalue`; made with it.
    #[must_use]
    pub fn component_keyvalue(&self) -> PathBuf {
        self.target.join("weir-component-keyvalue.wasm")
    }

    /// The codec for any language; made with it.
    #[must_use]
    pub fn codec(&self) -> PathBuf {
        self.target.join("weir-codec.wasm")
    }

    /// [`wasm`](Self::wasm) with a path that crashes a VM, for tests.
    #[must_use]
    pub fn wasm_with_trap(&self) -> PathBuf {
        self.target.join("weir-trap.wasm")
    }

    /// The module, which must exist.
    ///
    /// # Errors
    /// It was not built yet.
    pub fn built_wasm(&self) -> Result<PathBuf> {
        let path = self.wasm();
        ensure!(
            path.is_file(),
            "{} is not there: run `cargo xtask wasm` first",
            path.display()
        );
        Ok(path)
    }

    /// A program of this workspace, as built in `profile` (`debug` or `release`).
    ///
    /// # Errors
    /// It was not built yet.
    pub fn built_program(&self, name: &str, profile: &str) -> Result<PathBuf> {
        let path = self.target.join(profile).join(name);
        ensure!(
            path.is_file(),
            "{} is not there: build it with `cargo build --bin {name}` or let `cargo xtask` do it",
            path.display()
        );
        Ok(path)
    }

    /// An empty directory of its own under `target/<group>/`, for one run's files. It stays for whoever wants to read
    /// the logs; one of the same name left by an earlier process is emptied first.
    ///
    /// # Errors
    /// The file system refused.
    pub fn scratch(&self, group: &str, name: &str) -> Result<PathBuf> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.fresh_dir(
            self.target
                .join(group)
                .join(format!("{name}-{}-{number}", std::process::id())),
        )
    }

    /// The directory `target/<name>`, emptied.
    ///
    /// # Errors
    /// The file system refused.
    pub fn emptied(&self, name: &str) -> Result<PathBuf> {
        self.fresh_dir(self.target.join(name))
    }

    fn fresh_dir(&self, dir: PathBuf) -> Result<PathBuf> {
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))?;
        }
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(dir)
    }
}
