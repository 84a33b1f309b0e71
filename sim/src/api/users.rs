//! An account's users: who follows, since when, by which scene, and the rest of `user/info`.
//!
//! Since the end of 2021 WeChat no longer fills nickname, sex, city, province, country and headimgurl. They are answered here
//! when they were set, so that accounts with old records can be played too.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::push::Scene;

/// What a user or an operator may change. Absent fields are left out of the answer, or have WeChat's default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// Emoji and all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// 0 unknown, 1 male, 2 female.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sex: Option<u8>,
    /// Default `zh_CN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// As the user typed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// As the user typed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub province: Option<String>,
    /// As the user typed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// URL of the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headimgurl: Option<String>,
    /// When the account is bound to an Open Platform account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unionid: Option<String>,
    /// The operators' name for the user.
    pub remark: String,
    /// Tags. The first doubles as the legacy group.
    pub tagid_list: Vec<i64>,
}

/// How somebody came to follow.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Follow {
    /// Scene of a QR code: a number or a text.
    pub scene: Option<Scene>,
    /// Default `ADD_SCENE_QR_CODE` with a scene, else `ADD_SCENE_SEARCH`.
    pub subscribe_scene: Option<String>,
    /// Unix seconds; default now.
    pub at: Option<i64>,
}

/// What a user does that opens the window for customer-service messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// Writes: 5 messages within 48 hours.
    Message,
    /// Taps a menu button: 3 within a minute.
    Click,
    /// Scans a QR code: 3 within a minute.
    Scan,
    /// Follows: 3 within a minute.
    Follow,
}

impl Act {
    /// Messages allowed, and for how long.
    /// Source: WeChat's page on customer-service messages.
    fn window(self) -> (u32, i64) {
        match self {
            Self::Message => (5, 48 * 3_600_000),
            Self::Click | Self::Scan | Self::Follow => (3, 60_000),
        }
    }
}

/// Why a customer-service message may not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendRefused {
    /// 45015
    OutOfTime,
    /// 45047
    OutOfCount,
}

#[derive(Default)]
struct User {
    /// In the order of their first appearance.
    place: usize,
    profile: Profile,
    follows: bool,
    subscribe_time: i64,
    subscribe_scene: String,
    scene: Option<Scene>,
    windows: Vec<Window>,
}

struct Window {
    until_ms: i64,
    left: u32,
}

/// The users of one account.
#[derive(Default)]
pub(super) struct Users {
    by_openid: HashMap<String, User>,
    /// In the order of their first appearance.
    order: Vec<String>,
    /// How many follow.
    following: usize,
    blacklist: Blacklist,
}

/// Whom the account has put on its blacklist, in the order in which it did.
#[derive(Default)]
struct Blacklist {
    places: HashMap<String, u64>,
    order: BTreeMap<u64, String>,
    /// The next place.
    next: u64,
}

impl Users {
    fn entry(&mut self, openid: &str) -> &mut User {
        let order = &mut self.order;
        self.by_openid.entry(openid.to_owned()).or_insert_with(|| {
            order.push(openid.to_owned());
            User {
                place: order.len() - 1,
                ..User::default()
            }
        })
    }

    pub(super) fn set_profile(&mut self, openid: &str, profile: Profile) {
        self.entry(openid).profile = profile;
    }

    pub(super) fn set_unionid(&mut self, openid: &str, unionid: &str) {
        self.entry(openid).profile.unionid = Some(unionid.to_owned());
    }

    /// Of somebody this account has met.
    pub(super) fn profile(&self, openid: &str) -> Option<&Profile> {
        self.by_openid.get(openid).map(|user| &user.profile)
    }

    pub(super) fn unionid(&self, openid: &str) -> Option<&str> {
        self.profile(openid)?.unionid.as_deref()
    }

    pub(super) fn follow(&mut self, now_ms: i64, openid: &str, follow: Follow) {
        self.following += usize::from(self.follows(openid) != Some(true));
        let user = self.entry(openid);
        user.follows = true;
        user.subscribe_time = follow.at.unwrap_or(now_ms / 1000);
        user.subscribe_scene = follow.subscribe_scene.unwrap_or_else(|| {
            (if follow.scene.is_some() {
                "ADD_SCENE_QR_CODE"
            } else {
                "ADD_SCENE_SEARCH"
            })
            .to_owned()
        });
        user.scene = follow.scene;
        user.act(now_ms, Act::Follow);
    }

    pub(super) fn unfollow(&mut self, openid: &str) {
        self.following -= usize::from(self.follows(openid) == Some(true));
        let user = self.entry(openid);
        user.follows = false;
        user.windows.clear();
    }

    pub(super) fn act(&mut self, now_ms: i64, openid: &str, act: Act) {
        self.entry(openid).act(now_ms, act);
    }

    /// `None` for somebody this account never met.
    pub(super) fn follows(&self, openid: &str) -> Option<bool> {
        self.by_openid.get(openid).map(|user| user.follows)
    }

    /// Counts one customer-service message.
    pub(super) fn take_send(&mut self, now_ms: i64, openid: &str) -> Result<(), SendRefused> {
        let user = self
            .by_openid
            .get_mut(openid)
            .ok_or(SendRefused::OutOfTime)?;
        user.windows.retain(|window| window.until_ms > now_ms);
        if user.windows.is_empty() {
            return Err(SendRefused::OutOfTime);
        }
        let window = user
            .windows
            .iter_mut()
            .find(|window| window.left > 0)
            .ok_or(SendRefused::OutOfCount)?;
        window.left -= 1;
        Ok(())
    }

    /// The object of `user/info`; `None` for somebody this account never met.
    pub(super) fn info(&self, openid: &str) -> Option<Value> {
        self.by_openid.get(openid).map(|user| user.info(openid))
    }

    /// The tags of somebody this account has met.
    pub(super) fn tags_of(&self, openid: &str) -> Option<&[i64]> {
        let user = self.by_openid.get(openid)?;
        Some(&user.profile.tagid_list)
    }

    /// Gives somebody a tag; a second time changes nothing.
    pub(super) fn tag(&mut self, openid: &str, tag: i64) {
        let tags = &mut self.entry(openid).profile.tagid_list;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }

    /// Takes a tag from somebody; a second time changes nothing.
    pub(super) fn untag(&mut self, openid: &str, tag: i64) {
        let tags = &mut self.entry(openid).profile.tagid_list;
        tags.retain(|known| *known != tag);
    }

    /// Takes a tag from everybody.
    pub(super) fn forget_tag(&mut self, tag: i64) {
        for user in self.by_openid.values_mut() {
            user.profile.tagid_list.retain(|known| *known != tag);
        }
    }

    /// How many follow with that tag.
    pub(super) fn tagged(&self, tag: i64) -> usize {
        self.by_openid
            .values()
            .filter(|user| user.follows && user.profile.tagid_list.contains(&tag))
            .count()
    }

    /// How many follow.
    pub(super) fn following(&self) -> usize {
        self.following
    }

    /// So many followers after this one, or from the first; `None` if this one does not follow.
    pub(super) fn followers(&self, after: Option<&str>, most: usize) -> Option<Vec<&str>> {
        let start = match after {
            None => 0,
            Some(openid) => {
                let user = self.by_openid.get(openid).filter(|user| user.follows)?;
                user.place + 1
            }
        };
        let order = self.order.iter().skip(start).map(String::as_str);
        let followers = order.filter(|openid| self.follows(openid) == Some(true));
        Some(followers.take(most).collect())
    }

    /// Puts somebody on the blacklist; a second time changes nothing.
    pub(super) fn blacklist(&mut self, openid: &str) {
        let list = &mut self.blacklist;
        if !list.places.contains_key(openid) {
            list.places.insert(openid.to_owned(), list.next);
            list.order.insert(list.next, openid.to_owned());
            list.next += 1;
        }
    }

    /// Takes somebody off the blacklist; a second time changes nothing.
    pub(super) fn unblacklist(&mut self, openid: &str) {
        let list = &mut self.blacklist;
        if let Some(place) = list.places.remove(openid) {
            list.order.remove(&place);
        }
    }

    /// How many are on the blacklist.
    pub(super) fn blacklisted(&self) -> usize {
        self.blacklist.order.len()
    }

    /// Whether somebody is on the blacklist.
    pub(super) fn is_blacklisted(&self, openid: &str) -> bool {
        self.blacklist.places.contains_key(openid)
    }

    /// So many on the blacklist after this one, or from the first; `None` if this one is not on it.
    pub(super) fn blacklist_page(&self, after: Option<&str>, most: usize) -> Option<Vec<&str>> {
        let list = &self.blacklist;
        let start = match after {
            None => 0,
            Some(openid) => list.places.get(openid)? + 1,
        };
        let page = list.order.range(start..).map(|(_, openid)| openid.as_str());
        Some(page.take(most).collect())
    }

    /// Everybody, followers or not.
    pub(super) fn all(&self) -> Vec<Value> {
        self.order
            .iter()
            .filter_map(|openid| self.info(openid))
            .collect()
    }
}

impl User {
    fn act(&mut self, now_ms: i64, act: Act) {
        let (left, lasts_ms) = act.window();
        self.windows
            .retain(|window| window.until_ms > now_ms && window.left > 0);
        self.windows.push(Window {
            until_ms: now_ms + lasts_ms,
            left,
        });
    }

    fn info(&self, openid: &str) -> Value {
        let profile = &self.profile;
        if !self.follows {
            let mut info = json!({"subscribe": 0, "openid": openid});
            if let Some(unionid) = &profile.unionid {
                info["unionid"] = json!(unionid);
            }
            return info;
        }
        let (qr_scene, qr_scene_str) = match &self.scene {
            None => (0, ""),
            Some(Scene::Number(number)) => (*number, ""),
            Some(Scene::Text(text)) => (0, text.as_str()),
        };
        let mut info = json!(profile);
        let known = json!({
            "subscribe": 1,
            "openid": openid,
            "language": profile.language.as_deref().unwrap_or("zh_CN"),
            "subscribe_time": self.subscribe_time,
            "groupid": profile.tagid_list.first().unwrap_or(&0),
            "subscribe_scene": self.subscribe_scene,
            "qr_scene": qr_scene,
            "qr_scene_str": qr_scene_str,
        });
        if let (Value::Object(info), Value::Object(known)) = (&mut info, known) {
            info.extend(known);
        }
        info
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_has_a_profile_and_one_who_left_has_none() {
        let mut users = Users::default();
        assert_eq!(users.info("o1"), None);
        users.set_profile(
            "o1",
            Profile {
                nickname: Some("小明🌊".into()),
                tagid_list: vec![100],
                ..Profile::default()
            },
        );
        assert_eq!(
            users.info("o1"),
            Some(json!({"subscribe": 0, "openid": "o1"}))
        );
        users.follow(
            1_714_104_000_000,
            "o1",
            Follow {
                scene: Some(Scene::Number(123_456)),
                ..Follow::default()
            },
        );
        assert_eq!(
            users.info("o1"),
            Some(json!({
                "subscribe": 1, "openid": "o1", "nickname": "小明🌊", "language": "zh_CN",
                "subscribe_time": 1_714_104_000, "remark": "", "groupid": 100, "tagid_list": [100],
                "subscribe_scene": "ADD_SCENE_QR_CODE", "qr_scene": 123_456, "qr_scene_str": "",
            }))
        );
        users.unfollow("o1");
        assert_eq!(
            users.info("o1"),
            Some(json!({"subscribe": 0, "openid": "o1"}))
        );
        assert_eq!(users.followers(None, 10), Some(Vec::new()));
    }

    #[test]
    fn followers_are_listed_once_in_the_order_in_which_they_came() {
        let mut users = Users::default();
        for openid in ["o1", "o2", "o3", "o2", "o4"] {
            users.follow(0, openid, Follow::default());
        }
        assert_eq!(users.following(), 4);
        assert_eq!(users.followers(None, 2), Some(vec!["o1", "o2"]));
        assert_eq!(users.followers(Some("o2"), 9), Some(vec!["o3", "o4"]));
        assert_eq!(users.followers(Some("o4"), 9), Some(Vec::new()));
        for _ in 0..2 {
            users.unfollow("o3");
        }
        users.unfollow("o9");
        assert_eq!(users.following(), 3);
        assert_eq!(users.followers(Some("o2"), 9), Some(vec!["o4"]));
        assert_eq!(users.followers(Some("o3"), 9), None);
        users.follow(0, "o3", Follow::default());
        assert_eq!(users.followers(None, 9).map(|all| all.len()), Some(4));
    }

    #[test]
    fn the_blacklist_is_cut_into_pages_in_the_order_in_which_it_grew() {
        let mut users = Users::default();
        for openid in ["o1", "o2", "o3", "o2"] {
            users.blacklist(openid);
        }
        assert_eq!(users.blacklisted(), 3);
        assert_eq!(users.blacklist_page(None, 2), Some(vec!["o1", "o2"]));
        assert_eq!(users.blacklist_page(Some("o2"), 2), Some(vec!["o3"]));
        for _ in 0..2 {
            users.unblacklist("o2");
        }
        assert_eq!(users.blacklist_page(Some("o1"), 2), Some(vec!["o3"]));
        assert_eq!(users.blacklist_page(Some("o2"), 2), None);
        assert_eq!(users.blacklist_page(Some("o3"), 2), Some(vec![]));
        users.blacklist("o2");
        assert_eq!(users.blacklist_page(None, 9), Some(vec!["o1", "o3", "o2"]));
        assert!(users.is_blacklisted("o2") && !users.is_blacklisted("o9"));
    }

    #[test]
    fn customer_service_messages_have_a_count_and_a_time() {
        let mut users = Users::default();
        users.follow(0, "o1", Follow::default());
        for _ in 0..3 {
            assert_eq!(users.take_send(59_999, "o1"), Ok(()));
        }
        assert_eq!(users.take_send(59_999, "o1"), Err(SendRefused::OutOfCount));
        assert_eq!(users.take_send(60_000, "o1"), Err(SendRefused::OutOfTime));
        users.act(60_000, "o1", Act::Message);
        assert_eq!(users.take_send(60_000 + 48 * 3_600_000 - 1, "o1"), Ok(()));
        users.unfollow("o1");
        assert_eq!(users.take_send(61_000, "o1"), Err(SendRefused::OutOfTime));
    }
}
