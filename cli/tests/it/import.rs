//! `weir import`.

use serde_json::{Value as Json, json};

use crate::gateway::Answering;
use crate::weir::{CONFIG, Run, file, weir, weir_with};

/// WeChat's own sample, with a few more rules.
fn autoreply() -> Json {
    json!({
        "is_add_friend_reply_open": 1,
        "is_autoreply_open": 1,
        "add_friend_autoreply_info": {"type": "text", "content": "Thanks! {你好} <a href=\"https://example.com/\">x</a>"},
        "message_default_autoreply_info": {"type": "text", "content": "Hello, this is autoreply!"},
        "keyword_autoreply_info": {"list": [
            {
                "rule_name": "autoreply-news", "create_time": 1_423_028_166, "reply_mode": "reply_all",
                "keyword_list_info": [{"type": "text", "match_mode": "contain", "content": "news测试"}],
                "reply_list_info": [
                    {"type": "news", "news_info": {"list": [
                        {"title": "it's news", "author": "jim", "digest": "it's digest", "show_cover": 1,
                         "cover_url": "http://mmbiz.qpic.cn/a", "content_url": "http://mp.weixin.qq.com/s?x=1", "source_url": ""},
                        {"title": "second", "digest": "", "cover_url": "", "content_url": "http://mp.weixin.qq.com/s?x=2"}
                    ]}},
                    {"type": "text", "content": "and a text"}
                ]
            },
            {
                "rule_name": "autoreply-voice", "create_time": 1_423_027_971, "reply_mode": "random_one",
                "keyword_list_info": [{"type": "text", "match_mode": "contain", "content": "voice测试"}],
                "reply_list_info": [{"type": "voice", "content": "NESsxgHEvAcg3egJTtYj4uG1PTL6iPhratdWKDLAXYE"}]
            },
            {
                "rule_name": "价格", "create_time": 1_423_027_926, "reply_mode": "random_one",
                "keyword_list_info": [
                    {"type": "text", "match_mode": "equal", "content": "price"},
                    {"type": "text", "match_mode": "equal", "content": " 价格 "},
                    {"type": "text", "match_mode": "contain", "content": "how much"}
                ],
                "reply_list_info": [{"type": "text", "content": "ten"}, {"type": "img", "content": "MEDIA"}]
            },
            {
                "rule_name": "autoreply-video", "create_time": 1_423_027_801, "reply_mode": "reply_all",
                "keyword_list_info": [{"type": "text", "match_mode": "equal", "content": "video"}],
                "reply_list_info": [{"type": "video", "content": "http://61.182.133.153/vweixinp.tc.qq.com/1007"}]
            }
        ]}
    })
}

fn menu() -> Json {
    json!({
        "is_menu_open": 1,
        "selfmenu_info": {"button": [
            {"name": "button", "sub_button": {"list": [
                {"type": "view", "name": "view_url", "url": "http://www.qq.com"},
                {"type": "news", "name": "news", "value": "KQb_w_Tiz", "news_info": {"list": [
                    {"title": "MULTI_NEWS", "author": "JIMZHENG", "digest": "text", "show_cover": 0,
                     "cover_url": "http://mmbiz.qpic.cn/c", "content_url": "http://mp.weixin.qq.com/s?y=1", "source_url": ""},
                    {"title": "MULTI_NEWS1", "digest": "", "cover_url": "", "content_url": "http://mp.weixin.qq.com/s?y=2"}
                ]}},
                {"type": "video", "name": "video", "value": "http://61.182.130.30/vweixinp.tc.qq.com/1007"},
                {"type": "voice", "name": "voice", "value": "nTXe3aghlQ4XYHa0AQPWiQQbFW9RVtaYTLPC1PCQx11"}
            ]}},
            {"type": "text", "name": "text", "value": "This is text!"},
            {"type": "img", "name": "photo", "value": "ax5Whs5dsoomJLEppAvftBUuH7CgXCZGFbFJifmbUjn"}
        ]}
    })
}

fn import(what: &str, answer: &Json, args: &[&str]) -> Run {
    let path = file("answer.json", &answer.to_string());
    let mut all = vec!["import", what, &path];
    all.extend(args);
    weir(&all)
}

#[test]
fn the_consoles_replies_become_rules_exact_keywords_first() {
    let run = import("autoreply", &autoreply(), &[]);
    let json = run.ends(0).json();
    let expected = json!([
        {"name": "follow", "when": {"event": "subscribe"},
         "reply": {"text": "Thanks! {{你好}} <a href=\"https://example.com/\">x</a>"}},
        {"name": "价格", "when": {"keyword": ["price", "价格"]},
         "reply": {"one_of": [{"text": "ten"}, {"image": "MEDIA"}]}},
        {"name": "autoreply-news", "when": {"keyword": {"contains": "news测试"}},
         "reply": {"news": [{"title": "it's news", "description": "it's digest",
                             "pic_url": "http://mmbiz.qpic.cn/a", "url": "http://mp.weixin.qq.com/s?x=1"}]}},
        {"name": "autoreply-voice", "when": {"keyword": {"contains": "voice测试"}},
         "reply": {"voice": "NESsxgHEvAcg3egJTtYj4uG1PTL6iPhratdWKDLAXYE"}},
        {"name": "价格", "when": {"keyword": {"contains": "how much"}},
         "reply": {"one_of": [{"text": "ten"}, {"image": "MEDIA"}]}},
        {"name": "any message",
         "when": {"message": "*"},
         "reply": {"text": "Hello, this is autoreply!"}},
    ]);
    assert_eq!(json["rules"], expected);
}

#[test]
fn what_rules_cannot_say_is_named() {
    let run = import("autoreply", &autoreply(), &[]);
    for note in [
        "warning: autoreply-news: of 2 articles only the first one",
        "warning: autoreply-news: of 2 replies that were all sent only the first",
        "warning: autoreply-video: left out: WeChat gives a link to the film",
        "warning: autoreply-video: left out: no reply of it can be said in a rule",
        "warning: any message: the console sent this about once an hour",
    ] {
        assert!(run.err.contains(note), "no {note:?} in {}", run.err);
    }
    assert_eq!(run.json()["notes"].as_array().unwrap().len(), 5);
    import("autoreply", &autoreply(), &["--strict"]).ends(1);
    let plain = json!({"is_add_friend_reply_open": 1, "add_friend_autoreply_info": {"type": "text", "content": "x"}});
    import("autoreply", &plain, &["--strict"]).ends(0);
}

#[test]
fn what_is_switched_off_is_not_imported() {
    let mut answer = autoreply();
    answer["is_add_friend_reply_open"] = 0.into();
    answer["is_autoreply_open"] = 0.into();
    let run = import("autoreply", &answer, &[]);
    let json = run.ends(0).json();
    let names: Vec<&str> = json["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["name"].as_str().unwrap())
        .collect();
    assert!(
        !names.contains(&"follow") && !names.contains(&"any message"),
        "{names:?}"
    );
    assert!(names.contains(&"autoreply-voice"));
    assert!(
        run.err
            .contains("follow: left out: the reply to a follow is switched off")
    );
    assert!(run.err.contains("any message: left out"));
    assert!(
        run.err
            .contains("keywords: automatic replies to messages are switched off")
    );
}

#[test]
fn yaml_has_what_was_left_out_as_comments() {
    let run = import("autoreply", &autoreply(), &["--format", "yaml"]);
    run.ends(0).says(&[
        "rules:\n  - name: follow\n",
        "  # autoreply-news: of 2 articles only the first one",
        "  # any message: the console sent this about once an hour",
    ]);
    let read = weir_cli::source::yaml::parse(&run.out).unwrap().remove(0);
    let json = import("autoreply", &autoreply(), &[]).json();
    assert_eq!(read.get("rules").unwrap().to_json(), json["rules"]);

    let bare = import(
        "autoreply",
        &autoreply(),
        &["--format", "yaml", "--print", "rules"],
    );
    let read = weir_cli::source::yaml::parse(&bare.out).unwrap().remove(0);
    assert_eq!(read.to_json(), json["rules"]);
}

#[test]
fn a_menu_keeps_its_buttons_and_what_the_console_answered_becomes_clicks() {
    let run = import("menu", &menu(), &[]);
    let json = run.ends(0).json();
    assert_eq!(
        json["menu"],
        json!({"button": [
            {"name": "button", "sub_button": [
                {"type": "view", "name": "view_url", "url": "http://www.qq.com"},
                {"type": "click", "name": "news", "key": "console_1_2"},
                {"type": "view", "name": "video", "url": "http://61.182.130.30/vweixinp.tc.qq.com/1007"},
                {"type": "click", "name": "voice", "key": "console_1_4"}
            ]},
            {"type": "click", "name": "text", "key": "console_2"},
            {"type": "click", "name": "photo", "key": "console_3"}
        ]})
    );
    let rules = json["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 4);
    assert_eq!(
        rules[0]["when"],
        json!({"event": "CLICK", "event_key": "console_1_2"})
    );
    assert_eq!(rules[0]["reply"]["news"].as_array().unwrap().len(), 2);
    assert_eq!(
        rules[3]["reply"],
        json!({"image": "ax5Whs5dsoomJLEppAvftBUuH7CgXCZGFbFJifmbUjn"})
    );
    assert!(
        run.err.contains("warning: video: the film becomes a link"),
        "{}",
        run.err
    );

    let menu_alone = import("menu", &menu(), &["--print", "menu"]);
    assert_eq!(menu_alone.ends(0).json(), json["menu"]);
    let rules_alone = import("menu", &menu(), &["--print", "rules"]);
    assert_eq!(rules_alone.ends(0).json(), json["rules"]);
}

#[test]
fn buttons_of_the_api_stay_what_they_are_and_their_keys_are_not_taken() {
    let answer = json!({"is_menu_open": 0, "selfmenu_info": {"button": [
        {"type": "click", "name": "a", "key": "console_2"},
        {"type": "text", "name": "b", "value": "B"},
        {"name": "c", "sub_button": {"list": [
            {"type": "scancode_waitmsg", "name": "d", "key": "scan"},
            {"type": "miniprogram", "name": "e", "url": "http://a/", "appid": "wx1", "pagepath": "p"},
            {"type": "media_id", "name": "f", "value": "M"},
        ]}}
    ]}});
    let run = import("menu", &answer, &[]);
    let json = run.ends(0).json();
    assert_eq!(
        json["menu"]["button"],
        json!([
            {"type": "click", "name": "a", "key": "console_2"},
            {"type": "click", "name": "b", "key": "console_2_"},
            {"name": "c", "sub_button": [
                {"type": "scancode_waitmsg", "name": "d", "key": "scan"},
                {"type": "miniprogram", "name": "e", "url": "http://a/", "appid": "wx1", "pagepath": "p"},
                {"type": "media_id", "name": "f", "media_id": "M"}
            ]}
        ])
    );
    assert!(run.err.contains("menu: it is switched off"), "{}", run.err);
}

#[test]
fn what_was_imported_is_a_configuration() {
    let mut answer = autoreply();
    let lists = &mut answer["keyword_autoreply_info"]["list"];
    lists[0]["rule_name"] = "名".repeat(60).into();
    lists[1]["reply_list_info"][0] = json!({"type": "text", "content": "{".repeat(2000)});
    for (what, answer) in [("autoreply", &answer), ("menu", &menu())] {
        let rules = import(what, answer, &["--print", "rules"]).ends(0).json();
        assert!(rules.as_array().unwrap().len() > 3);
        let mut config: Json = serde_json::from_str(CONFIG).unwrap();
        config["accounts"][0]["rules"] = rules;
        let config = file("weir.json", &serde_json::to_string_pretty(&config).unwrap());
        weir(&["validate", "--no-env", "--strict", &config]).ends(0);
    }
}

#[test]
fn what_is_no_answer_of_wechats_is_refused() {
    for (what, text, sentence) in [
        (
            "autoreply",
            "{}",
            "not an answer of get_current_autoreply_info",
        ),
        ("menu", "{}", "not an answer of get_current_selfmenu_info"),
        ("menu", "<html>", "not an answer of WeChat's API"),
        (
            "menu",
            r#"{"errcode":48001,"errmsg":"api unauthorized rid: 1"}"#,
            "WeChat refuses: 48001 api unauthorized",
        ),
    ] {
        let run = weir(&["import", what, &file("answer.json", text)]);
        run.ends(2);
        assert!(run.err.contains(sentence), "{}", run.err);
        assert_eq!(run.out, "");
    }
}

#[test]
fn the_api_can_be_asked_and_the_access_token_is_never_shown() {
    let api = Answering::start(menu().to_string());
    let run = weir_with(
        &[("WX", "secret-token")],
        &[
            "import",
            "menu",
            "--api",
            &format!("{}/behind", api.base),
            "--access-token-env",
            "WX",
        ],
    );
    assert_eq!(
        run.ends(0).says_nothing_of(&["secret-token"]).json(),
        import("menu", &menu(), &[]).json()
    );
    assert_eq!(
        api.asked(),
        ["/behind/cgi-bin/get_current_selfmenu_info?access_token=secret-token"]
    );

    // Something before the API may put the token in.
    weir(&["import", "menu", "--api", &api.base]).ends(0);
    assert_eq!(api.asked()[1], "/cgi-bin/get_current_selfmenu_info");

    let run = weir(&[
        "import",
        "menu",
        "--api",
        &api.base,
        "--access-token-env",
        "WX",
    ]);
    run.ends(2);
    assert!(run.err.contains("WX is not set"), "{}", run.err);
}

#[test]
fn what_the_api_refuses_is_said_in_its_words() {
    let api = Answering::start(r#"{"errcode":40001,"errmsg":"invalid credential"}"#.to_owned());
    let run = weir_with(
        &[("WX", "secret-token")],
        &[
            "import",
            "autoreply",
            "--api",
            &api.base,
            "--access-token-env",
            "WX",
        ],
    );
    run.ends(2).says_nothing_of(&["secret-token"]);
    assert!(
        run.err.contains("WeChat refuses: 40001 invalid credential"),
        "{}",
        run.err
    );
}
