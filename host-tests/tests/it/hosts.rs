//! Which scenario holds where: `docs/hosts.md`, written from the definition that the tests are made from.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use weir_testbed::layout::Layout;

/// What a scenario needs of its host beside what every host gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    Background,
    Modules,
    Updates,
}

impl Needs {
    /// What stands in the component's column.
    fn component(self) -> &'static str {
        match self {
            Self::Nothing => "yes",
            Self::Background => "refused: `background`",
            Self::Modules => "no: another module",
            Self::Updates => "no: started anew",
        }
    }
}

const HEAD: &str = "\
# Which scenario holds where

Every scenario is written once (`host-tests/tests/it`) and run on each host where it says yes. This page is written from the definition of those
runs, and a test compares the two: `WEIR_REWRITE=1 cargo test -p weir-host-tests hosts::` writes it anew.

* Envoy and the proxy-wasm host run `weir.wasm` from the same `envoy.yaml`; the component is `weir-component.wasm` in `weir-serve`.
* `background`: the host does nothing between requests. Settings that need it (`ack: at_once`, `forward`, `late_replies: send`) are refused with
  their path when the configuration is read.
* The component is the push edge alone: the API door and logins are modules of a proxy. Its configuration is what its host starts it with.

| scenario | Envoy | proxy-wasm host | component |
|---|---|---|---|
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (needs, modules) in crate::SCENARIOS {
        let component = needs.component();
        for (module, names) in *modules {
            for name in *names {
                let name = name.replace('_', " ");
                // Writing to a String cannot fail.
                let _ = writeln!(page, "| {module}: {name} | yes | yes | {component} |");
            }
        }
    }
    page
}

#[test]
fn the_table_in_the_docs_says_what_is_run() -> Result<()> {
    let path = Layout::of_this_checkout().root().join("docs/hosts.md");
    if std::env::var("WEIR_REWRITE").is_ok_and(|value| value == "1") {
        std::fs::write(&path, page())?;
    }
    let written = std::fs::read_to_string(&path).context("docs/hosts.md")?;
    ensure!(written == page(), "docs/hosts.md is not what is run");
    Ok(())
}
