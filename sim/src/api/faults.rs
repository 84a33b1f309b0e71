//! Faults on demand: what the next calls of a path suffer.

use serde::{Deserialize, Serialize};

/// One rule. The first that matches a call is used, and used up after `times` calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// A path, or its beginning and `*`.
    pub path: String,
    /// How many calls; without it, all of them until the faults are cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// So many calls pass unharmed first.
    #[serde(default)]
    pub skip: u32,
    /// Waits this long first (real time).
    #[serde(default)]
    pub delay_ms: u64,
    /// Then does this.
    #[serde(default)]
    pub then: Then,
}

/// What happens to a call after the delay.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// The proper answer.
    #[default]
    Answer,
    /// This HTTP status, with an empty body. The call is not carried out.
    Status(u16),
    /// This `errcode`, in WeChat's words. The call is not carried out.
    Errcode(i64),
    /// These bytes with status 200. The call is not carried out.
    Body(String),
    /// The connection is reset. The call is not carried out.
    Reset,
    /// The call is carried out, and the connection reset instead of the answer.
    ResetAfter,
    /// No answer, ever; the connection stays open.
    Hang,
}

impl FaultRule {
    /// A rule for the next `times` calls of `path`.
    pub fn next(path: &str, times: u32, then: Then) -> Self {
        Self {
            path: path.to_owned(),
            times: Some(times),
            skip: 0,
            delay_ms: 0,
            then,
        }
    }

    fn matches(&self, path: &str) -> bool {
        match self.path.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning),
            None => path == self.path,
        }
    }
}

/// The rules in force, in the order they were given.
#[derive(Default)]
pub(super) struct Faults(Vec<FaultRule>);

impl Faults {
    pub(super) fn add(&mut self, rule: FaultRule) {
        self.0.push(rule);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn rules(&self) -> &[FaultRule] {
        &self.0
    }

    /// What this call suffers.
    pub(super) fn take(&mut self, path: &str) -> Option<(u64, Then)> {
        let index = self.0.iter().position(|rule| rule.matches(path))?;
        let rule = &mut self.0[index];
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        let fault = (rule.delay_ms, rule.then.clone());
        match &mut rule.times {
            Some(times @ 2..) => *times -= 1,
            Some(_) => drop(self.0.remove(index)),
            None => {}
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_skips_then_strikes_then_is_used_up() {
        let mut faults = Faults::default();
        faults.add(FaultRule {
            skip: 1,
            ..FaultRule::next("/cgi-bin/user/*", 2, Then::Reset)
        });
        assert_eq!(faults.take("/cgi-bin/token"), None);
        assert_eq!(faults.take("/cgi-bin/user/info"), None);
        assert_eq!(faults.take("/cgi-bin/user/info"), Some((0, Then::Reset)));
        assert_eq!(faults.take("/cgi-bin/user/get"), Some((0, Then::Reset)));
        assert_eq!(faults.take("/cgi-bin/user/info"), None);
        assert!(faults.rules().is_empty());
    }

    #[test]
    fn rules_read_from_short_json() {
        let rule: FaultRule =
            serde_json::from_str(r#"{"path":"/p","times":2,"then":{"status":503}}"#).unwrap();
        assert_eq!(rule, FaultRule::next("/p", 2, Then::Status(503)));
        let rule: FaultRule =
            serde_json::from_str(r#"{"path":"/p","delay_ms":9,"then":"hang"}"#).unwrap();
        assert_eq!(
            (rule.times, rule.delay_ms, rule.then),
            (None, 9, Then::Hang)
        );
    }
}
