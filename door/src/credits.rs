//! Whether a user has allowed a subscribe message: the store is asked before WeChat is.
//!
//! # What is refused
//! Only what the store is certain of: the user's word was heard, and nothing is left. Everything else goes to WeChat, which
//! knows: when the store does not answer in time or cannot be reached, when it has never heard of the user, when what it knows
//! contradicts itself.
//!
//! # Bounds
//! The store knows what has reached it. Of two messages within the same moment the second may go to WeChat, which refuses
//! it; and an accept counts when its push is in the store.

use weir_engine::CallOutcome;
use weir_store_api::SendApi;
use weir_store_api::read::{Credit, Page};

use crate::config::Credits;
use crate::sends::Send;

/// WeChat's code for a user who has not accepted, or whose accepts are used up.
pub(crate) const NONE_LEFT: i64 = 43101;

/// What the store says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// There is something left.
    Left,
    /// It is certain that nothing is.
    NoneLeft,
    /// It does not know.
    Unknown,
    /// Nothing, or nothing that can be read.
    Nothing,
}

impl Said {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::NoneLeft => "none_left",
            Self::Unknown => "unknown",
            Self::Nothing => "failed",
        }
    }
}

/// The `:path` of the question whether a message may be sent; `None`: there is nothing to ask.
pub(crate) fn question(credits: &Credits, account: &str, send: &Send) -> Option<String> {
    let (openid, template_id) = subject(credits, send)?;
    let query: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("account", account)
        .append_pair("openid", openid)
        .append_pair("template_id", template_id)
        .finish();
    Some(format!("{}?{query}", credits.path))
}

/// What the answer says of this message.
pub(crate) fn read(
    outcome: &CallOutcome<'_>,
    credits: &Credits,
    account: &str,
    send: &Send,
) -> Said {
    let CallOutcome::Answer {
        status: 200, body, ..
    } = outcome
    else {
        return Said::Nothing;
    };
    let (Ok(page), Some((openid, template_id))) = (
        serde_json::from_slice::<Page<Credit>>(body),
        subject(credits, send),
    ) else {
        return Said::Nothing;
    };
    let found = page.items.iter().find(|credit| {
        credit.account == account && credit.openid == openid && credit.template_id == template_id
    });
    match found {
        Some(credit) if credit.balance > 0 => Said::Left,
        Some(credit) if credit.certain => Said::NoneLeft,
        _ => Said::Unknown,
    }
}

/// Whom a message is for and what it is, if it uses a credit.
fn subject<'a>(credits: &Credits, send: &'a Send) -> Option<(&'a str, &'a str)> {
    if !matches!(send.api(), SendApi::Subscribe | SendApi::Bizsend) {
        return None;
    }
    let (openid, template_id) = (send.openid()?, send.template_id()?);
    let is_long_term = credits.long_term.iter().any(|known| known == template_id);
    (!is_long_term).then_some((openid, template_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Node;
    use serde_json::{Value, json};

    fn credits() -> Credits {
        Credits {
            path: "/v1/credits".to_owned(),
            timeout_ms: 200,
            long_term: vec!["LONG".to_owned()],
        }
    }

    fn send(api: &str, request: Value) -> Send {
        let path = format!("/cgi-bin/message/{api}");
        let request = request.to_string();
        let request = Node::read(request.as_bytes());
        Send::of(&path, request.as_ref(), b"{}").unwrap()
    }

    fn subscribe() -> Send {
        send(
            "subscribe/send",
            json!({"touser": "o&A", "template_id": "T/1"}),
        )
    }

    fn said(status: u16, body: &str) -> Said {
        let outcome = CallOutcome::Answer {
            status,
            retry_after_s: None,
            body: body.as_bytes(),
        };
        read(&outcome, &credits(), "demo", &subscribe())
    }

    fn page(openid: &str, balance: u64, certain: bool) -> String {
        json!({"items": [{"account": "demo", "openid": openid, "template_id": "T/1", "balance": balance,
            "certain": certain, "changed_at": "2024-04-26T06:30:00Z"}], "next_cursor": null})
        .to_string()
    }

    #[test]
    fn a_question_names_one_user_and_one_template_whatever_is_in_them() {
        let asked = question(&credits(), "demo", &subscribe());
        let expected = "/v1/credits?account=demo&openid=o%26A&template_id=T%2F1";
        assert_eq!(asked.as_deref(), Some(expected));
    }

    #[test]
    fn nothing_is_asked_where_no_credit_is_used() {
        for (api, request) in [
            ("template/send", json!({"touser": "o", "template_id": "T"})),
            ("custom/send", json!({"touser": "o", "msgtype": "text"})),
            (
                "subscribe/send",
                json!({"touser": "o", "template_id": "LONG"}),
            ),
            ("subscribe/send", json!({"template_id": "T"})),
            ("subscribe/bizsend", json!({"touser": "o"})),
        ] {
            let asked = question(&credits(), "demo", &send(api, request.clone()));
            assert_eq!(asked, None, "{api} {request}");
        }
        let bizsend = send(
            "subscribe/bizsend",
            json!({"touser": "o", "template_id": "T"}),
        );
        assert!(question(&credits(), "demo", &bizsend).is_some());
    }

    #[test]
    fn only_a_certain_zero_of_this_user_says_no() {
        assert_eq!(said(200, &page("o&A", 0, true)), Said::NoneLeft);
        assert_eq!(said(200, &page("o&A", 0, false)), Said::Unknown);
        assert_eq!(said(200, &page("o&A", 1, true)), Said::Left);
        assert_eq!(said(200, &page("oB", 0, true)), Said::Unknown);
        let nobody = r#"{"items":[],"next_cursor":null}"#;
        assert_eq!(said(200, nobody), Said::Unknown);
        for (status, body) in [
            (200, "{"),
            (200, r#"{"items":[{"balance":0}]}"#),
            (503, nobody),
        ] {
            assert_eq!(said(status, body), Said::Nothing, "{status} {body}");
        }
        let outcome = read(&CallOutcome::Reset, &credits(), "demo", &subscribe());
        assert_eq!(outcome, Said::Nothing);
    }
}
