//! `weir send`.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::{Value as Json, json};

use crate::door::{Does, Door, KEY};
use crate::weir::{Run, command, file, weir_with};

const TEMPLATE: &[&str] = &["--template", "T1", "--data", r#"{"thing1":"{name}"}"#];
const SUBSCRIBE: &[&str] = &["--subscribe", "T1", "--data", r#"{"thing1":"{name}"}"#];
const CUSTOM: &[&str] = &["--custom-text", "Hi {name} {{you}"];

const LIST: &str = "openid,name\noA,甲\noB,乙\noC,丙\n";

/// A campaign: a list, and a journal beside it.
struct Campaign {
    door: String,
    list: String,
    journal: String,
}

impl Campaign {
    fn new(door: &Door, list: &str) -> Self {
        let list = file("list", list);
        let journal = format!("{list}.journal");
        Self {
            door: door.base.clone(),
            list,
            journal,
        }
    }

    fn args<'a>(&'a self, kind: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec!["send", "--door", &self.door, "--account", "demo"];
        args.extend([
            "--key-env",
            "WEIR_KEY",
            "--campaign",
            "spring",
            "--to",
            &self.list,
        ]);
        args.extend(["--journal", &self.journal, "--rate", "100000"]);
        args.extend(kind);
        args.extend(more);
        args
    }

    fn run(&self, kind: &[&str], more: &[&str]) -> Run {
        let run = weir_with(&[("WEIR_KEY", KEY)], &self.args(kind, more));
        run.says_nothing_of(&[KEY]);
        run
    }

    fn start(&self, kind: &[&str], more: &[&str]) -> Child {
        let mut command = command(&self.args(kind, more));
        command
            .env("WEIR_KEY", KEY)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// What `--json` says of each, by openid, and of all.
    fn told(&self, kind: &[&str], more: &[&str]) -> (Run, Vec<Json>, Json) {
        let mut all = vec!["--json"];
        all.extend(more);
        let run = self.run(kind, &all);
        let mut lines: Vec<Json> = run
            .out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let summary = lines.pop().unwrap()["summary"].clone();
        lines.sort_by_key(|line| line["openid"].as_str().unwrap().to_owned());
        (run, lines, summary)
    }
}

/// A list of so many.
fn many(number: usize) -> String {
    let rows = (0..number).map(|n| format!("o{n:06},n{n}\n"));
    "openid,name\n".to_owned() + &rows.collect::<String>()
}

fn one_each(number: usize) -> std::collections::HashMap<String, u32> {
    (0..number).map(|n| (format!("o{n:06}"), 1)).collect()
}

#[test]
fn everybody_is_sent_a_template_message_with_their_values() {
    let door = Door::sending();
    let campaign = Campaign::new(&door, LIST);
    let more = [
        "--url",
        "https://example.com/{name}",
        "--miniprogram",
        "wx1",
        "--page",
        "p?{name}",
    ];
    let (run, lines, summary) = campaign.told(TEMPLATE, &more);
    run.ends(0);
    assert_eq!(lines[0]["outcome"], "sent");
    assert!(
        lines[0]["msgid"]
            .as_str()
            .unwrap()
            .starts_with("30000000000000000")
    );
    assert_eq!(summary["sent"], 3);

    let (path, body) = door
        .calls()
        .into_iter()
        .find(|(_, b)| b["touser"] == "oB")
        .unwrap();
    assert_eq!(path, "/cgi-bin/message/template/send");
    let id = body["client_msg_id"].clone();
    let expected = json!({
        "touser": "oB", "template_id": "T1", "url": "https://example.com/乙", "client_msg_id": id,
        "miniprogram": {"appid": "wx1", "pagepath": "p?乙"}, "data": {"thing1": {"value": "乙"}},
    });
    assert_eq!(body, expected);
}

#[test]
fn other_kinds_go_to_their_own_calls_without_an_id() {
    let door = Door::sending();
    Campaign::new(&door, LIST)
        .run(SUBSCRIBE, &["--page", "p", "--lang", "zh_CN"])
        .ends(0);
    Campaign::new(&door, LIST).run(CUSTOM, &[]).ends(0);
    let bizsend = ["--bizsend", "{T}", "--data", r#"{"a":{"value":"{name}"}}"#];
    Campaign::new(&door, LIST)
        .run(&bizsend, &["--page", "p"])
        .ends(0);
    let of = |wanted: &str| {
        let calls = door.calls().into_iter();
        let mut bodies = calls.filter(|(path, body)| path == wanted && body["touser"] == "oA");
        bodies.next().unwrap().1
    };
    let data = json!({"thing1": {"value": "甲"}});
    assert_eq!(
        of("/cgi-bin/message/subscribe/send"),
        json!({"touser": "oA", "template_id": "T1", "page": "p", "lang": "zh_CN", "data": data})
    );
    assert_eq!(
        of("/cgi-bin/message/custom/send"),
        json!({"touser": "oA", "msgtype": "text", "text": {"content": "Hi 甲 {you}"}})
    );
    assert_eq!(
        of("/cgi-bin/message/subscribe/bizsend"),
        json!({"touser": "oA", "template_id": "{T}", "page": "p", "data": {"a": {"value": "甲"}}})
    );
}

#[test]
fn who_was_sent_it_is_not_sent_it_again_and_the_report_has_everybody() {
    let door = Door::sending();
    let mut campaign = Campaign::new(&door, LIST);
    campaign
        .run(CUSTOM, &[])
        .ends(0)
        .says(&["3 of 3 recipients sent (0 earlier)"]);
    campaign.list = file("list", &format!("{LIST}oD,丁\noA,甲\n"));
    let report = format!("{}.report", campaign.list);
    let run = campaign.run(CUSTOM, &["--report", &report]);
    run.ends(0).says(&["4 of 4 recipients sent (3 earlier)"]);
    assert!(
        run.err.contains("1 line name somebody again"),
        "{}",
        run.err
    );
    assert_eq!(door.calls().len(), 4);
    let report = std::fs::read_to_string(report).unwrap();
    let earlier = report
        .lines()
        .filter(|line| line.contains("\"earlier\":true"));
    assert_eq!((report.lines().count(), earlier.count()), (4, 3));
}

#[test]
fn every_errcode_says_in_words_why_and_is_not_tried_again() {
    let refusals = [
        ("oA", 43101, "user refuse to accept the msg", "consent"),
        ("oB", 43004, "require subscribe", "does not follow"),
        ("oC", 45015, "response out of time limit", "48 hours"),
        (
            "oD",
            45047,
            "out of response count limit",
            "too many messages",
        ),
        ("oE", 40003, "invalid openid", "openid"),
        (
            "oF",
            47003,
            "argument invalid! data.thing1.value invalid",
            "does not fit",
        ),
        ("oG", 99999, "no idea", "WeChat says: no idea"),
        (
            "oH",
            47003,
            "weir: data.thing1 is longer than 20",
            "(the door says: data.thing1 is longer than 20)",
        ),
    ];
    let door = Door::start(move |_, body| {
        let (_, code, errmsg, _) = refusals
            .into_iter()
            .find(|(openid, ..)| body["touser"] == *openid)
            .unwrap();
        Does::Refuse(code, errmsg)
    });
    let rows = refusals
        .map(|(openid, ..)| format!("{openid},x\n"))
        .concat();
    let campaign = Campaign::new(&door, &format!("openid,name\n{rows}"));
    for earlier in [false, true] {
        let (run, lines, summary) = campaign.told(TEMPLATE, &[]);
        run.ends(1);
        for (line, (openid, code, _, word)) in lines.iter().zip(refusals) {
            assert_eq!(line["openid"], openid);
            assert_eq!(
                (&line["outcome"], &line["errcode"]),
                (&json!("refused"), &json!(code))
            );
            assert!(line["reason"].as_str().unwrap().contains(word), "{line}");
            assert_eq!(line["retryable"], false);
            assert_eq!(line["earlier"] == true, earlier);
        }
        assert_eq!(lines[5]["field"], "thing1");
        assert_eq!(summary["refused"], 8);
        assert_eq!(door.calls().len(), 8);
    }
    campaign.run(TEMPLATE, &["--repeat-refused"]).ends(1);
    assert_eq!(door.calls().len(), 16);
}

#[test]
fn a_used_up_quota_ends_the_run_and_the_next_one_goes_on() {
    let used_up = std::sync::atomic::AtomicBool::new(true);
    let door = Door::start(move |number, _| {
        if number == 3 && used_up.swap(false, std::sync::atomic::Ordering::Relaxed) {
            return Does::Refuse(45009, "reach max api daily quota limit");
        }
        Does::Send
    });
    let campaign = Campaign::new(&door, &many(20));
    let (run, lines, summary) = campaign.told(CUSTOM, &["--concurrency", "1"]);
    run.ends(1);
    assert_eq!(
        (&summary["sent"], &summary["refused"], &summary["left"]),
        (&json!(2), &json!(1), &json!(17))
    );
    assert!(
        summary["stopped"]
            .as_str()
            .unwrap()
            .contains("00:00 Beijing time")
    );
    assert_eq!(lines[2]["retryable"], true);
    campaign
        .run(CUSTOM, &[])
        .ends(0)
        .says(&["20 of 20 recipients sent (2 earlier)"]);
    assert_eq!(door.sent(), one_each(20));
}

#[test]
fn too_many_in_a_minute_is_waited_for() {
    let door = Door::start(|number, _| match number {
        2 => Does::Refuse(45011, "api minute-quota reach limit"),
        3 => Does::Raw(429, "local_rate_limited"),
        _ => Does::Send,
    });
    let campaign = Campaign::new(&door, LIST);
    campaign
        .run(CUSTOM, &["--pause", "1", "--concurrency", "1"])
        .ends(0);
    assert_eq!(door.calls().len(), 5);
}

#[test]
fn what_may_have_been_sent_is_repeated_only_where_wechat_recognises_it() {
    let busy = |number: usize| match number {
        1 => Does::SendAndFail(503),
        2 => Does::Refuse(-1, "system error"),
        _ => Does::Send,
    };
    let door = Door::start(move |number, _| busy(number));
    Campaign::new(&door, LIST)
        .run(TEMPLATE, &["--concurrency", "1"])
        .ends(0);
    assert_eq!((door.calls().len(), door.repeats()), (5, 1));
    assert!(door.sent().values().all(|times| *times == 1));

    let door = Door::start(move |number, _| busy(number));
    let campaign = Campaign::new(&door, LIST);
    let (run, lines, summary) = campaign.told(SUBSCRIBE, &["--concurrency", "1"]);
    run.ends(1);
    let outcomes: Vec<&Json> = lines.iter().map(|line| &line["outcome"]).collect();
    assert_eq!(outcomes, ["unknown", "unknown", "sent"]);
    assert_eq!(lines[1]["errcode"], -1);
    assert_eq!(summary["unknown"], 2);
    campaign.run(SUBSCRIBE, &[]).ends(1);
    assert_eq!(door.calls().len(), 3);
    campaign.run(SUBSCRIBE, &["--repeat-unknown"]).ends(0);
    assert_eq!(door.calls().len(), 5);
}

#[test]
fn a_key_or_a_template_that_is_wrong_ends_the_run_at_once() {
    for does in [
        Does::Raw(403, "RBAC: access denied"),
        Does::Raw(404, ""),
        Does::Refuse(40037, "invalid template_id"),
        Does::Refuse(48001, "api unauthorized"),
    ] {
        let answer = does.clone();
        let door = Door::start(move |_, _| answer.clone());
        let campaign = Campaign::new(&door, &many(50));
        let (run, _, summary) = campaign.told(TEMPLATE, &["--concurrency", "1"]);
        run.ends(2);
        assert_eq!(summary["left"], 49, "{does:?}");
        assert_eq!(door.calls().len(), 1);
    }
}

#[test]
fn a_door_that_is_not_there_is_said_and_nothing_is_lost() {
    let door = Door::sending();
    let mut campaign = Campaign::new(&door, LIST);
    let right = std::mem::replace(&mut campaign.door, "http://127.0.0.1:1".to_owned());
    campaign
        .run(CUSTOM, &[])
        .ends(2)
        .says(&["http://127.0.0.1:1 is not reached"]);
    campaign.door = right;
    campaign.run(CUSTOM, &[]).ends(0);
    assert!(door.sent().values().all(|times| *times == 1));
}

#[test]
fn a_list_that_is_wrong_is_refused_before_anything_is_sent() {
    let door = Door::sending();
    let campaign = Campaign::new(&door, "openid,name\noA,x\n,y\no B,z\n");
    let run = campaign.run(TEMPLATE, &[]);
    run.ends(2);
    assert!(run.err.contains("line 3: it has no openid"), "{}", run.err);
    assert!(
        run.err
            .contains("2 lines cannot be used, and nothing was sent"),
        "{}",
        run.err
    );
    assert!(door.calls().is_empty());
    campaign
        .run(TEMPLATE, &["--skip-bad"])
        .ends(0)
        .says(&["1 of 1 recipient sent"]);

    let run = Campaign::new(&door, "openid\noA\n").run(TEMPLATE, &[]);
    run.ends(2);
    assert!(
        run.err.contains("it has no column \"name\"; it has openid"),
        "{}",
        run.err
    );
}

#[test]
fn a_dry_run_shows_the_bodies_and_sends_nothing() {
    let door = Door::sending();
    let campaign = Campaign::new(&door, "{\"openid\":\"oA\",\"name\":5}\n");
    let body = campaign.run(SUBSCRIBE, &["--dry-run"]).ends(0).json();
    assert_eq!(body["data"]["thing1"]["value"], "5");
    assert!(door.calls().is_empty() && !Path::new(&campaign.journal).exists());
}

#[test]
fn a_journal_of_another_campaign_is_refused() {
    let door = Door::sending();
    let campaign = Campaign::new(&door, LIST);
    campaign.run(TEMPLATE, &[]).ends(0);
    let run = campaign.run(SUBSCRIBE, &[]);
    run.ends(2);
    assert!(run.err.contains("another kind of message"), "{}", run.err);
    assert_eq!(door.calls().len(), 3);
}

#[test]
fn two_runs_of_one_campaign_do_not_overlap_and_one_that_is_ended_says_what_is_left() {
    let door = Door::start(|number, _| {
        if number == 1 {
            Does::SendInSilence
        } else {
            Does::Send
        }
    });
    let campaign = Campaign::new(&door, &many(30));
    let mut first = campaign.start(CUSTOM, &["--concurrency", "1"]);
    door.wait_for_calls(1);
    let run = campaign.run(CUSTOM, &[]);
    run.ends(2);
    assert!(run.err.contains("another run is at work"), "{}", run.err);
    assert_eq!(door.calls().len(), 1);
    first.kill().unwrap();
    first.wait().unwrap();
    // The one in flight is the only doubt.
    let (run, lines, summary) = campaign.told(CUSTOM, &[]);
    run.ends(1);
    assert_eq!(lines[0]["outcome"], "unknown");
    assert_eq!(
        (&summary["sent"], &summary["unknown"]),
        (&json!(29), &json!(1))
    );
}

#[test]
fn a_message_of_long_ago_is_not_repeated_since_wechat_forgot_it() {
    let door = Door::sending();
    let campaign = Campaign::new(&door, LIST);
    campaign.run(TEMPLATE, &[]).ends(0);
    let journal = std::fs::read_to_string(&campaign.journal).unwrap();
    let head = journal.lines().next().unwrap();
    let now_ms = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let intents = format!(
        "{head}\n{}\n{}\n",
        json!({"to": "oA", "at": now_ms as i64 - 11 * 60 * 1000}),
        json!({"to": "oB", "at": now_ms as i64 - 60 * 1000}),
    );
    std::fs::write(&campaign.journal, intents).unwrap();
    let (run, lines, _) = campaign.told(TEMPLATE, &[]);
    run.ends(1);
    let outcomes: Vec<&Json> = lines.iter().map(|line| &line["outcome"]).collect();
    assert_eq!(outcomes, ["unknown", "sent", "sent"]);
    assert_eq!((door.calls().len(), door.repeats()), (5, 2));
}

/// Sends to so many and kills the run twice, each time with messages under way that were sent and not answered.
fn killed_twice(kind: &[&str], recipients: usize, seed: u64) -> (Door, Campaign) {
    let mut random = fastrand::Rng::with_seed(seed);
    let moments = [
        random.usize(1..recipients / 2 - 16),
        random.usize(recipients / 2..recipients - 64),
    ];
    println!("seed {seed}: killed at messages {moments:?} of {recipients}");
    // From the moment on 8 messages are not answered, which is all that a run has under way.
    let in_silence = move |number| moments.iter().any(|at| (*at..at + 8).contains(&number));
    let door = Door::start(move |number, _| {
        if in_silence(number) {
            Does::SendInSilence
        } else {
            Does::Send
        }
    });
    let campaign = Campaign::new(&door, &many(recipients));
    for moment in moments {
        let mut run = campaign.start(kind, &["--concurrency", "8"]);
        door.wait_for_calls(moment + 7);
        run.kill().unwrap();
        run.wait().unwrap();
    }
    (door, campaign)
}

fn each_once_however_often_it_is_killed(recipients: usize, seed: u64) {
    let begun = std::time::Instant::now();
    let (door, campaign) = killed_twice(TEMPLATE, recipients, seed);
    let (run, lines, summary) = campaign.told(TEMPLATE, &["--concurrency", "8"]);
    run.ends(0);
    assert_eq!(summary["sent"], recipients);
    assert_eq!(lines.len(), recipients);
    assert_eq!(door.sent(), one_each(recipients));
    // What had no answer came again, and was recognised.
    assert_eq!(door.repeats(), 16);
    let took: Duration = begun.elapsed();
    println!("{recipients} recipients, killed twice: each once, 16 recognised; {took:.1?}");
}

#[test]
fn a_template_campaign_that_is_killed_twice_reaches_each_once() {
    for seed in 0..3 {
        each_once_however_often_it_is_killed(500, seed);
    }
}

#[test]
fn a_subscribe_campaign_that_is_killed_twice_reaches_nobody_twice_and_names_the_doubts() {
    let (door, campaign) = killed_twice(SUBSCRIBE, 500, 7);
    let (run, lines, summary) = campaign.told(SUBSCRIBE, &[]);
    run.ends(1);
    assert_eq!(door.sent(), one_each(500));
    assert_eq!(
        (&summary["sent"], &summary["unknown"]),
        (&json!(484), &json!(16))
    );
    let unknown = lines.iter().filter(|line| line["outcome"] == "unknown");
    assert!(unknown.clone().all(|line| line["retryable"] == false));
    assert_eq!(unknown.count(), 16);
}
