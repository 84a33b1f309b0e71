//! Start, updates and end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use weir_host::{Error, Host, Listen, Options, Source};

use crate::client::{Connection, eventually, get};
use crate::rig::{Rig, Setup, on_this_host};

#[test]
fn a_plugin_that_refuses_its_configuration_keeps_the_host_from_starting() {
    let error = Setup::words("one refuse")
        .try_start()
        .err()
        .expect("refused");
    assert!(
        error.contains("refused: asked to"),
        "the plugin's words are in it: {error}"
    );
}

#[test]
fn a_plugin_that_panics_on_its_configuration_keeps_the_host_from_starting() {
    let error = Setup::words("one panic")
        .try_start()
        .err()
        .expect("refused");
    assert!(error.contains("asked to, in on_configure"), "{error}");
}

#[test]
fn the_plugin_is_configured_once_for_trial_and_once_on_each_thread() {
    let setup = Setup {
        workers: 2,
        ..Setup::default()
    };
    let rig = setup.start();
    rig.expect_count("configured", 4);
    let stats = rig.stats();
    assert_eq!(
        stats["wasm.envoy.wasm.runtime.v8.active"], 4,
        "a base, main, two workers"
    );
    assert_eq!(
        stats["wasm.envoy.wasm.runtime.v8.created"], 5,
        "and the canary that was"
    );
    assert_eq!(
        rig.log().matches("vm start 10 for the vm").count(),
        4,
        "{}",
        rig.log()
    );
}

/// A module with no callback at all:
/// `(module (memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))
/// (func (export "malloc") (param i32) (result i32) i32.const 1024))`
fn silent_module() -> std::path::PathBuf {
    let parts: [&[u8]; 8] = [
        b"\0asm\x01\0\0\0",
        b"\x01\x09\x02\x60\0\0\x60\x01\x7f\x01\x7f", // types: () and (i32) -> i32
        b"\x03\x03\x02\0\x01",                       // two functions
        b"\x05\x03\x01\0\x01",                       // a memory of one page
        b"\x07\x2d\x03\x06memory\x02\0",
        b"\x17proxy_abi_version_0_2_1\0\0",
        b"\x06malloc\0\x01",
        b"\x0a\x0a\x02\x02\0\x0b\x05\0\x41\x80\x08\x0b",
    ];
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/silent.wasm");
    std::fs::write(file, parts.concat()).expect("a file");
    file.into()
}

#[test]
fn callbacks_that_are_not_exported_are_not_called_and_let_everything_through() {
    let setup = Setup {
        module: Some(silent_module()),
        ..Setup::default()
    };
    let rig = setup.start();
    let reply = rig.post("/panic", "body");
    assert_eq!(reply.body, "POST /panic HTTP/1.1 body");
    assert_eq!(reply.header("x-response-callback"), None);
}

#[test]
fn a_module_that_is_none_is_named() {
    if !on_this_host() {
        return;
    }
    let yaml = Setup::default().yaml(([127, 0, 0, 1], 1).into());
    let start = |file: &str| {
        let module = crate::guest::module();
        let yaml = yaml.replace(&module.display().to_string(), file);
        let mut options = Options::new(Source::Text(yaml));
        options.listen = Listen::Loopback;
        Host::start(options).err().expect("no module").to_string()
    };
    assert!(start("absent.wasm").starts_with("absent.wasm: "));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    assert!(start(source).starts_with(source));
}

#[test]
fn an_update_of_the_plugins_configuration_takes_new_roots_in_the_same_vms() {
    if !on_this_host() {
        return;
    }
    let rig = Rig::start("one");
    assert_eq!(rig.body("/who"), "one 1");
    let before = rig.stats()["wasm.envoy.wasm.runtime.v8.active"];
    rig.update("two").expect("accepted");
    assert_eq!(rig.body("/who"), "two 2", "the VM's memory stays");
    rig.expect_log("root one deleted");
    assert_eq!(rig.stats()["wasm.envoy.wasm.runtime.v8.active"], before);
    assert_eq!(rig.stats()["weir_host.update_success"], 1);
}

#[test]
fn an_update_of_the_environment_takes_new_vms_and_keeps_the_shared_data() {
    if !on_this_host() {
        return;
    }
    let rig = Rig::start("one");
    rig.body("/set?key=k&value=kept");
    let yaml = Setup::words("one").yaml(rig.upstream.address);
    let yaml = yaml.replace("GUEST_PLAIN: plain", "GUEST_PLAIN: changed");
    rig.host().update_config(&yaml).expect("accepted");
    assert_eq!(rig.body("/env?name=GUEST_PLAIN"), "changed");
    assert_eq!(rig.body("/who"), "one 2", "a fresh VM");
    assert_eq!(rig.body("/get?key=k"), "Some(\"kept\") true");
    eventually("the old VMs' end", || {
        rig.stats()["wasm.envoy.wasm.runtime.v8.active"] == 3
    });
}

#[test]
fn a_bad_update_is_rejected_and_the_old_configuration_goes_on() {
    if !on_this_host() {
        return;
    }
    let rig = Rig::start("one");
    let rejected = rig.update("two refuse").expect_err("refused");
    assert!(rejected.contains("refused: asked to"), "{rejected}");
    let rejected = rig.update("two panic").expect_err("refused");
    assert!(rejected.contains("asked to, in on_configure"), "{rejected}");
    let rejected = rig
        .host()
        .update_config("static_resources: 5")
        .expect_err("malformed");
    assert!(
        rejected.to_string().contains("static_resources"),
        "{rejected}"
    );
    assert_eq!(rig.body("/who"), "one 1");
    assert_eq!(rig.stats()["weir_host.update_rejected"], 3);
}

#[test]
fn requests_in_flight_finish_under_the_old_root_which_is_asked_when_the_last_one_ends() {
    if !on_this_host() {
        return;
    }
    let rig = Rig::start("one");
    let mut old = Connection::to(rig.address());
    old.write("POST /body HTTP/1.1\r\nhost: test\r\ncontent-length: 4\r\n\r\nab");
    eventually("the request", || rig.body("/who") != "one 1");
    rig.update("two").expect("accepted");
    let worker_asked = || {
        let log = rig.log();
        log.lines()
            .any(|line| line.contains("[worker 0]") && line.contains("root one asked whether done"))
    };
    assert!(!worker_asked(), "a stream still holds the worker's root");
    old.write("cd");
    assert_eq!(old.read().expect("a reply").status, 200);
    eventually("the question", worker_asked);
}

#[test]
fn an_old_root_that_is_not_done_keeps_its_callouts_and_ticks_until_it_is() {
    if !on_this_host() {
        return;
    }
    let rig = Rig::start("one wait tick");
    let mut waiting = Connection::to(rig.address());
    waiting.write("GET /root-call?to=/gate HTTP/1.1\r\nhost: test\r\n\r\n");
    eventually("the callout", || {
        !rig.upstream.asked_for("/gate").is_empty()
    });
    drop(waiting);
    rig.expect_log("stream deleted /root-call");
    rig.update("two").expect("accepted");
    rig.expect_log("root one asked whether done");
    let ticks = rig.count("ticks");
    eventually("ticks of the old root", || rig.count("ticks") > ticks + 2);
    rig.upstream.open_gate();
    rig.expect_log("root one answered");
    rig.expect_log("root one is done");
    let deleted = || {
        let log = rig.log();
        log.lines()
            .any(|line| line.contains("[worker 0]") && line.contains("root one deleted"))
    };
    eventually("the old root's end", deleted);
    assert_eq!(rig.upstream.closed(), 0, "the connection was not cut");
}

#[test]
fn an_old_root_that_says_it_is_done_loses_its_callouts() {
    if !on_this_host() {
        return;
    }
    let rig = Rig::start("one");
    let mut waiting = Connection::to(rig.address());
    waiting.write("GET /root-call?to=/never HTTP/1.1\r\nhost: test\r\n\r\n");
    eventually("the callout", || {
        !rig.upstream.asked_for("/never").is_empty()
    });
    drop(waiting);
    rig.expect_log("stream deleted /root-call");
    rig.update("two").expect("accepted");
    eventually("the cut connection", || rig.upstream.closed() == 1);
}

#[test]
fn an_update_under_load_drops_no_request() {
    if !on_this_host() {
        return;
    }
    let setup = Setup {
        workers: 2,
        ..Setup::default()
    };
    let rig = setup.start();
    let (stop, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (address, stop, done) = (rig.address(), Arc::clone(&stop), Arc::clone(&done));
            std::thread::spawn(move || {
                let mut connection = Connection::to(address);
                while !stop.load(Ordering::SeqCst) {
                    assert_eq!(connection.get("/who").status, 200);
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for round in 0..5 {
        rig.update(&format!("round{round}")).expect("accepted");
        let reached = done.load(Ordering::SeqCst) + 20;
        eventually("more requests", || done.load(Ordering::SeqCst) > reached);
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().expect("every request was answered");
    }
    assert!(rig.body("/who").starts_with("round4 "));
}

#[test]
fn an_update_cannot_move_the_listeners() {
    if !on_this_host() {
        return;
    }
    let rig = Rig::start("one");
    let yaml = Setup::words("one").yaml(rig.upstream.address);
    let rejected = rig
        .host()
        .update_config(&yaml.replace("name: main", "name: other"));
    assert!(rejected.is_err());
}

#[test]
fn the_end_tells_the_streams_and_the_roots_and_waits_for_none() {
    if !on_this_host() {
        return;
    }
    let lines = Arc::new(std::sync::Mutex::new(String::new()));
    let said = Arc::clone(&lines);
    let upstream = crate::upstream::Upstream::start();
    let mut options = Options::new(Source::Text(
        Setup::words("one wait").yaml(upstream.address),
    ));
    options.listen = Listen::Loopback;
    options.workers = 1;
    options.log_sink = Some(Arc::new(move |line| {
        said.lock()
            .expect("no panic")
            .push_str(&format!("{line}\n"));
    }));
    let host = Host::start(options).expect("it starts");
    let mut parked = Connection::to(host.addr("main").expect("configured"));
    parked.write("GET /root-call?to=/never HTTP/1.1\r\nhost: test\r\n\r\n");
    eventually("the callout", || !upstream.asked().is_empty());
    host.shutdown();
    let log = lines.lock().expect("no panic").clone();
    assert!(log.contains("stream deleted /root-call"), "{log}");
    assert!(log.contains("root one asked whether done"), "{log}");
    assert!(parked.is_closed_by_server());
}

#[test]
fn a_second_host_in_the_same_process_shares_nothing() {
    if !on_this_host() {
        return;
    }
    let (a, b) = (Rig::start("one"), Rig::start("one"));
    a.body("/set?key=k&value=v");
    assert_eq!(b.body("/get?key=k"), "None false");
    assert_eq!(get(a.address(), "/get?key=k").body, "Some(\"v\") true");
}

#[test]
fn an_address_in_use_is_an_error_with_the_address() {
    if !on_this_host() {
        return;
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let yaml = Setup::default().yaml(([127, 0, 0, 1], 1).into()).replacen(
        "socket_address: { address: 127.0.0.1, port_value: 0 } }\n    \n",
        &format!("socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}\n    \n"),
        1,
    );
    match Host::start(Options::new(Source::Text(yaml))) {
        Err(Error::Bind {
            listener, address, ..
        }) => {
            assert_eq!((listener.as_str(), address.port()), ("main", port));
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the port is taken"),
    }
}

impl Rig {
    /// Updates the plugin's configuration.
    fn update(&self, words: &str) -> Result<(), String> {
        let yaml = Setup::words(words).yaml(self.upstream.address);
        self.host()
            .update_config(&yaml)
            .map_err(|rejected| rejected.to_string())
    }
}
