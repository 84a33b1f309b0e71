//! The blacklist.

use serde_json::{Value, json};

use super::{World, errcode};

async fn call(world: &World, token: &str, path: &str, body: Value) -> Value {
    let auth = [("access_token", token)];
    let path = format!("/cgi-bin/tags/members/{path}");
    world.call("POST", &path, &auth, &body).await
}

#[tokio::test]
async fn who_is_on_the_blacklist_is_listed_in_pages_and_gets_nothing() {
    let world = World::start().await;
    let token = world.token().await;
    world
        .set("POST", "/_sim/accounts/demo/followers", json!(10_003))
        .await;
    let list = async |begin: &str| {
        call(
            &world,
            &token,
            "getblacklist",
            json!({"begin_openid": begin}),
        )
        .await
    };
    assert_eq!(
        list("").await,
        json!({"total": 0, "count": 0, "next_openid": ""})
    );
    for number in 0..10_002 {
        let openid = format!("oF{number:07}");
        world
            .server
            .world()
            .blacklist("demo", &openid, true)
            .unwrap();
    }
    let batch = json!({"openid_list": ["oF0010002", "oF0000001"]});
    let added = call(&world, &token, "batchblacklist", batch).await;
    assert_eq!(errcode(&added), 0);
    let first = list("").await;
    assert_eq!(
        (&first["total"], &first["count"]),
        (&json!(10_003), &json!(10_000))
    );
    assert_eq!(first["data"]["openid"].as_array().unwrap().len(), 10_000);
    assert_eq!(first["next_openid"], "oF0009999");
    let second = list("oF0009999").await;
    assert_eq!(
        second,
        json!({"total": 10_003, "count": 3, "next_openid": "oF0010002",
            "data": {"openid": ["oF0010000", "oF0010001", "oF0010002"]}})
    );
    assert_eq!(list("oF0010002").await["count"], 0);
    let message = json!({"touser": "oF0000001", "template_id": "t", "data": {}});
    let auth = [("access_token", token.as_str())];
    let send = async || {
        let path = "/cgi-bin/message/template/send";
        errcode(&world.call("POST", path, &auth, &message).await)
    };
    assert_eq!(send().await, 43019);
    let batch = json!({"openid_list": ["oF0000001"]});
    let removed = call(&world, &token, "batchunblacklist", batch).await;
    assert_eq!((errcode(&removed), send().await), (0, 0));
    assert_eq!(errcode(&list("oF0000001").await), 40003);
}

#[tokio::test]
async fn a_batch_is_of_twenty_whom_the_account_knows_or_refused_whole() {
    let world = World::start().await;
    let token = world.token().await;
    world
        .set("POST", "/_sim/accounts/demo/followers", json!(21))
        .await;
    let openids = |count: usize| (0..count).map(|number| format!("oF{number:07}"));
    let refused = async |path: &str, openids: Vec<String>| {
        errcode(&call(&world, &token, path, json!({"openid_list": openids})).await)
    };
    for path in ["batchblacklist", "batchunblacklist"] {
        assert_eq!(refused(path, openids(21).collect()).await, 40032);
        assert_eq!(refused(path, vec![]).await, 40032);
        let with_a_stranger = openids(19).chain(["oNobody".to_owned()]).collect();
        assert_eq!(refused(path, with_a_stranger).await, 40003);
        assert_eq!(errcode(&call(&world, &token, path, json!({})).await), 47001);
    }
    assert_eq!(refused("batchblacklist", openids(20).collect()).await, 0);
    let listed = call(&world, &token, "getblacklist", json!({})).await;
    assert_eq!(listed["total"], 20);
}
