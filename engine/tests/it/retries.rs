//! Copies of a push: on the same worker, on another, while it is in flight, after the answer.

use crate::world::{Store, World, document, event, text};

#[test]
fn a_copy_gets_the_same_bytes_on_any_worker_and_is_stored_once() {
    for ack in ["after_store", "at_once"] {
        let mut world = World::with(3, &document(|d| d["store"]["ack"] = ack.into()));
        let streams: Vec<_> = (0..6)
            .map(|i| {
                let stream = world.push(i % 3, &text(7, "hi"));
                world.run(1_700);
                stream
            })
            .collect();
        let first = world.body(streams[0]).expect("answered");
        for stream in streams {
            assert_eq!(world.body(stream).as_ref(), Some(&first), "{ack}");
        }
        assert_eq!(world.stored.len(), 1);
        assert_eq!(world.batches, [1], "the store is asked once");
        assert_eq!(world.counted("weir.dedup_hits.account.demo"), 5);
    }
}

#[test]
fn copies_of_a_push_in_flight_wait_beside_it_and_are_answered_together() {
    let mut world = World::new(2);
    world.store_ms = 1_000;
    let streams = [
        world.push(0, &text(7, "hi")),
        world.push(0, &text(7, "hi")),
        world.push(1, &text(7, "hi")),
    ];
    world.run(900);
    assert!(
        world.responses.is_empty(),
        "nothing is acknowledged before it is stored"
    );
    world.run(200);
    for stream in streams {
        assert_eq!(world.status(stream), Some(200));
        assert_eq!(world.body(stream), world.body(streams[0]));
    }
    assert_eq!(world.batches, [1]);
}

#[test]
fn different_events_of_one_user_in_one_second_are_two() {
    let mut world = World::new(1);
    world.push(
        0,
        &event(
            "user_get_card",
            "<CardId>c</CardId><UserCardCode>1</UserCardCode>",
        ),
    );
    world.push(
        0,
        &event(
            "user_view_card",
            "<CardId>c</CardId><UserCardCode>1</UserCardCode>",
        ),
    );
    world.push(
        0,
        &event(
            "user_view_card",
            "<CardId>c</CardId><UserCardCode>2</UserCardCode>",
        ),
    );
    world.run(100);
    assert_eq!(world.stored.len(), 3);
}

#[test]
fn a_push_whose_worker_died_is_taken_over_by_the_next_attempt() {
    let mut world = World::new(2);
    world.store = Store::Down;
    world.push(0, &text(7, "hi"));
    world.run(1_000);
    world.crash(0);
    world.store = Store::Works;
    world.run(4_000);
    let second = world.push(1, &text(7, "hi"));
    world.run(200);
    assert_eq!(world.status(second), Some(200));
    assert_eq!(world.stored.len(), 1);
}

#[test]
fn a_copy_that_waits_beside_a_worker_that_dies_is_answered_by_its_own() {
    let mut world = World::new(2);
    world.store = Store::Down;
    world.push(0, &text(7, "hi"));
    let beside = world.push(1, &text(7, "hi"));
    world.run(100);
    world.crash(0);
    world.store = Store::Works;
    world.run(4_000);
    assert_eq!(world.status(beside), Some(200));
    assert_eq!(world.stored.len(), 1);
}

#[test]
fn conflicts_on_the_table_do_not_lose_or_double_a_push() {
    let mut world = World::new(2);
    *world.shared.conflict_every.borrow_mut() = Some(2);
    for id in 0..200 {
        let first = world.push(0, &text(id, "hi"));
        let copy = world.push(1, &text(id, "hi"));
        world.run(120);
        assert_eq!(
            (world.status(first), world.status(copy)),
            (Some(200), Some(200))
        );
    }
    assert_eq!(world.stored.len(), 200);
}

#[test]
fn a_table_far_too_small_for_the_load_still_answers_everybody() {
    let mut world = World::with(
        2,
        &document(|d| d["limits"] = serde_json::json!({"dedup_slots": 16})),
    );
    let streams: Vec<_> = (0..500)
        .map(|id| world.push((id % 2) as usize, &text(id, "hi")))
        .collect();
    world.run(1_000);
    assert!(
        streams
            .iter()
            .all(|stream| world.status(*stream) == Some(200))
    );
    assert_eq!(world.stored.len(), 500);
}

#[test]
fn a_push_is_recognised_for_the_retention_and_then_left_to_the_store() {
    let mut world = World::new(1);
    world.push(0, &text(7, "hi"));
    world.run(59_000);
    world.push(0, &text(7, "hi"));
    world.run(100);
    assert_eq!(world.batches.len(), 1);
    world.run(2_000);
    let late = world.push(0, &text(7, "hi"));
    world.run(100);
    assert_eq!((world.batches.len(), world.stored.len()), (2, 1));
    assert_eq!(world.status(late), Some(200));
}
