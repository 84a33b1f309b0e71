//! `weir validate`.

use crate::weir::{CONFIG, VARIABLES, envoy_yaml_with, file, shipped_envoy_yaml, weir, weir_with};

#[test]
fn the_shipped_envoy_yaml_is_right_without_any_secret() {
    let path = file("envoy.yaml", &shipped_envoy_yaml());
    weir(&["validate", "--no-env", "--strict", &path])
        .ends(0)
        .says(&["envoy.yaml: ok (1 account, 6 rules; the API door: 1 account, 1 client; logins: 1 account, 1 page)"]);
}

#[test]
fn a_configuration_may_be_json_or_yaml() {
    let yaml = "\
accounts:
- name: demo
  path: /wechat/demo
  original_id: gh_0a1b2c3d4e5f
  appid: wx0123456789abcdef
  mode: encrypted
  token_env: WEIR_DEMO_TOKEN
  encoding_aes_key_env: WEIR_DEMO_AES_KEY
store: { cluster: weir_store }
";
    weir_with(
        VARIABLES,
        &["validate", &file("a.json", CONFIG), &file("b.yaml", yaml)],
    )
    .ends(0)
    .says(&["a.json: ok", "b.yaml: ok (1 account, 0 rules)"]);
    let bad = file("bad.yaml", &yaml.replace("mode: encrypted", "mode: open"));
    weir_with(VARIABLES, &["validate", &bad]).ends(1).says(&[
        "accounts[0].mode",
        "bad.yaml:6:9",
        "mode: open",
    ]);
}

#[test]
fn every_problem_is_shown_with_its_line_a_caret_and_a_way_out() {
    let text = CONFIG
        .replace("\"token_env\"", "\"tokn_env\"")
        .replace("\"appid\": \"wx0", "\"appid\": \"xx0");
    weir_with(VARIABLES, &["validate", &file("weir.json", &text)])
        .ends(1)
        .says(&[
            "error: accounts[0].token_env: is missing",
            "weir.json:7:16",
            "7 |       \"appid\": \"xx0123456789abcdef\",",
            "  |                ^^^^^^^^^^^^^^^^^^^^",
            "error: accounts[0].tokn_env: is not a known field",
            "weir.json:9:7",
            "help: did you mean \"token_env\"?",
            "3 errors and 0 warnings in 1 file",
        ]);
}

#[test]
fn a_problem_inside_an_envoy_configuration_is_shown_in_its_own_line() {
    let path = envoy_yaml_with("\"mode\": \"encrypted\"", "\"mode\": \"encypted\"");
    let line = 1 + shipped_envoy_yaml()
        .lines()
        .position(|line| line.contains("\"mode\": \"encrypted\""))
        .unwrap();
    weir(&["validate", "--no-env", &path]).ends(1).says(&[
        "error: accounts[0].mode:",
        &format!("envoy.yaml:{line}:35"),
        "1 error and 0 warnings",
    ]);
}

#[test]
fn a_slip_in_the_json_is_shown_where_it_is_in_the_yaml() {
    let path = envoy_yaml_with("\"mode\": \"encrypted\",", "\"mode\": \"encrypted\"");
    let line = 2 + shipped_envoy_yaml()
        .lines()
        .position(|line| line.contains("\"mode\": \"encrypted\""))
        .unwrap();
    weir(&["validate", "--no-env", &path]).ends(1).says(&[
        "the configuration is not JSON: expected `,` or `}`",
        &format!("envoy.yaml:{line}:"),
        "\"token_env\": \"WEIR_DEMO_TOKEN\"",
    ]);
}

#[test]
fn an_envoy_configuration_in_json_is_searched_too() {
    let inner = CONFIG.replace("\"path\"", "\"pth\"");
    let outer = serde_json::json!({"typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "failurePolicy": "FAIL_RELOAD",
            "allowOnHeadersStopIteration": true,
            "vmConfig": {"environmentVariables": {"hostEnvKeys": ["WEIR_DEMO_TOKEN", "WEIR_DEMO_AES_KEY"]}},
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": inner,
            },
        },
    }});
    let text = outer.to_string();
    let column = text.find("\\\"pth\\\"").unwrap() + 1;
    weir(&["validate", "--no-env", &file("envoy.json", &text)])
        .ends(1)
        .says(&[
            "accounts[0].pth: is not a known field",
            &format!("envoy.json:1:{column}"),
            "2 errors",
        ]);
}

#[test]
fn a_variable_that_is_not_set_is_named_and_may_come_from_a_file() {
    let path = file("weir.json", CONFIG);
    weir(&["validate", &path]).ends(1).says(&[
        "accounts[0].token_env: the environment variable is not set here",
        "\"WEIR_DEMO_AES_KEY\"",
        "--no-env",
        "2 errors",
    ]);
    let variables: String = VARIABLES
        .iter()
        .map(|(n, v)| format!("{n}={v}\n"))
        .collect();
    let variables = file("weir.env", &variables);
    weir(&["validate", "--env-file", &variables, &path]).ends(0);
    weir(&["validate", "--env-file", &variables, "--no-env", &path]).ends(2);
}

#[test]
fn a_secret_of_the_wrong_shape_is_refused_and_not_shown() {
    let wrong = [("WEIR_DEMO_TOKEN", "hunter-2"), VARIABLES[1]];
    weir_with(&wrong, &["validate", &file("weir.json", CONFIG)])
        .ends(1)
        .says(&["accounts[0].token_env: ", "3 to 32 letters and digits"])
        .says_nothing_of(&["hunter"]);
}

#[test]
fn without_secrets_each_kind_of_variable_gets_a_value_that_fits() {
    let text = CONFIG
        .replace(
            "\"token_env\"",
            "\"previous_token_env\": \"A\", \"previous_encoding_aes_key_env\": \"B\", \
             \"app_secret_env\": \"C\", \"token_env\"",
        )
        .replace(
            "\"store\"",
            "\"wechat_api\": {\"cluster\": \"c\"}, \"store\"",
        );
    weir(&["validate", "--no-env", &file("weir.json", &text)]).ends(0);
}

#[test]
fn a_field_given_twice_is_a_warning_and_strictness_makes_it_fail() {
    let text = CONFIG.replace("\"mode\"", "\"mode\": \"plain\", \"mode\"");
    let path = file("weir.json", &text);
    weir(&["validate", "--no-env", &path])
        .ends(0)
        .says(&["warning: \"mode\" is given twice", "weir.json:8:"]);
    weir(&["validate", "--no-env", "--strict", &path]).ends(1);
}

#[test]
fn what_weir_needs_of_envoy_is_checked() {
    for (from, to, sentence, code) in [
        (
            "allow_on_headers_stop_iteration: true",
            "allow_on_headers_stop_iteration: false",
            "every request with a body hangs",
            1,
        ),
        (
            "failure_policy: FAIL_RELOAD",
            "failure_policy: FAIL_OPEN",
            "unverified",
            1,
        ),
        (
            "failure_policy: FAIL_RELOAD",
            "fail_open: true",
            "unverified",
            1,
        ),
        (
            "failure_policy: FAIL_RELOAD",
            "failure_policy: FAIL_CLOSED",
            "503 until Envoy is restarted",
            0,
        ),
        (
            "- WEIR_DEMO_AES_KEY",
            "- ANOTHER",
            "accounts[0].encoding_aes_key_env: the plugin is not given this environment variable",
            1,
        ),
        (
            "\"cluster\": \"weir_store\"",
            "\"cluster\": \"stor\"",
            "store.cluster: there is no cluster of this name",
            1,
        ),
        (
            "protobuf.StringValue",
            "protobuf.Struct",
            "not a google.protobuf.StringValue",
            1,
        ),
        ("trusted_ca:", "x:", "is not verified", 0),
        (
            "match_typed_subject_alt_names:",
            "x:",
            "passes for WeChat",
            0,
        ),
        (
            "per_connection_buffer_limit_bytes: 524288",
            "per_connection_buffer_limit_bytes: 1024",
            "a push above 1024 bytes gets Envoy's 413",
            0,
        ),
    ] {
        let path = envoy_yaml_with(from, to);
        weir(&["validate", "--no-env", &path])
            .ends(code)
            .says(&[sentence, "envoy.yaml:"]);
    }
}

#[test]
fn a_cluster_that_may_come_by_cds_is_only_a_warning() {
    let text = shipped_envoy_yaml().replace("\"cluster\": \"weir_store\"", "\"cluster\": \"far\"")
        + "\ndynamic_resources: { cds_config: { path_config_source: { path: cds.yaml } } }\n";
    weir(&["validate", "--no-env", &file("envoy.yaml", &text)])
        .ends(0)
        .says(&["warning: store.cluster", "has to come by CDS"]);
}

#[test]
fn a_secret_written_into_the_file_is_a_warning() {
    let path = envoy_yaml_with(
        "host_env_keys:",
        "key_values: { WEIR_DEMO_TOKEN: abc123 }\n                    host_env_keys:",
    );
    weir(&["validate", "--no-env", &path])
        .ends(0)
        .says(&["warning: key_values: a secret in the file"]);
}

#[test]
fn another_modules_filter_is_left_alone() {
    let other = r#"          - name: other
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config: { name: other, configuration: { "@type": x, value: y } }
          - name: weir
"#;
    let text = shipped_envoy_yaml();
    let with = text.replace("          - name: weir\n", other);
    assert_ne!(text, with);
    weir(&["validate", "--no-env", &file("envoy.yaml", &with)])
        .ends(0)
        .says(&["ok (1 account, 6 rules; the API door"]);
}

#[test]
fn the_doors_configuration_is_checked_as_the_doors() {
    let path = envoy_yaml_with(
        "\"accounts\": [\"demo\"],",
        "\"accounts\": [\"dmo\"], \"alow\": [],",
    );
    weir(&["validate", "--no-env", &path]).ends(1).says(&[
        "clients[0].accounts[0]: there is no account dmo",
        "clients[0].alow: is not a known field",
    ]);
}

#[test]
fn an_envoy_configuration_without_weir_is_an_error() {
    weir(&["validate", &file("envoy.yaml", "static_resources: {}\n")])
        .ends(1)
        .says(&["there is no wasm filter in this Envoy configuration"]);
}

#[test]
fn a_file_that_is_neither_json_nor_yaml_is_an_error_at_its_place() {
    weir(&["validate", &file("a.json", "{\"a\": 1,\n \"b\" 2}")])
        .ends(1)
        .says(&["this is not JSON: expected `:`", "a.json:2:6"]);
    weir(&["validate", &file("a.yaml", "a: [1\nb: 2\n")])
        .ends(1)
        .says(&["this is not YAML", "a.yaml:2:"]);
}

#[test]
fn a_file_that_cannot_be_read_does_not_keep_the_others_from_being_checked() {
    let run = weir(&[
        "validate",
        "--no-env",
        "/nowhere.json",
        &file("a.json", CONFIG),
    ]);
    run.ends(2).says(&["a.json: ok"]);
    assert!(run.err.contains("/nowhere.json"), "{}", run.err);
}

#[test]
fn a_script_gets_one_json_document() {
    let text = CONFIG.replace("\"mode\": \"encrypted\"", "\"mode\": 5");
    let run = weir(&["validate", "--no-env", "--json", &file("a.json", &text)]);
    let json = run.ends(1).json();
    assert_eq!(json["errors"], 1);
    let finding = &json["findings"][0];
    assert_eq!(finding["path"], "accounts[0].mode");
    assert_eq!(
        (finding["line"].as_u64(), finding["column"].as_u64()),
        (Some(8), Some(15))
    );
    assert_eq!(finding["severity"], "error");
}
