//! People and their profiles.

use serde_json::{Value, json};
use weir_store_api::WechatUser;

use crate::world::{ACCOUNT, T0, World, push, snapshot, text, time};

on_both_databases! {
    any_push_makes_its_sender_known,
    pushes_about_the_account_make_nobody_known,
    a_profile_is_kept_in_full_emoji_and_all,
    the_name_to_show_is_the_remark_else_the_nickname_else_a_neutral_one,
    a_newer_profile_replaces_what_it_carries_and_no_more,
    a_profile_before_any_push_makes_the_person_known,
    the_earliest_event_says_since_when_they_are_known,
    numbers_and_texts_are_read_alike,
    a_stranger_is_not_found,
}

async fn any_push_makes_its_sender_known(world: World) {
    let pushes = [
        push(
            "weir.event.location",
            "1",
            "oLocation",
            T0,
            json!({"Event": "LOCATION"}),
        ),
        push(
            "weir.event.never_heard_of",
            "2",
            "oUnknown",
            T0,
            json!({"Event": "never_heard_of"}),
        ),
        push(
            "weir.message.image",
            "3",
            "oImage",
            T0,
            json!({"MsgType": "image"}),
        ),
        push(
            "weir.event.user_authorization_revoke",
            "4",
            "oPlatform",
            T0,
            json!({"OpenID": "oRevoked"}),
        ),
    ];
    world.create(&pushes).await;
    for openid in ["oLocation", "oUnknown", "oImage", "oRevoked"] {
        let known = world.user(openid).await;
        assert_eq!(known.user.profile, None, "{openid}");
        assert_eq!(known.user.first_seen_at, time(T0), "{openid}");
    }
    let users: Vec<Value> = world.list("/v1/users", 50).await;
    assert_eq!(users.len(), 4, "the platform's openid is nobody");
}

async fn pushes_about_the_account_make_nobody_known(world: World) {
    let mut component = push("weir.component.authorized", "2", "oAdmin", T0, json!({}));
    component["data"]["push"] = json!({"AppId": "wx1", "InfoType": "authorized"});
    world
        .create(&[
            push("weir.event.masssendjobfinish", "1", "oAdmin", T0, json!({})),
            component,
        ])
        .await;
    let users: Vec<Value> = world.list("/v1/users", 50).await;
    assert_eq!(users, Vec::<Value>::new());
}

fn full() -> Value {
    json!({
        "subscribe": 1,
        "nickname": "👩‍👩‍👧 小鱼🐟 \u{1f468}\u{1f3fd}",
        "sex": 2,
        "language": "zh_CN",
        "city": "广州",
        "province": "广东",
        "country": "中国",
        "headimgurl": "http://thirdwx.qlogo.cn/mmopen/x/0",
        "subscribe_time": T0,
        "unionid": "o6_bmasdasdsad6_2sgVt7hMZOPfL",
        "remark": "VIP ✨",
        "groupid": 2,
        "tagid_list": [128, 2],
        "subscribe_scene": "ADD_SCENE_QR_CODE",
        "qr_scene": 98765,
        "qr_scene_str": "",
    })
}

async fn a_profile_is_kept_in_full_emoji_and_all(world: World) {
    world.create(&[snapshot("p", "oA", T0, full())]).await;
    let user = world.user("oA").await.user;
    let mut expected: WechatUser = serde_json::from_value(full()).unwrap();
    expected.openid = "oA".into();
    assert_eq!(user.profile, Some(expected));
    assert_eq!(user.profile_at, Some(time(T0)));
    assert_eq!(
        user.unionid.as_deref(),
        Some("o6_bmasdasdsad6_2sgVt7hMZOPfL")
    );
}

async fn the_name_to_show_is_the_remark_else_the_nickname_else_a_neutral_one(world: World) {
    world
        .create(&[
            snapshot("1", "oA", T0, json!({"nickname": "fish", "remark": "VIP"})),
            snapshot("2", "oB", T0, json!({"nickname": "fish", "remark": ""})),
            snapshot("3", "oC", T0, json!({"remark": ""})),
            snapshot("4", "o名0123456", T0, json!({})),
        ])
        .await;
    for (openid, name, shown) in [
        ("oA", Some("VIP"), "VIP"),
        ("oB", Some("fish"), "fish"),
        ("oC", None, "#oC"),
        ("o名0123456", None, "#123456"),
    ] {
        let user = world.user(openid).await.user;
        assert_eq!((user.name.as_deref(), &*user.display_name), (name, shown));
    }
}

async fn a_newer_profile_replaces_what_it_carries_and_no_more(world: World) {
    world.create(&[snapshot("p1", "oA", T0, full())]).await;
    // What `user/info` answers since 2021, after the operators cleared the remark and changed the tags.
    let now = json!({"subscribe": 1, "subscribe_time": T0, "remark": "", "tagid_list": [], "nickname": "", "sex": 0});
    world.create(&[snapshot("p2", "oA", T0 + 10, now)]).await;
    // An old answer that was late.
    let late = json!({"subscribe": 1, "subscribe_time": T0, "remark": "late", "city": "late"});
    world.create(&[snapshot("p0", "oA", T0 - 10, late)]).await;
    let mut expected: WechatUser = serde_json::from_value(full()).unwrap();
    expected.openid = "oA".into();
    expected.remark = Some(String::new());
    expected.tagid_list = Some(vec![]);
    // How they came belongs to the time they came, and the newer profile told both as unknown.
    expected.subscribe_scene = None;
    expected.qr_scene = None;
    expected.qr_scene_str = None;
    assert_eq!(world.user("oA").await.user.profile, Some(expected));
}

async fn a_profile_before_any_push_makes_the_person_known(world: World) {
    world.create(&[snapshot("p", "oA", T0, full())]).await;
    let user = world.user("oA").await;
    assert_eq!(user.counts.messages, 0);
    assert_eq!(user.last_message_at, None);
    assert_eq!(user.user.account, ACCOUNT);
}

async fn the_earliest_event_says_since_when_they_are_known(world: World) {
    for (id, second) in [("b", T0 + 5), ("a", T0 - 5), ("c", T0 + 9)] {
        world.create(&[text(id, "oA", second, id)]).await;
    }
    let user = world.user("oA").await;
    assert_eq!(user.user.first_seen_at, time(T0 - 5));
    assert_eq!(user.last_message_at, Some(time(T0 + 9)));
}

async fn numbers_and_texts_are_read_alike(world: World) {
    let fields = json!({"subscribe": "1", "subscribe_time": T0.to_string(), "sex": "2", "nickname": 12, "groupid": "3"});
    world.create(&[snapshot("p", "oA", T0, fields)]).await;
    let profile = world.user("oA").await.user.profile.unwrap();
    assert_eq!(profile.subscribe, Some(1));
    assert_eq!(profile.sex, Some(2));
    assert_eq!(profile.nickname.as_deref(), Some("12"));
    assert_eq!(profile.groupid, Some(3));
}

async fn a_stranger_is_not_found(world: World) {
    world.create(&[text("a", "oA", T0, "hello")]).await;
    for path in [
        format!("/v1/users/{ACCOUNT}/oStranger"),
        "/v1/users/elsewhere/oA".to_owned(),
        // A NUL is no part of any openid, and PostgreSQL cannot even be asked for one.
        format!("/v1/users/{ACCOUNT}/o%00A"),
    ] {
        let response = world.http.get(world.url(&path)).send().await.unwrap();
        assert_eq!(response.status(), 404, "{path}");
    }
}
