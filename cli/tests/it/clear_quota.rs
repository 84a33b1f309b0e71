//! `weir clear-quota`.

use weir_sim::api::Limit;

use crate::api::{APPID, Api};
use crate::door::{Does, Door, KEY};
use crate::weir::{Run, weir_with};

fn clear(door: &str, appid: &str, more: &[&str]) -> Run {
    let args = [
        "clear-quota",
        "demo",
        "--appid",
        appid,
        "--door",
        door,
        "--key-env",
        "WEIR_KEY",
    ];
    let run = weir_with(&[("WEIR_KEY", KEY)], &[&args, more].concat());
    run.says_nothing_of(&[KEY]);
    run
}

#[test]
fn quotas_are_cleared_ten_times_a_month_and_wechat_counts_from_0() {
    let api = Api::start(|_, _| {});
    let limit = Limit {
        per_day: Some(1),
        per_minute: None,
    };
    api.world
        .set_quota("demo", "/cgi-bin/menu/get", limit)
        .unwrap();
    for _ in 0..9 {
        clear(&api.base, APPID, &["--yes"])
            .ends(0)
            .says(&["demo: cleared"]);
    }
    let run = clear(&api.base, APPID, &["--yes", "--json"]);
    assert_eq!(run.ends(0).json()["cleared"], true);
    clear(&api.base, APPID, &["--yes"])
        .ends(1)
        .says(&["not cleared: 48006", "10 times this month"]);
    let run = clear(&api.base, APPID, &["--yes", "--json"]);
    let told = run.ends(1).json();
    assert_eq!(
        (&told["cleared"], &told["errcode"]),
        (&false.into(), &48006.into())
    );
    clear(&api.base, "wx1", &["--yes"])
        .ends(1)
        .says(&["40013", "not this account's"]);
}

#[test]
fn without_a_yes_nothing_is_done() {
    let api = Api::start(|_, _| {});
    let run = clear(&api.base, APPID, &[]);
    run.ends(2);
    assert!(run.err.contains("--yes"), "{}", run.err);
    assert_eq!(api.count("/cgi-bin/clear_quota"), 0);
}

#[test]
fn a_door_that_does_not_let_it_through_says_what_to_change_and_a_lost_answer_is_not_repeated() {
    let door = Door::start(|_, _| {
        Does::Raw(
            403,
            r#"{"errcode":48001,"errmsg":"weir: this caller may not call this"}"#,
        )
    });
    clear(&door.base, APPID, &["--yes"])
        .ends(1)
        .says(&["its configuration has to allow /cgi-bin/clear_quota by the whole path"]);
    let door = Door::start(|_, _| Does::Raw(502, ""));
    let run = clear(&door.base, APPID, &["--yes"]);
    run.ends(2);
    assert!(run.err.contains("it is not known whether"), "{}", run.err);
    assert_eq!(door.calls().len(), 1);
    clear("http://127.0.0.1:1", APPID, &["--yes"]).ends(2);
}
