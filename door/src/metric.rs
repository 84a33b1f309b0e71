//! What is counted.

use weir_engine::config::AccountId;

/// One count; labels are in its name, as in the push filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// A call of an account, and what became of it.
    Call {
        /// Whose.
        account: AccountId,
        /// `forwarded`, `replayed`, `kept` (answered from what is kept), `login`, `linted`, `quota`, `no_token`.
        outcome: &'static str,
    },
    /// A request that was refused before it had an account, and why.
    Refused {
        /// Why.
        reason: &'static str,
    },
    /// An `errcode` that a call got, by its class.
    ApiError {
        /// Whose.
        account: AccountId,
        /// The class.
        class: &'static str,
    },
    /// Something the linter found.
    Lint {
        /// Whose.
        account: AccountId,
        /// Which rule.
        rule: &'static str,
    },
    /// Access tokens fetched, or not.
    TokenCall {
        /// Whose.
        account: AccountId,
        /// `ok`, `refused`, `failed`.
        outcome: &'static str,
    },
    /// Events that the store will not have.
    Lost {
        /// `overflow`, `rejected`, `abandoned`.
        reason: &'static str,
    },
}

impl Metric {
    /// Its name, with the account's.
    pub fn name(self, account_name: impl Fn(AccountId) -> String) -> String {
        let of = |metric: &str, account: AccountId, label: &str, value: &str| {
            let account = account_name(account);
            format!("weir.{metric}.account.{account}.{label}.{value}")
        };
        match self {
            Self::Call { account, outcome } => of("door_calls", account, "outcome", outcome),
            Self::Refused { reason } => format!("weir.door_refused.reason.{reason}"),
            Self::ApiError { account, class } => of("door_errors", account, "class", class),
            Self::Lint { account, rule } => of("door_lint", account, "reason", rule),
            Self::TokenCall { account, outcome } => of("door_tokens", account, "outcome", outcome),
            Self::Lost { reason } => format!("weir.door_lost.reason.{reason}"),
        }
    }
}
