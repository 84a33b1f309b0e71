//! Which packages go together.
//!
//! A command for many of them selects the same ones each time: another selection is another set of the features of what they share,
//! and all of that is compiled anew.

use std::process::Command;

/// What Envoy loads: compiled for its target alone.
const MODULES: [&str; 3] = ["weir-plugin", "weir-door-plugin", "weir-login-plugin"];
/// The components and their tests, which take a runtime that nothing else needs: `cargo xtask component`.
const COMPONENTS: [&str; 3] = ["weir-component", "weir-codec", "weir-component-tests"];

/// Everything that runs on this machine.
pub(crate) fn programs(command: &mut Command) -> &mut Command {
    documented(command);
    for package in MODULES {
        command.args(["--exclude", package]);
    }
    command
}

/// Everything that is described: the modules, too.
pub(crate) fn documented(command: &mut Command) -> &mut Command {
    command.arg("--workspace");
    for package in COMPONENTS {
        command.args(["--exclude", package]);
    }
    command
}

/// The modules.
pub(crate) fn modules(command: &mut Command) -> &mut Command {
    for package in MODULES {
        command.args(["--package", package]);
    }
    command
}
