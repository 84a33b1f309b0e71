//! What events tell of active messages: how their sending went, whether they arrived, and what users allow.
//!
//! | event | tells |
//! |---|---|
//! | `weir.send.result` | a message; and of subscribe messages that a credit was used, or that none is left (43101) |
//! | `TEMPLATESENDJOBFINISH` | whether a message arrived |
//! | `subscribe_msg_sent_event` | the same of several, and that each that did used a credit |
//! | `subscribe_msg_popup_event` | what the user answered: a credit more, or none any more |
//! | `subscribe_msg_change_event` | that the user refused in the settings: no credit any more |
//!
//! Data that is not what its type promises tells nothing.

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_store_api::{PushData, SendApi, SendOutcome, SendResult};

use crate::event::{NAME_MAX_BYTES, is_name};
use crate::fact::identifier;
use crate::fold::CreditChange;
use crate::lenient::Leaf;

/// WeChat's errcode for a user who did not accept, or whose accepts are used up.
/// Source: WeChat's page on subscribe messages.
const NO_CREDIT: i64 = 43101;
/// Longest reason that is kept, in characters. WeChat's have a few words.
const REASON_MAX_CHARS: usize = 128;

/// What one event tells of active messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SendFacts {
    /// A message, and how its sending went.
    pub sent: Option<Sent>,
    /// Whether messages arrived.
    pub reports: Vec<Report>,
    /// What changed of users' credits.
    pub credits: Vec<CreditChanged>,
}

/// A message, and how its sending went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Who was to get it.
    pub openid: Option<String>,
    /// Who sent it.
    pub client: String,
    /// By which API.
    pub api: SendApi,
    /// The template.
    pub template_id: Option<String>,
    /// Of customer-service messages.
    pub msgtype: Option<String>,
    /// The application's own name for it.
    pub client_msg_id: Option<String>,
    /// Of the request's body.
    pub digest: String,
    /// WeChat's.
    pub errcode: Option<i64>,
    /// WeChat's name for it.
    pub msgid: Option<String>,
    /// How it went.
    pub outcome: SendOutcome,
    /// When, Unix milliseconds.
    pub sent_at_ms: i64,
}

/// Whether a message arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// WeChat's name for it.
    pub msgid: String,
    /// Why it did not; `None`: it did.
    pub failure: Option<String>,
}

/// What changed of a user's credits for a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditChanged {
    /// The user.
    pub openid: String,
    /// The template.
    pub template_id: String,
    /// What happened.
    pub change: CreditChange,
    /// Of the message that used one.
    pub msgid: Option<String>,
}

/// Reads the data of a result; `None` if it is none.
pub(crate) fn result<'a>(
    subject: Option<&str>,
    data: &'a str,
) -> Option<(SendResult<'a>, SendFacts)> {
    let data: SendResult<'a> = serde_json::from_str(data).ok()?;
    // A value that cannot be looked for is as good as none.
    let name = |text: Option<&str>| text.map(str::to_owned).and_then(known);
    let sent = Sent {
        openid: name(subject),
        client: name(Some(&data.client))?,
        api: data.api,
        template_id: name(data.template_id.as_deref()),
        msgtype: name(data.msgtype.as_deref()),
        client_msg_id: name(data.client_msg_id.as_deref()),
        digest: name(Some(&data.digest))?,
        errcode: data.errcode,
        msgid: name(data.msgid.as_deref()),
        outcome: data.outcome,
        sent_at_ms: i64::try_from(data.sent_at_ms).ok()?,
    };
    let facts = SendFacts {
        credits: used(&sent).into_iter().collect(),
        sent: Some(sent),
        ..SendFacts::default()
    };
    Some((data, facts))
}

/// What a send does to its recipient's credits. One that broke off does nothing: if it was sent, WeChat will say so.
fn used(sent: &Sent) -> Option<CreditChanged> {
    let change = match (sent.api, sent.outcome) {
        (SendApi::Template | SendApi::Custom, _) => return None,
        (_, SendOutcome::Sent) => CreditChange::UsedBySend,
        (_, SendOutcome::Refused) if sent.errcode == Some(NO_CREDIT) => CreditChange::NoneLeft,
        (_, SendOutcome::Refused | SendOutcome::Unknown) => return None,
    };
    Some(CreditChanged {
        openid: sent.openid.clone()?,
        template_id: sent.template_id.clone()?,
        change,
        msgid: sent.msgid.clone(),
    })
}

/// Whether a push of this event, in lower case, tells anything.
pub(crate) fn is_told_by(event: &str) -> bool {
    Told::by(event).is_some()
}

/// The pushes that do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Finished,
    Answered,
    Changed,
    Sent,
}

impl Told {
    fn by(event: &str) -> Option<Self> {
        match event {
            "templatesendjobfinish" => Some(Self::Finished),
            "subscribe_msg_popup_event" => Some(Self::Answered),
            "subscribe_msg_change_event" => Some(Self::Changed),
            "subscribe_msg_sent_event" => Some(Self::Sent),
            _ => None,
        }
    }
}

/// The fields of these pushes, typed or, in events of before that, as WeChat sent them.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default, rename = "MsgID")]
    msgid: Leaf<'a>,
    #[serde(borrow, default, rename = "Status")]
    status: Leaf<'a>,
    #[serde(borrow, default, rename = "List")]
    list: Option<&'a RawValue>,
    #[serde(
        borrow,
        default,
        rename = "SubscribeMsgPopupEvent",
        alias = "SubscribeMsgChangeEvent",
        alias = "SubscribeMsgSentEvent"
    )]
    wrapped: Option<&'a RawValue>,
}

/// What older events have around the list.
#[derive(Deserialize)]
struct Wrapper<'a> {
    #[serde(borrow, default, rename = "List")]
    list: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, default, rename = "TemplateId")]
    template_id: Leaf<'a>,
    #[serde(borrow, default, rename = "SubscribeStatusString")]
    status: Leaf<'a>,
    #[serde(borrow, default, rename = "MsgID")]
    msgid: Leaf<'a>,
    #[serde(borrow, default, rename = "ErrorCode")]
    error_code: Leaf<'a>,
    #[serde(borrow, default, rename = "ErrorStatus")]
    error_status: Leaf<'a>,
}

/// Reads the data of a push of `event`, in lower case, about `openid`.
pub(crate) fn pushed(event: &str, data: &str, openid: Option<&str>) -> Option<SendFacts> {
    let told = Told::by(event)?;
    let data: PushData<'_, Fields<'_>> = serde_json::from_str(data).ok()?;
    let fields = data.push;
    let mut facts = SendFacts::default();
    if told == Told::Finished {
        facts.reports.push(Report {
            msgid: fields.msgid.into_nonempty().and_then(known)?,
            failure: failure(&fields.status.into_text()?),
        });
        return Some(facts);
    }
    for item in items(fields.list, fields.wrapped)? {
        let msgid = item.msgid.into_nonempty().and_then(known);
        let change = if told == Told::Sent {
            let failure = match item.error_code.int() {
                Some(0) => None,
                code => failure(&item.error_status.into_nonempty().unwrap_or_else(|| {
                    code.map_or_else(|| "unknown".to_owned(), |code| code.to_string())
                })),
            };
            let arrived = failure.is_none();
            if let Some(msgid) = msgid.clone() {
                facts.reports.push(Report { msgid, failure });
            }
            arrived.then_some(CreditChange::UsedAsPushed)
        } else {
            match item.status.into_text().as_deref() {
                Some("accept") if told == Told::Answered => Some(CreditChange::Granted),
                Some("reject") => Some(CreditChange::Withdrawn),
                _ => None,
            }
        };
        let template_id = item.template_id.into_nonempty().and_then(known);
        if let (Some(change), Some(template_id), Some(openid)) = (change, template_id, openid) {
            facts.credits.push(CreditChanged {
                openid: openid.to_owned(),
                template_id,
                change,
                msgid,
            });
        }
    }
    Some(facts)
}

/// The items of a list, whether it is one or a bare object, inside its wrapper or not.
fn items<'a>(list: Option<&'a RawValue>, wrapped: Option<&'a RawValue>) -> Option<Vec<Item<'a>>> {
    let list = match (list, wrapped) {
        (Some(list), _) => list,
        (None, wrapped) => {
            serde_json::from_str::<Wrapper<'a>>(wrapped?.get())
                .ok()?
                .list?
        }
    };
    if list.get().starts_with('[') {
        serde_json::from_str(list.get()).ok()
    } else {
        Some(vec![serde_json::from_str(list.get()).ok()?])
    }
}

/// Why a message did not arrive, by WeChat's words; `None`: it did.
fn failure(status: &str) -> Option<String> {
    let status = status.trim();
    if status.eq_ignore_ascii_case("success") {
        return None;
    }
    let reason = status.strip_prefix("failed").unwrap_or(status);
    let reason = reason.trim_start_matches(':').trim();
    let reason = if reason.is_empty() { "failed" } else { reason };
    Some(reason.chars().take(REASON_MAX_CHARS).collect())
}

/// A name that can be looked for, and that every database can hold.
fn known(text: String) -> Option<String> {
    identifier(text).filter(|text| is_name(text, NAME_MAX_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(event: &str, push: &str) -> Option<SendFacts> {
        let data =
            format!(r#"{{"account":"demo","appid":"wx1","received_at_ms":1,"push":{push}}}"#);
        pushed(event, &data, Some("oA"))
    }

    fn changes(event: &str, push: &str) -> Vec<(String, CreditChange, Option<String>)> {
        let facts = facts(event, push).unwrap();
        let credits = facts.credits.into_iter();
        credits
            .map(|credit| (credit.template_id, credit.change, credit.msgid))
            .collect()
    }

    #[test]
    fn a_finished_job_says_why_it_failed() {
        let failure = |status: &str| {
            let push = format!(r#"{{"MsgID":"7","Status":"{status}"}}"#);
            let facts = facts("templatesendjobfinish", &push).unwrap();
            assert_eq!(facts.reports[0].msgid, "7");
            facts.reports[0].failure.clone()
        };
        assert_eq!(failure("success"), None);
        assert_eq!(failure("failed:user block").as_deref(), Some("user block"));
        assert_eq!(
            failure("failed: system failed").as_deref(),
            Some("system failed")
        );
        assert_eq!(failure("failed").as_deref(), Some("failed"));
    }

    /// What events of all times and sorts of accounts have.
    #[test]
    fn a_list_is_read_in_every_shape_it_comes_in() {
        let item = r#"{"TemplateId":"T","SubscribeStatusString":"accept","PopupScene":"2"}"#;
        for push in [
            format!(r#"{{"List":[{item}]}}"#),
            format!(r#"{{"List":{item}}}"#),
            format!(r#"{{"SubscribeMsgPopupEvent":{{"List":{item}}}}}"#),
            format!(r#"{{"SubscribeMsgPopupEvent":{{"List":[{item}]}}}}"#),
        ] {
            assert_eq!(
                changes("subscribe_msg_popup_event", &push),
                [("T".to_owned(), CreditChange::Granted, None)],
                "{push}"
            );
        }
        assert_eq!(facts("subscribe_msg_popup_event", "{}"), None);
    }

    #[test]
    fn what_users_answer_changes_their_credits() {
        let push = r#"{"List":[{"TemplateId":"T","SubscribeStatusString":"accept"},
            {"TemplateId":"U","SubscribeStatusString":"reject"},{"TemplateId":"V","SubscribeStatusString":"filter"}]}"#;
        assert_eq!(
            changes("subscribe_msg_popup_event", push),
            [
                ("T".to_owned(), CreditChange::Granted, None),
                ("U".to_owned(), CreditChange::Withdrawn, None)
            ]
        );
        assert_eq!(
            changes("subscribe_msg_change_event", push),
            [("U".to_owned(), CreditChange::Withdrawn, None)],
            "the settings grant nothing"
        );
    }

    #[test]
    fn a_message_that_was_sent_uses_a_credit_and_one_that_failed_does_not() {
        let push = r#"{"List":[{"TemplateId":"T","MsgID":1864323726461255681,"ErrorCode":0,"ErrorStatus":"success"},
            {"TemplateId":"T","MsgID":"8","ErrorCode":"2","ErrorStatus":"failed: user refused"}]}"#;
        let facts = facts("subscribe_msg_sent_event", push).unwrap();
        let reports: Vec<_> = facts
            .reports
            .iter()
            .map(|report| (report.msgid.as_str(), report.failure.as_deref()))
            .collect();
        assert_eq!(
            reports,
            [("1864323726461255681", None), ("8", Some("user refused"))]
        );
        assert_eq!(
            changes("subscribe_msg_sent_event", push),
            [(
                "T".to_owned(),
                CreditChange::UsedAsPushed,
                Some("1864323726461255681".to_owned())
            )]
        );
    }

    #[test]
    fn a_result_uses_a_credit_or_says_that_there_is_none() {
        let credit = |api: &str, outcome: &str, errcode: i64| {
            let data = format!(
                r#"{{"account":"demo","appid":"wx1","client":"shop","api":"{api}","template_id":"T","digest":"d",
                    "errcode":{errcode},"msgid":"7","outcome":"{outcome}","sent_at_ms":1714113002345}}"#
            );
            let (_, facts) = result(Some("oA"), &data).unwrap();
            assert_eq!(facts.sent.unwrap().openid.as_deref(), Some("oA"));
            facts.credits.first().map(|credit| credit.change)
        };
        assert_eq!(
            credit("subscribe", "sent", 0),
            Some(CreditChange::UsedBySend)
        );
        assert_eq!(credit("bizsend", "sent", 0), Some(CreditChange::UsedBySend));
        assert_eq!(
            credit("subscribe", "refused", 43101),
            Some(CreditChange::NoneLeft)
        );
        assert_eq!(credit("subscribe", "refused", 47003), None);
        assert_eq!(credit("subscribe", "unknown", 0), None);
        assert_eq!(credit("template", "sent", 0), None);
    }
}
