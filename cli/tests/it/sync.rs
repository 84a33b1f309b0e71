//! `weir sync`.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use weir_sim::api::{Follow, Limit};

use crate::api::{Api, Store};
use crate::door::KEY;
use crate::weir::{Run, command, file, weir_with};

const LIST: &str = "/cgi-bin/user/get";
const PROFILES: &str = "/cgi-bin/user/info/batchget";

const BLACKLIST: &str = "/cgi-bin/tags/members/getblacklist";

/// A journal, and where to sync from and to.
struct Sync<'a> {
    api: &'a Api,
    store: &'a Store,
    journal: String,
}

impl<'a> Sync<'a> {
    fn new(api: &'a Api, store: &'a Store) -> Self {
        let journal = format!("{}.weir-sync", file("sync", ""));
        Self {
            api,
            store,
            journal,
        }
    }

    fn args<'b>(&'b self, more: &[&'b str]) -> Vec<&'b str> {
        let mut args = vec!["sync", "demo", "--key-env", "WEIR_KEY"];
        for (name, value) in [
            ("--door", &*self.api.base),
            ("--store", &*self.store.base),
            ("--rate", "100000"),
            ("--journal", &*self.journal),
        ] {
            let is_single = name == "--journal" && more.contains(&"--openid");
            if !more.contains(&name) && !is_single {
                args.extend([name, value]);
            }
        }
        args.extend(more);
        args
    }

    fn run(&self, more: &[&str]) -> Run {
        let run = weir_with(&[("WEIR_KEY", KEY)], &self.args(more));
        run.says_nothing_of(&[KEY]);
        run
    }

    /// The lines of `--json`; the last is the summary.
    fn told(&self, more: &[&str]) -> (Run, Vec<Json>, Json) {
        let run = self.run(&[&["--json"], more].concat());
        let mut lines: Vec<Json> = run
            .out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let summary = lines.pop().unwrap()["summary"].take();
        (run, lines, summary)
    }

    /// Runs it until the store has so many users, and kills it.
    fn kill_at(&self, users: usize) {
        let mut command = command(&self.args(&[]));
        command.env("WEIR_KEY", KEY).stdout(Stdio::null());
        let mut run = command.spawn().unwrap();
        let begun = Instant::now();
        while self.store.kept().users.len() < users {
            assert!(run.try_wait().unwrap().is_none(), "it ended by itself");
            assert!(begun.elapsed() < Duration::from_secs(300), "it hangs");
            std::thread::sleep(Duration::from_millis(2));
        }
        run.kill().unwrap();
        run.wait().unwrap();
    }
}

fn followed_by(followers: u32) -> Api {
    let api = Api::start(|_, _| {});
    api.world.follow_many("demo", followers).unwrap();
    api
}

fn limit(api: &Api, path: &str, per_day: Option<u64>) {
    let limit = Limit {
        per_day,
        per_minute: None,
    };
    api.world.set_quota("demo", path, limit).unwrap();
}

#[test]
fn a_pass_stores_every_follower_with_the_fewest_calls_and_the_next_begins_anew() {
    let (api, store) = (followed_by(10_050), Store::start());
    let sync = Sync::new(&api, &store);
    for pass in 1..=2 {
        let (run, lines, summary) = sync.told(&[]);
        run.ends(0);
        assert!(!lines.is_empty() && lines.iter().all(|line| line["progress"].is_object()));
        assert_eq!(summary["complete"], true);
        assert_eq!(summary["resumed"], false);
        assert_eq!(summary["followers"], 10_050);
        assert_eq!(summary["stored"], 10_050);
        assert_eq!(summary["unfollowed"], 0);
        assert_eq!(store.followers(), 10_050);
        // Two pages and the end of the list; 101 batches.
        assert_eq!(
            (api.count(LIST), api.count(PROFILES)),
            (3 * pass, 101 * pass)
        );
        // And the blacklist, which is empty.
        assert_eq!(api.count(BLACKLIST), pass);
        assert_eq!(summary["calls"], 105);
        assert_eq!(summary["blacklisted"], 0);
    }
}

#[test]
fn the_blacklist_is_read_once_and_what_changed_of_it_is_told() {
    let (api, store) = (followed_by(10), Store::start());
    let openid = |number: u32| format!("oF{number:07}");
    for number in 0..10_004 {
        api.world.blacklist("demo", &openid(number), true).unwrap();
    }
    let sync = Sync::new(&api, &store);
    // WeChat has had enough after the first page.
    limit(&api, BLACKLIST, Some(1));
    let (run, _, summary) = sync.told(&[]);
    run.ends(1);
    assert!(summary["stopped"].as_str().unwrap().starts_with("45009"));
    assert!(store.kept().blacklisted.is_empty());
    limit(&api, BLACKLIST, None);
    let (run, _, summary) = sync.told(&[]);
    run.ends(0);
    assert_eq!(summary["blacklisted"], 10_004);
    assert_eq!(store.kept().blacklisted.len(), 10_004);
    // The first page, the call that was refused, and the second page.
    assert_eq!(api.count(BLACKLIST), 3);
    api.world.blacklist("demo", &openid(3), false).unwrap();
    sync.run(&[]).ends(0);
    assert_eq!(store.kept().blacklisted.len(), 10_003);
    assert!(!store.kept().blacklisted.contains(&openid(3)));
}

#[test]
fn a_pass_that_is_killed_goes_on_where_it_was() {
    let (api, store) = (followed_by(20_000), Store::start());
    let sync = Sync::new(&api, &store);
    for users in [3_000, 9_900, 15_000] {
        sync.kill_at(users);
    }
    let (run, _, summary) = sync.told(&[]);
    run.ends(0);
    assert_eq!(
        (&summary["complete"], &summary["resumed"]),
        (&true.into(), &true.into())
    );
    assert_eq!(summary["stored"], 20_000);
    assert_eq!(store.followers(), 20_000);
    // At most a page and the batches under way again for each time.
    let (pages, batches) = (api.count(LIST), api.count(PROFILES));
    assert!((3..=6).contains(&pages), "{pages}");
    assert!((200..=200 + 3 * 5).contains(&batches), "{batches}");
}

#[test]
fn who_is_not_in_the_list_is_unfollowed_only_when_wechat_says_so() {
    let store = Store::start();
    let kept = store.shared();
    let door = Api::start(move |world, path| {
        // Somebody follows between the last page and its end.
        if path == PROFILES {
            world.follow("demo", "oNew", Follow::default()).unwrap();
            kept.lock().unwrap().users.insert("oNew".into(), true);
        }
    });
    for number in 0..10 {
        door.world
            .follow("demo", &format!("o{number}"), Follow::default())
            .unwrap();
    }
    door.world
        .follow("demo", "oLeft", Follow::default())
        .unwrap();
    door.world.unfollow("demo", "oLeft").unwrap();
    for openid in ["oLeft", "oStranger", "o3"] {
        store.kept().users.insert(openid.into(), true);
    }
    let sync = Sync::new(&door, &store);
    // The list ends before it is read to its end: nobody is unfollowed.
    limit(&door, PROFILES, Some(0));
    let run = sync.run(&[]);
    run.ends(1).says(&[
        "45009",
        "used up",
        "go on after 00:00 Beijing time",
        "the same command goes on",
    ]);
    assert!(store.kept().users["oLeft"]);
    limit(&door, PROFILES, None);
    let (run, _, summary) = sync.told(&[]);
    run.ends(0);
    assert_eq!(summary["unfollowed"], 2);
    let kept = store.kept();
    for (openid, follows) in [
        ("oLeft", false),
        ("oStranger", false),
        ("oNew", true),
        ("o3", true),
    ] {
        assert_eq!(kept.users[openid], follows, "{openid}");
    }
    drop(kept);
    assert_eq!(store.followers(), 11);
}

#[test]
fn a_used_up_quota_ends_the_run_and_the_next_day_it_goes_on() {
    let (api, store) = (followed_by(20_500), Store::start());
    let sync = Sync::new(&api, &store);
    limit(&api, LIST, Some(1));
    let run = sync.run(&[]);
    run.ends(1)
        .says(&["10000 of 20500 followers stored", "45009", "quota"]);
    // Whom the list would go on after has left meanwhile.
    api.world.unfollow("demo", "oF0009999").unwrap();
    api.world.unfollow("demo", "oF0009998").unwrap();
    limit(&api, LIST, None);
    let (run, _, summary) = sync.told(&[]);
    run.ends(0);
    assert_eq!(summary["resumed"], true);
    assert_eq!(store.followers(), 20_500);
    let once = |told: &u32| *told == 1;
    assert!(store.kept().snapshots.values().all(once), "nobody twice");
    // They were in the list when it was read: the next pass misses them.
    let (run, _, summary) = sync.told(&[]);
    run.ends(0);
    assert_eq!(summary["unfollowed"], 2);
    assert_eq!(store.followers(), 20_498);
}

#[test]
fn one_whom_wechat_does_not_know_keeps_nobody_else_from_being_stored() {
    let (api, store) = (followed_by(150), Store::start());
    let sync = Sync::new(&api, &store);
    let mut args: Vec<String> = (0..150).map(|n| format!("oF{n:07}")).collect();
    args.extend(["oNobody".to_owned(), "oNobodyElse".to_owned()]);
    let args: Vec<&str> = args
        .iter()
        .flat_map(|openid| ["--openid", openid])
        .collect();
    let run = sync.run(&args);
    run.ends(1).says(&[
        "150 users stored",
        "oNobody: no user of this account has this openid",
        "oNobodyElse: no user",
    ]);
    assert_eq!(store.followers(), 150);
    assert_eq!(api.count(LIST), 0);
    sync.run(&["--openid", "oF0000001"])
        .ends(0)
        .says(&["1 user stored"]);
    for bad in ["", "o A", "o&x=1"] {
        sync.run(&["--openid", bad]).ends(2);
    }
}

#[test]
fn what_cannot_be_tried_says_why() {
    let (api, store) = (followed_by(200), Store::start());
    let sync = Sync::new(&api, &store);
    let error = |more: &[&str], why: &str| {
        let run = sync.run(more);
        run.ends(2);
        assert!(run.err.contains(why), "no {why:?} in {}", run.err);
    };
    error(
        &["--store", "http://127.0.0.1:1", "--appid", "wx1"],
        "the store at http://127.0.0.1:1 fails",
    );
    error(
        &["--store", "ftp://x"],
        "--store: not an http:// or https:// URL",
    );
    error(
        &["--store-token-env", "WEIR_NO_TOKEN"],
        "WEIR_NO_TOKEN is not set",
    );
    error(
        &["--door", "http://127.0.0.1:1"],
        "the door at http://127.0.0.1:1 is not reached",
    );
    // The store is gone in the middle.
    store.kept().fails = Some((100, 413));
    sync.run(&["--concurrency", "1"])
        .ends(1)
        .says(&["the store at", "answers 413", "100 of 200"]);
    store.kept().fails = None;
    sync.run(&[]).ends(0);
}

#[test]
fn two_passes_of_one_account_are_not_at_work_at_once() {
    let (api, store) = (followed_by(5_000), Store::start());
    let sync = Sync::new(&api, &store);
    let mut command = command(&sync.args(&["--rate", "2"]));
    command.env("WEIR_KEY", KEY).stdout(Stdio::null());
    let mut first = command.spawn().unwrap();
    while store.kept().users.is_empty() {
        assert!(first.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(5));
    }
    let run = sync.run(&[]);
    run.ends(2);
    assert!(run.err.contains("another run is at work"), "{}", run.err);
    first.kill().unwrap();
    first.wait().unwrap();
    sync.run(&[]).ends(0);
    assert_eq!(store.followers(), 5_000);
}
