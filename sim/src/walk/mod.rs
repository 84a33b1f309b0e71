//! One person meets one account, from the first follow to the last: the demo, and a smoke test of any backend.
//!
//! 1. WeChat verifies the URL.
//! 2. A new user follows by a QR code with a scene.
//! 3. With a store: it has the user, the follow with its scene, and (with the fake API) the profile.
//! 4. The user sends a text.
//! 5. The user leaves.
//! 6. With a store: the follow has ended, and the text is counted.
//!
//! A step is right when WeChat would have been content at the first attempt, and what was expected of the reply and of the store
//! came true. A wrong step does not stop the walk.

mod print;
mod report;
mod store;

use std::time::{Duration, Instant};

use anyhow::Context;

pub use print::Printer;
pub use report::{Report, Step};

use crate::api::{Act, ControlClient, Follow, Profile};
use crate::http::{Target, Trust};
use crate::push::{Push, Scene};
use crate::sender::{Exchange, Outcome, Sender, SendingClock, UserSees};
use crate::wechat::{Account, ids};
use store::Store;

/// Who walks where.
#[derive(Debug, Clone)]
pub struct Options {
    /// The account, named as in the gateway's configuration.
    pub account: Account,
    /// Its push URL.
    pub url: String,
    /// Whom to trust when `url` is https, as PEM; the public authorities when `None`.
    pub ca_pem: Option<Vec<u8>>,
    /// The store's URL: its API is asked for the user.
    pub store: Option<String>,
    /// The control API of the fake `api.weixin.qq.com`: it is told who follows. Without it no profile is expected.
    pub api_control: Option<String>,
    /// Of the QR code.
    pub scene: Scene,
    /// What the user writes.
    pub text: String,
    /// The reply to the follow has to contain this.
    pub expect_follow: Option<String>,
    /// The reply to the text has to contain this.
    pub expect_text: Option<String>,
    /// How long the store may take to show what happened.
    pub patience: Duration,
    /// How pushes are sent.
    pub timing: SendingClock,
}

impl Options {
    /// WeChat's own timing, no store, no fake API.
    pub fn new(account: Account, url: &str) -> Self {
        Self {
            account,
            url: url.to_owned(),
            ca_pem: None,
            store: None,
            api_control: None,
            scene: Scene::Number(123_456),
            text: "hello".to_owned(),
            expect_follow: None,
            expect_text: None,
            patience: Duration::from_secs(5),
            timing: SendingClock::default(),
        }
    }
}

/// Walks, silently.
///
/// # Errors
/// The options are not usable, or the control API does not answer. What the backend does wrong is in the report.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    run_with(options, |_| {}).await
}

/// Walks, and shows each step once it is done.
///
/// # Errors
/// As [`run`].
pub async fn run_with(options: &Options, on_step: impl FnMut(&Step)) -> anyhow::Result<Report> {
    let started = Instant::now();
    let mut walk = Walk::new(options, on_step)?;
    walk.all().await?;
    Ok(Report {
        steps: walk.steps,
        took: started.elapsed(),
    })
}

struct Walk<'a, F> {
    options: &'a Options,
    sender: Sender,
    store: Option<Store>,
    control: Option<ControlClient>,
    openid: String,
    steps: Vec<Step>,
    on_step: F,
}

impl<'a, F: FnMut(&Step)> Walk<'a, F> {
    fn new(options: &'a Options, on_step: F) -> anyhow::Result<Self> {
        let trust = options.ca_pem.as_deref().map_or(Trust::Public, Trust::Pem);
        let target = Target::parse_trusting(&options.url, trust)?;
        Ok(Self {
            options,
            sender: Sender::to(options.account.clone(), target)?
                .with_timing(options.timing.clone()),
            store: options.store.as_deref().map(Store::new).transpose()?,
            control: options
                .api_control
                .as_deref()
                .map(ControlClient::new)
                .transpose()?,
            openid: ids::openid(),
            steps: Vec::new(),
            on_step,
        })
    }

    async fn all(&mut self) -> anyhow::Result<()> {
        self.verify().await;
        self.follow().await?;
        self.text().await?;
        self.leave().await
    }

    fn done(&mut self, step: Step) {
        (self.on_step)(&step);
        self.steps.push(step);
    }

    async fn verify(&mut self) {
        let verification = self.sender.verify_url().await;
        let saw = if verification.result.is_ok() {
            "the echostr"
        } else {
            ""
        };
        self.done(Step {
            name: "verify the URL".to_owned(),
            took: verification.attempt.took,
            status: verification.attempt.status(),
            saw: saw.to_owned(),
            json: None,
            wrong: verification.result.err().into_iter().collect(),
        });
    }

    async fn follow(&mut self) -> anyhow::Result<()> {
        let Options { account, scene, .. } = self.options;
        let push = Push::subscribe_by_qr(account, &self.openid, scene);
        let profile = newcomer();
        if let Some(control) = &self.control {
            let follow = Follow {
                scene: Some(scene.clone()),
                at: Some(push.create_time()),
                ..Follow::default()
            };
            control
                .set_profile(&account.name, &self.openid, &profile)
                .await?;
            control
                .follow(&account.name, &self.openid, &follow)
                .await
                .context("follow")?;
        }
        let exchange = self.sender.push(&push).await;
        self.done(step(
            format!("follow by QR code, scene {scene}"),
            &exchange,
            self.options.expect_follow.as_deref(),
        ));

        if let Some(store) = &self.store {
            let mut expected = store::Expected::new(account, &self.openid)
                .that("/follow/state", "following")
                .that("/follow/scene", scene.to_string());
            if self.control.is_some() {
                expected = expected
                    .that("/profile/subscribe", 1)
                    .that("/profile/subscribe_time", push.create_time());
                expected = expected.that_all("/profile", &serde_json::to_value(&profile)?);
            }
            let name = if self.control.is_some() {
                "the store has user and profile"
            } else {
                "the store has the user"
            };
            let step = store
                .wait_for(name, &expected, self.options.patience, false)
                .await;
            self.done(step);
        }
        Ok(())
    }

    async fn text(&mut self) -> anyhow::Result<()> {
        let account = &self.options.account;
        if let Some(control) = &self.control {
            control
                .act(&account.name, &self.openid, Act::Message)
                .await?;
        }
        let exchange = self
            .sender
            .push(&Push::text(account, &self.openid, &self.options.text))
            .await;
        self.done(step(
            format!("send “{}”", self.options.text),
            &exchange,
            self.options.expect_text.as_deref(),
        ));
        Ok(())
    }

    async fn leave(&mut self) -> anyhow::Result<()> {
        let account = &self.options.account;
        if let Some(control) = &self.control {
            control.unfollow(&account.name, &self.openid).await?;
        }
        let exchange = self
            .sender
            .push(&Push::unsubscribe(account, &self.openid))
            .await;
        self.done(step("unfollow".to_owned(), &exchange, None));

        if let Some(store) = &self.store {
            let expected = store::Expected::new(account, &self.openid)
                .that("/follow/state", "unfollowed")
                .that("/follow/scene", self.options.scene.to_string())
                .that("/counts/messages", 1);
            let step = store
                .wait_for(
                    "the store keeps it, unfollowed",
                    &expected,
                    self.options.patience,
                    true,
                )
                .await;
            self.done(step);
        }
        Ok(())
    }
}

/// Somebody with an emoji in their name.
fn newcomer() -> Profile {
    Profile {
        nickname: Some("小明🌊".to_owned()),
        language: Some("zh_CN".to_owned()),
        unionid: Some(format!("o6_{}", ids::alphanumeric(25))),
        remark: "came by QR".to_owned(),
        tagid_list: vec![2],
        ..Profile::default()
    }
}

fn step(name: String, exchange: &Exchange, expected: Option<&str>) -> Step {
    let mut wrong = Vec::new();
    if let [earlier @ .., _] = exchange.attempts.as_slice() {
        for attempt in earlier {
            wrong.push(format!(
                "attempt {} failed: {}",
                attempt.number,
                words(&attempt.outcome, attempt.status())
            ));
        }
    }
    let saw = match &exchange.reply {
        UserSees::Nothing => "no reply".to_owned(),
        UserSees::Reply(reply) => {
            format!(
                "{}{}",
                reply.summary(),
                if reply.encrypted {
                    "  (came encrypted)"
                } else {
                    ""
                }
            )
        }
        UserSees::ServiceFault(fault) => {
            wrong.push(format!("the user sees the fault notice: {fault}"));
            String::new()
        }
    };
    if let Some(expected) = expected
        && !saw.contains(expected)
    {
        wrong.push(format!("the reply has to contain “{expected}”"));
    }
    let last = exchange.attempts.last();
    Step {
        name,
        took: last.map_or(Duration::ZERO, |last| last.started_after + last.took),
        status: last.and_then(crate::sender::Attempt::status),
        saw,
        json: None,
        wrong,
    }
}

fn words(outcome: &Outcome, status: Option<u16>) -> String {
    match outcome {
        Outcome::Answered => "answered".to_owned(),
        Outcome::Refused => format!("status {}", status.unwrap_or_default()),
        Outcome::Cut => "no answer in time".to_owned(),
        Outcome::Broken(why) => why.clone(),
    }
}
