//! What a snapshot of a user tells: their profile.

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_store_api::{UserSnapshot, WechatUser};

use super::{Attributes, Change, Fact, Sighting, account, identifier, is_short};
use crate::fold::Clock;
use crate::lenient::Leaf;

/// A profile's fields. Source: WeChat, `/cgi-bin/user/info`.
#[derive(Deserialize)]
struct ProfileFields<'a> {
    #[serde(borrow, default)]
    openid: Leaf<'a>,
    #[serde(borrow, default)]
    subscribe: Leaf<'a>,
    #[serde(borrow, default)]
    nickname: Leaf<'a>,
    #[serde(borrow, default)]
    sex: Leaf<'a>,
    #[serde(borrow, default)]
    language: Leaf<'a>,
    #[serde(borrow, default)]
    city: Leaf<'a>,
    #[serde(borrow, default)]
    province: Leaf<'a>,
    #[serde(borrow, default)]
    country: Leaf<'a>,
    #[serde(borrow, default)]
    headimgurl: Leaf<'a>,
    #[serde(borrow, default)]
    subscribe_time: Leaf<'a>,
    #[serde(borrow, default)]
    unionid: Leaf<'a>,
    #[serde(borrow, default)]
    remark: Leaf<'a>,
    #[serde(borrow, default)]
    groupid: Leaf<'a>,
    #[serde(borrow, default)]
    tagid_list: Option<&'a RawValue>,
    #[serde(borrow, default)]
    subscribe_scene: Leaf<'a>,
    #[serde(borrow, default)]
    qr_scene: Leaf<'a>,
    #[serde(borrow, default)]
    qr_scene_str: Leaf<'a>,
}

pub(super) fn read(event: Attributes<'_>, data: &str) -> Option<Fact> {
    let data: UserSnapshot<'_, ProfileFields<'_>> = serde_json::from_str(data).ok()?;
    let user = data.user;
    let at_ms = event.at_ms.unwrap_or(event.now_ms);
    let small = |leaf: &Leaf<'_>| leaf.int().and_then(|number| u8::try_from(number).ok());
    let fields = WechatUser {
        openid: String::new(),
        subscribe: small(&user.subscribe),
        nickname: user.nickname.into_text(),
        sex: small(&user.sex),
        language: user.language.into_text(),
        city: user.city.into_text(),
        province: user.province.into_text(),
        country: user.country.into_text(),
        headimgurl: user.headimgurl.into_text(),
        subscribe_time: user
            .subscribe_time
            .int()
            .and_then(|time| u64::try_from(time).ok()),
        unionid: user.unionid.into_text().and_then(identifier),
        remark: user.remark.into_text(),
        groupid: user.groupid.int(),
        tagid_list: user
            .tagid_list
            .and_then(|list| serde_json::from_str(list.get()).ok()),
        subscribe_scene: user
            .subscribe_scene
            .into_text()
            .filter(|text| is_short(text)),
        qr_scene: user.qr_scene.int(),
        qr_scene_str: user.qr_scene_str.into_text().filter(|text| is_short(text)),
    };
    Some(Fact {
        account: account(&data.account)?,
        appid: identifier(data.appid.into_owned()),
        at: Clock::new(at_ms.div_euclid(1000), at_ms, event.source, event.id),
        sighting: Some(Sighting {
            openid: user.openid.into_nonempty().and_then(identifier)?,
            change: Change::Profile(Box::new(fields)),
        }),
        reply: None,
        sends: None,
        cards: Vec::new(),
    })
}
