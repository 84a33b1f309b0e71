//! Mini programs.

use serde_json::{Value, json};
use weir_login::{Head, Identity};

use crate::world::{End, SESSION_LASTS_S, World, body, config, cookie_of, header, key};

const LOGIN: &str = "/login/mini/login";

fn vectors() -> Value {
    serde_json::from_str(include_str!(
        "../../../protocol/tests/vectors/miniprogram_data.json"
    ))
    .expect("vectors")
}

#[test]
fn a_code_becomes_a_session_and_the_application_learns_who_it_is() {
    let mut world = World::new();
    let session = world.logged_in("the-session-key");
    assert!(session.starts_with("weir1.") && !session.contains("the-session-key"));
    let asked = &world.asked[0];
    assert_eq!(
        asked.path,
        "/sns/jscode2session?appid=wx-mini&secret=secret-of-mini&js_code=c-1&grant_type=authorization_code"
    );
    let event = &world.events[0];
    assert_eq!(event["type"], "weir.session.started");
    assert_eq!(event["subject"], "o-mini");
    assert_eq!(event["data"]["unionid"], "u-1");
    assert_eq!(event["data"]["by"], "mini_program");
    assert!(!event.to_string().contains("session-key"));

    let who = Identity {
        account: "mini".to_owned(),
        openid: Some("o-mini".to_owned()),
        unionid: Some("u-1".to_owned()),
        uid: None,
    };
    let passed = End::Passed(Some(who), None);
    assert_eq!(
        world.post("/api/orders", Some(&session), &json!({})),
        passed
    );
    world.later(SESSION_LASTS_S);
    let nobody = End::Passed(None, None);
    assert_eq!(
        world.post("/api/orders", Some(&session), &json!({})),
        nobody
    );
}

#[test]
fn a_session_outlives_its_key_by_one() {
    let mut world = World::new();
    let session = world.logged_in("k");
    let mut next = config();
    next.sessions.previous_key = Some(std::mem::replace(&mut next.sessions.key, key('b')));
    let mut world = world.reconfigured(next);
    assert!(matches!(
        world.post("/api", Some(&session), &json!({})),
        End::Passed(Some(_), None)
    ));
    let mut last = config();
    last.sessions.key = key('b');
    let mut world = world.reconfigured(last);
    assert_eq!(
        world.post("/api", Some(&session), &json!({})),
        End::Passed(None, None)
    );
}

#[test]
fn what_wechat_refuses_is_said_in_a_status_and_in_its_own_code() {
    for (errcode, status) in [
        (40029, 401),
        (40163, 401),
        (40226, 403),
        (45011, 429),
        (-1, 503),
        (40125, 502),
    ] {
        let mut world = World::new();
        let refusal = json!({"errcode": errcode, "errmsg": "no"});
        world
            .says
            .insert("/sns/jscode2session", vec![(200, refusal)]);
        let answer = world.post(LOGIN, None, &json!({"code": "c"})).answer();
        assert_eq!(
            (answer.status, &body(&answer)["errcode"]),
            (status, &json!(errcode))
        );
        assert_eq!(header(&answer, "cache-control"), Some("no-store"));
        assert!(world.events.is_empty());
        assert_eq!(
            world.log.len(),
            usize::from(errcode == 40125),
            "an operator has to act"
        );
        assert_eq!(world.asked.len(), 1, "a code is used once");
    }
    for (status, said) in [
        (500, json!({})),
        (200, json!("?")),
        (200, json!({"openid": "o"})),
    ] {
        let mut world = World::new();
        world
            .says
            .insert("/sns/jscode2session", vec![(status, said)]);
        let answer = world.post(LOGIN, None, &json!({"code": "c"})).answer();
        assert_eq!(answer.status, 503);
        assert_eq!(world.asked.len(), 1);
    }
}

#[test]
fn what_is_no_call_is_refused_before_wechat_hears_of_it() {
    let mut world = World::new();
    for (wrong, status) in [
        (json!({}), 400),
        (json!({"code": ""}), 400),
        (json!({"code": "a b"}), 400),
        (json!({"code": 5}), 400),
        (json!({"code": "c".repeat(300)}), 400),
        (json!({"code": "c", "more": "m".repeat(5_000)}), 413),
    ] {
        assert_eq!(
            world.post(LOGIN, None, &wrong).answer().status,
            status,
            "{wrong}"
        );
    }
    let head = Head {
        method: "GET",
        target: LOGIN,
        ends: true,
        ..Head::default()
    };
    assert_eq!(world.request(&head, Vec::new()).answer().status, 405);
    for deed in ["phone", "open-data", "check"] {
        let path = format!("/login/mini/{deed}");
        for bearer in [None, Some("weir1.AAAA"), Some("something-else")] {
            let answer = world.post(&path, bearer, &json!({"code": "c"})).answer();
            assert_eq!(answer.status, 401, "{deed}");
        }
    }
    assert!(world.asked.is_empty());
}

#[test]
fn a_cookie_is_for_who_wants_one_and_logging_out_takes_it_away() {
    let mut world = World::new();
    let user = json!({"openid": "o", "session_key": "k"});
    world.says.insert("/sns/jscode2session", vec![(200, user)]);
    let answer = world
        .post("/login/cookie/login", None, &json!({"code": "c"}))
        .answer();
    assert!(body(&answer).get("session").is_none());
    let set = header(&answer, "set-cookie").expect("a cookie").to_owned();
    for part in ["; HttpOnly", "; Secure", "; SameSite=Lax", "; Path=/;"] {
        assert!(set.contains(part), "{part}");
    }
    let cookie = cookie_of(&set);
    assert!(matches!(
        world.get("/", Some(&cookie)),
        End::Passed(Some(_), _)
    ));
    let answer = world
        .post("/login/cookie/logout", None, &json!({}))
        .answer();
    let gone = header(&answer, "set-cookie").expect("a cookie");
    assert!(
        answer.status == 204
            && gone.starts_with("weir_session_cookie=;")
            && gone.contains("Max-Age=0")
    );
}

#[test]
fn a_phone_is_asked_for_with_the_shared_token_and_again_when_that_is_refused() {
    let mut world = World::new();
    let session = world.logged_in("k");
    world.says.insert(
        "/cgi-bin/stable_token",
        vec![
            (200, json!({"access_token": "token-1", "expires_in": 7200})),
            (200, json!({"access_token": "token-2", "expires_in": 7200})),
        ],
    );
    let phone = json!({"errcode": 0, "phone_info": {"phoneNumber": "+85255", "purePhoneNumber": "55",
        "countryCode": 852, "watermark": {"timestamp": 1, "appid": "wx-mini"}}});
    let refused = json!({"errcode": 40001, "errmsg": "invalid credential"});
    world.says.insert(
        "/wxa/business/getuserphonenumber",
        vec![(200, refused), (200, phone)],
    );
    let answer = world
        .post("/login/mini/phone", Some(&session), &json!({"code": "p"}))
        .answer();
    let said = json!({"errcode": 0, "phoneNumber": "+85255", "purePhoneNumber": "55", "countryCode": "852"});
    assert_eq!((answer.status, body(&answer)), (200, said));
    let asked: Vec<_> = world
        .asked
        .iter()
        .map(|request| request.path.as_str())
        .collect();
    assert_eq!(
        asked[1..],
        [
            "/cgi-bin/stable_token",
            "/wxa/business/getuserphonenumber?access_token=token-1",
            "/cgi-bin/stable_token",
            "/wxa/business/getuserphonenumber?access_token=token-2",
        ]
    );
    let event = &world.events[1];
    assert_eq!(
        (&event["type"], &event["subject"]),
        (&json!("weir.user.phone"), &json!("o-mini"))
    );
    assert_eq!(event["data"]["country_code"], "852");
}

#[test]
fn another_accounts_phone_is_none() {
    let mut world = World::new();
    let session = world.logged_in("k");
    let phone = json!({"errcode": 0, "phone_info": {"phoneNumber": "1", "watermark": {"appid": "wx-other"}}});
    world
        .says
        .insert("/wxa/business/getuserphonenumber", vec![(200, phone)]);
    let answer = world
        .post("/login/mini/phone", Some(&session), &json!({"code": "p"}))
        .answer();
    assert_eq!(answer.status, 503);
    assert_eq!(world.events.len(), 1, "the login alone");
}

#[test]
fn a_phone_that_no_token_can_be_had_for_is_not_waited_for_for_ever() {
    let mut world = World::new();
    let session = world.logged_in("k");
    let wrong = json!({"errcode": 40125, "errmsg": "invalid appsecret"});
    world
        .says
        .insert("/cgi-bin/stable_token", vec![(200, wrong)]);
    let answer = world
        .post("/login/mini/phone", Some(&session), &json!({"code": "p"}))
        .answer();
    assert_eq!(answer.status, 503);
    assert!(world.log[0].contains("account=mini") && world.log[0].contains("40125"));
}

#[test]
fn open_data_of_the_vectors_is_decrypted_with_the_sessions_key() {
    for vector in vectors()["encrypted_data"].as_array().expect("vectors") {
        let text = |name: &str| vector[name].as_str().unwrap_or_default().to_owned();
        if text("plaintext").is_empty() {
            continue;
        }
        let mut config = config();
        config.accounts[0].appid = text("appid");
        let mut world = World::with(config);
        let plain: Value = serde_json::from_str(&text("plaintext")).expect("JSON");
        let openid = plain["openId"].as_str().unwrap_or("o-mini");
        let user = json!({"openid": openid, "session_key": text("session_key")});
        world.says.insert("/sns/jscode2session", vec![(200, user)]);
        let answer = world.post(LOGIN, None, &json!({"code": "c"})).answer();
        let session = body(&answer)["session"].as_str().expect("one").to_owned();
        let sent = json!({"encryptedData": text("encrypted_data"), "iv": text("iv")});
        let answer = world
            .post("/login/mini/open-data", Some(&session), &sent)
            .answer();
        assert_eq!(
            (answer.status, body(&answer)),
            (200, plain.clone()),
            "{}",
            vector["id"]
        );
        let phones = world
            .events
            .iter()
            .filter(|event| event["type"] == "weir.user.phone");
        assert_eq!(
            phones.count(),
            usize::from(plain.get("phoneNumber").is_some())
        );

        // The same for another user, or of another mini program.
        let mut other = config_with_another_appid();
        other.accounts[0].name = "mini".to_owned();
        let mut world = world.reconfigured(other);
        let answer = world
            .post("/login/mini/open-data", Some(&session), &sent)
            .answer();
        assert_eq!(answer.status, 400, "{}", vector["id"]);
    }
}

fn config_with_another_appid() -> weir_login::config::Config {
    let mut config = config();
    config.accounts[0].appid = "wx-of-somebody-else".to_owned();
    config
}

#[test]
fn a_signature_of_raw_data_is_checked_with_the_sessions_key() {
    let mut world = World::new();
    let session = world.logged_in("HyVFkGl5F5OQWJZZaNzBBg==");
    // The official sample.
    let raw = "{\"nickName\":\"Band\",\"gender\":1,\"language\":\"zh_CN\",\"city\":\"Guangzhou\",\"province\":\"Guangdong\",\"country\":\"CN\",\"avatarUrl\":\"http://wx.qlogo.cn/mmopen/vi_32/1vZvI39NWFQ9XM4LtQpFrQJ1xlgZxx3w7bQxKARol6503Iuswjjn6nIGBiaycAjAtpujxyzYsrztuuICqIM5ibXQ/0\"}";
    for (signature, status) in [
        ("75e81ceda165f4ffa64f4068af58c64b8f54b88c", 200),
        ("75e81ceda165f4ffa64f4068af58c64b8f54b88d", 403),
    ] {
        let sent = json!({"rawData": raw, "signature": signature});
        let answer = world
            .post("/login/mini/check", Some(&session), &sent)
            .answer();
        assert_eq!(answer.status, status);
    }
}

#[test]
fn a_session_is_good_for_its_own_account_alone() {
    let mut world = World::new();
    let session = world.logged_in("k");
    let answer = world
        .post("/login/cookie/phone", Some(&session), &json!({"code": "p"}))
        .answer();
    assert_eq!(answer.status, 401);
}
