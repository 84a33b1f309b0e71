//! Users as the control API and the calls show them, and messages to them.

use serde_json::{Value, json};

use super::{NOON, World, errcode};

#[tokio::test]
async fn users_come_and_go_as_the_control_api_says() {
    let world = World::start().await;
    let token = world.token().await;
    let users = "/_sim/accounts/demo/users";
    world
        .set(
            "PUT",
            &format!("{users}/o1"),
            json!({"nickname": "小明🌊", "tagid_list": [2]}),
        )
        .await;
    world
        .set(
            "POST",
            &format!("{users}/o1/follow"),
            json!({"scene": "table-7"}),
        )
        .await;
    world
        .set("POST", &format!("{users}/o2/follow"), Value::Null)
        .await;
    let info = world.info(&token, "o1").await;
    assert_eq!(
        (&info["nickname"], &info["qr_scene_str"]),
        (&json!("小明🌊"), &json!("table-7"))
    );
    assert_eq!(
        (&info["subscribe"], &info["subscribe_time"]),
        (&json!(1), &json!(NOON))
    );

    world
        .set("POST", &format!("{users}/o2/unfollow"), Value::Null)
        .await;
    let auth = [("access_token", token.as_str())];
    let list = json!({"user_list": [{"openid": "o1", "lang": "zh_CN"}, {"openid": "o2"}]});
    let batch = world
        .call("POST", "/cgi-bin/user/info/batchget", &auth, &list)
        .await;
    assert_eq!(batch["user_info_list"][0], info);
    assert_eq!(
        batch["user_info_list"][1],
        json!({"subscribe": 0, "openid": "o2"})
    );

    let page = world
        .call("GET", "/cgi-bin/user/get", &auth, &Value::Null)
        .await;
    assert_eq!(
        page,
        json!({"total": 1, "count": 1, "data": {"openid": ["o1"]}, "next_openid": "o1"})
    );
    let next = [auth[0], ("next_openid", "o1")];
    let page = world
        .call("GET", "/cgi-bin/user/get", &next, &Value::Null)
        .await;
    assert_eq!(page, json!({"total": 1, "count": 0, "next_openid": ""}));

    let tags = world
        .call("GET", "/cgi-bin/tags/get", &auth, &Value::Null)
        .await;
    assert_eq!(
        tags,
        json!({"tags": [{"id": 2, "name": "星标组", "count": 1}]})
    );
    let shown: Value = serde_json::from_slice(
        &world
            .control("GET", &format!("{users}/o1"), Value::Null)
            .await
            .body,
    )
    .unwrap();
    assert_eq!(shown, info);
    assert_eq!(
        world
            .control("GET", &format!("{users}/o3"), Value::Null)
            .await
            .status,
        404
    );
    assert_eq!(
        world
            .control("POST", "/_sim/accounts/x/users/o/follow", json!({}))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn strangers_count_as_followers_when_told_so() {
    let world = World::start().await;
    let token = world.token().await;
    world
        .set("PUT", "/_sim/accounts/demo/any_openid", json!(true))
        .await;
    assert_eq!(world.info(&token, "oStranger").await["subscribe"], 1);
}

#[tokio::test]
async fn sends_are_checked_and_recorded() {
    let world = World::start().await;
    let token = world.token().await;
    let auth = [("access_token", token.as_str())];
    let message = json!({"touser": "o1", "msgtype": "text", "text": {"content": "你好"}});
    let send = async || {
        world
            .call("POST", "/cgi-bin/message/custom/send", &auth, &message)
            .await
    };
    assert_eq!(errcode(&send().await), 40003);
    world
        .set("POST", "/_sim/accounts/demo/users/o1/follow", json!({}))
        .await;
    for _ in 0..3 {
        assert_eq!(send().await, json!({"errcode": 0, "errmsg": "ok"}));
    }
    assert_eq!(errcode(&send().await), 45047);
    world
        .set("POST", "/_sim/clock", json!({"advance_ms": 60_000}))
        .await;
    assert_eq!(errcode(&send().await), 45015);
    world
        .set(
            "POST",
            "/_sim/accounts/demo/users/o1/act",
            json!({"kind": "message"}),
        )
        .await;
    assert_eq!(errcode(&send().await), 0);

    let template = json!({"touser": "o1", "template_id": "t", "data": {"thing1": {"value": "v"}}});
    let sent = world
        .call("POST", "/cgi-bin/message/template/send", &auth, &template)
        .await;
    assert_eq!(errcode(&sent), 0);
    world
        .set("POST", "/_sim/accounts/demo/users/o1/unfollow", Value::Null)
        .await;
    let refused = world
        .call("POST", "/cgi-bin/message/template/send", &auth, &template)
        .await;
    assert_eq!(errcode(&refused), 43004);

    let ledger: Value =
        serde_json::from_slice(&world.control("GET", "/_sim/ledger", Value::Null).await.body)
            .unwrap();
    assert_eq!(ledger["calls"]["/cgi-bin/message/custom/send"]["count"], 7);
    assert_eq!(
        ledger["calls"]["/cgi-bin/message/custom/send"]["errcodes"]["45047"],
        1
    );
    assert_eq!(ledger["sends"].as_array().unwrap().len(), 5);
    assert_eq!(ledger["sends"][0]["body"], message);
    assert_eq!(ledger["sends"][4]["msgid"], sent["msgid"]);
    for secret in [&token, &world.account.secret] {
        assert!(
            !ledger.to_string().contains(secret.as_str()),
            "the ledger holds no secret"
        );
    }
    world.set("DELETE", "/_sim/ledger", Value::Null).await;
    assert_eq!(
        world
            .server
            .world()
            .ledger()
            .count("/cgi-bin/message/custom/send"),
        0
    );
}

#[tokio::test]
async fn tags_are_given_to_all_of_a_call_or_to_none() {
    let world = World::start().await;
    let token = world.token().await;
    let auth = [("access_token", token.as_str())];
    for user in ["o1", "o2"] {
        let follow = format!("/_sim/accounts/demo/users/{user}/follow");
        world.set("POST", &follow, Value::Null).await;
    }
    let tag = async |tag: i64, openids: Value| {
        let body = json!({"tagid": tag, "openid_list": openids});
        let path = "/cgi-bin/tags/members/batchtagging";
        errcode(&world.call("POST", path, &auth, &body).await)
    };
    assert_eq!(tag(2, json!(["o1", "o2"])).await, 0);
    assert_eq!(tag(2, json!(["o1"])).await, 0);
    assert_eq!(tag(7, json!(["o1"])).await, 45159);
    assert_eq!(tag(2, json!([])).await, 40032);
    assert_eq!(tag(2, json!(vec!["o1"; 51])).await, 40032);
    assert_eq!(tag(2, json!(["o1", "oNobody"])).await, 40003);
    assert_eq!(world.info(&token, "o1").await["tagid_list"], json!([2]));
    let tags = world
        .call("GET", "/cgi-bin/tags/get", &auth, &Value::Null)
        .await;
    assert_eq!(tags["tags"][0]["count"], 2);
}
