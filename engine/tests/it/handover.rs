//! What becomes of what an engine has when its VM ends and nobody waits for it.

use serde_json::json;
use weir_engine::Input;
use weir_engine::metric::{Loss, Metric};
use weir_engine::shared::SharedData;

use crate::world::{Store, USER, World, document, event, parse, text};

/// The host ends a worker's VM, whatever it still has to do.
fn end(world: &mut World, worker: usize) {
    world.handle(worker, Input::HandOver);
    world.crash(worker);
}

/// Events and replies counted as lost with what was replaced.
fn lost(world: &World) -> u64 {
    let lost = world.metrics.iter().map(|metric| match metric {
        Metric::Lost {
            reason: Loss::Abandoned,
            count,
        } => *count,
        _ => 0,
    });
    lost.sum()
}

/// What waits for an heir, bytes.
fn left(world: &World) -> usize {
    let (value, _) = (world.shared.get(weir_engine::handover::KEY)).expect("created");
    value.len()
}

/// Five pushes have been answered at WeChat's last attempt, and only worker 0 has them.
fn outage(mut world: World) -> World {
    world.store = Store::Down;
    for _ in 0..3 {
        let streams: Vec<_> = (1..=5).map(|n| world.push(0, &text(n, "hi"))).collect();
        world.run(5_000);
        for stream in streams {
            world.cut(0, stream);
        }
    }
    assert_eq!((world.responses.len(), world.stored.len()), (5, 0));
    world.batches.clear();
    world
}

/// Worker 0 has a reply that no attempt has come for.
fn late_reply(world: &mut World) {
    world.app.says = r#"{"text": "by the shop"}"#.to_owned();
    world.app.ms = 6_000;
    let stream = world.push(0, &text(1, "slow"));
    world.run(5_000);
    world.cut(0, stream);
    world.run(1_100);
    assert_eq!(world.app.calls.len(), 1);
}

fn forwarding(workers: usize) -> World {
    let document = document(|d| {
        d["apps"] = json!([{"name": "shop", "cluster": "shop", "timeout_ms": 14_000}]);
        d["accounts"][0]["late_replies"] = json!("send");
        d["accounts"][0]["rules"] = json!([{"forward": "shop"}]);
    });
    World::with(workers, &document)
}

#[test]
fn events_of_an_ended_vm_are_delivered_once_by_whoever_is_there() {
    let mut world = outage(World::new(1));
    // The order of a host: the new module is configured before the old one ends.
    world.start_worker();
    world.start_worker();
    end(&mut world, 0);
    assert!(left(&world) > 0);
    world.store = Store::Works;
    world.run(3_000);
    assert_eq!(world.stored.len(), 5);
    let delivered: usize = world.batches.iter().sum();
    assert_eq!((delivered, left(&world), lost(&world)), (5, 0, 0));
}

#[test]
fn an_event_whose_call_was_under_way_is_delivered_again_and_kept_once() {
    let mut world = World::new(2);
    world.store_ms = 30;
    world.push(0, &text(1, "hi"));
    world.run(10);
    end(&mut world, 0);
    world.run(1_000);
    assert_eq!((world.stored.len(), lost(&world)), (1, 0));
}

#[test]
fn what_another_goes_on_with_is_free_for_the_next_attempt_at_once() {
    let mut world = World::new(2);
    world.store = Store::Down;
    world.push(0, &text(1, "hi"));
    world.run(100);
    end(&mut world, 0);
    world.store = Store::Works;
    let stream = world.push(1, &text(1, "hi"));
    world.run(200);
    assert_eq!((world.status(stream), world.stored.len()), (Some(200), 1));
}

#[test]
fn a_profile_that_an_ended_vm_wanted_is_asked_for_by_another() {
    for ms in [0, 50, 150] {
        let mut world = World::new(2);
        world.push(0, &event("subscribe", ""));
        world.run(ms);
        end(&mut world, 0);
        world.run(2_000);
        assert_eq!(
            world.stored_types(),
            ["weir.event.subscribe", "weir.user.snapshot"],
            "after {ms} ms"
        );
        assert_eq!(world.api.asked, [[USER]], "after {ms} ms");
    }
}

#[test]
fn a_late_reply_of_an_ended_vm_is_sent_once() {
    // Before its time has come, while the store is asked, and as soon as it is.
    for ms in [0, 8_000, 8_060, 8_100] {
        let mut world = forwarding(3);
        world.store_ms = 40;
        late_reply(&mut world);
        for _ in 0..ms {
            if world.sent.is_empty() && world.api.token_fetches == 0 {
                world.run(1);
            }
        }
        end(&mut world, 0);
        world.run(12_000);
        assert_eq!((world.sent.len(), lost(&world)), (1, 0), "after {ms} ms");
        world.run(60_000);
        assert_eq!((world.sent.len(), world.app.calls.len()), (1, 1));
    }
}

#[test]
fn an_attempt_still_gets_the_late_reply_of_an_ended_vm_and_then_it_is_not_sent() {
    let mut world = forwarding(3);
    late_reply(&mut world);
    end(&mut world, 0);
    world.run(200);
    let second = world.push(2, &text(1, "slow"));
    world.run(100);
    let reply = world.body(second).expect("answered");
    assert!(reply.contains("by the shop"), "{reply}");
    world.run(30_000);
    assert_eq!((world.sent.len(), world.app.calls.len()), (0, 1));
}

#[test]
fn a_reply_that_is_being_sent_is_nobody_elses_and_counted() {
    let mut world = forwarding(2);
    late_reply(&mut world);
    // Taken by WeChat as soon as it is called; the answer is on its way.
    while world.sent.is_empty() {
        world.run(1);
    }
    end(&mut world, 0);
    world.run(70_000);
    assert_eq!((world.sent.len(), lost(&world)), (1, 1));
}

#[test]
fn a_late_reply_that_found_no_heir_in_time_is_not_sent_any_more() {
    let mut world = forwarding(1);
    late_reply(&mut world);
    let heir = world.start_worker();
    end(&mut world, 0);
    world.now.mono_ms += 120_000;
    world.run(20_000);
    assert!(world.workers[heir].engine.is_some());
    assert_eq!((world.sent.len(), lost(&world)), (0, 1));
}

#[test]
fn where_nobody_is_left_everything_is_lost_and_counted() {
    let mut world = outage(World::new(2));
    end(&mut world, 0);
    assert_eq!(lost(&world), 0, "the other one is there");
    end(&mut world, 1);
    assert_eq!((lost(&world), left(&world)), (5, 0));
}

#[test]
fn a_module_that_knows_no_handover_is_no_heir() {
    let mut world = outage(World::new(1));
    world.start_worker();
    // It signs that it lives, and not that it takes what is left.
    world.run(50);
    let signed = world.shared.set("weir/heirs/16/1", &[], None);
    assert_eq!(signed, Ok(()));
    end(&mut world, 0);
    assert_eq!((lost(&world), left(&world)), (5, 0));
}

#[test]
fn an_heir_whose_configuration_knows_nothing_of_it_counts_it() {
    let mut world = forwarding(1);
    late_reply(&mut world);
    let other = document(|d| d["accounts"][0]["name"] = json!("other"));
    world.config = std::rc::Rc::new(parse(&other).expect("a right configuration"));
    world.start_worker();
    let stored = world.stored.len();
    end(&mut world, 0);
    world.run(20_000);
    assert_eq!((world.sent.len(), lost(&world)), (0, 1));
    assert_eq!(world.stored.len(), stored);
}

#[test]
fn an_heir_takes_no_more_than_it_has_room_for() {
    let small = document(|d| d["limits"] = json!({"outbox_max_events": 2}));
    let mut world = outage(World::new(1));
    world.config = std::rc::Rc::new(parse(&small).expect("a right configuration"));
    world.start_worker();
    end(&mut world, 0);
    let all = left(&world);
    world.run(1_000);
    let rest = left(&world);
    assert!(
        0 < rest && rest < all,
        "two of five are taken: {rest} of {all}"
    );
    world.store = Store::Works;
    world.run(5_000);
    assert_eq!((world.stored.len(), left(&world), lost(&world)), (5, 0, 0));
}

#[test]
fn what_does_not_fit_into_what_is_left_is_lost_and_counted() {
    let mut world = World::new(2);
    world.store = Store::Down;
    let long = "x".repeat(200_000);
    for n in 0..60 {
        world.push(0, &text(n, &long));
    }
    end(&mut world, 0);
    let kept = left(&world) / 200_000;
    assert!((30..=42).contains(&kept), "8 MiB: {kept} of 60");
    assert_eq!(lost(&world), 60 - kept as u64);
    world.store = Store::Works;
    world.run(5_000);
    assert_eq!(world.stored.len(), kept);
}

#[test]
fn under_conflicts_everything_is_still_taken_once() {
    let mut world = outage(World::new(1));
    *world.shared.conflict_every.borrow_mut() = Some(3);
    world.start_worker();
    world.start_worker();
    end(&mut world, 0);
    world.store = Store::Works;
    world.run(5_000);
    let delivered: usize = world.batches.iter().sum();
    assert_eq!((world.stored.len(), delivered, lost(&world)), (5, 5, 0));
}
