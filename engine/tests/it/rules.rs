//! Rules: what each condition and each action means.

use serde_json::{Value, json};
use weir_engine::metric::Metric;

use crate::world::{
    ACCOUNT, APPID, START_UNIX_MS, USER, World, document, event, message, parse, text,
};

fn world(rules: &Value) -> World {
    World::with(1, &document(|d| d["accounts"][0]["rules"] = rules.clone()))
}

/// The content of the text reply; empty when there is no reply.
fn content(rules: &Value, push: &str) -> String {
    let mut world = world(rules);
    content_in(&mut world, push)
}

fn content_in(world: &mut World, push: &str) -> String {
    let stream = world.push(0, push);
    world.run(200);
    let body = world.body(stream).expect("an answer");
    match body.split_once("<Content><![CDATA[") {
        Some((_, rest)) => rest.split_once("]]>").expect("an end").0.to_owned(),
        None => {
            assert_eq!(body, "success");
            String::new()
        }
    }
}

/// One rule `when`, and whether it applies to each push.
fn check(when: Value, pushes: &[(&str, bool)]) {
    let rules = json!([{"when": when, "reply": {"text": "yes"}}]);
    for (push, expected) in pushes {
        let found = content(&rules, push) == "yes";
        assert_eq!(found, *expected, "{when} {push}");
    }
}

fn problems(change: impl Fn(&mut Value)) -> String {
    let Err(problems) = parse(&document(|d| change(d))) else {
        return String::new();
    };
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn words_are_looked_for_where_the_rule_says() {
    let says = |s: &str| text(1, s);
    check(
        json!({"keyword": "Price"}),
        &[
            (&says("price"), true),
            (&says(" PRICE\n"), true),
            (&says("the price"), false),
        ],
    );
    check(
        json!({"keyword": ["a", "预约"]}),
        &[
            (&says("预约"), true),
            (&says("A"), true),
            (&says("b"), false),
        ],
    );
    check(
        json!({"keyword": {"prefix": "查询", "contains": ["人工", "help"]}}),
        &[
            (&says("查询订单"), true),
            (&says("我要查询"), false),
            (&says("转人工吧"), true),
            (&says("HELP me"), true),
        ],
    );
    check(
        json!({"pattern": ["order *", "??号"]}),
        &[
            (&says("Order 12"), true),
            (&says("三十号"), true),
            (&says("十号"), false),
            (&says("my order 12"), false),
        ],
    );
    check(
        json!({"keyword": {"contains": "a"}, "pattern": "*b"}),
        &[
            (&says("ab"), true),
            (&says("a"), false),
            (&says("b"), false),
        ],
    );
    let voice = message("voice", "<MediaId>m</MediaId><MsgId>2</MsgId>");
    check(json!({"keyword": {"contains": "m"}}), &[(&voice, false)]);
}

#[test]
fn kinds_events_and_their_keys_are_told_apart() {
    let voice = message("voice", "<MediaId>m</MediaId><MsgId>2</MsgId>");
    let key = |name: &str, key: &str| event(name, &format!("<EventKey>{key}</EventKey>"));
    check(
        json!({"message": ["voice", "image"]}),
        &[(&voice, true), (&text(1, "x"), false)],
    );
    check(
        json!({"message": "*"}),
        &[(&voice, true), (&key("CLICK", "A"), false)],
    );
    check(
        json!({"event": "*"}),
        &[(&voice, false), (&key("CLICK", "A"), true)],
    );
    check(
        json!({"event": ["click", "VIEW"]}),
        &[
            (&key("CLICK", "A"), true),
            (&key("view", "A"), true),
            (&key("SCAN", "A"), false),
        ],
    );
    check(
        json!({"event": "CLICK", "event_key": ["A", "B"]}),
        &[
            (&key("CLICK", "B"), true),
            (&key("CLICK", "AB"), false),
            (&key("VIEW", "A"), false),
        ],
    );
    check(
        json!({"event_key": {"prefix": "menu/"}}),
        &[
            (&key("CLICK", "menu/1"), true),
            (&key("CLICK", "menu"), false),
        ],
    );
    check(
        json!({"scene": [7, "shop"]}),
        &[
            (&key("subscribe", "qrscene_7"), true),
            (&key("SCAN", "shop"), true),
            (&key("CLICK", "7"), false),
            (&key("subscribe", ""), false),
        ],
    );
    check(
        json!({"field": {"MenuId": 5, "ScanCodeInfo.ScanType": "qrcode"}}),
        &[
            (
                &event(
                    "VIEW",
                    "<MenuId>5</MenuId><ScanCodeInfo><ScanType>qrcode</ScanType></ScanCodeInfo>",
                ),
                true,
            ),
            (&event("VIEW", "<MenuId>5</MenuId>"), false),
        ],
    );
    check(json!({}), &[(&voice, true), (&key("CLICK", "A"), false)]);
}

#[test]
fn hours_are_told_by_the_clock_of_the_place() {
    // The world begins on Friday, the 26th of April 2024, at 14:20 in Beijing; pushes say so in their CreateTime.
    let now = text(1, "x");
    let time = |time: Value| json!({ "time": time });
    check(
        time(json!({"from": "14:00", "to": "14:30"})),
        &[(&now, true)],
    );
    check(time(json!({"from": "14:21"})), &[(&now, false)]);
    check(time(json!({"days": ["fri"]})), &[(&now, true)]);
    check(time(json!({"days": ["sat", "sun"]})), &[(&now, false)]);
    check(
        time(json!({"from": "06:00", "to": "07:00", "utc_offset": "+00:00"})),
        &[(&now, true)],
    );
}

#[test]
fn a_rule_that_goes_on_adds_its_tags_and_the_first_reply_counts() {
    let rules = json!([
        {"when": {"message": "text"}, "tag": [100, 101], "continue": true},
        {"when": {"keyword": {"contains": "vip"}}, "tag": 102, "reply": {"text": "vip"}, "continue": true},
        {"when": {"message": "text"}, "tag": 101, "reply": {"text": "default"}},
        {"tag": 999},
    ]);
    let mut world = world(&rules);
    assert_eq!(content_in(&mut world, &text(1, "a vip")), "vip");
    assert_eq!(content_in(&mut world, &text(2, "hello")), "default");
    world.run(1_000);
    let mut tags: Vec<_> = (world.api.tagged.iter())
        .flat_map(|(tag, users)| users.iter().map(|user| (*tag, user.as_str())))
        .collect();
    tags.sort_unstable();
    assert_eq!(
        tags,
        [
            (100, USER),
            (100, USER),
            (101, USER),
            (101, USER),
            (102, USER)
        ]
    );
}

#[test]
fn tags_are_given_to_fifty_users_at_a_time_and_a_wrong_user_spoils_no_other() {
    let rules = json!([{"tag": 7, "reply": "none"}]);
    let mut world = world(&rules);
    world.api.unknown.insert("oUnknown".to_owned());
    for n in 0..119 {
        let push = text(n, "x").replace(USER, &format!("oUser{n}"));
        world.push(0, &push);
    }
    world.push(0, &text(999, "x").replace(USER, "oUnknown"));
    world.run(20_000);
    let mut users: Vec<_> = world
        .api
        .tagged
        .iter()
        .flat_map(|(_, u)| u.clone())
        .collect();
    users.sort();
    users.dedup();
    assert_eq!(users.len(), 119);
    let given_up = world
        .metrics
        .iter()
        .filter(|m| matches!(m, Metric::TagsGivenUp { count: 1, .. }));
    assert_eq!(given_up.count(), 1);
    assert!(world.api.tagged.iter().any(|(_, users)| users.len() == 50));
}

#[test]
fn weighted_replies_are_shared_out_and_every_copy_gets_the_same() {
    let rules = json!([{"reply": {"one_of": [
        {"weight": 3, "text": "a"},
        {"text": "b"},
    ]}}]);
    let mut world = world(&rules);
    let mut heads = 0;
    for n in 0..400 {
        let first = content_in(&mut world, &text(n, "x"));
        assert_eq!(content_in(&mut world, &text(n, "x")), first);
        heads += usize::from(first == "a");
    }
    assert!((260..340).contains(&heads), "{heads} of 400");
}

#[test]
fn a_share_of_the_users_is_always_the_same_one() {
    let rules = json!([
        {"when": {"share": {"percent": 25, "of": "try"}}, "reply": {"text": "new"}},
        {"reply": {"text": "old"}},
    ]);
    let mut world = world(&rules);
    let mut new = 0;
    for n in 0..200 {
        let by = |id| text(id, "x").replace(USER, &format!("oUser{n}"));
        let first = content_in(&mut world, &by(2 * n));
        assert_eq!(content_in(&mut world, &by(2 * n + 1)), first);
        new += usize::from(first == "new");
    }
    assert!((30..70).contains(&new), "{new} of 200");
}

#[test]
fn the_first_push_of_a_user_is_the_one_before_which_the_store_knew_none() {
    let rules = json!([
        {"when": {"first_push": true}, "reply": {"text": "first"}},
        {"when": {"first_push": false, "message": "text"}, "reply": {"text": "again"}},
    ]);
    let mut world = World::with(2, &document(|d| d["accounts"][0]["rules"] = rules.clone()));
    assert_eq!(content_in(&mut world, &text(1, "x")), "first");
    // A late copy, on the worker that answered and on another one.
    assert_eq!(content_in(&mut world, &text(1, "x")), "first");
    let beside = world.push(1, &text(1, "x"));
    world.run(200);
    assert!(world.body(beside).expect("an answer").contains("first"));
    assert_eq!(content_in(&mut world, &text(2, "x")), "again");
    assert_eq!(world.stored.len(), 2);
}

#[test]
fn copies_that_wait_on_two_workers_for_what_the_store_knows_get_the_same() {
    let rules = json!([
        {"when": {"first_push": true}, "reply": {"text": "first {name}"}},
        {"reply": {"text": "again {name}"}},
    ]);
    let mut world = World::with(2, &document(|d| d["accounts"][0]["rules"] = rules.clone()));
    world
        .names
        .insert(USER.to_owned(), (String::new(), "小明😀".to_owned()));
    world.store_ms = 300;
    let one = world.push(0, &text(1, "x"));
    world.run(10);
    let two = world.push(1, &text(1, "x"));
    world.run(2_000);
    for stream in [one, two] {
        let body = world.body(stream).expect("an answer");
        assert!(body.contains("<![CDATA[first 小明😀]]>"), "{body}");
    }
}

#[test]
fn names_come_from_the_store_remark_first() {
    let rules = json!([{"reply": {"text": "{name}|{remark}|{nickname}|{push.MsgId}"}}]);
    let mut world = world(&rules);
    world
        .names
        .insert(USER.to_owned(), ("Mr X".to_owned(), "x😀".to_owned()));
    assert_eq!(content_in(&mut world, &text(5, "x")), "Mr X|Mr X|x😀|5");
    world
        .names
        .insert(USER.to_owned(), (String::new(), "x😀".to_owned()));
    assert_eq!(content_in(&mut world, &text(6, "x")), "x😀||x😀|6");
}

#[test]
fn when_the_store_is_down_to_the_last_attempt_the_user_is_one_unknown() {
    let rules = json!([
        {"when": {"first_push": true}, "reply": {"text": "first"}},
        {"reply": {"text": "hello {name}"}},
    ]);
    let mut world = world(&rules);
    world.store = crate::world::Store::Down;
    for attempt in 1..=3 {
        let stream = world.push(0, &text(1, "x"));
        world.run(5_000);
        match (attempt, world.body(stream)) {
            (3, Some(body)) => assert!(body.contains("hello "), "{body}"),
            (_, answer) => assert_eq!(answer, None, "attempt {attempt}"),
        }
        world.cut(0, stream);
    }
}

#[test]
fn every_kind_of_reply_can_be_configured() {
    let reply = |reply: Value| {
        let mut world = world(&json!([{"when": {"event": "CLICK"}, "reply": reply}]));
        let stream = world.push(0, &event("CLICK", "<EventKey>K</EventKey>"));
        world.run(100);
        world.body(stream).expect("an answer")
    };
    for (configured, expected) in [
        (
            json!({"image": "M"}),
            "<Image><MediaId><![CDATA[M]]></MediaId></Image>",
        ),
        (
            json!({"voice": "M"}),
            "<Voice><MediaId><![CDATA[M]]></MediaId></Voice>",
        ),
        (
            json!({"video": {"media_id": "M", "title": "{event_key}"}}),
            "<Video><MediaId><![CDATA[M]]></MediaId><Title><![CDATA[K]]></Title></Video>",
        ),
        (
            json!({"music": {"thumb_media_id": "T", "music_url": "https://x/"}}),
            "<Music><MusicUrl><![CDATA[https://x/]]></MusicUrl><ThumbMediaId><![CDATA[T]]></ThumbMediaId></Music>",
        ),
        (
            json!({"news": [{"title": "1"}, {"title": "2", "url": "u"}]}),
            "<ArticleCount>2</ArticleCount>",
        ),
        (
            json!({"transfer_customer_service": {}}),
            "<MsgType><![CDATA[transfer_customer_service]]></MsgType></xml>",
        ),
        (
            json!({"transfer_customer_service": {"kf_account": "a@b"}}),
            "<TransInfo><KfAccount><![CDATA[a@b]]></KfAccount></TransInfo>",
        ),
    ] {
        let body = reply(configured);
        assert!(body.contains(expected), "{body}");
    }
    assert_eq!(reply(json!("none")), "success");
}

#[test]
fn what_a_rule_may_not_say_is_refused_with_a_sentence() {
    let check = |rule: Value, expected: &str| {
        let found = problems(|d| d["accounts"][0]["rules"] = json!([rule]));
        assert!(found.contains(expected), "{expected}\n{found}");
    };
    check(json!({"when": {"keyword": " "}}), "text that is not blank");
    check(json!({"when": {"keyword": {}}}), "expected \"exact\"");
    check(
        json!({"when": {"event": "CLICK", "scene": "1"}}),
        "\"scene\" goes with the events",
    );
    check(
        json!({"when": {"event": "CLICK", "keyword": "a"}}),
        "go with text messages",
    );
    check(
        json!({"when": {"message": "image", "pattern": "a"}}),
        "\"text\" alone",
    );
    check(
        json!({"when": {"message": "event"}}),
        "events are chosen by \"event\"",
    );
    check(json!({"when": {"pattern": "a\\"}}), "ends in a single");
    check(json!({"when": {"time": {"from": "9:00"}}}), "a time of day");
    check(
        json!({"when": {"time": {"from": "09:00", "to": "09:00"}}}),
        "never apply",
    );
    check(
        json!({"when": {"time": {"days": ["monday"]}}}),
        "expected \"mon\"",
    );
    check(
        json!({"when": {"share": {"percent": 60, "from": 50}}}),
        "beyond 100 percent",
    );
    check(json!({"when": {"share": 101}}), "from 0 to 100");
    check(json!({"reply": {"text": ""}}), "1 to 2048 bytes");
    check(
        json!({"reply": {"text": "x".repeat(2049)}}),
        "1 to 2048 bytes",
    );
    check(
        json!({"reply": {"news": [{"title": "1"}, {"title": "2"}]}}),
        "expected 1 article",
    );
    check(
        json!({"reply": {"text": "a", "image": "b"}}),
        "exactly one of",
    );
    check(json!({"reply": "nothing"}), "\"none\"");
    check(
        json!({"reply": {"transfer_customer_service": {"kf_account": "a"}}}),
        "name@account",
    );
    check(json!({"when": {"speed": 1}}), "is not a known field");
    let at_once = problems(|d| {
        d["store"]["ack"] = "at_once".into();
        d["accounts"][0]["rules"] = json!([
            {"when": {"first_push": true}},
            {"reply": {"text": "{name}"}},
        ]);
    });
    assert_eq!(at_once.matches("after_store").count(), 2, "{at_once}");
    let mini = problems(|d| {
        d["accounts"][0]["kind"] = "mini_program".into();
        d["accounts"][0]["rules"] = json!([{"reply": {"text": "a"}}, {"tag": 5}]);
    });
    assert!(
        mini.contains("never shown") && mini.contains("only Official Accounts have tags"),
        "{mini}"
    );
}

#[test]
fn ten_thousand_rules_decide_as_one_by_one() {
    // The same rules, looked through in order by an obvious program.
    let word = |n: usize| format!("w{}", n % 7_001);
    let rules: Vec<Value> = (0..10_000)
        .map(|n| {
            let when = match n % 4 {
                0 => json!({"keyword": word(n)}),
                1 => json!({"keyword": {"prefix": word(n)}}),
                2 => json!({"keyword": {"contains": word(n)}}),
                _ => json!({"pattern": format!("{}*z", word(n))}),
            };
            json!({"when": when, "reply": {"text": n.to_string()}})
        })
        .collect();
    let mut world = world(&Value::Array(rules));
    for (id, says) in ["w1", "w12", "w123z", "a w6999", "w5", "w", "x w3 y", "w7z"]
        .iter()
        .enumerate()
    {
        let expected = (0..10_000).find(|n| match n % 4 {
            0 => *says == word(*n),
            1 => says.starts_with(&word(*n)),
            2 => says.contains(&word(*n)),
            _ => says.starts_with(&word(*n)) && says.len() > word(*n).len() && says.ends_with('z'),
        });
        let expected = expected.map(|n| n.to_string()).unwrap_or_default();
        assert_eq!(
            content_in(&mut world, &text(id as u64, says)),
            expected,
            "{says}"
        );
    }
}

#[test]
fn a_platform_answers_for_the_accounts_that_authorised_it() {
    let mut world = World::with(
        1,
        &document(|d| {
            let account = d["accounts"][0].as_object_mut().unwrap();
            account.remove("original_id");
            account.remove("app_secret_env");
            account.insert("kind".to_owned(), "third_party_platform".into());
            account.insert("mode".to_owned(), "encrypted".into());
            account.insert("authorizers_path".to_owned(), "/p/$APPID$/callback".into());
            account.insert(
                "rules".to_owned(),
                json!([{"reply": {"text": "hi {openid}"}}]),
            );
        }),
    );
    let notice = format!(
        "<xml><AppId>{APPID}</AppId><CreateTime>{}</CreateTime><InfoType>component_verify_ticket</InfoType>\
         <ComponentVerifyTicket>ticket@@@x</ComponentVerifyTicket></xml>",
        START_UNIX_MS / 1_000
    );
    let stream = world.push_encrypted(0, &notice);
    world.run(100);
    assert_eq!(world.body(stream).as_deref(), Some("success"));
    // A message has no place there, and the notice none at the accounts' path.
    let message = text(1, "x").replace(ACCOUNT, "gh_of_another");
    let stream = world.push_encrypted(0, &message);
    assert_eq!(world.status(stream), Some(403));
    world.path = "/p/wxfedcba9876543210/callback".to_owned();
    let stream = world.push_encrypted(0, &notice);
    assert_eq!(world.status(stream), Some(403));
    let first = world.push_encrypted(0, &message);
    world.path = "/p/wxaaaaaaaaaaaaaaaa/callback".to_owned();
    let other = world.push_encrypted(0, &message);
    world.run(100);
    assert!(world.body(first).is_some() && world.body(other).is_some());
    // The same MsgId at two accounts is two messages.
    let appids: Vec<_> = world
        .stored
        .values()
        .map(|e| e["data"]["appid"].clone())
        .collect();
    assert_eq!(world.stored.len(), 3);
    assert!(
        appids.contains(&"wxfedcba9876543210".into())
            && appids.contains(&"wxaaaaaaaaaaaaaaaa".into())
    );
    assert!(world.config.route("/p/nonsense/callback").is_none());
}
