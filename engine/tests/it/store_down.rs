//! What happens while the store does not take events.

use crate::world::{Store, World, document, text};

/// WeChat's clock: an attempt, cut after 5 s, the next on another worker.
fn attempt(world: &mut World, worker: usize) -> weir_engine::StreamId {
    let stream = world.push(worker, &text(7, "hi"));
    world.run(5_000);
    world.cut(worker, stream);
    stream
}

#[test]
fn two_attempts_are_held_until_wechat_gives_up_and_the_third_is_answered_in_time() {
    let mut world = World::new(2);
    world.store = Store::Down;
    let first = attempt(&mut world, 0);
    let second = attempt(&mut world, 1);
    assert_eq!((world.status(first), world.status(second)), (None, None));
    let began = world.now.mono_ms;
    let third = attempt(&mut world, 0);
    let (at, response) = &world.responses[&third];
    assert_eq!(response.status, 200);
    assert!((4_250..=4_500).contains(&(at - began)), "{}", at - began);
    assert!(world.stored.is_empty());

    // What was answered without the store is delivered as soon as it is back, once.
    world.store = Store::Works;
    world.run(6_000);
    assert_eq!(world.stored.len(), 1);
    assert!(world.logs.iter().any(|line| line.contains("does not take")));
    assert!(
        world
            .logs
            .iter()
            .any(|line| line.contains("takes events again"))
    );
}

#[test]
fn an_attempt_is_answered_the_moment_the_store_is_back() {
    let mut world = World::new(2);
    world.store = Store::Down;
    attempt(&mut world, 0);
    let second = world.push(1, &text(7, "hi"));
    world.run(500);
    world.store = Store::Works;
    world.run(5_000);
    assert_eq!(world.status(second), Some(200));
    assert_eq!(world.stored.len(), 1);
}

#[test]
fn what_was_stored_while_nobody_waited_answers_the_next_attempt_at_once() {
    let mut world = World::new(2);
    world.store = Store::Down;
    attempt(&mut world, 0);
    world.store = Store::Works;
    world.run(6_000);
    let second = world.push(1, &text(7, "hi"));
    assert_eq!(world.status(second), Some(200));
}

#[test]
fn a_lost_answer_of_the_store_costs_a_repetition_and_nothing_else() {
    let mut world = World::new(1);
    world.store = Store::Mute;
    let stream = world.push(0, &text(7, "hi"));
    world.run(50);
    assert_eq!(world.status(stream), None);
    world.store = Store::Works;
    world.run(1_000);
    assert_eq!(world.status(stream), Some(200));
    assert_eq!(world.stored.len(), 1);
}

#[test]
fn pushes_that_come_while_a_batch_is_under_way_share_the_next_one() {
    let mut world = World::new(1);
    world.store_ms = 20;
    for id in 0..100 {
        world.push(0, &text(id, "hi"));
        world.run(1);
    }
    world.run(100);
    assert_eq!(world.stored.len(), 100);
    assert!(world.batches.len() <= 8, "{:?}", world.batches);
}

#[test]
fn a_batch_the_store_refuses_is_halved_and_only_the_guilty_event_is_lost() {
    let mut world = World::new(1);
    world.store = Store::OneAtATime;
    let streams: Vec<_> = (0..9).map(|id| world.push(0, &text(id, "hi"))).collect();
    world.run(500);
    assert_eq!(world.stored.len(), 9);
    assert!(streams.iter().all(|s| world.status(*s) == Some(200)));

    world.store = Store::TakesNothing;
    let stream = world.push(0, &text(100, "hi"));
    world.run(500);
    assert_eq!(
        world.status(stream),
        Some(200),
        "WeChat cannot help: the user gets the reply"
    );
    assert_eq!(world.counted("weir.lost_events.reason.too_large"), 1);
}

#[test]
fn a_full_outbox_turns_pushes_away_so_that_wechat_keeps_them() {
    for ack in ["after_store", "at_once"] {
        let document = document(|d| {
            d["store"]["ack"] = ack.into();
            d["limits"] = serde_json::json!({"outbox_max_events": 3});
        });
        let mut world = World::with(1, &document);
        world.store = Store::Down;
        let kept: Vec<_> = (0..3).map(|id| world.push(0, &text(id, "hi"))).collect();
        let turned_away = world.push(0, &text(9, "hi"));
        assert_eq!(world.status(turned_away), Some(503), "{ack}");
        world.store = Store::Works;
        world.run(5_000);
        let again = world.push(0, &text(9, "hi"));
        world.run(200);
        assert_eq!(world.status(again), Some(200), "{ack}");
        assert!(kept.iter().all(|s| world.status(*s) == Some(200)));
        assert_eq!(world.stored.len(), 4);
        assert_eq!(world.counted("weir.lost_events.reason.overflow"), 0);
    }
}

#[test]
fn what_is_turned_away_at_the_last_attempt_is_counted_as_lost() {
    let mut world = World::with(
        1,
        &document(|d| d["limits"] = serde_json::json!({"outbox_max_events": 1})),
    );
    world.store = Store::Down;
    world.push(0, &text(1, "hi"));
    for _ in 0..3 {
        let stream = world.push(0, &text(2, "hi"));
        assert_eq!(world.status(stream), Some(503));
        world.run(5_000);
    }
    assert_eq!(world.counted("weir.lost_events.reason.overflow"), 1);
}

#[test]
fn every_hold_ends_even_when_nobody_cuts_the_stream() {
    let mut world = World::new(1);
    world.store = Store::Down;
    let stream = world.push(0, &text(7, "hi"));
    world.run(8_900);
    assert_eq!(world.status(stream), None);
    world.run(200);
    assert_eq!(world.status(stream), Some(503));
}

#[test]
fn at_once_answers_at_once_and_delivers_in_batches() {
    let mut world = World::with(1, &document(|d| d["store"]["ack"] = "at_once".into()));
    for id in 0..50 {
        let stream = world.push(0, &text(id, "hi"));
        assert_eq!(world.status(stream), Some(200));
    }
    world.run(200);
    assert_eq!((world.stored.len(), world.batches.len()), (50, 1));
}
