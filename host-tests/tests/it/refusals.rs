//! What is not WeChat's, or not meant for us, gets one plain answer, and the gateway goes on.

use anyhow::Result;
use weir_host_tests::{Gateway, Plan, World, eventually, somebody};
use weir_sim::http::{Framing, Request};
use weir_sim::wechat::Mode;
use weir_sim::{Account, Clock, Push, Sender, UserSees};

/// A request that must be refused, and the outcome it is counted under.
type Case = (&'static str, Request, &'static str);

pub(crate) async fn whatever_is_wrong_the_answer_says_only_no<G: Gateway>() -> Result<()> {
    let Some(world) = World::<G>::start("refusals", Plan::default()).await? else {
        return Ok(());
    };
    let sender = world.sender()?;
    let good = || Push::text(&world.account, &somebody(), "hello");
    let bent = |bend: &dyn Fn(&mut Request)| {
        let mut request = sender.request(&good());
        bend(&mut request);
        request
    };
    let from = |account: Account| -> Result<Request> {
        Ok(Sender::new(account, &world.url("/wechat/demo"))?.request(&good()))
    };
    let body = |text: &str| sender.request(&good().with_body(text));
    let an_hour_ago = Clock::manual(Clock::system().now_s() - 3_600);

    let cases: Vec<Case> = vec![
        (
            "no signature",
            bent(&|r| _ = r.remove_query("msg_signature")),
            "refused_signature",
        ),
        (
            "a wrong signature",
            bent(&|r| _ = r.set_query("msg_signature", "a".repeat(40))),
            "refused_signature",
        ),
        (
            "a changed nonce",
            bent(&|r| _ = r.set_query("nonce", "1")),
            "refused_signature",
        ),
        (
            "another Token",
            from(Account {
                token: "another".into(),
                ..world.account.clone()
            })?,
            "refused_signature",
        ),
        ("no query", bent(&|r| r.query.clear()), "refused_query"),
        (
            "an hour old",
            sender.clone().with_clock(an_hour_ago).request(&good()),
            "refused_stale",
        ),
        (
            "another key",
            from(Account {
                encoding_aes_key: Account::random("x").encoding_aes_key,
                ..world.account.clone()
            })?,
            "refused_undecryptable",
        ),
        (
            "another appid",
            from(Account {
                appid: "wxffffffffffffffff".into(),
                ..world.account.clone()
            })?,
            "refused_undecryptable",
        ),
        (
            "another account",
            sender.request(&good().addressed_to("gh_another")),
            "refused_wrong_account",
        ),
        (
            "an envelope that is no XML",
            bent(&|r| r.body = b"<xml><Encrypt>".to_vec()),
            "refused_malformed",
        ),
        (
            "no envelope",
            bent(&|r| r.body.clear()),
            "refused_malformed",
        ),
        (
            "a push that is no XML",
            body("<xml><MsgType>text</MsgType>"),
            "refused_malformed",
        ),
        (
            "a document type",
            body(
                "<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><xml><MsgType>&a;</MsgType></xml>",
            ),
            "refused_malformed",
        ),
        (
            "a member card's form as a page prints it",
            body(
                "<xml><ToUserName> <! [CDATA[gh_1]]> </ToUserName><MsgType><![CDATA[event]]></MsgType></xml>",
            ),
            "refused_malformed",
        ),
        (
            "an element a thousand deep",
            body(&"<a>".repeat(1_000)),
            "refused_malformed",
        ),
    ];
    for (what, request, outcome) in cases {
        // What was not understood has no kind.
        let counted = || -> Result<u64> {
            let of_kind = |kind: &str| {
                world.gateway.metric(&format!(
                    "weir.pushes.account.demo.kind.{kind}.outcome.{outcome}"
                ))
            };
            Ok(of_kind("unknown")? + of_kind("text")?)
        };
        let before = counted()?;
        let answer = sender.attempt(&request).await;
        let response = answer.response.as_ref();
        assert_eq!(answer.status(), Some(403), "{what}");
        assert_eq!(
            response.map(|response| response.body.len()),
            Some(0),
            "{what}"
        );
        eventually(&format!("{what} is counted as {outcome}"), async || {
            Ok((counted()? == before + 1).then_some(()))
        })
        .await?;
    }
    let mut delete = sender.request(&good());
    delete.method = "DELETE".into();
    delete.body.clear();
    assert_eq!(sender.attempt(&delete).await.status(), Some(405));

    let exchange = sender.push(&good()).await;
    assert!(
        matches!(exchange.reply, UserSees::Reply(_)),
        "a good one after all the bad ones: {exchange:?}"
    );
    Ok(())
}

pub(crate) async fn a_mode_weaker_than_the_accounts_is_refused<G: Gateway>() -> Result<()> {
    let Some(world) = World::<G>::start("downgrade", Plan::default()).await? else {
        return Ok(());
    };
    let push = Push::text(&world.account, &somebody(), "hello");
    let request = world.sender()?.in_mode(Mode::Plain).request(&push);
    let answer = world.sender()?.attempt(&request).await;
    assert_eq!(answer.status(), Some(403));
    world
        .counts(
            "weir.pushes.account.demo.kind.unknown.outcome.refused_mode",
            1,
        )
        .await?;
    assert!(world.messages(push.from_user_name()).await?.is_empty());
    Ok(())
}

pub(crate) async fn a_body_over_the_limit_is_refused_as_too_large<G: Gateway>() -> Result<()> {
    const LIMIT: usize = 4_096;
    let plan = Plan::default().plugin(|plugin| plugin["limits"]["max_body_bytes"] = LIMIT.into());
    let Some(world) = World::<G>::start("too-large", plan).await? else {
        return Ok(());
    };
    let sender = world.sender()?;
    let push = Push::text(&world.account, &somebody(), "hello");
    let of_size = |size: usize, framing: Framing| {
        let mut request = sender.request(&push);
        // White space after the document's end belongs to nobody and is allowed.
        request.body.resize(size, b'\n');
        request.framing = framing;
        request
    };
    let in_chunks = || Framing::Chunked {
        size: 1_000,
        trailers: Vec::new(),
    };
    let big = 300 * 1_024;
    for (size, framing, expected) in [
        (LIMIT, Framing::Length, 200),
        (LIMIT, in_chunks(), 200),
        (LIMIT + 1, Framing::Length, 413),
        (LIMIT + 1, in_chunks(), 413),
        (big, Framing::Length, 413),
        (big, in_chunks(), 413),
    ] {
        let answer = sender.attempt(&of_size(size, framing.clone())).await;
        assert_eq!(
            answer.status(),
            Some(expected),
            "{size} bytes by {framing:?}"
        );
    }
    Ok(())
}

pub(crate) async fn what_is_no_account_of_ours_is_not_ours_to_answer<G: Gateway>() -> Result<()> {
    let Some(world) = World::<G>::start("elsewhere", Plan::default()).await? else {
        return Ok(());
    };
    let sender = Sender::new(world.account.clone(), &world.url("/wechat/demo/"))?;
    let push = Push::text(&world.account, &somebody(), "hello");
    assert_eq!(
        sender.attempt(&sender.request(&push)).await.status(),
        Some(404)
    );
    // A push of ours is counted; that one was not.
    world.sender()?.push(&push).await;
    world.counts("weir.pushes.", 1).await
}
