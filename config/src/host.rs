//! What a document asks of its host beyond what every host gives.
//!
//! | setting | needs |
//! |---|---|
//! | `store.ack: at_once` | `Background`: the event is delivered after the answer, whatever the store does |
//! | `rules[].forward` | `Background`: an application may take longer than WeChat waits for one attempt |
//! | `late_replies: send` | `Background`: what comes too late goes out when no request is there |
//! | `cluster` that is a name | `Clusters`; without them it is an origin, which is the authority, too |

use weir_engine::capability::{Capabilities, Capability};

use crate::node::Node;

/// Notes every setting that needs what `host` does not give.
pub(crate) fn check(root: &Node<'_>, host: Capabilities) {
    if !host.has(Capability::Background) {
        check_background(root);
    }
    if !host.has(Capability::Clusters) {
        for name in ["store", "wechat_api"] {
            if let Some(peer) = root.at(name) {
                check_origin(&peer);
            }
        }
        for app in root.field("apps").items() {
            check_origin(&app);
        }
    }
}

fn check_background(root: &Node<'_>) {
    let store = root.field("store");
    let ack = store.field("ack");
    if ack.value.as_str() == Some("at_once") {
        ack.wrong("this host does nothing between requests (capability background), so only \"after_store\" keeps its promise");
    }
    for account in root.field("accounts").items() {
        let late = account.field("late_replies");
        if late.value.as_str() == Some("send") {
            late.wrong("this host does nothing between requests (capability background), so nothing is sent late");
        }
        for rule in account.field("rules").items() {
            if let Some(forward) = rule.at("forward") {
                forward.wrong(
                    "this host does nothing between requests (capability background), and an application's answer may come later than the request's end",
                );
            }
        }
    }
}

fn check_origin(peer: &Node<'_>) {
    let cluster = peer.field("cluster");
    let Some(name) = cluster.value.as_str() else {
        return;
    };
    let Some(origin) = authority(name) else {
        cluster.wrong("this host knows no clusters (capability clusters): expected an origin, like https://api.weixin.qq.com");
        return;
    };
    let given = peer.field("authority");
    if given.value.as_str().is_some_and(|given| given != origin) {
        given.wrong("this host calls the origin in \"cluster\" by its own name: leave it out");
    }
}

/// The authority of an origin: what follows `http://` or `https://`.
fn authority(origin: &str) -> Option<&str> {
    let rest = (origin.strip_prefix("http://")).or_else(|| origin.strip_prefix("https://"))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
    (!rest.is_empty() && rest.bytes().all(plain)).then_some(rest)
}
