//! The API door, with the simulated WeChat behind it.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method as HttpMethod, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::net::TcpListener;
use weir_sim::Clock;
use weir_sim::api::{Answer, Call, Limit, Method, World};
use weir_sim::wechat::{Account, Format, Mode};

use crate::world::ACCOUNT;

pub(crate) const KEY: &str = "k3y";
pub(crate) const APPID: &str = "wx0123456789abcdef";
const SECRET: &str = "s3cr3t";

/// The door of the account `demo`, for the client whose key is [`KEY`].
pub(crate) struct Door {
    pub(crate) url: String,
    pub(crate) world: Arc<World>,
    refused: Refused,
    held: Holds,
}

/// Whether a call gets an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It does.
    Not,
    /// It is not made, and has no answer.
    Before,
    /// It is made, and has no answer.
    After,
}

type Holds = Arc<Mutex<HashMap<String, Hold>>>;

/// What is answered to which path, whatever WeChat would.
type Refused = Arc<Mutex<HashMap<String, i64>>>;

impl Door {
    pub(crate) async fn start(followers: u32) -> Self {
        let account = Account {
            name: ACCOUNT.into(),
            original_id: "gh_0a1b2c3d4e5f".into(),
            appid: APPID.into(),
            secret: SECRET.into(),
            token: "abcDEF123".into(),
            encoding_aes_key: String::new(),
            mode: Mode::Plain,
            format: Format::Xml,
        };
        let world = Arc::new(World::new(vec![account], Clock::system()));
        world.follow_many(ACCOUNT, followers).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (refused, held) = (Refused::default(), Holds::default());
        let router =
            Router::new()
                .fallback(call)
                .with_state((world.clone(), refused.clone(), held.clone()));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            world,
            refused,
            held,
        }
    }

    /// Whether calls of a path get answers from now on.
    pub(crate) fn hold(&self, path: &str, hold: Hold) {
        self.held.lock().unwrap().insert(path.to_owned(), hold);
    }

    /// Has a path answer with this errcode from now on; 0: as WeChat does.
    pub(crate) fn refuse(&self, path: &str, errcode: i64) {
        let mut refused = self.refused.lock().unwrap();
        refused.insert(path.to_owned(), errcode);
    }

    /// How often a path was called.
    pub(crate) fn count(&self, path: &str) -> u64 {
        self.world.ledger().count(path)
    }

    pub(crate) fn limit(&self, path: &str, per_day: Option<u64>) {
        let limit = Limit {
            per_day,
            per_minute: None,
        };
        self.world.set_quota(ACCOUNT, path, limit).unwrap();
    }
}

async fn call(
    State((world, refused, held)): State<(Arc<World>, Refused, Holds)>,
    method: HttpMethod,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if header("authorization") != Some(&format!("Bearer {KEY}"))
        || header("x-weir-account") != Some(ACCOUNT)
    {
        return StatusCode::FORBIDDEN.into_response();
    }
    let errcode = refused.lock().unwrap().get(uri.path()).copied();
    if let Some(errcode) = errcode.filter(|errcode| *errcode != 0) {
        return json!({"errcode": errcode, "errmsg": "refused"})
            .to_string()
            .into_response();
    }
    let hold = held.lock().unwrap().get(uri.path()).copied();
    if hold == Some(Hold::Before) {
        std::future::pending::<()>().await;
    }
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
    let answer = answer(method, uri.path(), &query, body.to_vec());
    if hold == Some(Hold::After) {
        std::future::pending::<()>().await;
    }
    answer.to_string().into_response()
}
