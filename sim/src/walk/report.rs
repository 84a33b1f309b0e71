//! What came of a walk.

use std::time::Duration;

/// Every step, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Every step, right or wrong.
    pub steps: Vec<Step>,
    /// In all.
    pub took: Duration,
}

impl Report {
    /// Whether every step was right.
    pub fn is_right(&self) -> bool {
        self.steps.iter().all(Step::is_right)
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What was done.
    pub name: String,
    /// Until it was over.
    pub took: Duration,
    /// The HTTP status of the last answer, if there was one.
    pub status: Option<u16>,
    /// What WeChat got, decrypted, or what the store said, in a few words.
    pub saw: String,
    /// The user's row as the store sent it, where it is to be shown.
    pub json: Option<String>,
    /// What was wrong; empty when nothing was.
    pub wrong: Vec<String>,
}

impl Step {
    /// Whether nothing was wrong.
    pub fn is_right(&self) -> bool {
        self.wrong.is_empty()
    }
}
