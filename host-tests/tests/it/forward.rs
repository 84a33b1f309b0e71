//! An application answers pushes: in either format, in its time, wrongly, too late, or not at all.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use weir_host_tests::{Gateway, Plan, WORKERS, World, eventually, somebody};
use weir_sim::app::{Answer, Asked};
use weir_sim::http::Target;
use weir_sim::{Exchange, Push, Sender, SendingClock, UserSees};
use weir_store_api::read::{Page, Reply, ReplyState};

const OTHERWISE: &str = "The shop will call you back.";

/// Texts are for the application, which knows them in this format.
fn forwarding(format: &str) -> Plan {
    let format = format.to_owned();
    Plan::default().plugin(move |plugin| {
        plugin["apps"] = json!([{
            "name": "shop", "cluster": "app", "authority": "shop.test", "path": "/ask",
            "format": format, "timeout_ms": 14_000,
        }]);
        let mut rules = vec![json!({
            "when": { "message": "text" },
            "forward": { "app": "shop", "otherwise": { "text": OTHERWISE } },
        })];
        rules.extend(
            plugin["accounts"][0]["rules"]
                .as_array()
                .cloned()
                .unwrap_or_default(),
        );
        plugin["accounts"][0]["rules"] = rules.into();
    })
}

/// The calls about pushes with this text.
fn calls_about<G: Gateway>(world: &World<G>, text: &str) -> Vec<Asked> {
    let calls = world.app().calls().into_iter();
    calls
        .filter(|asked| asked.text().as_deref() == Some(text))
        .collect()
}

async fn push<G: Gateway>(world: &World<G>, text: &str) -> Result<Exchange> {
    let push = Push::text(&world.account, &somebody(), text);
    Ok(world.sender()?.push(&push).await)
}

pub(crate) async fn an_application_is_asked_with_an_event_and_answers_in_json<G: Gateway>()
-> Result<()> {
    let Some(world) = World::<G>::start("forward-event", forwarding("cloudevent")).await? else {
        return Ok(());
    };
    world.app().plan("", Answer::text("On its way."));
    let exchange = push(&world, "where is it?").await?;
    assert_eq!(exchange.reply.text(), Some("On its way."), "{exchange:?}");
    let [asked] = &calls_about(&world, "where is it?")[..] else {
        anyhow::bail!("called once");
    };
    assert_eq!(asked.path, "/ask");
    assert_eq!(asked.header("host"), Some("shop.test"));
    assert_eq!(
        asked.header("content-type"),
        Some("application/cloudevents+json")
    );
    let event: Value = serde_json::from_slice(&asked.body)?;
    assert_eq!(event["type"], "weir.message.text");
    assert_eq!(event["source"], "/accounts/demo");

    let reply = eventually("the reply is in the store", async || {
        let page: Option<Page<Reply>> = world.read("/v1/replies?account=demo").await?;
        let mut replies = page.context("the store lists replies")?.items.into_iter();
        Ok(replies.find(|reply| reply.state != ReplyState::Waiting))
    })
    .await?;
    assert_eq!(Some(reply.push.as_str()), event["id"].as_str());
    assert_eq!(reply.app.as_deref(), Some("shop"));

    // A copy gets the same, and the application is not asked again.
    world.app().plan("", Answer::text("Something else."));
    let openid = somebody();
    let twice = Push::text(&world.account, &openid, "twice");
    let sender = world.sender()?;
    for _ in 0..2 {
        assert_eq!(
            sender.push(&twice).await.reply.text(),
            Some("Something else.")
        );
        world.app().plan("", Answer::text("A third word."));
    }
    assert_eq!(calls_about(&world, "twice").len(), 1);
    Ok(())
}

pub(crate) async fn a_program_for_wechat_is_asked_as_wechat_asks_and_answers_in_xml<G: Gateway>()
-> Result<()> {
    let Some(world) = World::<G>::start("forward-wechat", forwarding("wechat")).await? else {
        return Ok(());
    };
    world.app().plan("", Answer::xml("By a program."));
    let exchange = push(&world, "hi").await?;
    assert_eq!(exchange.reply.text(), Some("By a program."), "{exchange:?}");
    let [asked] = &calls_about(&world, "hi")[..] else {
        anyhow::bail!("called once");
    };
    assert_eq!(asked.header("content-type"), Some("text/xml"));
    for part in ["/ask?", "signature=", "timestamp=", "nonce=", "openid="] {
        ensure!(asked.path.contains(part), "{part} is not in {}", asked.path);
    }

    world.app().plan("", Answer::empty());
    assert_eq!(push(&world, "nothing").await?.reply, UserSees::Nothing);
    Ok(())
}

pub(crate) async fn whatever_an_application_does_wrong_the_user_gets_the_other_reply<G: Gateway>()
-> Result<()> {
    let Some(mut world) = World::<G>::start("forward-wrong", forwarding("cloudevent")).await?
    else {
        return Ok(());
    };
    let wrongs = [
        ("a status", Answer::status(500)),
        ("a redirect", Answer::status(302)),
        ("no reply at all", Answer::body("<xml>not quite")),
        ("JSON that is no reply", Answer::json(&json!({ "txt": 1 }))),
        ("a reset", Answer::reset()),
        (
            "a late reset",
            Answer::reset().after(Duration::from_millis(300)),
        ),
    ];
    for (what, answer) in wrongs {
        world.app().plan("", answer);
        let exchange = push(&world, what).await?;
        assert_eq!(
            exchange.reply.text(),
            Some(OTHERWISE),
            "{what}: {exchange:?}"
        );
        assert_eq!(calls_about(&world, what).len(), 1, "{what}");
    }
    // Nobody can tell which push that was.
    let before = world.app().calls().len();
    world.app().plan("", Answer::reset_unread());
    let exchange = push(&world, "unread").await?;
    assert_eq!(exchange.reply.text(), Some(OTHERWISE), "{exchange:?}");
    assert_eq!(world.app().calls().len(), before + 1);

    world.app_mut().down().await;
    let exchange = push(&world, "down").await?;
    assert_eq!(exchange.reply.text(), Some(OTHERWISE), "{exchange:?}");
    world.app_mut().up().await?;
    world.app().plan("", Answer::text("Back."));
    assert_eq!(push(&world, "up again").await?.reply.text(), Some("Back."));
    Ok(())
}

/// A sender in WeChat's own time whose attempts go to the workers in turn, where somebody can say which gets them; else
/// each goes over a connection of its own to whomever.
fn to_all_workers<G: Gateway>(world: &World<G>, first: usize) -> Result<Sender> {
    let mut targets = Vec::new();
    for number in 0..3 {
        let worker = world
            .gateway
            .towards_all_workers(number % u64::from(WORKERS))?;
        let address = worker.unwrap_or_else(|| world.gateway.address());
        targets.push(Target::parse(&format!("http://{address}/wechat/demo"))?);
    }
    targets.rotate_left(first % 3);
    Ok(world.sender()?.with_targets(targets))
}

/// In WeChat's own time: Weir's deadlines are made for it.
pub(crate) async fn an_application_may_take_its_time_and_is_called_once<G: Gateway>() -> Result<()>
{
    /// When the application answers, milliseconds, and the attempt that gets the reply.
    const CASES: [(u64, usize); 6] = [
        (1_000, 1),
        (4_000, 1),
        (6_000, 2),
        (9_000, 2),
        (12_000, 3),
        (13_800, 3),
    ];
    let Some(world) = World::<G>::start("forward-slow", forwarding("cloudevent")).await? else {
        return Ok(());
    };
    let mut pushes = JoinSet::new();
    for round in 0..4_usize {
        for (ms, attempt) in CASES {
            let text = format!("after {ms}, round {round}");
            let reply = format!("here you are, {ms}.{round}");
            let delay = Duration::from_millis(ms);
            world.app().plan(&text, Answer::text(&reply).after(delay));
            let sender = to_all_workers(&world, round)?;
            let push = Push::text(&world.account, &somebody(), &text);
            pushes.spawn(async move { (text, reply, attempt, sender.push(&push).await) });
        }
    }
    while let Some(done) = pushes.join_next().await {
        let (text, reply, attempt, exchange) = done?;
        ensure!(
            exchange.reply.text() == Some(&reply),
            "{text}: {exchange:?}"
        );
        ensure!(exchange.attempts.len() == attempt, "{text}: {exchange:?}");
        assert_eq!(calls_about(&world, &text).len(), 1, "{text}");
    }
    assert!(
        world.api().ledger().sends.is_empty(),
        "nobody was written to"
    );
    Ok(())
}

/// WeChat's servers lose sight of a push after its first attempt; the application answers after that.
pub(crate) async fn a_reply_that_comes_too_late_is_sent_once<G: Gateway>() -> Result<()> {
    let Some(world) = World::<G>::start("forward-late", forwarding("cloudevent")).await? else {
        return Ok(());
    };
    let openid = somebody();
    world
        .api()
        .follow("demo", &openid, weir_sim::api::Follow::default())?;
    let delay = Duration::from_secs(7);
    world.app().plan("", Answer::text("At last.").after(delay));
    let once = SendingClock {
        attempts: 1,
        ..SendingClock::default()
    };
    let sender = world.sender()?.with_timing(once);
    let push = Push::text(&world.account, &openid, "late");
    let exchange = sender.push(&push).await;
    ensure!(exchange.reply.text().is_none(), "{exchange:?}");
    eventually("the reply is sent", async || {
        Ok((!world.api().ledger().sends.is_empty()).then_some(()))
    })
    .await?;
    eventually("that is known", async || {
        let page: Option<Page<Reply>> = world.read("/v1/replies?account=demo").await?;
        let mut replies = page.context("the store lists replies")?.items.into_iter();
        Ok(replies.find(|reply| reply.state == ReplyState::Sent))
    })
    .await?;
    let sends = world.api().ledger().sends;
    assert_eq!(sends.len(), 1, "{sends:?}");
    assert_eq!(sends[0].body["touser"], json!(openid));
    assert_eq!(sends[0].body["text"]["content"], "At last.");
    assert_eq!(calls_about(&world, "late").len(), 1);

    // Whoever comes after that is told that all is done.
    let answer = world.sender()?.push(&push).await;
    assert_eq!(answer.reply, UserSees::Nothing, "{answer:?}");
    assert_eq!(world.api().ledger().sends.len(), 1);
    Ok(())
}
