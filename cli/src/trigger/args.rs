//! The arguments of `weir trigger`, and its help.

use std::path::PathBuf;

use clap::Args;
use weir_sim::Value;

use crate::account::AccountArgs;
use crate::target::ConnectArgs;

/// Arguments of `weir trigger`.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct TriggerArgs {
    /// The push URL; with --config its scheme and host are enough
    #[arg(required_unless_present = "list_kinds")]
    pub(super) url: Option<String>,
    /// What to send: text, image, subscribe, SCAN, CLICK, user_get_card … any kind; 'verify' is the console's check of the URL
    #[arg(required_unless_present_any = ["list_kinds", "raw"])]
    pub(super) kind: Option<String>,
    /// What it says: the text, the scene of subscribe and SCAN, the EventKey of other events
    pub(super) value: Option<String>,

    /// Set a field: Content=hello, nested SendPicsInfo.Count=1, in lists List.0.TemplateId=x; Name:=1 is a bare number
    #[arg(long, value_name = "NAME=VALUE", value_parser = field)]
    pub(super) set: Vec<(String, Value)>,
    /// Leave a field out
    #[arg(long, value_name = "NAME")]
    pub(super) without: Vec<String>,
    /// The scene of the QR code that was scanned, for subscribe and SCAN
    #[arg(long, value_name = "SCENE", conflicts_with = "value")]
    pub(super) scene: Option<String>,
    /// Who sends it [default: somebody new]
    #[arg(long)]
    pub(super) openid: Option<String>,
    /// Send this file as the readable body, signed and encrypted as usual, in place of fields
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kind", "value", "set", "without", "scene"])]
    pub(super) raw: Option<PathBuf>,
    /// How often WeChat tries, at 0, 5 and 10 seconds with the same MsgId, until it has an answer
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3))]
    pub(super) attempts: u32,
    /// Be so many times as impatient as WeChat: 10 makes 500 ms of its 5 s
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) faster: u32,
    /// Send nothing: print the request as a curl command, good for 5 minutes
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print one JSON document: attempts, verdict, reply (its fields, decrypted), notes
    #[arg(long)]
    pub(super) json: bool,
    /// List the kinds that are known, with the fields of each
    #[arg(long, exclusive = true)]
    pub(super) list_kinds: bool,

    #[command(flatten)]
    pub(super) account: AccountArgs,
    #[command(flatten)]
    pub(super) connect: ConnectArgs,
}

impl TriggerArgs {
    pub(super) fn is_verification(&self) -> bool {
        self.kind.as_deref() == Some("verify")
    }
}

/// `NAME=VALUE` or `NAME:=NUMBER`.
fn field(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("it has to be NAME=VALUE, or NAME:=NUMBER")?;
    Ok(match name.strip_suffix(':') {
        Some(name) => (name.to_owned(), Value::Number(value.to_owned())),
        None => (name.to_owned(), value.into()),
    })
}

const HELP: &str = "\
The push is signed, encrypted and timed as WeChat does it, by code that shares nothing with the
gateway's. The reply is decrypted and judged as strictly as WeChat judges: signature, parties,
CreateTime, type, lengths. Fields that are not set get plausible values: --list-kinds shows which
there are. A kind that is not known is sent as an event; set MsgType to send it as a message.

The command says what WeChat would do: show the reply, show nothing, show the notice that the
service is at fault (该公众号提供的服务出现故障，请稍后再试), or try again.

Exit codes: 0 WeChat would be content, 1 the user would see the notice or WeChat would try again,
2 it could not be tried.

Examples:
  weir trigger http://127.0.0.1:10000 text hello --config envoy.yaml
  weir trigger https://wx.example.com subscribe --scene 123 --config envoy.yaml --account demo
  weir trigger https://wx.example.com CLICK menu-1 --config envoy.yaml --env-file weir.env --json
  weir trigger http://127.0.0.1:10000 subscribe_msg_popup_event \\
      --set List.0.SubscribeStatusString=reject --config envoy.yaml
  weir trigger http://127.0.0.1:10000/wechat/demo user_get_card --set OuterStr=poster-7 \\
      --token-env WEIR_DEMO_TOKEN --aes-key-env WEIR_DEMO_AES_KEY \\
      --appid wx0123456789abcdef --original-id gh_0a1b2c3d4e5f
  weir trigger http://127.0.0.1:10000 text hello --config envoy.yaml --dry-run | sh
  weir trigger https://wx.example.com verify --config envoy.yaml";
