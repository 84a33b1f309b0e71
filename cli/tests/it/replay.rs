//! `weir replay`.

use std::process::Stdio;

use serde_json::{Value as Json, json};

use crate::gateway::{Answer, Gateway, ORIGINAL_ID, text};
use crate::weir::{CONFIG, Run, VARIABLES, command, file, weir_with};

/// An event of the store.
fn event(kind: &str, push: &Json) -> String {
    let mut whole = json!({
        "ToUserName": ORIGINAL_ID,
        "FromUserName": "oUser",
        "CreateTime": 1_714_113_001,
    });
    for (name, value) in push.as_object().unwrap() {
        whole[name] = value.clone();
    }
    json!({
        "specversion": "1.0",
        "id": "x",
        "source": "/accounts/demo",
        "type": kind,
        "data": {"account": "demo", "appid": "wx0123456789abcdef", "received_at_ms": 5, "push": whole},
    })
    .to_string()
}

fn text_event(content: &str, msg_id: &str) -> String {
    event(
        "weir.message.text",
        &json!({"MsgType": "text", "Content": content, "MsgId": msg_id}),
    )
}

fn click_event(key: &str) -> String {
    event(
        "weir.event.click",
        &json!({"MsgType": "event", "Event": "CLICK", "EventKey": key}),
    )
}

/// Replays these lines with the account of `CONFIG`.
fn replay(gateway: &Gateway, lines: &[String], args: &[&str]) -> Run {
    let (config, recording) = (
        file("weir.json", CONFIG),
        file("day.ndjson", &lines.join("\n")),
    );
    let mut all = vec!["replay", &gateway.base, &recording, "--config", &config];
    all.extend(args);
    weir_with(VARIABLES, &all)
}

#[test]
fn stored_events_are_sent_again_as_they_were() {
    let gateway = Gateway::start(|_, _| text("hi"));
    replay(
        &gateway,
        &[
            text_event("你好 ]]> <x>", "24000000000000001"),
            click_event("k"),
        ],
        &[],
    )
    .ends(0)
    .says(&["sent 2 in ", "2 replied to, 0 without a reply, 0 failed"]);
    let pushes = gateway.received();
    assert!(pushes.iter().all(|push| push.encrypted));
    assert_eq!(pushes[0].path, "/wechat/demo");
    assert_eq!(pushes[0].typed["Content"], "你好 ]]> <x>");
    assert_eq!(pushes[0].typed["MsgId"], "24000000000000001");
    assert_eq!(pushes[0].typed["CreateTime"], 1_714_113_001);
    assert!(pushes[0].body.contains("<MsgId>24000000000000001</MsgId>"));
    assert_eq!(pushes[1].typed["EventKey"], "k");
}

#[test]
fn lists_of_typed_events_get_back_the_elements_that_wechat_has_around_them() {
    let gateway = Gateway::start(|_, _| Answer::Raw(200, ""));
    let popup = event(
        "weir.event.subscribe_msg_popup_event",
        &json!({"MsgType": "event", "Event": "subscribe_msg_popup_event",
            "List": [{"TemplateId": "T", "SubscribeStatusString": "accept", "PopupScene": 2}]}),
    );
    replay(&gateway, std::slice::from_ref(&popup), &[]).ends(0);
    replay(&gateway, &[popup], &["--format", "json"]).ends(0);
    let pushes = gateway.received();
    assert!(
        pushes[0].body.contains("<SubscribeMsgPopupEvent><List><"),
        "{}",
        pushes[0].body
    );
    assert!(pushes[1].body.contains("\"List\":[{"), "{}", pushes[1].body);
    assert_eq!(pushes[0].typed["List"], pushes[1].typed["List"]);
}

#[test]
fn recorded_requests_are_opened_and_signed_afresh() {
    let gateway = Gateway::start(|_, _| Answer::Raw(200, "success"));
    let config = file("weir.json", CONFIG);
    for (mode, format) in [
        ("plain", "xml"),
        ("encrypted", "json"),
        ("compatible", "xml"),
    ] {
        let json = weir_with(
            VARIABLES,
            &[
                "trigger",
                &gateway.base,
                "text",
                mode,
                "--config",
                &config,
                "--mode",
                mode,
                "--format",
                format,
                "--dry-run",
                "--json",
            ],
        )
        .ends(0)
        .json();
        let url = json["url"].as_str().unwrap();
        let query = url.split_once('?').unwrap().1;
        let line = json!({"query": query, "headers": json["headers"], "body": json["body"]});
        let line = line.to_string();
        replay(&gateway, &[line], &[]).ends(0);
        let push = gateway.received().pop().unwrap();
        assert!(
            push.encrypted,
            "the account's mode counts, not the recording's"
        );
        assert_eq!(push.typed["Content"], mode);
    }
}

#[test]
fn with_new_ids_no_two_pushes_are_the_same() {
    let gateway = Gateway::start(|_, _| Answer::Raw(200, ""));
    let lines = [text_event("a", "7"), click_event("k"), click_event("k")];
    replay(&gateway, &lines, &["--new-ids"]).ends(0);
    let pushes = gateway.received();
    assert_ne!(pushes[0].typed["MsgId"], "7");
    let time = |i: usize| pushes[i].typed["CreateTime"].as_u64().unwrap();
    assert!(time(1) > 1_714_113_001);
    assert_ne!(time(1), time(2));
}

#[test]
fn bad_lines_are_named_and_counted_and_what_is_no_push_is_left_out() {
    let gateway = Gateway::start(|_, _| Answer::Raw(200, ""));
    let snapshot = json!({"type": "weir.user.snapshot", "data": {"user": {}}}).to_string();
    replay(
        &gateway,
        &[snapshot.clone(), String::new(), text_event("a", "1")],
        &[],
    )
    .ends(0)
    .says(&["sent 1", "left out: 0 bad lines, 1 line that hold"]);

    let other = text_event("a", "1").replace("\"account\":\"demo\"", "\"account\":\"else\"");
    let run = replay(
        &gateway,
        &[
            "hunter2".to_owned(),
            json!({"items": []}).to_string(),
            json!({"body": 5}).to_string(),
            json!({"body": "<xml><ToUserName>gh_0a1b2c3d4e5f</ToUserName></xml>"}).to_string(),
            json!({"type": "weir.event.x"}).to_string(),
            json!({"type": "weir.event.x", "data": {}}).to_string(),
            other,
            text_event("a", "1"),
        ],
        &[],
    );
    run.ends(1)
        .says(&[
            "line 1: bad: not a JSON object",
            "line 2: bad: a page of the store",
            "line 3: bad: its body is not a text",
            "line 4: bad: the push has no MsgType",
            "line 5: bad: neither an event (data) nor a request (body)",
            "line 6: bad: its data holds no push",
            "sent 1",
            "left out: 6 bad lines, 1 line",
        ])
        .says_nothing_of(&["hunter2"]);
}

#[test]
fn a_line_longer_than_any_push_is_bad_and_the_next_one_is_sent() {
    let gateway = Gateway::start(|_, _| Answer::Raw(200, ""));
    let lines = ["x".repeat(5 << 20), text_event("a", "1")];
    replay(&gateway, &lines, &[])
        .ends(1)
        .says(&["line 1: bad: longer than 4 MiB", "sent 1"]);
}

#[test]
fn pushes_that_fail_are_named() {
    let gateway = Gateway::start(|number, _| match number {
        2 => Answer::Raw(500, ""),
        _ => Answer::Raw(200, ""),
    });
    let lines = [
        text_event("a", "1"),
        text_event("b", "2"),
        text_event("c", "3"),
    ];
    replay(&gateway, &lines, &["--attempts", "1"])
        .ends(1)
        .says(&[
            "line 2: text failed (status 500)",
            "sent 3",
            "0 replied to, 2 without a reply, 1 failed",
        ]);
}

#[test]
fn one_can_begin_in_the_middle() {
    let gateway = Gateway::start(|_, _| Answer::Raw(200, ""));
    let lines = [
        text_event("a", "1"),
        text_event("b", "2"),
        text_event("c", "3"),
    ];
    replay(&gateway, &lines, &["--from", "3"]).ends(0);
    assert_eq!(gateway.one().typed["Content"], "c");
}

#[test]
fn an_interrupted_replay_says_where_to_go_on() {
    let gateway = Gateway::start(|_, _| Answer::Raw(200, ""));
    let lines = [text_event("a", "1"), text_event("b", "2")].join("\n");
    let (config, recording) = (file("weir.json", CONFIG), file("day.ndjson", &lines));
    let mut command = command(&[
        "replay",
        &gateway.base,
        &recording,
        "--config",
        &config,
        "--rate",
        "0.001",
    ]);
    command.envs(VARIABLES.iter().copied());
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while gateway.received().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let killed = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    Run::new(child.wait_with_output().unwrap())
        .ends(1)
        .says(&["sent 1", "interrupted; go on with --from 2"]);
}

#[test]
fn each_account_gets_its_own() {
    let gateway = Gateway::start(|_, _| Answer::Raw(200, ""));
    let mut config: Json = serde_json::from_str(CONFIG).unwrap();
    let mut second = config["accounts"][0].clone();
    second["name"] = "second".into();
    second["path"] = "/wechat/second".into();
    second["mode"] = "plain".into();
    config["accounts"].as_array_mut().unwrap().push(second);
    let config = file("weir.json", &config.to_string());
    let of_second = text_event("b", "2").replace("\"account\":\"demo\"", "\"account\":\"second\"");
    let recording = file("day.ndjson", &[text_event("a", "1"), of_second].join("\n"));
    let run = |extra: &[&str]| {
        let mut args = vec!["replay", &gateway.base, &recording, "--config", &config];
        args.extend(extra);
        weir_with(VARIABLES, &args)
    };
    run(&[]).ends(0);
    let pushes = gateway.received();
    assert_eq!(
        (pushes[0].path.as_str(), pushes[0].encrypted),
        ("/wechat/demo", true)
    );
    assert_eq!(
        (pushes[1].path.as_str(), pushes[1].encrypted),
        ("/wechat/second", false)
    );

    run(&["--account", "second"])
        .ends(0)
        .says(&["sent 1", "1 line that hold"]);
}

#[test]
fn pushes_may_overlap_and_all_of_them_arrive() {
    let gateway = Gateway::start(|_, _| Answer::Raw(200, ""));
    let lines: Vec<String> = (0..200)
        .map(|i| text_event(&i.to_string(), &i.to_string()))
        .collect();
    for pace in [
        &["--in-flight", "16"][..],
        &["--rate", "5000"],
        &["--speed", "9"],
    ] {
        replay(&gateway, &lines, pace).ends(0).says(&["sent 200"]);
    }
    assert_eq!(gateway.received().len(), 600);
}

#[test]
fn a_dry_run_says_what_it_would_send() {
    let gateway = Gateway::start(|_, _| Answer::Raw(200, ""));
    replay(&gateway, &[click_event("k")], &["--dry-run"])
        .ends(0)
        .says(&[
            "line 1: CLICK from oUser of 1714113001 to http://127.0.0.1:",
            "would send 1 push",
        ]);
    assert!(gateway.received().is_empty());
}

#[test]
fn a_script_gets_one_json_object_per_line() {
    let gateway = Gateway::start(|_, _| text("x"));
    let lines = [text_event("a", "1"), "nothing".to_owned()];
    let run = replay(&gateway, &lines, &["--json"]);
    run.ends(1);
    let mut objects: Vec<Json> = run
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let summary = objects.pop().unwrap();
    assert_eq!(
        (
            &summary["summary"]["sent"],
            &summary["summary"]["bad_lines"]
        ),
        (&1.into(), &1.into())
    );
    let find = |line: u64| {
        objects
            .iter()
            .find(|object| object["line"] == line)
            .unwrap()
    };
    assert_eq!(find(1)["verdict"], "reply_shown");
    assert_eq!(find(2)["verdict"], "bad");
}

#[test]
fn a_recording_that_is_not_there_cannot_be_tried() {
    let config = file("weir.json", CONFIG);
    let args = [
        "replay",
        "http://127.0.0.1:1",
        "/nowhere.ndjson",
        "--config",
        &config,
    ];
    let run = weir_with(VARIABLES, &args);
    run.ends(2);
    assert!(run.err.contains("/nowhere.ndjson"), "{}", run.err);
}
