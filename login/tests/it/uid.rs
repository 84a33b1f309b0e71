//! Which person a user is: the store says it, or the login goes on without.

use serde_json::{Value, json};
use weir_login::Identity;
use weir_login::metric::Metric;

use crate::world::{End, Mood, World, config, cookie_of, header};

/// The uid that the application learns of whoever logs in now.
fn uid_after_login(world: &mut World) -> Option<i64> {
    let session = world.logged_in("the-session-key");
    match world.post("/api/orders", Some(&session), &json!({})) {
        End::Passed(Some(Identity { uid, .. }), None) => uid,
        other => panic!("{other:?}"),
    }
}

fn ids(world: &World) -> Vec<&Value> {
    world.events.iter().map(|event| &event["id"]).collect()
}

#[test]
fn the_application_learns_which_person_logged_in() {
    let mut world = World::new();
    world.store = Mood::Knows(Some(77));
    assert_eq!(uid_after_login(&mut world), Some(77));
    assert_eq!(world.waits, [800]);
    assert_eq!(world.events.len(), 1, "it is told once");
    assert_eq!(world.events[0]["weirask"], "uid");
    assert_eq!(world.events[0]["type"], "weir.session.started");
}

#[test]
fn so_it_does_of_who_comes_by_a_page() {
    let mut world = World::new();
    world.store = Mood::Knows(Some(78));
    let away = world.get("/shop/", None).answer();
    let url = header(&away, "location").expect("a place");
    let (_, state) = url.split_once("&state=").expect("a state");
    let back = format!("/weir/login?code=c&state={}", &state[..32]);
    let cookie = cookie_of(header(&away, "set-cookie").expect("a cookie"));
    let user = json!({"access_token": "t", "openid": "o-web"});
    world
        .says
        .insert("/sns/oauth2/access_token", vec![(200, user)]);
    let home = world.get(&back, Some(&cookie)).answer();
    assert_eq!(
        (home.status, header(&home, "location")),
        (302, Some("/shop/"))
    );
    let jar = cookie_of(header(&home, "set-cookie").expect("a session"));
    let End::Passed(Some(who), None) = world.get("/shop/cart", Some(&jar)) else {
        panic!("nobody is known");
    };
    assert_eq!((who.openid.as_deref(), who.uid), (Some("o-web"), Some(78)));
    assert_eq!(world.events.len(), 1);
}

#[test]
fn without_the_store_a_login_works_and_the_store_learns_of_it_later() {
    let mut world = World::new();
    world.store = Mood::IsAway(3);
    assert_eq!(uid_after_login(&mut world), None);
    assert_eq!((world.waits.len(), world.events.len()), (1, 1));
    assert!(
        world
            .counted
            .iter()
            .all(|metric| !matches!(metric, Metric::Lost { .. }))
    );
    // It is back.
    world.store = Mood::Knows(Some(77));
    assert_eq!(uid_after_login(&mut world), Some(77));
}

#[test]
fn nobody_waits_for_a_store_that_is_known_to_be_away() {
    let mut world = World::new();
    world.store = Mood::IsAway(u32::MAX);
    for _ in 0..3 {
        let user = json!({"openid": "o-mini", "session_key": "k"});
        world.says.insert("/sns/jscode2session", vec![(200, user)]);
        world.let_be(|world| {
            let code = json!({"code": "c"});
            let answer = world.post("/login/mini/login", None, &code).answer();
            assert_eq!(answer.status, 200);
        });
    }
    assert_eq!(world.waits.len(), 1);
    world.store = Mood::Knows(Some(77));
    world.settle();
    assert_eq!(world.events.len(), 3, "none is lost");
}

#[test]
fn an_answer_that_is_lost_has_the_store_told_again_under_the_same_name() {
    let mut world = World::new();
    world.store = Mood::IsLate(1);
    assert_eq!(uid_after_login(&mut world), None);
    let ids = ids(&world);
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn what_the_store_says_is_no_uid_unless_it_is_one() {
    let result = |uid: Value| json!({"results": [{"id": "i", "status": "created", "uid": uid}]});
    for said in [
        json!({}),
        json!([]),
        json!({"results": []}),
        result(json!(null)),
        result(json!(0)),
        result(json!(-5)),
        result(json!("77")),
    ] {
        let mut world = World::new();
        world.store = Mood::Says(said.clone());
        assert_eq!(uid_after_login(&mut world), None, "{said}");
        assert_eq!(world.events.len(), 1, "{said}");
    }
    let mut world = World::new();
    let rejected = json!({"results": [{"id": "i", "status": "rejected", "reason": "no"}]});
    world.store = Mood::Says(rejected);
    assert_eq!(uid_after_login(&mut world), None);
    let reason = "rejected";
    assert!(world.counted.contains(&Metric::Lost { reason }));
}

#[test]
fn who_does_not_want_to_wait_asks_nothing() {
    let mut config = config();
    config.limits.uid_wait_ms = 0;
    let mut world = World::with(config);
    world.store = Mood::Knows(Some(77));
    assert_eq!(uid_after_login(&mut world), None);
    assert!(world.waits.is_empty());
    assert_eq!(world.events[0]["weirask"], Value::Null);
}

#[test]
fn a_site_without_a_store_lets_people_in() {
    let mut config = config();
    config.store = None;
    let mut world = World::with(config);
    assert_eq!(uid_after_login(&mut world), None);
    assert!(world.events.is_empty());
}
