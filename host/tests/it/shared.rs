//! Shared data and shared queues, between the VMs of one host.

use crate::client::{eventually, get};
use crate::rig::{Rig, Setup, on_this_host};

#[test]
fn a_key_is_absent_until_set_and_stays_when_emptied() {
    let rig = Rig::start("one");
    assert_eq!(rig.body("/get?key=k"), "None false");
    assert_eq!(rig.body("/set?key=k&value=v"), "Ok(())");
    assert_eq!(rig.body("/get?key=k"), "Some(\"v\") true");
    assert_eq!(rig.body("/set?key=k"), "Ok(())");
    assert_eq!(rig.body("/get?key=k"), "None true");
}

#[test]
fn setting_an_absent_key_is_ok_whatever_cas_it_carries() {
    let rig = Rig::start("one");
    assert_eq!(rig.body("/set?key=new&value=v&cas=12345"), "Ok(())");
}

#[test]
fn only_the_first_of_two_writers_with_the_same_cas_wins() {
    let rig = Rig::start("one");
    rig.body("/set?key=k&value=v");
    assert_eq!(rig.body("/cas-race?key=k"), "Ok(()) Err(CasMismatch)");
    assert_eq!(rig.body("/get?key=k"), "Some(\"a\") true");
}

#[test]
fn cas_does_not_guard_the_creation_of_a_key() {
    let rig = Rig::start("one");
    assert_eq!(rig.body("/cas-race?key=fresh"), "Ok(()) Ok(())");
}

#[test]
fn all_workers_share_the_data_and_none_shares_its_memory() {
    if !on_this_host() {
        return;
    }
    let rig = two_workers("one");
    let worker = |index| {
        rig.host()
            .worker_addr("main", index)
            .expect("worker ports are on")
    };
    assert_eq!(get(worker(0), "/set?key=k&value=from-0").body, "Ok(())");
    assert_eq!(get(worker(1), "/get?key=k").body, "Some(\"from-0\") true");
    assert_eq!(get(worker(0), "/who").body, "one 2");
    assert_eq!(get(worker(1), "/who").body, "one 2");
    assert_eq!(get(worker(1), "/who").body, "one 3");
}

#[test]
fn one_wake_up_comes_for_each_item_and_never_inside_the_enqueue() {
    let rig = Rig::start("one");
    let body = rig.body("/enqueue?queue=everyone&times=3");
    assert!(body.starts_with("Some("), "{body}");
    assert!(body.ends_with("Ok(()), Ok(()), Ok(()) inside=0"), "{body}");
    rig.expect_count("queue_ready", 3);
    rig.expect_count("queue_items", 3);
}

#[test]
fn an_unknown_queue_is_not_found() {
    let rig = Rig::start("one");
    assert_eq!(rig.body("/enqueue-unknown"), "Err(NotFound)");
    assert_eq!(rig.body("/enqueue?queue=nobodys&times=1"), "None  inside=0");
}

#[test]
fn a_queue_registered_by_all_wakes_the_last_registrant_only() {
    let setup = Setup {
        workers: 2,
        ..Setup::default()
    };
    let rig = setup.start();
    for _ in 0..4 {
        rig.body("/enqueue?queue=everyone&times=5");
    }
    rig.expect_count("queue_items", 20);
    rig.expect_count("queue_ready", 20);
}

#[test]
fn wake_ups_for_a_crashed_owner_are_lost_and_the_items_stay() {
    if !on_this_host() {
        return;
    }
    let setup = Setup {
        filter: "failure_policy: FAIL_CLOSED".to_owned(),
        workers: 2,
        worker_ports: true,
        ..Setup::default()
    };
    let rig = setup.start();
    let worker = |index| {
        rig.host()
            .worker_addr("main", index)
            .expect("worker ports are on")
    };
    // Worker 1 was configured last, so it is the one that is woken.
    assert_eq!(rig.host().crash_worker(1), 1);
    get(worker(0), "/enqueue?queue=everyone&times=2");
    eventually("the crashed worker's 503", || {
        get(worker(1), "/who").status == 503
    });
    assert_eq!(rig.count("queue_ready"), 0);
}

fn two_workers(words: &str) -> Rig {
    let setup = Setup {
        workers: 2,
        worker_ports: true,
        ..Setup::words(words)
    };
    setup.start()
}
