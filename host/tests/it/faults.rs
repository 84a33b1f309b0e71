//! Crashes: what they take with them, and what comes back.

use weir_host::{Fault, Faults, Oddity, Scope};

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

/// A rig that reloads, but not more often than this.
fn reloading(interval: &str) -> Rig {
    let reload = format!("reload_config: {{ backoff: {{ base_interval: {interval} }} }}");
    let setup = Setup {
        filter: format!("failure_policy: FAIL_RELOAD\n                {reload}"),
        ..Setup::default()
    };
    setup.start()
}

#[test]
fn the_next_request_after_a_crash_gets_a_fresh_vm() {
    let rig = reloading("0.01s");
    rig.get("/who");
    for round in 1..=2 {
        assert_eq!(rig.get("/panic").status, 503);
        eventually("the reload", || rig.get("/who").status == 200);
        assert_eq!(
            rig.body("/who"),
            "one 2",
            "a fresh VM counts from the beginning"
        );
        assert_eq!(rig.stats()["wasm.guest.vm_reload_success"], round);
    }
}

#[test]
fn a_crash_within_the_back_off_stays_closed() {
    let rig = reloading("3600s");
    assert_eq!(rig.get("/panic").status, 503);
    for _ in 0..3 {
        assert_eq!(rig.get("/who").status, 503);
    }
    let stats = rig.stats();
    assert_eq!(stats["wasm.guest.vm_reload_backoff"], 3);
    assert_eq!(
        stats
            .get("wasm.guest.vm_reload_success")
            .copied()
            .unwrap_or(0),
        0
    );
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
fn streams_that_are_parked_when_the_vm_crashes_are_told_nothing() {
    let rig = reloading("0.01s");
    let mut parked = Connection::to(rig.address());
    parked.write("GET /park HTTP/1.1\r\nhost: test\r\n\r\n");
    eventually("the parked request", || rig.body("/who") != "one 1");
    assert_eq!(rig.get("/panic").status, 503);
    eventually("the reload", || rig.get("/who").status == 200);
    assert!(parked.is_silent());
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

#[test]
fn a_host_call_fails_on_request_for_whom_it_is_to_fail() {
    if !on_this_host() {
        return;
    }
    let faults = Faults::default();
    let setup = Setup {
        faults: Some(faults.clone()),
        ..Setup::default()
    };
    let rig = setup.start();
    assert!(faults.imports().contains("proxy_set_shared_data"));
    let set = || rig.body("/set?key=k&value=v");
    let fail = |scope| {
        faults.fail(Fault {
            import: "proxy_set_shared_data".to_owned(),
            status: 8,
            scope,
            every: 1,
        });
    };
    fail(Scope::Root);
    assert_eq!(set(), "Ok(())");
    fail(Scope::Stream);
    assert_eq!(set(), "Err(CasMismatch)");
    assert_eq!(faults.failed("proxy_set_shared_data"), 1);
    faults.end();
    assert_eq!(set(), "Ok(())");
}

#[test]
fn a_callback_too_many_is_made_on_request() {
    if !on_this_host() {
        return;
    }
    let faults = Faults::default();
    let setup = Setup {
        faults: Some(faults.clone()),
        ..Setup::words("one tick")
    };
    let rig = setup.start();
    faults.be(Oddity::IdleQueue);
    eventually("a few", || faults.done(Oddity::IdleQueue) > 2);
    assert_eq!(rig.get("/who").status, 200);
}
