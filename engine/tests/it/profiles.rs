//! The profile of a new follower: token, batch, errors.

use crate::world::{USER, World, event, message_from};

fn follow(user: &str) -> String {
    message_from(
        user,
        "event",
        "<Event><![CDATA[subscribe]]></Event><EventKey></EventKey>",
    )
}

#[test]
fn a_follow_brings_the_profile_into_the_store() {
    let mut world = World::new(1);
    world.push(0, &event("subscribe", ""));
    world.run(1_000);
    assert_eq!(
        world.stored_types(),
        ["weir.event.subscribe", "weir.user.snapshot"]
    );
    let snapshot = world
        .stored
        .values()
        .find(|e| e["type"] == "weir.user.snapshot")
        .unwrap();
    assert_eq!(snapshot["subject"], USER);
    assert_eq!(snapshot["data"]["user"]["remark"], "é😀");
    assert_eq!(snapshot["data"]["account"], "demo");
}

#[test]
fn followers_of_one_moment_are_asked_for_together_with_one_token() {
    let mut world = World::new(2);
    for i in 0..150 {
        world.push(i % 2, &follow(&format!("o{i}")));
    }
    world.run(3_000);
    assert_eq!(world.stored.len(), 300);
    assert_eq!(world.api.token_fetches, 1, "one fetch for all workers");
    assert!(world.api.asked.len() <= 4, "{}", world.api.asked.len());
}

#[test]
fn who_follows_twice_in_a_moment_is_asked_about_once() {
    let mut world = World::new(1);
    world.push(0, &follow("o1"));
    world.push(0, &follow("o2"));
    world.now.unix_ms += 1_000;
    let again = message_from(
        "o1",
        "event",
        "<Event><![CDATA[subscribe]]></Event><EventKey><![CDATA[qrscene_7]]></EventKey>",
    );
    world.push(0, &again);
    world.run(3_000);
    assert_eq!(world.api.asked, [["o1", "o2"]]);
    assert_eq!(world.stored.len(), 5, "three follows, two profiles");
}

#[test]
fn a_token_that_wechat_refuses_is_fetched_again_once_for_all_workers() {
    let mut world = World::new(4);
    world.push(0, &follow("o0"));
    world.run(2_000);
    world.api.token += 1;
    for i in 0..4 {
        world.push(i, &follow(&format!("p{i}")));
    }
    world.run(3_000);
    assert_eq!(world.stored.len(), 10);
    assert_eq!(world.api.token_fetches, 2);
}

#[test]
fn a_worker_that_dies_with_the_lease_does_not_hold_the_others_up_for_long() {
    let mut world = World::new(2);
    world.push(0, &follow("o0"));
    // The batch of the worker leaves after 200 ms; with it goes the lease.
    while world.api.token_fetches == 0 {
        world.run(1);
    }
    world.crash(0);
    world.push(1, &follow("o1"));
    world.run(11_000);
    assert_eq!(world.api.token_fetches, 2);
    assert!(
        world
            .stored_types()
            .contains(&"weir.user.snapshot".to_owned())
    );
}

#[test]
fn a_wrong_secret_is_said_and_not_hammered() {
    let mut world = World::new(2);
    world.api.token_errors = vec![40125; 100];
    world.push(0, &follow("o0"));
    world.run(60_000);
    assert!(world.api.token_fetches <= 4, "{}", world.api.token_fetches);
    assert!(
        world.logs.iter().any(|line| line.contains("errcode 40125")),
        "{:?}",
        world.logs
    );
}

#[test]
fn one_unknown_openid_does_not_spoil_the_batch() {
    let mut world = World::new(1);
    world.api.unknown.insert("o3".to_owned());
    for i in 0..6 {
        world.push(0, &follow(&format!("o{i}")));
    }
    world.run(5_000);
    let snapshots = world
        .stored_types()
        .iter()
        .filter(|t| *t == "weir.user.snapshot")
        .count();
    assert_eq!(snapshots, 5);
    assert_eq!(world.counted("weir.profiles_given_up.account.demo"), 1);
}

#[test]
fn an_api_that_is_down_is_asked_a_few_times_and_then_given_up() {
    let mut world = World::new(1);
    world.api.down = true;
    world.push(0, &follow("o0"));
    world.run(60_000);
    assert_eq!(world.counted("weir.profiles_given_up.account.demo"), 1);
    assert_eq!(world.stored_types(), ["weir.event.subscribe"]);
}

#[test]
fn a_copy_of_a_follow_asks_for_no_second_profile() {
    let mut world = World::new(2);
    world.push(0, &follow("o0"));
    world.run(2_000);
    world.push(1, &follow("o0"));
    world.run(2_000);
    assert_eq!(world.api.asked.len(), 1);
}

#[test]
fn an_account_without_a_secret_asks_wechat_nothing() {
    let document = crate::world::document(|d| {
        d["accounts"][0]
            .as_object_mut()
            .unwrap()
            .remove("app_secret_env");
    });
    let mut world = World::with(1, &document);
    world.push(0, &follow("o0"));
    world.run(2_000);
    assert_eq!(world.api.token_fetches, 0);
}
