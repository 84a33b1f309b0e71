//! Whether a person follows, from evidence that arrives in any order.
//!
//! Three kinds of evidence are kept, the newest of each: the push that began a follow, the push that
//! ended one, and the profile (its `subscribe`, and its `subscribe_time` with how they came).
//! The state is computed from these alone, so the order of arrival cannot matter and an older event
//! never moves it backwards.
//!
//! A profile is an answer that was on its way for a while: it may say "follows" although the
//! unfollow, pushed meanwhile, has an earlier time. WeChat's own `subscribe_time` settles that: it is
//! the last follow's, so an unfollow at or after it is news that the answer did not have yet.

use serde::{Deserialize, Serialize};
use weir_store_api::read::FollowState;

use super::{Clock, Profile};

/// WeChat stamps the push of a follow and the profile's `subscribe_time` apart from each other:
/// so far apart, in seconds, they still speak of one follow.
const SAME_FOLLOW_S: i64 = 5;

/// What pushes said about a person's follow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The newest push of a follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub followed: Option<Followed>,
    /// The newest push of an unfollow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfollowed: Option<Clock>,
}

/// A push of a follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// When.
    pub at: Clock,
    /// The scene of the QR code, without its prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scene: Option<String>,
}

/// The follow as it stands. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    /// Following or not.
    pub state: FollowState,
    /// When the newest follow began.
    pub since: Option<i64>,
    /// When it ended.
    pub until: Option<i64>,
    /// The scene of the QR code.
    pub scene: Option<String>,
    /// WeChat's word for how they came.
    pub subscribe_scene: Option<String>,
}

impl Evidence {
    /// Takes in the push of a follow.
    pub fn follow(&mut self, at: Clock, scene: Option<&str>) {
        if self.followed.as_ref().is_none_or(|newest| newest.at < at) {
            let scene = scene.map(str::to_owned);
            self.followed = Some(Followed { at, scene });
        }
    }

    /// Takes in the push of an unfollow.
    pub fn unfollow(&mut self, at: Clock) {
        self.unfollowed = self.unfollowed.max(Some(at));
    }

    /// What it all amounts to; `None` without any evidence.
    #[must_use]
    pub fn conclude(&self, profile: &Profile) -> Option<Follow> {
        let followed = self.followed.as_ref().map(|push| push.at);
        let unfollowed = self.unfollowed;
        let told = profile.subscribed();
        if followed.is_none() && unfollowed.is_none() && told.is_none() {
            return None;
        }

        let arrival = profile
            .fields
            .subscribe_time
            .and_then(|s| i64::try_from(s).ok());
        let pushed = followed.map(Clock::second);
        let since = pushed.max(arrival);
        let (scene, subscribe_scene) = self.how(pushed, arrival, profile);

        let follows = match told {
            None => followed > unfollowed,
            Some((false, told)) => followed > Some(told) && followed > unfollowed,
            Some((true, told)) => unfollowed.is_none_or(|unfollowed| {
                followed > Some(unfollowed)
                    || arrival.map_or(told > unfollowed, |arrival| arrival > unfollowed.second())
            }),
        };
        let until = match (follows, unfollowed) {
            (true, _) => None,
            // The unfollow of this very follow was pushed …
            (false, Some(push)) if Some(push) > followed && Some(push.second()) >= since => {
                Some(push.second())
            }
            // … or it is known by a profile only: at the latest then.
            (false, push) => told.map(|(_, told)| told).or(push).map(Clock::second),
        };
        Some(Follow {
            state: if follows {
                FollowState::Following
            } else {
                FollowState::Unfollowed
            },
            since,
            until,
            scene,
            subscribe_scene,
        })
    }

    /// How the newest follow came about: its push and the profile may each know a part.
    fn how(
        &self,
        pushed: Option<i64>,
        arrival: Option<i64>,
        profile: &Profile,
    ) -> (Option<String>, Option<String>) {
        let by_push = || self.followed.as_ref().and_then(|push| push.scene.clone());
        let by_profile = || profile.fields.subscribe_scene.clone();
        match (pushed, arrival) {
            (Some(pushed), Some(arrival))
                if pushed.abs_diff(arrival) <= SAME_FOLLOW_S.unsigned_abs() =>
            {
                (by_push().or_else(|| profile.scene()), by_profile())
            }
            (Some(pushed), Some(arrival)) if pushed < arrival => (profile.scene(), by_profile()),
            (None, Some(_)) => (profile.scene(), by_profile()),
            _ => (by_push(), None),
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_store_api::WechatUser;
    use weir_store_api::read::FollowState::{Following, Unfollowed};

    use super::*;

    fn at(second: i64) -> Clock {
        Clock::new(second, second * 1000, "/accounts/demo", "e")
    }

    fn told(second: i64, subscribe: u8, subscribe_time: Option<u64>) -> Profile {
        let mut profile = Profile::default();
        profile.learn(
            at(second),
            &WechatUser {
                subscribe: Some(subscribe),
                subscribe_time,
                ..WechatUser::default()
            },
        );
        profile
    }

    #[track_caller]
    fn check(
        evidence: &Evidence,
        profile: &Profile,
        expected: (FollowState, Option<i64>, Option<i64>),
    ) {
        let follow = evidence.conclude(profile).unwrap();
        assert_eq!((follow.state, follow.since, follow.until), expected);
    }

    #[test]
    fn nothing_known_concludes_nothing() {
        assert_eq!(Evidence::default().conclude(&Profile::default()), None);
    }

    #[test]
    fn pushes_alone_follow_their_times() {
        let mut evidence = Evidence::default();
        evidence.unfollow(at(200));
        evidence.follow(at(100), Some("a"));
        check(
            &evidence,
            &Profile::default(),
            (Unfollowed, Some(100), Some(200)),
        );
        evidence.follow(at(300), None);
        check(&evidence, &Profile::default(), (Following, Some(300), None));
    }

    #[test]
    fn a_profile_says_when_and_how_they_came_if_the_push_was_lost() {
        let mut evidence = Evidence::default();
        evidence.follow(at(100), Some("old"));
        evidence.unfollow(at(200));
        let mut profile = Profile::default();
        profile.learn(
            at(400),
            &WechatUser {
                subscribe: Some(1),
                subscribe_time: Some(300),
                subscribe_scene: Some("ADD_SCENE_QR_CODE".into()),
                qr_scene: Some(7),
                qr_scene_str: Some(String::new()),
                ..WechatUser::default()
            },
        );
        check(&evidence, &profile, (Following, Some(300), None));
        let follow = evidence.conclude(&profile).unwrap();
        assert_eq!(follow.scene.as_deref(), Some("7"));
        assert_eq!(follow.subscribe_scene.as_deref(), Some("ADD_SCENE_QR_CODE"));
    }

    #[test]
    fn an_answer_that_had_not_heard_of_the_unfollow_does_not_revive_the_follow() {
        let mut evidence = Evidence::default();
        evidence.follow(at(100), None);
        evidence.unfollow(at(102));
        check(
            &evidence,
            &told(103, 1, Some(100)),
            (Unfollowed, Some(100), Some(102)),
        );
    }

    #[test]
    fn without_a_subscribe_time_the_profile_counts_by_its_own_time() {
        let mut evidence = Evidence::default();
        evidence.unfollow(at(102));
        check(
            &evidence,
            &told(101, 1, None),
            (Unfollowed, None, Some(102)),
        );
        check(&evidence, &told(103, 1, None), (Following, None, None));
    }

    #[test]
    fn a_profile_of_someone_who_left_ends_the_follow_and_a_later_push_reopens_it() {
        let mut evidence = Evidence::default();
        evidence.follow(at(100), None);
        check(
            &evidence,
            &told(150, 0, None),
            (Unfollowed, Some(100), Some(150)),
        );
        evidence.follow(at(160), None);
        check(&evidence, &told(150, 0, None), (Following, Some(160), None));
        evidence.unfollow(at(170));
        check(
            &evidence,
            &told(150, 0, None),
            (Unfollowed, Some(160), Some(170)),
        );
    }

    #[test]
    fn follow_and_unfollow_within_one_second_are_told_apart_by_the_gateways_clock() {
        let mut evidence = Evidence::default();
        evidence.unfollow(Clock::new(100, 100_700, "/accounts/demo", "a"));
        evidence.follow(Clock::new(100, 100_200, "/accounts/demo", "z"), None);
        check(
            &evidence,
            &told(100, 1, Some(100)),
            (Unfollowed, Some(100), Some(100)),
        );
    }

    #[test]
    fn the_scene_of_an_earlier_follow_does_not_stick_to_a_later_one() {
        let mut evidence = Evidence::default();
        let mut profile = Profile::default();
        profile.learn(
            at(101),
            &WechatUser {
                subscribe: Some(1),
                subscribe_time: Some(100),
                subscribe_scene: Some("ADD_SCENE_QR_CODE".into()),
                qr_scene_str: Some("first".into()),
                ..WechatUser::default()
            },
        );
        evidence.follow(at(900), None);
        let follow = evidence.conclude(&profile).unwrap();
        assert_eq!((follow.scene, follow.subscribe_scene), (None, None));
    }
}
