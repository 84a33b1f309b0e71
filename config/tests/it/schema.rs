//! Documents that the reader takes are valid, and what the tables forbid is forbidden by both.

use serde_json::{Value, json};
use weir_config::{Problem, door_schema, login_schema, parse, parse_door, parse_login, schema};

use crate::judge::is_valid;

/// One of the documents that there are, with everything in it.
struct Subject {
    document: Value,
    schema: Value,
    is_taken: fn(&Value) -> bool,
}

fn subjects() -> [Subject; 3] {
    [
        Subject {
            document: pushes(),
            schema: schema(),
            is_taken: |document| judge(document, |text| parse(text, &env).map(drop)),
        },
        Subject {
            document: door(),
            schema: door_schema(),
            is_taken: |document| judge(document, |text| parse_door(text, &env).map(drop)),
        },
        Subject {
            document: login(),
            schema: login_schema(),
            is_taken: |document| judge(document, |text| parse_login(text, &env).map(drop)),
        },
    ]
}

fn door() -> Value {
    json!({
        "accounts": [{"name": "demo", "appid": "wx0123456789abcdef", "app_secret_env": "SECRET"}],
        "clients": [
            {"name": "shop", "key_env": "CLIENT", "accounts": ["demo"], "allow": ["/cgi-bin/"], "deny": ["/cgi-bin/user/"]},
            {"name": "till", "san": "spiffe://example.com/till", "accounts": ["demo"], "allow": ["/card/"]},
        ],
        "wechat_api": {"cluster": "api", "authority": "api.weixin.qq.com", "timeout_ms": 100},
        "store": {"cluster": "store", "authority": "weir-store", "timeout_ms": 100, "path": "/v1/events"},
        "hand_out": "access_token",
        "linter": "refuse",
        "credits": {"refuse": true, "path": "/v1/credits", "timeout_ms": 50, "long_term": ["T"]},
        "quotas": [{"path": "/cgi-bin/user/get", "per_day": 500, "reserve": 50}],
        "limits": {"replay_max_bytes": 0, "wait_ms": 100, "held_max": 1, "stand_in_s": 600, "outbox_max_events": 1},
    })
}

fn login() -> Value {
    json!({
        "accounts": [
            {"name": "mini", "appid": "wxfedcba9876543210", "app_secret_env": "SECRET", "path": "/login/mini", "hand_out": "cookie"},
            {"name": "demo", "appid": "wx0123456789abcdef", "app_secret_env": "SECRET"},
        ],
        "pages": [{"prefix": "/shop/", "account": "demo", "scope": "snsapi_userinfo", "strangers": "guests"}],
        "sessions": {"seal_key_env": "SEAL", "previous_seal_key_env": "SEAL", "lasts_s": 60, "secure": "anyhow"},
        "public_url": "https://shop.example.com",
        "callback_path": "/weir/login",
        "wechat_api": {"cluster": "api", "authority": "api.weixin.qq.com", "timeout_ms": 100},
        "store": {"cluster": "store", "authority": "weir-store", "timeout_ms": 100, "path": "/v1/events"},
        "limits": {"max_body_bytes": 256, "wait_ms": 100, "uid_wait_ms": 0, "held_max": 1, "outbox_max_events": 1},
    })
}

fn pushes() -> Value {
    json!({
        "accounts": [
            {
                "name": "demo", "path": "/wechat/demo", "original_id": "gh_0a1b2c3d4e5f", "appid": "wx0123456789abcdef",
                "mode": "encrypted", "token_env": "TOKEN", "previous_token_env": "TOKEN",
                "encoding_aes_key_env": "KEY", "app_secret_env": "SECRET",
                "rules": [
                    {"name": "one", "when": {"event": "subscribe", "scene": [1, "a"]}, "reply": {"text": "{scene}"}},
                    {"when": {"event_key": {"prefix": "m"}, "event": ["CLICK"]}, "tag": [1, 2], "continue": true},
                    {"when": {"keyword": {"exact": "a", "prefix": ["b"], "contains": "c"}, "first_push": false}},
                    {"when": {"pattern": "a*", "time": {"from": "22:00", "to": "24:00", "days": ["sun"]}}, "reply": "none"},
                    {"when": {"field": {"MenuId": 5}, "share": {"percent": 12.5, "of": "x"}}, "reply": {"image": "m"}},
                    {"when": {"message": "*", "share": 3}, "reply": {"music": {"thumb_media_id": "t"}}},
                    {"when": {"event": "*"}, "reply": {"news": [{"title": "t"}, {"title": "u", "url": "v"}]}},
                    {"reply": {"one_of": [{"weight": 2, "text": "a"}, {"voice": "b"}]}},
                    {"reply": {"transfer_customer_service": {}}},
                ],
            },
            {
                "name": "platform", "kind": "third_party_platform", "path": "/p", "authorizers_path": "/p/$APPID$/x",
                "appid": "wxfedcba9876543210", "mode": "encrypted", "token_env": "TOKEN", "encoding_aes_key_env": "KEY",
            },
        ],
        "store": {"cluster": "store"},
        "wechat_api": {"cluster": "api", "timeout_ms": 100},
        "limits": {"freshness_s": 15},
    })
}

fn env(name: &str) -> Option<String> {
    let value = match name {
        "TOKEN" => "weixinToken1",
        "KEY" => "eSd7q1YbuOdflnt5Jhd3HlPAIO255XcyPzFrdbLQqHB",
        "SECRET" => "the app secret",
        "CLIENT" => "a key of the shop",
        "SEAL" => "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        _ => return None,
    };
    Some(value.to_owned())
}

fn judge(document: &Value, parse: impl Fn(&[u8]) -> Result<(), Vec<Problem>>) -> bool {
    match parse(document.to_string().as_bytes()) {
        Ok(()) => true,
        Err(problems) => {
            assert!(!problems.is_empty());
            false
        }
    }
}

#[test]
fn a_document_that_uses_everything_is_taken_by_both() {
    for subject in subjects() {
        assert!((subject.is_taken)(&subject.document));
        assert!(is_valid(&subject.schema, &subject.document));
    }
}

/// All places of a document, as JSON pointers.
fn places(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| {
            places(
                value,
                &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")),
                out,
            );
        }),
        Value::Array(items) => (0..)
            .zip(items)
            .for_each(|(index, value): (usize, _)| places(value, &format!("{at}/{index}"), out)),
        _ => {}
    }
}

#[test]
fn what_is_of_the_wrong_shape_anywhere_is_refused_by_both() {
    for subject in subjects() {
        let mut all = Vec::new();
        places(&subject.document, "", &mut all);
        let mut refused = 0;
        for place in &all {
            for wrong in [
                json!([]),
                json!({}),
                json!(true),
                json!(-1),
                json!(1e30),
                json!({"speed": 1}),
                json!(""),
            ] {
                let mut document = subject.document.clone();
                *document.pointer_mut(place).expect("a place") = wrong.clone();
                let taken = (subject.is_taken)(&document);
                let valid = is_valid(&subject.schema, &document);
                // The reader may know better (nothing is contradictory, every variable is set), never worse.
                assert!(
                    valid || !taken,
                    "{place} = {wrong}: the reader takes what the schema forbids"
                );
                refused += usize::from(!taken && !valid);
            }
        }
        assert!(refused > 4 * all.len(), "{refused} of {}", all.len());
    }
}

#[test]
fn an_unknown_field_is_refused_by_both_wherever_it_is() {
    for subject in subjects() {
        let mut all = Vec::new();
        places(&subject.document, "", &mut all);
        for place in all {
            let mut document = subject.document.clone();
            let Some(Value::Object(map)) = document.pointer_mut(&place) else {
                continue;
            };
            // The names of a push's own fields are free.
            if place.ends_with("/field") {
                continue;
            }
            map.insert("colour".to_owned(), "red".into());
            let taken = (subject.is_taken)(&document);
            assert!(!taken && !is_valid(&subject.schema, &document), "{place}");
        }
    }
}

#[test]
fn every_field_is_documented_and_every_default_is_one() {
    fn walk(schema: &Value, at: &str) {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (name, property) in properties {
                let at = format!("{at}.{name}");
                let text = property["description"].as_str().unwrap_or_default();
                assert!(text.len() > 5 && !text.ends_with(' '), "{at}: {text:?}");
                if let Some(default) = property.get("default") {
                    assert!(is_valid(property, default), "{at}: {default}");
                }
                walk(property, &at);
            }
        }
        for inner in ["items", "additionalProperties"] {
            if let Some(inner) = schema.get(inner).filter(|inner| inner.is_object()) {
                walk(inner, at);
            }
        }
        for one in schema
            .get("anyOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            walk(one, at);
        }
    }
    for subject in subjects() {
        walk(&subject.schema, "");
    }
}
