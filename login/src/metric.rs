//! What is counted. Labels come from the configuration and from closed lists alone.

use weir_engine::config::AccountId;

use crate::config::Config;

/// One count; labels are in its name, as in the push filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// A login, or a call of a mini program.
    Call {
        /// Whose.
        account: AccountId,
        /// `login`, `phone`, `open_data`, `check`, `logout`, `page`.
        kind: &'static str,
        /// `ok`, `sent_to_wechat`, `refused`, `failed`, `no_session`, `forged`, `malformed`.
        outcome: &'static str,
    },
    /// WeChat said no.
    ApiError {
        /// Whose call it was.
        account: AccountId,
        /// The class of the errcode.
        class: &'static str,
    },
    /// A request that came while too many waited.
    Crowd,
    /// Events that the store will not have.
    Lost {
        /// `overflow`, `rejected`, `abandoned`.
        reason: &'static str,
    },
}

impl Metric {
    /// Its name.
    #[must_use]
    pub fn name(self, config: &Config) -> String {
        let of = |account: AccountId| config.account(account).map_or("", |a| &a.name);
        match self {
            Self::Call {
                account,
                kind,
                outcome,
            } => {
                let account = of(account);
                format!("weir.login.account.{account}.kind.{kind}.outcome.{outcome}")
            }
            Self::ApiError { account, class } => {
                format!("weir.login_errors.account.{}.class.{class}", of(account))
            }
            Self::Crowd => "weir.login_refused.reason.crowd".to_owned(),
            Self::Lost { reason } => format!("weir.login_lost.reason.{reason}"),
        }
    }
}
