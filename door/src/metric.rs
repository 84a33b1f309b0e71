//! What is counted.

use weir_engine::config::AccountId;

use crate::config::Config;

/// One count; labels are in its name, as in the push filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// A call of an account, and what became of it.
    Call {
        /// Whose.
        account: AccountId,
        /// `forwarded`, `replayed`, `kept` (answered from what is kept), `login`, `linted`, `no_credit`, `quota`, `no_token`.
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
    /// What the store said of the credit that a message needs.
    Credit {
        /// Whose.
        account: AccountId,
        /// `left`, `none_left`, `unknown`, `failed`.
        outcome: &'static str,
    },
    /// Access tokens fetched, or not.
    TokenCall {
        /// Whose.
        account: AccountId,
        /// `ok`, `refused`, `failed`.
        outcome: &'static str,
    },
    /// A call of an API that has a budget.
    Budget {
        /// Whose.
        account: AccountId,
        /// A place in the configuration's quotas.
        quota: usize,
    },
    /// Events that the store will not have.
    Lost {
        /// `overflow`, `rejected`, `abandoned`.
        reason: &'static str,
    },
}

impl Metric {
    /// Its name.
    pub fn name(self, config: &Config) -> String {
        let of = |metric: &str, account: AccountId, label: &str, value: &str| {
            let account = config.account(account).map_or("", |account| &account.name);
            format!("weir.{metric}.account.{account}.{label}.{value}")
        };
        match self {
            Self::Call { account, outcome } => of("door_calls", account, "outcome", outcome),
            Self::Refused { reason } => format!("weir.door_refused.reason.{reason}"),
            Self::ApiError { account, class } => of("door_errors", account, "class", class),
            Self::Lint { account, rule } => of("door_lint", account, "reason", rule),
            Self::Credit { account, outcome } => of("door_credits", account, "outcome", outcome),
            Self::TokenCall { account, outcome } => of("door_tokens", account, "outcome", outcome),
            Self::Budget { account, quota } => {
                let path = config.quotas.get(quota).map_or("", |quota| &quota.path);
                let api = path.trim_start_matches('/').replace('/', "_");
                of("door_budget", account, "kind", &api)
            }
            Self::Lost { reason } => format!("weir.door_lost.reason.{reason}"),
        }
    }
}
