//! The door against a model of WeChat, with every trouble drawn from a seed.

mod admission;
mod answers;
mod world;

use std::collections::BTreeMap;

use world::{Credit, World};

/// How many worlds a test looks at.
const SEEDS: u64 = 1_000;

#[test]
fn every_message_is_sent_once_and_every_caller_gets_an_answer() {
    let (mut calls, mut replays, mut fetches) = (0, 0, 0);
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.run();
        for (message, times) in &world.wechat.sent {
            assert!(
                *times <= 1,
                "seed {seed}: message {message} was sent {times} times"
            );
        }
        for caller in &world.callers {
            let answer = caller.answer.as_ref();
            let answer = answer.unwrap_or_else(|| panic!("seed {seed}: {caller:?} has no answer"));
            let was_sent = world.wechat.sent.contains_key(&caller.message);
            if answer.status == 200 && answer.errcode == 0 {
                assert!(
                    was_sent,
                    "seed {seed}: {caller:?} was told what is not true"
                );
            }
            // Whoever sees a token error would send again.
            if answer.errcode == 40_001 {
                assert!(!was_sent, "seed {seed}: {caller:?} would do it twice");
            }
        }
        calls += world.callers.len();
        replays += world.wechat.refused;
        fetches += world.wechat.fetched;
        assert!(world.is_idle(), "seed {seed}: something is held for ever");
    }
    println!("{calls} calls, {replays} refused for their token, {fetches} tokens fetched");
    assert!(
        replays > SEEDS / 2 && fetches > SEEDS,
        "nothing was at stake"
    );
}

#[test]
fn where_nothing_else_goes_wrong_nobody_sees_that_a_token_died() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.only_tokens_die();
        world.run();
        for caller in &world.callers {
            let errcode = caller.answer.as_ref().map(|answer| answer.errcode);
            assert_eq!(errcode, Some(0), "seed {seed}: {caller:?}");
        }
        let died = world.wechat.died;
        let fetched = world.wechat.fetched;
        // Two accounts have one each to begin with.
        assert!(
            fetched <= died + 2,
            "seed {seed}: {fetched} fetches for {died} deaths"
        );
    }
}

#[test]
fn what_was_sent_is_told_to_the_store_as_it_was() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.run();
        let mut told: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for event in &world.store {
            let message: u64 = event["subject"]
                .as_str()
                .unwrap_or_default()
                .parse()
                .unwrap_or(0);
            let outcome = event["data"]["outcome"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            told.entry(message).or_default().push(outcome);
        }
        for (message, outcomes) in told {
            assert_eq!(
                outcomes.len(),
                1,
                "seed {seed}: message {message}: {outcomes:?}"
            );
            let was_sent = world.wechat.sent.contains_key(&message);
            match outcomes[0].as_str() {
                "sent" => assert!(was_sent, "seed {seed}: message {message}"),
                "refused" => assert!(!was_sent, "seed {seed}: message {message}"),
                _ => {}
            }
        }
    }
}

#[test]
fn a_message_is_kept_back_only_when_the_store_is_certain_that_nothing_is_left() {
    let (mut kept, mut passed) = (0, 0);
    for seed in 0..SEEDS {
        let mut world = World::with_credits(seed);
        world.only_tokens_die();
        world.run();
        for caller in &world.callers {
            let answer = caller.answer.as_ref();
            let answer = answer.unwrap_or_else(|| panic!("seed {seed}: {caller:?} has no answer"));
            let none_left = caller.credit == Credit::NoneLeft;
            let expected = if none_left { 43_101 } else { 0 };
            assert_eq!(
                (answer.status, answer.errcode),
                (200, expected),
                "seed {seed}: {caller:?}"
            );
            let was_sent = world.wechat.sent.contains_key(&caller.message);
            assert_ne!(was_sent, none_left, "seed {seed}: {caller:?}");
            kept += u64::from(none_left);
            passed += u64::from(was_sent);
        }
        assert_eq!(
            world.asked,
            world.callers.len() as u64,
            "seed {seed}: once for each message"
        );
        assert!(world.is_idle(), "seed {seed}: something is held for ever");
    }
    assert!(kept > SEEDS / 2 && passed > SEEDS, "nothing was at stake");
}

#[test]
fn whatever_else_goes_wrong_a_message_that_asks_first_is_sent_once_and_answered() {
    for seed in 0..SEEDS {
        let mut world = World::with_credits(seed);
        world.run();
        for caller in &world.callers {
            assert!(caller.answer.is_some(), "seed {seed}: {caller:?}");
            let times = world.wechat.sent.get(&caller.message).copied();
            let most = u64::from(caller.credit != Credit::NoneLeft);
            assert!(
                times.unwrap_or_default() <= most,
                "seed {seed}: {caller:?} was sent {times:?} times"
            );
        }
        assert!(world.is_idle(), "seed {seed}: something is held for ever");
    }
}
