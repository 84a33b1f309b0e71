//! Pages.

use serde_json::json;
use weir_login::{Head, Identity};

use crate::world::{End, SESSION_LASTS_S, World, cookie_of, header};

/// A browser that is sent to WeChat: the URL, the `state`, its cookie.
fn sent_away(world: &mut World, target: &str) -> (String, String, String) {
    let answer = world.get(target, None).answer();
    assert_eq!(answer.status, 302);
    let url = header(&answer, "location").expect("a place").to_owned();
    let state = url
        .split("&state=")
        .nth(1)
        .and_then(|rest| rest.strip_suffix("#wechat_redirect"))
        .expect("a state")
        .to_owned();
    let cookie = cookie_of(header(&answer, "set-cookie").expect("a cookie"));
    (url, state, cookie)
}

fn knows(world: &mut World, openid: &str) {
    let user = json!({"access_token": "of-the-user", "expires_in": 7200, "refresh_token": "r",
        "openid": openid, "scope": "snsapi_base", "unionid": "u-9"});
    world
        .says
        .insert("/sns/oauth2/access_token", vec![(200, user)]);
}

#[test]
fn a_stranger_goes_to_wechat_and_comes_back_known() {
    let mut world = World::new();
    let (url, state, cookie) = sent_away(&mut world, "/shop/cart?item=5&n=1");
    assert_eq!(
        url,
        format!(
            "https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx-oa&redirect_uri=https%3A%2F%2Fshop.example.com%2Fweir%2Flogin&response_type=code&scope=snsapi_base&state={state}#wechat_redirect"
        )
    );
    assert!(state.len() == 32 && state.bytes().all(|b| b.is_ascii_alphanumeric()));
    knows(&mut world, "o-web");
    let back = format!("/weir/login?code=c-9&state={state}");
    let answer = world.get(&back, Some(&cookie)).answer();
    assert_eq!(
        (answer.status, header(&answer, "location")),
        (302, Some("/shop/cart?item=5&n=1"))
    );
    assert_eq!(
        world.asked[0].path,
        "/sns/oauth2/access_token?appid=wx-oa&secret=secret-of-oa&code=c-9&grant_type=authorization_code"
    );
    let cookies: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name == "set-cookie")
        .collect();
    assert_eq!(cookies.len(), 2, "the session, and the state is taken away");
    assert!(cookies[1].1.starts_with("weir_state_") && cookies[1].1.contains("Max-Age=0"));
    let session = cookie_of(&cookies[0].1);
    let who = Identity {
        account: "oa".to_owned(),
        openid: Some("o-web".to_owned()),
        unionid: Some("u-9".to_owned()),
        uid: None,
    };
    let jar = format!("theme=dark; {session}; x=y");
    assert_eq!(
        world.get("/shop/cart", Some(&jar)),
        End::Passed(Some(who), None)
    );
    assert_eq!(world.events[0]["data"]["by"], "web");
    world.later(SESSION_LASTS_S);
    assert_eq!(world.get("/shop/cart", Some(&jar)).answer().status, 302);
}

#[test]
fn a_state_is_good_for_the_browser_that_has_its_cookie_and_for_ten_minutes() {
    let mut world = World::new();
    let (_, state, cookie) = sent_away(&mut world, "/shop/");
    let (_, another, _) = sent_away(&mut world, "/shop/");
    knows(&mut world, "o-web");
    let forged = cookie.replace(&cookie[20..28], "AAAAAAAA");
    let swapped = cookie.replace(&state[..8], &another[..8]);
    for (given, jar) in [
        (state.as_str(), None),
        (&another, Some(cookie.as_str())),
        (&another, Some(swapped.as_str())),
        (&state, Some(forged.as_str())),
        ("", Some(cookie.as_str())),
        ("x", Some(cookie.as_str())),
    ] {
        let back = format!("/weir/login?code=c&state={given}");
        assert_eq!(
            world.get(&back, jar).answer().status,
            400,
            "{given} {jar:?}"
        );
    }
    assert!(world.asked.is_empty());
    world.later(600);
    let back = format!("/weir/login?code=c&state={state}");
    assert_eq!(world.get(&back, Some(&cookie)).answer().status, 400);
}

#[test]
fn who_does_not_agree_and_who_sees_a_snapshot_is_not_let_in() {
    let mut world = World::new();
    let (_, state, cookie) = sent_away(&mut world, "/shop/");
    let back = format!("/weir/login?state={state}");
    assert_eq!(world.get(&back, Some(&cookie)).answer().status, 403);
    let snapshot = json!({"access_token": "t", "openid": "o-nobody", "is_snapshotuser": 1});
    world
        .says
        .insert("/sns/oauth2/access_token", vec![(200, snapshot)]);
    let back = format!("/weir/login?code=c&state={state}");
    let answer = world.get(&back, Some(&cookie)).answer();
    assert_eq!(answer.status, 403);
    assert!(header(&answer, "set-cookie").is_none() && world.events.is_empty());
}

#[test]
fn a_used_code_ends_in_a_page_and_not_in_a_circle() {
    let mut world = World::new();
    let (_, state, cookie) = sent_away(&mut world, "/shop/");
    let used = json!({"errcode": 40163, "errmsg": "code been used"});
    world
        .says
        .insert("/sns/oauth2/access_token", vec![(200, used)]);
    let back = format!("/weir/login?code=c&state={state}");
    let answer = world.get(&back, Some(&cookie)).answer();
    assert_eq!(answer.status, 400);
    assert!(header(&answer, "location").is_none());
}

#[test]
fn where_names_are_wanted_the_user_is_asked_for_it() {
    let mut world = World::new();
    let (url, state, cookie) = sent_away(&mut world, "/shop/club/");
    assert!(url.contains("scope=snsapi_userinfo"));
    knows(&mut world, "o-club");
    let profile = json!({"openid": "o-club", "nickname": "小明", "headimgurl": "https://example.com/p", "privilege": []});
    world.says.insert("/sns/userinfo", vec![(200, profile)]);
    let back = format!("/weir/login?code=c&state={state}");
    let answer = world.get(&back, Some(&cookie)).answer();
    assert_eq!(header(&answer, "location"), Some("/shop/club/"));
    assert_eq!(
        world.asked[1].path,
        "/sns/userinfo?access_token=of-the-user&openid=o-club&lang=zh_CN"
    );
    assert_eq!(world.events[0]["data"]["nickname"], "小明");
}

#[test]
fn no_other_spelling_of_a_page_gets_round_the_login() {
    let mut world = World::new();
    for path in [
        "/shop",
        "/%73hop/cart",
        "/sho%70",
        "/shop%2Fcart",
        "/shop/%2e%2e/",
        "/shop/?x",
    ] {
        assert_eq!(world.get(path, None).answer().status, 302, "{path}");
    }
}

#[test]
fn a_program_is_told_and_not_sent_elsewhere() {
    let mut world = World::new();
    for (method, accept) in [("GET", "application/json"), ("POST", "text/html")] {
        let head = Head {
            method,
            target: "/shop/api",
            accept: Some(accept),
            ends: true,
            ..Head::default()
        };
        assert_eq!(world.request(&head, Vec::new()).answer().status, 401);
    }
}

#[test]
fn a_guest_keeps_its_negative_uid_and_is_asked_to_log_in_elsewhere() {
    let mut world = World::new();
    let End::Passed(Some(who), Some(cookie)) = world.get("/news/today", None) else {
        panic!("a guest comes in");
    };
    assert!(who.openid.is_none() && who.uid.is_some_and(|uid| uid < 0));
    let jar = cookie_of(&cookie);
    assert_eq!(
        world.get("/news/", Some(&jar)),
        End::Passed(Some(who), None)
    );
    assert_eq!(world.get("/shop/", Some(&jar)).answer().status, 302);
    let End::Passed(Some(other), _) = world.get("/news", None) else {
        panic!("a guest comes in");
    };
    assert!(other.uid.is_some_and(|uid| uid < 0));
}

#[test]
fn a_flood_of_cookies_is_not_all_opened() {
    let mut world = World::new();
    let End::Passed(Some(who), Some(cookie)) = world.get("/news/", None) else {
        panic!("a guest comes in");
    };
    let mine = cookie_of(&cookie);
    let forged = format!("weir_session_oa={}; ", "A".repeat(80));
    let jar = format!("{}{mine}", forged.repeat(3));
    assert_eq!(
        world.get("/news/", Some(&jar)),
        End::Passed(Some(who), None)
    );
    let jar = format!("{}{mine}", forged.repeat(4));
    assert!(matches!(
        world.get("/news/", Some(&jar)),
        End::Passed(Some(_), Some(_))
    ));
}

#[test]
fn the_rest_of_the_site_is_everybodys() {
    let mut world = World::new();
    assert_eq!(world.get("/", None), End::Passed(None, None));
    assert_eq!(
        world.get("/shopping", Some("weir_session_oa=AAAA")),
        End::Passed(None, None)
    );
}
