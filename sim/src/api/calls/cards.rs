//! Member cards.

use serde_json::{Value, json};

use super::{ApiError, Call, Caller, text};
use crate::api::cards::Card;

/// The card that the body names; where it names a code alone, the only one with it.
fn card<'a>(caller: &'a mut Caller<'_>, body: &Value) -> Result<(&'a mut Card, String), ApiError> {
    let code = text(body, "code").ok_or(40056)?.to_owned();
    let cards = &mut caller.account().cards;
    let card_id = match text(body, "card_id") {
        Some(card_id) => card_id.to_owned(),
        None => cards.card_id_of(&code).ok_or(40056)?,
    };
    Ok((cards.usable(&card_id, &code)?, code))
}

pub(super) fn userinfo(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let (card, code) = card(caller, &call.json()?)?;
    Ok(card.info(&code))
}

pub(super) fn activate(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let body = call.json()?;
    let number = text(&body, "membership_number").ok_or(40097)?.to_owned();
    let (card, _) = card(caller, &body)?;
    card.membership_number = number;
    card.has_active = true;
    if let Some(bonus) = body["init_bonus"].as_i64() {
        card.bonus = bonus;
    }
    if let Some(balance) = body["init_balance"].as_i64() {
        card.balance = balance;
    }
    Ok(json!({"errcode": 0, "errmsg": "ok"}))
}

/// A total, or a difference.
pub(super) fn updateuser(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let body = call.json()?;
    let (card, _) = card(caller, &body)?;
    let change = |now: &mut i64, total: &str, difference: &str| {
        if let Some(total) = body[total].as_i64() {
            *now = total;
        } else if let Some(difference) = body[difference].as_i64() {
            *now += difference;
        }
    };
    change(&mut card.bonus, "bonus", "add_bonus");
    change(&mut card.balance, "balance", "add_balance");
    Ok(json!({
        "errcode": 0, "errmsg": "ok",
        "result_bonus": card.bonus, "result_balance": card.balance, "openid": card.openid,
    }))
}

pub(super) fn code(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let body = call.json()?;
    let card_id = text(&body, "card_id").map(str::to_owned);
    let (card, code) = card(caller, &body)?;
    let (openid, status) = (card.openid.clone(), card.user_card_status.clone());
    let card_id = card_id.or_else(|| caller.account().cards.card_id_of(&code));
    Ok(json!({
        "errcode": 0, "errmsg": "ok",
        "card": {"card_id": card_id},
        "openid": openid, "can_consume": status == "NORMAL", "user_card_status": status,
    }))
}
