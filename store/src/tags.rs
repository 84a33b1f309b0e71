//! Tags: what is decided about them without asking anybody.
//!
//! One wrong openid has WeChat refuse a whole call. The call is then made again by halves, until the wrong one is alone: all
//! others get through (`Batches`).
//!
//! Where the account may not use tags at WeChat, they are the store's own: their ids are below 0
//! (`store/src/repo/tags.rs`). Where it may, a change is a job (`store/src/jobs/tags`).
//!
//! # Bounds
//! [`AT_ONCE`] followers to a call. Of a call of n with one that is wrong, at most 2 log2 n + 1 calls become.

use serde_json::Value;
use weir_errands::errcodes;
use weir_store_api::tags::{Tag, TagPlace};

use crate::wechat::Refusal;

/// Followers of one call. Source: WeChat, `/cgi-bin/tags/members/batchtagging`.
pub const AT_ONCE: usize = 50;
/// Longest name, in characters. Source: WeChat, `/cgi-bin/tags/create`.
pub const NAME_MAX_CHARS: usize = 30;
/// Tags of an account's own. Source: likewise.
pub const OF_ACCOUNT: usize = 100;
/// Tags of a user. Source: WeChat's page on tags.
pub const OF_USER: usize = 20;
/// The last of the ids of WeChat's own tags.
const WECHATS: i64 = 2;

/// The store's refusal of what WeChat would refuse with this errcode.
pub(crate) fn refusal(errcode: i64) -> Refusal {
    Refusal {
        errcode,
        why: errcodes::meaning(errcode).reason.to_owned(),
    }
}

/// Whether an id is one of the store's own tags.
pub(crate) fn is_local(id: i64) -> bool {
    id < 0
}

/// Whether a tag counts among those that an account may have [`OF_ACCOUNT`] of.
pub(crate) fn is_own(id: i64) -> bool {
    is_local(id) || id > WECHATS
}

/// Whether it is one of the followers that WeChat refuses a call for.
pub(crate) fn is_about_one(errcode: i64) -> bool {
    matches!(
        errcode,
        errcodes::INVALID_OPENID | errcodes::TOO_MANY_OF_USER | errcodes::OTHERS_OPENID
    )
}

/// The calls that are left to make for some followers.
#[derive(Debug)]
pub(crate) struct Batches {
    /// The next is last.
    calls: Vec<Vec<String>>,
}

impl Batches {
    pub(crate) fn new(openids: &[String]) -> Self {
        Self {
            calls: openids.chunks(AT_ONCE).rev().map(<[_]>::to_vec).collect(),
        }
    }

    /// Whom the next call is for.
    pub(crate) fn next(&mut self) -> Option<Vec<String>> {
        self.calls.pop()
    }

    /// One of this call is wrong: its halves are next. Who it is, once they are alone.
    pub(crate) fn halve(&mut self, mut call: Vec<String>) -> Option<String> {
        if call.len() <= 1 {
            return call.pop();
        }
        let second = call.split_off(call.len() / 2);
        self.calls.extend([second, call]);
        None
    }
}

/// The tags in an answer of `/cgi-bin/tags/get`, as far as they are ones.
pub(crate) fn listed(answer: &Value) -> impl Iterator<Item = Tag> {
    let tags = answer["tags"].as_array().into_iter().flatten();
    tags.filter_map(|tag| {
        Some(Tag {
            id: tag["id"].as_i64().filter(|id| !is_local(*id))?,
            name: tag["name"].as_str()?.to_owned(),
            count: tag["count"].as_u64(),
            place: TagPlace::Wechat,
            why_local: None,
        })
    })
}

/// Why a name cannot be one; `None`: it can, as far as can be told without WeChat.
pub(crate) fn unfit(name: &str) -> Option<String> {
    let length = name.chars().count();
    if !(1..=NAME_MAX_CHARS).contains(&length) {
        return Some(format!("a tag's name has 1 to {NAME_MAX_CHARS} characters"));
    }
    name.contains(char::is_control)
        .then(|| "a tag's name has no control characters".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openids(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("o{number}")).collect()
    }

    /// Makes the calls as WeChat would take them: whom it took, whom it refused, how many calls there were.
    fn made(count: usize, wrong: &[&str]) -> (Vec<String>, Vec<String>, usize) {
        let mut batches = Batches::new(&openids(count));
        let (mut done, mut refused, mut calls) = (Vec::new(), Vec::new(), 0);
        while let Some(call) = batches.next() {
            assert!(call.len() <= AT_ONCE);
            calls += 1;
            if call.iter().any(|openid| wrong.contains(&openid.as_str())) {
                refused.extend(batches.halve(call));
            } else {
                done.extend(call);
            }
        }
        (done, refused, calls)
    }

    #[test]
    fn fifty_go_in_a_call_and_all_are_done() {
        assert_eq!(made(120, &[]), (openids(120), Vec::new(), 3));
    }

    #[test]
    fn the_wrong_ones_are_found_by_halves_and_all_others_get_through() {
        for wrong in [
            &["o0"][..],
            &["o49"],
            &["o13", "o14", "o90"],
            &["o0", "o1", "o2"],
        ] {
            let (done, refused, calls) = made(100, wrong);
            assert_eq!(refused, wrong);
            let others = openids(100)
                .into_iter()
                .filter(|openid| !wrong.contains(&openid.as_str()));
            assert_eq!(done, others.collect::<Vec<_>>());
            assert!(calls <= 2 + wrong.len() * 12, "{calls}");
        }
    }

    #[test]
    fn names_have_a_length_in_characters() {
        assert_eq!(unfit(&"名".repeat(30)), None);
        for name in ["", &"名".repeat(31), "a\0b", "a\nb"] {
            assert!(unfit(name).is_some(), "{name:?}");
        }
    }

    #[test]
    fn wechats_own_tags_do_not_count() {
        assert_eq!(
            [-1, 0, 2, 3, 100].map(is_own),
            [true, false, false, true, true]
        );
    }
}
