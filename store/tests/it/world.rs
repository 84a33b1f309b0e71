//! A store to talk to, and events to tell it.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_store::config::Config;
use weir_store::testing::{TestDatabase, TestPostgres, TestStore};
use weir_store_api::read::{Page, UserDetail};
use weir_store_api::{BatchAnswer, CONTENT_TYPE_BATCH, EventStatus};

/// Makes each of the functions, which take a [`World`](crate::world::World), a test for both databases.
macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                if let Some(database) = $crate::world::Database::sqlite() {
                    super::$name($crate::world::World::new(database).await).await;
                }
            })*
        }

        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                if let Some(database) = $crate::world::Database::postgres().await {
                    super::$name($crate::world::World::new(database).await).await;
                }
            })*
        }
    };
}

/// The account most tests use.
pub(crate) const ACCOUNT: &str = "demo";
/// A point in time: 2024-04-26T06:30:00Z.
pub(crate) const T0: i64 = 1_714_113_000;

/// A database of its own, of either kind.
#[derive(Debug)]
pub(crate) enum Database {
    Sqlite(TempDir),
    Postgres(TestDatabase),
}

impl Database {
    pub(crate) fn sqlite() -> Option<Self> {
        Some(Self::Sqlite(tempfile::tempdir().unwrap()))
    }

    /// `None`: this machine may do without.
    pub(crate) async fn postgres() -> Option<Self> {
        let server = tokio::task::spawn_blocking(TestPostgres::shared)
            .await
            .unwrap()?;
        Some(Self::Postgres(server.database().await.unwrap()))
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}", folder.path().join("weir.db").display()),
            Self::Postgres(database) => database.url().to_owned(),
        }
    }

    /// Runs statements behind the store's back.
    pub(crate) async fn change(&self, statements: &str) {
        match self {
            Self::Sqlite(folder) => opened(folder).execute_batch(statements).unwrap(),
            Self::Postgres(database) => {
                let client = connected(database).await;
                client.batch_execute(statements).await.unwrap();
            }
        }
    }

    /// The number that a query finds.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        match self {
            Self::Sqlite(folder) => opened(folder)
                .query_one(query, [], |row| row.get(0))
                .unwrap(),
            Self::Postgres(database) => {
                let client = connected(database).await;
                client.query_one(query, &[]).await.unwrap().get(0)
            }
        }
    }
}

fn opened(folder: &TempDir) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(folder.path().join("weir.db")).unwrap();
    connection.busy_timeout(Duration::from_secs(60)).unwrap();
    connection
}

async fn connected(database: &TestDatabase) -> tokio_postgres::Client {
    let connecting = tokio_postgres::connect(database.url(), tokio_postgres::NoTls);
    let (client, connection) = connecting.await.unwrap();
    tokio::spawn(connection);
    client
}

/// A running store.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) store: TestStore,
    pub(crate) http: reqwest::Client,
}

impl World {
    pub(crate) async fn new(database: Database) -> Self {
        let config = Config::local(database.url());
        Self::with(database, &config).await
    }

    pub(crate) async fn with(database: Database, config: &Config) -> Self {
        Self {
            database,
            store: TestStore::start(config).await.unwrap(),
            http: reqwest::Client::new(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.store.url())
    }

    pub(crate) async fn send(
        &self,
        content_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> Response {
        let request = self.http.post(self.url("/v1/events"));
        request
            .header("content-type", content_type)
            .body(body)
            .send()
            .await
            .unwrap()
    }

    /// Posts a batch, which must be taken.
    pub(crate) async fn post(&self, events: &[Value]) -> BatchAnswer {
        let body = serde_json::to_vec(events).unwrap();
        let response = self.send(CONTENT_TYPE_BATCH, body).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.unwrap()
    }

    /// Posts a batch of which every event must be new.
    pub(crate) async fn create(&self, events: &[Value]) {
        let answer = self.post(events).await;
        for (result, event) in answer.results.iter().zip(events) {
            assert_eq!(result.status, EventStatus::Created, "{event}");
        }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let response = self.http.get(self.url(path)).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    /// All pages of a listing.
    pub(crate) async fn list<T: DeserializeOwned>(&self, path: &str, limit: usize) -> Vec<T> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut next = String::new();
        loop {
            let page: Page<T> = self.get(&format!("{path}{joint}limit={limit}{next}")).await;
            assert!(page.items.len() <= limit);
            items.extend(page.items);
            match page.next_cursor {
                Some(cursor) => next = format!("&cursor={cursor}"),
                None => return items,
            }
        }
    }

    pub(crate) async fn user(&self, openid: &str) -> UserDetail {
        self.get(&format!("/v1/users/{ACCOUNT}/{openid}")).await
    }

    /// The value of a metric with all its labels, as `/metrics` spells it; 0 if it is not there.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self
            .http
            .get(self.url("/metrics"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }
}

/// What a test waits for happens soon or, if the store is broken, never.
pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), event)
        .await
        .expect("it happens")
}

/// RFC 3339 of Unix seconds.
pub(crate) fn time(second: i64) -> String {
    let time = time::OffsetDateTime::from_unix_timestamp(second).unwrap();
    time.format(&time::format_description::well_known::Rfc3339)
        .unwrap()
}

/// A CloudEvent around `data`, at `second`.
pub(crate) fn event(kind: &str, id: &str, second: i64, data: &Value) -> Value {
    let account = data["account"].as_str().unwrap_or(ACCOUNT);
    json!({
        "specversion": "1.0",
        "id": id,
        "source": format!("/accounts/{account}"),
        "type": kind,
        "time": time(second),
        "datacontenttype": "application/json",
        "data": data,
    })
}

/// A push to `account`; `fields` are added to the common ones. As from XML: every value is a text.
pub(crate) fn push_to(
    account: &str,
    kind: &str,
    id: &str,
    openid: &str,
    second: i64,
    fields: Value,
) -> Value {
    let mut push = json!({
        "ToUserName": "gh_0a1b2c3d4e5f",
        "FromUserName": openid,
        "CreateTime": second.to_string(),
    });
    push.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let data = json!({
        "account": account,
        "appid": "wx0123456789abcdef",
        "received_at_ms": second * 1000 + 250,
        "push": push,
    });
    let mut event = event(kind, id, second, &data);
    event["subject"] = json!(openid);
    event
}

pub(crate) fn push(kind: &str, id: &str, openid: &str, second: i64, fields: Value) -> Value {
    push_to(ACCOUNT, kind, id, openid, second, fields)
}

pub(crate) fn text(id: &str, openid: &str, second: i64, content: &str) -> Value {
    let fields = json!({"MsgType": "text", "Content": content, "MsgId": "23456789012345601"});
    push("weir.message.text", id, openid, second, fields)
}

/// A follow; an empty scene is none.
pub(crate) fn subscribe(id: &str, openid: &str, second: i64, scene: &str) -> Value {
    let key = if scene.is_empty() {
        String::new()
    } else {
        format!("qrscene_{scene}")
    };
    let fields = json!({"MsgType": "event", "Event": "subscribe", "EventKey": key});
    push("weir.event.subscribe", id, openid, second, fields)
}

pub(crate) fn unsubscribe(id: &str, openid: &str, second: i64) -> Value {
    let fields = json!({"MsgType": "event", "Event": "unsubscribe", "EventKey": ""});
    push("weir.event.unsubscribe", id, openid, second, fields)
}

/// The event with a claim of `claimant`'s to the work behind it.
pub(crate) fn claimed(mut event: Value, claimant: &str) -> Value {
    event["weirclaim"] = json!(claimant);
    event
}

/// A text whose work `claimant` claims.
pub(crate) fn claim(push: &str, claimant: &str) -> Value {
    claimed(text(push, "oA", T0, "hello"), claimant)
}

/// The application's reply to a push; `null` for none.
pub(crate) fn given(id: &str, push: &str, reply: &Value) -> Value {
    let data = json!({
        "account": ACCOUNT, "appid": "wx0123456789abcdef", "push": push, "app": "shop", "create_time": T0,
        "reply": reply,
    });
    let mut event = event("weir.reply.given", id, T0, &data);
    event["subject"] = json!("oA");
    event
}

/// An event about a reply to a push: `late`, `sent` or `undeliverable`.
pub(crate) fn about(what: &str, id: &str, push: &str, fields: Value) -> Value {
    let mut data = json!({"account": ACCOUNT, "appid": "wx0123456789abcdef", "push": push});
    data.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let mut event = event(&format!("weir.reply.{what}"), id, T0, &data);
    event["subject"] = json!("oA");
    event
}

/// A reply is late, and `claimant` would send it. The id is the same whoever says so.
pub(crate) fn late(push: &str, claimant: &str) -> Value {
    claimed(
        about("late", &format!("{push}-late"), push, json!({})),
        claimant,
    )
}

/// A profile; `fields` are those of `/cgi-bin/user/info` without the openid.
pub(crate) fn snapshot(id: &str, openid: &str, second: i64, fields: Value) -> Value {
    let mut user = json!({"openid": openid});
    user.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let data = json!({"account": ACCOUNT, "appid": "wx0123456789abcdef", "user": user});
    event("weir.user.snapshot", id, second, &data)
}
