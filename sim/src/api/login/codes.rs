//! Codes that are good once and for five minutes: of `wx.login`, of the phone button, of a web login.

use std::collections::{HashMap, VecDeque};

/// How long a code lives. Source: WeChat's pages on code2Session, getPhoneNumber and 网页授权.
pub const CODE_LIFETIME_MS: i64 = 300_000;
/// Codes kept to tell "used" and "expired" from "never issued"; older ones count as never issued.
pub const MAX_CODES: usize = 10_000;

/// What is wrong with a code that was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum CodeFault {
    /// Never issued, by this account and for this call.
    Unknown,
    /// Its five minutes are over.
    Expired,
    /// Presented before.
    Used,
}

struct Code<T> {
    ends_ms: i64,
    /// What it stands for; taken when it is used.
    gives: Option<T>,
}

/// The codes of one kind of one account.
pub(super) struct Codes<T> {
    issued: HashMap<String, Code<T>>,
    /// Oldest first.
    order: VecDeque<String>,
}

impl<T> Default for Codes<T> {
    fn default() -> Self {
        Self {
            issued: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<T> Codes<T> {
    pub(super) fn issue(&mut self, now_ms: i64, code: String, gives: T) -> String {
        if self.order.len() == MAX_CODES
            && let Some(oldest) = self.order.pop_front()
        {
            self.issued.remove(&oldest);
        }
        let entry = Code {
            ends_ms: now_ms + CODE_LIFETIME_MS,
            gives: Some(gives),
        };
        self.issued.insert(code.clone(), entry);
        self.order.push_back(code.clone());
        code
    }

    /// What the code stands for, which stays good.
    pub(super) fn look(&self, now_ms: i64, code: &str) -> Result<&T, CodeFault> {
        let code = self.issued.get(code).ok_or(CodeFault::Unknown)?;
        let gives = code.gives.as_ref().ok_or(CodeFault::Used)?;
        if code.ends_ms <= now_ms {
            return Err(CodeFault::Expired);
        }
        Ok(gives)
    }

    /// What the code stands for, for the only time.
    pub(super) fn redeem(&mut self, now_ms: i64, code: &str) -> Result<T, CodeFault> {
        self.look(now_ms, code)?;
        let taken = self.issued.get_mut(code).and_then(|code| code.gives.take());
        taken.ok_or(CodeFault::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_good_once_and_for_five_minutes() {
        let mut codes = Codes::default();
        codes.issue(0, "a".into(), 1);
        codes.issue(0, "b".into(), 2);
        assert_eq!(codes.redeem(CODE_LIFETIME_MS - 1, "a"), Ok(1));
        assert_eq!(
            codes.redeem(CODE_LIFETIME_MS - 1, "a"),
            Err(CodeFault::Used)
        );
        assert_eq!(codes.redeem(CODE_LIFETIME_MS, "a"), Err(CodeFault::Used));
        assert_eq!(codes.redeem(CODE_LIFETIME_MS, "b"), Err(CodeFault::Expired));
        assert_eq!(codes.redeem(0, "c"), Err(CodeFault::Unknown));
    }

    #[test]
    fn the_oldest_code_is_forgotten_when_there_are_too_many() {
        let mut codes = Codes::default();
        for n in 0..=MAX_CODES {
            codes.issue(0, n.to_string(), n);
        }
        assert_eq!(codes.redeem(0, "0"), Err(CodeFault::Unknown));
        assert_eq!(codes.redeem(0, "1"), Ok(1));
        assert_eq!(codes.issued.len(), MAX_CODES);
    }
}
