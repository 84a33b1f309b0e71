//! `weir-sim api`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use weir_sim::Clock;
use weir_sim::api::{Options, Server, TlsOptions};
use weir_sim::wechat::account;

use super::AccountFile;

#[derive(Args)]
pub(super) struct ApiArgs {
    #[command(flatten)]
    file: AccountFile,
    /// Where to listen; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// TLS, with a certificate for api.weixin.qq.com from an authority made at start.
    #[arg(long)]
    tls: bool,
    /// Write that authority's certificate here, as PEM.
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca_out: Option<PathBuf>,
    /// Where the control API (/_sim/…) listens; not at all without this. It knows no access control.
    #[arg(long, value_name = "ADDR")]
    control: Option<SocketAddr>,
    /// Openids that were never met count as followers.
    #[arg(long)]
    any_openid: bool,
    /// Let time pass so many times as fast.
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    faster: f64,
}

pub(super) async fn run(args: ApiArgs) -> anyhow::Result<bool> {
    let accounts = account::load(&args.file.account_file)?;
    let names: Vec<String> = accounts
        .iter()
        .map(|account| account.name.clone())
        .collect();
    let server = Server::start(Options {
        listen: args.listen,
        tls: args.tls.then_some(TlsOptions {
            ca_out: args.ca_out,
        }),
        control: args.control,
        accounts,
        clock: Clock::faster(args.faster),
    })
    .await?;
    for name in &names {
        server.world().accept_any_openid(name, args.any_openid)?;
    }

    // Heard from before anybody is told that this is up.
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let scheme = if args.tls { "https" } else { "http" };
    let control = server
        .control_addr()
        .map_or(String::new(), |addr| format!(" control=http://{addr}"));
    println!(
        "ready api={scheme}://{}{control} accounts={}",
        server.addr(),
        names.join(",")
    );
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(true)
}
