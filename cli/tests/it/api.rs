//! A door with the simulated WeChat behind it, and a store that keeps what it is told of users.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method as HttpMethod, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use weir_sim::Clock;
use weir_sim::api::{Answer, Call, Method, World};
use weir_sim::wechat::{Account, Format, Mode};

use crate::door::KEY;
use crate::gateway::serve;

pub(crate) const APPID: &str = "wx0123456789abcdef";
const SECRET: &str = "s3cr3t";

type Hook = dyn Fn(&World, &str) + Send + Sync;

/// The door of the account `demo`.
pub(crate) struct Api {
    pub(crate) base: String,
    pub(crate) world: Arc<World>,
    _runtime: tokio::runtime::Runtime,
}

impl Api {
    /// `before` is told the path of each call before it is made.
    pub(crate) fn start(before: impl Fn(&World, &str) + Send + Sync + 'static) -> Self {
        let account = Account {
            name: "demo".into(),
            original_id: "gh_0a1b2c3d4e5f".into(),
            appid: APPID.into(),
            secret: SECRET.into(),
            token: "abcDEF123".into(),
            encoding_aes_key: String::new(),
            mode: Mode::Plain,
            format: Format::Xml,
        };
        let world = Arc::new(World::new(vec![account], Clock::system()));
        let shared = (world.clone(), Arc::new(before) as Arc<Hook>);
        let (base, runtime) = serve(Router::new().fallback(call).with_state(shared));
        Self {
            base,
            world,
            _runtime: runtime,
        }
    }

    /// How often a path was called.
    pub(crate) fn count(&self, path: &str) -> u64 {
        self.world.ledger().count(path)
    }
}

async fn call(
    State((world, before)): State<(Arc<World>, Arc<Hook>)>,
    method: HttpMethod,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if header("authorization") != Some(&format!("Bearer {KEY}"))
        || header("x-weir-account") != Some("demo")
    {
        return StatusCode::FORBIDDEN.into_response();
    }
    before(&world, uri.path());
    let peer = Ipv4Addr::LOCALHOST.into();
    let answer = |method, path: &str, query: &str, body: Vec<u8>| match world
        .answer(&Call::new(method, path, query, body, peer))
    {
        Answer::Json(value) => value,
        Answer::Medium(_) => panic!("nobody asks for media here"),
    };
    let login = json!({"grant_type": "client_credential", "appid": APPID, "secret": SECRET});
    let login = login.to_string().into_bytes();
    let token = answer(Method::Post, "/cgi-bin/stable_token", "", login);
    let token = token["access_token"].as_str().unwrap();
    let query = format!("{}&access_token={token}", uri.query().unwrap_or_default());
    let method = match method {
        HttpMethod::GET => Method::Get,
        _ => Method::Post,
    };
    answer(method, uri.path(), &query, body.to_vec())
        .to_string()
        .into_response()
}

/// What the store has.
#[derive(Default)]
pub(crate) struct Kept {
    /// Whether somebody follows, by openid, as the newest snapshot says.
    pub(crate) users: BTreeMap<String, bool>,
    /// How often each was told of.
    pub(crate) snapshots: BTreeMap<String, u32>,
    /// Who is blacklisted.
    pub(crate) blacklisted: BTreeSet<String>,
    /// Types and data of the other events.
    pub(crate) others: Vec<(String, Value)>,
    /// Answered with this and nothing kept, once it has so many users.
    pub(crate) fails: Option<(usize, u16)>,
}

/// The store.
pub(crate) struct Store {
    pub(crate) base: String,
    kept: Arc<Mutex<Kept>>,
    _runtime: tokio::runtime::Runtime,
}

impl Store {
    pub(crate) fn start() -> Self {
        let kept: Arc<Mutex<Kept>> = Arc::default();
        let accounts = || async {
            json!({"items": [{"name": "demo", "appid": APPID, "first_seen_at": ""}], "next_cursor": null})
                .to_string()
        };
        let router = Router::new()
            .route("/v1/accounts", get(accounts))
            .route("/v1/users", get(users))
            .route("/v1/events", post(events))
            .with_state(kept.clone());
        let (base, runtime) = serve(router);
        Self {
            base,
            kept,
            _runtime: runtime,
        }
    }

    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    /// A handle to what it has, for hooks.
    pub(crate) fn shared(&self) -> Arc<Mutex<Kept>> {
        self.kept.clone()
    }

    /// Those who follow.
    pub(crate) fn followers(&self) -> usize {
        self.kept()
            .users
            .values()
            .filter(|follows| **follows)
            .count()
    }
}

async fn events(State(kept): State<Arc<Mutex<Kept>>>, body: String) -> Response {
    let mut kept = kept.lock().unwrap();
    if let Some((users, status)) = kept.fails
        && kept.users.len() >= users
    {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    let events: Vec<Value> = serde_json::from_str(&body).unwrap();
    let mut results = Vec::new();
    for event in events {
        assert_eq!(event["source"], "/accounts/demo");
        assert_eq!(event["data"]["account"], "demo");
        assert_eq!(event["data"]["appid"], APPID);
        results.push(json!({"id": event["id"], "status": "created"}));
        if event["type"] == "weir.user.blacklist" {
            let openid = event["subject"].as_str().unwrap();
            assert!(event["data"]["told_at_ms"].as_u64().unwrap() > 0, "{event}");
            let is_news = match event["data"]["blacklisted"].as_bool().unwrap() {
                true => kept.blacklisted.insert(openid.to_owned()),
                false => kept.blacklisted.remove(openid),
            };
            assert!(is_news, "{event}");
            continue;
        }
        if event["type"] != "weir.user.snapshot" {
            let kind = event["type"].as_str().unwrap().to_owned();
            kept.others.push((kind, event["data"].clone()));
            continue;
        }
        let user = &event["data"]["user"];
        assert_eq!(event["subject"], user["openid"]);
        let openid = user["openid"].as_str().unwrap();
        let follows = user["subscribe"] == 1;
        assert!(!follows || user["subscribe_time"].is_number(), "{user}");
        kept.users.insert(openid.to_owned(), follows);
        *kept.snapshots.entry(openid.to_owned()).or_default() += 1;
    }
    json!({ "results": results }).to_string().into_response()
}

async fn users(
    State(kept): State<Arc<Mutex<Kept>>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> String {
    assert_eq!(query["account"], "demo");
    let is_blacklist = query
        .get("blacklisted")
        .is_some_and(|value| value == "true");
    assert!(is_blacklist || query["state"] == "following");
    let after = query.get("cursor").cloned().unwrap_or_default();
    let limit: usize = query["limit"].parse().unwrap();
    let kept = kept.lock().unwrap();
    let followers = kept.users.iter().filter(|(_, follows)| **follows);
    let all: Vec<&String> = match is_blacklist {
        true => kept.blacklisted.iter().collect(),
        false => followers.map(|(openid, _)| openid).collect(),
    };
    let page = all.into_iter().filter(|openid| **openid > after);
    let page: Vec<&String> = page.take(limit).collect();
    let items: Vec<Value> = page
        .iter()
        .map(|openid| {
            json!({
                "account": "demo", "openid": openid, "unionid": null, "name": null, "first_seen_at": "",
                "profile": null, "profile_at": null, "follow": null,
            })
        })
        .collect();
    let next = (page.len() == limit).then(|| page.last());
    json!({"items": items, "next_cursor": next}).to_string()
}
