//! Measures Weir in real Envoy: what a push costs, how long it takes, what stays in memory.
//!
//! Everything is measured in one run, scenarios in turn, so that they meet the same machine in the same mood; figures
//! are medians over the rounds, ratios are taken within a round. The cost of a push is CPU time of the processes at the
//! edge, all pinned to one core; the load and the sink of the events run on another, so that the load is never the
//! limit. A run whose answers are not all right, or whose events do not all arrive, exactly once, fails: it says nothing.
//!
//! | module | is |
//! |---|---|
//! | [`scenarios`] | what is compared |
//! | [`compare`]   | the rounds, and what the figures are held against |
//! | [`memory`]    | a million pushes, with the memory along the way |
//! | [`after_store`] | Weir with the real store: group commit, latency at a steady rate |
//! | [`overload`] | four times as many pushes as the store takes |
//! | [`hosts`] | the two hosts without Envoy |
//! | [`edge`]      | Envoy in each variant, from the repository's `envoy.yaml` |
//! | [`native`]    | the native server that Weir is compared with |
//! | [`pushes`]    | requests made ahead, and what their answers must be |
//! | [`load`]      | sends them and judges the answers |
//! | [`sink`]      | takes the events and counts each |
//! | [`cores`]     | pinning, and CPU time of a process |
//! | [`report`]    | the table and `bench.json` |
//!
//! # Out of scope
//! Other systems than Linux; machines with one core; networks.

mod after_store;
mod compare;
mod cores;
mod edge;
mod hosts;
mod load;
mod memory;
mod native;
mod overload;
mod pushes;
mod report;
mod scenarios;
mod sink;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use weir_testbed::layout::Layout;

#[derive(Debug, Parser)]
#[command(name = "weir-bench", about = "Measures Weir in real Envoy")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// A few seconds, to see that everything works; its figures mean nothing
    #[arg(long, global = true)]
    quick: bool,
    /// Rounds of the comparison
    #[arg(long, global = true, default_value_t = 7)]
    rounds: usize,
    /// Pushes in one slice of a round
    #[arg(long, global = true, default_value_t = 40_000)]
    pushes: usize,
    /// Connections of the load
    #[arg(long, global = true, default_value_t = 32)]
    connections: usize,
    /// Only these scenarios, by name
    #[arg(long, global = true, value_delimiter = ',')]
    only: Vec<String>,
    /// Also measure Weir with this module, in the same run; may be given several times
    #[arg(long, global = true, value_name = "FILE")]
    against: Vec<PathBuf>,
    /// Where the figures go [default: bench.json in the target directory]
    #[arg(long, global = true)]
    out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare the scenarios (what happens without a command)
    Compare,
    /// A million distinct pushes, and Envoy's memory along the way
    Memory {
        /// How many
        #[arg(long, default_value_t = 1_000_000)]
        total: usize,
    },
    /// The module in the proxy-wasm host against the component in weir-serve; build those first
    Hosts,
    /// The native server of the comparison, started by it
    #[command(hide = true)]
    Native {
        /// Where its events go
        #[arg(long)]
        sink: SocketAddr,
        /// The plugin's configuration, a JSON file
        #[arg(long)]
        configuration: PathBuf,
    },
}

impl Options {
    /// What `--quick` asks for, in place of the defaults.
    fn shortened(mut self) -> Self {
        if self.quick {
            self.rounds = self.rounds.min(1);
            self.pushes = self.pushes.min(600);
        }
        self
    }

    fn report(&self, layout: &Layout) -> PathBuf {
        self.out
            .clone()
            .unwrap_or_else(|| layout.target().join("bench.json"))
    }
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let options = cli.options.shortened();
    let layout = Layout::of_this_checkout();
    match cli.command {
        None | Some(Command::Compare) => compare::run(&layout, &options),
        Some(Command::Memory { total }) => {
            let total = if options.quick {
                total.min(5_000)
            } else {
                total
            };
            memory::run(&layout, &options, total)
        }
        Some(Command::Hosts) => hosts::run(&layout, &options),
        Some(Command::Native {
            sink,
            configuration,
        }) => native::run(sink, &configuration),
    }
}
