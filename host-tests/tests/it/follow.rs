//! The main job: somebody follows, gets a reply, and is known from then on.

use anyhow::{Context, Result, ensure};
use weir_host_tests::{Gateway, Plan, World, eventually, somebody};
use weir_sim::api::{Follow, Profile};
use weir_sim::wechat::Mode;
use weir_sim::{Push, Scene, UserSees};
use weir_store_api::read::FollowState;

pub(crate) async fn a_follow_in_plain_mode_is_answered_and_kept<G: Gateway>() -> Result<()> {
    follow::<G>("plain", Mode::Plain).await
}

pub(crate) async fn a_follow_in_compatible_mode_is_answered_and_kept<G: Gateway>() -> Result<()> {
    follow::<G>("compatible", Mode::Compatible).await
}

pub(crate) async fn a_follow_in_encrypted_mode_is_answered_and_kept<G: Gateway>() -> Result<()> {
    follow::<G>("encrypted", Mode::Encrypted).await
}

async fn follow<G: Gateway>(name: &str, mode: Mode) -> Result<()> {
    let Some(world) = World::<G>::start(name, Plan::default().mode(mode)).await? else {
        return Ok(());
    };
    let sender = world.sender()?;
    let openid = somebody();
    let scene = Scene::Number(123_456);
    let nickname = "小堰🌊 & <co>";
    let profile = Profile {
        nickname: Some(nickname.into()),
        unionid: Some("oUnion".into()),
        ..Profile::default()
    };
    world.api().set_profile("demo", &openid, profile)?;
    world.api().follow(
        "demo",
        &openid,
        Follow {
            scene: Some(scene.clone()),
            ..Follow::default()
        },
    )?;

    let exchange = sender
        .push(&Push::subscribe_by_qr(&world.account, &openid, &scene))
        .await;
    assert_eq!(exchange.attempts.len(), 1, "{exchange:?}");
    let UserSees::Reply(reply) = &exchange.reply else {
        anyhow::bail!("no reply: {exchange:?}")
    };
    assert_eq!(reply.text(), Some("Welcome! You came by 123456."));
    assert_eq!(reply.encrypted, mode != Mode::Plain);

    // The reply came after the store had the follow; the profile comes a little later.
    let user = world
        .user(&openid)
        .await?
        .context("the follow is stored before the reply")?
        .user;
    let follow = user.follow.context("a follow")?;
    assert_eq!(follow.state, FollowState::Following);
    assert_eq!(follow.scene.as_deref(), Some("123456"));
    assert_eq!(follow.followed_times, 1);
    let user = eventually("the profile", async || {
        Ok(world
            .user(&openid)
            .await?
            .map(|detail| detail.user)
            .filter(|user| user.profile.is_some()))
    })
    .await?;
    let profile = user.profile.context("just seen")?;
    assert_eq!(profile.nickname.as_deref(), Some(nickname));
    assert_eq!(user.unionid.as_deref(), Some("oUnion"));

    world.api().unfollow("demo", &openid)?;
    let exchange = sender
        .push(&Push::unsubscribe(&world.account, &openid))
        .await;
    ensure!(exchange.reply == UserSees::Nothing, "{exchange:?}");
    let user = world
        .user(&openid)
        .await?
        .context("nobody is forgotten")?
        .user;
    let follow = user.follow.context("a follow that ended")?;
    assert_eq!(follow.state, FollowState::Unfollowed);
    assert!(follow.until.is_some());
    assert_eq!(
        user.profile.and_then(|profile| profile.nickname).as_deref(),
        Some(nickname)
    );
    Ok(())
}

pub(crate) async fn the_rules_decide_what_a_follower_gets<G: Gateway>() -> Result<()> {
    let Some(world) = World::<G>::start("rules", Plan::default()).await? else {
        return Ok(());
    };
    let sender = world.sender()?;
    let account = &world.account;
    let openid = somebody();
    let welcome = format!("Welcome, {openid}");
    for (push, expected) in [
        (Push::subscribe(account, &openid), Some(welcome.as_str())),
        (
            Push::subscribe_by_qr(account, &openid, &Scene::Number(7)),
            Some(welcome.as_str()),
        ),
        (
            Push::scan(account, &openid, &Scene::Text("table-7".into())),
            Some("You scanned table-7."),
        ),
        (
            Push::text(account, &openid, "anything ]]> <b>"),
            Some("We have your message."),
        ),
        (Push::click(account, &openid, "MENU_1"), None),
        (
            Push::image(account, &openid, "https://example.com/p.png", "media"),
            None,
        ),
    ] {
        let exchange = sender.push(&push).await;
        match expected {
            Some(text) => assert_eq!(exchange.reply.text(), Some(text), "{push:?}"),
            None => assert_eq!(exchange.reply, UserSees::Nothing, "{push:?}"),
        }
    }
    let exchange = sender.push(&Push::text(account, &openid, "hello")).await;
    let UserSees::Reply(news) = &exchange.reply else {
        anyhow::bail!("no reply: {exchange:?}")
    };
    assert_eq!((news.msg_type.as_str(), news.articles_shown), ("news", 1));

    let kinds: Vec<_> = world
        .messages(&openid)
        .await?
        .into_iter()
        .map(|message| (message.kind, message.text))
        .collect();
    assert_eq!(kinds.len(), 3, "{kinds:?}");
    assert!(
        kinds.contains(&("text".into(), Some("anything ]]> <b>".into()))),
        "{kinds:?}"
    );
    Ok(())
}
