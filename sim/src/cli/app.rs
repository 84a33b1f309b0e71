//! `weir-sim app`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use weir_sim::app::{Answer, App};

/// How often to look for calls to tell of.
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Args)]
pub(super) struct AppArgs {
    /// Where to listen, on loopback; 0 picks a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// Answer every push with this text instead of what its words ask for.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Answer in WeChat's XML instead of JSON.
    #[arg(long, requires = "text")]
    xml: bool,
    /// Answer so many seconds later.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, requires = "text")]
    wait: f64,
}

pub(super) async fn run(args: AppArgs) -> anyhow::Result<bool> {
    let app = App::start(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port))).await?;
    if let Some(text) = &args.text {
        let answer = if args.xml {
            Answer::xml(text)
        } else {
            Answer::text(text)
        };
        app.plan("", answer.after(Duration::try_from_secs_f64(args.wait)?));
    }
    // Heard from before anybody is told that this is up.
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    println!("ready app=http://{}", app.address());
    let mut told = 0;
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(true),
            _ = terminate.recv() => return Ok(true),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        for call in app.calls().iter().skip(told) {
            told += 1;
            println!(
                "call {told} {} id={} bytes={}",
                call.path.split('?').next().unwrap_or_default(),
                call.id().as_deref().unwrap_or("-"),
                call.body.len()
            );
        }
    }
}
