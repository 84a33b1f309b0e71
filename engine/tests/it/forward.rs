//! Pushes that an application answers: once, in time, and to every attempt the same.

use serde_json::{Value, json};
use weir_engine::StreamId;

use crate::world::{Store, USER, World, document, event, text, unseal};

/// A world whose texts are forwarded; `change` may bend the configuration.
fn world(workers: usize, change: impl FnOnce(&mut Value)) -> World {
    let document = document(|d| {
        d["apps"] =
            json!([{"name": "shop", "cluster": "shop", "path": "/wechat", "timeout_ms": 14_000}]);
        d["accounts"][0]["rules"] = json!([
            {"when": {"keyword": "hello"}, "reply": {"text": "by rule"}},
            {"when": {"message": "text"}, "forward": {"app": "shop", "otherwise": {"text": "later"}}},
            {"when": {"event": "CLICK"}, "forward": "shop"},
        ]);
        change(d);
    });
    let mut world = World::with(workers, &document);
    world.app.says = r#"{"text": "by the shop"}"#.to_owned();
    world
}

/// What WeChat does with a push: three attempts of 5 s each, until one is answered with 200. The replies it got.
fn attempts(world: &mut World, body: &str, workers: [usize; 3]) -> Vec<String> {
    for worker in workers {
        let stream = world.push(worker, body);
        world.run(4_550);
        let (now, answered) = (world.now.mono_ms, world.responses.get(&stream));
        if let Some((at, _)) = answered {
            assert!(*at <= now - 50, "too late: {} ms", now - at);
        } else {
            world.run(450);
            assert_eq!(world.status(stream), None, "later than WeChat reads it");
            world.cut(worker, stream);
            continue;
        }
        if world.status(stream) == Some(200) {
            return vec![world.body(stream).expect("a body")];
        }
    }
    Vec::new()
}

fn idle(world: &World) -> bool {
    let mut engines = world.workers.iter().filter_map(|w| w.engine.as_ref());
    engines.all(weir_engine::Engine::is_idle)
}

fn says(reply: Option<String>, what: &str) {
    let reply = reply.expect("answered");
    assert!(
        reply.contains(&format!("<Content><![CDATA[{what}]]></Content>")),
        "{reply}"
    );
}

#[test]
fn an_application_gets_the_event_and_its_answer_is_the_reply() {
    let mut world = world(1, |d| d["accounts"][0]["mode"] = json!("encrypted"));
    world.app.ms = 40;
    let stream = world.push_encrypted(0, &text(1, "where is my parcel"));
    world.run(100);
    let reply = unseal(&world.body(stream).expect("answered"));
    says(Some(reply), "by the shop");
    let [(path, content_type, body)] = &world.app.calls[..] else {
        panic!("called once")
    };
    assert_eq!(
        (path.as_str(), content_type.as_ref()),
        ("/wechat", "application/cloudevents+json")
    );
    let event: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(event["type"], "weir.message.text");
    assert_eq!(event["data"]["push"]["Content"], "where is my parcel");
    assert!(
        event.get("weirclaim").is_none(),
        "the application has nothing to claim"
    );
    let stored = &world.stored[event["id"].as_str().expect("an id")];
    assert_eq!(stored["data"], event["data"]);
    world.run(100);
    assert_eq!(
        world.stored_types(),
        ["weir.message.text", "weir.reply.given"]
    );
    let given = world
        .stored
        .values()
        .find(|e| e["type"] == "weir.reply.given");
    let data = &given.expect("recorded")["data"];
    assert_eq!(data["push"], event["id"]);
    assert_eq!(data["app"], "shop");
    assert_eq!(data["reply"], json!({"text": "by the shop"}));
    assert!(idle(&world));
}

#[test]
fn a_program_for_wechat_gets_what_wechat_sends_and_the_proof_that_it_did() {
    let mut world = world(1, |d| {
        d["accounts"][0]["mode"] = json!("encrypted");
        d["apps"][0]["format"] = json!("wechat");
    });
    world.app.says = "<xml><ToUserName><![CDATA[x]]></ToUserName><FromUserName><![CDATA[y]]></FromUserName>\
        <CreateTime>1</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[by a program]]></Content></xml>"
        .to_owned();
    let stream = world.push_encrypted(0, &text(1, "hi"));
    world.run(100);
    let reply = unseal(&world.body(stream).expect("answered"));
    assert!(
        reply.contains(USER),
        "to the user, whatever the program says"
    );
    says(Some(reply), "by a program");
    let (path, content_type, body) = &world.app.calls[0];
    assert_eq!(
        (content_type.as_ref(), body.as_str()),
        ("text/xml", text(1, "hi").as_str())
    );
    assert!(path.starts_with("/wechat?signature="), "{path}");
    for name in ["&timestamp=", "&nonce=", "&openid="] {
        assert!(path.contains(name), "{path}");
    }
    for name in ["msg_signature", "encrypt_type"] {
        assert!(!path.contains(name), "it is not encrypted any more: {path}");
    }
}

#[test]
fn rules_without_an_application_answer_beside_it() {
    for ack in ["after_store", "at_once"] {
        let mut world = world(1, |d| d["store"]["ack"] = json!(ack));
        let stream = world.push(0, &text(1, "hello"));
        world.run(50);
        says(world.body(stream), "by rule");
        let copy = world.push(0, &text(1, "hello"));
        world.run(50);
        assert_eq!(world.body(copy), world.body(stream));
        let stream = world.push(0, &text(2, "else"));
        world.run(200);
        says(world.body(stream), "by the shop");
        assert_eq!(world.app.calls.len(), 1);
    }
}

#[test]
fn whenever_the_application_answers_it_is_called_once_and_the_user_gets_one_reply() {
    for ms in [
        1_000, 4_000, 4_440, 4_600, 6_000, 9_000, 9_700, 12_000, 13_990,
    ] {
        for workers in [[0, 0, 0], [0, 1, 2], [1, 0, 1], [2, 2, 0]] {
            let mut world = world(3, |_| {});
            world.app.ms = ms;
            let replies = attempts(&mut world, &text(1, "slow"), workers);
            world.run(20_000);
            assert_eq!(world.app.calls.len(), 1, "{ms} {workers:?}");
            assert_eq!(replies.len(), 1, "{ms} {workers:?}");
            let sent = world.sent.len();
            let passive = usize::from(replies[0].contains("by the shop"));
            assert_eq!(passive + sent, 1, "{ms} {workers:?}: {replies:?} {sent}");
            if ms < 13_000 {
                assert_eq!(sent, 0, "there was an attempt that could have it");
            }
            assert!(idle(&world), "{ms} {workers:?}");
            assert_eq!(
                world.stored_types()[..2],
                ["weir.message.text", "weir.reply.given"]
            );
        }
    }
}

#[test]
fn copies_at_other_workers_are_woken_by_the_answer() {
    let mut world = world(3, |_| {});
    world.app.ms = 500;
    let streams = [
        (0, world.push(0, &text(1, "x"))),
        (1, world.push(1, &text(1, "x"))),
        (2, world.push(2, &text(1, "x"))),
    ];
    world.run(520);
    let at: Vec<u64> = streams.iter().map(|(_, s)| world.responses[s].0).collect();
    assert!(at.iter().all(|t| t - at[0] <= 2), "{at:?}");
    let bodies: Vec<_> = streams.iter().map(|(_, s)| world.body(*s)).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    says(bodies[0].clone(), "by the shop");
}

#[test]
fn what_comes_after_the_last_attempt_goes_out_as_a_customer_service_message() {
    let mut world = world(2, |d| d["accounts"][0]["late_replies"] = json!("send"));
    world.app.ms = 13_900;
    // Attempts that the network delayed: the last one is over before the answer is there.
    let first = world.push(0, &text(1, "slow"));
    world.run(5_000);
    world.cut(0, first);
    let second = world.push(1, &text(1, "slow"));
    world.run(3_000);
    world.cut(1, second);
    let third = world.push(1, &text(1, "slow"));
    world.run(4_600);
    assert_eq!(world.body(third).as_deref(), Some("success"));
    world.run(10_000);
    assert_eq!(
        world.sent,
        [json!({"touser": USER, "msgtype": "text", "text": {"content": "by the shop"}})]
    );
    assert_eq!(
        world.stored_types(),
        [
            "weir.message.text",
            "weir.reply.given",
            "weir.reply.late",
            "weir.reply.sent"
        ]
    );
    assert_eq!(
        world.counted("weir.late_replies.account.demo.outcome.sent"),
        1
    );
    // Whatever comes now gets nothing more.
    let copy = world.push(1, &text(1, "slow"));
    world.run(10);
    assert_eq!(world.body(copy).as_deref(), Some("success"));
    world.run(20_000);
    assert_eq!((world.app.calls.len(), world.sent.len()), (1, 1));
    assert!(idle(&world));
}

/// One attempt, and an answer nobody waits for.
fn late(change: impl FnOnce(&mut Value), prepare: impl FnOnce(&mut World)) -> World {
    let mut world = world(1, change);
    world.app.ms = 6_000;
    prepare(&mut world);
    let stream = world.push(0, &text(1, "slow"));
    world.run(5_000);
    world.cut(0, stream);
    world.run(40_000);
    assert!(idle(&world));
    assert_eq!(world.app.calls.len(), 1);
    world
}

fn undeliverable(world: &World) -> Value {
    let event = world
        .stored
        .values()
        .find(|event| event["type"] == "weir.reply.undeliverable");
    event.expect("recorded")["data"].clone()
}

#[test]
fn a_late_reply_is_sent_when_no_attempt_comes_for_it() {
    let world = late(|_| {}, |_| {});
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn a_late_reply_of_an_account_that_sends_nothing_is_recorded() {
    let world = late(
        |d| d["accounts"][0]["late_replies"] = json!("record"),
        |_| {},
    );
    assert!(world.sent.is_empty());
    assert_eq!(undeliverable(&world)["reason"], "not_allowed");
}

#[test]
fn a_late_reply_that_cannot_be_a_message_is_recorded() {
    let world = late(
        |_| {},
        |world| world.app.says = r#"{"transfer_customer_service": {}}"#.to_owned(),
    );
    assert_eq!(undeliverable(&world)["reason"], "kind");
}

#[test]
fn a_send_is_repeated_only_when_wechat_refused_the_token() {
    let world = late(|_| {}, |world| world.send_errors = vec![Some(40001)]);
    assert_eq!(world.sent.len(), 1);
    let world = late(|_| {}, |world| world.send_errors = vec![Some(45015)]);
    assert!(world.sent.is_empty());
    let data = undeliverable(&world);
    assert_eq!(
        (&data["reason"], &data["errcode"]),
        (&json!("refused"), &json!(45015))
    );
    let world = late(|_| {}, |world| world.send_errors = vec![None]);
    assert!(world.sent.is_empty(), "it may have been sent");
    assert_eq!(undeliverable(&world)["reason"], "unknown");
}

#[test]
fn an_application_that_fails_is_not_called_again_and_the_user_gets_what_is_said_then() {
    let fail = |prepare: fn(&mut World), why: &str| {
        let mut world = world(1, |_| {});
        prepare(&mut world);
        let stream = world.push(0, &text(1, "x"));
        world.run(300);
        says(world.body(stream), "later");
        world.run(20_000);
        assert_eq!(world.app.calls.len(), 1, "{why}");
        let given = world
            .stored
            .values()
            .find(|e| e["type"] == "weir.reply.given");
        assert_eq!(given.expect("recorded")["data"]["failed"], why);
        assert_eq!(
            world.counted(&format!("weir.app_replies.account.demo.outcome.{why}")),
            1
        );
        assert!(idle(&world));
    };
    fail(|world| world.app.status = Some(500), "status");
    fail(|world| world.app.resets = true, "reset");
    fail(|world| world.app.says = "oops".to_owned(), "malformed");
}

#[test]
fn an_application_that_is_too_slow_is_given_up() {
    let mut world = world(1, |d| d["apps"][0]["timeout_ms"] = json!(2_000));
    world.app.ms = 3_000;
    let stream = world.push(0, &text(1, "x"));
    world.run(2_100);
    says(world.body(stream), "later");
    let stream = world.push(0, &event("CLICK", "<EventKey><![CDATA[k]]></EventKey>"));
    world.run(2_100);
    assert_eq!(world.body(stream).as_deref(), Some("success"));
}

#[test]
fn what_the_host_does_not_take_is_tried_again() {
    let mut world = world(1, |_| {});
    world.app.refused = 3;
    let stream = world.push(0, &text(1, "x"));
    world.run(3_000);
    says(world.body(stream), "by the shop");
    assert_eq!(world.app.calls.len(), 1);
}

#[test]
fn an_application_that_knows_pushes_again_is_called_again() {
    let mut world = world(1, |d| d["apps"][0]["repeat"] = json!(true));
    world.app.status = Some(503);
    let stream = world.push(0, &text(1, "x"));
    world.run(1_000);
    world.app.status = None;
    world.run(2_000);
    says(world.body(stream), "by the shop");
    assert!(world.app.calls.len() > 1);
    let ids: Vec<Value> = (world.app.calls.iter())
        .map(|(_, _, body)| serde_json::from_str::<Value>(body).expect("JSON")["id"].clone())
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
}

#[test]
fn an_application_without_anything_to_say_is_taken_at_its_word() {
    for says in ["", "success", r#"{"reply": null}"#] {
        let mut world = world(1, |_| {});
        world.app.says = says.to_owned();
        let stream = world.push(0, &text(1, "x"));
        world.run(100);
        assert_eq!(world.body(stream).as_deref(), Some("success"));
        let copy = world.push(0, &text(1, "x"));
        world.run(100);
        assert_eq!(world.body(copy).as_deref(), Some("success"));
        assert_eq!(world.app.calls.len(), 1);
        assert!(idle(&world));
    }
}

#[test]
fn when_the_worker_dies_before_the_call_another_calls() {
    let mut world = world(2, |_| {});
    world.store = Store::Mute;
    let first = world.push(0, &text(1, "x"));
    world.run(20);
    world.crash(0);
    world.store = Store::Works;
    world.run(4_980);
    world.cut(0, first);
    let second = world.push(1, &text(1, "x"));
    world.run(100);
    says(world.body(second), "by the shop");
    assert_eq!(world.app.calls.len(), 1);
}

#[test]
fn when_the_worker_dies_in_the_call_nobody_calls_again_unless_allowed() {
    for (repeat, reply, calls) in [(false, "later", 1), (true, "by the shop", 2)] {
        let mut world = world(2, |d| d["apps"][0]["repeat"] = json!(repeat));
        world.app.ms = 3_000;
        world.push(0, &text(1, "x"));
        world.run(1_000);
        world.crash(0);
        world.run(4_000);
        let second = world.push(1, &text(1, "x"));
        world.run(3_200);
        says(world.body(second), reply);
        assert_eq!(world.app.calls.len(), calls);
        assert!(idle(&world));
    }
}

#[test]
fn at_once_a_copy_that_takes_over_lets_the_root_tell_the_others() {
    let mut world = world(2, |d| d["store"]["ack"] = json!("at_once"));
    world.app.ms = 9_000;
    let body = text(1, "x");
    world.push(0, &body);
    world.run(1_000);
    let beside = world.push(1, &body);
    world.crash(0);
    // One of them comes between the moment that its owner is taken for dead and the next tick.
    let copies: Vec<_> = std::iter::repeat_with(|| {
        world.run(1);
        world.push(1, &body)
    })
    .take(3_200)
    .collect();
    world.run(100);
    says(world.body(beside), "later");
    for copy in copies {
        says(world.body(copy), "later");
    }
    assert_eq!(world.app.calls.len(), 1);
}

/// Two nodes, of one worker each.
fn nodes(change: impl FnOnce(&mut Value)) -> World {
    let mut world = world(1, change);
    assert_eq!(world.start_node(), 1);
    world
}

#[test]
fn between_nodes_one_calls_and_both_give_the_same_reply() {
    let mut world = nodes(|_| {});
    world.app.ms = 2_000;
    let body = text(1, "x");
    let here = world.push(0, &body);
    world.run(100);
    let there = world.push(1, &body);
    world.run(3_000);
    says(world.body(here), "by the shop");
    assert_eq!(world.body(here), world.body(there));
    assert_eq!(world.app.calls.len(), 1);
    let copy = world.push(1, &body);
    world.run(10);
    assert_eq!(world.body(copy), world.body(here));
    world.run(20_000);
    assert!(world.sent.is_empty());
    assert!(idle(&world));
}

#[test]
fn an_attempt_at_another_node_gets_the_late_reply_and_then_it_is_not_sent() {
    let mut world = nodes(|_| {});
    world.app.ms = 6_000;
    let first = world.push(0, &text(1, "x"));
    world.run(5_000);
    world.cut(0, first);
    let second = world.push(1, &text(1, "x"));
    world.run(3_000);
    says(world.body(second), "by the shop");
    world.run(30_000);
    assert!(world.sent.is_empty());
    assert_eq!(
        world.counted("weir.late_replies.account.demo.outcome.answered"),
        1
    );
    assert_eq!(world.app.calls.len(), 1);
    assert!(idle(&world));
}

#[test]
fn after_a_send_an_attempt_at_another_node_gets_nothing() {
    let mut world = nodes(|_| {});
    world.app.ms = 6_000;
    let first = world.push(0, &text(1, "x"));
    world.run(5_000);
    world.cut(0, first);
    world.run(12_000);
    assert_eq!(world.sent.len(), 1);
    let second = world.push(1, &text(1, "x"));
    world.run(3_000);
    assert_eq!(world.body(second).as_deref(), Some("success"));
    assert_eq!(world.app.calls.len(), 1);
    assert!(idle(&world));
}

#[test]
fn while_the_store_is_down_the_application_is_not_called_and_afterwards_it_is() {
    let mut world = world(1, |_| {});
    world.store = Store::Down;
    let replies = attempts(&mut world, &text(1, "x"), [0, 0, 0]);
    assert_eq!(
        replies,
        ["success"],
        "the event is kept, the user is not shown a fault"
    );
    assert!(world.app.calls.is_empty());
    world.store = Store::Works;
    world.run(30_000);
    assert_eq!((world.app.calls.len(), world.sent.len()), (1, 1));
    assert!(idle(&world));
}

#[test]
fn at_once_does_not_wait_for_the_store() {
    let mut world = world(1, |d| d["store"]["ack"] = json!("at_once"));
    world.store = Store::Down;
    let stream = world.push(0, &text(1, "x"));
    world.run(100);
    says(world.body(stream), "by the shop");
    let copy = world.push(0, &text(1, "x"));
    world.run(10);
    assert_eq!(world.body(copy), world.body(stream));
    assert_eq!(world.app.calls.len(), 1);
}

#[test]
fn what_depends_on_the_store_may_be_forwarded() {
    let mut world = world(1, |d| {
        d["accounts"][0]["rules"] = json!([
            {"when": {"first_push": true}, "forward": "shop"},
            {"reply": {"text": "again"}},
        ]);
    });
    let first = world.push(0, &text(1, "x"));
    world.run(100);
    says(world.body(first), "by the shop");
    let second = world.push(0, &text(2, "x"));
    world.run(100);
    says(world.body(second), "again");
    let copy = world.push(0, &text(1, "x"));
    world.run(10);
    assert_eq!(world.body(copy), world.body(first));
    assert_eq!(world.app.calls.len(), 1);
    assert!(idle(&world));
}

#[test]
fn users_of_mini_programs_are_sent_what_they_would_not_be_shown() {
    let mut world = world(1, |d| {
        d["accounts"][0]["kind"] = json!("mini_program");
        d["accounts"][0]["rules"] = json!([{"forward": "shop"}]);
    });
    let stream = world.push(0, &text(1, "x"));
    world.run(500);
    assert_eq!(world.body(stream).as_deref(), Some("success"));
    assert_eq!(world.sent.len(), 1);
    world.app.says = r#"{"transfer_customer_service": {}}"#.to_owned();
    let stream = world.push(0, &text(2, "x"));
    world.run(500);
    let reply = world.body(stream).expect("answered");
    assert!(reply.contains("transfer_customer_service"), "{reply}");
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn beyond_the_bound_wechat_comes_again() {
    let mut world = world(1, |d| d["limits"] = json!({"forwards_max": 2}));
    world.app.ms = 1_000;
    let streams: Vec<StreamId> = (1..=3).map(|n| world.push(0, &text(n, "x"))).collect();
    world.run(2_000);
    let answers: Vec<_> = streams.iter().map(|s| world.status(*s)).collect();
    assert_eq!(answers, [Some(200), Some(200), Some(503)]);
    let again = world.push(0, &text(3, "x"));
    world.run(2_000);
    says(world.body(again), "by the shop");
    assert_eq!(world.app.calls.len(), 3);
}

#[test]
fn at_once_the_last_attempt_at_another_worker_does_not_take_the_late_reply_away() {
    let mut world = world(2, |d| d["store"]["ack"] = json!("at_once"));
    world.app.ms = 13_900;
    // Copies of the last attempt wait beside, and are acknowledged at their deadline.
    let body = text(1, "where");
    for worker in [0, 1] {
        let stream = world.push(worker, &body);
        world.run(4_500);
        world.cut(worker, stream);
        world.run(100);
    }
    let last = [world.push(1, &body), world.push(1, &body)];
    world.run(4_400);
    for stream in last {
        assert_eq!(world.body(stream).as_deref(), Some("success"));
    }
    world.run(15_000);
    assert_eq!(world.app.calls.len(), 1);
    assert!(
        world
            .stored_types()
            .contains(&"weir.reply.given".to_owned()),
        "{:?}",
        world.stored_types()
    );
    assert!(idle(&world));
}

#[test]
fn who_asks_in_vain_what_another_node_does_lets_others_ask() {
    let mut world = nodes(|_| {});
    world.app.ms = 6_000;
    let body = text(1, "where");
    let first = world.push(0, &body);
    world.run(100);
    // The other node waits for the outcome until WeChat hangs up, and has nothing left to do then.
    let copy = world.push(1, &body);
    world.run(1_000);
    world.cut(1, copy);
    world.run(1_000);
    world.cut(0, first);
    let second = world.push(1, &body);
    world.run(4_400);
    says(world.body(second), "by the shop");
    world.run(10_000);
    assert_eq!(world.app.calls.len(), 1);
    assert!(idle(&world));
}

/// Others take a worker that cannot sign for dead, and ask the store what its application said.
#[test]
fn a_reply_that_the_table_cannot_take_is_in_the_store_before_anybody_is_told() {
    let mut world = world(2, |_| {});
    world.app.ms = 200;
    let stream = world.push(0, &text(1, "hi"));
    world.run(100);
    assert_eq!(world.app.calls.len(), 1);
    *world.shared.conflict_every.borrow_mut() = Some(1);
    world.store = Store::Down;
    world.run(3_000);
    assert_eq!(
        world.status(stream),
        None,
        "only this worker knows of the reply"
    );
    world.store = Store::Works;
    world.run(1_300);
    says(world.body(stream), "by the shop");
    *world.shared.conflict_every.borrow_mut() = None;
    let copy = world.push(1, &text(1, "hi"));
    world.run(100);
    assert_eq!(world.body(copy), world.body(stream));
    world.run(10_000);
    assert_eq!(
        (world.app.calls.len(), world.sent.len()),
        (1, 0),
        "asked once, told once"
    );
    assert!(idle(&world));
}

#[test]
fn a_reply_that_nobody_heard_while_it_was_being_stored_is_sent() {
    let mut world = world(1, |d| d["accounts"][0]["late_replies"] = json!("send"));
    world.app.ms = 200;
    let stream = world.push(0, &text(1, "hi"));
    world.run(100);
    *world.shared.conflict_every.borrow_mut() = Some(1);
    world.store = Store::Down;
    world.run(4_900);
    world.cut(0, stream);
    *world.shared.conflict_every.borrow_mut() = None;
    world.store = Store::Works;
    world.run(20_000);
    assert_eq!((world.app.calls.len(), world.sent.len()), (1, 1));
    assert!(idle(&world));
}
