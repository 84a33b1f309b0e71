//! The event about a member card.

use serde_json::{Value, json};

use super::schema::{object, origin};

pub(super) const CARD: &str = "A user's member card as WeChat's API returned it: after its form was filled in, its bonus or balance changed, \
    or it was got back, and when it was asked for. `subject` is the openid, where it was told.";

/// Fields of a card, as `/card/membercard/userinfo/get` returns them: name and what it is. Their types are WeChat's to change.
pub(super) fn card() -> [(&'static str, &'static str); 9] {
    [
        ("openid", "Who has it."),
        ("nickname", "What the member is called."),
        ("membership_number", "The member's number."),
        ("bonus", "Points."),
        ("balance", "Fen."),
        ("sex", "`MALE`, `FEMALE` and others."),
        (
            "user_info",
            "The form: `common_field_list` with WeChat's own fields, `custom_field_list` with the account's. Each item has a `name`, and a `value` or a `value_list`.",
        ),
        (
            "user_card_status",
            "`NORMAL`, `EXPIRE`, `GIFTING`, `GIFT_SUCC`, `GIFT_TIMEOUT`, `DELETE`, `UNAVAILABLE`. An open list.",
        ),
        ("has_active", "Whether the card is active."),
    ]
}

/// Schema of `data` in [`crate::TYPE_CARD_SNAPSHOT`].
pub(super) fn card_snapshot() -> Value {
    let known = card().map(|(name, doc)| (name.to_owned(), json!({"description": doc})));
    let known = json!({"type": "object", "properties": serde_json::Map::from_iter(known)});
    let mut fields = origin();
    let name = || json!({"type": "string", "minLength": 1});
    fields.extend([
        ("card_id", name(), "Which sort of card."),
        ("code", name(), "The code of this user's card."),
        (
            "card",
            known,
            "The object that `/card/membercard/userinfo/get` returned, but for `errcode` and `errmsg`.",
        ),
    ]);
    object(&fields)
}
