//! Listings of people.

use serde_json::json;
use weir_store_api::read::{Page, Person, User};

use crate::world::{
    ACCOUNT, T0, World, event, push_to, snapshot, subscribe, text, time, unsubscribe,
};

on_both_databases! {
    people_are_listed_last_stored_first,
    pages_neither_repeat_nor_skip_while_people_are_added,
    filters_choose_by_follow_and_sort_by_its_beginning,
    filters_combine,
    one_person_is_found_across_accounts_by_unionid,
    filters_that_fit_nobody_find_nobody,
    who_is_blacklisted_is_told_apart_and_nothing_can_be_sent_to_them,
}

async fn openids(world: &World, query: &str, limit: usize) -> Vec<String> {
    let users: Vec<User> = world.list(&format!("/v1/users{query}"), limit).await;
    users.into_iter().map(|user| user.openid).collect()
}

async fn people_are_listed_last_stored_first(world: World) {
    for openid in ["oC", "oA", "oB"] {
        world.create(&[text(openid, openid, T0, "hello")]).await;
    }
    world
        .create(&[push_to(
            "other",
            "weir.event.view",
            "x",
            "oZ",
            T0,
            json!({}),
        )])
        .await;
    assert_eq!(openids(&world, "", 2).await, ["oZ", "oB", "oA", "oC"]);
    assert_eq!(
        openids(&world, &format!("?account={ACCOUNT}"), 2).await,
        ["oB", "oA", "oC"]
    );
}

async fn pages_neither_repeat_nor_skip_while_people_are_added(world: World) {
    for number in 0..5 {
        let openid = format!("o{number}");
        world
            .create(&[subscribe(&openid, &openid, T0 + number, "")])
            .await;
    }
    for query in ["?limit=2", "?limit=2&state=following"] {
        let mut seen = Vec::new();
        let mut next = String::new();
        let mut round = 0;
        loop {
            let page: Page<User> = world.get(&format!("/v1/users{query}{next}")).await;
            seen.extend(page.items.into_iter().map(|user| user.openid));
            let newcomer = format!("oNew{}{round}", query.len());
            world
                .create(&[subscribe(&newcomer, &newcomer, T0 + 1000 + round, "")])
                .await;
            round += 1;
            match page.next_cursor {
                Some(cursor) => next = format!("&cursor={cursor}"),
                None => break,
            }
        }
        seen.retain(|openid| !openid.starts_with("oNew"));
        assert_eq!(seen, ["o4", "o3", "o2", "o1", "o0"], "{query}");
    }
}

async fn some_follows(world: &World) {
    world
        .create(&[
            subscribe("1", "oA", T0 + 30, "x"),
            subscribe("2", "oB", T0 + 10, "y"),
            subscribe("3", "oC", T0 + 20, "x"),
            unsubscribe("4", "oC", T0 + 40),
            // Two in one second.
            subscribe("5", "oD", T0 + 10, ""),
            text("6", "oNever", T0, "hello"),
        ])
        .await;
}

async fn filters_choose_by_follow_and_sort_by_its_beginning(world: World) {
    some_follows(&world).await;
    let since = format!("?since={}", time(T0 + 20));
    let until = format!("?until={}", T0 + 20);
    for (query, expected) in [
        ("?state=following", vec!["oA", "oD", "oB"]),
        ("?state=unfollowed", vec!["oC"]),
        ("?scene=x", vec!["oA", "oC"]),
        (since.as_str(), vec!["oA", "oC"]),
        (until.as_str(), vec!["oD", "oB"]),
    ] {
        for limit in [1, 50] {
            assert_eq!(
                openids(&world, query, limit).await,
                expected,
                "{query}, {limit}"
            );
        }
    }
}

async fn filters_combine(world: World) {
    some_follows(&world).await;
    let elsewhere = json!({"Event": "subscribe", "EventKey": "qrscene_x"});
    world
        .create(&[push_to(
            "other",
            "weir.event.subscribe",
            "7",
            "oZ",
            T0 + 25,
            elsewhere,
        )])
        .await;
    for (query, expected) in [
        ("?scene=x".to_owned(), vec!["oA", "oZ", "oC"]),
        (format!("?scene=x&account={ACCOUNT}"), vec!["oA", "oC"]),
        (
            format!("?scene=x&state=following&account={ACCOUNT}"),
            vec!["oA"],
        ),
        (
            format!("?scene=x&since={}&until={}", T0 + 20, T0 + 26),
            vec!["oZ", "oC"],
        ),
        (format!("?state=unfollowed&since={}", T0 + 21), vec![]),
    ] {
        assert_eq!(openids(&world, &query, 1).await, expected, "{query}");
    }
}

async fn one_person_is_found_across_accounts_by_unionid(world: World) {
    let mut elsewhere = snapshot("2", "oMini", T0, json!({"unionid": "u1", "subscribe": 0}));
    elsewhere["source"] = json!("/accounts/mini");
    elsewhere["data"]["account"] = json!("mini");
    world
        .create(&[
            snapshot(
                "1",
                "oA",
                T0,
                json!({"unionid": "u1", "subscribe": 1, "subscribe_time": T0}),
            ),
            elsewhere,
            snapshot("3", "oB", T0, json!({"unionid": "u2"})),
        ])
        .await;
    assert_eq!(openids(&world, "?unionid=u1", 1).await, ["oMini", "oA"]);
    assert_eq!(
        openids(&world, "?unionid=u1&account=mini", 1).await,
        ["oMini"]
    );
    assert_eq!(
        openids(&world, "?unionid=u1&state=following", 1).await,
        ["oA"]
    );
}

async fn filters_that_fit_nobody_find_nobody(world: World) {
    some_follows(&world).await;
    for query in [
        "?account=nowhere",
        "?account=nowhere&state=following",
        "?scene=nowhere",
        "?unionid=nobody",
        "?scene=%00",
        "?account=%00&state=following",
    ] {
        assert_eq!(
            openids(&world, query, 1).await,
            Vec::<String>::new(),
            "{query}"
        );
    }
}

/// What a sync told of the blacklist.
fn blacklist(id: &str, openid: &str, second: i64, is_on: bool) -> serde_json::Value {
    let data = json!({
        "account": ACCOUNT, "appid": "wx0123456789abcdef", "blacklisted": is_on, "told_at_ms": second * 1000,
    });
    let mut event = event("weir.user.blacklist", id, second, &data);
    event["subject"] = json!(openid);
    event
}

async fn who_is_blacklisted_is_told_apart_and_nothing_can_be_sent_to_them(world: World) {
    some_follows(&world).await;
    world.create(&[text("t", "oA", T0 + 60, "hello")]).await;
    let person = async || {
        let uid = world.user("oA").await.uid;
        let person: Person = world.get(&format!("/v1/people/{uid}")).await;
        person.identities.into_iter().next().unwrap()
    };
    assert!(person().await.customer_service_until.is_some());
    // The newest word counts, in whatever order it comes.
    world
        .create(&[
            blacklist("b2", "oA", T0 + 70, true),
            blacklist("b1", "oA", T0 + 65, false),
            blacklist("b3", "oB", T0 + 70, true),
        ])
        .await;
    world
        .create(&[
            blacklist("b4", "oB", T0 + 80, false),
            blacklist("b5", "oStranger", T0 + 80, true),
        ])
        .await;
    let told = person().await;
    assert_eq!(told.customer_service_until, None);
    assert!(told.user.blacklisted);
    assert_eq!(told.user.blacklisted_since, Some(time(T0 + 70)));
    assert!(world.user("oStranger").await.user.blacklisted);
    assert!(!world.user("oB").await.user.blacklisted);
    assert_eq!(world.user("oB").await.user.blacklisted_since, None);

    assert_eq!(
        openids(&world, "?blacklisted=true", 1).await,
        ["oStranger", "oA"]
    );
    for query in [
        "?blacklisted=true&state=following",
        "?blacklisted=true&scene=x",
        &format!("?blacklisted=true&since={}", time(T0)),
    ] {
        assert_eq!(openids(&world, query, 1).await, ["oA"], "{query}");
    }
    let with_and_without = async |query: &str| {
        let mut all = openids(&world, query, 2).await;
        let joint = if query.is_empty() { '?' } else { '&' };
        let others = openids(&world, &format!("{query}{joint}blacklisted=false"), 2).await;
        all.retain(|openid| !["oA", "oStranger"].contains(&openid.as_str()));
        assert_eq!(others, all, "{query}");
        assert!(!others.is_empty(), "{query}");
    };
    for query in [
        String::new(),
        format!("?account={ACCOUNT}"),
        "?state=following".to_owned(),
        "?scene=x".to_owned(),
    ] {
        with_and_without(&query).await;
    }
}
