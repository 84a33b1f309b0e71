//! An account's member cards, as their users have them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A user's member card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Card {
    /// Who has it.
    pub openid: String,
    /// What the member is called.
    pub nickname: String,
    /// The member's number; by default the code.
    pub membership_number: String,
    /// Points.
    pub bonus: i64,
    /// Fen.
    pub balance: i64,
    /// `MALE`, `FEMALE`, `UNKNOWN`.
    pub sex: String,
    /// Items of the form with WeChat's own fields: `{"name", "value"}`, or `value_list`.
    pub common_field_list: Vec<Value>,
    /// Items of the form with the account's fields.
    pub custom_field_list: Vec<Value>,
    /// `NORMAL`, `GIFT_SUCC`, `DELETE` …
    pub user_card_status: String,
    /// Whether it was activated.
    pub has_active: bool,
}

impl Default for Card {
    fn default() -> Self {
        Self {
            openid: String::new(),
            nickname: String::new(),
            membership_number: String::new(),
            bonus: 0,
            balance: 0,
            sex: "UNKNOWN".to_owned(),
            common_field_list: Vec::new(),
            custom_field_list: Vec::new(),
            user_card_status: "NORMAL".to_owned(),
            has_active: false,
        }
    }
}

/// The cards of one account.
#[derive(Default)]
pub(super) struct Cards(BTreeMap<(String, String), Card>);

impl Cards {
    pub(super) fn put(&mut self, card_id: &str, code: &str, card: Card) {
        self.0.insert((card_id.to_owned(), code.to_owned()), card);
    }

    pub(super) fn get(&self, card_id: &str, code: &str) -> Option<&Card> {
        self.0.get(&(card_id.to_owned(), code.to_owned()))
    }

    /// The card that calls are about; the errcode where they cannot be.
    pub(super) fn usable(&mut self, card_id: &str, code: &str) -> Result<&mut Card, i64> {
        let is_known = self.0.keys().any(|(known, _)| known == card_id);
        let Some(card) = self.0.get_mut(&(card_id.to_owned(), code.to_owned())) else {
            return Err(if is_known { 40056 } else { 40073 });
        };
        match card.user_card_status.as_str() {
            "DELETE" | "GIFT_SUCC" => Err(40127),
            _ => Ok(card),
        }
    }

    /// The sort of the only card with this code.
    pub(super) fn card_id_of(&self, code: &str) -> Option<String> {
        let mut cards = self.0.keys().filter(|(_, known)| known == code);
        let (card_id, _) = cards.next()?;
        cards.next().is_none().then(|| card_id.clone())
    }
}

impl Card {
    /// The answer of `membercard/userinfo/get`.
    pub(super) fn info(&self, code: &str) -> Value {
        let number = Some(self.membership_number.as_str()).filter(|number| !number.is_empty());
        json!({
            "errcode": 0, "errmsg": "ok",
            "openid": self.openid,
            "nickname": self.nickname,
            "membership_number": number.unwrap_or(code),
            "bonus": self.bonus,
            "balance": self.balance,
            "sex": self.sex,
            "user_info": {
                "common_field_list": self.common_field_list,
                "custom_field_list": self.custom_field_list,
            },
            "user_card_status": self.user_card_status,
            "has_active": self.has_active,
        })
    }
}
