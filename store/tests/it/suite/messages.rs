//! Listings of messages.

use serde_json::{Value, json};
use weir_store_api::read::Message;

use crate::world::{ACCOUNT, T0, World, push, push_to, text, time};

on_both_databases! {
    a_message_has_its_columns_and_its_whole_push,
    messages_are_listed_newest_first_and_paged_within_a_second,
    filters_choose_messages,
    a_late_message_takes_its_place_by_time,
    a_voice_message_shows_what_was_heard,
}

async fn texts(world: &World, query: &str, limit: usize) -> Vec<String> {
    let messages: Vec<Message> = world.list(&format!("/v1/messages{query}"), limit).await;
    messages
        .into_iter()
        .map(|message| message.text.unwrap_or(message.kind))
        .collect()
}

async fn a_message_has_its_columns_and_its_whole_push(world: World) {
    let mut message = text("e1", "oA", T0, "this is a test 你好😀");
    message["data"]["push"]["MsgDataId"] = json!(9_007_199_254_740_993_u64);
    world.create(&[message.clone()]).await;
    let found: Vec<Value> = world.list("/v1/messages", 50).await;
    let expected = json!({
        "id": "e1",
        "account": ACCOUNT,
        "openid": "oA",
        "kind": "text",
        "msg_id": "23456789012345601",
        "at": "2024-04-26T06:30:00Z",
        "received_at": "2024-04-26T06:30:00.25Z",
        "text": "this is a test 你好😀",
        "push": message["data"]["push"],
    });
    assert_eq!(found, [expected]);
}

async fn messages_are_listed_newest_first_and_paged_within_a_second(world: World) {
    let batch: Vec<Value> = (0..7)
        .map(|n| text(&format!("{n}"), "oA", T0 + n / 4, &format!("{n}")))
        .collect();
    world.create(&batch).await;
    for limit in [1, 2, 3, 7, 50] {
        let listed = texts(&world, "", limit).await;
        // Within a second the order is that of storage, which a batch does not promise: all are there, once.
        let mut seconds = listed.clone();
        seconds.sort_by(|a, b| b.cmp(a));
        assert_eq!(seconds, ["6", "5", "4", "3", "2", "1", "0"], "{limit}");
        assert!(
            listed[..3].iter().all(|text| text.as_str() >= "4"),
            "{limit}: {listed:?}"
        );
    }
}

async fn filters_choose_messages(world: World) {
    let other = json!({"MsgType": "text", "Content": "other"});
    world
        .create(&[
            text("1", "oA", T0, "one"),
            text("2", "oB", T0 + 1, "two"),
            push(
                "weir.message.image",
                "3",
                "oA",
                T0 + 2,
                json!({"MsgType": "image"}),
            ),
            text("4", "oA", T0 + 3, "four"),
            push_to("other", "weir.message.text", "5", "oA", T0 + 4, other),
        ])
        .await;
    for (query, expected) in [
        (String::new(), vec!["other", "four", "image", "two", "one"]),
        (
            format!("?account={ACCOUNT}"),
            vec!["four", "image", "two", "one"],
        ),
        (
            "?openid=oA".to_owned(),
            vec!["other", "four", "image", "one"],
        ),
        (
            format!("?account={ACCOUNT}&openid=oA"),
            vec!["four", "image", "one"],
        ),
        ("?kind=text".to_owned(), vec!["other", "four", "two", "one"]),
        ("?kind=Image&openid=oA".to_owned(), vec!["image"]),
        (
            format!("?since={}&until={}", time(T0 + 1), T0 + 3),
            vec!["image", "two"],
        ),
        (
            format!("?account={ACCOUNT}&kind=text&since={}", T0 + 1),
            vec!["four", "two"],
        ),
        ("?openid=oNobody".to_owned(), vec![]),
        ("?account=nowhere".to_owned(), vec![]),
        ("?kind=%00".to_owned(), vec![]),
    ] {
        for limit in [1, 50] {
            assert_eq!(
                texts(&world, &query, limit).await,
                expected,
                "{query}, {limit}"
            );
        }
    }
}

async fn a_late_message_takes_its_place_by_time(world: World) {
    world.create(&[text("new", "oA", T0 + 10, "new")]).await;
    world.create(&[text("old", "oA", T0, "old")]).await;
    assert_eq!(texts(&world, "", 50).await, ["new", "old"]);
}

async fn a_voice_message_shows_what_was_heard(world: World) {
    let voice = |id: &str, heard: &str| {
        push(
            "weir.message.voice",
            id,
            "oA",
            T0,
            json!({"MsgType": "voice", "Recognition": heard}),
        )
    };
    world.create(&[voice("1", "你好")]).await;
    world.create(&[voice("2", "")]).await;
    assert_eq!(texts(&world, "", 50).await, ["voice", "你好"]);
}
