//! Documents that the reader takes are valid, and what the tables forbid is forbidden by both.

use serde_json::{Value, json};
use weir_config::{parse, schema};

use crate::judge::is_valid;

fn document() -> Value {
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

fn is_taken(document: &Value) -> bool {
    let env = |name: &str| match name {
        "TOKEN" => Some("weixinToken1".to_owned()),
        "KEY" => Some("eSd7q1YbuOdflnt5Jhd3HlPAIO255XcyPzFrdbLQqHB".to_owned()),
        "SECRET" => Some("the app secret".to_owned()),
        _ => None,
    };
    match parse(document.to_string().as_bytes(), &env) {
        Ok(_) => true,
        Err(problems) => {
            assert!(!problems.is_empty());
            false
        }
    }
}

#[test]
fn a_document_that_uses_everything_is_taken_by_both() {
    assert!(is_taken(&document()));
    assert!(is_valid(&schema(), &document()));
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
    let schema = schema();
    let mut all = Vec::new();
    places(&document(), "", &mut all);
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
            let mut document = document();
            *document.pointer_mut(place).expect("a place") = wrong.clone();
            let (taken, valid) = (is_taken(&document), is_valid(&schema, &document));
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

#[test]
fn an_unknown_field_is_refused_by_both_wherever_it_is() {
    let schema = schema();
    let mut all = Vec::new();
    places(&document(), "", &mut all);
    for place in all {
        let mut document = document();
        let Some(Value::Object(map)) = document.pointer_mut(&place) else {
            continue;
        };
        // The names of a push's own fields are free.
        if place.ends_with("/field") {
            continue;
        }
        map.insert("colour".to_owned(), "red".into());
        assert!(
            !is_taken(&document) && !is_valid(&schema, &document),
            "{place}"
        );
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
    walk(&schema(), "");
}
