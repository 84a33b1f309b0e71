//! The HTTP server: its routes, what surrounds them, its beginning and its end.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use futures_util::FutureExt;
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::asking::{Asker, Questions};
use crate::auth::require_bearer;
use crate::cache::People;
use crate::catch_up::CatchUp;
use crate::config::{Config, Limits};
use crate::door::ThroughDoor;
use crate::error::Error;
use crate::ingest::{Ingest, Writer};
use crate::jobs::{Errands, Runner};
use crate::metrics::Metrics;
use crate::openapi;
use crate::repo::{self, Repo};
use crate::routes::{
    accounts, campaigns, cards, credits, deliveries, events, health, messages, metrics, people,
    replies, syncs, tags, users,
};
use crate::wechat::Wechat;

/// What every request can reach.
#[derive(Debug, Clone)]
pub struct AppState {
    pub(crate) repo: Arc<dyn Repo>,
    pub(crate) ingest: Ingest,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) people: Arc<People>,
    pub(crate) limits: Limits,
    pub(crate) bearer_token: Option<Arc<str>>,
    /// Accounts that keep nothing personal of who unfollows them.
    pub(crate) erase_on_unfollow: Arc<[String]>,
    pub(crate) errands: Option<Errands>,
    /// The way to WeChat, if there is one.
    pub(crate) questions: Option<Arc<Questions>>,
}

impl AppState {
    /// The state of a store on this database, and its writer, which must be told to finish in the end.
    #[must_use]
    pub fn new(
        repo: Arc<dyn Repo>,
        limits: Limits,
        bearer_token: Option<String>,
    ) -> (Self, Writer) {
        let metrics = Arc::new(Metrics::default());
        let people = Arc::new(People::new(
            limits.cached_people,
            Duration::from_millis(limits.cached_people_ms),
        ));
        let (ingest, writer) = Ingest::start(
            Arc::clone(&repo),
            limits,
            Arc::clone(&metrics),
            Arc::clone(&people),
        );
        let state = Self {
            repo,
            ingest,
            metrics,
            people,
            limits,
            bearer_token: bearer_token.map(Into::into),
            erase_on_unfollow: Arc::new([]),
            errands: None,
            questions: None,
        };
        (state, writer)
    }
}

/// The store's routes, with their description. Everything under `/v1` may demand the bearer token; `/healthz` and
/// `/metrics`, which tell nothing about anybody, never do.
pub(crate) fn routes(state: Option<&AppState>) -> OpenApiRouter<AppState> {
    let mut api = OpenApiRouter::new()
        .routes(routes!(events::list, events::ingest))
        .routes(routes!(accounts::list))
        .routes(routes!(accounts::daily_follows))
        .routes(routes!(users::list))
        .routes(routes!(users::show))
        .routes(routes!(people::show, people::erase))
        .routes(routes!(people::decide))
        .routes(routes!(people::extend))
        .routes(routes!(cards::list))
        .routes(routes!(cards::show))
        .routes(routes!(cards::activate))
        .routes(routes!(tags::list, tags::create))
        .routes(routes!(tags::rename, tags::delete))
        .routes(routes!(tags::give, tags::take))
        .routes(routes!(tags::operations))
        .routes(routes!(tags::operation))
        .routes(routes!(messages::list))
        .routes(routes!(replies::list))
        .routes(routes!(deliveries::list))
        .routes(routes!(credits::list))
        .routes(routes!(syncs::list, syncs::ask))
        .routes(routes!(syncs::show, syncs::stop))
        .routes(routes!(campaigns::list, campaigns::ask))
        .routes(routes!(campaigns::show, campaigns::stop))
        .routes(routes!(campaigns::resume))
        .routes(routes!(campaigns::recipients))
        .routes(routes!(openapi::show));
    if let Some(state) = state {
        api = api.route_layer(from_fn_with_state(state.clone(), require_bearer));
    }
    OpenApiRouter::with_openapi(openapi::Head::openapi())
        .merge(api)
        .routes(routes!(health::show))
        .routes(routes!(metrics::show))
}

/// The routes, and what surrounds them.
pub fn router(state: AppState) -> Router {
    Router::from(routes(Some(&state)))
        .fallback(async || Error::NotFound("there is nothing at this path"))
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), count))
        .with_state(state)
}

/// Answers a request whose handler panicked. The panic hook has reported it.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    Error::Internal.into_response()
}

/// Counts every request by its route and status.
async fn count(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    // What a sender invents must not become a label.
    let method = match *request.method() {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    };
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "unmatched".to_owned(), |route| route.as_str().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    state
        .metrics
        .request(method, route, status, begun.elapsed());
    response
}

/// A store whose database is open and migrated, ready to serve.
#[derive(Debug)]
pub struct Store {
    state: AppState,
    writer: Writer,
}

impl Store {
    /// Opens and migrates the database.
    ///
    /// # Errors
    /// The configuration makes no sense, or the database cannot be used.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        config.limits.check()?;
        let token = config.bearer_token()?;
        let errands = config.errands.open()?;
        let repo = repo::open(&config.database, config.limits.settings()).await?;
        let mut store = Self::new(repo, config.limits, token);
        store.state.erase_on_unfollow = config.erase_on_unfollow.clone().into();
        let entrance = errands.as_ref().map(|errands| errands.entrance.clone());
        store.state.errands = errands;
        Ok(match entrance {
            Some(entrance) => store.with_wechat(Arc::new(ThroughDoor::new(entrance))),
            None => store,
        })
    }

    /// A store on a database that is open already.
    #[must_use]
    pub fn new(repo: Arc<dyn Repo>, limits: Limits, bearer_token: Option<String>) -> Self {
        let (state, writer) = AppState::new(repo, limits, bearer_token);
        Self { state, writer }
    }

    /// The same store, which asks WeChat what only WeChat can tell.
    #[must_use]
    pub fn with_wechat(mut self, wechat: Arc<dyn Wechat>) -> Self {
        let state = &mut self.state;
        let (repo, metrics) = (Arc::clone(&state.repo), Arc::clone(&state.metrics));
        state.questions = Some(Questions::new(repo, state.ingest.clone(), metrics, wechat));
        self
    }

    /// Serves until `shutdown` is done; then accepts nothing more, answers what was begun, commits what was taken.
    ///
    /// # Errors
    /// The listener failed.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let grace = Duration::from_millis(self.state.limits.shutdown_grace_ms);
        let shutdown = shutdown.shared();
        let asker = self.state.questions.clone().map(Asker::start);
        let catch_up = CatchUp::start(self.state.repo.clone(), self.state.people.clone());
        // An answer is small and awaited.
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "cannot set TCP_NODELAY");
            }
        });
        let runner = self.state.errands.clone();
        let runner = runner.map(|errands| Runner::start(self.state.clone(), errands));
        let server =
            axum::serve(listener, router(self.state)).with_graceful_shutdown(shutdown.clone());
        let served = tokio::select! {
            served = server.into_future() => served,
            () = async { shutdown.await; tokio::time::sleep(grace).await } => {
                tracing::warn!("some requests did not end in time; what they handed in is committed, not answered");
                Ok(())
            }
        };
        if let Some(runner) = runner {
            runner.finish().await;
        }
        if let Some(asker) = asker {
            asker.finish(grace).await;
        }
        catch_up.finish().await;
        self.writer.finish().await;
        tracing::info!("everything taken is committed");
        Ok(served?)
    }
}

/// Opens a store and serves it; see [`Store`].
///
/// # Errors
/// See [`Store::open`] and [`Store::serve`].
pub async fn serve(
    config: &Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    Store::open(config).await?.serve(listener, shutdown).await
}
