//! `/v1/cards`: cards that users took.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use weir_errands::errcodes;
use weir_store_api::read::{Card, CardDetail, Page};

use super::{Parameters, slice};
use crate::asking::{Answer, CardName};
use crate::body;
use crate::cursor::Order;
use crate::error::Error;
use crate::openapi::{AskedWechat, BodyRefused};
use crate::repo::select::{self, CardFilter, FoundCard};
use crate::server::AppState;
use crate::wechat::{Delay, Refusal, Verdict};

/// Which cards.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// Of this account.
    account: Option<String>,
    /// Of this user.
    openid: Option<String>,
    /// Of this person, whatever account knows them.
    uid: Option<i64>,
    /// Of this sort.
    card_id: Option<String>,
    /// `next_cursor` of the page before.
    #[param(format = "cursor")]
    cursor: Option<String>,
    /// 1 to 200; 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// `GET /v1/cards`: last stored first.
#[utoipa::path(get, path = "/v1/cards", tag = "cards", params(ListParameters),
    responses((status = OK, body = Page<Card>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Page<Card>>, Error> {
    let filter = CardFilter {
        account: parameters.account,
        openid: parameters.openid,
        uid: parameters.uid,
        card_id: parameters.card_id,
    };
    let slice = slice(Order::Cards, parameters.cursor.as_deref(), parameters.limit)?;
    Ok(Json(select::cards(&*state.repo, &filter, slice).await?))
}

/// Which card of this name, and how new.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ShowParameters {
    /// The account's; needed where several have a card of this name.
    account: Option<String>,
    /// Ask WeChat first. So does `Cache-Control: no-cache`.
    #[serde(default)]
    refresh: bool,
}

/// `GET /v1/cards/{card_id}/{code}`: one card; as it is now, where that is wanted and WeChat can be asked.
#[utoipa::path(get, path = "/v1/cards/{card_id}/{code}", tag = "cards", params(
    ("card_id" = String, Path, description = "The sort of card."),
    ("code" = String, Path, description = "The code of this user's card."),
    ShowParameters,
), responses((status = OK, body = CardDetail), AskedWechat))]
pub(crate) async fn show(
    State(state): State<AppState>,
    path: Result<Path<(String, String)>, PathRejection>,
    Parameters(parameters): Parameters<ShowParameters>,
    headers: HeaderMap,
) -> Result<Json<CardDetail>, Error> {
    let Path((card_id, code)) =
        path.map_err(|rejection| Error::BadParameter(rejection.body_text()))?;
    let name = Name {
        account: parameters.account,
        card_id,
        code,
    };
    let found = name.stored(&state).await?;
    if !parameters.refresh && !wants_it_new(&headers) {
        let found = found.ok_or(Error::NotFound("no event was about this card"))?;
        return Ok(shown(found, None));
    }
    name.refreshed(&state, found).await
}

/// Whether caches are not to answer. Source: RFC 9111, section 5.2.1.4.
fn wants_it_new(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CACHE_CONTROL).iter();
    let mut directives = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    directives.any(|directive| directive.trim().eq_ignore_ascii_case("no-cache"))
}

fn shown(found: FoundCard, warning: Option<String>) -> Json<CardDetail> {
    Json(CardDetail {
        card: found.card,
        warning,
    })
}

/// Whose card to activate.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ActivateParameters {
    /// The account's; needed where several have a card of this name.
    account: Option<String>,
}

/// What activating takes beside the card. Source: WeChat, `/card/membercard/activate`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Activation {
    /// The member's number.
    #[schema(min_length = 1)]
    membership_number: String,
    /// When the card begins to be valid, Unix seconds.
    #[serde(
        default,
        deserialize_with = "whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(maximum = 4_294_967_295_u32)]
    activate_begin_time: Option<u32>,
    /// When it ends.
    #[serde(
        default,
        deserialize_with = "whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(maximum = 4_294_967_295_u32)]
    activate_end_time: Option<u32>,
    /// Points to begin with.
    #[serde(
        default,
        deserialize_with = "whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(maximum = 4_294_967_295_u32)]
    init_bonus: Option<u32>,
    /// Why these, for the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    init_bonus_record: Option<String>,
    /// Fen to begin with.
    #[serde(
        default,
        deserialize_with = "whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(maximum = 4_294_967_295_u32)]
    init_balance: Option<u32>,
    /// Values of the card's own fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    init_custom_field_value1: Option<String>,
    /// The second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    init_custom_field_value2: Option<String>,
    /// The third.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    init_custom_field_value3: Option<String>,
    /// The picture behind it: a URL of WeChat's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    background_pic_url: Option<String>,
}

/// Reads a whole number: JSON has numbers of one kind only, so 5.0 is one, too.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let number = Option::<f64>::deserialize(deserializer)?;
    let whole = |number: f64| {
        let whole = number as u32;
        let same = f64::from(whole) == number;
        same.then_some(whole)
            .ok_or_else(|| D::Error::custom("expected a whole number that fits 32 bits"))
    };
    number.map(whole).transpose()
}

/// Where WeChat does it.
const ACTIVATE: &str = "/card/membercard/activate";

/// `POST /v1/cards/{card_id}/{code}/activate`: makes a member card usable, and shows it.
#[utoipa::path(post, path = "/v1/cards/{card_id}/{code}/activate", tag = "cards", params(
    ("card_id" = String, Path, description = "The sort of card."),
    ("code" = String, Path, description = "The code of this user's card."),
    ActivateParameters,
), request_body = Activation, responses((status = OK, body = CardDetail), AskedWechat, BodyRefused))]
pub(crate) async fn activate(
    State(state): State<AppState>,
    path: Result<Path<(String, String)>, PathRejection>,
    Parameters(parameters): Parameters<ActivateParameters>,
    body: Body,
) -> Result<Json<CardDetail>, Error> {
    let Path((card_id, code)) =
        path.map_err(|rejection| Error::BadParameter(rejection.body_text()))?;
    let patience = Duration::from_millis(state.limits.request_timeout_ms);
    let body = body::read(body, state.limits.max_body_bytes, patience).await?;
    let activation: Activation = serde_json::from_slice(&body).map_err(|_| {
        Error::BrokenBody(
            "the body must be a JSON object with a membership_number and fields of an activation",
        )
    })?;
    if activation.membership_number.is_empty() {
        return Err(Error::BadParameter("membership_number is empty".to_owned()));
    }
    let name = Name {
        account: parameters.account,
        card_id,
        code,
    };
    let found = name.stored(&state).await?;
    let questions = state.questions.as_ref().ok_or(Error::NoDoor)?;
    let account = name.account(&state, found.as_ref()).await?;
    let mut activation = json!(activation);
    activation["card_id"] = json!(name.card_id);
    activation["code"] = json!(name.code);
    match questions
        .wechat()
        .post(&account, ACTIVATE, &activation)
        .await
    {
        Verdict::Done(_) => name.refreshed(&state, found).await,
        Verdict::Refused(refusal) => Err(refused(refusal)),
        Verdict::Later(delay) => Err(later(&delay)),
    }
}

/// WeChat's refusal, as the store's own.
pub(super) fn refused(refusal: Refusal) -> Error {
    match refusal.errcode {
        // No card of this code, of this id; or somebody else's by now. No such tag.
        40056 | 40073 | 40127 | errcodes::NO_SUCH_TAG => Error::UnknownToWechat(refusal),
        // Too many tags, of the account or of a user; another tag has the name.
        errcodes::TOO_MANY_TAGS | errcodes::TOO_MANY_OF_USER | errcodes::NAME_TAKEN => {
            Error::AgainstWechat(refusal)
        }
        _ => Error::RefusedByWechat(refusal),
    }
}

/// What is in the way, as the store's refusal.
pub(super) fn later(delay: &Delay) -> Error {
    let done = if delay.maybe_done {
        "; it may have been done"
    } else {
        ""
    };
    Error::WechatUnavailable(format!("{}{done}", delay.why))
}

/// What a card is called by.
struct Name {
    account: Option<String>,
    card_id: String,
    code: String,
}

impl Name {
    /// The card that is stored, if any.
    async fn stored(&self, state: &AppState) -> Result<Option<FoundCard>, Error> {
        let account = self.account.as_deref();
        let mut found = select::card(&*state.repo, account, &self.card_id, &self.code).await?;
        if found.len() > 1 {
            return Err(Error::BadParameter(
                "several accounts have a card of this name: say which, with account".to_owned(),
            ));
        }
        Ok(found.pop())
    }

    /// Whose it is, or would be.
    async fn account(&self, state: &AppState, found: Option<&FoundCard>) -> Result<String, Error> {
        if let Some(found) = found {
            return Ok(found.card.account.clone());
        }
        if let Some(account) = &self.account {
            return Ok(account.clone());
        }
        let accounts = select::accounts(&*state.repo).await?;
        match accounts.as_slice() {
            [only] => Ok(only.name.clone()),
            _ => Err(Error::BadParameter(
                "no event was about this card: say whose it is, with account".to_owned(),
            )),
        }
    }

    /// The card as WeChat has it now; where it cannot be asked, as it is stored, with the reason.
    async fn refreshed(
        &self,
        state: &AppState,
        found: Option<FoundCard>,
    ) -> Result<Json<CardDetail>, Error> {
        let (error, warning) = match self.asked(state, found.as_ref()).await? {
            Ok(()) => {
                let found = self.stored(state).await?.ok_or(Error::Internal)?;
                return Ok(shown(found, None));
            }
            Err(error) => {
                let warning = error.to_string();
                (error, warning)
            }
        };
        found.map_or(Err(error), |found| Ok(shown(found, Some(warning))))
    }

    /// Asks WeChat, and waits for it as long as is bearable. The question goes on after that.
    async fn asked(
        &self,
        state: &AppState,
        found: Option<&FoundCard>,
    ) -> Result<Result<(), Error>, Error> {
        let Some(questions) = &state.questions else {
            return Ok(Err(Error::NoDoor));
        };
        let name = CardName {
            account: self.account(state, found).await?,
            card_id: self.card_id.clone(),
            code: self.code.clone(),
        };
        let patience = Duration::from_millis(state.limits.refresh_timeout_ms);
        let answer = tokio::time::timeout(patience, questions.ask(name)).await;
        Ok(match answer {
            Ok(Answer::Stored) => Ok(()),
            Ok(Answer::Refused(refusal)) => Err(refused(refusal)),
            Ok(Answer::Later(delay)) => Err(Error::WechatUnavailable(delay.why)),
            Err(_) => Err(Error::WechatUnavailable("no answer in time".to_owned())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_may_be_written_with_a_point() {
        let read = |bonus: &str| {
            let body = format!(r#"{{"membership_number": "M1", "init_bonus": {bonus}}}"#);
            serde_json::from_str::<Activation>(&body).map(|activation| activation.init_bonus)
        };
        assert_eq!(read("5").unwrap(), Some(5));
        assert_eq!(read("5.0").unwrap(), Some(5));
        assert_eq!(read("4294967295").unwrap(), Some(u32::MAX));
        assert_eq!(read("null").unwrap(), None);
        for wrong in ["5.5", "-1", "4294967296", "\"5\""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
