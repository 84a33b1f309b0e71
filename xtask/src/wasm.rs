//! `target/weir.wasm`, `target/weir-door.wasm` and `target/weir-login.wasm`: built, stripped to what Weir uses, and checked against what they may
//! ask of a host.
//!
//! The check is a promise to operators: [`IMPORTS`] is everything the module can do to its surroundings. A dependency
//! that starts to want a file or a socket fails the build here, not a deployment.

mod interface;
pub(crate) mod link;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use walrus::{ExportItem, ImportKind, Module, ModuleConfig};
use weir_testbed::layout::Layout;

use self::interface::{CALLBACKS, DOOR, IMPORTS, LOGIN, PLUMBING, PUSH, Surface};
use crate::cargo::{self, WASM_TARGET};
use crate::say;

/// The largest module allowed, in bytes, each. Envoy compiles all of it at every start and code update.
const MAX_BYTES: usize = 500_000;

/// Builds the plugins and writes the finished modules.
pub(crate) fn build(layout: &Layout) -> Result<()> {
    build_as(layout, &PUSH, &[], &layout.wasm())?;
    build_as(layout, &DOOR, &[], &layout.door_wasm())?;
    build_as(layout, &LOGIN, &[], &layout.login_wasm())
}

/// Builds the module for tests that crash VMs, and then the one to ship.
pub(crate) fn build_for_tests(layout: &Layout) -> Result<()> {
    build_as(layout, &PUSH, &["trap"], &layout.wasm_with_trap())?;
    build(layout)
}

fn build_as(layout: &Layout, surface: &Surface, features: &[&str], path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    say::timed(&name, || {
        cargo::ensure_wasm_target(layout)?;
        compile(layout, surface, features)?;
        let compiled = layout
            .target()
            .join(WASM_TARGET)
            .join(surface.profile)
            .join(surface.compiled);
        let finished = finish(&compiled, surface)?;
        ensure!(
            finished.len() <= MAX_BYTES,
            "the module has {} bytes, {MAX_BYTES} are allowed",
            finished.len()
        );
        // Renamed into place: an Envoy that is running may be reading the old one.
        let beside = path.with_extension("new");
        fs::write(&beside, &finished)?;
        fs::rename(&beside, path)?;
        say::note(&format!(
            "{}: {} bytes of at most {MAX_BYTES}",
            path.display(),
            finished.len()
        ));
        Ok(())
    })
}

/// Flags for rustc, as cargo wants them encoded.
pub(crate) fn remapped_paths(layout: &Layout) -> Result<String> {
    // Panic messages carry source paths into Envoy's log; none of them is to name the build machine.
    let home = |variable: &str, below: &str| {
        std::env::var(variable)
            .ok()
            .or_else(|| Some(format!("{}/{below}", std::env::var("HOME").ok()?)))
            .unwrap_or_else(|| below.to_owned())
    };
    let root = layout
        .root()
        .to_str()
        .context("the repository's path is not UTF-8")?;
    let flags = [
        format!("--remap-path-prefix={root}=weir"),
        format!("--remap-path-prefix={}=cargo", home("CARGO_HOME", ".cargo")),
        format!(
            "--remap-path-prefix={}=rustup",
            home("RUSTUP_HOME", ".rustup")
        ),
    ];
    Ok(flags.join("\u{1f}"))
}

fn compile(layout: &Layout, surface: &Surface, features: &[&str]) -> Result<()> {
    let flags = remapped_paths(layout)?;
    let mut build = cargo::cargo(layout);
    cargo::run(
        link::configure(&mut build)?
            .args([
                "build",
                "--profile",
                surface.profile,
                "--target",
                WASM_TARGET,
                "--package",
                surface.package,
                "--features",
                &features.join(","),
            ])
            .env_remove("RUSTFLAGS")
            .env("CARGO_ENCODED_RUSTFLAGS", flags),
    )
}

/// Reads the compiler's module and gives the one to ship.
fn finish(compiled: &Path, surface: &Surface) -> Result<Vec<u8>> {
    let bytes =
        fs::read(compiled).with_context(|| format!("cannot read {}", compiled.display()))?;
    let mut module =
        parse(&bytes).with_context(|| format!("{} is not a module", compiled.display()))?;
    reduce(&mut module, surface)?;
    let imports = checked_imports(&module, surface)?;
    say::note(&format!(
        "imports ({}): {}",
        imports.len(),
        imports.into_iter().collect::<Vec<_>>().join(", ")
    ));
    Ok(module.emit_wasm())
}

fn parse(bytes: &[u8]) -> Result<Module> {
    let mut config = ModuleConfig::new();
    config
        .generate_name_section(false)
        .generate_producers_section(false)
        .generate_dwarf(false);
    config.parse(bytes)
}

/// Leaves out what nobody calls: exports, custom sections, and all that only they reached.
fn reduce(module: &mut Module, surface: &Surface) -> Result<()> {
    put_own_callbacks(module)?;
    let dropped = drop_unused_exports(module, surface)?;
    let custom: Vec<_> = module.customs.iter().map(|(id, _)| id).collect();
    for section in custom {
        module.customs.delete(section);
    }
    walrus::passes::gc::run(module);
    if !dropped.is_empty() {
        say::note(&format!("callbacks left out: {}", dropped.join(", ")));
    }
    Ok(())
}

/// Gives the plugin's callbacks the names that the ABI has for them.
fn put_own_callbacks(module: &mut Module) -> Result<()> {
    let own: Vec<_> = (module.exports.iter())
        .filter_map(|export| {
            let name = export.name.strip_prefix(interface::OWN_PREFIX)?;
            Some((export.id(), format!("{}{name}", interface::CALLBACK_PREFIX)))
        })
        .collect();
    ensure!(
        !own.is_empty(),
        "the plugin has no callbacks of its own: {}… is missing",
        interface::OWN_PREFIX
    );
    for (export, name) in own {
        module.exports.get_mut(export).name = name;
    }
    Ok(())
}

/// Removes every callback that is not in [`CALLBACKS`] and tells which those were. Anything else the module exports
/// must be in [`PLUMBING`] or is removed as well: nobody calls it.
fn drop_unused_exports(module: &mut Module, surface: &Surface) -> Result<Vec<String>> {
    let callbacks = CALLBACKS.iter().chain(surface.callbacks);
    let mut missing: BTreeSet<&str> = callbacks.map(|(name, _)| *name).collect();
    let mut dropped = Vec::new();
    let mut unwanted = Vec::new();
    let mut speaks_abi = false;
    for export in module.exports.iter() {
        let name = export.name.as_str();
        speaks_abi |= name == interface::ABI_VERSION;
        if missing.remove(name) || name == interface::ABI_VERSION || PLUMBING.contains(&name) {
            continue;
        }
        unwanted.push(export.id());
        if name.starts_with("proxy_") && matches!(export.item, ExportItem::Function(_)) {
            dropped.push(name.to_owned());
        }
    }
    ensure!(
        speaks_abi,
        "the module does not export {}",
        interface::ABI_VERSION
    );
    ensure!(
        missing.is_empty(),
        "the module lacks callbacks it needs: {missing:?}"
    );
    for export in unwanted {
        module.exports.delete(export);
    }
    dropped.sort();
    Ok(dropped)
}

fn checked_imports(module: &Module, surface: &Surface) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for import in module.imports.iter() {
        let name = format!("{}.{}", import.module, import.name);
        let known = IMPORTS
            .iter()
            .any(|&(from, names)| from == import.module && names.contains(&import.name.as_str()))
            || (import.module == "env" && surface.imports.contains(&import.name.as_str()));
        if !known || !matches!(import.kind, ImportKind::Function(_)) {
            bail!(
                "the module imports {name}, which is not in the list of what Weir may ask of its host"
            );
        }
        found.insert(import.name.clone());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use walrus::{FunctionBuilder, FunctionId, RawCustomSection};

    use super::*;

    /// A module with a callback of the plugin's own for each of the list, further exports, and one import that each of `users` calls.
    fn module(further: &[&str], import: (&str, &str), users: &[&str]) -> Module {
        let mut module = parse(b"\0asm\x01\0\0\0").expect("an empty module");
        let signature = module.types.add(&[], &[]);
        let (imported, _) = module.add_import_func(import.0, import.1, signature);
        let own = |(name, _): &(&str, _)| {
            name.replacen(interface::CALLBACK_PREFIX, interface::OWN_PREFIX, 1)
        };
        let names = (CALLBACKS.iter().map(own))
            .chain([interface::ABI_VERSION.to_owned()])
            .chain(further.iter().map(|name| (*name).to_owned()));
        for name in names {
            let calls = users.contains(&name.as_str()).then_some(imported);
            let function = function(&mut module, calls);
            module.exports.add(&name, function);
        }
        module.customs.add(RawCustomSection {
            name: "target_features".into(),
            data: vec![1, 2, 3],
        });
        module
    }

    fn function(module: &mut Module, calls: Option<FunctionId>) -> FunctionId {
        let mut builder = FunctionBuilder::new(&mut module.types, &[], &[]);
        if let Some(callee) = calls {
            builder.func_body().call(callee);
        }
        builder.finish(Vec::new(), &mut module.funcs)
    }

    #[test]
    fn a_callback_that_weir_does_not_use_goes_with_the_imports_only_it_needed() {
        let mut module = module(
            &["proxy_on_downstream_data", "__heap_base"],
            ("wasi_snapshot_preview1", "sock_send"),
            &["proxy_on_downstream_data"],
        );
        assert!(checked_imports(&module, &PUSH).is_err());
        reduce(&mut module, &PUSH).expect("all that is needed is there");
        let module = parse(&module.emit_wasm()).expect("what is written can be read");
        let exports: BTreeSet<_> = module
            .exports
            .iter()
            .map(|export| export.name.clone())
            .collect();
        assert!(
            exports.contains("proxy_on_request_body") && exports.contains(interface::ABI_VERSION)
        );
        assert!(!exports.contains("proxy_on_downstream_data") && !exports.contains("__heap_base"));
        assert!(
            checked_imports(&module, &PUSH)
                .expect("no surprise is left")
                .is_empty()
        );
        assert_eq!(module.customs.iter().count(), 0);
    }

    #[test]
    fn the_plugins_callbacks_get_the_names_of_the_abi() {
        let mut module = module(&[], ("env", "proxy_log"), &["weir_on_request_body"]);
        reduce(&mut module, &PUSH).expect("all that is needed is there");
        let body = module.exports.get_func("proxy_on_request_body");
        let body = body.expect("a callback");
        let own = module.funcs.get(body).kind.unwrap_local();
        let mut calls = 0;
        for (instruction, _) in &own.block(own.entry_block()).instrs {
            calls += usize::from(matches!(instruction, walrus::ir::Instr::Call(_)));
        }
        assert_eq!(calls, 1, "it is the one that logs");
        assert!(module.exports.get_func("weir_on_request_body").is_err());
    }

    #[test]
    fn an_import_that_is_not_in_the_list_fails_the_build() {
        let mut module = module(
            &[],
            ("wasi_snapshot_preview1", "path_open"),
            &["weir_on_tick"],
        );
        reduce(&mut module, &PUSH).expect("all that is needed is there");
        let error = checked_imports(&module, &PUSH)
            .expect_err("a surprise")
            .to_string();
        assert!(
            error.contains("wasi_snapshot_preview1.path_open"),
            "{error}"
        );
    }

    #[test]
    fn a_module_without_a_needed_callback_fails_the_build() {
        let mut module = module(&[], ("env", "proxy_log"), &["weir_on_tick"]);
        module.exports.remove("weir_on_done").expect("it was there");
        let error = reduce(&mut module, &PUSH)
            .expect_err("incomplete")
            .to_string();
        assert!(error.contains("proxy_on_done"), "{error}");
    }
}
