//! `weir trigger`.

use weir_protocol::reply::{Article, Reply};
use weir_sim::api::{Options, Server, TlsOptions};

use crate::gateway::{APPID, Answer, Gateway, ORIGINAL_ID, text};
use crate::weir::{CONFIG, Run, VARIABLES, envoy_yaml_with, file, weir, weir_with};

/// Triggers with the account of `CONFIG`.
fn trigger(url: &str, args: &[&str]) -> Run {
    let config = file("weir.json", CONFIG);
    let mut all = vec!["trigger", url, "--config", &config];
    all.extend(args);
    weir_with(VARIABLES, &all)
}

#[test]
fn a_text_is_answered_and_the_reply_is_shown_decrypted() {
    let gateway = Gateway::start(|_, _| text("Welcome,\n你好"));
    trigger(&gateway.base, &["text", "hi there", "--openid", "oUser1"])
        .ends(0)
        .says(&[
            "text from oUser1 to gh_0a1b2c3d4e5f (encrypted, xml)",
            "attempt 1: status 200 after",
            "reply: text, encrypted; its MsgSignature, parties and CreateTime are right",
            "  │ Welcome,\n  │ 你好",
            "WeChat shows the reply to the user.",
        ])
        .says_nothing_of(&[VARIABLES[0].1, VARIABLES[1].1]);
    let push = gateway.one();
    assert_eq!(push.path, "/wechat/demo");
    assert_eq!(push.typed["Content"], "hi there");
    assert_eq!(push.typed["FromUserName"], "oUser1");
    assert!(push.typed["MsgId"].is_string());
}

#[test]
fn the_account_may_be_told_by_flags_and_the_url_is_taken_as_it_is() {
    let gateway = Gateway::start(|_, _| text("ok"));
    let url = format!("{}/any/path", gateway.base);
    let flags = [
        "--token-env",
        "WEIR_DEMO_TOKEN",
        "--aes-key-env",
        "WEIR_DEMO_AES_KEY",
        "--appid",
        APPID,
        "--original-id",
        ORIGINAL_ID,
    ];
    let mut args = vec!["trigger", &url, "text"];
    args.extend(flags);
    weir_with(VARIABLES, &args).ends(0);
    assert_eq!(gateway.one().path, "/any/path");
}

#[test]
fn the_account_may_come_from_an_envoy_configuration_and_the_secrets_from_a_file() {
    let gateway = Gateway::start(|_, _| text("ok"));
    let variables: String = VARIABLES
        .iter()
        .map(|(n, v)| format!("{n}={v}\n"))
        .collect();
    let (envoy, variables) = (envoy_yaml_with("", ""), file("weir.env", &variables));
    weir(&[
        "trigger",
        &gateway.base,
        "text",
        "--config",
        &envoy,
        "--env-file",
        &variables,
    ])
    .ends(0);
    assert_eq!(gateway.one().path, "/wechat/demo");
}

#[test]
fn every_mode_and_format_is_spoken() {
    let gateway = Gateway::start(|_, _| text("Good day"));
    for mode in ["plain", "compatible", "encrypted"] {
        for format in ["xml", "json"] {
            let args = ["CLICK", "menu-1", "--mode", mode, "--format", format];
            trigger(&gateway.base, &args)
                .ends(0)
                .says(&["│ Good day", &format!("({mode}, {format})")]);
            let push = gateway.received().pop().unwrap();
            assert_eq!(push.encrypted, mode != "plain");
            assert_eq!(push.body.starts_with('{'), format == "json");
            assert_eq!(push.typed["EventKey"], "menu-1");
        }
    }
}

#[test]
fn every_type_of_reply_is_shown_as_the_user_would_see_it() {
    let article = |title: &'static str| Article {
        title: title.into(),
        description: "About it".into(),
        pic_url: "https://example.com/a.png".into(),
        url: "https://example.com/a".into(),
    };
    let replies: Vec<(Reply<'static>, &[&str])> = vec![
        (
            Reply::Image {
                media_id: "M1".into(),
            },
            &["a picture (media id M1)"],
        ),
        (
            Reply::Voice {
                media_id: "M2".into(),
            },
            &["a recording (media id M2)"],
        ),
        (
            Reply::Video {
                media_id: "M3".into(),
                title: Some("T".into()),
                description: None,
            },
            &["a film (media id M3)", "title: T"],
        ),
        (
            Reply::Music {
                title: None,
                description: None,
                music_url: Some("https://example.com/m".into()),
                hq_music_url: None,
                thumb_media_id: "M4".into(),
            },
            &["music (thumb media id M4)", "plays: https://example.com/m"],
        ),
        (
            Reply::News {
                articles: vec![article("One"), article("Two")].into(),
            },
            &[
                "1. One",
                "text: About it",
                "opens: https://example.com/a",
                "2. Two",
            ],
        ),
        (
            Reply::TransferCustomerService {
                kf_account: Some("a@b".into()),
            },
            &["customer service agent a@b"],
        ),
    ];
    for format in ["xml", "json"] {
        for (reply, sentences) in &replies {
            let reply = reply.clone();
            let gateway = Gateway::start(move |_, _| Answer::Reply(reply.clone()));
            trigger(&gateway.base, &["CLICK", "--format", format])
                .ends(0)
                .says(sentences);
        }
    }
}

#[test]
fn surplus_articles_are_counted_because_wechat_drops_them() {
    let gateway = Gateway::start(|_, _| {
        let article = Article {
            title: "A".into(),
            description: "".into(),
            pic_url: "".into(),
            url: "".into(),
        };
        Answer::Reply(Reply::News {
            articles: vec![article.clone(), article].into(),
        })
    });
    trigger(&gateway.base, &["text"])
        .ends(0)
        .says(&["note: of 2 articles WeChat shows 1"]);
}

#[test]
fn no_reply_is_in_order() {
    for body in ["", "success"] {
        let gateway = Gateway::start(move |_, _| Answer::Raw(200, body));
        trigger(&gateway.base, &["text"])
            .ends(0)
            .says(&["WeChat shows nothing to the user, and does not try again."]);
    }
}

#[test]
fn a_reply_to_what_shows_none_is_said_to_be_ignored() {
    let gateway = Gateway::start(|_, _| text("Farewell"));
    trigger(&gateway.base, &["unsubscribe"])
        .ends(0)
        .says(&["The user sees nothing: WeChat shows no reply to unsubscribe."]);
}

#[test]
fn what_wechat_would_not_take_is_a_service_fault_with_its_reason() {
    let reply = || Reply::Text {
        content: "hi".into(),
    };
    type Make = Box<dyn Fn() -> Answer + Send + Sync>;
    let cases: Vec<(Make, &str)> = vec![
        (
            Box::new(move || Answer::Changed(reply(), "gh_0a1b2c3d4e5f", "gh_other")),
            "FromUserName is not the account",
        ),
        (
            Box::new(move || Answer::Changed(reply(), "[oUser]", "[oOther]")),
            "ToUserName is not the user",
        ),
        (
            Box::new(move || Answer::Changed(reply(), "hi", "")),
            "Content is missing or empty",
        ),
        (
            Box::new(|| Answer::Raw(200, "<xml><Content>hi</Content></xml>")),
            "not encrypted",
        ),
        (Box::new(|| Answer::Raw(200, "ok")), "stray text"),
    ];
    for (make, reason) in cases {
        let gateway = Gateway::start(move |_, _| make());
        trigger(&gateway.base, &["text", "--openid", "oUser"])
            .ends(1)
            .says(&["WeChat shows the user “service fault”: ", reason]);
    }
}

#[test]
fn a_reply_from_a_wrong_clock_is_noted() {
    let gateway = Gateway::start(|_, _| {
        Answer::Changed(
            Reply::Text {
                content: "x".into(),
            },
            "<CreateTime>",
            "<CreateTime>9",
        )
    });
    trigger(&gateway.base, &["text"])
        .ends(0)
        .says(&["note: the reply's CreateTime is "]);
}

#[test]
fn a_refused_push_would_be_tried_again_and_the_status_is_explained() {
    let gateway = Gateway::start(|_, _| text("never"));
    let mut wrong = VARIABLES.to_vec();
    wrong[0].1 = "another1";
    let config = file("weir.json", CONFIG);
    weir_with(
        &wrong,
        &["trigger", &gateway.base, "text", "--config", &config],
    )
    .ends(1)
    .says(&[
        "status 403",
        "WeChat tries again (attempt 2 of 3)",
        "note: 403 is Weir's word to a push it takes for forged",
    ]);
    assert!(gateway.received().is_empty());
}

#[test]
fn every_attempt_carries_the_same_push_and_the_first_answer_ends_it() {
    let gateway = Gateway::start(|number, _| match number {
        1 => Answer::Raw(500, ""),
        _ => text("at last"),
    });
    trigger(&gateway.base, &["text", "--attempts", "3", "--faster", "5"])
        .ends(0)
        .says(&["attempt 1: status 500", "attempt 2 at 1.", "│ at last"]);
    let pushes = gateway.received();
    assert_eq!(pushes.len(), 2);
    assert_eq!(pushes[0].body, pushes[1].body);
}

#[test]
fn after_the_last_attempt_the_user_sees_the_notice() {
    let gateway = Gateway::start(|_, _| Answer::Raw(503, ""));
    trigger(
        &gateway.base,
        &["text", "--attempts", "3", "--faster", "10"],
    )
    .ends(1)
    .says(&[
        "attempt 3",
        "“service fault”: no answer: every attempt failed",
    ]);
    assert_eq!(gateway.received().len(), 3);
}

#[test]
fn fields_are_set_nested_and_in_lists_and_left_out() {
    let gateway = Gateway::start(|_, _| Answer::Raw(200, ""));
    trigger(
        &gateway.base,
        &[
            "subscribe_msg_popup_event",
            "--set",
            "List.0.TemplateId=T1",
            "--set",
            "List.1.TemplateId=T2",
            "--set",
            "List.1.SubscribeStatusString=reject",
            "--set",
            "Extra.Number:=7",
            "--set",
            "CreateTime=1714113001",
        ],
    )
    .ends(0);
    let typed = gateway.one().typed;
    assert_eq!(typed["List"][0]["TemplateId"], "T1");
    assert_eq!(typed["List"][0]["SubscribeStatusString"], "accept");
    assert_eq!(typed["List"][1]["SubscribeStatusString"], "reject");
    assert_eq!(typed["CreateTime"], 1_714_113_001);
    assert_eq!(typed["Extra"]["Number"], "7");

    trigger(&gateway.base, &["voice", "--without", "Format"]).ends(0);
    let typed = gateway.received().pop().unwrap().typed;
    assert!(typed.get("Format").is_none(), "{typed}");
    trigger(&gateway.base, &["voice", "--without", "Frmat"]).ends(2);
    trigger(&gateway.base, &["voice", "--set", "a..b=1"]).ends(2);
}

#[test]
fn xml_has_the_elements_around_lists_that_wechat_writes() {
    let gateway = Gateway::start(|_, _| Answer::Raw(200, ""));
    trigger(
        &gateway.base,
        &["pic_weixin", "--set", "SendPicsInfo.Count=1"],
    )
    .ends(0);
    let body = gateway.one().body;
    assert!(
        body.contains("<SendPicsInfo><Count>1</Count><PicList><item><PicMd5Sum>"),
        "{body}"
    );
}

#[test]
fn a_scene_is_written_as_each_event_has_it() {
    let gateway = Gateway::start(|_, _| Answer::Raw(200, ""));
    for (args, event, key) in [
        (
            &["subscribe", "--scene", "123"][..],
            "subscribe",
            "qrscene_123",
        ),
        (&["subscribe", "123"], "subscribe", "qrscene_123"),
        (&["scan", "table-7"], "SCAN", "table-7"),
    ] {
        trigger(&gateway.base, args).ends(0);
        let typed = gateway.received().pop().unwrap().typed;
        assert_eq!(
            (&typed["Event"], &typed["EventKey"]),
            (&event.into(), &key.into())
        );
        assert!(typed["Ticket"].is_string());
    }
    trigger(&gateway.base, &["text", "--scene", "1"]).ends(2);
}

#[test]
fn a_kind_that_nobody_knows_is_sent_as_an_event_and_noted() {
    let gateway = Gateway::start(|_, _| Answer::Raw(200, ""));
    trigger(&gateway.base, &["brand_new", "--set", "A=b"])
        .ends(0)
        .says(&["note: brand_new is no kind that Weir knows"]);
    let typed = gateway.one().typed;
    assert_eq!(
        (&typed["Event"], &typed["A"]),
        (&"brand_new".into(), &"b".into())
    );
}

#[test]
fn a_body_of_ones_own_is_sent_as_it_is() {
    let gateway = Gateway::start(|_, _| text("ok"));
    let body = "<xml>\n<ToUserName>gh_0a1b2c3d4e5f</ToUserName><FromUserName>oRaw</FromUserName>\
                <CreateTime>1</CreateTime><MsgType>text</MsgType><Content> x </Content></xml>\n";
    trigger(&gateway.base, &["--raw", &file("body.xml", body)])
        .ends(0)
        .says(&["from oRaw"]);
    assert_eq!(gateway.one().body, body);
    trigger(&gateway.base, &["--raw", &file("body.xml", "<xml")])
        .ends(1)
        .says(&[
            "note: the body cannot be read; it is sent all the same",
            "status 403",
        ]);
    assert_eq!(gateway.received().pop().unwrap().body, "<xml");
}

#[test]
fn a_dry_run_sends_nothing_and_prints_a_request_that_is_taken() {
    let gateway = Gateway::start(|_, _| text("ok"));
    trigger(&gateway.base, &["text", "it's", "--dry-run"])
        .ends(0)
        .says(&[
            "# before encryption:\n# <xml>",
            "it's",
            "curl -sS -i -X POST",
            "-H 'Content-Type: text/xml'",
            "--data-binary '<xml>",
            "&msg_signature=",
        ]);
    assert!(gateway.received().is_empty());

    let json = trigger(&gateway.base, &["text", "it's", "--dry-run", "--json"])
        .ends(0)
        .json();
    let url = json["url"].as_str().unwrap();
    let target = weir_sim::http::Target::parse(url).unwrap();
    let mut request = weir_sim::http::Request::new("POST", target.path());
    request.body = json["body"].as_str().unwrap().into();
    let response = tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(weir_sim::http::exchange(&target, &request))
        .unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(gateway.one().typed["Content"], "it's");
}

#[test]
fn the_consoles_check_of_the_url_can_be_made() {
    let gateway = Gateway::start(|_, _| text("never"));
    trigger(&gateway.base, &["verify"])
        .ends(0)
        .says(&["WeChat's console takes this URL."]);
    let mut wrong = VARIABLES.to_vec();
    wrong[0].1 = "another1";
    let config = file("weir.json", CONFIG);
    weir_with(
        &wrong,
        &[
            "trigger",
            &gateway.base,
            "verify",
            "--config",
            &config,
            "--json",
        ],
    )
    .ends(1)
    .says(&["not_verified", "\"status\": 403"]);
}

#[test]
fn wecoms_check_of_the_url_is_encrypted() {
    let gateway = Gateway::start(|_, _| text("never"));
    let config = CONFIG
        .replace("\"mode\"", "\"kind\": \"wecom\", \"mode\"")
        .replace("\"original_id\": \"gh_0a1b2c3d4e5f\",", "");
    let config = file("weir.json", &config);
    let args = ["trigger", &gateway.base, "verify", "--config", &config];
    weir_with(VARIABLES, &args)
        .ends(0)
        .says(&["WeChat's console takes this URL."]);
}

#[test]
fn a_platforms_notices_and_messages_go_to_their_own_urls() {
    let gateway = Gateway::start(|_, _| Answer::Raw(200, "success"));
    let config = CONFIG
        .replace(
            "\"original_id\": \"gh_0a1b2c3d4e5f\"",
            "\"authorizers_path\": \"/platform/$APPID$/in\"",
        )
        .replace("\"mode\"", "\"kind\": \"third_party_platform\", \"mode\"");
    let config = file("weir.json", &config);
    for (kind, path) in [
        ("component_verify_ticket", "/wechat/demo"),
        ("text", "/platform/wxauthorized/in"),
    ] {
        let args = [
            "trigger",
            &gateway.base,
            kind,
            "--config",
            &config,
            "--authorizer",
            "wxauthorized",
        ];
        weir_with(VARIABLES, &args).ends(0);
        assert_eq!(gateway.received().pop().unwrap().path, path);
    }
}

#[test]
fn https_is_spoken_to_whom_the_authority_vouches_for() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ca = file("ca.pem", "");
    let mut options = Options::local(Vec::new());
    options.tls = Some(TlsOptions {
        ca_out: Some(ca.clone().into()),
    });
    let server = runtime.block_on(Server::start(options)).unwrap();
    let (url, address) = (
        format!("https://api.weixin.qq.com:{}/x", server.addr().port()),
        server.addr().to_string(),
    );
    trigger(&url, &["text", "--connect", &address, "--cacert", &ca])
        .ends(1)
        .says(&["attempt 1: status "]);
    trigger(&url, &["text", "--connect", &address])
        .ends(1)
        .says(&["attempt 1: TLS: "]);
}

#[test]
fn a_script_gets_one_json_document() {
    let gateway = Gateway::start(|_, _| text("hi"));
    let json = trigger(&gateway.base, &["text", "--json", "--openid", "oX"])
        .ends(0)
        .json();
    assert_eq!(json["verdict"], "reply_shown");
    assert_eq!(json["reply"]["Content"], "hi");
    assert_eq!(json["attempts"][0]["status"], 200);
    assert_eq!(json["openid"], "oX");
}

#[test]
fn what_is_missing_to_try_is_said() {
    let run = weir(&["trigger", "http://127.0.0.1:1", "text"]);
    run.ends(2);
    assert!(run.err.contains("--token-env"), "{}", run.err);

    let config = file("weir.json", CONFIG);
    let run = weir(&["trigger", "http://127.0.0.1:1", "text", "--config", &config]);
    run.ends(2);
    assert!(
        run.err
            .contains("the environment variable WEIR_DEMO_TOKEN is not set"),
        "{}",
        run.err
    );

    let run = trigger("http://127.0.0.1:1", &["text", "--account", "other"]);
    run.ends(2);
    assert!(run.err.contains("no account \"other\""), "{}", run.err);

    trigger("127.0.0.1:1", &["text"]).ends(2);
    trigger("http://127.0.0.1:1", &["text"])
        .ends(1)
        .says(&["attempt 1: no connection"]);
}

#[test]
fn a_terminal_is_not_commanded_by_a_reply() {
    let gateway = Gateway::start(|_, _| text("a\u{9b}2Jb\u{202e}c"));
    trigger(&gateway.base, &["text"])
        .ends(0)
        .says(&["a\\u{9b}2Jb\\u{202e}c"]);
}

#[test]
fn the_kinds_that_are_known_are_listed() {
    weir(&["trigger", "--list-kinds"]).ends(0).says(&[
        "Messages (MsgType)",
        "  text: ",
        "subscribe_msg_popup_event",
        "user_get_card",
    ]);
}
