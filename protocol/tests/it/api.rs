use serde_json::{Value, json};
use weir_protocol::api::{
    AnswerError, ApiError, Class, StableTokenRequest, TokenAnswer, check, parse_user_batch,
    path_with_token, write_user_batch,
};

fn refused(answer: &str) -> ApiError {
    match check(answer.as_bytes()) {
        Err(AnswerError::Refused(error)) => error,
        other => panic!("{answer}: {other:?}"),
    }
}

#[test]
fn an_errcode_that_is_missing_or_0_is_success() {
    for answer in [
        "{}",
        r#"{"errcode":0,"errmsg":"ok"}"#,
        r#"{"errcode":null}"#,
        r#"{"openid":"o1"}"#,
    ] {
        assert_eq!(check(answer.as_bytes()), Ok(()), "{answer}");
    }
    for answer in [
        "",
        "success",
        "<html>502</html>",
        "[]",
        r#"{"errcode":"#,
        r#"{"errcode":"x"}"#,
    ] {
        assert_eq!(
            check(answer.as_bytes()),
            Err(AnswerError::Malformed),
            "{answer}"
        );
    }
}

#[test]
fn a_refusal_keeps_the_code_and_a_bounded_message() {
    let error = refused(r#"{"errcode":40013,"errmsg":"invalid appid rid: 5f3ded7d"}"#);
    assert_eq!(
        error.to_string(),
        "errcode 40013: invalid appid rid: 5f3ded7d"
    );
    assert_eq!(error.class(), Class::Credentials);
    assert_eq!(
        refused(r#"{"errcode":9007199254740993}"#).errcode,
        9_007_199_254_740_993
    );
    let long = refused(
        &json!({"errcode": 1, "errmsg": format!("a\n\u{7}{}", "字".repeat(200))}).to_string(),
    );
    assert_eq!(long.errmsg, format!("a{}", "字".repeat(85)));
}

#[test]
fn codes_have_the_class_of_their_remedy() {
    use Class::*;
    for (code, class) in [
        (-1, Transient),
        (-999, Transient),
        (40001, Token),
        (40014, Token),
        (42001, Token),
        (41001, Token),
        (40013, Credentials),
        (40125, Credentials),
        (40164, Credentials),
        (61004, Credentials),
        (89503, Credentials),
        (45009, DailyQuota),
        (45011, MinuteQuota),
        (48001, Permission),
        (50001, Permission),
        (40003, Recipient),
        (43004, Recipient),
        (43101, Recipient),
        (48002, Recipient),
        (45015, Window),
        (45047, Window),
        (47001, Content),
        (47003, Content),
        (45008, Content),
        (9_001_001, Content),
        (43002, Request),
        (41009, Request),
        (40029, Login),
        (40163, Login),
        (40007, Media),
        (40004, Media),
        (12345, Other),
        (i64::MAX, Other),
    ] {
        assert_eq!(Class::of(code), class, "{code}");
    }
    assert_eq!(
        Class::of_token_call(40001),
        Credentials,
        "a wrong secret: nothing to be fetched anew"
    );
    assert_eq!(Class::of_token_call(-1), Transient);
    assert_eq!(Class::of_token_call(45009), DailyQuota);
}

#[test]
fn a_stable_token_is_asked_for_as_documented() {
    let request = StableTokenRequest {
        appid: "wx1",
        secret: "s\"e",
        force_refresh: false,
    };
    assert_eq!(
        serde_json::from_slice::<Value>(&request.encode()).unwrap(),
        json!({"grant_type": "client_credential", "appid": "wx1", "secret": "s\"e", "force_refresh": false})
    );
    let shown = format!("{request:?}");
    assert!(
        shown.contains("wx1") && !shown.contains("s\\\"e"),
        "{shown}"
    );
}

#[test]
fn a_token_is_read_unless_it_could_not_stand_in_a_query() {
    let answer = br#"{"access_token":"68_aB-c_d","expires_in":345}"#;
    let token = TokenAnswer::parse(answer).unwrap();
    assert_eq!(
        (token.access_token.as_ref(), token.expires_in),
        ("68_aB-c_d", 345)
    );
    assert!(!format!("{token:?}").contains("68_"));
    assert_eq!(
        path_with_token("/cgi-bin/x", &token.access_token),
        "/cgi-bin/x?access_token=68_aB-c_d"
    );
    for bad in [
        json!({"access_token": "", "expires_in": 1}),
        json!({"access_token": "a&b=c", "expires_in": 1}),
        json!({"access_token": "a\r\nb", "expires_in": 1}),
        json!({"access_token": "a b", "expires_in": 1}),
        json!({"access_token": "a".repeat(2049), "expires_in": 1}),
        json!({"access_token": "a"}),
        json!({"expires_in": 1}),
        json!({"access_token": "a", "expires_in": -1}),
    ] {
        assert_eq!(
            TokenAnswer::parse(bad.to_string().as_bytes()),
            Err(AnswerError::Malformed),
            "{bad}"
        );
    }
    let refused =
        TokenAnswer::parse(br#"{"errcode":40001,"errmsg":"invalid credential"}"#).unwrap_err();
    assert!(
        matches!(refused, AnswerError::Refused(error) if error.token_call_class() == Class::Credentials)
    );
}

#[test]
fn users_are_asked_for_a_hundred_at_a_time() {
    assert_eq!(
        String::from_utf8(write_user_batch(&["o1", "o2"])).unwrap(),
        r#"{"user_list":[{"openid":"o1","lang":"zh_CN"},{"openid":"o2","lang":"zh_CN"}]}"#
    );
    let many: Vec<String> = (0..101).map(|n| format!("o{n}")).collect();
    let body: Value = serde_json::from_slice(&write_user_batch(&many)).unwrap();
    assert_eq!(body["user_list"].as_array().unwrap().len(), 100);
    assert_eq!(body["user_list"][99]["openid"], "o99");
}

#[test]
fn users_are_handed_on_as_wechat_wrote_them() {
    let answer = r#"{"user_info_list":[{"subscribe":1,"openid":"o1","nickname":"张三😀","x":12345678901234567890},
        {"subscribe":0, "openid":"o2"}]}"#;
    let users = parse_user_batch(answer.as_bytes()).unwrap();
    assert_eq!(
        users
            .iter()
            .map(|user| user.openid.as_ref())
            .collect::<Vec<_>>(),
        ["o1", "o2"]
    );
    assert_eq!(
        users[0].raw.get(),
        r#"{"subscribe":1,"openid":"o1","nickname":"张三😀","x":12345678901234567890}"#
    );
    assert_eq!(users[1].raw.get(), r#"{"subscribe":0, "openid":"o2"}"#);
    assert_eq!(format!("{:?}", users[0]), "UserInfo(…)");
    for bad in [
        "{}",
        r#"{"user_info_list":{}}"#,
        r#"{"user_info_list":[{}]}"#,
        r#"{"user_info_list":[1]}"#,
    ] {
        assert_eq!(
            parse_user_batch(bad.as_bytes()).unwrap_err(),
            AnswerError::Malformed,
            "{bad}"
        );
    }
    assert!(matches!(
        parse_user_batch(br#"{"errcode":40003}"#).unwrap_err(),
        AnswerError::Refused(_)
    ));
}
