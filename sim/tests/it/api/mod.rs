//! The fake API over real sockets: what a backend that fetches tokens and profiles meets.

mod account;
mod blacklist;
mod cards;
mod login;
mod oauth;
mod sends;
mod tags;
mod tokens;
mod transport;
mod users;

use serde_json::{Value, json};
use weir_sim::api::{Options, Server};
use weir_sim::http::{self, HttpFault, Request, Response, Target};
use weir_sim::{Account, Clock};

const NOON: i64 = 1_714_104_000; // 12:00 in Beijing

struct World {
    server: Server,
    account: Account,
}

impl World {
    async fn start() -> Self {
        let account = Account::random("demo");
        let options = Options {
            clock: Clock::manual(NOON),
            ..Options::local(vec![account.clone()])
        };
        Self {
            server: Server::start(options).await.unwrap(),
            account,
        }
    }

    async fn raw(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: &str,
    ) -> Result<Response, HttpFault> {
        send(
            &Target::parse(&format!("http://{}", self.server.addr())).unwrap(),
            method,
            path,
            query,
            body,
        )
        .await
    }

    async fn call(&self, method: &str, path: &str, query: &[(&str, &str)], body: &Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let response = self.raw(method, path, query, &body).await.unwrap();
        assert_eq!(response.status, 200, "errors are 200 too");
        serde_json::from_slice(&response.body).unwrap()
    }

    async fn stable(&self, force: bool) -> Value {
        let body = json!({"grant_type": "client_credential", "appid": self.account.appid,
                          "secret": self.account.secret, "force_refresh": force});
        self.call("POST", "/cgi-bin/stable_token", &[], &body).await
    }

    async fn token(&self) -> String {
        self.stable(false).await["access_token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn info(&self, token: &str, openid: &str) -> Value {
        let query = [
            ("access_token", token),
            ("openid", openid),
            ("lang", "zh_CN"),
        ];
        self.call("GET", "/cgi-bin/user/info", &query, &Value::Null)
            .await
    }

    async fn control(&self, method: &str, path: &str, body: Value) -> Response {
        let target =
            Target::parse(&format!("http://{}", self.server.control_addr().unwrap())).unwrap();
        let body = if body.is_null() && method != "PUT" {
            String::new()
        } else {
            body.to_string()
        };
        send(&target, method, path, &[], &body).await.unwrap()
    }

    async fn set(&self, method: &str, path: &str, body: Value) {
        let response = self.control(method, path, body).await;
        assert_eq!(
            response.status,
            204,
            "{}",
            String::from_utf8_lossy(&response.body)
        );
    }
}

async fn send(
    target: &Target,
    method: &str,
    path: &str,
    query: &[(&str, &str)],
    body: &str,
) -> Result<Response, HttpFault> {
    let mut request = Request::new(method, path);
    for (name, value) in query {
        request.set_query(name, *value);
    }
    request.body = body.as_bytes().to_vec();
    if !body.is_empty() {
        request.add_header("Content-Type", "application/json");
    }
    http::exchange(target, &request).await
}

fn errcode(answer: &Value) -> i64 {
    answer["errcode"].as_i64().unwrap_or(0)
}
