//! A configuration is taken whole or refused with everything that is wrong with it.

use serde_json::{Value, json};

use crate::world::{document, env, parse};

fn problems(change: impl FnOnce(&mut Value)) -> Vec<String> {
    match parse(&document(change)) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn every_problem_is_reported_at_once_with_its_path() {
    let found = problems(|d| {
        d["accounts"][0]["tokn_env"] = "X".into();
        d["accounts"][0]["appid"] = "wx1".into();
        d["accounts"][0]["mode"] = "secure".into();
        d["accounts"][0]["rules"][1]["reply"] = json!({"text": "hi {nick}"});
        d["store"]["timeout_ms"] = 0.into();
        d["limits"] = json!({"max_body_bytes": "big", "speed": 9});
        d["colour"] = "red".into();
    });
    for path in [
        "accounts[0].tokn_env: is not a known field; did you mean \"token_env\"?",
        "accounts[0].appid: expected wx and 16",
        "accounts[0].mode: expected \"encrypted\"",
        "accounts[0].rules[1].reply.text: {nick} is not a placeholder",
        "store.timeout_ms: expected a whole number from 10 to 60000",
        "limits.max_body_bytes: expected a whole number",
        "limits.speed: is not a known field",
        "colour: is not a known field",
    ] {
        assert!(
            found.iter().any(|p| p.starts_with(path)),
            "{path}\n{found:#?}"
        );
    }
}

#[test]
fn each_mistake_has_its_sentence() {
    let check = |change: &dyn Fn(&mut Value), expected: &str| {
        let found = problems(change);
        assert!(
            found.iter().any(|p| p.contains(expected)),
            "{expected}\n{found:#?}"
        );
    };
    let account = |field: &'static str, value: Value| {
        move |d: &mut Value| d["accounts"][0][field] = value.clone()
    };
    check(
        &account("token_env", "NOT_SET".into()),
        "NOT_SET is not set",
    );
    check(
        &account("token_env", "SECRET".into()),
        "not 3 to 32 letters and digits",
    );
    check(
        &account("encoding_aes_key_env", "TOKEN".into()),
        "not 43 letters",
    );
    check(&account("path", "wechat".into()), "absolute path");
    check(&account("name", "Demo".into()), "1 to 32 characters");
    check(
        &account("format", 1.into()),
        "expected a string, found a number",
    );
    check(&account("mode", Value::Null), "mode: is missing");
    check(
        &account("original_id", Value::Null),
        "original_id: is missing",
    );
    check(
        &|d| {
            d["accounts"][0]["mode"] = "encrypted".into();
            d["accounts"][0]["encoding_aes_key_env"] = Value::Null;
        },
        "encoding_aes_key_env: is missing",
    );
    check(
        &account("kind", "wecom".into()),
        "goes with Official Accounts",
    );
    check(
        &account("authorizers_path", "/p/$APPID$".into()),
        "goes with third-party platforms",
    );
    check(
        &account("authorizers_path", "/p/".into()),
        "with $APPID$ in it",
    );
    check(&|d| d["accounts"] = json!([]), "1 to 10000 accounts");
    check(
        &|d| d["accounts"] = json!([d["accounts"][0], d["accounts"][0]]),
        "taken by another account",
    );
    check(&|d| d["wechat_api"] = Value::Null, "needs \"wechat_api\"");
    check(&|d| d["store"] = Value::Null, "store: is missing");
    check(
        &|d| d["store"] = json!([]),
        "expected an object, found a list",
    );
}

#[test]
fn an_encrypted_account_needs_its_key() {
    let found = problems(|d| {
        d["accounts"][0]["mode"] = "encrypted".into();
        d["accounts"][0]
            .as_object_mut()
            .unwrap()
            .remove("encoding_aes_key_env");
    });
    assert_eq!(found, ["accounts[0].encoding_aes_key_env: is missing"]);
}

#[test]
fn what_is_not_json_is_said_with_the_way_out() {
    let problems = weir_config::parse(b"\n\x0ademo\x12", &env).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0]
            .to_string()
            .contains("google.protobuf.StringValue"),
        "{}",
        problems[0]
    );
}

#[test]
fn no_secret_is_printed() {
    let config = parse(&document(|_| {})).unwrap();
    let printed = format!("{config:?}");
    for secret in [crate::world::TOKEN, crate::world::KEY, "the app secret"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn a_thousand_accounts_are_found_by_their_paths() {
    let config = parse(&document(|d| {
        let one = d["accounts"][0].clone();
        d["accounts"] = (0..1_000)
            .map(|i| {
                let mut account = one.clone();
                account["name"] = format!("a{i}").into();
                account["path"] = format!("/w/{i}").into();
                account
            })
            .collect();
    }))
    .unwrap();
    assert_eq!(config.accounts().count(), 1_000);
    for (id, account) in config.accounts() {
        let route = config.route(&account.path).unwrap();
        assert_eq!((route.account, route.authorizer), (id, None));
    }
    assert_eq!(config.route("/w/1000"), None);
    assert_eq!(config.route("/w/1/"), None);
}
