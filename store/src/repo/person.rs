//! A [`Person`] as columns: what both backends load before new facts are applied, and save afterwards.

use serde::Serialize;
use serde::de::DeserializeOwned;
use weir_store_api::WechatUser;
use weir_store_api::read::FollowState;

use super::{RepoError, Row};
use crate::fold::Person;

/// The columns [`load`] reads, in its order, of `users u LEFT JOIN follows f`.
macro_rules! person_columns {
    () => {
        "u.subscribe, u.nickname, u.sex, u.language, u.city, u.province, u.country, u.headimgurl, \
         u.subscribe_time, u.unionid, u.remark, u.groupid, u.tagid_list, u.subscribe_scene, u.qr_scene, \
         u.qr_scene_str, u.profile_clocks, f.followed_times, f.unfollowed_times, f.evidence"
    };
}
pub(super) use person_columns;

/// Reads a person from [`person_columns`].
pub(super) fn load(row: &mut Row) -> Result<Person, RepoError> {
    let mut person = Person::default();
    person.profile.fields = profile(row)?;
    person.profile.clocks = parsed(row.text()?)?;
    person.followed_times = row.int()?.unwrap_or_default();
    person.unfollowed_times = row.int()?.unwrap_or_default();
    person.evidence = parsed(row.text()?)?;
    Ok(person)
}

/// Reads the sixteen columns of the official profile, from `subscribe` to `qr_scene_str`.
pub(super) fn profile(row: &mut Row) -> Result<WechatUser, RepoError> {
    Ok(WechatUser {
        openid: String::new(),
        subscribe: small(row.int()?),
        nickname: row.text()?,
        sex: small(row.int()?),
        language: row.text()?,
        city: row.text()?,
        province: row.text()?,
        country: row.text()?,
        headimgurl: row.text()?,
        subscribe_time: row.int()?.and_then(|time| u64::try_from(time).ok()),
        unionid: row.text()?,
        remark: row.text()?,
        groupid: row.int()?,
        tagid_list: parsed(row.text()?)?,
        subscribe_scene: row.text()?,
        qr_scene: row.int()?,
        qr_scene_str: row.text()?,
    })
}

fn small(number: Option<i64>) -> Option<u8> {
    number.and_then(|number| u8::try_from(number).ok())
}

fn parsed<T: DeserializeOwned + Default>(json: Option<String>) -> Result<T, RepoError> {
    json.map_or_else(
        || Ok(T::default()),
        |json| {
            serde_json::from_str(&json).map_err(|_| {
                RepoError::Unavailable("a JSON column is not what we wrote".to_owned())
            })
        },
    )
}

/// The profile's columns of a row of `users`. Serialized, the keys are the column names.
#[derive(Debug, Serialize)]
pub(super) struct ProfileRow<'a> {
    pub(super) user_key: i64,
    pub(super) subscribe: Option<u8>,
    pub(super) nickname: Option<&'a str>,
    pub(super) sex: Option<u8>,
    pub(super) language: Option<&'a str>,
    pub(super) city: Option<&'a str>,
    pub(super) province: Option<&'a str>,
    pub(super) country: Option<&'a str>,
    pub(super) headimgurl: Option<&'a str>,
    pub(super) subscribe_time: Option<i64>,
    pub(super) unionid: Option<&'a str>,
    pub(super) remark: Option<&'a str>,
    pub(super) groupid: Option<i64>,
    pub(super) tagid_list: Option<String>,
    pub(super) subscribe_scene: Option<&'a str>,
    pub(super) qr_scene: Option<i64>,
    pub(super) qr_scene_str: Option<&'a str>,
    pub(super) profile_at_ms: Option<i64>,
    pub(super) profile_clocks: String,
}

impl<'a> ProfileRow<'a> {
    pub(super) fn new(user_key: i64, person: &'a Person) -> Self {
        let fields = &person.profile.fields;
        Self {
            user_key,
            subscribe: fields.subscribe,
            nickname: fields.nickname.as_deref(),
            sex: fields.sex,
            language: fields.language.as_deref(),
            city: fields.city.as_deref(),
            province: fields.province.as_deref(),
            country: fields.country.as_deref(),
            headimgurl: fields.headimgurl.as_deref(),
            subscribe_time: fields
                .subscribe_time
                .and_then(|time| i64::try_from(time).ok()),
            unionid: fields.unionid.as_deref(),
            remark: fields.remark.as_deref(),
            groupid: fields.groupid,
            tagid_list: fields.tagid_list.as_ref().map(json),
            subscribe_scene: fields.subscribe_scene.as_deref(),
            qr_scene: fields.qr_scene,
            qr_scene_str: fields.qr_scene_str.as_deref(),
            profile_at_ms: person.profile.clocks.newest_ms(),
            profile_clocks: json(&person.profile.clocks),
        }
    }
}

/// A row of `follows`. Serialized, the keys are the column names.
#[derive(Debug, Serialize)]
pub(super) struct FollowRow {
    pub(super) user_key: i64,
    pub(super) account_key: i64,
    pub(super) state: i64,
    pub(super) since: i64,
    pub(super) until: Option<i64>,
    pub(super) scene: Option<String>,
    pub(super) subscribe_scene: Option<String>,
    pub(super) followed_times: i64,
    pub(super) unfollowed_times: i64,
    pub(super) evidence: String,
}

impl FollowRow {
    /// `None`: nothing is known of a follow.
    pub(super) fn new(user_key: i64, account_key: i64, person: &Person) -> Option<Self> {
        let follow = person.follow()?;
        Some(Self {
            user_key,
            account_key,
            state: state_column(follow.state),
            since: follow.since.unwrap_or_default(),
            until: follow.until,
            scene: follow.scene,
            subscribe_scene: follow.subscribe_scene,
            followed_times: person.followed_times,
            unfollowed_times: person.unfollowed_times,
            evidence: json(&person.evidence),
        })
    }
}

/// `follows.state` of a state.
pub(super) fn state_column(state: FollowState) -> i64 {
    match state {
        FollowState::Following => 1,
        FollowState::Unfollowed => 0,
    }
}

pub(super) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain structs of numbers and texts serialize")
}
