//! Tags: at WeChat by stores that are processes of their own and are killed, and in the store where WeChat has none.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use weir_store_api::jobs::JobState;
use weir_store_api::read::{Page, Problem, UserDetail};
use weir_store_api::tags::{Tag, TagOperation, TagPlace, Tags, TagsChanged};

use crate::door::{APPID, Door, Hold};
use crate::process::Process;
use crate::syncs::{LEASE, start};
use crate::world::{ACCOUNT, Database, T0, World, snapshot, subscribe};

const CREATE: &str = "/cgi-bin/tags/create";
const GIVE: &str = "/cgi-bin/tags/members/batchtagging";
const TAKE: &str = "/cgi-bin/tags/members/batchuntagging";
const TAGS: &str = "/v1/accounts/demo/tags";
const OPERATIONS: &str = "/v1/accounts/demo/tag-operations";

mod here {
    use super::*;

    on_both_databases! {
        without_a_door_tags_are_the_stores_own,
        a_user_has_twenty_tags_and_an_account_a_hundred,
    }
}

mod at_wechat {
    crate::syncs::with_both_databases! {
        tags_are_made_renamed_given_taken_and_deleted,
        who_is_wrong_is_found_and_who_has_too_many_is_not_asked_about,
        what_wechat_would_refuse_is_refused_with_a_clear_word,
        a_store_that_is_killed_leaves_what_was_accepted_to_the_next,
        a_tag_that_was_made_before_the_kill_is_not_made_twice,
        a_used_up_quota_is_waited_for_and_what_comes_later_waits_behind_it,
        of_two_stores_one_makes_the_change,
        an_account_that_may_not_use_tags_keeps_them_in_the_store,
        a_sync_brings_the_tags_as_wechat_has_them,
        who_is_erased_is_named_by_no_job_and_gets_no_tag,
    }
    use super::*;
}

async fn raw(base: &str, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = reqwest::Client::new().request(method, format!("{base}{path}"));
    let response = request.json(body).send().await.unwrap();
    let status = response.status();
    let body = response.text().await.unwrap();
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

async fn call<T: DeserializeOwned>(
    base: &str,
    (method, path): (Method, &str),
    body: Value,
    expected: u16,
) -> T {
    let (status, answer) = raw(base, method, path, &body).await;
    assert_eq!(status.as_u16(), expected, "{path}: {answer}");
    serde_json::from_value(answer).unwrap()
}

async fn make(base: &str, name: &str) -> Tag {
    call(base, (Method::POST, TAGS), json!({ "name": name }), 201).await
}

async fn list(base: &str) -> Tags {
    call(base, (Method::GET, TAGS), Value::Null, 200).await
}

fn members(id: i64) -> String {
    format!("{TAGS}/{id}/members")
}

fn openid(number: u32) -> String {
    format!("oF{number:07}")
}

fn openids(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(openid).collect()
}

/// Waits until a change is as it should be.
async fn when(store: &Process, id: i64, is_so: impl Fn(&TagOperation) -> bool) -> TagOperation {
    let begun = Instant::now();
    loop {
        let path = format!("{OPERATIONS}/{id}");
        let found: TagOperation = call(&store.url, (Method::GET, &path), Value::Null, 200).await;
        if is_so(&found) {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "{found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The tags that WeChat has of a user.
fn tags_of(door: &Door, openid: &str) -> Value {
    door.world.user(ACCOUNT, openid).unwrap().unwrap()["tagid_list"].take()
}

async fn tags_are_made_renamed_given_taken_and_deleted(database: Database) {
    let door = Door::start(130).await;
    let store = start(&database, &door, &[]).await;
    let base = store.url.as_str();
    let made = make(base, "广东").await;
    assert_eq!((made.id, made.name.as_str()), (100, "广东"));
    assert_eq!((made.place, made.why_local), (TagPlace::Wechat, None));
    let tag = format!("{TAGS}/100");
    let name = json!({"name": "广西"});
    let renamed: Tag = call(base, (Method::PATCH, &tag), name, 200).await;
    assert_eq!((renamed.id, renamed.name.as_str()), (100, "广西"));
    let body = json!({"openids": openids(0..120)});
    let given: TagsChanged = call(base, (Method::POST, &members(100)), body, 200).await;
    assert_eq!((given.done.len(), given.later.len()), (120, 0));
    assert_eq!(door.count(GIVE), 3);
    let body = json!({"openids": openids(0..20)});
    let taken: TagsChanged = call(base, (Method::DELETE, &members(100)), body, 200).await;
    assert_eq!((taken.done.len(), door.count(TAKE)), (20, 1));
    assert_eq!(tags_of(&door, &openid(5)), json!([]));
    // The store shows it at once.
    for (number, expected) in [(5, vec![]), (100, vec![100])] {
        let path = format!("/v1/users/{ACCOUNT}/{}", openid(number));
        let user: UserDetail = call(base, (Method::GET, &path), Value::Null, 200).await;
        assert_eq!(user.user.profile.unwrap().tagid_list, Some(expected));
    }
    let all = list(base).await;
    assert_eq!(all.warning, None);
    let ours = all.items.iter().find(|tag| tag.id == 100).unwrap();
    assert_eq!((ours.name.as_str(), ours.count), ("广西", Some(100)));
    let (status, _) = raw(base, Method::DELETE, &tag, &Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(!list(base).await.items.iter().any(|tag| tag.id == 100));
    let gone: Problem = call(base, (Method::DELETE, &tag), Value::Null, 404).await;
    assert_eq!(gone.errcode, Some(45159));
    let made: Page<TagOperation> = call(base, (Method::GET, OPERATIONS), Value::Null, 200).await;
    assert_eq!(made.items.len(), 6);
    assert_eq!(made.items[0].state, JobState::Failed);
    assert_eq!(made.items[5].tag.as_ref().unwrap().id, 100);
}

async fn who_is_wrong_is_found_and_who_has_too_many_is_not_asked_about(database: Database) {
    let door = Door::start(110).await;
    let tags = (100..121).map(|id| (id, format!("t{id}"))).collect();
    door.world.set_tags(ACCOUNT, tags).unwrap();
    let full = weir_sim::api::Profile {
        tagid_list: (100..120).collect(),
        ..Default::default()
    };
    door.world.set_profile(ACCOUNT, &openid(7), full).unwrap();
    let store = start(&database, &door, &[]).await;
    let base = store.url.as_str();
    let sync = json!({"appid": APPID, "openids": [openid(7)]});
    let path = "/v1/accounts/demo/syncs";
    let asked: Value = call(base, (Method::POST, path), sync, 202).await;
    let path = format!("{path}/{}", asked["id"]);
    loop {
        let sync: Value = call(base, (Method::GET, &path), Value::Null, 200).await;
        if sync["state"] == "done" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The store knows that they have twenty: WeChat is not asked about them.
    let body = json!({"openids": [openid(7)]});
    let refused: TagsChanged = call(base, (Method::POST, &members(120)), body, 200).await;
    assert_eq!(refused.refused[0].errcode, 45059);
    assert_eq!(door.count(GIVE), 0);
    // Who has it already may have it.
    let body = json!({"openids": [openid(7)]});
    let again: TagsChanged = call(base, (Method::POST, &members(119)), body, 200).await;
    assert_eq!(again.done, [openid(7)]);
    let mut some = openids(0..100);
    // What PostgreSQL's JSON cannot hold is nobody's openid, either.
    some.extend(["stranger", "no openid", "no\0openid", r"no\u0000openid"].map(str::to_owned));
    // Nor is what an index cannot.
    let long: String = (0..4_000).map(|_| fastrand::alphanumeric()).collect();
    some.push(long.clone());
    let body = json!({ "openids": some });
    let changed: TagsChanged = call(base, (Method::POST, &members(120)), body, 200).await;
    assert_eq!(changed.done.len(), 99);
    let mut refused: Vec<_> = changed
        .refused
        .iter()
        .map(|one| (one.openid.as_str(), one.errcode))
        .collect();
    refused.sort_unstable_by_key(|(openid, _)| (openid.len() < 4_000, *openid));
    let seven = openid(7);
    assert_eq!(
        refused,
        [
            (long.as_str(), 40003),
            ("no\0openid", 40003),
            ("no openid", 40003),
            (r"no\u0000openid", 40003),
            (seven.as_str(), 45059),
            ("stranger", 40003)
        ]
    );
}

async fn what_wechat_would_refuse_is_refused_with_a_clear_word(database: Database) {
    let door = Door::start(1).await;
    let store = start(&database, &door, &[]).await;
    let base = store.url.as_str();
    for (body, status) in [
        (json!({"name": ""}), 400),
        (json!({"name": "名".repeat(31)}), 400),
        (json!({"name": "a\nb"}), 400),
        (json!({"name": "a", "id": 1}), 400),
        (json!([]), 400),
        (json!({"name": "vip"}), 201),
        (json!({"name": "vip"}), 409),
    ] {
        let (answered, problem) = raw(base, Method::POST, TAGS, &body).await;
        assert_eq!(answered.as_u16(), status, "{body}: {problem}");
    }
    assert_eq!(door.count(CREATE), 1);
    let tag = format!("{TAGS}/2");
    let ours: Problem = call(base, (Method::DELETE, &tag), Value::Null, 422).await;
    assert_eq!(ours.errcode, Some(45058));
    let detail = ours.detail.unwrap();
    assert!(detail.contains("one of WeChat's own"), "{detail}");
    for openids in [json!([]), json!(openids(0..1_001))] {
        let body = json!({ "openids": openids });
        let _: Problem = call(base, (Method::POST, &members(100)), body, 400).await;
    }
    let body = json!({"openids": [openid(0)]});
    let none: Problem = call(base, (Method::POST, &members(7)), body, 404).await;
    assert_eq!(none.errcode, Some(45159));
    // A hundred is as many as there may be.
    let tags: BTreeMap<i64, String> = (100..200).map(|id| (id, format!("t{id}"))).collect();
    door.world.set_tags(ACCOUNT, tags).unwrap();
    let body = json!({"name": "one more"});
    let full: Problem = call(base, (Method::POST, TAGS), body, 409).await;
    assert_eq!((full.errcode, door.count(CREATE)), (Some(45056), 1));
}

async fn a_store_that_is_killed_leaves_what_was_accepted_to_the_next(database: Database) {
    let door = Door::start(100).await;
    let tags = BTreeMap::from([(100, "vip".to_owned())]);
    door.world.set_tags(ACCOUNT, tags).unwrap();
    let store = start(&database, &door, &LEASE).await;
    door.hold(GIVE, Hold::Before);
    let body = json!({"openids": openids(0..60)});
    let accepted: TagOperation = call(&store.url, (Method::POST, &members(100)), body, 202).await;
    assert!(!accepted.state.is_over());
    assert_eq!(accepted.members.unwrap().later.len(), 60);
    // What comes later is done later.
    let body = json!({"openids": openids(0..10)});
    let taken: TagOperation = call(&store.url, (Method::DELETE, &members(100)), body, 202).await;
    store.kill().await;
    assert_eq!(tags_of(&door, &openid(50)), json!([]));
    door.hold(GIVE, Hold::Not);
    let store = start(&database, &door, &LEASE).await;
    let done = when(&store, accepted.id, |found| found.state.is_over()).await;
    assert_eq!(done.state, JobState::Done, "{done:?}");
    assert_eq!(done.members.unwrap().done.len(), 60);
    let done = when(&store, taken.id, |found| found.state.is_over()).await;
    assert_eq!(done.state, JobState::Done, "{done:?}");
    for number in 0..100 {
        let expected = if (10..60).contains(&number) {
            json!([100])
        } else {
            json!([])
        };
        assert_eq!(tags_of(&door, &openid(number)), expected, "{number}");
    }
}

async fn a_tag_that_was_made_before_the_kill_is_not_made_twice(database: Database) {
    let door = Door::start(1).await;
    let store = start(&database, &door, &LEASE).await;
    door.hold(CREATE, Hold::After);
    let body = json!({"name": "vip"});
    let accepted: TagOperation = call(&store.url, (Method::POST, TAGS), body, 202).await;
    assert_eq!(door.count(CREATE), 1);
    store.kill().await;
    door.hold(CREATE, Hold::Not);
    let store = start(&database, &door, &LEASE).await;
    let done = when(&store, accepted.id, |found| found.state.is_over()).await;
    assert_eq!(done.state, JobState::Done, "{done:?}");
    assert_eq!(done.tag.unwrap().id, 100);
    let all = list(&store.url).await.items;
    assert_eq!(all.iter().filter(|tag| tag.name == "vip").count(), 1);
    assert_eq!(door.count(CREATE), 1);
}

async fn a_used_up_quota_is_waited_for_and_what_comes_later_waits_behind_it(database: Database) {
    let door = Door::start(10).await;
    let tags = BTreeMap::from([(100, "vip".to_owned())]);
    door.world.set_tags(ACCOUNT, tags).unwrap();
    let store = start(&database, &door, &[]).await;
    door.refuse(GIVE, 45009);
    let body = json!({"openids": openids(0..3)});
    let given: TagOperation = call(&store.url, (Method::POST, &members(100)), body, 202).await;
    let resting = when(&store, given.id, |found| found.state == JobState::Resting).await;
    assert_eq!(resting.errcode, Some(45009));
    // 00:00 in Beijing is 16:00 in UTC.
    let due = resting.due_at.unwrap();
    assert!(due.contains("T16:0"), "{due}");
    let body = json!({"openids": openids(0..3)});
    let taken: TagOperation = call(&store.url, (Method::DELETE, &members(100)), body, 202).await;
    assert_eq!(taken.state, JobState::Waiting);
    assert_eq!(door.count(TAKE), 0);
}

async fn of_two_stores_one_makes_the_change(database: Database) {
    let door = Door::start(500).await;
    let stores = [
        start(&database, &door, &[]).await,
        start(&database, &door, &[]).await,
    ];
    for (place, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        let store = &stores[place % 2];
        let tag = make(&store.url, name).await;
        let body = json!({"openids": openids(0..250)});
        let given: TagsChanged =
            call(&store.url, (Method::POST, &members(tag.id)), body, 200).await;
        assert_eq!(given.done.len(), 250);
    }
    assert_eq!((door.count(CREATE), door.count(GIVE)), (4, 20));
}

async fn an_account_that_may_not_use_tags_keeps_them_in_the_store(database: Database) {
    let door = Door::start(3).await;
    for path in ["/cgi-bin/tags/get", CREATE] {
        door.refuse(path, 48001);
    }
    let store = start(&database, &door, &[]).await;
    let base = store.url.as_str();
    let made = make(base, "vip").await;
    assert_eq!((made.id, made.place), (-1, TagPlace::Local));
    let why = made.why_local.unwrap();
    assert!(why.contains("may not make this call"), "{why}");
    let body = json!({"name": "vip"});
    let twice: Problem = call(base, (Method::POST, TAGS), body, 409).await;
    assert_eq!(twice.errcode, Some(45157));
    let all = list(base).await;
    assert_eq!(all.items.len(), 1);
    let warning = all.warning.unwrap();
    assert!(warning.contains("48001"), "{warning}");
    assert_eq!(door.count(CREATE), 0);
}

async fn a_sync_brings_the_tags_as_wechat_has_them(database: Database) {
    let door = Door::start(3).await;
    let tags = BTreeMap::from([(2, "星标组".to_owned()), (100, "old".to_owned())]);
    door.world.set_tags(ACCOUNT, tags).unwrap();
    let store = start(&database, &door, &["--door-rate", "1000"]).await;
    let base = store.url.as_str();
    assert_eq!(list(base).await.items.len(), 2);
    let tags = BTreeMap::from([(2, "星标组".to_owned()), (101, "new".to_owned())]);
    door.world.set_tags(ACCOUNT, tags).unwrap();
    let path = "/v1/accounts/demo/syncs";
    let asked: Value = call(base, (Method::POST, path), json!({"appid": APPID}), 202).await;
    let path = format!("{path}/{}", asked["id"]);
    loop {
        let sync: Value = call(base, (Method::GET, &path), Value::Null, 200).await;
        if sync["state"] == "done" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    door.refuse("/cgi-bin/tags/get", 48001);
    let all = list(base).await;
    assert!(all.warning.is_some());
    let known: Vec<_> = all
        .items
        .iter()
        .map(|tag| (tag.id, tag.name.as_str()))
        .collect();
    assert_eq!(known, [(2, "星标组"), (101, "new")]);
}

async fn without_a_door_tags_are_the_stores_own(world: World) {
    world
        .create(&[subscribe("1", "o1", T0, ""), subscribe("2", "o2", T0, "")])
        .await;
    let base = world.url("");
    let base = base.trim_end_matches('/');
    let made = make(base, "vip").await;
    assert_eq!((made.id, made.place), (-1, TagPlace::Local));
    assert!(made.why_local.unwrap().contains("without --door"));
    make(base, "other").await;
    let body = json!({"name": "vip"});
    let twice: Problem = call(base, (Method::POST, TAGS), body.clone(), 409).await;
    assert_eq!(twice.errcode, Some(45157));
    let tag = format!("{TAGS}/-1");
    let other = json!({"name": "other"});
    let taken: Problem = call(base, (Method::PATCH, &tag), other, 409).await;
    assert_eq!(taken.errcode, Some(45157));
    let renamed: Tag = call(base, (Method::PATCH, &tag), json!({"name": "VIP"}), 200).await;
    assert_eq!(renamed.name, "VIP");
    let body = json!({"openids": ["o1", "o2", "oNobody", "no openid"]});
    let given: TagsChanged = call(base, (Method::POST, &members(-1)), body, 200).await;
    assert_eq!(given.done, ["o1", "o2"]);
    assert!(given.refused.iter().all(|one| one.errcode == 40003));
    assert_eq!(given.refused.len(), 2);
    assert_eq!(world.user("o1").await.user.local_tags, [-1]);
    let uid = world.user("o1").await.uid;
    let local = async || {
        let path = format!("/v1/people/{uid}");
        let person: Value = call(base, (Method::GET, &path), Value::Null, 200).await;
        person["identities"][0]["local_tags"].clone()
    };
    assert_eq!(local().await, json!([-1]));
    let all = list(base).await;
    assert!(all.warning.unwrap().contains("without --door"));
    let counts: Vec<_> = all.items.iter().map(|tag| (tag.id, tag.count)).collect();
    assert_eq!(counts, [(-2, Some(0)), (-1, Some(2))]);
    let body = json!({"openids": ["o2", "oNobody"]});
    let taken: TagsChanged = call(base, (Method::DELETE, &members(-1)), body, 200).await;
    assert_eq!((taken.done.len(), taken.refused.len()), (1, 1));
    let users: Page<weir_store_api::read::User> = world.get("/v1/users").await;
    let tags: Vec<_> = users
        .items
        .iter()
        .map(|user| (user.openid.as_str(), user.local_tags.as_slice()))
        .collect();
    assert_eq!(tags, [("o2", &[][..]), ("o1", &[-1])]);
    let (status, _) = raw(base, Method::DELETE, &tag, &Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(local().await, json!([]));
    let gone: Problem = call(base, (Method::DELETE, &tag), Value::Null, 404).await;
    assert_eq!(gone.errcode, Some(45159));
    // One of WeChat's cannot be changed from here.
    let closed: Problem = call(
        base,
        (Method::DELETE, &format!("{TAGS}/100")),
        Value::Null,
        409,
    )
    .await;
    assert_eq!(closed.kind, "urn:weir:store:no-door");
}

async fn a_user_has_twenty_tags_and_an_account_a_hundred(world: World) {
    let list: Vec<i64> = (100..115).collect();
    let profile = json!({"subscribe": 1, "subscribe_time": T0, "tagid_list": list});
    world.create(&[snapshot("s", "o1", T0, profile)]).await;
    let base = world.url("");
    let base = base.trim_end_matches('/');
    for number in 0..100 {
        make(base, &format!("t{number}")).await;
    }
    let body = json!({"name": "one more"});
    let full: Problem = call(base, (Method::POST, TAGS), body, 409).await;
    assert_eq!(full.errcode, Some(45056));
    for id in 1..=6 {
        let body = json!({"openids": ["o1"]});
        let given: TagsChanged = call(base, (Method::POST, &members(-id)), body, 200).await;
        let errcodes: Vec<_> = given.refused.iter().map(|one| one.errcode).collect();
        let expected: &[i64] = if id <= 5 { &[] } else { &[45059] };
        assert_eq!(errcodes, expected, "{id}");
    }
    assert_eq!(world.user("o1").await.user.local_tags.len(), 5);
}

/// How many jobs name somebody, and how many rows say which do.
async fn naming(database: &Database, openid: &str) -> (i64, i64) {
    let jobs = format!(
        "SELECT COUNT(*) FROM jobs WHERE request LIKE '%{openid}%' OR counts LIKE '%{openid}%'"
    );
    let names = format!("SELECT COUNT(*) FROM job_names WHERE openid = '{openid}'");
    (database.number(&jobs).await, database.number(&names).await)
}

async fn who_is_erased_is_named_by_no_job_and_gets_no_tag(database: Database) {
    let door = Door::start(3).await;
    let tags = BTreeMap::from([(100, "vip".to_owned()), (101, "new".to_owned())]);
    door.world.set_tags(ACCOUNT, tags).unwrap();
    let store = start(&database, &door, &[]).await;
    let base = store.url.as_str();
    let all = json!({"openids": openids(0..3)});
    let given: TagsChanged = call(base, (Method::POST, &members(100)), all.clone(), 200).await;
    assert_eq!(given.done.len(), 3);
    let (syncs, appid) = ("/v1/accounts/demo/syncs", json!(APPID));
    let chosen = json!({"appid": appid, "openids": openids(0..3)});
    let asked: Value = call(base, (Method::POST, syncs), chosen, 202).await;
    let path = format!("{syncs}/{}", asked["id"]);
    while call::<Value>(base, (Method::GET, &path), Value::Null, 200).await["state"] != "done" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    door.refuse(GIVE, 45009);
    let waits: TagOperation = call(base, (Method::POST, &members(101)), all, 202).await;
    when(&store, waits.id, |found| found.state == JobState::Resting).await;
    let gone = openid(1);
    assert_eq!(naming(&database, &gone).await, (3, 3));

    let path = format!("/v1/users/{ACCOUNT}/{gone}");
    let user: UserDetail = call(base, (Method::GET, &path), Value::Null, 200).await;
    let path = format!("/v1/people/{}?by=Li&reason=asked", user.uid);
    let (status, _) = raw(base, Method::DELETE, &path, &Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(naming(&database, &gone).await, (0, 0));
    assert_eq!(naming(&database, &openid(2)).await, (3, 3));
    let made: Page<TagOperation> = call(base, (Method::GET, OPERATIONS), Value::Null, 200).await;
    let done = made.items.last().and_then(|made| made.members.clone());
    let those = [openid(0), "(erased)".to_owned(), openid(2)];
    assert_eq!(done.unwrap().done, those);

    // What waited goes on, without them.
    door.refuse(GIVE, 0);
    database.change("UPDATE jobs SET due_ms = 0").await;
    let done = when(&store, waits.id, |found| found.state.is_over()).await;
    let members = done.members.unwrap();
    assert_eq!(members.done, [openid(0), openid(2)]);
    assert_eq!(members.refused[0].openid, "(erased)");
    assert_eq!(tags_of(&door, &openid(2)), json!([100, 101]));
    assert_eq!(tags_of(&door, &gone), json!([100]));
    assert_eq!(naming(&database, &gone).await, (0, 0));
}
