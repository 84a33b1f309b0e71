//! What events tell of users' cards.
//!
//! | event | tells |
//! |---|---|
//! | `user_get_card` | that it was taken; of a friend's, that the friend has it no more |
//! | `user_gifting_card` | that it is offered to somebody, or came back |
//! | `user_del_card` | that it was deleted |
//! | `user_consume_card`, `user_pay_from_pay_cell` | that it was used |
//! | `user_view_card`, `user_enter_session_from_card` | that its user looked at it |
//! | `update_member_card` | that bonus or balance changed |
//! | `submit_membercard_user_info` | that its form was filled in; with what, only the API says |
//! | `weir.card.snapshot` | what the API said |
//!
//! Pushes about kinds of cards, orders and invoices name no user's card: they are in the log. Data that is not what its type
//! promises tells nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_store_api::read::{FormFields, FormValue};
use weir_store_api::{CardSnapshot, PushData};

use crate::event::{NAME_MAX_BYTES, is_name};
use crate::fact::identifier;
use crate::fold::{CardChange, CardTold, Giving, Taking};
use crate::lenient::Leaf;

/// What WeChat's names of a form's fields begin with.
const COMMON: &str = "USER_FORM_INFO_FLAG_";
/// Most fields of a form that are kept, of each sort. WeChat has 11, and a form has fewer.
const FIELDS: usize = 64;

/// What one event tells of a card.
#[derive(Debug, Clone, PartialEq)]
pub struct CardFact {
    /// Which sort of card.
    pub card_id: String,
    /// Whose.
    pub code: String,
    /// Who has it, as far as this event says.
    pub holder: Option<String>,
    /// What became known.
    pub change: CardChange,
}

/// Whether a push of this event, in lower case, tells anything.
pub(crate) fn is_told_by(event: &str) -> bool {
    matches!(
        event,
        "user_get_card"
            | "user_gifting_card"
            | "user_del_card"
            | "user_consume_card"
            | "user_pay_from_pay_cell"
            | "user_view_card"
            | "user_enter_session_from_card"
            | "update_member_card"
            | "submit_membercard_user_info"
    )
}

/// The fields of these pushes, typed or, in events of before that, as WeChat sent them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Fields<'a> {
    #[serde(borrow, default)]
    card_id: Leaf<'a>,
    #[serde(borrow, default)]
    user_card_code: Leaf<'a>,
    #[serde(borrow, default)]
    friend_user_name: Leaf<'a>,
    #[serde(borrow, default)]
    old_user_card_code: Leaf<'a>,
    #[serde(borrow, default)]
    outer_id: Leaf<'a>,
    #[serde(borrow, default)]
    outer_str: Leaf<'a>,
    #[serde(borrow, default)]
    source_scene: Leaf<'a>,
    #[serde(borrow, default)]
    consume_source: Leaf<'a>,
    #[serde(borrow, default)]
    is_give_by_friend: Leaf<'a>,
    #[serde(borrow, default)]
    is_restore_member_card: Leaf<'a>,
    #[serde(borrow, default)]
    is_return_back: Leaf<'a>,
    #[serde(borrow, default)]
    is_chat_room: Leaf<'a>,
    #[serde(borrow, default)]
    modify_bonus: Leaf<'a>,
    #[serde(borrow, default)]
    modify_balance: Leaf<'a>,
}

/// Reads the data of a push of `event`, in lower case, that `openid` caused.
pub(crate) fn pushed(event: &str, data: &str, openid: Option<&str>) -> Option<Vec<CardFact>> {
    let data: PushData<'_, Fields<'_>> = serde_json::from_str(data).ok()?;
    let fields = data.push;
    let card_id = name(fields.card_id)?;
    let code = name(fields.user_card_code)?;
    let is = |flag: &Leaf<'_>| flag.int() == Some(1);
    let mut before = None;
    let change = match event {
        "user_get_card" => {
            let is_given = is(&fields.is_give_by_friend);
            let taking = Taking {
                friend: name(fields.friend_user_name).filter(|_| is_given),
                old_code: name(fields.old_user_card_code).filter(|_| is_given),
                channel: name(fields.outer_str).or_else(|| {
                    // What it was before it could be a text; 0 is none.
                    let number = fields.outer_id.int().filter(|number| *number != 0)?;
                    Some(number.to_string())
                }),
                scene: name(fields.source_scene),
                restored: is(&fields.is_restore_member_card),
            };
            if let Some(old_code) = taking.old_code.clone().filter(|old| *old != code) {
                before = Some(CardFact {
                    card_id: card_id.clone(),
                    code: old_code,
                    holder: taking.friend.clone(),
                    change: CardChange::TakenByFriend(Giving {
                        openid: openid.map(str::to_owned),
                        code: Some(code.clone()),
                    }),
                });
            }
            CardChange::Taken(taking)
        }
        "user_gifting_card" if is(&fields.is_return_back) => CardChange::Returned,
        "user_gifting_card" => CardChange::Offered(Giving {
            openid: name(fields.friend_user_name).filter(|_| !is(&fields.is_chat_room)),
            code: None,
        }),
        "user_del_card" => CardChange::Deleted,
        "user_consume_card" => CardChange::Used {
            by: name(fields.consume_source),
        },
        "user_pay_from_pay_cell" => CardChange::Used { by: None },
        "user_view_card" | "user_enter_session_from_card" => CardChange::Viewed,
        "update_member_card" => CardChange::Changed {
            bonus: fields.modify_bonus.int().unwrap_or_default(),
            balance: fields.modify_balance.int().unwrap_or_default(),
        },
        "submit_membercard_user_info" => CardChange::Submitted,
        _ => return None,
    };
    let told = CardFact {
        card_id,
        code,
        holder: openid.map(str::to_owned),
        change,
    };
    Some(before.into_iter().chain([told]).collect())
}

/// WeChat's answer. Source: WeChat, `/card/membercard/userinfo/get`.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    openid: Leaf<'a>,
    #[serde(borrow, default)]
    nickname: Leaf<'a>,
    #[serde(borrow, default)]
    membership_number: Leaf<'a>,
    #[serde(borrow, default)]
    bonus: Leaf<'a>,
    #[serde(borrow, default)]
    balance: Leaf<'a>,
    #[serde(borrow, default)]
    sex: Leaf<'a>,
    #[serde(borrow, default)]
    user_card_status: Leaf<'a>,
    #[serde(borrow, default)]
    has_active: Leaf<'a>,
    #[serde(borrow, default)]
    user_info: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Form<'a> {
    #[serde(borrow, default)]
    common_field_list: Option<&'a RawValue>,
    #[serde(borrow, default)]
    custom_field_list: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Field<'a> {
    #[serde(borrow, default)]
    name: Leaf<'a>,
    #[serde(borrow, default)]
    value: Leaf<'a>,
    #[serde(borrow, default)]
    value_list: Option<Vec<Leaf<'a>>>,
}

/// Reads the data of a snapshot; `None` if it is none. With the account's name and appid.
pub(crate) fn snapshot(data: &str) -> Option<(Cow<'_, str>, Cow<'_, str>, CardFact)> {
    let data: CardSnapshot<'_, Answer<'_>> = serde_json::from_str(data).ok()?;
    let card = data.card;
    let form = card.user_info.and_then(|form| {
        let form: Form<'_> = serde_json::from_str(form.get()).ok()?;
        Some(form)
    });
    let form = form.unwrap_or_default();
    let told = CardTold {
        membership_number: card.membership_number.into_nonempty(),
        nickname: card.nickname.into_nonempty(),
        sex: card.sex.into_nonempty(),
        bonus: card.bonus.int(),
        balance: card.balance.int(),
        status: card.user_card_status.into_nonempty(),
        active: active(card.has_active),
        common: fields(form.common_field_list, common),
        custom: fields(form.custom_field_list, Some),
    };
    let fact = CardFact {
        card_id: known(data.card_id.into_owned())?,
        code: known(data.code.into_owned())?,
        holder: name(card.openid),
        change: CardChange::Told(Box::new(told)),
    };
    Some((data.account, data.appid, fact))
}

/// It is a boolean; texts of one have been seen.
fn active(leaf: Leaf<'_>) -> Option<bool> {
    match leaf {
        Leaf::None => None,
        Leaf::Int(number) => Some(number != 0),
        Leaf::Text(text) => Some(text.eq_ignore_ascii_case("true") || text == "1"),
    }
}

/// The name of one of WeChat's own fields. WeChat spells one of them in two ways.
fn common(name: String) -> Option<String> {
    let name = name.strip_prefix(COMMON).unwrap_or(&name).to_lowercase();
    Some(match name.as_str() {
        "education_backgro" => "education_background".to_owned(),
        _ => name,
    })
}

/// A form's fields by name. One that is there twice has the values of both.
fn fields(list: Option<&RawValue>, named: impl Fn(String) -> Option<String>) -> FormFields {
    let list: Option<Vec<Field<'_>>> = list.and_then(|list| serde_json::from_str(list.get()).ok());
    let mut fields: BTreeMap<String, FormValue> = BTreeMap::new();
    for field in list.into_iter().flatten() {
        let Some(name) = field.name.into_nonempty().and_then(&named) else {
            continue;
        };
        let value = match field.value_list {
            Some(list) => FormValue::Many(list.into_iter().filter_map(Leaf::into_text).collect()),
            None => FormValue::One(field.value.into_text().unwrap_or_default()),
        };
        if fields.len() >= FIELDS && !fields.contains_key(&name) {
            continue;
        }
        let value = match fields.remove(&name) {
            None => value,
            Some(known) => FormValue::Many([values(known), values(value)].concat()),
        };
        fields.insert(name, value);
    }
    fields
}

fn values(value: FormValue) -> Vec<String> {
    match value {
        FormValue::One(value) => vec![value],
        FormValue::Many(values) => values,
    }
}

/// A name that can be looked for.
fn name(leaf: Leaf<'_>) -> Option<String> {
    leaf.into_nonempty().and_then(known)
}

fn known(text: String) -> Option<String> {
    identifier(text).filter(|text| is_name(text, NAME_MAX_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(event: &str, push: &str) -> Option<Vec<CardFact>> {
        let data =
            format!(r#"{{"account":"demo","appid":"wx1","received_at_ms":1,"push":{push}}}"#);
        pushed(event, &data, Some("oA"))
    }

    #[test]
    fn a_friends_card_is_taken_under_a_new_code_and_gone_under_the_old_one() {
        let push = r#"{"CardId":"p1","UserCardCode":"2","IsGiveByFriend":1,"FriendUserName":"oB","OldUserCardCode":"1","OuterId":0,"OuterStr":"","IsRestoreMemberCard":"0"}"#;
        let facts = told("user_get_card", push).unwrap();
        let [old, new] = facts.as_slice() else {
            panic!("{facts:?}");
        };
        assert_eq!(
            (old.code.as_str(), old.holder.as_deref()),
            ("1", Some("oB"))
        );
        let to = Giving {
            openid: Some("oA".into()),
            code: Some("2".into()),
        };
        assert_eq!(old.change, CardChange::TakenByFriend(to));
        assert_eq!(
            (new.code.as_str(), new.holder.as_deref()),
            ("2", Some("oA"))
        );
        let CardChange::Taken(taking) = &new.change else {
            panic!("{new:?}");
        };
        assert_eq!(taking.friend.as_deref(), Some("oB"));
        assert_eq!((&taking.channel, taking.restored), (&None, false));
    }

    #[test]
    fn a_channel_may_be_a_text_or_of_old_a_number() {
        let channel = |rest: &str| {
            let push = format!(r#"{{"CardId":"p1","UserCardCode":"2",{rest}}}"#);
            match told("user_get_card", &push).unwrap().pop().unwrap().change {
                CardChange::Taken(taking) => taking.channel,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(
            channel(r#""OuterId":7,"OuterStr":"12b""#).as_deref(),
            Some("12b")
        );
        assert_eq!(channel(r#""OuterId":"7""#).as_deref(), Some("7"));
        assert_eq!(channel(r#""OuterId":0"#), None);
    }

    #[test]
    fn a_form_is_read_in_every_shape_it_comes_in() {
        let snapshot = snapshot(
            r#"{"account":"demo","appid":"wx1","card_id":"p1","code":"1","card":{"openid":"oA","bonus":"7","balance":-3,
            "has_active":true,"user_card_status":"NORMAL","user_info":{"common_field_list":[
                {"name":"USER_FORM_INFO_FLAG_MOBILE","value":"15521328888"},
                {"name":"USER_FORM_INFO_FLAG_EDUCATION_BACKGRO","value":"x"},
                {"name":"USER_FORM_INFO_FLAG_HABIT","value_list":["a","b"]}, {"value":"nameless"}],
              "custom_field_list":[{"name":"兴趣","value":"🎣"},{"name":"兴趣","value":"book"}]}}}"#,
        );
        let (account, _, fact) = snapshot.unwrap();
        assert_eq!((&*account, fact.holder.as_deref()), ("demo", Some("oA")));
        let CardChange::Told(told) = fact.change else {
            panic!("it is told");
        };
        let one = |value: &str| FormValue::One(value.into());
        let many = |values: [&str; 2]| FormValue::Many(values.map(String::from).into());
        assert_eq!(
            (told.bonus, told.balance, told.active),
            (Some(7), Some(-3), Some(true))
        );
        let common: FormFields = [
            ("mobile".to_owned(), one("15521328888")),
            ("education_background".to_owned(), one("x")),
            ("habit".to_owned(), many(["a", "b"])),
        ]
        .into();
        assert_eq!(told.common, common);
        let custom: FormFields = [("兴趣".to_owned(), many(["🎣", "book"]))].into();
        assert_eq!(told.custom, custom);
    }

    #[test]
    fn a_form_that_is_none_leaves_the_rest_of_the_card() {
        for form in ["null", "[]", r#"{"common_field_list":{}}"#, r#""""#] {
            let data = format!(
                r#"{{"account":"demo","appid":"wx1","card_id":"p1","code":"1","card":{{"bonus":7,"user_info":{form}}}}}"#
            );
            let (.., fact) = snapshot(&data).unwrap();
            let CardChange::Told(told) = fact.change else {
                panic!("it is told");
            };
            assert_eq!((told.bonus, told.common.len()), (Some(7), 0), "{form}");
        }
    }

    #[test]
    fn a_push_without_a_card_tells_of_none() {
        for push in [
            r#"{"CardId":"p1"}"#,
            r#"{"UserCardCode":"1"}"#,
            r#"{"CardId":"","UserCardCode":"1"}"#,
            r#"{"CardId":"p 1","UserCardCode":"\u0007"}"#,
        ] {
            assert_eq!(told("user_del_card", push), None, "{push}");
        }
        let whole = r#"{"CardId":"p1","UserCardCode":"1"}"#;
        assert!(told("user_del_card", whole).is_some());
        assert!(!is_told_by("card_pass_check"));
        assert_eq!(told("card_pass_check", whole), None);
    }
}
