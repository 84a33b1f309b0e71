//! Follows: from pushes and profiles, in any order.

use serde_json::json;
use weir_store_api::read::{Follow, FollowState};

use crate::world::{T0, World, snapshot, subscribe, text, time, unsubscribe};

on_both_databases! {
    a_follow_by_qr_code_remembers_its_scene,
    an_unfollow_keeps_the_row_and_says_until_when,
    a_return_reopens_the_follow,
    an_older_event_never_moves_a_follow_backwards,
    a_profile_informs_the_follow_by_its_time,
    a_profile_adds_how_they_came,
    without_word_of_a_follow_there_is_none,
}

async fn follow(world: &World, openid: &str) -> Follow {
    world.user(openid).await.user.follow.unwrap()
}

async fn a_follow_by_qr_code_remembers_its_scene(world: World) {
    world.create(&[subscribe("a", "oA", T0, "shop-7")]).await;
    let expected = Follow {
        state: FollowState::Following,
        since: Some(time(T0)),
        until: None,
        scene: Some("shop-7".into()),
        subscribe_scene: None,
        followed_times: 1,
        unfollowed_times: 0,
    };
    assert_eq!(follow(&world, "oA").await, expected);
}

async fn an_unfollow_keeps_the_row_and_says_until_when(world: World) {
    world.create(&[subscribe("a", "oA", T0, "shop-7")]).await;
    world.create(&[unsubscribe("b", "oA", T0 + 60)]).await;
    let follow = follow(&world, "oA").await;
    assert_eq!(follow.state, FollowState::Unfollowed);
    assert_eq!(
        (follow.since, follow.until),
        (Some(time(T0)), Some(time(T0 + 60)))
    );
    assert_eq!(follow.scene.as_deref(), Some("shop-7"));
}

async fn a_return_reopens_the_follow(world: World) {
    let events = [
        subscribe("a", "oA", T0, "shop-7"),
        unsubscribe("b", "oA", T0 + 60),
        subscribe("c", "oA", T0 + 120, ""),
    ];
    for event in events {
        world.create(&[event]).await;
    }
    let expected = Follow {
        state: FollowState::Following,
        since: Some(time(T0 + 120)),
        until: None,
        scene: None,
        subscribe_scene: None,
        followed_times: 2,
        unfollowed_times: 1,
    };
    assert_eq!(follow(&world, "oA").await, expected);
}

async fn an_older_event_never_moves_a_follow_backwards(world: World) {
    world.create(&[unsubscribe("b", "oA", T0 + 60)]).await;
    world.create(&[subscribe("a", "oA", T0, "late")]).await;
    let follow = follow(&world, "oA").await;
    assert_eq!(follow.state, FollowState::Unfollowed);
    assert_eq!(
        (follow.since, follow.until),
        (Some(time(T0)), Some(time(T0 + 60)))
    );
}

async fn a_profile_informs_the_follow_by_its_time(world: World) {
    world.create(&[subscribe("a", "oA", T0, "")]).await;
    world
        .create(&[snapshot("p0", "oA", T0 + 100, json!({"subscribe": 0}))])
        .await;
    let gone = follow(&world, "oA").await;
    assert_eq!(
        (gone.state, gone.until.clone()),
        (FollowState::Unfollowed, Some(time(T0 + 100)))
    );

    let earlier = snapshot(
        "p1",
        "oA",
        T0 + 50,
        json!({"subscribe": 1, "subscribe_time": T0}),
    );
    world.create(&[earlier]).await;
    assert_eq!(follow(&world, "oA").await, gone);

    let later = snapshot(
        "p2",
        "oA",
        T0 + 300,
        json!({"subscribe": 1, "subscribe_time": T0 + 200}),
    );
    world.create(&[later]).await;
    let back = follow(&world, "oA").await;
    assert_eq!(
        (back.state, back.since, back.until),
        (FollowState::Following, Some(time(T0 + 200)), None)
    );
}

async fn a_profile_adds_how_they_came(world: World) {
    let fields = json!({
        "subscribe": 1,
        "subscribe_time": T0,
        "subscribe_scene": "ADD_SCENE_QR_CODE",
        "qr_scene": 98765,
        "qr_scene_str": "",
    });
    world
        .create(&[
            subscribe("a", "oA", T0, ""),
            snapshot("p", "oA", T0 + 1, fields),
        ])
        .await;
    let follow = follow(&world, "oA").await;
    assert_eq!(follow.scene.as_deref(), Some("98765"));
    assert_eq!(follow.subscribe_scene.as_deref(), Some("ADD_SCENE_QR_CODE"));
}

async fn without_word_of_a_follow_there_is_none(world: World) {
    world.create(&[text("a", "oA", T0, "hello")]).await;
    assert_eq!(world.user("oA").await.user.follow, None);
}
