//! Tags, and who has them.

use serde_json::{Value, json};

use super::{World, errcode};

async fn call(world: &World, token: &str, path: &str, body: Value) -> Value {
    let auth = [("access_token", token)];
    world
        .call("POST", &format!("/cgi-bin/tags/{path}"), &auth, &body)
        .await
}

async fn create(world: &World, token: &str, name: &str) -> Value {
    call(world, token, "create", json!({"tag": {"name": name}})).await
}

#[tokio::test]
async fn tags_are_made_renamed_given_taken_and_deleted() {
    let world = World::start().await;
    let token = world.token().await;
    for openid in ["o1", "o2"] {
        let path = format!("/_sim/accounts/demo/users/{openid}/follow");
        world.set("POST", &path, json!({})).await;
    }
    assert_eq!(
        create(&world, &token, "广东").await,
        json!({"tag": {"id": 100, "name": "广东"}})
    );
    let rename = json!({"tag": {"id": 100, "name": "广西"}});
    assert_eq!(errcode(&call(&world, &token, "update", rename).await), 0);
    let members = json!({"openid_list": ["o1", "o2"], "tagid": 100});
    assert_eq!(
        errcode(&call(&world, &token, "members/batchtagging", members).await),
        0
    );
    let member = json!({"openid_list": ["o1"], "tagid": 100});
    assert_eq!(
        errcode(&call(&world, &token, "members/batchuntagging", member).await),
        0
    );
    let tags = call(&world, &token, "getidlist", json!({"openid": "o2"})).await;
    assert_eq!(tags, json!({"tagid_list": [100]}));
    let auth = [("access_token", token.as_str())];
    let all = world
        .call("GET", "/cgi-bin/tags/get", &auth, &Value::Null)
        .await;
    assert_eq!(
        all["tags"][1],
        json!({"id": 100, "name": "广西", "count": 1})
    );
    let delete = json!({"tag": {"id": 100}});
    assert_eq!(
        errcode(&call(&world, &token, "delete", delete.clone()).await),
        0
    );
    assert_eq!(
        errcode(&call(&world, &token, "delete", delete).await),
        45159
    );
    assert_eq!(world.info(&token, "o2").await["tagid_list"], json!([]));
}

#[tokio::test]
async fn what_wechat_does_not_allow_of_tags_is_refused_with_its_code() {
    let world = World::start().await;
    let token = world.token().await;
    world
        .set("POST", "/_sim/accounts/demo/users/o1/follow", json!({}))
        .await;
    assert_eq!(
        errcode(&create(&world, &token, &"名".repeat(31)).await),
        45158
    );
    assert_eq!(errcode(&create(&world, &token, "").await), 45157);
    assert!(create(&world, &token, &"名".repeat(30)).await["tag"].is_object());
    assert_eq!(
        errcode(&create(&world, &token, &"名".repeat(30)).await),
        45157
    );
    let reserved = json!({"tag": {"id": 2, "name": "x"}});
    assert_eq!(
        errcode(&call(&world, &token, "update", reserved.clone()).await),
        45058
    );
    assert_eq!(
        errcode(&call(&world, &token, "delete", reserved).await),
        45058
    );
    for number in 1..100 {
        assert!(create(&world, &token, &number.to_string()).await["tag"].is_object());
    }
    assert_eq!(errcode(&create(&world, &token, "one more").await), 45056);
    for tag in 100..=120 {
        let members = json!({"openid_list": ["o1"], "tagid": tag});
        let done = call(&world, &token, "members/batchtagging", members).await;
        assert_eq!(errcode(&done), if tag < 120 { 0 } else { 45059 }, "{tag}");
    }
    let stranger = json!({"openid_list": ["o1", "nobody"], "tagid": 100});
    assert_eq!(
        errcode(&call(&world, &token, "members/batchuntagging", stranger).await),
        40003
    );
}
