//! The journal of a campaign: who was about to be sent the message, and what became of it.
//!
//! The first line names the campaign; `{"to","at"}` is an intent, `{"to","outcome",…}` a result. An intent is on the disk
//! before its message leaves. A result need not be: an intent without one says that the message may have been sent.

use std::collections::HashMap;

use anyhow::bail;
use serde::{Deserialize, Serialize};
use weir_errands::send::{Fate, Ledger, NotKept, Past};

use crate::journal::{Journal, Story, encode};

/// The format of the file.
const VERSION: u32 = 1;

/// The first line: what the journal is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Campaign {
    /// The format of the file.
    weir_send: u32,
    campaign: String,
    account: String,
    api: String,
    template_id: Option<String>,
    /// What the journal has of each, by openid.
    #[serde(skip)]
    pub(super) past: HashMap<String, Past>,
}

impl Campaign {
    pub(super) fn new(campaign: &str, account: &str, api: &str, template_id: Option<&str>) -> Self {
        Self {
            weir_send: VERSION,
            campaign: campaign.to_owned(),
            account: account.to_owned(),
            api: api.to_owned(),
            template_id: template_id.map(str::to_owned),
            past: HashMap::new(),
        }
    }
}

/// Somebody is about to be sent the message.
#[derive(Serialize)]
struct IntentLine<'a> {
    to: &'a str,
    /// Unix milliseconds.
    at: i64,
}

/// What became of it.
#[derive(Serialize)]
struct FateLine<'a> {
    to: &'a str,
    #[serde(flatten)]
    fate: &'a Fate,
}

/// Either, as it is read.
#[derive(Deserialize)]
struct Line {
    to: String,
    at: Option<i64>,
    #[serde(flatten)]
    fate: Option<Fate>,
}

/// The journal of a run.
pub(super) struct Kept(pub(super) Journal);

impl Ledger for Kept {
    async fn begin(&self, openid: &str, at_ms: i64) -> Result<Option<Fate>, NotKept> {
        let line = IntentLine {
            to: openid,
            at: at_ms,
        };
        self.0.keep(&line).await?;
        Ok(None)
    }

    fn settle(&self, openid: &str, fate: &Fate) -> Result<(), NotKept> {
        Ok(self.0.note(&FateLine { to: openid, fate })?)
    }
}

impl Story for Campaign {
    fn head(&self) -> Vec<u8> {
        encode(self)
    }

    fn check(&mut self, first: &[u8]) -> anyhow::Result<()> {
        let Ok(found) = serde_json::from_slice::<Self>(first) else {
            bail!("this is no journal of `weir send`");
        };
        if found.weir_send != VERSION {
            bail!("it was written by another version of weir");
        }
        for (what, found, wanted) in [
            ("campaign", &found.campaign, &self.campaign),
            ("account", &found.account, &self.account),
            ("kind of message", &found.api, &self.api),
        ] {
            if found != wanted {
                bail!("it is of another {what}, {found:?}: name another --campaign or --journal");
            }
        }
        if found.template_id != self.template_id {
            bail!("it is of another template: name another --campaign or --journal");
        }
        Ok(())
    }

    fn take(&mut self, line: &[u8]) -> anyhow::Result<()> {
        let line: Line = serde_json::from_slice(line)?;
        let past = self.past.entry(line.to).or_default();
        match (line.at, line.fate) {
            (Some(at_ms), None) => past.intend(at_ms),
            (None, Some(fate)) => past.settle(fate),
            _ => bail!("it is neither an intent nor a result"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn campaign() -> Campaign {
        Campaign::new("spring", "demo", "template", Some("T"))
    }

    fn read(text: &str) -> anyhow::Result<HashMap<String, Past>> {
        let mut campaign = campaign();
        crate::journal::read(text, &mut campaign)?;
        Ok(campaign.past)
    }

    fn head() -> String {
        String::from_utf8(campaign().head()).unwrap()
    }

    #[test]
    fn an_intent_stands_until_it_is_known_what_became_of_it() {
        let of = |lines: &str| read(&(head() + lines)).unwrap().remove("oA").unwrap();
        let intent = "{\"to\":\"oA\",\"at\":5}\n{\"to\":\"oA\",\"at\":9}\n";
        assert_eq!(of(intent).first_intent_ms, Some(5));
        let unknown = "{\"to\":\"oA\",\"outcome\":\"unknown\",\"retryable\":true}\n";
        let past = of(&format!("{intent}{unknown}"));
        assert_eq!(past.first_intent_ms, Some(5));
        assert!(past.fate.is_some_and(|fate| fate.retryable));
        let refused =
            "{\"to\":\"oA\",\"outcome\":\"refused\",\"errcode\":45009,\"retryable\":true}\n";
        let past = of(&format!(
            "{intent}{unknown}{refused}{{\"to\":\"oA\",\"at\":99}}\n"
        ));
        assert_eq!(past.first_intent_ms, Some(99));
        assert_eq!(past.fate, None);
    }

    #[test]
    fn a_journal_of_something_else_is_not_touched() {
        let other = |a: &str, b: &str| read(&head().replace(a, b)).unwrap_err().to_string();
        assert!(other("spring", "summer").contains("another campaign, \"summer\""));
        assert!(other("demo", "shop").contains("another account"));
        assert!(other("\"T\"", "\"U\"").contains("another template"));
        assert!(other(":1,", ":2,").contains("another version"));
        assert!(
            read("openid\noA\n")
                .unwrap_err()
                .to_string()
                .contains("no journal")
        );
        let damaged = read(&(head() + "{\"to\":\"oA\"}\n"))
            .unwrap_err()
            .to_string();
        assert_eq!(damaged, "line 2 is damaged");
    }
}
