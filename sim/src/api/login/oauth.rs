//! Who authorised an account on the web: their codes, and the tokens these were exchanged for.
//!
//! Source: WeChat's page on 网页授权.

use std::collections::VecDeque;

use super::authorize::Scope;
use super::codes::{CodeFault, Codes};
use crate::wechat::ids;

/// How long a user's access token lives.
pub const ACCESS_LIFETIME_MS: i64 = 7_200_000;
/// How long a user's refresh token lives.
pub const REFRESH_LIFETIME_MS: i64 = 30 * 86_400_000;
/// Grants kept; the tokens of older ones count as never issued.
pub const MAX_GRANTS: usize = 10_000;

/// Who authorised, and to what.
#[derive(Clone)]
pub(in crate::api) struct Visitor {
    pub(in crate::api) openid: String,
    pub(in crate::api) scope: Scope,
    /// Looks at a snapshot of the page; the openid is made up.
    pub(in crate::api) is_snapshot: bool,
}

/// What a code was exchanged for.
pub(in crate::api) struct Grant {
    pub(in crate::api) visitor: Visitor,
    pub(in crate::api) access_token: String,
    pub(in crate::api) refresh_token: String,
    access_ends_ms: i64,
    refresh_ends_ms: i64,
}

/// The web logins of one account.
#[derive(Default)]
pub(in crate::api) struct OAuth {
    codes: Codes<Visitor>,
    /// Oldest first.
    grants: VecDeque<Grant>,
}

impl OAuth {
    pub(super) fn code(&mut self, now_ms: i64, visitor: Visitor) -> String {
        self.codes.issue(now_ms, ids::alphanumeric(32), visitor)
    }

    /// Uses up a code.
    pub(in crate::api) fn exchange(
        &mut self,
        now_ms: i64,
        code: &str,
    ) -> Result<&Grant, CodeFault> {
        let visitor = self.codes.redeem(now_ms, code)?;
        if self.grants.len() == MAX_GRANTS {
            self.grants.pop_front();
        }
        self.grants.push_back(Grant {
            visitor,
            access_token: ids::alphanumeric(110),
            refresh_token: ids::alphanumeric(110),
            access_ends_ms: now_ms + ACCESS_LIFETIME_MS,
            refresh_ends_ms: now_ms + REFRESH_LIFETIME_MS,
        });
        Ok(&self.grants[self.grants.len() - 1])
    }

    /// `refresh_token`: the access token lives on if it still lives, else there is a new one. 40030, 42002.
    pub(in crate::api) fn refresh(&mut self, now_ms: i64, token: &str) -> Result<&Grant, i64> {
        let grant = self
            .grants
            .iter_mut()
            .find(|grant| grant.refresh_token == token)
            .ok_or(40030)?;
        if grant.refresh_ends_ms <= now_ms {
            return Err(42002);
        }
        if grant.access_ends_ms <= now_ms {
            grant.access_token = ids::alphanumeric(110);
        }
        grant.access_ends_ms = now_ms + ACCESS_LIFETIME_MS;
        Ok(grant)
    }

    /// Whose access token it is, if this account issued it. 42001.
    pub(in crate::api) fn visitor(
        &self,
        now_ms: i64,
        access_token: &str,
    ) -> Option<Result<&Visitor, i64>> {
        let grant = self
            .grants
            .iter()
            .rev()
            .find(|grant| grant.access_token == access_token)?;
        Some(if grant.access_ends_ms > now_ms {
            Ok(&grant.visitor)
        } else {
            Err(42001)
        })
    }
}
