//! Clients that go in the middle: nothing of theirs is kept.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::client::{Connection, eventually};
use crate::rig::Rig;

/// Connections of each kind: far more than a host holds at a time.
const MANY: usize = 200;

/// The sockets on this address that some process still holds open, as the kernel lists them, without the one that listens.
///
/// Other tests of this program open and close sockets meanwhile, so all descriptors of the process say nothing. Where the
/// host is part of this process, its sockets are among the descriptors.
fn held(address: SocketAddr) -> usize {
    const LISTENS: &str = "0A";
    let local = format!("0100007F:{:04X}", address.port());
    let table = std::fs::read_to_string("/proc/self/net/tcp").expect("the kernel lists sockets");
    let inodes: BTreeSet<String> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.get(1) == Some(&local.as_str()) && fields.get(3) != Some(&LISTENS))
        .filter_map(|fields| Some((*fields.get(9)?).to_owned()))
        // A socket that nobody has a descriptor of any more waits for its peer under no inode.
        .filter(|inode| inode != "0")
        .collect();
    if !crate::rig::on_this_host() {
        return inodes.len();
    }
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("a process has descriptors");
    descriptors
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| {
            let inode = target.to_str()?.strip_prefix("socket:[")?;
            inode.strip_suffix(']').map(|inode| inodes.contains(inode))
        })
        .filter(|ours| *ours)
        .count()
}

/// Breaks off [`MANY`] requests that begin like this.
fn check(what: &str, request: &str) {
    let rig = Rig::start("one");
    let address = rig.address();
    for _ in 0..MANY {
        Connection::to(address).write(request);
    }
    eventually(&format!("{what}: no socket is left"), || held(address) == 0);
    assert_eq!(rig.get("/who").status, 200, "{what}: it serves on");
}

#[test]
fn a_client_that_breaks_off_its_request_leaves_no_socket_behind() {
    let half = "content-length: 100\r\n\r\nhalf of it";
    let chunked = "transfer-encoding: chunked\r\n\r\n20\r\nhalf of it";
    for (what, path, rest) in [
        ("to a filter that collects", "/body", half),
        ("to a filter that collects, in chunks", "/body", chunked),
        ("to a filter that stopped everything", "/park", half),
        ("to a filter that has answered", "/reply", half),
        ("on its way to an upstream", "/", half),
        ("on its way to an upstream, in chunks", "/", chunked),
    ] {
        check(
            what,
            &format!("POST {path} HTTP/1.1\r\nhost: test\r\n{rest}"),
        );
    }
    check("in the middle of the headers", "POST /body HTTP/1.1\r\nho");
    check(
        "after the request",
        "POST /park HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\nab",
    );
    check("before the request", "");
}

#[test]
fn what_is_held_is_counted() {
    let rig = Rig::start("one");
    assert_eq!(held(rig.address()), 0);
    let mut parked = Connection::to(rig.address());
    parked.write("GET /park HTTP/1.1\r\nhost: test\r\n\r\n");
    eventually("one socket is held", || held(rig.address()) == 1);
    drop(parked);
    eventually("and let go", || held(rig.address()) == 0);
}
