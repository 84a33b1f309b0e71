//! A profile made of many: each field as the newest profile that carried it said.
//!
//! WeChat fills different fields in different answers: `user/info` stopped carrying nickname and
//! picture in 2021, a web login carries those but no remark, and a person who left has hardly any.
//! So a field that is absent says nothing, and no field is older than the newest word on it.
//!
//! | field                                                              | an empty value          |
//! |--------------------------------------------------------------------|-------------------------|
//! | `nickname` `sex` `language` `city` `province` `country` `headimgurl` `unionid` | says nothing (withheld) |
//! | `remark` `groupid` `tagid_list`                                    | is a value: it was cleared |
//! | `subscribe_time` `subscribe_scene` `qr_scene` `qr_scene_str`       | go together: one arrival |
//!
//! A profile with `subscribe` 0 counts for `subscribe` and `unionid` only.
//!
//! What was erased at some time stays erased: a profile of before that counts, whenever it arrives, for `subscribe`, how they
//! came, and `unionid` only, without which nobody would know whether they follow and who they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_store_api::WechatUser;

use super::Clock;

/// The fields, and when each was last told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// The fields as they stand; `openid` stays empty here.
    pub fields: WechatUser,
    /// How fresh they are.
    pub clocks: Clocks,
}

/// When each field was last told. Nearly always that is one time for all, and this stays small.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clocks {
    /// The newest profile; the clock of every field that is not listed in `older`.
    newest: Option<Clock>,
    /// When what is personal was erased last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    erased: Option<Clock>,
    /// The fields the newest profile did not carry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    older: BTreeMap<String, Clock>,
}

impl Clocks {
    /// The time of the newest profile, Unix milliseconds.
    #[must_use]
    pub fn newest_ms(&self) -> Option<i64> {
        self.newest.map(Clock::millisecond)
    }

    fn of(&self, field: &str) -> Option<Clock> {
        self.older.get(field).copied().or(self.newest)
    }
}

/// The key of the fields that go together, by their leading one.
const ARRIVAL: &str = "subscribe_time";
/// The key of `subscribe`.
const SUBSCRIBE: &str = "subscribe";

impl Profile {
    /// Takes in what one profile said at `at`.
    pub fn learn(&mut self, at: Clock, told: &WechatUser) {
        let mut told = meaningful(told);
        if self.clocks.erased.is_some_and(|erased| at < erased) {
            told = impersonal(told);
        }
        let now = &mut self.fields;
        let mut clocks: BTreeMap<&'static str, Clock> = BTreeMap::new();

        /// Takes the field if it is news, and notes when the value that now stands was told.
        macro_rules! learn {
            ($key:expr, $lead:ident $(, $follower:ident)*) => {
                let known = now.$lead.as_ref().and_then(|_| self.clocks.of($key));
                if told.$lead.is_some() && known.is_none_or(|known| known < at) {
                    now.$lead.clone_from(&told.$lead);
                    $(now.$follower.clone_from(&told.$follower);)*
                    clocks.insert($key, at);
                } else if let Some(known) = known {
                    clocks.insert($key, known);
                }
            };
        }
        learn!(SUBSCRIBE, subscribe);
        learn!("nickname", nickname);
        learn!("sex", sex);
        learn!("language", language);
        learn!("city", city);
        learn!("province", province);
        learn!("country", country);
        learn!("headimgurl", headimgurl);
        learn!("unionid", unionid);
        learn!("remark", remark);
        learn!("groupid", groupid);
        learn!("tagid_list", tagid_list);
        learn!(
            ARRIVAL,
            subscribe_time,
            subscribe_scene,
            qr_scene,
            qr_scene_str
        );

        let newest = self.clocks.newest.max(Some(at));
        self.clocks = Clocks {
            newest,
            erased: self.clocks.erased,
            older: clocks
                .into_iter()
                .filter(|(_, clock)| Some(*clock) != newest)
                .map(|(field, clock)| (field.to_owned(), clock))
                .collect(),
        };
    }

    /// Forgets what is personal and was told before `at`.
    pub fn erase(&mut self, at: Clock) {
        if self.clocks.erased.is_some_and(|erased| at <= erased) {
            return;
        }
        self.clocks.erased = Some(at);
        macro_rules! erase {
            ($($field:ident)*) => {$(
                if self.clocks.of(stringify!($field)).is_none_or(|known| known < at) {
                    self.fields.$field = None;
                    self.clocks.older.remove(stringify!($field));
                }
            )*};
        }
        erase!(nickname sex language city province country headimgurl remark groupid tagid_list);
    }

    /// Whether the newest profile that told says they follow, and when it said so.
    #[must_use]
    pub fn subscribed(&self) -> Option<(bool, Clock)> {
        let subscribed = self.fields.subscribe? != 0;
        Some((subscribed, self.clocks.of(SUBSCRIBE)?))
    }

    /// The scene of the QR code they came by, as the newest arrival tells it.
    #[must_use]
    pub fn scene(&self) -> Option<String> {
        let text = self
            .fields
            .qr_scene_str
            .clone()
            .filter(|scene| !scene.is_empty());
        let number = self.fields.qr_scene.filter(|scene| *scene != 0);
        text.or_else(|| number.map(|scene| scene.to_string()))
    }
}

/// The profile without what is personal.
fn impersonal(told: WechatUser) -> WechatUser {
    WechatUser {
        nickname: None,
        sex: None,
        language: None,
        city: None,
        province: None,
        country: None,
        headimgurl: None,
        remark: None,
        groupid: None,
        tagid_list: None,
        ..told
    }
}

/// The profile without what says nothing.
fn meaningful(told: &WechatUser) -> WechatUser {
    let text = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
    let unionid = text(&told.unionid);
    if told.subscribe == Some(0) {
        return WechatUser {
            subscribe: told.subscribe,
            unionid,
            ..WechatUser::default()
        };
    }
    WechatUser {
        openid: String::new(),
        nickname: text(&told.nickname),
        sex: told.sex.filter(|sex| *sex != 0),
        language: text(&told.language),
        city: text(&told.city),
        province: text(&told.province),
        country: text(&told.country),
        headimgurl: text(&told.headimgurl),
        unionid,
        ..told.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Clock {
        Clock::new(second, second * 1000, "/accounts/demo", "p")
    }

    #[test]
    fn an_absent_or_withheld_field_keeps_what_an_older_profile_said() {
        let mut profile = Profile::default();
        profile.learn(
            at(10),
            &WechatUser {
                nickname: Some("鱼🐟".into()),
                sex: Some(2),
                remark: Some("regular".into()),
                ..WechatUser::default()
            },
        );
        profile.learn(
            at(20),
            &WechatUser {
                nickname: Some(String::new()),
                sex: Some(0),
                remark: Some(String::new()),
                ..WechatUser::default()
            },
        );
        assert_eq!(profile.fields.nickname.as_deref(), Some("鱼🐟"));
        assert_eq!(profile.fields.sex, Some(2));
        assert_eq!(profile.fields.remark.as_deref(), Some(""));
    }

    #[test]
    fn what_was_erased_stays_erased_in_whatever_order_it_was_told() {
        // None: an erasure.
        let named = |name: &str, remark: Option<&str>| {
            Some(WechatUser {
                subscribe: Some(1),
                subscribe_time: Some(5),
                nickname: Some(name.to_owned()),
                remark: remark.map(str::to_owned),
                unionid: Some("u".to_owned()),
                ..WechatUser::default()
            })
        };
        let facts = [
            (at(10), named("old", Some("regular"))),
            (at(20), None),
            (at(15), named("older", None)),
            (at(12), None),
            (at(30), named("new", None)),
        ];
        let mut ends = std::collections::BTreeSet::new();
        // Every order of five: the number names it, digit by digit.
        for number in 0..120 {
            let mut left: Vec<usize> = (0..facts.len()).collect();
            let mut profile = Profile::default();
            let mut number = number;
            while !left.is_empty() {
                let (clock, told) = &facts[left.remove(number % left.len())];
                number /= left.len() + 1;
                match told {
                    Some(told) => profile.learn(*clock, told),
                    None => profile.erase(*clock),
                }
            }
            assert_eq!(profile.fields.nickname.as_deref(), Some("new"));
            assert_eq!(
                profile.fields.remark, None,
                "it was told before the erasure only"
            );
            assert_eq!(profile.fields.unionid.as_deref(), Some("u"));
            ends.insert(format!("{profile:?}"));
        }
        assert_eq!(ends.len(), 1, "{ends:#?}");
    }

    #[test]
    fn an_older_profile_fills_gaps_but_never_overrules_a_newer_one() {
        let mut profile = Profile::default();
        let newer = WechatUser {
            remark: Some("new".into()),
            ..WechatUser::default()
        };
        let older = WechatUser {
            remark: Some("old".into()),
            city: Some("广州".into()),
            ..WechatUser::default()
        };
        profile.learn(at(20), &newer);
        profile.learn(at(10), &older);
        assert_eq!(profile.fields.remark.as_deref(), Some("new"));
        assert_eq!(profile.fields.city.as_deref(), Some("广州"));
        // The gap was filled with an old word: the next one, though older than the newest, is fresher.
        let between = WechatUser {
            city: Some("深圳".into()),
            ..WechatUser::default()
        };
        profile.learn(at(15), &between);
        assert_eq!(profile.fields.city.as_deref(), Some("深圳"));
    }

    #[test]
    fn leaving_does_not_erase_the_profile() {
        let mut profile = Profile::default();
        let full = WechatUser {
            subscribe: Some(1),
            nickname: Some("n".into()),
            tagid_list: Some(vec![2, 134]),
            ..WechatUser::default()
        };
        profile.learn(at(10), &full);
        let left = WechatUser {
            subscribe: Some(0),
            remark: Some(String::new()),
            tagid_list: Some(vec![]),
            ..WechatUser::default()
        };
        profile.learn(at(20), &left);
        assert_eq!(profile.fields.subscribe, Some(0));
        assert_eq!(profile.fields.nickname.as_deref(), Some("n"));
        assert_eq!(profile.fields.tagid_list, Some(vec![2, 134]));
        assert_eq!(profile.fields.remark, None);
    }

    #[test]
    fn the_clocks_survive_storage() {
        let mut profile = Profile::default();
        profile.learn(
            at(10),
            &WechatUser {
                city: Some("c".into()),
                ..WechatUser::default()
            },
        );
        profile.learn(
            at(20),
            &WechatUser {
                remark: Some("r".into()),
                ..WechatUser::default()
            },
        );
        let json = serde_json::to_string(&profile.clocks).unwrap();
        assert_eq!(
            serde_json::from_str::<Clocks>(&json).unwrap(),
            profile.clocks
        );
        assert_eq!(profile.clocks.newest_ms(), Some(20_000));
    }
}
