//! Active messages, and what the ledger says of them.

use std::time::Duration;

use serde_json::{Value, json};
use weir_sim::api::{FaultRule, Then};

use super::{World, errcode};

/// A world in which `o1` follows, and a token.
async fn followed() -> (World, String) {
    let world = World::start().await;
    let token = world.token().await;
    world
        .set(
            "POST",
            "/_sim/accounts/demo/users/o1/follow",
            json!({"scene": 1}),
        )
        .await;
    (world, token)
}

impl World {
    async fn send(&self, token: &str, api: &str, body: &Value) -> Value {
        let path = format!("/cgi-bin/message/{api}");
        self.call("POST", &path, &[("access_token", token)], body)
            .await
    }

    async fn totals(&self) -> Value {
        let response = self
            .control("GET", "/_sim/accounts/demo/recipients", Value::Null)
            .await;
        serde_json::from_slice(&response.body).unwrap()
    }
}

#[tokio::test]
async fn a_template_message_with_a_known_client_msg_id_is_answered_and_not_sent() {
    let (world, token) = followed().await;
    let body = json!({"touser": "o1", "template_id": "T", "client_msg_id": "c1", "data": {"thing1": {"value": "x"}}});
    let first = world.send(&token, "template/send", &body).await;
    assert!(first["msgid"].is_u64());
    assert_eq!(world.send(&token, "template/send", &body).await, first);
    let mut other = body.clone();
    other["client_msg_id"] = json!("c2");
    let second = world.send(&token, "template/send", &other).await;
    assert_ne!(second["msgid"], first["msgid"]);

    let ledger = world.server.world().ledger();
    assert_eq!((ledger.sends.len(), ledger.repeats), (2, 1));
    assert_eq!(
        (ledger.sends[0].msgid, &ledger.sends[0].body),
        (first["msgid"].as_u64().unwrap(), &body)
    );

    world
        .server
        .world()
        .clock()
        .advance(Duration::from_secs(600));
    let late = world.send(&token, "template/send", &body).await;
    assert_ne!(late["msgid"], first["msgid"], "ten minutes later");
    assert_eq!(
        world.totals().await,
        json!({"template": {"sent": 3, "recipients": 1, "more_than_once": {"o1": 3}}})
    );
}

#[tokio::test]
async fn a_send_whose_answer_is_lost_counts_and_one_that_was_refused_does_not() {
    let (world, token) = followed().await;
    let path = "/cgi-bin/message/template/send";
    let body = json!({"touser": "o1", "template_id": "T", "data": {}});
    world
        .server
        .world()
        .inject(FaultRule::next(path, 1, Then::ResetAfter));
    let answer = world
        .raw("POST", path, &[("access_token", &token)], &body.to_string())
        .await;
    assert!(answer.is_err());
    world
        .set(
            "POST",
            "/_sim/accounts/demo/tokens",
            json!({"do": "invalidate"}),
        )
        .await;
    assert_eq!(
        errcode(&world.send(&token, "template/send", &body).await),
        40001
    );
    assert_eq!(
        world.totals().await,
        json!({"template": {"sent": 1, "recipients": 1, "more_than_once": {}}})
    );
    let calls = &world.server.world().ledger().calls[path];
    assert_eq!((calls.count, calls.authorised), (2, 1));
    world.set("DELETE", "/_sim/ledger", Value::Null).await;
    assert_eq!(world.totals().await, json!({}));
}

#[tokio::test]
async fn a_subscribe_message_uses_a_credit_of_its_user_and_template() {
    let (world, token) = followed().await;
    world
        .set(
            "PUT",
            "/_sim/accounts/demo/users/o1/credits",
            json!({"T": 2}),
        )
        .await;
    let body = json!({"touser": "o1", "template_id": "T", "page": "index", "data": {"thing1": {"value": "x"}}});
    let sent = world.send(&token, "subscribe/send", &body).await;
    assert!(sent["msgid"].is_u64());
    assert_eq!(
        world.send(&token, "subscribe/bizsend", &body).await,
        json!({"errcode": 0, "errmsg": "ok"})
    );
    for (api, template) in [
        ("subscribe/send", "T"),
        ("subscribe/bizsend", "T"),
        ("subscribe/send", "U"),
    ] {
        let mut body = body.clone();
        body["template_id"] = json!(template);
        assert_eq!(errcode(&world.send(&token, api, &body).await), 43101);
    }
    let left = world
        .control("GET", "/_sim/accounts/demo/users/o1/credits", Value::Null)
        .await;
    assert_eq!(left.body, b"{}");
    let ledger = world.server.world().ledger();
    let sent: Vec<(&str, bool)> = ledger
        .sends
        .iter()
        .map(|sent| (sent.api.as_str(), sent.msgid > 1 << 53))
        .collect();
    assert_eq!(sent, [("subscribe", true), ("bizsend", true)]);

    world
        .set("PUT", "/_sim/accounts/demo/any_credit", json!(true))
        .await;
    assert_eq!(
        errcode(&world.send(&token, "subscribe/send", &body).await),
        0
    );
}

#[tokio::test]
async fn a_message_that_is_not_right_is_refused_before_it_costs_anything() {
    let (world, token) = followed().await;
    world
        .set(
            "PUT",
            "/_sim/accounts/demo/users/o1/credits",
            json!({"T": 1}),
        )
        .await;
    world
        .set("POST", "/_sim/accounts/demo/users/o2/unfollow", Value::Null)
        .await;
    let data = json!({"thing1": {"value": "x"}});
    let long = json!({"thing1": {"value": "字".repeat(21)}});
    for (expected, api, body) in [
        (
            40003,
            "subscribe/send",
            json!({"touser": "oStranger", "template_id": "T", "data": data}),
        ),
        (
            40037,
            "subscribe/send",
            json!({"touser": "o1", "data": data}),
        ),
        (
            47003,
            "subscribe/send",
            json!({"touser": "o1", "template_id": "T", "data": long}),
        ),
        (
            47003,
            "template/send",
            json!({"touser": "o1", "template_id": "T", "data": long}),
        ),
        (
            43004,
            "template/send",
            json!({"touser": "o2", "template_id": "T", "data": data}),
        ),
    ] {
        let answer = world.send(&token, api, &body).await;
        assert_eq!(errcode(&answer), expected, "{api}");
        if expected == 47003 {
            let errmsg = answer["errmsg"].as_str().unwrap();
            assert!(
                errmsg.starts_with("argument invalid! data.thing1.value invalid rid: "),
                "{errmsg}"
            );
        }
    }
    let good = json!({"touser": "o1", "template_id": "T", "data": data});
    assert_eq!(
        errcode(&world.send(&token, "subscribe/send", &good).await),
        0
    );
    assert_eq!(world.server.world().ledger().sends.len(), 1);
}

#[tokio::test]
async fn strangers_are_written_to_where_any_openid_is_taken() {
    let world = World::start().await;
    let token = world.token().await;
    world
        .set("PUT", "/_sim/accounts/demo/any_openid", json!(true))
        .await;
    for openid in ["oA", "oB", "oA"] {
        let custom = json!({"touser": openid, "msgtype": "text", "text": {"content": "hi"}});
        assert_eq!(
            errcode(&world.send(&token, "custom/send", &custom).await),
            0
        );
    }
    let response = world
        .control("GET", "/_sim/accounts/demo/recipients/custom", Value::Null)
        .await;
    assert_eq!(response.body, br#"{"oA":2,"oB":1}"#);
}
