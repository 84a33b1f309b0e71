//! From a seed to what is to happen: nodes, configuration, pushes, and what goes wrong when.
//!
//! What depends on the course of things (how a call goes, where an attempt lands) is drawn while it happens.

use std::rc::Rc;

use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use weir_engine::config::Config;
use weir_protocol::push::Push as Parsed;

use crate::app;
use crate::faults::{Fault, Faults};
use crate::rng::Rng;

pub(crate) const ACCOUNT: &str = "demo";
pub(crate) const ORIGINAL_ID: &str = "gh_0a1b2c3d4e5f";
pub(crate) const APPID: &str = "wx0123456789abcdef";
pub(crate) const TOKEN: &str = "weixinToken1";
pub(crate) const KEY: &str = "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU";
/// Where WeChat's wall clock stands when a world begins, Unix milliseconds.
pub(crate) const BEGIN_UNIX_MS: u64 = 1_714_112_445_000;
/// How often WeChat sends a push. Source: wechat-protocol 3.1.
pub(crate) const ATTEMPTS: u8 = 3;
/// How long WeChat waits for a response. Source: the same.
pub(crate) const PATIENCE_MS: u64 = 5_000;
/// Most pushes of a seed.
pub(crate) const MOST_PUSHES: usize = 40;
/// Tags of pushes are this and the push's number.
pub(crate) const FIRST_TAG: u32 = 100;

/// What is to happen in one world.
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) faults: Faults,
    /// Workers of each node.
    pub(crate) nodes: Vec<usize>,
    pub(crate) at_once: bool,
    pub(crate) encrypted: bool,
    /// Whether pushes may be forwarded to applications.
    pub(crate) forwards: bool,
    pub(crate) limits: Limits,
    pub(crate) config: Rc<Config>,
    pub(crate) pushes: Vec<Push>,
    pub(crate) mishaps: Vec<(u64, Mishap)>,
    /// The push whose event the store refuses.
    pub(crate) poison: Option<usize>,
    /// From here on nothing goes wrong any more.
    pub(crate) calm_ms: u64,
}

/// The bounds that are checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) outbox_events: u64,
    pub(crate) parked: usize,
    pub(crate) batch_events: usize,
    pub(crate) profiles: u64,
    pub(crate) tags: u64,
    pub(crate) forwards: u64,
}

/// Something that happens at its time, whatever else does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mishap {
    CrashWorker { node: usize, worker: usize },
    CrashNode { node: usize },
    Reload { node: usize },
    NewCode { node: usize },
    StepClock { node: usize, by_s: i64 },
    Stall { node: usize, worker: usize, ms: u64 },
    StoreDown { ms: u64 },
    ReplaceToken,
}

/// A push of WeChat's.
pub(crate) struct Push {
    pub(crate) at_ms: u64,
    pub(crate) openid: String,
    pub(crate) body: String,
    /// Of its event.
    pub(crate) id: String,
    /// What is in the reply; nothing: `success`.
    pub(crate) expected: Option<String>,
    /// The tag that its user gets.
    pub(crate) tag: Option<u32>,
    /// Whether its user's profile is to be asked for.
    pub(crate) follows: bool,
    /// Whether the store is asked for the user before the reply is known.
    pub(crate) asks: bool,
    /// The application that answers it, and whether it may be called again.
    pub(crate) app: Option<bool>,
    pub(crate) app_is_silent: bool,
    /// Left out of this run.
    pub(crate) skipped: bool,
}

/// What is left out of a run, to see whether a failure needs it.
#[derive(Debug, Clone, Default)]
pub struct Without {
    /// Kinds of trouble.
    pub faults: Faults,
    /// Pushes, by number.
    pub pushes: Vec<usize>,
}

impl Plan {
    pub(crate) fn new(seed: u64, without: &Without) -> Self {
        let mut rng = Rng::new(seed, 1);
        let faults = draw_faults(&mut rng).without(without.faults);
        let crowd = faults.has(Fault::Crowd);
        let nodes: Vec<usize> = {
            let count = [1, 1, 1, 2, 2, 3][rng.index(6)];
            // Where bounds are small, pushes must meet at one worker; where workers die, there must be others.
            let (count, least, most) = match faults {
                faults if faults.has(Fault::Small) => (1, 1, 2),
                faults if faults.has(Fault::Crashes) => (count.min(2), 2, 4),
                _ => (count, 1, 4),
            };
            (0..count)
                .map(|_| rng.between(least, most) as usize)
                .collect()
        };
        let at_once = rng.chance(150);
        let encrypted = rng.chance(80);
        // What is about applications says nothing without them.
        let asks_app = faults.has_any(&[Fault::AppSlow, Fault::AppErrors]);
        let forwards = rng.chance(if asks_app { 850 } else { 400 });
        let count = if rng.chance(300) {
            1
        } else {
            rng.between(2, 6)
        };
        let count = if crowd { MOST_PUSHES as u64 } else { count };
        let span_ms = [0, 300, 3_000, 15_000][rng.index(4)];
        let mut pushes: Vec<Push> = (0..count as usize)
            .map(|number| {
                let at_ms = rng.below(span_ms + 1);
                push(number, at_ms, at_once, forwards, &mut rng)
            })
            .collect();
        for number in &without.pushes {
            if let Some(push) = pushes.get_mut(*number) {
                push.skipped = true;
            }
        }
        let mut limits = Limits {
            outbox_events: 20_000,
            parked: 5_000,
            batch_events: 500,
            profiles: 10_000,
            tags: 10_000,
            forwards: 2_000,
        };
        let (events, parked) = (rng.between(1, 3), rng.between(1, 3));
        let (batch, queued) = (rng.between(1, 2), rng.between(1, 2));
        if faults.has(Fault::Small) {
            let some = Rng::new(seed, 2).below(31) + 1;
            let small = |bit: u64| some & bit != 0;
            if small(1) {
                limits.outbox_events = events;
            }
            if small(2) {
                limits.parked = parked as usize;
            }
            if small(4) {
                limits.batch_events = batch as usize;
            }
            if small(8) {
                (limits.profiles, limits.tags) = (queued, queued);
            }
            if small(16) {
                limits.forwards = queued;
            }
        }
        let last_ms = pushes.iter().map(|push| push.at_ms).max().unwrap_or(0);
        let mut calm_ms = last_ms + rng.between(2_000, 22_000);
        if forwards && faults.has(Fault::AppSlow) {
            // A late reply is sent only when WeChat's last attempt is long over.
            calm_ms += 20_000;
        }
        let poison = rng.index(pushes.len());
        let mut mishaps = Vec::new();
        for fault in Fault::ALL {
            // Drawn whether it is used or not, from a stream of its own.
            let mut rng = Rng::new(seed, 16 + *fault as u64);
            for _ in 0..rng.between(1, 3) {
                if let Some(mishap) = draw_mishap(*fault, &nodes, &mut rng) {
                    // Half of them soon after a push.
                    let push = &pushes[rng.index(pushes.len())];
                    let soon_ms = match fault {
                        // It must be away when the push comes.
                        Fault::StoreDown => push.at_ms.saturating_sub(rng.below(1_000)),
                        _ => {
                            let within_ms = [3_000, 16_000][rng.index(2)];
                            push.at_ms + rng.below(within_ms)
                        }
                    };
                    let any_ms = rng.below(calm_ms);
                    let at_ms = if rng.chance(500) {
                        soon_ms.min(calm_ms)
                    } else {
                        any_ms
                    };
                    if faults.has(*fault) {
                        mishaps.push((at_ms, mishap));
                    }
                }
            }
        }
        let document = document(
            encrypted,
            at_once,
            &limits,
            &pushes,
            if crowd { 1_024 } else { 16 },
            rng.chance(900),
            &mut rng,
        );
        let config = weir_config::parse(document.to_string().as_bytes(), &|name| {
            Some(if name == "KEY" { KEY } else { TOKEN }.to_owned())
        });
        let config = config.unwrap_or_else(|problems| {
            unreachable!("a configuration of ours is refused: {problems:?}")
        });
        Self {
            seed,
            faults,
            nodes,
            at_once,
            encrypted,
            forwards,
            limits,
            config: Rc::new(config),
            pushes,
            mishaps,
            poison: faults.has(Fault::StoreRejects).then_some(poison),
            calm_ms,
        }
    }
}

/// Troubles that are worst together.
const THEMES: [&[Fault]; 15] = [
    &[Fault::Tokens, Fault::Api],
    &[Fault::AppSlow, Fault::Api, Fault::LostConnections],
    &[Fault::AppSlow, Fault::Tokens, Fault::LostConnections],
    &[Fault::AppSlow, Fault::Crashes, Fault::Copies],
    &[Fault::AppSlow, Fault::Crashes],
    &[Fault::AppSlow, Fault::LostConnections, Fault::Reordering],
    &[Fault::StoreDown, Fault::Crashes],
    &[Fault::StoreDown, Fault::Crashes, Fault::Copies],
    &[Fault::StoreDown, Fault::Crashes, Fault::LostConnections],
    &[Fault::StoreDown, Fault::StoreErrors, Fault::AppErrors],
    &[Fault::StoreDown, Fault::Small],
    &[Fault::Reloads, Fault::StoreSlow, Fault::Stalls],
    &[Fault::NewCode, Fault::StoreDown],
    &[Fault::NewCode, Fault::AppSlow, Fault::LostConnections],
    &[Fault::NewCode, Fault::AppSlow, Fault::Api, Fault::StoreSlow],
];

/// Some seeds have no trouble at all: there everything must be exact. The others have a few kinds each, since what is
/// always there hides what is rare.
fn draw_faults(rng: &mut Rng) -> Faults {
    match rng.below(100) {
        0..8 => Faults::default(),
        8..55 => THEMES[rng.index(THEMES.len())].iter().copied().collect(),
        _ => {
            let mut faults = Faults::default();
            for _ in 0..rng.between(1, 6) {
                faults = faults.with(Fault::ALL[rng.index(Fault::ALL.len())]);
            }
            // Slow to run, and two of them say no more than one.
            if faults.has(Fault::Crowd) && !rng.chance(300) {
                faults = faults.without(Faults::default().with(Fault::Crowd));
            }
            faults
        }
    }
}

fn draw_mishap(fault: Fault, nodes: &[usize], rng: &mut Rng) -> Option<Mishap> {
    let node = rng.index(nodes.len());
    let worker = rng.index(nodes[node]);
    Some(match fault {
        Fault::Crashes => Mishap::CrashWorker { node, worker },
        Fault::NodeCrashes => Mishap::CrashNode { node },
        Fault::Reloads => Mishap::Reload { node },
        Fault::NewCode => Mishap::NewCode { node },
        Fault::ClockSteps => {
            let by_s = i64::try_from(rng.below(1_201)).unwrap_or(0) - 600;
            Mishap::StepClock { node, by_s }
        }
        Fault::Stalls => {
            let ms = [200, 1_500, 3_500, 6_000][rng.index(4)];
            Mishap::Stall { node, worker, ms }
        }
        Fault::StoreDown => {
            let ms = [300, 2_000, 8_000, 20_000, 20_000][rng.index(5)];
            Mishap::StoreDown { ms }
        }
        Fault::Tokens => Mishap::ReplaceToken,
        _ => return None,
    })
}

fn push(number: usize, at_ms: u64, at_once: bool, forwards: bool, rng: &mut Rng) -> Push {
    let stranger = format!("oAbCdEf0123456789GhIjK{number:06}");
    let friend = format!("oAbCdEf0123456789GhIjKlMnOp{}", rng.below(2));
    let text = |openid: &str, content: String| {
        let msg_id = 24_000_000_000_000_001 + number as u64;
        let more = format!("<Content><![CDATA[{content}]]></Content><MsgId>{msg_id}</MsgId>");
        message(openid, at_ms, "text", &more)
    };
    let event = |openid: &str, event: &str, key: String| {
        let more =
            format!("<Event><![CDATA[{event}]]></Event><EventKey><![CDATA[{key}]]></EventKey>");
        message(openid, at_ms, "event", &more)
    };
    let mut push = Push {
        at_ms,
        openid: friend.clone(),
        body: String::new(),
        id: String::new(),
        expected: None,
        tag: None,
        follows: false,
        asks: false,
        app: None,
        app_is_silent: app::is_silent(rng),
        skipped: false,
    };
    // Half of all pushes are forwarded where any is.
    if forwards && rng.chance(500) {
        let again = rng.chance(400);
        let word = if again { "again" } else { "ask" };
        let who = if rng.chance(500) { stranger } else { friend };
        push.body = text(&who, format!("{word}{number}"));
        push.openid = who;
        push.app = Some(again);
        push.id = id_of(&push.body);
        return push;
    }
    match rng.below(if at_once { 9 } else { 11 }) {
        0 | 1 => {
            push.body = text(&friend, format!("word{number}"));
            push.expected = Some(format!("said word{number}"));
        }
        2 | 3 => {
            push.body = text(&stranger, format!("tag{number}"));
            push.expected = Some(format!("tagged tag{number}"));
            push.tag = Some(FIRST_TAG + number as u32);
            push.openid = stranger;
        }
        4 | 5 => {
            push.body = event(&stranger, "subscribe", format!("qrscene_{number}"));
            push.expected = Some(format!("welcome {number}"));
            push.follows = true;
            push.openid = stranger;
        }
        6 => {
            push.body = event(&friend, "SCAN", format!("{number}"));
            push.expected = Some(format!("scanned {number}"));
        }
        7 => push.body = event(&friend, "CLICK", format!("none{number}")),
        8 => {
            push.body = event(&stranger, "unsubscribe", String::new());
            push.openid = stranger;
        }
        9 => {
            push.body = text(&stranger, format!("new{number}"));
            push.expected = Some(format!("new{number}"));
            push.tag = Some(FIRST_TAG + number as u32);
            push.asks = true;
            push.openid = stranger;
        }
        _ => {
            push.body = text(&friend, format!("new{number}"));
            push.expected = Some(format!("new{number}"));
            push.asks = true;
        }
    }
    push.id = id_of(&push.body);
    push
}

fn message(openid: &str, at_ms: u64, msg_type: &str, more: &str) -> String {
    let time = (BEGIN_UNIX_MS + at_ms) / 1_000;
    format!(
        "<xml><ToUserName><![CDATA[{ORIGINAL_ID}]]></ToUserName><FromUserName><![CDATA[{openid}]]></FromUserName>\
         <CreateTime>{time}</CreateTime><MsgType><![CDATA[{msg_type}]]></MsgType>{more}</xml>"
    )
}

/// The id of a push's event: the SHA-1 of the account's name and what tells the push from all others.
fn id_of(body: &str) -> String {
    let push = Parsed::parse(body.as_bytes()).expect("a push of ours");
    let mut identity = format!("{ACCOUNT}\0").into_bytes();
    push.write_identity(&mut identity);
    let digest = Sha1::digest(&identity);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn document(
    encrypted: bool,
    at_once: bool,
    limits: &Limits,
    pushes: &[Push],
    slots: u32,
    lenient: bool,
    rng: &mut Rng,
) -> Value {
    let mut rules = vec![
        json!({"when": {"event": "subscribe"}, "reply": {"text": "welcome {scene} {openid}"}}),
        json!({"when": {"event": "SCAN"}, "reply": {"text": "scanned {scene} {openid}"}}),
        json!({"when": {"event": "*"}, "reply": "none"}),
    ];
    for (number, push) in pushes.iter().enumerate() {
        match (push.tag, push.asks) {
            (Some(tag), false) => rules.push(json!({
                "when": {"keyword": format!("tag{number}")}, "tag": [tag], "reply": {"text": "tagged {content} {openid}"}
            })),
            (Some(tag), true) => rules.push(json!({
                "when": {"keyword": format!("new{number}"), "first_push": true}, "tag": [tag],
                "reply": {"text": "first {content} {openid}"}
            })),
            (None, true) => rules.push(json!({
                "when": {"keyword": format!("new{number}"), "first_push": true},
                "reply": {"text": "first {content} {openid}"}
            })),
            (None, false) => {}
        }
    }
    for (word, app) in [("ask", app::ONCE), ("again", app::AGAIN)] {
        rules.push(json!({
            "when": {"keyword": {"prefix": word}},
            "forward": {"app": app, "otherwise": {"text": "sorry {content} {openid}"}}
        }));
    }
    let timeout_ms = [3_000, 10_000, 14_000][rng.index(3)];
    rules.push(json!({"reply": {"text": "said {content} {openid}"}}));
    json!({
        "accounts": [{
            "name": ACCOUNT, "path": "/", "original_id": ORIGINAL_ID, "appid": APPID,
            "mode": if encrypted { "encrypted" } else { "plain" },
            "token_env": "TOKEN", "encoding_aes_key_env": "KEY", "app_secret_env": "SECRET", "rules": rules
        }],
        "store": {"cluster": "store", "ack": if at_once { "at_once" } else { "after_store" }},
        "wechat_api": {"cluster": "api"},
        "apps": [
            {"name": app::ONCE, "cluster": "app", "timeout_ms": timeout_ms},
            {"name": app::AGAIN, "cluster": "app", "timeout_ms": timeout_ms, "repeat": true, "format": "wechat"},
        ],
        "limits": {
            "dedup_slots": slots, "outbox_max_events": limits.outbox_events, "parked_max": limits.parked,
            "batch_max_events": limits.batch_events, "profiles_max_queued": limits.profiles,
            "tags_max_queued": limits.tags, "forwards_max": limits.forwards, "freshness_s": if lenient { 86_400 } else { 300 },
        },
    })
}
