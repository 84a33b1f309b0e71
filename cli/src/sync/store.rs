//! The store: takes what WeChat says, and tells whom it has as followers and as blacklisted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use weir_errands::calls::Ended;
use weir_errands::door::{client, words};
use weir_errands::pace::{Pace, Patience, Stop};
use weir_errands::sync::{Known, List, Store};
use weir_store_api::jobs::{Sync, SyncRequest};
use weir_store_api::read::{Account, Page, Problem};
use weir_store_api::{BatchAnswer, CONTENT_TYPE_BATCH, EventStatus};

use super::args::SyncArgs;
use crate::environment::Environment;
use crate::term::count;

/// How long an answer may take: the store gives itself 30 s.
const TIMEOUT: Duration = Duration::from_secs(40);
/// The store's problem when a sync of the account is not over yet.
const AT_WORK: &str = "urn:weir:store:at-work";
/// People of one page of a listing. Source: the store's API.
const PAGE: usize = 200;

/// The store.
pub(super) struct HttpStore {
    account: String,
    client: reqwest::Client,
    /// Without a slash at its end.
    base: String,
    token: Option<HeaderValue>,
    answered: AtomicBool,
}

impl HttpStore {
    /// # Errors
    /// The URL, the token or the certificates are not usable.
    pub(super) fn of(args: &SyncArgs) -> anyhow::Result<Self> {
        let mut token = None;
        if let Some(name) = &args.store_token_env {
            let environment = Environment::read(&args.env)?;
            let Some(value) = environment.lookup(name).filter(|value| !value.is_empty()) else {
                bail!("the environment variable {name} is not set: the store's bearer token");
            };
            let Ok(mut value) = HeaderValue::try_from(format!("Bearer {value}")) else {
                bail!("what {name} holds cannot be a bearer token");
            };
            value.set_sensitive(true);
            token = Some(value);
        }
        let url: reqwest::Url = args.store.parse().context("--store")?;
        ensure!(
            matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none(),
            "--store: not an http:// or https:// URL"
        );
        let client = client(args.connect.cacert.as_deref(), args.concurrency)?;
        Ok(Self {
            account: args.account.clone(),
            client: client.timeout(TIMEOUT).build().context("the HTTP client")?,
            base: url.as_str().trim_end_matches('/').to_owned(),
            token,
            answered: false.into(),
        })
    }

    /// The appid that the account has there, if it is known there.
    ///
    /// # Errors
    /// The store does not answer.
    pub(super) async fn appid(&self, account: &str) -> anyhow::Result<Option<String>> {
        let asked = self.answer(self.get("/v1/accounts", &[])).await;
        let accounts: Page<Account> = match asked {
            Ok(accounts) => accounts,
            Err(Trouble { why, .. }) => bail!("{why}"),
        };
        let mut accounts = accounts.items.into_iter();
        let known = accounts.find(|known| known.name == account);
        Ok(known.and_then(|account| account.appid))
    }

    /// Asks the store to do it itself. `Err`: it does one of this account already.
    ///
    /// # Errors
    /// It does not, or does not answer.
    pub(super) async fn ask(&self, request: &SyncRequest) -> anyhow::Result<Result<Sync, ()>> {
        let request = serde_json::to_string(request).expect("texts are JSON");
        let post = self.client.post(self.url(&self.syncs(), &[]));
        let post = post.header(CONTENT_TYPE, "application/json").body(request);
        match self.answer(post).await {
            Ok(sync) => Ok(Ok(sync)),
            Err(trouble) if trouble.is_at_work => Ok(Err(())),
            Err(Trouble { why, .. }) => bail!("{why}"),
        }
    }

    /// The sync of the account that was asked for last.
    pub(super) async fn last(&self) -> anyhow::Result<Option<Sync>> {
        let asked = self
            .answer(self.get(&self.syncs(), &[("limit", "1")]))
            .await;
        let syncs: Page<Sync> = asked.map_err(|trouble| anyhow!("{}", trouble.why))?;
        Ok(syncs.items.into_iter().next())
    }

    /// How a sync is; what passes is waited for.
    pub(super) async fn sync(&self, pace: &Pace, id: i64) -> Result<Sync, Ended> {
        let path = format!("{}/{id}", self.syncs());
        self.patiently(pace, || self.get(&path, &[])).await
    }

    fn syncs(&self) -> String {
        format!("/v1/accounts/{}/syncs", self.account)
    }

    async fn patiently<T: DeserializeOwned>(
        &self,
        pace: &Pace,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<T, Ended> {
        let mut patience = Patience::default();
        loop {
            if pace.stopped().is_some() {
                return Err(Ended);
            }
            let Trouble { why, passes, .. } = match self.answer(request()).await {
                Ok(answer) => {
                    self.answered.store(true, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(trouble) => trouble,
            };
            let wait = patience.connect(self.answered.load(Ordering::Relaxed));
            let Some(wait) = wait.filter(|_| passes) else {
                pace.stop(Stop::Useless { errcode: None, why });
                return Err(Ended);
            };
            if !pace.wait(wait).await {
                return Err(Ended);
            }
        }
    }

    fn get(&self, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        self.client.get(self.url(path, query))
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> reqwest::Url {
        let url = format!("{}{path}", self.base);
        let url = match query {
            [] => url.parse().ok(),
            query => reqwest::Url::parse_with_params(&url, query).ok(),
        };
        url.expect("the base is a URL, and so it is with a path")
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Trouble> {
        let trouble = |why: String, passes| Trouble {
            why: format!("the store at {} {why}", self.base),
            passes,
            is_at_work: false,
        };
        let request = match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.clone()),
            None => request,
        };
        let lost = |error: reqwest::Error| trouble(format!("fails: {}", words(&error)), true);
        let response = request.send().await.map_err(lost)?;
        let status = response.status();
        let body = response.bytes().await.map_err(lost)?;
        if status.is_success() {
            let read = serde_json::from_slice(&body);
            return read.map_err(|_| trouble("answers with something else".to_owned(), false));
        }
        let problem: Option<Problem> = serde_json::from_slice(&body).ok();
        let kind = problem.as_ref().map(|problem| problem.kind.clone());
        let said = problem.map_or_else(String::new, |problem| {
            let detail = problem.detail.map(|detail| format!(": {detail}"));
            format!(" ({}{})", problem.title, detail.unwrap_or_default())
        });
        let passes = status.is_server_error()
            || matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
            );
        let why = format!("answers {}{said}", status.as_u16());
        let kind = kind.filter(|_| status == StatusCode::CONFLICT);
        Err(Trouble {
            is_at_work: kind.is_some_and(|kind| kind == AT_WORK),
            ..trouble(why, passes)
        })
    }
}

impl Store for HttpStore {
    async fn put(&self, pace: &Pace, events: String) -> Result<(), Ended> {
        let post = || {
            let request = self.client.post(format!("{}/v1/events", self.base));
            request
                .header(CONTENT_TYPE, CONTENT_TYPE_BATCH)
                .body(events.clone())
        };
        let answer: BatchAnswer = self.patiently(pace, post).await?;
        let rejected = answer.results.iter();
        let mut rejected = rejected.filter(|result| result.status == EventStatus::Rejected);
        if let Some(first) = rejected.next() {
            let reason = first.reason.as_deref().unwrap_or("it gives no reason");
            let all = count(1 + rejected.count(), "event");
            let why = format!("the store refuses {all}: {reason}");
            pace.stop(Stop::Useless { errcode: None, why });
            return Err(Ended);
        }
        Ok(())
    }

    async fn known(&self, pace: &Pace, list: List, cursor: Option<&str>) -> Result<Known, Ended> {
        let limit = PAGE.to_string();
        let mut query = vec![
            ("account", self.account.as_str()),
            match list {
                List::Followers => ("state", "following"),
                List::Blacklist => ("blacklisted", "true"),
            },
            ("limit", &limit),
        ];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let page: Page<Listed> = (self.patiently(pace, || self.get("/v1/users", &query))).await?;
        Ok(Known {
            openids: page.items.into_iter().map(|user| user.openid).collect(),
            next: page.next_cursor,
        })
    }
}

/// What a sync needs to know of a user.
#[derive(Deserialize)]
struct Listed {
    openid: String,
}

/// Why there is no answer.
struct Trouble {
    why: String,
    /// Whether it may be otherwise in a while.
    passes: bool,
    /// A sync of the account is not over yet.
    is_at_work: bool,
}
