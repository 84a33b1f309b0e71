//! `weir-sim walk`.

use std::io::IsTerminal;

use clap::Args;
use weir_sim::Scene;
use weir_sim::walk::{self, Options, Printer};

use super::SenderArgs;

#[derive(Args)]
pub(super) struct WalkArgs {
    #[command(flatten)]
    sender: SenderArgs,
    /// The store's URL: its API is asked for the user.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The control API of the fake api.weixin.qq.com: it is told who follows.
    #[arg(long, value_name = "URL")]
    api_control: Option<String>,
    /// Scene of the QR code: a number or a text.
    #[arg(long, default_value = "123456")]
    scene: String,
    /// What the user writes.
    #[arg(long, default_value = "hello")]
    text: String,
    /// The reply to the follow has to contain this.
    #[arg(long, value_name = "TEXT")]
    expect_follow: Option<String>,
    /// The reply to the text has to contain this.
    #[arg(long, value_name = "TEXT")]
    expect_text: Option<String>,
}

pub(super) async fn run(args: WalkArgs) -> anyhow::Result<bool> {
    let account = args.sender.account()?;
    let options = Options {
        ca_pem: args.sender.ca_pem()?,
        store: args.store,
        api_control: args.api_control,
        scene: Scene::parse(&args.scene),
        text: args.text,
        expect_follow: args.expect_follow,
        expect_text: args.expect_text,
        timing: args.sender.timing(),
        ..Options::new(account, &args.sender.url)
    };
    let stdout = std::io::stdout();
    let mut printer = Printer::new(stdout.lock(), stdout.is_terminal());
    printer.heading(&options)?;
    let mut printed = Ok(());
    let report = walk::run_with(&options, |step| {
        if printed.is_ok() {
            printed = printer.step(step);
        }
    })
    .await?;
    printed?;
    printer.summary(&report)?;
    Ok(report.is_right())
}
