//! Tags, from the store's API through the door to WeChat, and back into the store.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use weir_host_tests::{Gateway, World, somebody};
use weir_sim::api::Follow;
use weir_sim::http::{self, Request, Target};
use weir_store_api::tags::TagsChanged;

use super::open_in;

/// Asks the store, with JSON.
async fn ask<G: Gateway>(
    world: &World<G>,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<(u16, Value)> {
    let target = Target::parse(&world.store_url())?;
    let mut request = Request::new(method, path);
    request.add_header("content-type", "application/json");
    request.body = body.to_string().into_bytes();
    let response = http::exchange(&target, &request).await?;
    let body = serde_json::from_slice(&response.body).unwrap_or_default();
    Ok((response.status, body))
}

pub(crate) async fn a_tag_given_in_the_store_is_wechats_and_the_other_way_round<G: Gateway>()
-> Result<()> {
    let Some(mut world) = open_in::<G>("tags", |_| {}).await? else {
        return Ok(());
    };
    world.store_asks_wechat()?;
    let friends = [somebody(), somebody()];
    for openid in &friends {
        world.api().follow("demo", openid, Follow::default())?;
    }
    let tags = "/v1/accounts/demo/tags";
    let (status, made) = ask(&world, "POST", tags, &json!({"name": "贵宾🌊"})).await?;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_i64().context("an id")?;
    let members = format!("{tags}/{id}/members");
    let openids = json!({"openids": [friends[0], "a-stranger", friends[1]]});
    let (status, changed) = ask(&world, "POST", &members, &openids).await?;
    assert_eq!(status, 200, "{changed}");
    let changed: TagsChanged = serde_json::from_value(changed)?;
    assert_eq!((changed.done.len(), changed.later.len()), (2, 0));
    assert_eq!(changed.refused[0].errcode, 40003);
    for openid in &friends {
        let at_wechat = world
            .api()
            .user("demo", openid)?
            .context("WeChat knows them")?;
        assert_eq!(at_wechat["tagid_list"], json!([id]));
        let user = world.user(openid).await?.context("the store knows them")?;
        let profile = user.user.profile.context("their profile")?;
        assert_eq!(profile.tagid_list, Some(vec![id]));
    }
    let (_, all) = ask(&world, "GET", tags, &Value::Null).await?;
    let listed = all["items"].as_array().context("a list")?;
    let ours =
        json!({"id": id, "name": "贵宾🌊", "count": 2, "place": "wechat", "why_local": null});
    assert!(listed.contains(&ours), "{all}");
    Ok(())
}
