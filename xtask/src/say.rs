//! What the commands print of their own, apart from what the programs they start print.

use std::time::Instant;

/// Announces a step.
pub(crate) fn step(what: &str) {
    println!("==> {what}");
}

/// A remark within a step.
pub(crate) fn note(what: &str) {
    println!("    {what}");
}

/// Something the reader must not overlook.
pub(crate) fn loudly(what: &str) {
    println!("\n!!! {what}\n");
}

/// Announces a step, does it, and tells how long it took.
pub(crate) fn timed<T>(what: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    step(what);
    let start = Instant::now();
    let result = work()?;
    note(&format!("done in {:.1} s", start.elapsed().as_secs_f64()));
    Ok(result)
}
