//! Crashes: what they take with them, and what comes back.

use crate::client::{Connection, eventually, get};
use crate::rig::{Rig, Setup, on_this_host};

#[test]
fn a_panic_in_a_request_callback_is_a_503_without_body_and_says_why_in_the_log() {
    let rig = Rig::start("one");
    let reply = rig.get("/panic");
    assert_eq!((reply.status, reply.body.as_str()), (503, ""));
    rig.expect_log("asked to");
    rig.expect_log("proxy_on_request_headers failed");
}

#[test]
fn an_exit_is_a_crash() {
    let rig = Rig::start("one");
    assert_eq!(rig.get("/exit").status, 503);
}

#[test]
fn a_panic_in_a_response_callback_replaces_the_response() {
    let rig = Rig::start("one");
    let reply = rig.get("/response-panic");
    assert_eq!((reply.status, reply.body.as_str()), (503, ""));
}

#[test]
fn a_crash_takes_its_own_worker_only_and_leaves_the_shared_data() {
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
    get(worker(0), "/set?key=k&value=kept");
    assert_eq!(get(worker(0), "/panic").status, 503);
    assert_eq!(get(worker(0), "/who").status, 503, "closed from now on");
    assert_eq!(get(worker(0), "/who").status, 503);
    assert_eq!(get(worker(1), "/who").body, "one 1");
    assert_eq!(get(worker(1), "/get?key=k").body, "Some(\"kept\") true");
}

#[test]
fn reloading_makes_a_fresh_vm_but_not_more_often_than_the_back_off_allows() {
    let setup = Setup {
        filter: "failure_policy: FAIL_RELOAD\n                reload_config: { backoff: { base_interval: 0.3s } }"
            .to_owned(),
        ..Setup::default()
    };
    let rig = setup.start();
    rig.get("/who");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(rig.get("/panic").status, 503);
    assert_eq!(
        rig.body("/who"),
        "one 1",
        "a fresh VM counts from the beginning"
    );
    assert_eq!(rig.get("/panic").status, 503);
    assert_eq!(rig.get("/who").status, 503, "inside the back-off");
    eventually("the second reload", || rig.get("/who").status == 200);
    let stats = rig.stats();
    let count = |what: &str| stats[&format!("wasm.guest.vm_reload_{what}")];
    assert_eq!(count("success"), 2);
    assert!(count("backoff") >= 1);
}

#[test]
fn failing_open_lets_later_requests_past_the_filter() {
    let setup = Setup {
        filter: "failure_policy: FAIL_OPEN".to_owned(),
        ..Setup::default()
    };
    let rig = setup.start();
    assert_eq!(rig.get("/panic").status, 503);
    assert_eq!(rig.body("/who"), "GET /who HTTP/1.1 ");
}

#[test]
fn failing_open_in_the_old_way_lets_the_crashing_request_past_too() {
    let setup = Setup {
        filter: "fail_open: true".to_owned(),
        ..Setup::default()
    };
    let rig = setup.start();
    assert_eq!(rig.body("/panic"), "GET /panic HTTP/1.1 ");
}

#[test]
fn streams_that_are_parked_when_the_vm_crashes_wait_for_a_timeout() {
    let setup = Setup {
        manager: "stream_idle_timeout: 1s".to_owned(),
        ..Setup::default()
    };
    let rig = setup.start();
    let mut parked = Connection::to(rig.address());
    parked.write("GET /park HTTP/1.1\r\nhost: test\r\n\r\n");
    eventually("the parked request", || rig.body("/who") != "one 1");
    let begun = std::time::Instant::now();
    assert_eq!(rig.get("/panic").status, 503);
    let reply = parked.read().expect("a reply");
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (503, ""),
        "the timeout's reply meets the dead filter"
    );
    assert!(
        begun.elapsed() > std::time::Duration::from_millis(300),
        "not before the timeout"
    );
}

#[test]
fn a_panic_in_a_tick_answers_no_stream() {
    let setup = Setup {
        manager: "stream_idle_timeout: 0.5s".to_owned(),
        ..Setup::words("one tick")
    };
    let rig = setup.start();
    let reply = rig.get("/panic-in-tick");
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (503, ""),
        "the timeout's reply meets the dead filter"
    );
    rig.expect_log("asked to, in a tick");
}

#[test]
fn a_crash_hook_is_as_good_as_a_trap() {
    if !on_this_host() {
        return;
    }
    let rig = Rig::start("one");
    assert_eq!(rig.body("/who"), "one 1");
    assert_eq!(rig.host().crash_worker(0), 1);
    assert_eq!(rig.host().crash_worker(7), 0);
    eventually("a fresh VM", || rig.get("/who").body == "one 1");
}
