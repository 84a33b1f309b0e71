//! WeChat's API: access tokens, profiles, tags, and the ledger of what was done.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_engine::Call;

use crate::calls::{Course, End};
use crate::faults::{Fault, Faults};
use crate::rng::Rng;

/// How long a caller waits. Source: the default of the configuration.
const TIMEOUT_MS: u64 = 3_000;
/// How long before its end WeChat renews a token. Source: wechat-protocol 6.1.
const RENEWS_MS: u64 = 300_000;

pub(crate) struct Api {
    rng: Rng,
    /// The number in the current token.
    token: u64,
    token_ends_ms: u64,
    /// How often a user got a tag.
    pub(crate) tagged: BTreeMap<(String, u32), u64>,
    /// What users were sent: to whom, and what.
    pub(crate) sent: Vec<(String, String)>,
    /// How often a user's profile was given out.
    pub(crate) shown: BTreeMap<String, u64>,
}

impl Api {
    pub(crate) fn new(rng: Rng) -> Self {
        let mut rng = rng;
        Self {
            token: 1,
            // Some end, or are about to, while the world is looked at.
            token_ends_ms: [7_200_000, 320_000, 30_000, 0][rng.index(4)],
            rng,
            tagged: BTreeMap::new(),
            sent: Vec::new(),
            shown: BTreeMap::new(),
        }
    }

    /// Somebody else forces a new token: the old one is refused from now on.
    pub(crate) fn replace_token(&mut self, now_ms: u64) {
        self.token += 1;
        self.token_ends_ms = now_ms + 7_200_000;
    }

    /// Whether a token would be taken now, and for how long.
    pub(crate) fn life_of(&self, token: &str, now_ms: u64) -> u64 {
        if token == self.name() {
            self.token_ends_ms.saturating_sub(now_ms)
        } else {
            0
        }
    }

    fn name(&self) -> String {
        format!("T{}", self.token)
    }

    pub(crate) fn course(&mut self, call: Call, faults: Faults) -> Course {
        let rng = &mut self.rng;
        // What must not be done twice is where a lost answer hurts.
        let sends = matches!(call, Call::Send(_));
        let effect_ms = rng.between(2, 40);
        let return_ms = effect_ms + rng.between(2, 40);
        if faults.has(Fault::Api) && rng.chance(if sends { 700 } else { 350 }) {
            let late = rng.between(TIMEOUT_MS / 2, 2 * TIMEOUT_MS);
            return match rng.below(if sends { 2 } else { 4 }) {
                0 => Course {
                    effect_ms: None,
                    return_ms,
                    end: End::Reset,
                },
                1 => Course {
                    effect_ms: Some(effect_ms),
                    return_ms,
                    end: End::Reset,
                },
                2 => Course {
                    effect_ms: None,
                    return_ms,
                    end: End::Status(502, None),
                },
                _ if late < TIMEOUT_MS => Course::smooth(late, late),
                _ => Course {
                    effect_ms: Some(late),
                    return_ms: TIMEOUT_MS,
                    end: End::Status(504, None),
                },
            };
        }
        Course::smooth(effect_ms, return_ms)
    }

    /// A call takes effect. The answer, and how many users it was about.
    pub(crate) fn take(
        &mut self,
        call: Call,
        path: &str,
        body: &[u8],
        faults: Faults,
        now_ms: u64,
    ) -> (Value, usize) {
        if faults.has(Fault::Api) && self.rng.chance(100) {
            return (json!({"errcode": -1, "errmsg": "system busy"}), 0);
        }
        if let Call::AccessToken(_) = call {
            if self.token_ends_ms < now_ms + RENEWS_MS {
                self.replace_token(now_ms);
            }
            let left_s = (self.token_ends_ms - now_ms) / 1_000;
            return (
                json!({"access_token": self.name(), "expires_in": left_s}),
                1,
            );
        }
        if faults.has(Fault::Tokens) && self.rng.chance(200) {
            self.replace_token(now_ms);
        }
        let given = path.rsplit_once("access_token=").map_or("", |(_, t)| t);
        if self.life_of(given, now_ms) == 0 {
            let errcode = [40001, 42001][self.rng.index(2)];
            return (json!({"errcode": errcode, "errmsg": "invalid"}), 0);
        }
        let body: Value = serde_json::from_slice(body).expect("the engine writes JSON");
        match call {
            Call::Profiles(_) => {
                let openids = texts(&body["user_list"], |user| user["openid"].as_str());
                for openid in &openids {
                    *self.shown.entry(openid.clone()).or_default() += 1;
                }
                let users: Vec<_> = (openids.iter())
                    .map(|openid| json!({"subscribe": 1, "openid": openid}))
                    .collect();
                (json!({"user_info_list": users}), openids.len())
            }
            Call::Tags(_) => {
                let tag = body["tagid"].as_u64().unwrap_or_default() as u32;
                let openids = texts(&body["openid_list"], Value::as_str);
                for openid in &openids {
                    *self.tagged.entry((openid.clone(), tag)).or_default() += 1;
                }
                (json!({"errcode": 0, "errmsg": "ok"}), openids.len())
            }
            Call::Send(_) => {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                if faults.has(Fault::Api) && self.rng.chance(200) {
                    let errcode = [45015, 45047, 48001][self.rng.index(3)];
                    return (json!({"errcode": errcode, "errmsg": "no"}), 0);
                }
                let sent = (text(&body["touser"]), text(&body["text"]["content"]));
                self.sent.push(sent);
                (json!({"errcode": 0, "errmsg": "ok"}), 1)
            }
            _ => (json!({"errcode": 40013, "errmsg": "no such call"}), 0),
        }
    }
}

fn texts(list: &Value, text: impl Fn(&Value) -> Option<&str>) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items
        .filter_map(|item| text(item).map(str::to_owned))
        .collect()
}
