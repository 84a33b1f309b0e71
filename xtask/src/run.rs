//! `cargo xtask run`.
use anyhow::{Result, bail};
use weir_testbed::layout::Layout;

pub(crate) struct Options;
impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        if let Some(a) = arguments.first() {
            bail!("{a}\n{}", crate::HELP);
        }
        Ok(Self)
    }
}
pub(crate) fn run(_: &Layout, _: &Options) -> Result<()> {
    bail!("later")
}
