//! The API door, in real Envoy: applications call WeChat through it.

mod calls;
mod guard;
mod tokens;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_host_tests::{InEnvoy, Plan, SHOP_KEY, World};
use weir_sim::http::{self, Request, Response, Target};

type Door = World<InEnvoy>;

const STABLE_TOKEN: &str = "/cgi-bin/stable_token";

async fn open(
    name: &str,
    change: impl FnOnce(&mut Value) + Send + 'static,
) -> Result<Option<Door>> {
    World::start(&format!("door-{name}"), Plan::default().door(change)).await
}

/// What comes back of any request.
async fn send(world: &Door, request: &Request) -> Result<Response> {
    let target = Target::parse(&format!("http://{}", world.gateway.door_address()?))?;
    Ok(http::exchange(&target, request).await?)
}

/// A GET, as the shop.
fn get(path: &str) -> Request {
    let mut request = Request::new("GET", path);
    request.add_header("authorization", format!("Bearer {SHOP_KEY}"));
    request
}

/// A POST of JSON, as the shop.
fn post(path: &str, body: &Value) -> Request {
    let mut request = get(path);
    request.method = "POST".to_owned();
    request.add_header("content-type", "application/json");
    request.body = body.to_string().into_bytes();
    request
}

/// The JSON of an answer with 200.
async fn json(world: &Door, request: &Request) -> Result<Value> {
    let response = send(world, request).await?;
    ensure!(
        response.status == 200,
        "{}: {}",
        request.path,
        response.status
    );
    serde_json::from_slice(&response.body).context("JSON")
}

/// A stand-in, by the way of an SDK.
async fn login(world: &Door) -> Result<String> {
    let mut request = Request::new("GET", "/cgi-bin/token");
    request.set_query("grant_type", "client_credential");
    request.set_query("appid", &world.account.appid);
    request.set_query("secret", SHOP_KEY);
    let answer = json(world, &request).await?;
    let token = answer["access_token"].as_str().context("a token")?;
    Ok(token.to_owned())
}
