//! Menus, tickets, quotas, media: what SDKs call besides messages.

use std::time::Duration;

use serde_json::{Value, json};
use weir_sim::http::{self, Request, Response, Target};

use super::{World, errcode};

impl World {
    async fn get(&self, token: &str, path: &str, query: (&str, &str)) -> Value {
        let query = [("access_token", token), query];
        self.call("GET", path, &query, &Value::Null).await
    }

    async fn upload(&self, token: &str, kind: &str, content: &[u8]) -> Value {
        let mut request = Request::new("POST", "/cgi-bin/media/upload");
        request.set_query("access_token", token);
        request.set_query("type", kind);
        request.add_header("Content-Type", "multipart/form-data; boundary=\"--x\"");
        request.body = [
            b"----x\r\nContent-Disposition: form-data; name=\"media\"; filename=\"a.png\"\r\n\
              Content-Type: image/png\r\n\r\n",
            content,
            b"\r\n----x--\r\n",
        ]
        .concat();
        let target = Target::parse(&format!("http://{}", self.server.addr())).unwrap();
        let response = http::exchange(&target, &request).await.unwrap();
        serde_json::from_slice(&response.body).unwrap()
    }

    async fn media(&self, token: &str, id: &str) -> Response {
        let query = [("access_token", token), ("media_id", id)];
        self.raw("GET", "/cgi-bin/media/get", &query, "")
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn what_was_uploaded_is_served_again_and_its_digest_is_in_the_ledger() {
    let world = World::start().await;
    let token = world.token().await;
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 256) as u8).collect();
    let answer = world.upload(&token, "image", &content).await;
    let id = answer["media_id"].as_str().unwrap();
    let served = world.media(&token, id).await;
    assert_eq!(served.header("content-type"), Some("image/png"));
    assert_eq!(
        served.header("content-disposition"),
        Some("attachment; filename=\"a.png\"")
    );
    assert!(served.body == content);
    let ledger = world.server.world().ledger();
    let upload = &ledger.uploads[0];
    assert_eq!(
        (upload.media_id.as_str(), upload.bytes, upload.kind.as_str()),
        (id, 3_000_000, "image")
    );
    let abc = world.upload(&token, "image", b"abc").await;
    let ledger = world.server.world().ledger();
    assert_eq!(ledger.uploads[1].media_id, abc["media_id"]);
    assert_eq!(
        ledger.uploads[1].sha1, "a9993e364706816aba3e25717850c26c9cd0d89d",
        "FIPS 180's example"
    );

    let large = vec![0; (64 << 10) + 1];
    for (expected, kind, content) in [
        (40004, "text", &b"x"[..]),
        (40006, "thumb", &large),
        (44001, "image", b""),
    ] {
        assert_eq!(
            errcode(&world.upload(&token, kind, content).await),
            expected
        );
    }
    let json = world
        .call(
            "POST",
            "/cgi-bin/media/upload",
            &[("access_token", &token), ("type", "image")],
            &json!({}),
        )
        .await;
    assert_eq!(errcode(&json), 41005);
}

#[tokio::test]
async fn media_of_any_size_are_made_up() {
    let world = World::start().await;
    let token = world.token().await;
    let path = "/_sim/accounts/demo/media/big";
    world.set("PUT", path, json!({"bytes": 5_000_000})).await;
    let served = world.media(&token, "big").await;
    assert_eq!(served.header("content-length"), Some("5000000"));
    assert_eq!(served.body.len(), 5_000_000);
    assert!(
        served
            .body
            .iter()
            .enumerate()
            .all(|(n, b)| n % 251 == usize::from(*b))
    );
    let unknown: Value = serde_json::from_slice(&world.media(&token, "none").await.body).unwrap();
    assert_eq!(errcode(&unknown), 40007);
}

#[tokio::test]
async fn a_ticket_stays_the_same_for_two_hours() {
    let world = World::start().await;
    let token = world.token().await;
    let path = "/cgi-bin/ticket/getticket";
    let first = world.get(&token, path, ("type", "jsapi")).await;
    assert_eq!(
        (errcode(&first), &first["expires_in"]),
        (0, &json!(7200)),
        "{first}"
    );
    world
        .server
        .world()
        .clock()
        .advance(Duration::from_secs(7000));
    let same = world.get(&token, path, ("type", "jsapi")).await;
    assert_eq!(
        (&same["ticket"], &same["expires_in"]),
        (&first["ticket"], &json!(200))
    );
    let card = world.get(&token, path, ("type", "wx_card")).await;
    assert_ne!(card["ticket"], first["ticket"]);
    assert_eq!(
        errcode(&world.get(&token, path, ("type", "x")).await),
        40097
    );
    world
        .server
        .world()
        .clock()
        .advance(Duration::from_secs(200));
    let token = world.token().await;
    let next = world.get(&token, path, ("type", "jsapi")).await;
    assert_ne!(next["ticket"], first["ticket"]);
}

#[tokio::test]
async fn a_menu_is_kept_until_it_is_deleted() {
    let world = World::start().await;
    let token = world.token().await;
    let auth = [("access_token", token.as_str())];
    let get = ("x", "");
    let menu = json!({"button": [{"type": "click", "name": "今日歌曲", "key": "V1"}]});
    assert_eq!(
        errcode(&world.get(&token, "/cgi-bin/menu/get", get).await),
        46003
    );
    let create = async |menu: &Value| {
        errcode(
            &world
                .call("POST", "/cgi-bin/menu/create", &auth, menu)
                .await,
        )
    };
    assert_eq!(create(&menu).await, 0);
    assert_eq!(create(&json!({"button": []})).await, 40016);
    assert_eq!(
        world.get(&token, "/cgi-bin/menu/get", get).await,
        json!({"menu": menu})
    );
    assert_eq!(
        errcode(&world.get(&token, "/cgi-bin/menu/delete", get).await),
        0
    );
    assert_eq!(
        errcode(&world.get(&token, "/cgi-bin/menu/get", get).await),
        46003
    );
}

#[tokio::test]
async fn a_quota_is_told_and_can_be_cleared_ten_times_a_month() {
    let world = World::start().await;
    let token = world.token().await;
    let auth = [("access_token", token.as_str())];
    let path = "/cgi-bin/menu/get";
    world
        .set(
            "PUT",
            "/_sim/accounts/demo/quota",
            json!({"path": path, "per_day": 1}),
        )
        .await;
    let quota = async || {
        world
            .call(
                "POST",
                "/cgi-bin/openapi/quota/get",
                &auth,
                &json!({"cgi_path": path}),
            )
            .await["quota"]
            .clone()
    };
    let clear = async |appid: &str| {
        let body = json!({"appid": appid});
        errcode(
            &world
                .call("POST", "/cgi-bin/clear_quota", &auth, &body)
                .await,
        )
    };
    assert_eq!(
        quota().await,
        json!({"daily_limit": 1, "used": 0, "remain": 1})
    );
    assert_eq!(clear("wx0").await, 40013);
    for _ in 0..10 {
        assert_eq!(
            errcode(&world.get(&token, path, ("x", "")).await),
            46003,
            "counts, though there is no menu"
        );
        assert_eq!(
            quota().await,
            json!({"daily_limit": 1, "used": 1, "remain": 0})
        );
        assert_eq!(errcode(&world.get(&token, path, ("x", "")).await), 45009);
        assert_eq!(clear(&world.account.appid).await, 0);
    }
    assert_eq!(clear(&world.account.appid).await, 48006);
}

#[tokio::test]
async fn headers_that_wechat_should_not_see_are_noted_by_name() {
    let world = World::start().await;
    let target = Target::parse(&format!("http://{}", world.server.addr())).unwrap();
    let mut request = Request::new("GET", "/cgi-bin/getcallbackip");
    request.add_header("Authorization", "Bearer canary");
    request.add_header("X-Weir-Account", "demo");
    http::exchange(&target, &request).await.unwrap();
    world.raw("GET", "/", &[], "").await.unwrap();
    let ledger = world.server.world().ledger();
    let noted: Vec<&str> = ledger.strange_headers.keys().map(String::as_str).collect();
    assert_eq!(noted, ["authorization", "x-weir-account"]);
    assert!(!serde_json::to_string(&ledger).unwrap().contains("canary"));
}
