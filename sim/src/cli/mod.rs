//! The command line. Exit code 0: all was right; 1: the backend did something wrong; 2: it could not be tried.

mod api;
mod app;
mod push;
mod walk;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use weir_sim::http::{Target, Trust};
use weir_sim::wechat::account;
use weir_sim::wechat::{Format, Mode};
use weir_sim::{Account, Sender, SendingClock};

/// WeChat's side in a box: sends pushes as WeChat does, and serves a fake api.weixin.qq.com.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a fake api.weixin.qq.com.
    Api(api::ApiArgs),
    /// Serve an application that pushes are forwarded to; what it does, the user's words say (`wait 7 …`, `empty`, `reset` …).
    App(app::AppArgs),
    /// Verify a URL as WeChat's console does.
    Verify(SenderArgs),
    /// Send one push of any kind and show the exchange.
    Push(push::PushArgs),
    /// Verify, follow, text, unfollow: each step checked, in the store too.
    Walk(walk::WalkArgs),
    /// Print a new account with random ids and secrets, for an account file.
    Account(AccountCommand),
}

pub(crate) async fn run(cli: Cli) -> anyhow::Result<bool> {
    match cli.command {
        Command::Api(args) => api::run(args).await,
        Command::App(args) => app::run(args).await,
        Command::Verify(args) => push::verify(&args).await,
        Command::Push(args) => push::run(args).await,
        Command::Walk(args) => walk::run(args).await,
        Command::Account(args) => args.run(),
    }
}

/// Where accounts come from.
#[derive(Args)]
struct AccountFile {
    /// JSON file with one account or a list: name, original_id, appid, secret, token, encoding_aes_key, mode
    /// (plain, compatible, encrypted), format (xml, json).
    #[arg(long = "account-file", alias = "accounts", value_name = "FILE")]
    account_file: PathBuf,
}

/// One account and where to send for it.
#[derive(Args)]
struct SenderArgs {
    #[command(flatten)]
    file: AccountFile,
    /// Which account of the file; may be left out when there is one.
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Another mode than the file's.
    #[arg(long, value_enum)]
    mode: Option<ModeArg>,
    /// Another data format than the file's.
    #[arg(long, value_enum)]
    format: Option<FormatArg>,
    /// The push URL.
    #[arg(long)]
    url: String,
    /// Trust only the authorities in this PEM file when the URL is https.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Be so many times as impatient: 100 makes 50 ms of the 5 s.
    #[arg(long, value_name = "N", default_value_t = 1)]
    faster: u32,
}

impl SenderArgs {
    fn account(&self) -> anyhow::Result<Account> {
        let mut accounts = account::load(&self.file.account_file)?;
        let mut account = match &self.account {
            Some(name) => {
                let index = accounts.iter().position(|account| account.name == *name);
                accounts
                    .swap_remove(index.with_context(|| format!("no account {name:?} in the file"))?)
            }
            None if accounts.len() == 1 => accounts.remove(0),
            None => bail!("the file has several accounts: choose one with --account"),
        };
        if let Some(mode) = self.mode {
            account.mode = mode.into();
        }
        if let Some(format) = self.format {
            account.format = format.into();
        }
        account.check()?;
        Ok(account)
    }

    fn ca_pem(&self) -> anyhow::Result<Option<Vec<u8>>> {
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("CA file {}", path.display()))
        };
        self.ca.as_ref().map(read).transpose()
    }

    fn timing(&self) -> SendingClock {
        SendingClock::faster(self.faster)
    }

    fn sender(&self) -> anyhow::Result<Sender> {
        let pem = self.ca_pem()?;
        let target =
            Target::parse_trusting(&self.url, pem.as_deref().map_or(Trust::Public, Trust::Pem))?;
        Ok(Sender::to(self.account()?, target)?.with_timing(self.timing()))
    }
}

#[derive(Args)]
struct AccountCommand {
    /// Its name.
    name: String,
    /// How pushes travel.
    #[arg(long, value_enum, default_value = "encrypted")]
    mode: ModeArg,
    /// The data format.
    #[arg(long, value_enum, default_value = "xml")]
    format: FormatArg,
}

impl AccountCommand {
    fn run(self) -> anyhow::Result<bool> {
        let account = Account::random(&self.name)
            .with_mode(self.mode.into())
            .with_format(self.format.into());
        println!("{}", serde_json::to_string_pretty(&account)?);
        Ok(true)
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum ModeArg {
    Plain,
    Compatible,
    Encrypted,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Plain => Self::Plain,
            ModeArg::Compatible => Self::Compatible,
            ModeArg::Encrypted => Self::Encrypted,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum FormatArg {
    Xml,
    Json,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Xml => Self::Xml,
            FormatArg::Json => Self::Json,
        }
    }
}
