//! What WeChat sent and got, held against what the store and the application have.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Result, ensure};

use super::app;

/// One push, as WeChat knows it.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) msg_id: String,
    pub(super) openid: String,
    pub(super) content: String,
    /// WeChat got a 200 for one of its attempts.
    pub(super) acknowledged: bool,
    /// It was the last one that got it.
    pub(super) at_last: bool,
    /// What users were shown, by each answer with 200.
    pub(super) shown: Vec<Option<String>>,
    /// An answer that makes WeChat show a fault.
    pub(super) unreadable: bool,
}

/// The figures of a run.
#[derive(Debug, Default)]
pub struct Verdict {
    pub(super) database: &'static str,
    pub(super) rounds: BTreeMap<String, u64>,
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    pub(super) at_last: u64,
    pub(super) stored: u64,
    pub(super) asked: u64,
    pub(super) called: u64,
    pub(super) replied_passively: u64,
    pub(super) sends: u64,
    /// Acknowledged and not in the store.
    pub(super) missing: Vec<String>,
    /// In the store more than once, called about more than once, answered in two ways that both reach the user.
    pub(super) doubled: Vec<String>,
    /// Two attempts were told different things, or something else than what is right.
    pub(super) contradicting: Vec<String>,
}

impl Verdict {
    /// Judges. `stored` has the message ids in the store, `events` their events' ids, `customs` the customer-service
    /// messages by openid.
    pub(super) fn judge(
        &mut self,
        sent: &[Sent],
        stored: &[String],
        calls: &[String],
        customs: &[(String, String)],
    ) {
        let mut in_store: BTreeMap<&str, u64> = BTreeMap::new();
        for msg_id in stored {
            *in_store.entry(msg_id).or_default() += 1;
        }
        let mut called: BTreeMap<&str, u64> = BTreeMap::new();
        for id in calls {
            *called.entry(id).or_default() += 1;
        }
        let mut sends: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (openid, content) in customs {
            sends.entry(openid).or_default().push(content);
        }
        (self.sent, self.called) = (sent.len() as u64, calls.len() as u64);
        self.stored = in_store.len() as u64;
        for (id, times) in &called {
            if *times > 1 {
                self.doubled.push(format!(
                    "the application was asked {times} times about {id}"
                ));
            }
        }
        for push in sent {
            self.push(push, &in_store, &sends);
        }
    }

    fn push(
        &mut self,
        push: &Sent,
        in_store: &BTreeMap<&str, u64>,
        sends: &BTreeMap<&str, Vec<&str>>,
    ) {
        let name = &push.content;
        let asked = push.content.starts_with(app::ASK);
        self.asked += u64::from(asked);
        self.acknowledged += u64::from(push.acknowledged);
        self.at_last += u64::from(push.at_last);
        match in_store.get(push.msg_id.as_str()) {
            None if push.acknowledged => self.missing.push(name.clone()),
            Some(2..) => self.doubled.push(format!("{name} is stored twice")),
            _ => {}
        }
        let none = Vec::new();
        let sends = sends.get(push.openid.as_str()).unwrap_or(&none);
        self.sends += sends.len() as u64;
        let texts: BTreeSet<&str> = push.shown.iter().flatten().map(String::as_str).collect();
        self.replied_passively += u64::from(!texts.is_empty());
        if sends.len() + texts.len().min(1) > 1 {
            self.doubled.push(format!("{name} was answered twice"));
        }
        let right = |text: &str| match asked {
            false => text == super::scene::by_rule(&push.content),
            true => text == app::answer(&push.content) || text == super::scene::OTHERWISE,
        };
        let all_right = texts.iter().chain(sends).all(|text| right(text));
        if texts.len() > 1 || !all_right || push.unreadable {
            self.contradicting
                .push(format!("{name}: {texts:?} {sends:?}"));
        }
    }

    /// Fails when a promise was broken.
    ///
    /// # Errors
    /// It was; the message says how often and shows the first cases.
    pub fn check(&self) -> Result<()> {
        for (what, cases) in [
            ("missing", &self.missing),
            ("doubled", &self.doubled),
            ("contradicting", &self.contradicting),
        ] {
            let first: Vec<_> = cases.iter().take(10).collect();
            ensure!(
                cases.is_empty(),
                "{}: {} {what}: {first:?}",
                self.database,
                cases.len()
            );
        }
        ensure!(
            self.acknowledged > 0 && self.called > 0,
            "nothing was sent: {self}"
        );
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounds: Vec<_> = self
            .rounds
            .iter()
            .map(|(what, times)| format!("{what} {times}"))
            .collect();
        writeln!(f, "{}: {}", self.database, rounds.join(", "))?;
        writeln!(
            f,
            "  pushes sent {}, acknowledged {} (at the last attempt {}), stored {}",
            self.sent, self.acknowledged, self.at_last, self.stored
        )?;
        writeln!(
            f,
            "  for the application {}, it was asked {} times; passive replies {}, customer-service messages {}",
            self.asked, self.called, self.replied_passively, self.sends
        )?;
        writeln!(
            f,
            "  missing {}, doubled {}, contradicting {}",
            self.missing.len(),
            self.doubled.len(),
            self.contradicting.len()
        )
    }
}
