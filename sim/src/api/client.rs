//! A client of the control API, for a fake `api.weixin.qq.com` in another process.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::{Value, json};

use super::control::TokenAction;
use super::sends::Total;
use super::{Act, FaultRule, Follow, Ledger, Profile};
use crate::http::{self, Request, Target};

/// The control API answers at once; this only keeps a wrong URL from hanging.
const PATIENCE: Duration = Duration::from_secs(5);

/// Talks to one control API. Errors name the call, never its content.
#[derive(Debug, Clone)]
pub struct ControlClient {
    target: Target,
}

impl ControlClient {
    /// For `http://host:port`; a path is ignored.
    ///
    /// # Errors
    /// Not such a URL.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        Ok(Self {
            target: Target::parse(url).context("control API")?,
        })
    }

    /// See [`World::set_profile`](super::World::set_profile).
    ///
    /// # Errors
    /// The call failed, as for all that follow.
    pub async fn set_profile(
        &self,
        account: &str,
        openid: &str,
        profile: &Profile,
    ) -> anyhow::Result<()> {
        self.call("PUT", &user(account, openid, ""), profile)
            .await
            .map(drop)
    }

    /// See [`World::follow`](super::World::follow).
    ///
    /// # Errors
    /// The call failed.
    pub async fn follow(&self, account: &str, openid: &str, follow: &Follow) -> anyhow::Result<()> {
        self.call("POST", &user(account, openid, "/follow"), follow)
            .await
            .map(drop)
    }

    /// See [`World::unfollow`](super::World::unfollow).
    ///
    /// # Errors
    /// The call failed.
    pub async fn unfollow(&self, account: &str, openid: &str) -> anyhow::Result<()> {
        self.call("POST", &user(account, openid, "/unfollow"), &())
            .await
            .map(drop)
    }

    /// See [`World::act`](super::World::act).
    ///
    /// # Errors
    /// The call failed.
    pub async fn act(&self, account: &str, openid: &str, act: Act) -> anyhow::Result<()> {
        self.call(
            "POST",
            &user(account, openid, "/act"),
            &json!({"kind": act}),
        )
        .await
        .map(drop)
    }

    /// Expires or invalidates an account's tokens.
    ///
    /// # Errors
    /// The call failed.
    pub async fn tokens(&self, account: &str, action: &TokenAction) -> anyhow::Result<()> {
        self.call("POST", &format!("/_sim/accounts/{account}/tokens"), action)
            .await
            .map(drop)
    }

    /// See [`World::accept_any_openid`](super::World::accept_any_openid).
    ///
    /// # Errors
    /// The call failed.
    pub async fn accept_any_openid(&self, account: &str, accept: bool) -> anyhow::Result<()> {
        self.call(
            "PUT",
            &format!("/_sim/accounts/{account}/any_openid"),
            &accept,
        )
        .await
        .map(drop)
    }

    /// See [`World::grant_credits`](super::World::grant_credits).
    ///
    /// # Errors
    /// The call failed.
    pub async fn grant_credits(
        &self,
        account: &str,
        openid: &str,
        credits: &BTreeMap<String, u64>,
    ) -> anyhow::Result<()> {
        self.call("PUT", &user(account, openid, "/credits"), credits)
            .await
            .map(drop)
    }

    /// See [`World::totals`](super::World::totals).
    ///
    /// # Errors
    /// The call failed.
    pub async fn totals(&self, account: &str) -> anyhow::Result<BTreeMap<String, Total>> {
        let path = format!("/_sim/accounts/{account}/recipients");
        Ok(serde_json::from_value(self.call("GET", &path, &()).await?)?)
    }

    /// See [`World::inject`](super::World::inject).
    ///
    /// # Errors
    /// The call failed.
    pub async fn inject(&self, rule: &FaultRule) -> anyhow::Result<()> {
        self.call("POST", "/_sim/faults", rule).await.map(drop)
    }

    /// See [`World::clear_faults`](super::World::clear_faults).
    ///
    /// # Errors
    /// The call failed.
    pub async fn clear_faults(&self) -> anyhow::Result<()> {
        self.call("DELETE", "/_sim/faults", &()).await.map(drop)
    }

    /// See [`World::ledger`](super::World::ledger).
    ///
    /// # Errors
    /// The call failed.
    pub async fn ledger(&self) -> anyhow::Result<Ledger> {
        Ok(serde_json::from_value(
            self.call("GET", "/_sim/ledger", &()).await?,
        )?)
    }

    /// Any call of the control API's table. `()` is no body; so is the answer's when it is `null`.
    ///
    /// # Errors
    /// No answer, or a status other than 2xx.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<Value> {
        let mut request = Request::new(method, path);
        let body = serde_json::to_vec(body)?;
        if body != b"null" {
            request.add_header("Content-Type", "application/json");
            request.body = body;
        }
        let exchange = tokio::time::timeout(PATIENCE, http::exchange(&self.target, &request));
        let response = exchange
            .await
            .context("control API: no answer in time")?
            .context("control API")?;
        if !(200..300).contains(&response.status) {
            bail!(
                "control API: {method} answered {}: {}",
                response.status,
                String::from_utf8_lossy(&response.body)
            );
        }
        if response.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&response.body).context("control API: not JSON")
    }
}

fn user(account: &str, openid: &str, action: &str) -> String {
    format!("/_sim/accounts/{account}/users/{openid}{action}")
}
