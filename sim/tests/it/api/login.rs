//! Mini programs: what a server that logs users in meets.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use weir_sim::api::{FaultRule, Phone, Then};
use weir_sim::wechat::open_data;

use super::{NOON, World, errcode};

const PATH: &str = "/sns/jscode2session";

impl World {
    async fn log_in(&self, js_code: &str) -> Value {
        let query = [
            ("appid", self.account.appid.as_str()),
            ("secret", self.account.secret.as_str()),
            ("js_code", js_code),
            ("grant_type", "authorization_code"),
        ];
        self.call("GET", PATH, &query, &Value::Null).await
    }

    async fn phone_number(&self, token: &str, body: &Value) -> Value {
        let path = "/wxa/business/getuserphonenumber";
        self.call("POST", path, &[("access_token", token)], body)
            .await
    }

    fn wx_login(&self, openid: &str) -> String {
        self.server.world().js_code("demo", openid).unwrap()
    }
}

#[tokio::test]
async fn a_login_tells_the_openid_the_session_key_and_the_unionid_of_those_who_have_one() {
    let world = World::start().await;
    let sim = world.server.world();
    assert_eq!(sim.session_key("demo", "o1").unwrap(), None);
    let answer = world.log_in(&world.wx_login("o1")).await;
    let key = sim.session_key("demo", "o1").unwrap().unwrap();
    assert_eq!(answer, json!({"openid": "o1", "session_key": key}));

    sim.set_unionid("demo", "o1", "u1").unwrap();
    let again = world.log_in(&world.wx_login("o1")).await;
    assert_eq!(
        again,
        json!({"openid": "o1", "session_key": key, "unionid": "u1"})
    );
    sim.end_session("demo", "o1").unwrap();
    let anew = world.log_in(&world.wx_login("o1")).await;
    assert_ne!(anew["session_key"], json!(key));
    assert_ne!(
        world.log_in(&world.wx_login("o2")).await["session_key"],
        anew["session_key"]
    );
    assert_eq!(sim.ledger().count(PATH), 4);
}

#[tokio::test]
async fn a_js_code_is_good_once_and_for_five_minutes_and_not_for_the_risky() {
    let world = World::start().await;
    let sim = world.server.world();
    let code = world.wx_login("o1");
    assert_eq!(errcode(&world.log_in(&code).await), 0);
    assert_eq!(errcode(&world.log_in(&code).await), 40163);
    assert_eq!(errcode(&world.log_in("never").await), 40029);

    let (in_time, late) = (world.wx_login("o1"), world.wx_login("o1"));
    sim.clock().advance(Duration::from_secs(299));
    assert_eq!(errcode(&world.log_in(&in_time).await), 0);
    sim.clock().advance(Duration::from_secs(1));
    assert_eq!(errcode(&world.log_in(&late).await), 40029);

    let code = world.wx_login("o1");
    sim.inject(FaultRule::next(PATH, 1, Then::Errcode(45011)));
    assert_eq!(errcode(&world.log_in(&code).await), 45011);
    sim.mark_risky("demo", "o1").unwrap();
    assert_eq!(errcode(&world.log_in(&code).await), 40226);
    assert_eq!(errcode(&world.log_in(&world.wx_login("o2")).await), 0);
    let calls = &sim.ledger().calls[PATH];
    let errcodes: Vec<(i64, u64)> = calls.errcodes.clone().into_iter().collect();
    assert_eq!(errcodes, [(40029, 2), (40163, 1), (40226, 1), (45011, 1)]);
}

#[tokio::test]
async fn a_login_without_its_parameters_or_with_wrong_ones_uses_no_code() {
    let world = World::start().await;
    let code = world.wx_login("o1");
    let right = [
        ("appid", world.account.appid.as_str()),
        ("secret", world.account.secret.as_str()),
        ("js_code", code.as_str()),
        ("grant_type", "authorization_code"),
    ];
    for (index, without, wrong) in [
        (0, 41002, 40013),
        (1, 41004, 40125),
        (2, 41008, 40029),
        (3, 40002, 40002),
    ] {
        let mut query = right;
        query[index].1 = "";
        let answer = world.call("GET", PATH, &query, &Value::Null).await;
        assert_eq!(errcode(&answer), without);
        query[index].1 = "wrong";
        let answer = world.call("GET", PATH, &query, &Value::Null).await;
        assert_eq!(errcode(&answer), wrong);
    }
    let post = world.call("POST", PATH, &right, &json!({})).await;
    assert_eq!(errcode(&post), 43001);
    let whitelist = "/_sim/accounts/demo/ip_whitelist";
    world.set("PUT", whitelist, json!(["10.0.0.1"])).await;
    assert_eq!(errcode(&world.log_in(&code).await), 40164);
    world.set("PUT", whitelist, Value::Null).await;
    assert_eq!(errcode(&world.log_in(&code).await), 0);
}

#[tokio::test]
async fn a_phone_code_gives_the_number_once() {
    let world = World::start().await;
    let sim = world.server.world();
    let token = world.token().await;
    let mainland = Phone::mainland("13580006666");
    let code = sim.phone_code("demo", "o1", &mainland).unwrap();
    let answer = world.phone_number(&token, &json!({"code": code})).await;
    assert_eq!(
        answer,
        json!({"errcode": 0, "errmsg": "ok", "phone_info": {
            "phoneNumber": "13580006666", "purePhoneNumber": "13580006666", "countryCode": "86",
            "watermark": {"timestamp": NOON, "appid": world.account.appid},
        }})
    );
    let foreign = Phone {
        country_code: "852".into(),
        number: "5551234".into(),
        country_code_is_number: true,
    };
    let number = sim.phone_code("demo", "o1", &foreign).unwrap();
    let answer = world.phone_number(&token, &json!({"code": number})).await;
    assert_eq!(answer["phone_info"]["countryCode"], 852);
    assert_eq!(answer["phone_info"]["phoneNumber"], "+8525551234");

    let js_code = world.wx_login("o1");
    let late = sim.phone_code("demo", "o1", &mainland).unwrap();
    sim.clock().advance(Duration::from_secs(300));
    for (why, code) in [("used", code), ("wx.login's", js_code), ("late", late)] {
        let answer = world.phone_number(&token, &json!({"code": code})).await;
        assert_eq!(errcode(&answer), 40029, "{why}");
    }
    assert_eq!(
        errcode(&world.phone_number(&token, &json!({})).await),
        40029
    );
    let fresh = sim.phone_code("demo", "o1", &mainland).unwrap();
    let nobody = world.phone_number("", &json!({"code": fresh})).await;
    assert_eq!(errcode(&nobody), 41001);
    assert_eq!(
        errcode(&world.log_in(&fresh).await),
        40029,
        "no code of wx.login"
    );
    let answer = world.phone_number(&token, &json!({"code": fresh})).await;
    assert_eq!(errcode(&answer), 0);
}

#[tokio::test]
async fn open_data_is_sealed_and_signed_under_the_key_of_the_session() {
    let world = World::start().await;
    let sim = world.server.world();
    let session = world.log_in(&world.wx_login("o1")).await;
    let key = session["session_key"].as_str().unwrap();
    let reseal = |iv: &str, plain: &Value| {
        let iv = STANDARD.decode(iv).unwrap().try_into().unwrap();
        open_data::seal(key, &iv, plain.to_string().as_bytes()).unwrap()
    };
    let plain = json!({"openId": "o1", "nickName": "张三😀"});
    let mut marked = plain.clone();
    marked["watermark"] = json!({"timestamp": NOON, "appid": world.account.appid});
    let (sealed, iv) = sim.encrypted_data("demo", "o1", &plain).unwrap();
    assert_eq!(sealed, reseal(&iv, &marked));
    assert_ne!(sim.encrypted_data("demo", "o1", &plain).unwrap().1, iv);
    let raw = r#"{"nickName": "张三😀"}"#;
    let signature = sim.raw_data_signature("demo", "o1", raw).unwrap();
    assert_eq!(signature, open_data::signature(raw, key));

    // From now on the server's key is the wrong one.
    sim.end_session("demo", "o1").unwrap();
    let (sealed, iv) = sim.encrypted_data("demo", "o1", &plain).unwrap();
    assert_ne!(sealed, reseal(&iv, &marked));
    assert_ne!(
        sim.raw_data_signature("demo", "o1", raw).unwrap(),
        signature
    );
    assert!(sim.js_code("nobody", "o1").is_err());
}
