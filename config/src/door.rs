//! The document of the API door.

use serde_json::Value;
use weir_door::config::{Account, Client, Config, Credits, HandOut, Limits, Linter, Quota};
use weir_engine::config::{AccountId, Secret};

use crate::node::Node;
use crate::read::{identity, read_peer, secret};
use crate::shape::Presence::{Optional, Or, OrText, Required};
use crate::shape::{Field, Shape, fields, text};
use crate::shapes;

/// The whole document.
pub(crate) static DOCUMENT: Shape = Shape::Object {
    fields: fields![
        "accounts" Required, &ACCOUNTS, "The accounts that are called for. Each has an access token of its own.";
        "clients" Required, &CLIENTS, "Who may come.";
        "wechat_api" Required, &shapes::WECHAT_API, "Where api.weixin.qq.com is.";
        "store" Optional, &STORE, "Where it is recorded what was sent to whom. Without it nothing is.";
        "hand_out" OrText("stand_in"), &HAND_OUT, "What an SDK that asks for an access token gets: something that only this door understands, or the shared access token, for SDKs that also call WeChat directly.";
        "linter" OrText("warn"), &LINTER, "What is done about requests that WeChat would refuse or show wrongly.";
        "credits" Optional, &CREDITS, "What is done about subscribe messages that their user has not allowed.";
        "quotas" Optional, &QUOTAS, "Calls per day. WeChat's own limit (45009) is obeyed without.";
        "limits" Optional, &LIMITS, "Bounds and times.";
    ],
    one_of: &[],
};

static ACCOUNTS: Shape = Shape::List {
    of: &ACCOUNT,
    min: 1,
    max: 10_000,
    items: "accounts",
};
static ACCOUNT: Shape = Shape::Object {
    fields: fields![
        "name" Required, &shapes::NAME, "Its name in paths, headers, events and metrics.";
        "appid" Required, &shapes::APPID, "The appid.";
        "app_secret_env" Required, &shapes::VARIABLE, "Name of the environment variable with the AppSecret.";
    ],
    one_of: &[],
};

static CLIENTS: Shape = Shape::List {
    of: &CLIENT,
    min: 1,
    max: 1_000,
    items: "clients",
};
static CLIENT: Shape = Shape::Object {
    fields: fields![
        "name" Required, &shapes::NAME, "Its name in events.";
        "key_env" Optional, &shapes::VARIABLE, "Name of the environment variable with its key: what it shows as a bearer token, or in place of an AppSecret. At least 16 characters.";
        "san" Optional, &SAN, "A URI in its certificate. Needs a listener that asks for certificates and checks them.";
        "accounts" Required, &NAMES, "The accounts that it may speak for.";
        "allow" Required, &PATHS, "Beginnings of the paths that it may call, like /cgi-bin/message/. What deals in secrets or clears quotas is only allowed by its whole path.";
        "deny" Optional, &PATHS, "Beginnings of those that it may not call; they win.";
    ],
    one_of: &[],
};
static SAN: Shape = text!("a URI, like spiffe://example.com/shop", |s| s
    .contains("://"));
static NAMES: Shape = Shape::List {
    of: &shapes::NAME,
    min: 1,
    max: 10_000,
    items: "names",
};
static PATHS: Shape = Shape::List {
    of: &PATH,
    min: 0,
    max: 200,
    items: "paths",
};
static PATH: Shape = text!(
    "an absolute path, like /cgi-bin/message/",
    |s| s.starts_with('/')
        && s.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-./".contains(&b)),
    "^/[A-Za-z0-9_./-]*$"
);

static STORE: Shape = Shape::Object {
    fields: fields![
        "cluster" Required, &shapes::WORD, "Envoy's cluster.";
        "authority" OrText("weir-store"), &shapes::WORD, "The `:authority` of the calls.";
        "timeout_ms" Or(3_000), &shapes::TIMEOUT, "How long to wait for an answer, milliseconds.";
        "path" OrText("/v1/events"), &shapes::URL_PATH, "The path of the event door.";
    ],
    one_of: &[],
};
static HAND_OUT: Shape = Shape::Choice(&["stand_in", "access_token"]);
static LINTER: Shape = Shape::Choice(&["off", "warn", "refuse"]);

static CREDITS: Shape = Shape::Object {
    fields: fields![
        "refuse" Optional, &Shape::Flag, "The store is asked before each; where it is certain that nothing is left the answer is 43101, and WeChat is not asked.";
        "path" OrText("/v1/credits"), &shapes::URL_PATH, "The path of the store's balances.";
        "timeout_ms" Or(200), &Shape::Whole { min: 1, max: 5_000 }, "How long the store may take, milliseconds. Then the message goes on.";
        "long_term" Optional, &TEMPLATES, "Long-term templates (长期订阅): one accept allows any number of messages, so they are never refused here. WeChat does not tell which they are.";
    ],
    one_of: &[],
};
static TEMPLATES: Shape = Shape::List {
    of: &shapes::WORD,
    min: 0,
    max: 1_000,
    items: "templates",
};

static QUOTAS: Shape = Shape::List {
    of: &QUOTA,
    min: 0,
    max: 200,
    items: "quotas",
};
static QUOTA: Shape = Shape::Object {
    fields: fields![
        "path" Required, &PATH, "The API's whole path.";
        "per_day" Required, &Shape::Whole { min: 1, max: 1_000_000_000 }, "Calls per account and day. A day begins at midnight in Beijing.";
        "reserve" Or(0), &Shape::Whole { min: 0, max: 1_000_000_000 }, "So many of them are left to others than the door.";
    ],
    one_of: &[],
};

static LIMITS: Shape = Shape::Object {
    fields: fields![
        "replay_max_bytes" Or(256 * 1_024), &Shape::Whole { min: 0, max: 4 * 1_024 * 1_024 }, "Largest body of a request that is kept, so that the call can be made again when WeChat refuses the access token, bytes. Larger ones stream through.";
        "wait_ms" Or(10_000), &Shape::Whole { min: 100, max: 60_000 }, "How long a request waits for an access token, milliseconds.";
        "held_max" Or(10_000), &Shape::Whole { min: 1, max: 1_000_000 }, "Most requests on their way at a time, per worker.";
        "stand_in_s" Or(7_200), &Shape::Whole { min: 600, max: 86_400 }, "How long a stand-in is good for, seconds. SDKs fetch another before.";
        "outbox_max_events" Or(20_000), &Shape::Whole { min: 1, max: 1_000_000 }, "Most records of sends waiting for the store, per worker.";
    ],
    one_of: &[],
};

/// Least length of a client's key: it is guessed at from outside.
const MIN_KEY_BYTES: usize = 16;

pub(crate) fn read_document(
    root: &Node<'_>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Option<Config> {
    let accounts = read_accounts(&root.field("accounts"), env);
    let clients = read_clients(&root.field("clients"), &accounts, env);
    let wechat_api = read_peer(&root.field("wechat_api"), shapes::WECHAT_API.fields());
    let store = root.at("store").and_then(|node| {
        let path = node.text(STORE.fields(), "path")?.to_owned();
        Some((read_peer(&node, STORE.fields())?, path))
    });
    let credits = root.at("credits").and_then(|node| {
        if node.value.get("refuse").and_then(Value::as_bool) != Some(true) {
            return None;
        }
        if root.at("store").is_none() {
            node.wrong("needs \"store\", which knows what users allow");
        }
        Some(Credits {
            path: node.text(CREDITS.fields(), "path")?.to_owned(),
            timeout_ms: u32::try_from(node.number(CREDITS.fields(), "timeout_ms")).ok()?,
            long_term: words(&node.field("long_term")),
        })
    });
    let quotas = root.field("quotas");
    let quotas = quotas.items().filter_map(|node| {
        let number = |name| u32::try_from(node.number(QUOTA.fields(), name)).ok();
        let quota = Quota {
            path: node.text(QUOTA.fields(), "path")?.to_owned(),
            per_day: number("per_day")?,
            reserve: number("reserve")?,
        };
        if quota.reserve > quota.per_day {
            node.wrong("reserves more than there is");
        }
        Some(quota)
    });
    let limits = root.field("limits");
    let limit = |name| limits.number(LIMITS.fields(), name);
    let size = |name| usize::try_from(limit(name)).unwrap_or(usize::MAX);
    Some(Config {
        accounts,
        clients,
        wechat_api: wechat_api?,
        store,
        hand_out: match root.text(DOCUMENT.fields(), "hand_out") {
            Some("access_token") => HandOut::AccessToken,
            _ => HandOut::StandIn,
        },
        linter: match root.text(DOCUMENT.fields(), "linter") {
            Some("off") => Linter::Off,
            Some("refuse") => Linter::Refuse,
            _ => Linter::Warn,
        },
        credits,
        quotas: quotas.collect(),
        limits: Limits {
            replay_max_bytes: size("replay_max_bytes"),
            wait_ms: limit("wait_ms"),
            held_max: size("held_max"),
            stand_in_s: limit("stand_in_s"),
            outbox_max_events: size("outbox_max_events"),
        },
    })
}

fn read_accounts(nodes: &Node<'_>, env: &dyn Fn(&str) -> Option<String>) -> Vec<Account> {
    let mut accounts: Vec<Account> = Vec::new();
    for node in nodes.items() {
        let others = accounts.iter().map(|a| (a.name.as_str(), a.appid.as_str()));
        let Some(who) = identity(&node, ACCOUNT.fields(), env, others) else {
            continue;
        };
        accounts.push(Account {
            source: format!("/accounts/{}", who.name),
            name: who.name,
            appid: who.appid,
            app_secret: who.app_secret,
        });
    }
    accounts
}

fn read_clients(
    nodes: &Node<'_>,
    accounts: &[Account],
    env: &dyn Fn(&str) -> Option<String>,
) -> Vec<Client> {
    let mut clients: Vec<Client> = Vec::new();
    for node in nodes.items() {
        let key = secret(
            &node,
            "key_env",
            env,
            |text| (text.len() >= MIN_KEY_BYTES).then(|| Secret::new(text.to_owned())),
            "a key of 16 characters at least",
        );
        let san = node.text(CLIENT.fields(), "san").map(str::to_owned);
        if node.at("key_env").is_none() && san.is_none() {
            node.wrong("expected \"key_env\" or \"san\": how is it known?");
        }
        let Some(name) = node.text(CLIENT.fields(), "name") else {
            continue;
        };
        if clients.iter().any(|other| other.name == name) {
            node.wrong(format!("the name {name} is taken by another client"));
        }
        let same_key = |other: &Client| match (&other.key, &key) {
            (Some(theirs), Some(ours)) => theirs.expose() == ours.expose(),
            _ => false,
        };
        if clients.iter().any(same_key) {
            node.wrong("its key is another client's, too");
        }
        clients.push(Client {
            name: name.to_owned(),
            accounts: accounts_of(&node.field("accounts"), accounts),
            allow: words(&node.field("allow")),
            deny: words(&node.field("deny")),
            key,
            san,
        });
    }
    clients
}

fn accounts_of(nodes: &Node<'_>, accounts: &[Account]) -> Vec<AccountId> {
    let mut found = Vec::new();
    for node in nodes.items() {
        let name = node.value.as_str().unwrap_or_default();
        let place = accounts.iter().position(|account| account.name == name);
        match place.and_then(|place| u32::try_from(place).ok()) {
            Some(place) => found.push(AccountId(place)),
            None => node.wrong(format!("there is no account {name}")),
        }
    }
    found
}

fn words(nodes: &Node<'_>) -> Vec<String> {
    let texts = nodes.items().filter_map(|node| match node.value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    });
    texts.collect()
}
