//! Syncs, by stores that are processes of their own: they contend, and are killed.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use weir_store_api::jobs::{JobState, Sync};
use weir_store_api::read::{Page, User};

use crate::door::{APPID, Door, KEY};
use crate::process::Process;
use crate::world::{ACCOUNT, Database};

const LIST: &str = "/cgi-bin/user/get";
const PROFILES: &str = "/cgi-bin/user/info/batchget";
const BLACKLIST: &str = "/cgi-bin/tags/members/getblacklist";
const FAST: &[&str] = &["--door-rate", "100000"];
/// A lease that those who come after one who was killed can wait for.
pub(crate) const LEASE: [&str; 2] = ["--job-lease-ms", "10000"];

/// Makes a test of each function for both databases.
macro_rules! with_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::world::Database::sqlite().unwrap()).await;
            })*
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                if let Some(database) = $crate::world::Database::postgres().await {
                    super::$name(database).await;
                }
            })*
        }
    };
}

pub(crate) use with_both_databases;

with_both_databases! {
    a_sync_stores_every_follower_with_the_fewest_calls_and_is_in_the_audit,
    one_sync_of_an_account_at_a_time_and_one_that_was_ended_is_gone_on_with,
    a_list_that_makes_no_sense_is_refused_in_words,
    of_two_stores_one_does_it_and_the_other_when_that_one_is_killed,
    a_store_that_is_killed_again_and_again_leaves_nobody_out_and_nobody_twice,
    the_blacklist_is_read_page_by_page_and_only_a_complete_pass_clears_it,
    an_account_that_may_not_ask_for_its_blacklist_is_synced_without,
    a_used_up_quota_is_waited_for_until_midnight_in_beijing,
    the_clock_asks_for_a_sync_once_for_all_stores,
}

/// A store that knows the door.
pub(crate) async fn start(database: &Database, door: &Door, more: &[&str]) -> Process {
    let mut arguments = vec!["--door", &door.url, "--door-key-env", "DOOR_KEY"];
    if !more.contains(&"--job-lease-ms") {
        // However busy the machine: nobody else takes it up.
        arguments.extend(["--job-lease-ms", "300000"]);
    }
    arguments.extend(more);
    Process::start_with(database, &arguments, &[("DOOR_KEY", KEY)]).await
}

async fn call(store: &Process, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
    let url = format!("{}/v1/accounts/{ACCOUNT}/syncs{path}", store.url);
    let mut request = reqwest::Client::new().request(method, url);
    if !body.is_null() {
        request = request.json(body);
    }
    let response = request.send().await.unwrap();
    let status = response.status();
    (status, response.json().await.unwrap())
}

async fn ask(store: &Process, body: Value) -> Sync {
    let (status, answer) = call(store, Method::POST, "", &body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    serde_json::from_value(answer).unwrap()
}

async fn show(store: &Process, id: i64) -> Sync {
    let (status, answer) = call(store, Method::GET, &format!("/{id}"), &Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    serde_json::from_value(answer).unwrap()
}

/// Waits until the sync is as it should be.
async fn when(store: &Process, id: i64, is_so: impl Fn(&Sync) -> bool) -> Sync {
    let begun = Instant::now();
    loop {
        let sync = show(store, id).await;
        if is_so(&sync) {
            return sync;
        }
        assert!(!sync.state.is_over(), "{sync:?}");
        assert!(begun.elapsed() < Duration::from_secs(3_600), "{sync:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn done(store: &Process, id: i64) -> Sync {
    when(store, id, |sync| sync.state == JobState::Done).await
}

/// All whom the store has as followers; each is there once, since the openid is unique.
async fn followers(store: &Process) -> Vec<String> {
    let mut openids = Vec::new();
    let mut cursor = String::new();
    loop {
        let url = format!(
            "{}/v1/users?account={ACCOUNT}&state=following&limit=200{cursor}",
            store.url
        );
        let page: Page<User> = reqwest::get(url).await.unwrap().json().await.unwrap();
        openids.extend(page.items.into_iter().map(|user| user.openid));
        let Some(next) = page.next_cursor else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    openids.sort_unstable();
    let all = openids.len();
    openids.dedup();
    assert_eq!(openids.len(), all, "somebody is there twice");
    openids
}

async fn a_sync_stores_every_follower_with_the_fewest_calls_and_is_in_the_audit(
    database: Database,
) {
    let door = Door::start(10_050).await;
    let store = start(&database, &door, FAST).await;
    let asked = ask(
        &store,
        json!({"appid": APPID, "by": "Li", "why": "a new database"}),
    )
    .await;
    assert_eq!(asked.state, JobState::Waiting);
    let first = done(&store, asked.id).await;
    assert_eq!(
        (first.by.as_deref(), first.why.as_deref()),
        (Some("Li"), Some("a new database"))
    );
    assert!(first.begun_at.is_some() && first.ended_at.is_some() && first.reason.is_none());
    assert_eq!(
        (first.progress.followers, first.progress.stored),
        (10_050, 10_050)
    );
    // Two pages and the end of the list; 101 batches.
    assert_eq!((door.count(LIST), door.count(PROFILES)), (3, 101));
    // And the blacklist, which is empty.
    assert_eq!(door.count(BLACKLIST), 1);
    // And the tags.
    assert_eq!((first.progress.pages, first.progress.calls), (4, 106));
    assert_eq!(first.progress.blacklisted, Some(0));
    assert_eq!(followers(&store).await.len(), 10_050);

    // The next one knows the appid, and finds who left.
    door.world.unfollow(ACCOUNT, "oF0000007").unwrap();
    let second = ask(&store, Value::Null).await;
    let second = done(&store, second.id).await;
    assert_eq!(
        (second.progress.stored, second.progress.unfollowed),
        (10_049, 1)
    );
    assert!(!followers(&store).await.contains(&"oF0000007".to_owned()));
    let (_, audit) = call(&store, Method::GET, "", &Value::Null).await;
    let audit: Page<Sync> = serde_json::from_value(audit).unwrap();
    let ids: Vec<i64> = audit.items.iter().map(|sync| sync.id).collect();
    assert_eq!(ids, [second.id, first.id]);
    let metrics = reqwest::get(format!("{}/metrics", store.url))
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    for line in [
        "weir_store_jobs_total{kind=\"sync\",result=\"done\"} 2",
        "weir_store_sync_running{account=\"demo\"} 0",
        "weir_store_sync_completed_timestamp_seconds{account=\"demo\"} ",
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
}

async fn one_sync_of_an_account_at_a_time_and_one_that_was_ended_is_gone_on_with(
    database: Database,
) {
    let door = Door::start(12_000).await;
    let slow = start(&database, &door, &["--door-rate", "5"]).await;
    let first = ask(&slow, json!({"appid": APPID})).await;
    when(&slow, first.id, |sync| sync.progress.stored >= 500).await;
    let (status, problem) = call(&slow, Method::POST, "", &Value::Null).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(&format!("sync {}", first.id)), "{detail}");
    let (status, _) = call(
        &slow,
        Method::DELETE,
        &format!("/{}", first.id),
        &Value::Null,
    )
    .await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let stopped = when(&slow, first.id, |sync| sync.state == JobState::Stopped).await;
    assert!(stopped.progress.stored < 12_000);
    slow.kill().await;

    let store = start(&database, &door, FAST).await;
    let second = ask(&store, Value::Null).await;
    done(&store, second.id).await;
    assert_eq!(followers(&store).await.len(), 12_000);
    // No page twice, and no batch: who ends in order has noted all.
    assert_eq!((door.count(LIST), door.count(PROFILES)), (3, 120));
    let (status, _) = call(&store, Method::GET, "/999", &Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = call(&store, Method::DELETE, "/999", &Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

async fn a_list_that_makes_no_sense_is_refused_in_words(database: Database) {
    let door = Door::start(150).await;
    let store = start(&database, &door, FAST).await;
    for (body, words) in [
        (
            json!({"openids": [], "appid": APPID}),
            "openids: it is empty",
        ),
        (
            json!({"openids": ["oA", "o A"], "appid": APPID}),
            "openids[1]: no openid",
        ),
        (json!({"openids": ["oA"]}), "say its appid"),
        (json!({"by": "a\nb", "appid": APPID}), "by: at most 128"),
        (json!({"openid": ["oA"]}), "the body must be"),
        (json!([]), "the body must be"),
    ] {
        let (status, problem) = call(&store, Method::POST, "", &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{body}: {detail}");
    }
    let two = json!({"openids": ["oF0000001", "oF0000002"], "appid": APPID});
    let asked = ask(&store, two).await;
    let known = done(&store, asked.id).await;
    assert_eq!((known.chosen, known.progress.stored), (Some(2), 2));
    let asked = ask(&store, json!({"openids": ["oF0000003", "oNobody"]})).await;
    let unknown = when(&store, asked.id, |sync| sync.state.is_over()).await;
    assert_eq!(
        (unknown.state, unknown.errcode),
        (JobState::Failed, Some(40003))
    );
    assert_eq!(unknown.progress.unknown, ["oNobody"]);
    assert_eq!(followers(&store).await.len(), 3);
    assert_eq!(door.count(LIST), 0);
}

async fn of_two_stores_one_does_it_and_the_other_when_that_one_is_killed(database: Database) {
    let door = Door::start(15_000).await;
    let slow = &[&["--door-rate", "20"][..], &LEASE].concat();
    let one = start(&database, &door, slow).await;
    let asked = ask(&one, json!({"appid": APPID})).await;
    when(&one, asked.id, |sync| sync.progress.stored >= 1_000).await;
    // The lease is the first one's: whoever else looks for jobs leaves it alone.
    let two = start(&database, &door, slow).await;
    when(&two, asked.id, |sync| sync.progress.stored >= 6_000).await;
    one.kill().await;
    done(&two, asked.id).await;
    assert_eq!(followers(&two).await.len(), 15_000);
    let (pages, batches) = (door.count(LIST), door.count(PROFILES));
    assert!((3..=4).contains(&pages), "{pages}");
    // What the killed one had under way, and half a second's that it had not noted: 20 a second, on a machine that is busy.
    assert!((150..=150 + 4 + 60).contains(&batches), "{batches}");
}

async fn a_store_that_is_killed_again_and_again_leaves_nobody_out_and_nobody_twice(
    database: Database,
) {
    let wanted = std::env::var("WEIR_SYNC_FOLLOWERS").ok();
    let all: u32 = wanted.map_or(20_000, |wanted| wanted.parse().unwrap());
    let door = Door::start(all).await;
    let fast = &[FAST, &LEASE].concat();
    let begun = Instant::now();
    let mut store = start(&database, &door, fast).await;
    let asked = ask(&store, json!({"appid": APPID})).await;
    for part in 1..=3 {
        let stored = u64::from(all) * part / 4;
        when(&store, asked.id, |sync| sync.progress.stored >= stored).await;
        store.kill().await;
        store = start(&database, &door, fast).await;
    }
    let sync = done(&store, asked.id).await;
    let took = begun.elapsed();
    assert_eq!(sync.progress.stored, u64::from(all));
    assert_eq!(followers(&store).await.len(), all as usize);
    let pages = door.count(LIST) + door.count(BLACKLIST);
    let batches = door.count(PROFILES);
    // Each page of followers, the end of them, and the blacklist.
    let fewest = (
        u64::from(all).div_ceil(10_000) + 2,
        u64::from(all).div_ceil(100),
    );
    assert!(pages <= fewest.0 + 3, "{pages}");
    let ratio = (pages + batches) as f64 / (fewest.0 + fewest.1) as f64;
    println!(
        "{all} followers: {pages} pages, {batches} batches, {ratio:.4} of the fewest, {took:?}"
    );
    if all >= 100_000 {
        assert!(ratio <= 1.02, "{ratio}");
    }
}

/// How many the store has as blacklisted.
async fn blacklisted(store: &Process) -> Vec<String> {
    let (mut openids, mut cursor) = (Vec::new(), String::new());
    loop {
        let url = format!(
            "{}/v1/users?account={ACCOUNT}&blacklisted=true&limit=200{cursor}",
            store.url
        );
        let page: Page<User> = reqwest::get(url).await.unwrap().json().await.unwrap();
        for user in page.items {
            assert!(user.blacklisted && user.blacklisted_since.is_some());
            openids.push(user.openid);
        }
        let Some(next) = page.next_cursor else {
            openids.sort_unstable();
            return openids;
        };
        cursor = format!("&cursor={next}");
    }
}

async fn the_blacklist_is_read_page_by_page_and_only_a_complete_pass_clears_it(database: Database) {
    let door = Door::start(300).await;
    let openid = |number: u32| format!("oF{number:07}");
    let on = |numbers: std::ops::Range<u32>, is_on| {
        for number in numbers {
            door.world
                .blacklist(ACCOUNT, &openid(number), is_on)
                .unwrap();
        }
    };
    on(0..3, true);
    let store = start(&database, &door, &[FAST, &LEASE].concat()).await;
    let asked = ask(&store, json!({"appid": APPID})).await;
    let first = done(&store, asked.id).await;
    assert_eq!(first.progress.blacklisted, Some(3));
    assert_eq!(blacklisted(&store).await, [openid(0), openid(1), openid(2)]);
    store.kill().await;

    // The next pass is killed between two pages of the blacklist, three times: the first page is not asked for again, and
    // nobody is cleared.
    on(0..2, false);
    on(1_000..21_004, true);
    let slow = &[&["--door-rate", "2"][..], &LEASE].concat();
    let mut store = start(&database, &door, slow).await;
    let before = door.count(BLACKLIST);
    let asked = ask(&store, Value::Null).await;
    for pages in 1..=2 {
        while door.count(BLACKLIST) < before + pages {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        store.kill().await;
        store = start(&database, &door, slow).await;
        assert_eq!(blacklisted(&store).await.len(), 3);
    }
    let second = done(&store, asked.id).await;
    assert_eq!(second.progress.blacklisted, Some(20_005));
    let now = blacklisted(&store).await;
    assert_eq!(now.len(), 20_005);
    assert_eq!(now[..2], [openid(2), openid(1_000)]);
    let pages = door.count(BLACKLIST) - before;
    assert!((3..=3 + 2).contains(&pages), "{pages}");
    assert_eq!(followers(&store).await.len(), 300);
}

async fn an_account_that_may_not_ask_for_its_blacklist_is_synced_without(database: Database) {
    let door = Door::start(300).await;
    door.world.blacklist(ACCOUNT, "oF0000001", true).unwrap();
    let store = start(&database, &door, FAST).await;
    let asked = ask(&store, json!({"appid": APPID})).await;
    assert_eq!(done(&store, asked.id).await.progress.blacklisted, Some(1));
    door.refuse(BLACKLIST, 48001);
    let asked = ask(&store, Value::Null).await;
    let sync = done(&store, asked.id).await;
    assert_eq!(sync.progress.blacklisted, None);
    let why = sync.progress.no_blacklist.unwrap();
    assert!(why.contains("may not make this call"), "{why}");
    assert_eq!(blacklisted(&store).await, ["oF0000001"]);
    assert_eq!(followers(&store).await.len(), 300);
}

async fn a_used_up_quota_is_waited_for_until_midnight_in_beijing(database: Database) {
    let door = Door::start(11_000).await;
    door.limit(PROFILES, Some(20));
    let store = start(&database, &door, FAST).await;
    let asked = ask(&store, json!({"appid": APPID})).await;
    let resting = when(&store, asked.id, |sync| sync.state == JobState::Resting).await;
    assert_eq!(resting.errcode, Some(45009));
    let due = resting.due_at.unwrap();
    // 00:00 in Beijing is 16:00 in UTC; the first ten minutes are shared out.
    assert!(due.contains("T16:0"), "{due}");
    let calls = door.count(PROFILES);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(door.count(PROFILES), calls, "it tries on");
    // Who does not want to wait ends it, and asks for another.
    door.limit(PROFILES, None);
    let path = format!("/{}", asked.id);
    let (_, stopped) = call(&store, Method::DELETE, &path, &Value::Null).await;
    assert_eq!(stopped["state"], "stopped");
    let next = ask(&store, Value::Null).await;
    done(&store, next.id).await;
    assert_eq!(followers(&store).await.len(), 11_000);
    assert_eq!(door.count(LIST), 3, "the pages are kept");
}

async fn the_clock_asks_for_a_sync_once_for_all_stores(database: Database) {
    let door = Door::start(300).await;
    let timed = &[
        "--sync-every",
        "demo=1m,other=03:30",
        "--door-rate",
        "100000",
    ];
    let first = start(&database, &door, &[]).await;
    let one = json!({"openids": ["oF0000001"], "appid": APPID});
    let asked = ask(&first, one).await;
    done(&first, asked.id).await;
    let stores = [
        start(&database, &door, timed).await,
        start(&database, &door, timed).await,
    ];
    let begun = Instant::now();
    let timed = loop {
        let (_, listed) = call(&stores[0], Method::GET, "", &Value::Null).await;
        let listed: Page<Sync> = serde_json::from_value(listed).unwrap();
        if listed.items[0].by.as_deref() == Some("timer") {
            assert_eq!(listed.items.len(), 2);
            break listed.items[0].id;
        }
        assert!(begun.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    done(&stores[1], timed).await;
    assert_eq!(followers(&stores[0]).await.len(), 300);
    assert_eq!(door.count(LIST), 2);
}
