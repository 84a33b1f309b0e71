//! Asks WeChat's API, or what stands before it.

use std::time::Duration;

use anyhow::{Context, bail};
use weir_sim::http::{self, Request};

use super::args::From;
use crate::environment::Environment;

/// WeChat is asked once, and answers within this time or not at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// The body of the answer. No error shows the access token.
pub(super) async fn get(from: &From, base: &str, path: &str) -> anyhow::Result<String> {
    let target = from.connect.target(base)?;
    let mut request = Request::new(
        "GET",
        &format!("{}{path}", target.path().trim_end_matches('/')),
    );
    if let Some(variable) = &from.access_token_env {
        let token = Environment::read(&from.env)?
            .lookup(variable)
            .with_context(|| format!("the environment variable {variable} is not set"))?;
        request.set_query("access_token", token);
    }
    let response = tokio::time::timeout(PATIENCE, http::exchange(&target, &request))
        .await
        .map_err(|_| anyhow::anyhow!("{base}: no answer within {} s", PATIENCE.as_secs()))?
        .with_context(|| base.to_owned())?;
    if response.status != 200 {
        bail!("{base}: status {}", response.status);
    }
    String::from_utf8(response.body).with_context(|| format!("{base}: the answer is not UTF-8"))
}
