//! Retries of callouts, asked for by the callout's own `x-envoy-` headers, which never reach the upstream.

use std::time::Duration;

use super::forward::Failure;
use crate::http::headers::Headers;

/// How often and when a callout is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    conditions: Vec<String>,
    /// Tries that are left after the first.
    pub(crate) retries: u32,
    /// The time for each try.
    pub(crate) per_try: Option<Duration>,
}

impl Policy {
    /// Takes the policy out of a callout's headers.
    pub(crate) fn take(headers: &mut Headers) -> Self {
        let mut number = |name: &str| {
            let value = headers.get_text(name).and_then(|text| text.parse().ok());
            headers.remove(name.as_bytes());
            value
        };
        let max_retries: Option<u32> = number("x-envoy-max-retries");
        let per_try: Option<u32> = number("x-envoy-upstream-rq-per-try-timeout-ms");
        let conditions = headers.get_text("x-envoy-retry-on").unwrap_or_default();
        headers.remove(b"x-envoy-retry-on");
        let conditions: Vec<String> = conditions
            .split(',')
            .map(|condition| condition.trim().to_owned())
            .filter(|condition| !condition.is_empty())
            .collect();
        Self {
            retries: if conditions.is_empty() {
                0
            } else {
                max_retries.unwrap_or(1)
            },
            conditions,
            per_try: per_try
                .filter(|ms| *ms > 0)
                .map(|ms| Duration::from_millis(ms.into())),
        }
    }

    fn has(&self, condition: &str) -> bool {
        self.conditions.iter().any(|held| held == condition)
    }

    /// Whether a response with this status is tried again.
    pub(crate) fn takes_status(&self, status: u16) -> bool {
        (self.has("5xx") && (500..600).contains(&status))
            || (self.has("gateway-error") && (502..=504).contains(&status))
            || (self.has("retriable-4xx") && status == 409)
    }

    /// Whether a failure before the headers is tried again. After the headers nothing is.
    pub(crate) fn takes_failure(&self, failure: &Failure) -> bool {
        match failure {
            Failure::Connect(_) => self.has("connect-failure") || self.has("5xx"),
            Failure::Reset => self.has("reset") || self.has("5xx"),
            // The time of one try, not of all of them.
            Failure::Timeout => self.has("reset") || self.has("5xx") || self.has("gateway-error"),
            Failure::Overflow => false,
        }
    }

    /// How long to wait before the next try.
    pub(crate) fn pause(&self, tried: u32) -> Duration {
        const BASE_MS: u64 = 25;
        const MAX_MS: u64 = 250;
        let mut byte = [0];
        // Without randomness there is no jitter, and no harm.
        let _ = getrandom::fill(&mut byte);
        let ceiling = (BASE_MS << tried.min(8)).min(MAX_MS);
        Duration::from_millis(ceiling * u64::from(byte[0]) / 255)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::forward::NoConnection;

    fn policy(headers: &[(&str, &str)]) -> (Policy, Headers) {
        let mut map = Headers::default();
        for (name, value) in headers {
            map.add(name.as_bytes(), value.as_bytes());
        }
        (Policy::take(&mut map), map)
    }

    #[test]
    fn without_a_condition_nothing_is_tried_again() {
        let (policy, left) = policy(&[("x-envoy-max-retries", "5"), ("x", "1")]);
        assert_eq!(policy.retries, 0);
        assert!(!policy.takes_status(503));
        assert_eq!(left.len(), 1, "the x-envoy headers are taken out");
    }

    #[test]
    fn conditions_decide_what_is_tried_again() {
        let (policy, _) = policy(&[("x-envoy-retry-on", "gateway-error, connect-failure")]);
        assert_eq!(policy.retries, 1);
        assert!(policy.takes_status(503));
        assert!(!policy.takes_status(500));
        assert!(policy.takes_failure(&Failure::Connect(NoConnection::timeout())));
        assert!(!policy.takes_failure(&Failure::Reset));
        assert!(!policy.takes_failure(&Failure::Overflow));
    }
}
