//! The API door: applications call WeChat through it.

mod bulk;
mod calls;
mod cards;
mod certificates;
mod credits;
mod guard;
mod quota;
mod sdk;
mod sync;
mod tags;
mod tokens;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_host_tests::{Gateway, InEnvoy, Plan, SHOP_KEY, World};
use weir_sim::http::{self, Request, Response, Target};
use weir_testbed::bootstrap::WECHAT_API;

pub(crate) use calls::{
    a_days_calls_that_are_used_up_are_not_asked_for_again,
    an_sdk_that_logs_in_calls_with_a_stand_in_and_wechat_sees_the_real_token,
    files_of_every_size_go_up_and_come_down_unchanged,
    mistakes_are_refused_before_wechat_sees_them_where_that_is_wanted,
    what_was_sent_is_in_the_store_without_its_content,
    what_wechat_says_of_a_message_later_is_what_the_store_says_of_it,
    what_wechat_says_to_all_alike_is_asked_for_once, whoever_has_a_key_calls_by_header_or_by_path,
};
pub(crate) use cards::{
    a_form_that_was_filled_in_is_fetched_through_the_door_and_shown,
    what_was_to_be_fetched_is_fetched_by_the_store_that_comes_after_a_killed_one,
};
pub(crate) use credits::a_message_that_is_not_allowed_is_refused_before_wechat_sees_it;
pub(crate) use tags::a_tag_given_in_the_store_is_wechats_and_the_other_way_round;
pub(crate) use tokens::eight_callers_meet_an_invalidated_token_and_none_sees_it;

type Door = World<InEnvoy>;

const STABLE_TOKEN: &str = "/cgi-bin/stable_token";

/// In real Envoy.
async fn open(
    name: &str,
    change: impl FnOnce(&mut Value) + Send + 'static,
) -> Result<Option<Door>> {
    open_in(name, change).await
}

async fn open_in<G: Gateway>(
    name: &str,
    change: impl FnOnce(&mut Value) + Send + 'static,
) -> Result<Option<World<G>>> {
    let plan = Plan::default().door(change).bootstrap(|bootstrap| {
        // Hundreds of handshakes at once with a simulator that shares two processors with everything else.
        bootstrap.connect_timeout(WECHAT_API, "20s").map(drop)
    });
    World::start(&format!("door-{name}"), plan).await
}

/// What comes back of any request.
async fn send<G: Gateway>(world: &World<G>, request: &Request) -> Result<Response> {
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
async fn json<G: Gateway>(world: &World<G>, request: &Request) -> Result<Value> {
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
async fn login<G: Gateway>(world: &World<G>) -> Result<String> {
    let mut request = Request::new("GET", "/cgi-bin/token");
    request.set_query("grant_type", "client_credential");
    request.set_query("appid", &world.account.appid);
    request.set_query("secret", SHOP_KEY);
    let answer = json(world, &request).await?;
    let token = answer["access_token"].as_str().context("a token")?;
    Ok(token.to_owned())
}
