//! The control API: what a test or a person may do to the world, over HTTP.
//!
//! | | |
//! |---|---|
//! | `GET /_sim/health` | 200 once it serves |
//! | `GET /_sim/accounts` | the accounts' names |
//! | `GET /_sim/accounts/{account}/users` | everybody, as `user/info` shows them |
//! | `GET`, `PUT /_sim/accounts/{account}/users/{openid}` | one user; `PUT` takes a [`Profile`] |
//! | `POST …/users/{openid}/follow` | a [`Follow`]: `{"scene": 123}` |
//! | `POST …/users/{openid}/unfollow` | no body |
//! | `PUT …/users/{openid}/blacklisted` | `true`: they are on the account's blacklist |
//! | `POST …/users/{openid}/act` | `{"kind": "message"}`, or `click`, `scan` |
//! | `POST /_sim/accounts/{account}/followers` | `1000000`: so many follow, `oF0000000` … |
//! | `PUT /_sim/accounts/{account}/any_openid` | `true`: strangers count as followers |
//! | `GET`, `PUT …/users/{openid}/credits` | `{"TEMPLATE_ID": 3}`: subscribe messages that may be sent |
//! | `PUT /_sim/accounts/{account}/any_credit` | `true`: they may be sent without |
//! | `GET /_sim/accounts/{account}/recipients` | by API, a [`Total`]: `{"template": {"sent": 3, "recipients": 2, "more_than_once": {"o1": 2}}}` |
//! | `GET …/recipients/{api}` | how many messages each openid got |
//! | `PUT /_sim/accounts/{account}/media/{media_id}` | a [`MadeUp`]: `{"bytes": 10000000}` for `media/get` |
//! | `GET`, `PUT /_sim/accounts/{account}/cards/{card_id}/{code}` | a member [`Card`]: `{"openid": "o1", "bonus": 100}` |
//! | `PUT /_sim/accounts/{account}/tags` | `{"100": "vip"}` |
//! | `POST /_sim/accounts/{account}/tokens` | [`TokenAction`]: `{"do": "expire"}`, `{"do": "invalidate", "kind": "stable"}`, `{"do": "invalidate_every", "ms": 500}`, `{"do": "lifetime", "ms": 60000}` |
//! | `PUT /_sim/accounts/{account}/quota` | `{"path": "/cgi-bin/user/info", "per_day": 10}` |
//! | `PUT /_sim/accounts/{account}/ip_whitelist` | `["10.0.0.1"]`, or `null` for everybody |
//! | `GET`, `POST`, `DELETE /_sim/faults` | the rules in force; adds a [`FaultRule`]; ends them all |
//! | `GET`, `DELETE /_sim/ledger` | a [`Ledger`]; starts a new one |
//! | `GET`, `POST /_sim/clock` | `{"now_ms": …}`; `{"advance_ms": 7200000}` |
//!
//! Changes answer 204, unknown accounts and users 404. No access control: keep it on loopback.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cards::Card;
use super::faults::FaultRule;
use super::ledger::Ledger;
use super::media::MadeUp;
use super::quotas::Limit;
use super::sends::{Recipients, Total};
use super::tokens::Kind;
use super::users::{Act, Follow, Profile};
use super::world::{NoSuchAccount, World};

/// What to do to an account's tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenAction {
    /// They answer 42001 from now on.
    Expire {
        /// Both when absent.
        #[serde(default)]
        kind: Option<Kind>,
    },
    /// They answer 40001 from now on.
    Invalidate {
        /// Both when absent.
        #[serde(default)]
        kind: Option<Kind>,
    },
    /// As `Invalidate`, again and again; `null` ends it.
    InvalidateEvery {
        /// Milliseconds of the world's clock.
        ms: Option<i64>,
    },
    /// How long tokens live that are issued from now on.
    Lifetime {
        /// Milliseconds.
        ms: i64,
    },
}

#[derive(Deserialize)]
struct Quota {
    path: String,
    #[serde(flatten)]
    limit: Limit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ActBody {
    kind: Act,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: u64,
}

type Shared = State<Arc<World>>;

impl IntoResponse for NoSuchAccount {
    fn into_response(self) -> Response {
        (
            StatusCode::NOT_FOUND,
            Json(json!({"error": self.to_string()})),
        )
            .into_response()
    }
}

type Done = Result<StatusCode, NoSuchAccount>;

fn done(result: Result<(), NoSuchAccount>) -> Done {
    result.map(|()| StatusCode::NO_CONTENT)
}

/// The routes of the module's table.
pub fn router(world: Arc<World>) -> Router {
    let account = Router::new()
        .route("/users", get(users))
        .route("/users/{openid}", get(user).put(set_profile))
        .route("/users/{openid}/follow", post(follow))
        .route("/users/{openid}/unfollow", post(unfollow))
        .route("/users/{openid}/blacklisted", put(blacklisted))
        .route("/users/{openid}/act", post(act))
        .route("/users/{openid}/credits", get(credits).put(grant_credits))
        .route("/followers", post(follow_many))
        .route("/any_openid", put(any_openid))
        .route("/any_credit", put(any_credit))
        .route("/recipients", get(totals))
        .route("/recipients/{api}", get(recipients))
        .route("/media/{media_id}", put(put_media))
        .route("/cards/{card_id}/{code}", get(card).put(put_card))
        .route("/tags", put(tags))
        .route("/tokens", post(tokens))
        .route("/quota", put(quota))
        .route("/ip_whitelist", put(ip_whitelist));
    Router::new()
        .route("/_sim/health", get(|| async { "ok" }))
        .route("/_sim/accounts", get(accounts))
        .nest("/_sim/accounts/{account}", account)
        .route(
            "/_sim/faults",
            get(faults).post(inject).delete(clear_faults),
        )
        .route("/_sim/ledger", get(ledger).delete(clear_ledger))
        .route("/_sim/clock", get(clock).post(advance))
        .with_state(world)
}

async fn accounts(State(world): Shared) -> Json<Vec<String>> {
    Json(world.names())
}

async fn users(
    State(world): Shared,
    Path(account): Path<String>,
) -> Result<Json<Vec<Value>>, NoSuchAccount> {
    world.users(&account).map(Json)
}

async fn user(
    State(world): Shared,
    Path((account, openid)): Path<(String, String)>,
) -> Result<Response, NoSuchAccount> {
    Ok(match world.user(&account, &openid)? {
        Some(info) => Json(info).into_response(),
        None => (
            StatusCode::NOT_FOUND,
            Json(json!({"error": "this account never met that user"})),
        )
            .into_response(),
    })
}

async fn set_profile(
    State(world): Shared,
    Path((account, openid)): Path<(String, String)>,
    Json(profile): Json<Profile>,
) -> Done {
    done(world.set_profile(&account, &openid, profile))
}

async fn follow(
    State(world): Shared,
    Path((account, openid)): Path<(String, String)>,
    follow: Option<Json<Follow>>,
) -> Done {
    done(world.follow(
        &account,
        &openid,
        follow.map(|Json(follow)| follow).unwrap_or_default(),
    ))
}

async fn unfollow(State(world): Shared, Path((account, openid)): Path<(String, String)>) -> Done {
    done(world.unfollow(&account, &openid))
}

async fn act(
    State(world): Shared,
    Path((account, openid)): Path<(String, String)>,
    Json(body): Json<ActBody>,
) -> Done {
    done(world.act(&account, &openid, body.kind))
}

async fn blacklisted(
    State(world): Shared,
    Path((account, openid)): Path<(String, String)>,
    Json(is_on): Json<bool>,
) -> Done {
    done(world.blacklist(&account, &openid, is_on))
}

async fn card(
    State(world): Shared,
    Path((account, card_id, code)): Path<(String, String, String)>,
) -> Result<Response, NoSuchAccount> {
    Ok(match world.card(&account, &card_id, &code)? {
        Some(card) => Json(card).into_response(),
        None => (
            StatusCode::NOT_FOUND,
            Json(json!({"error": "there is no such card"})),
        )
            .into_response(),
    })
}

async fn put_card(
    State(world): Shared,
    Path((account, card_id, code)): Path<(String, String, String)>,
    Json(card): Json<Card>,
) -> Done {
    done(world.put_card(&account, &card_id, &code, card))
}

async fn follow_many(
    State(world): Shared,
    Path(account): Path<String>,
    Json(count): Json<u32>,
) -> Done {
    done(world.follow_many(&account, count))
}

async fn any_openid(
    State(world): Shared,
    Path(account): Path<String>,
    Json(accept): Json<bool>,
) -> Done {
    done(world.accept_any_openid(&account, accept))
}

async fn any_credit(
    State(world): Shared,
    Path(account): Path<String>,
    Json(accept): Json<bool>,
) -> Done {
    done(world.accept_any_credit(&account, accept))
}

async fn credits(
    State(world): Shared,
    Path((account, openid)): Path<(String, String)>,
) -> Result<Json<BTreeMap<String, u64>>, NoSuchAccount> {
    world.credits(&account, &openid).map(Json)
}

async fn grant_credits(
    State(world): Shared,
    Path((account, openid)): Path<(String, String)>,
    Json(credits): Json<BTreeMap<String, u64>>,
) -> Done {
    done(world.grant_credits(&account, &openid, &credits))
}

async fn totals(
    State(world): Shared,
    Path(account): Path<String>,
) -> Result<Json<BTreeMap<String, Total>>, NoSuchAccount> {
    world.totals(&account).map(Json)
}

async fn recipients(
    State(world): Shared,
    Path((account, api)): Path<(String, String)>,
) -> Result<Json<Recipients>, NoSuchAccount> {
    world.recipients(&account, &api).map(Json)
}

async fn put_media(
    State(world): Shared,
    Path((account, media_id)): Path<(String, String)>,
    Json(made_up): Json<MadeUp>,
) -> Done {
    done(world.put_media(&account, &media_id, made_up))
}

async fn tags(
    State(world): Shared,
    Path(account): Path<String>,
    Json(tags): Json<BTreeMap<i64, String>>,
) -> Done {
    done(world.set_tags(&account, tags))
}

async fn tokens(
    State(world): Shared,
    Path(account): Path<String>,
    Json(action): Json<TokenAction>,
) -> Done {
    done(match action {
        TokenAction::Expire { kind } => world.expire_tokens(&account, kind),
        TokenAction::Invalidate { kind } => world.invalidate_tokens(&account, kind),
        TokenAction::InvalidateEvery { ms } => world.invalidate_tokens_every(&account, ms),
        TokenAction::Lifetime { ms } => world.set_token_lifetime(&account, ms),
    })
}

async fn quota(
    State(world): Shared,
    Path(account): Path<String>,
    Json(quota): Json<Quota>,
) -> Done {
    done(world.set_quota(&account, &quota.path, quota.limit))
}

async fn ip_whitelist(
    State(world): Shared,
    Path(account): Path<String>,
    Json(allow): Json<Option<Vec<IpAddr>>>,
) -> Done {
    done(world.set_ip_whitelist(&account, allow))
}

async fn faults(State(world): Shared) -> Json<Vec<FaultRule>> {
    Json(world.faults())
}

async fn inject(State(world): Shared, Json(rule): Json<FaultRule>) -> StatusCode {
    world.inject(rule);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(world): Shared) -> StatusCode {
    world.clear_faults();
    StatusCode::NO_CONTENT
}

async fn ledger(State(world): Shared) -> Json<Ledger> {
    Json(world.ledger())
}

async fn clear_ledger(State(world): Shared) -> StatusCode {
    world.clear_ledger();
    StatusCode::NO_CONTENT
}

async fn clock(State(world): Shared) -> Json<Value> {
    Json(json!({"now_ms": world.clock().now_ms()}))
}

async fn advance(State(world): Shared, Json(by): Json<Advance>) -> StatusCode {
    world.clock().advance(Duration::from_millis(by.advance_ms));
    StatusCode::NO_CONTENT
}
