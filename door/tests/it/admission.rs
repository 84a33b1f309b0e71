//! Whoever gets in has shown what it takes.

use std::rc::Rc;

use weir_door::{Door, Head, Step};
use weir_engine::owners::OwnerId;
use weir_engine::tokens::{self, Fetched};
use weir_engine::{Env, StreamId};

use crate::world::{Dice, KEY, Table, config, now};

const PARTS: &[&str] = &[
    "/cgi-bin",
    "/user/get",
    "/wxa",
    "/message/custom/send",
    "/menu/create",
    "/token",
    "/stable_token",
    "/clear_quota",
    "/accounts/demo",
    "/accounts/other",
    "/sns/jscode2session",
    "/component/x",
    "//",
    "/.",
    "/..",
    "/%2e%2e",
    "%2f",
    "\\",
    ";a",
    "?",
    "&",
    "access_token=",
    "secret=",
    "appid=wx-demo",
    "appid=wx-other",
    "=",
    "#",
    "%00",
    "\u{e9}",
    "a",
    " ",
];
const BEARERS: &[&str] = &["Bearer ", "bearer ", "Basic ", "", "Bearer  "];

/// A target that is not quite one.
fn target(dice: &mut Dice, stand_in: &str) -> String {
    let mut text = String::new();
    // Half of them are nearly right.
    let parts = if dice.roll(2) == 0 {
        text.push_str("/cgi-bin/user/get?");
        if dice.roll(2) == 0 {
            text.push_str("access_token=");
            text.push_str(stand_in);
        }
        dice.roll(3)
    } else {
        1 + dice.roll(6)
    };
    for _ in 0..parts {
        text.push_str(PARTS[dice.roll(PARTS.len() as u64) as usize]);
        if dice.roll(6) == 0 {
            text.push_str(stand_in);
        }
        if dice.roll(12) == 0 {
            text.push_str(KEY);
        }
    }
    text
}

fn head<'a>(target: &'a str, authorization: Option<&'a str>) -> Head<'a> {
    Head {
        method: "GET",
        target,
        authorization,
        account: None,
        content_type: None,
        content_length: None,
        certificate: None,
        ends: true,
    }
}

#[test]
fn nobody_gets_a_token_who_has_not_shown_a_key_or_a_stand_in() {
    let shared = Table::default();
    let mut random = Dice(1);
    let mut env = Env {
        now: now(1_000),
        shared: &shared,
        random: &mut random,
    };
    let mut door = Door::new(Rc::new(config()), &mut env);
    for appid in ["wx-demo", "wx-other"] {
        let token = Fetched::Token {
            token: format!("REAL-{appid}"),
            expires_in_s: 7_200,
        };
        tokens::fetched(
            &shared,
            appid,
            OwnerId::from_random([1; 4]),
            &token,
            1_000,
            0,
        );
    }
    let login = format!("/cgi-bin/token?grant_type=client_credential&appid=wx-demo&secret={KEY}");
    let Step::Respond(response) = door.on_request(StreamId(1), &head(&login, None), &mut env)
    else {
        panic!("a login is answered");
    };
    let answer: serde_json::Value = serde_json::from_slice(&response.body).expect("JSON");
    let stand_in = answer["access_token"]
        .as_str()
        .expect("a stand-in")
        .to_owned();

    let mut dice = Dice(7);
    let (mut let_in, mut kept_out) = (0, 0);
    for number in 0..200_000_u32 {
        let mut shown = stand_in.clone();
        if dice.roll(3) > 0 {
            let at = dice.roll(shown.len() as u64) as usize;
            shown.replace_range(at..=at, "0");
        }
        let target = target(&mut dice, &shown);
        let key = if dice.roll(2) == 0 {
            KEY
        } else {
            "a-key-of-sixteem"
        };
        let bearer = format!("{}{key}", BEARERS[dice.roll(BEARERS.len() as u64) as usize]);
        let authorization = (dice.roll(2) == 0).then_some(bearer.as_str());
        let stream = StreamId(10 + number);
        let step = door.on_request(stream, &head(&target, authorization), &mut env);
        match step {
            Step::Forward { path, hide } => {
                let_in += 1;
                assert_eq!(hide.contains(&"authorization"), authorization.is_some());
                let by_key = authorization == Some(&format!("Bearer {KEY}"));
                let by_stand_in = target.contains(&format!("access_token={stand_in}"));
                assert!(by_key || by_stand_in, "{target} {authorization:?}");
                assert!(path.contains("access_token=REAL-wx-demo"), "{path}");
                let query = path.split_once('?').map_or("", |(_, query)| query);
                let tokens = form_urlencoded::parse(query.as_bytes())
                    .filter(|(name, _)| name.trim().eq_ignore_ascii_case("access_token"));
                assert_eq!(tokens.count(), 1, "{path}");
                let mut names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
                assert!(names.all(|name| name.trim() != "secret"), "{path}");
                assert!(
                    path.starts_with("/cgi-bin/") || path.starts_with("/wxa/"),
                    "{path}"
                );
                let bare = path.split('?').next().unwrap_or_default();
                assert!(!bare.contains("/.") && !bare.contains("//"), "{path}");
                for denied in [
                    "/cgi-bin/menu/",
                    "/cgi-bin/clear_quota",
                    "/cgi-bin/component",
                    "/cgi-bin/token",
                    "/cgi-bin/stable_token",
                ] {
                    let rest = bare.strip_prefix(denied.trim_end_matches('/'));
                    let is_it = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                    assert!(!is_it, "{path}");
                }
            }
            Step::Respond(response) | Step::Refuse { response, .. } => {
                kept_out += 1;
                let body = String::from_utf8_lossy(&response.body);
                assert!(
                    !body.contains("REAL") && !body.contains("secret-of"),
                    "{body}"
                );
            }
            Step::Hold => {}
        }
        door.on_gone(stream, &mut env);
        while door.poll().is_some() {}
    }
    assert!(let_in > 500 && kept_out > 10_000, "{let_in} {kept_out}");
}
