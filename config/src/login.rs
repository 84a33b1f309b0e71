//! The document of the login filter.

use weir_engine::config::AccountId;
use weir_login::Key;
use weir_login::config::{Account, Config, HandOut, Limits, Page, Scope, Sessions, Strangers};

use crate::node::Node;
use crate::read::{identity, read_peer, secret};
use crate::shape::Presence::{Optional, Or, OrText, Required};
use crate::shape::{Field, Shape, fields, text};
use crate::shapes;

/// The whole document.
pub(crate) static DOCUMENT: Shape = Shape::Object {
    fields: fields![
        "accounts" Required, &ACCOUNTS, "The Mini Programs and Official Accounts whose users come in here.";
        "pages" Optional, &PAGES, "Which parts of the site need to know who comes. Their users log in by way of WeChat's browser.";
        "sessions" Required, &SESSIONS, "How sessions are sealed, and how long they last.";
        "public_url" Optional, &PUBLIC_URL, "Where browsers reach this site, like https://shop.example.com; its name is one that the Official Account lists for page authorisation (网页授权域名). Required with `pages`.";
        "callback_path" OrText("/weir/login"), &PATH, "The path there to which WeChat sends browsers back. It is this filter's; no application gets it.";
        "wechat_api" Required, &shapes::WECHAT_API, "Where api.weixin.qq.com is.";
        "store" Optional, &STORE, "Where logins and phone numbers are recorded. Without it nothing is.";
        "limits" Optional, &LIMITS, "Bounds and times.";
    ],
    one_of: &[],
};

static ACCOUNTS: Shape = Shape::List {
    of: &ACCOUNT,
    min: 1,
    max: 1_000,
    items: "accounts",
};
static ACCOUNT: Shape = Shape::Object {
    fields: fields![
        "name" Required, &shapes::NAME, "Its name in headers, events and metrics.";
        "appid" Required, &shapes::APPID, "The appid.";
        "app_secret_env" Required, &shapes::VARIABLE, "Name of the environment variable with the AppSecret.";
        "path" Optional, &PATH, "Mini Programs: the beginning of the paths of their calls. /wechat-login/mini makes /wechat-login/mini/login, …/phone, …/open-data, …/check and …/logout.";
        "hand_out" OrText("bearer"), &HAND_OUT, "Mini Programs: whether they get their session in the answer, to be shown in `authorization`, or as a cookie.";
    ],
    one_of: &[],
};
static HAND_OUT: Shape = Shape::Choice(&["bearer", "cookie"]);

static PAGES: Shape = Shape::List {
    of: &PAGE,
    min: 0,
    max: 1_000,
    items: "pages",
};
static PAGE: Shape = Shape::Object {
    fields: fields![
        "prefix" Required, &PREFIX, "Beginning of the paths, with a slash at the end. The longest one that fits counts.";
        "account" Required, &shapes::NAME, "The Official Account by which users are known there.";
        "scope" OrText("snsapi_base"), &SCOPE, "What they are asked for: the openid, silently, or nickname and picture too, with their consent.";
        "strangers" OrText("log_in"), &STRANGERS, "What becomes of those who are not known: they log in, or come as guests with a negative uid.";
    ],
    one_of: &[],
};
static SCOPE: Shape = Shape::Choice(&["snsapi_base", "snsapi_userinfo"]);
static STRANGERS: Shape = Shape::Choice(&["log_in", "guests"]);

static SESSIONS: Shape = Shape::Object {
    fields: fields![
        "seal_key_env" Required, &shapes::VARIABLE, "Name of the environment variable with the key that seals sessions: 64 hexadecimal digits, by `openssl rand -hex 32`. The same on all nodes.";
        "previous_seal_key_env" Optional, &shapes::VARIABLE, "The same for the key before it, while it is being replaced.";
        "lasts_s" Or(604_800), &Shape::Whole { min: 60, max: 31_536_000 }, "How long a session lasts, seconds. It cannot be taken back before, but by replacing the key.";
        "secure" OrText("https_only"), &SECURE, "Whether browsers send the cookies over https alone, or anyhow: for trials on one machine.";
    ],
    one_of: &[],
};
static SECURE: Shape = Shape::Choice(&["https_only", "anyhow"]);

static PATH: Shape = text!(
    "an absolute path without a slash at the end, like /wechat-login/mini",
    |s| is_path(s) && !s.ends_with('/'),
    "^/([A-Za-z0-9_.-]+/)*[A-Za-z0-9_.-]+$"
);
static PREFIX: Shape = text!(
    "an absolute path with a slash at the end, like /shop/",
    |s| is_path(s) && s.ends_with('/'),
    "^/([A-Za-z0-9_.-]+/)*$"
);
static PUBLIC_URL: Shape = text!(
    "a URL without a path, like https://shop.example.com",
    |s| {
        let name = s
            .strip_prefix("https://")
            .or_else(|| s.strip_prefix("http://"));
        name.is_some_and(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b))
        })
    },
    "^https?://[A-Za-z0-9.:\\[\\]-]+$"
);

fn is_path(s: &str) -> bool {
    let segment = |segment: &str| {
        !segment.is_empty()
            && segment
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    };
    let Some(rest) = s.strip_prefix('/') else {
        return false;
    };
    s.len() <= 256
        && (rest.is_empty() || rest.trim_end_matches('/').split('/').all(segment))
        && !s.ends_with("//")
}

static STORE: Shape = Shape::Object {
    fields: fields![
        "cluster" Required, &shapes::WORD, "Envoy's cluster.";
        "authority" OrText("weir-store"), &shapes::WORD, "The `:authority` of the calls.";
        "timeout_ms" Or(3_000), &shapes::TIMEOUT, "How long to wait for an answer, milliseconds.";
        "path" OrText("/v1/events"), &shapes::URL_PATH, "The path of the event door.";
    ],
    one_of: &[],
};

static LIMITS: Shape = Shape::Object {
    fields: fields![
        "max_body_bytes" Or(16 * 1_024), &Shape::Whole { min: 256, max: 1_024 * 1_024 }, "Largest body of a Mini Program's call, bytes.";
        "wait_ms" Or(5_000), &Shape::Whole { min: 100, max: 60_000 }, "How long a request waits for an access token, milliseconds.";
        "uid_wait_ms" Or(800), &Shape::Whole { min: 0, max: 5_000 }, "How long a login waits for the store to say which person it is, milliseconds. 0: not at all.";
        "held_max" Or(10_000), &Shape::Whole { min: 1, max: 1_000_000 }, "Most requests that wait at a time, per worker.";
        "outbox_max_events" Or(20_000), &Shape::Whole { min: 1, max: 1_000_000 }, "Most events waiting for the store, per worker.";
    ],
    one_of: &[],
};

pub(crate) fn read_document(
    root: &Node<'_>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Option<Config> {
    let text = |name| root.text(DOCUMENT.fields(), name).map(str::to_owned);
    let accounts = read_accounts(&root.field("accounts"), env);
    let pages = read_pages(&root.field("pages"), &accounts);
    let callback_path = text("callback_path");
    for (node, account) in root.field("accounts").items().zip(&accounts) {
        if let (Some(path), Some(callback)) = (&account.path, &callback_path)
            && callback.starts_with(path.as_str())
        {
            node.wrong("its path is the beginning of \"callback_path\"");
        }
    }
    let public_url = text("public_url");
    if public_url.is_none() && !pages.is_empty() && root.at("public_url").is_none() {
        root.wrong("expected \"public_url\": WeChat sends the users of \"pages\" back to it");
    }
    let sessions = read_sessions(&root.field("sessions"), env);
    let wechat_api = read_peer(&root.field("wechat_api"), shapes::WECHAT_API.fields());
    let store = root.at("store").and_then(|node| {
        let path = node.text(STORE.fields(), "path")?.to_owned();
        Some((read_peer(&node, STORE.fields())?, path))
    });
    let limits = root.field("limits");
    let limit = |name| limits.number(LIMITS.fields(), name);
    let size = |name| usize::try_from(limit(name)).unwrap_or(usize::MAX);
    Some(Config {
        accounts,
        pages,
        sessions: sessions?,
        public_url: public_url.unwrap_or_default(),
        callback_path: callback_path?,
        wechat_api: wechat_api?,
        store,
        limits: Limits {
            max_body_bytes: size("max_body_bytes"),
            wait_ms: limit("wait_ms"),
            uid_wait_ms: u32::try_from(limit("uid_wait_ms")).unwrap_or(u32::MAX),
            held_max: size("held_max"),
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
        let path = node.text(ACCOUNT.fields(), "path").map(str::to_owned);
        if path.is_some() && accounts.iter().any(|other| other.path == path) {
            node.wrong("its path is another account's");
        }
        accounts.push(Account {
            source: format!("/accounts/{}", who.name),
            name: who.name,
            appid: who.appid,
            app_secret: who.app_secret,
            path,
            hand_out: match node.text(ACCOUNT.fields(), "hand_out") {
                Some("cookie") => HandOut::Cookie,
                _ => HandOut::Bearer,
            },
        });
    }
    accounts
}

fn read_pages(nodes: &Node<'_>, accounts: &[Account]) -> Vec<Page> {
    let mut pages: Vec<Page> = Vec::new();
    for node in nodes.items() {
        let table = PAGE.fields();
        let (Some(prefix), Some(name)) = (node.text(table, "prefix"), node.text(table, "account"))
        else {
            continue;
        };
        let place = accounts.iter().position(|account| account.name == name);
        let Some(account) = place.and_then(|place| u32::try_from(place).ok()) else {
            node.wrong(format!("there is no account {name}"));
            continue;
        };
        if pages.iter().any(|page| page.prefix == prefix) {
            node.wrong("its prefix is another page's");
        }
        pages.push(Page {
            prefix: prefix.to_owned(),
            account: AccountId(account),
            scope: match node.text(table, "scope") {
                Some("snsapi_userinfo") => Scope::UserInfo,
                _ => Scope::Base,
            },
            strangers: match node.text(table, "strangers") {
                Some("guests") => Strangers::Guests,
                _ => Strangers::LogIn,
            },
        });
    }
    pages
}

fn read_sessions(node: &Node<'_>, env: &dyn Fn(&str) -> Option<String>) -> Option<Sessions> {
    let key = |name| secret(node, name, env, Key::from_hex, "64 hexadecimal digits");
    let previous_key = key("previous_seal_key_env");
    Some(Sessions {
        key: key("seal_key_env")?,
        previous_key,
        lasts_s: node.number(SESSIONS.fields(), "lasts_s"),
        secure: node.text(SESSIONS.fields(), "secure") != Some("anyhow"),
    })
}
