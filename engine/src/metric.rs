//! What is counted, with bounded labels: the names operators alert on.
//!
//! A label value comes from the configuration or from a closed list here, never from a request.
//! Hosts never free a metric.

use std::fmt;

use crate::config::AccountId;

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// A request to an account's path was finished with.
    Push {
        /// Whose.
        account: AccountId,
        /// What it was, as far as it was understood.
        kind: Kind,
        /// What became of it.
        outcome: Outcome,
    },
    /// A push was recognised as a copy.
    DedupHit {
        /// Whose.
        account: AccountId,
    },
    /// Milliseconds from the request's headers to the response to WeChat.
    ReplyMs {
        /// Whose.
        account: AccountId,
        /// Milliseconds.
        ms: u64,
    },
    /// A call ended.
    Call {
        /// Where to.
        target: Target,
        /// How.
        status: Status,
    },
    /// WeChat refused an API call with an `errcode`.
    ApiError {
        /// Whose.
        account: AccountId,
        /// What kind of error; the list is WeChat's, see `weir_protocol::api::Class`.
        class: &'static str,
    },
    /// By how much the number of events in the outbox has changed.
    OutboxEvents(i64),
    /// By how much the bytes in the outbox have changed.
    OutboxBytes(i64),
    /// By how much the number of held streams has changed.
    Parked(i64),
    /// Events that will never reach the store.
    Lost {
        /// Why.
        reason: Loss,
        /// How many.
        count: u64,
    },
    /// Profiles that were given up.
    ProfilesGivenUp {
        /// Whose.
        account: AccountId,
        /// How many.
        count: u64,
    },
    /// An application was asked about a push.
    AppReply {
        /// Whose.
        account: AccountId,
        /// What came of it.
        outcome: AppOutcome,
    },
    /// An application's reply came after WeChat's last attempt.
    LateReply {
        /// Whose.
        account: AccountId,
        /// What became of it.
        outcome: LateOutcome,
    },
    /// By how much the number of pushes that applications are asked about has changed.
    Forwards(i64),
    /// Tags that were not given.
    TagsGivenUp {
        /// Whose.
        account: AccountId,
        /// How many.
        count: u64,
    },
}

/// How a metric is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Add.
    Counter(u64),
    /// Add, with a sign: the workers of a process share one gauge, so none may set it.
    Gauge(i64),
    /// Record.
    Histogram(u64),
}

impl Metric {
    /// How it is kept, and its value.
    #[must_use]
    pub fn shape(self) -> Shape {
        match self {
            Self::Push { .. }
            | Self::DedupHit { .. }
            | Self::Call { .. }
            | Self::AppReply { .. }
            | Self::LateReply { .. }
            | Self::ApiError { .. } => Shape::Counter(1),
            Self::Lost { count, .. }
            | Self::ProfilesGivenUp { count, .. }
            | Self::TagsGivenUp { count, .. } => Shape::Counter(count),
            Self::ReplyMs { ms, .. } => Shape::Histogram(ms),
            Self::OutboxEvents(n) | Self::OutboxBytes(n) | Self::Parked(n) | Self::Forwards(n) => {
                Shape::Gauge(n)
            }
        }
    }

    /// The same metric with its value taken out: equal for all measurements of one series.
    #[must_use]
    pub fn series(self) -> Self {
        match self {
            Self::ReplyMs { account, .. } => Self::ReplyMs { account, ms: 0 },
            Self::OutboxEvents(_) => Self::OutboxEvents(0),
            Self::OutboxBytes(_) => Self::OutboxBytes(0),
            Self::Parked(_) => Self::Parked(0),
            Self::Forwards(_) => Self::Forwards(0),
            Self::Lost { reason, .. } => Self::Lost { reason, count: 0 },
            Self::ProfilesGivenUp { account, .. } => Self::ProfilesGivenUp { account, count: 0 },
            Self::TagsGivenUp { account, .. } => Self::TagsGivenUp { account, count: 0 },
            other => other,
        }
    }

    /// The series' name, labels in it as `.label.value`; `account` names the accounts.
    #[must_use]
    pub fn name(self, account: impl Fn(AccountId) -> String) -> String {
        match self {
            Self::Push {
                account: a,
                kind,
                outcome,
            } => {
                format!(
                    "weir.pushes.account.{}.kind.{kind}.outcome.{outcome}",
                    account(a)
                )
            }
            Self::DedupHit { account: a } => format!("weir.dedup_hits.account.{}", account(a)),
            Self::ReplyMs { account: a, .. } => format!("weir.reply_ms.account.{}", account(a)),
            Self::Call { target, status } => format!("weir.calls.target.{target}.status.{status}"),
            Self::ApiError { account: a, class } => {
                format!("weir.api_errors.account.{}.class.{class}", account(a))
            }
            Self::OutboxEvents(_) => "weir.outbox_events".to_owned(),
            Self::OutboxBytes(_) => "weir.outbox_bytes".to_owned(),
            Self::Parked(_) => "weir.parked".to_owned(),
            Self::Forwards(_) => "weir.forwards".to_owned(),
            Self::AppReply {
                account: a,
                outcome,
            } => format!("weir.app_replies.account.{}.outcome.{outcome}", account(a)),
            Self::LateReply {
                account: a,
                outcome,
            } => format!("weir.late_replies.account.{}.outcome.{outcome}", account(a)),
            Self::Lost { reason, .. } => format!("weir.lost_events.reason.{reason}"),
            Self::ProfilesGivenUp { account: a, .. } => {
                format!("weir.profiles_given_up.account.{}", account(a))
            }
            Self::TagsGivenUp { account: a, .. } => {
                format!("weir.tags_given_up.account.{}", account(a))
            }
        }
    }
}

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $label:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// The label's value.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.label())
            }
        }
    };
}

labels! {
    /// What a request was.
    Kind {
        /// GET.
        Verification = "verification",
        /// Refused before it was understood.
        Unknown = "unknown",
        /// A text message.
        Text = "text",
        /// Any other message.
        OtherMessage = "other_message",
        /// A follow.
        Subscribe = "subscribe",
        /// An unfollow.
        Unsubscribe = "unsubscribe",
        /// A QR code scanned by a follower.
        Scan = "scan",
        /// Any other event.
        OtherEvent = "other_event",
        /// A third-party-platform push.
        Component = "component",
    }
}

labels! {
    /// What became of a request.
    Outcome {
        /// A reply went out, or the URL was verified.
        Replied = "replied",
        /// `success` went out: there was nothing to say.
        Acknowledged = "acknowledged",
        /// WeChat (or the host) closed the stream before it was answered.
        Unanswered = "unanswered",
        /// No reply was given in time, on purpose, so that WeChat comes again.
        Withheld = "withheld",
        /// Too much in flight; WeChat comes again.
        Overload = "overload",
        /// Refused: method.
        Method = "refused_method",
        /// Refused: size.
        TooLarge = "refused_too_large",
        /// Refused: the query is not WeChat's.
        Query = "refused_query",
        /// Refused: signature.
        Signature = "refused_signature",
        /// Refused: timestamp outside the window.
        Stale = "refused_stale",
        /// Refused: not the account's mode.
        Mode = "refused_mode",
        /// Refused: cannot be decrypted.
        Undecryptable = "refused_undecryptable",
        /// Refused: cannot be parsed.
        Malformed = "refused_malformed",
        /// Refused: meant for another account.
        WrongAccount = "refused_wrong_account",
    }
}

labels! {
    /// Where calls go.
    Target {
        /// The store.
        Store = "store",
        /// `stable_token`.
        AccessToken = "access_token",
        /// `user/info/batchget`.
        Profiles = "profiles",
        /// `tags/members/batchtagging`.
        Tags = "tags",
        /// An application.
        App = "app",
        /// `message/custom/send`.
        Send = "send",
    }
}

labels! {
    /// How a call ended.
    Status {
        /// 2xx.
        Ok = "2xx",
        /// 3xx.
        Redirect = "3xx",
        /// 4xx.
        ClientError = "4xx",
        /// 5xx.
        ServerError = "5xx",
        /// The host did not take it.
        Refused = "refused",
        /// The connection broke in the middle.
        Reset = "reset",
    }
}

labels! {
    /// Why events are lost.
    Loss {
        /// The outbox had no room at WeChat's last attempt.
        Overflow = "overflow",
        /// The store will never take it.
        Rejected = "rejected",
        /// The store says that it takes no events any more (410).
        Gone = "gone",
        /// It is too large for the store by itself (413).
        TooLarge = "too_large",
        /// The store does not know the format (415).
        MediaType = "media_type",
        /// A replaced configuration could not deliver it in time.
        Abandoned = "abandoned",
    }
}

labels! {
    /// What came of asking an application.
    AppOutcome {
        /// A reply.
        Reply = "reply",
        /// It had nothing to say.
        Nothing = "nothing",
        /// It took longer than it may.
        Timeout = "timeout",
        /// It answered with a status other than 2xx.
        Status = "status",
        /// The connection broke.
        Reset = "reset",
        /// Its answer is no reply.
        Malformed = "malformed",
        /// The host did not take the call.
        Refused = "refused",
        /// The worker that called it died; whether it was called is not known.
        Lost = "lost",
    }
}

labels! {
    /// What became of a late reply.
    LateOutcome {
        /// It went out as a customer-service message.
        Sent = "sent",
        /// It went out with the answer to an attempt elsewhere.
        Answered = "answered",
        /// The account sends nothing.
        NotAllowed = "not_allowed",
        /// There is no send of its kind.
        Kind = "kind",
        /// WeChat refused it.
        Refused = "refused",
        /// The call broke off: it may have been sent.
        Unknown = "unknown",
    }
}
