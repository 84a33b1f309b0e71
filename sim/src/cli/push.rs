//! `weir-sim push` and `weir-sim verify`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use weir_sim::api::{Act, ControlClient, Follow};
use weir_sim::wechat::ids;
use weir_sim::{Account, Attempt, Exchange, Outcome, Push, Scene, UserSees, Value};

use super::SenderArgs;

#[derive(Args)]
pub(super) struct PushArgs {
    #[command(flatten)]
    sender: SenderArgs,
    /// Who sends it; a new user when left out.
    #[arg(long, value_name = "OPENID")]
    from: Option<String>,
    /// The control API of the fake api.weixin.qq.com: it is told what the user does.
    #[arg(long, value_name = "URL")]
    api_control: Option<String>,
    /// Retries repeat the first attempt byte by byte instead of being signed anew.
    #[arg(long)]
    repeat: bool,
    /// A further field; dots nest: ScanCodeInfo.ScanType=qrcode. Name:=42 writes a bare number.
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = field)]
    fields: Vec<(String, Value)>,
    /// CreateTime, Unix seconds; now when left out.
    #[arg(long, value_name = "SECONDS")]
    create_time: Option<i64>,
    /// MsgId of a message; a new one when left out.
    #[arg(long, value_name = "ID")]
    msg_id: Option<u64>,
    /// Send this file as the (readable) body, in place of the fields.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand)]
enum Kind {
    /// A text message.
    Text { content: String },
    /// A message of any type; its fields by --field.
    Message { msg_type: String },
    /// A follow, by QR code when a scene is given.
    Subscribe {
        #[arg(long)]
        scene: Option<String>,
    },
    /// The end of a follow.
    Unsubscribe,
    /// A QR code scanned by a follower.
    Scan { scene: String },
    /// A menu button with a key.
    Click { key: String },
    /// A menu button with a link.
    View { link: String },
    /// An event of any kind; its fields by --field.
    Event { event: String },
}

fn field(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("it has to be NAME=VALUE")?;
    Ok(match name.strip_suffix(':') {
        Some(name) => (name.to_owned(), Value::Number(value.to_owned())),
        None => (name.to_owned(), value.into()),
    })
}

impl Kind {
    fn push(&self, account: &Account, openid: &str) -> Push {
        match self {
            Self::Text { content } => Push::text(account, openid, content),
            Self::Message { msg_type } => Push::message(account, openid, msg_type),
            Self::Subscribe { scene: None } => Push::subscribe(account, openid),
            Self::Subscribe { scene: Some(scene) } => {
                Push::subscribe_by_qr(account, openid, &Scene::parse(scene))
            }
            Self::Unsubscribe => Push::unsubscribe(account, openid),
            Self::Scan { scene } => Push::scan(account, openid, &Scene::parse(scene)),
            Self::Click { key } => Push::click(account, openid, key),
            Self::View { link } => Push::view(account, openid, link),
            Self::Event { event } => Push::event(account, openid, event),
        }
    }

    /// Tells the fake API what the user does.
    async fn tell(
        &self,
        control: &ControlClient,
        account: &str,
        push: &Push,
    ) -> anyhow::Result<()> {
        let openid = push.from_user_name();
        match self {
            Self::Subscribe { scene } => {
                let scene = scene.as_deref().map(Scene::parse);
                let follow = Follow {
                    scene,
                    at: Some(push.create_time()),
                    ..Follow::default()
                };
                control.follow(account, openid, &follow).await
            }
            Self::Unsubscribe => control.unfollow(account, openid).await,
            Self::Text { .. } | Self::Message { .. } => {
                control.act(account, openid, Act::Message).await
            }
            Self::Scan { .. } => control.act(account, openid, Act::Scan).await,
            Self::Click { .. } => control.act(account, openid, Act::Click).await,
            Self::View { .. } | Self::Event { .. } => Ok(()),
        }
    }
}

pub(super) async fn run(args: PushArgs) -> anyhow::Result<bool> {
    let mut sender = args.sender.sender()?;
    if args.repeat {
        sender = sender.repeating();
    }
    let openid = args.from.unwrap_or_else(ids::openid);
    let mut push = args.kind.push(sender.account(), &openid);
    for (name, value) in args.fields {
        push = push.field_at(&name, value);
    }
    if let Some(create_time) = args.create_time {
        push = push.at(create_time);
    }
    if args.msg_id.is_some() {
        push = push.with_msg_id(args.msg_id);
    }
    if let Some(path) = &args.body {
        push = push.with_body(
            std::fs::read(path).with_context(|| format!("body file {}", path.display()))?,
        );
    }
    if let Some(url) = &args.api_control {
        args.kind
            .tell(&ControlClient::new(url)?, &sender.account().name, &push)
            .await?;
    }

    println!("from {openid}");
    let exchange = sender.push(&push).await;
    show(&exchange);
    Ok(!matches!(exchange.reply, UserSees::ServiceFault(_)))
}

pub(super) async fn verify(args: &SenderArgs) -> anyhow::Result<bool> {
    let verification = args.sender()?.verify_url().await;
    show_attempt(&verification.attempt);
    match &verification.result {
        Ok(()) => println!("verified"),
        Err(why) => println!("not verified: {why}"),
    }
    Ok(verification.result.is_ok())
}

fn show(exchange: &Exchange) {
    exchange.attempts.iter().for_each(show_attempt);
    match &exchange.reply {
        UserSees::Nothing => println!("the user sees nothing"),
        UserSees::ServiceFault(fault) => println!("the user sees the fault notice: {fault}"),
        UserSees::Reply(reply) => {
            println!("the user sees {}", reply.summary());
            let how = if reply.encrypted {
                "encrypted, MsgSignature right"
            } else {
                "readable"
            };
            println!("reply ({how}): {}", reply.fields.to_json());
        }
    }
}

fn show_attempt(attempt: &Attempt) {
    let outcome = match &attempt.outcome {
        Outcome::Answered => "200".to_owned(),
        Outcome::Refused => format!("{}", attempt.status().unwrap_or_default()),
        Outcome::Cut => "no answer in time, connection closed".to_owned(),
        Outcome::Broken(why) => why.clone(),
    };
    let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
    println!(
        "attempt {} at {:.0} ms: {outcome}, took {:.1} ms",
        attempt.number,
        ms(attempt.started_after),
        ms(attempt.took)
    );
}
