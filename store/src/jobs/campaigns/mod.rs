//! One message to many, asked for by the API.
//!
//! A campaign is a job whose name is its own: asked for again it is the same, and only those are added who were not in it.
//! Each recipient is a row. Before a message leaves, its row says so, durable; and the row counts how often that was said, so
//! of two stores that believe they are at work one finds the count changed and sends nothing. What is to be done about somebody
//! follows from the row alone ([`weir_errands::send::plan`]).

mod rows;
mod work;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_errands::send::{self, Message, Repeat, Spec};
use weir_store_api::jobs::{Campaign, CampaignRequest, ResumeRequest};

use super::{Errands, check_words, is_account};
use crate::error::Error;
use crate::repo::Repo;
pub use rows::{campaign, campaigns, recipients};
pub(super) use work::Work;

/// What campaigns are among jobs.
pub(super) const KIND: &str = "campaign";
/// Most messages a second.
const MOST: f64 = 1000.0;
/// So many recipients that make no sense are named.
const SHOWN: usize = 10;

/// What is wanted: its `request`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Wanted {
    message: Spec,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate: Option<f64>,
    #[serde(default)]
    repeat_unknown: bool,
    #[serde(default)]
    repeat_refused: bool,
}

impl Wanted {
    fn repeat(&self) -> Repeat {
        Repeat {
            unknown: self.repeat_unknown,
            refused: self.repeat_refused,
        }
    }
}

fn bad<T>(why: impl Into<String>) -> Result<T, Error> {
    Err(Error::BadParameter(why.into()))
}

impl Errands {
    /// Asks for a campaign, or for more recipients of one that is there.
    ///
    /// # Errors
    /// The request makes no sense, or one of this name has another message: [`Error::OtherCampaign`].
    pub(crate) async fn send(
        &self,
        repo: &dyn Repo,
        account: &str,
        request: &CampaignRequest,
    ) -> Result<Campaign, Error> {
        if !is_account(account) {
            return bad("an account's name has 1 to 32 of a-z, 0-9, _ and -");
        }
        if !send::is_campaign(&request.name) {
            return bad("name: 1 to 64 letters, digits, - _ and .; it begins with neither - nor .");
        }
        check_words(&request.by, &request.why)?;
        if (request.rate).is_some_and(|rate| !rate.is_finite() || rate <= 0.0 || rate > MOST) {
            return bad("rate: a number above 0 and up to 1000");
        }
        let spec = Value::Object(request.message.clone());
        let spec: Spec = match serde_json::from_value(spec) {
            Ok(spec) => spec,
            Err(error) => return bad(format!("message: {error}")),
        };
        let message = Message::new(&request.name, &spec);
        let message = message.or_else(|misfit| bad(format!("message.{misfit}")))?;
        let recipients = checked(request, &message)?;
        let wanted = Wanted {
            message: spec,
            rate: request.rate,
            repeat_unknown: false,
            repeat_refused: false,
        };
        let known = rows::create(repo, account, request, &wanted).await?;
        if known.wanted.message != wanted.message {
            return Err(Error::OtherCampaign);
        }
        rows::add(repo, known.id, &recipients).await?;
        rows::open(repo, known.id, &wanted).await?;
        tracing::info!(account, id = known.id, "a campaign was asked for");
        self.wake.notify_one();
        let campaign = rows::campaign(repo, account, &request.name).await?;
        campaign.ok_or(Error::Internal)
    }

    /// Goes on with a campaign that ended, or rests.
    ///
    /// # Errors
    /// There is none of this name.
    pub(crate) async fn resume(
        &self,
        repo: &dyn Repo,
        account: &str,
        name: &str,
        request: ResumeRequest,
    ) -> Result<Campaign, Error> {
        let Some(known) = rows::known(repo, account, name).await? else {
            return Err(NOT_FOUND);
        };
        let wanted = Wanted {
            repeat_unknown: request.repeat_unknown,
            repeat_refused: request.repeat_refused,
            ..known.wanted
        };
        rows::open(repo, known.id, &wanted).await?;
        self.wake.notify_one();
        let campaign = rows::campaign(repo, account, name).await?;
        campaign.ok_or(Error::Internal)
    }
}

/// There is no such campaign.
pub(crate) const NOT_FOUND: Error = Error::NotFound("this account has no such campaign");

/// Has a campaign end; messages on their way are let finish.
///
/// # Errors
/// There is none of this name.
pub(crate) async fn stop(repo: &dyn Repo, account: &str, name: &str) -> Result<Campaign, Error> {
    let known = rows::known(repo, account, name).await?;
    super::rows::stop(repo, KIND, account, known.ok_or(NOT_FOUND)?.id).await?;
    let campaign = rows::campaign(repo, account, name).await?;
    campaign.ok_or(NOT_FOUND)
}

/// All recipients, each once; what is wrong with some is told, and then nobody is sent anything.
fn checked(request: &CampaignRequest, message: &Message) -> Result<Vec<send::Recipient>, Error> {
    let mut seen = HashSet::new();
    let (mut recipients, mut wrong) = (Vec::new(), Vec::new());
    for (place, row) in request.recipients.iter().enumerate() {
        match send::Recipient::of(row, "openid", message.columns()) {
            Ok(recipient) => {
                if seen.insert(recipient.openid.clone()) {
                    recipients.push(recipient);
                }
            }
            Err(why) => wrong.push((place, why)),
        }
    }
    if wrong.is_empty() {
        return Ok(recipients);
    }
    let shown = wrong.iter().take(SHOWN);
    let shown: Vec<_> = shown
        .map(|(place, why)| format!("recipients[{place}]: {why}"))
        .collect();
    bad(format!(
        "{} of {} recipients cannot be used, and nothing is sent: {}",
        wrong.len(),
        request.recipients.len(),
        shown.join("; ")
    ))
}
