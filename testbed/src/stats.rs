//! A snapshot of Envoy's numbers, by name.
//!
//! Counters and gauges only, as `/stats` lists them; histograms are left out (their lines are not numbers). Weir's own
//! names carry the prefix `wasmcustom.` there, see [`Stats::weir`].

use std::collections::BTreeMap;

/// Envoy's counters and gauges at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats(BTreeMap<String, u64>);

impl Stats {
    /// Reads the plain text of `/stats`: one `name: value` a line. Lines with other values are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let number = |line: &str| {
            let (name, value) = line.rsplit_once(": ")?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        };
        Self(text.lines().filter_map(number).collect())
    }

    /// The value under exactly this name; a number nobody has touched yet is not listed and counts as 0.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// The sum of Weir's metrics whose name starts with `prefix`, say `weir.pushes.account.demo.`.
    #[must_use]
    pub fn weir(&self, prefix: &str) -> u64 {
        self.matching(&format!("wasmcustom.{prefix}"))
            .map(|(_, value)| value)
            .sum()
    }

    /// All entries whose name starts with `prefix`, in order of name.
    pub fn matching<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, u64)> {
        self.0
            .range(prefix.to_owned()..)
            .take_while(move |(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.as_str(), *value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
cluster.weir_store.upstream_cx_total: 3
listener.[::1]_0.downstream_cx_total: 5
wasmcustom.weir.calls.target.store.status.2xx: 7
wasmcustom.weir.calls.target.token.status.2xx: 1
wasmcustom.weir.calls_other: 100
wasmcustom.weir.reply_ms.account.demo: P0(nan,1) P25(nan,1.025)
";

    #[test]
    fn a_name_with_colons_and_a_histogram_do_not_confuse_the_reader() {
        let stats = Stats::parse(TEXT);
        assert_eq!(stats.get("listener.[::1]_0.downstream_cx_total"), 5);
        assert_eq!(stats.matching("wasmcustom.weir.reply_ms").count(), 0);
        assert_eq!(stats.get("never.touched"), 0);
    }

    #[test]
    fn metrics_under_a_prefix_are_summed() {
        assert_eq!(Stats::parse(TEXT).weir("weir.calls.target."), 8);
    }
}
