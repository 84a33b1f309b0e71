//! What the document of the API door says of credits.

use serde_json::{Value, json};
use weir_config::parse_door;
use weir_door::config::Config;

fn document(credits: Value) -> Value {
    json!({
        "accounts": [{"name": "demo", "appid": "wx0123456789abcdef", "app_secret_env": "SECRET"}],
        "clients": [{"name": "shop", "key_env": "SHOP_KEY", "accounts": ["demo"], "allow": ["/cgi-bin/"]}],
        "wechat_api": {"cluster": "api"},
        "store": {"cluster": "store"},
        "credits": credits,
    })
}

/// What is read of it, or what is wrong with it.
fn read(document: &Value) -> Result<Config, String> {
    let env = |name: &str| match name {
        "SECRET" => Some("the app secret".to_owned()),
        "SHOP_KEY" => Some("a key of the shop".to_owned()),
        _ => None,
    };
    parse_door(document.to_string().as_bytes(), &env).map_err(|problems| {
        let lines = problems.iter().map(ToString::to_string);
        lines.collect::<Vec<_>>().join("\n")
    })
}

#[test]
fn credits_are_asked_for_only_where_that_is_said() {
    for off in [json!({}), json!({"refuse": false, "timeout_ms": 50})] {
        assert!(read(&document(off)).unwrap().credits.is_none());
    }
    let credits = |credits| read(&document(credits)).unwrap().credits.unwrap();
    let plain = credits(json!({"refuse": true}));
    assert_eq!(plain.path, "/v1/credits");
    assert_eq!(plain.timeout_ms, 200);
    assert!(plain.long_term.is_empty());
    let long_term = credits(json!({"refuse": true, "long_term": ["T"], "timeout_ms": 50}));
    assert_eq!(long_term.long_term, ["T"]);
    assert_eq!(long_term.timeout_ms, 50);
}

#[test]
fn credits_need_the_store_that_knows_them() {
    let mut document = document(json!({"refuse": true}));
    document.as_object_mut().unwrap().remove("store");
    let problems = read(&document).unwrap_err();
    assert!(
        problems.contains("credits") && problems.contains("store"),
        "{problems}"
    );
}
