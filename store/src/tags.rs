//! Tags, which WeChat keeps: asked for and changed through the door, many followers to a call.
//!
//! One wrong openid has WeChat refuse a whole call. The call is then made again by halves, until the wrong one is alone: all
//! others get through.
//!
//! # Bounds
//! [`AT_ONCE`] followers to a call. Of a call of n with one that is wrong, at most 2 log2 n + 1 calls become.

use serde_json::{Value, json};
use weir_store_api::tags::{TagRefused, TagsChanged};

use crate::wechat::{Delay, Refusal, Verdict, Wechat};

/// Followers of one call. Source: WeChat, `/cgi-bin/tags/members/batchtagging`.
pub const AT_ONCE: usize = 50;
/// Longest name, in characters. Source: WeChat, `/cgi-bin/tags/create`.
pub const NAME_MAX_CHARS: usize = 30;

/// What becomes of followers' tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// They get it.
    Give,
    /// They have it no more.
    Take,
}

impl Change {
    fn path(self) -> &'static str {
        match self {
            Self::Give => "/cgi-bin/tags/members/batchtagging",
            Self::Take => "/cgi-bin/tags/members/batchuntagging",
        }
    }
}

/// Gives a tag to followers, or takes it from them.
///
/// # Errors
/// WeChat refuses whoever it is: there is no such tag, or the account may not.
pub async fn change(
    wechat: &dyn Wechat,
    account: &str,
    tag: i64,
    change: Change,
    openids: Vec<String>,
) -> Result<TagsChanged, Refusal> {
    let mut changed = TagsChanged::default();
    // The next is last.
    let mut calls: Vec<Vec<String>> = openids.chunks(AT_ONCE).rev().map(<[_]>::to_vec).collect();
    while let Some(mut call) = calls.pop() {
        let body = json!({"openid_list": call, "tagid": tag});
        match wechat.post(account, change.path(), &body).await {
            Verdict::Done(_) => changed.done.extend(call),
            Verdict::Refused(refusal) if !is_about_one(refusal.errcode) => return Err(refusal),
            Verdict::Refused(refusal) if call.len() <= 1 => {
                let refused = call.pop().map(|openid| TagRefused {
                    openid,
                    errcode: refusal.errcode,
                    reason: refusal.why,
                });
                changed.refused.extend(refused);
            }
            Verdict::Refused(_) => {
                let second = call.split_off(call.len() / 2);
                calls.extend([second, call]);
            }
            Verdict::Later(Delay { why, .. }) => {
                changed.later.extend(call);
                changed.later.extend(calls.drain(..).rev().flatten());
                changed.reason = Some(why);
            }
        }
    }
    Ok(changed)
}

/// Whether it is one of the followers that WeChat refuses a call for.
fn is_about_one(errcode: i64) -> bool {
    // No user of the account; too many tags already; of another account.
    matches!(errcode, 40003 | 45059 | 49003)
}

/// The tags in an answer of `/cgi-bin/tags/get`, as far as they are ones: id, name, count.
pub(crate) fn listed(answer: &Value) -> impl Iterator<Item = (i64, String, Option<u64>)> {
    let tags = answer["tags"].as_array().into_iter().flatten();
    tags.filter_map(|tag| {
        let name = tag["name"].as_str()?.to_owned();
        Some((tag["id"].as_i64()?, name, tag["count"].as_u64()))
    })
}

/// Why a name cannot be one; `None`: it can, as far as can be told without WeChat.
pub(crate) fn unfit(name: &str) -> Option<String> {
    let length = name.chars().count();
    (!(1..=NAME_MAX_CHARS).contains(&length))
        .then(|| format!("a tag's name has 1 to {NAME_MAX_CHARS} characters"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;

    /// Refuses calls with a wrong one in them, and after so many calls has no time.
    #[derive(Debug)]
    struct Picky {
        wrong: Vec<&'static str>,
        errcode: i64,
        most: usize,
        calls: Mutex<Vec<usize>>,
    }

    impl Picky {
        fn new(wrong: &[&'static str]) -> Self {
            Self {
                wrong: wrong.to_vec(),
                errcode: 40003,
                most: 1_000,
                calls: Mutex::default(),
            }
        }
    }

    #[async_trait]
    impl Wechat for Picky {
        async fn post(&self, _: &str, path: &str, body: &Value) -> Verdict {
            assert_eq!(path, "/cgi-bin/tags/members/batchtagging");
            let openids = body["openid_list"].as_array().unwrap();
            let mut calls = self.calls.lock().unwrap();
            if calls.len() >= self.most {
                return Verdict::Later(Delay {
                    errcode: None,
                    why: "no time".to_owned(),
                    wait: None,
                    for_all: true,
                    maybe_done: false,
                });
            }
            calls.push(openids.len());
            if openids
                .iter()
                .any(|o| self.wrong.contains(&o.as_str().unwrap()))
            {
                return Verdict::Refused(Refusal {
                    errcode: self.errcode,
                    why: "wrong".to_owned(),
                });
            }
            Verdict::Done(json!({"errcode": 0}))
        }

        async fn get(&self, _: &str, _: &str) -> Verdict {
            unreachable!("nothing is asked for")
        }
    }

    fn openids(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("o{number}")).collect()
    }

    async fn give(picky: &Picky, count: usize) -> Result<TagsChanged, Refusal> {
        change(picky, "demo", 100, Change::Give, openids(count)).await
    }

    #[tokio::test]
    async fn fifty_go_in_a_call_and_all_are_done() {
        let picky = Picky::new(&[]);
        let changed = give(&picky, 120).await.unwrap();
        assert_eq!(changed.done, openids(120));
        assert_eq!(*picky.calls.lock().unwrap(), [50, 50, 20]);
    }

    #[tokio::test]
    async fn the_wrong_ones_are_found_by_halves_and_all_others_get_through() {
        for wrong in [
            &["o0"][..],
            &["o49"],
            &["o13", "o14", "o90"],
            &["o0", "o1", "o2"],
        ] {
            let picky = Picky::new(wrong);
            let changed = give(&picky, 100).await.unwrap();
            let refused: Vec<_> = changed
                .refused
                .iter()
                .map(|one| one.openid.as_str())
                .collect();
            assert_eq!(refused, wrong);
            let others = openids(100)
                .into_iter()
                .filter(|o| !wrong.contains(&o.as_str()));
            assert_eq!(changed.done, others.collect::<Vec<_>>());
            assert!(changed.later.is_empty());
            assert!(picky.calls.lock().unwrap().len() <= 2 + wrong.len() * 12);
        }
    }

    #[tokio::test]
    async fn what_is_wrong_with_the_tag_is_wrong_for_all() {
        let picky = Picky {
            errcode: 45159,
            ..Picky::new(&["o3"])
        };
        assert_eq!(give(&picky, 100).await.unwrap_err().errcode, 45159);
        assert_eq!(picky.calls.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn once_wechat_cannot_be_asked_the_rest_is_for_later() {
        let picky = Picky {
            most: 2,
            ..Picky::new(&["o60"])
        };
        let changed = give(&picky, 170).await.unwrap();
        assert_eq!(changed.done, openids(50));
        assert_eq!(changed.later, openids(170)[50..]);
        assert_eq!(changed.reason.as_deref(), Some("no time"));
    }

    #[test]
    fn names_have_a_length_in_characters() {
        assert_eq!(unfit(&"名".repeat(30)), None);
        for name in ["", &"名".repeat(31)] {
            assert!(unfit(name).is_some(), "{name:?}");
        }
    }
}
