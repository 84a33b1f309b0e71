//! What a held push costs, and that many at once are all answered.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use serde_json::json;

use crate::world::{Store, World, document, text};

thread_local! {
    /// Bytes that this thread has asked for and not given back.
    static HELD: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

fn count(bytes: isize) {
    // A thread that ends has nobody to count for.
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}

fn size(layout: Layout) -> isize {
    isize::try_from(layout.size()).expect("no larger than memory")
}

#[expect(unsafe_code, reason = "an allocator")]
// SAFETY: everything is the system's; the counter does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(size(layout));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-size(layout));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PUSHES: usize = 5_000;

/// Parks that many pushes and returns what one of them costs beside its body, in bytes.
fn cost(forwarded: bool) -> usize {
    let document = document(|d| {
        d["limits"] = json!({"parked_max": PUSHES, "forwards_max": PUSHES});
        if forwarded {
            d["apps"] = json!([{"name": "shop", "cluster": "shop"}]);
            d["accounts"][0]["rules"] = json!([{"forward": "shop"}]);
        }
    });
    let mut world = World::with(1, &document);
    world.app.says = r#"{"text": "by the shop"}"#.to_owned();
    world.store = Store::Down;
    world.run(200);
    // What the world itself remembers of a push is not Weir's.
    let before = HELD.get();
    let mut streams = Vec::with_capacity(PUSHES);
    let mut bodies = 0;
    for number in 0..PUSHES {
        let body = text(number as u64 + 1, "how much does it cost to wait?");
        bodies += body.len();
        streams.push(world.push(0, &body));
    }
    let held = usize::try_from(HELD.get() - before).expect("something is held");
    assert!(streams.iter().all(|stream| world.status(*stream).is_none()));

    world.store = Store::Works;
    world.run(4_000);
    let answered = (streams.iter()).filter(|stream| world.status(**stream) == Some(200));
    assert_eq!(answered.count(), PUSHES);
    assert_eq!(world.app.calls.len(), if forwarded { PUSHES } else { 0 });
    held.saturating_sub(bodies) / PUSHES
}

#[test]
fn five_thousand_held_pushes_are_all_answered_and_cost_at_most_4_kb_each() {
    let cost = cost(false);
    assert!((100..=4_096).contains(&cost), "{cost}");
}

#[test]
fn five_thousand_that_wait_for_an_application_do_too() {
    let cost = cost(true);
    assert!((100..=4_096).contains(&cost), "{cost}");
}
