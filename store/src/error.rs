//! Every refusal: one enum, and the one place that turns it into an answer.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use weir_store_api::read::{CONTENT_TYPE_PROBLEM, Problem};

use crate::repo::RepoError;
use crate::wechat::Refusal;

/// Why a request was refused. Grouped by blame; what the log says beyond it, it says where it was found out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    // The sender.
    /// The body is not JSON, or not of the shape its media type promises.
    #[error("{0}")]
    BrokenBody(&'static str),
    /// A parameter of the query or path makes no sense.
    #[error("{0}")]
    BadParameter(String),
    /// No token, or not the right one.
    #[error("a bearer token is required")]
    Unauthorized,
    /// No such thing.
    #[error("{0}")]
    NotFound(&'static str),
    /// The path exists, this method of it does not.
    #[error("this path does not take that method")]
    MethodNotAllowed,
    /// A body or batch beyond the limits.
    #[error("{0}")]
    TooLarge(&'static str),
    /// A media type or encoding that is not taken.
    #[error("{0}")]
    UnsupportedMediaType(&'static str),
    /// The request did not come to an end.
    #[error("the request was not complete in time")]
    TooSlow,

    /// A sync of the account is not over yet: this one.
    #[error("sync {0} of this account is not over yet")]
    AtWork(i64),
    /// A campaign of this name has another message.
    #[error("a campaign of this name has another message: give this one another name")]
    OtherCampaign,
    // WeChat, by the door.
    /// WeChat knows nothing of what was named.
    #[error("WeChat says {}: {}", .0.errcode, .0.why)]
    UnknownToWechat(Refusal),
    /// WeChat does not do it.
    #[error("WeChat says {}: {}", .0.errcode, .0.why)]
    RefusedByWechat(Refusal),
    /// WeChat does not do it because of what is there: a name that is taken, a limit that is reached.
    #[error("WeChat says {}: {}", .0.errcode, .0.why)]
    AgainstWechat(Refusal),
    /// WeChat cannot be asked now.
    #[error("{0}")]
    WechatUnavailable(String),
    /// The store was started without a door.
    #[error("the store was started without --door: it does nothing through WeChat's API")]
    NoDoor,

    // The database, or too many senders at once.
    /// The queue has no room.
    #[error("too many events are waiting to be stored")]
    QueueFull,
    /// Others change the same thing all the time.
    #[error("others are changing this; try again")]
    Contended,
    /// The store is ending.
    #[error("the store is shutting down")]
    ShuttingDown,
    /// The database did not do it. Nothing is promised about the events of this request; send them again.
    #[error("the database is unavailable")]
    DatabaseUnavailable,

    // Us.
    /// A broken invariant.
    #[error("the store failed")]
    Internal,
}

impl From<RepoError> for Error {
    fn from(error: RepoError) -> Self {
        tracing::error!(%error, "a request found the database failing");
        Self::DatabaseUnavailable
    }
}

/// When to come back, in seconds: a full queue drains in less, a database may need longer and asks again.
const RETRY_AFTER_S: &str = "1";

impl Error {
    /// Status, stable name and title.
    #[must_use]
    pub fn class(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BrokenBody(_) => (
                StatusCode::BAD_REQUEST,
                "broken-body",
                "The body cannot be read",
            ),
            Self::BadParameter(_) => (
                StatusCode::BAD_REQUEST,
                "bad-parameter",
                "A parameter makes no sense",
            ),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "Not authorized"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Method not allowed",
            ),
            Self::TooLarge(_) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "The request is too large",
            ),
            Self::UnsupportedMediaType(_) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "Unsupported media type",
            ),
            Self::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "too-slow",
                "The request took too long",
            ),
            Self::AtWork(_) => (StatusCode::CONFLICT, "at-work", "Something is at work"),
            Self::OtherCampaign => (
                StatusCode::CONFLICT,
                "other-campaign",
                "A campaign has this name",
            ),
            Self::UnknownToWechat(_) => (
                StatusCode::NOT_FOUND,
                "unknown-to-wechat",
                "WeChat does not know it",
            ),
            Self::RefusedByWechat(_) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "refused-by-wechat",
                "WeChat refuses it",
            ),
            Self::AgainstWechat(_) => (
                StatusCode::CONFLICT,
                "against-wechat",
                "It contradicts what WeChat has",
            ),
            Self::WechatUnavailable(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "wechat-unavailable",
                "WeChat cannot be asked now",
            ),
            Self::NoDoor => (StatusCode::CONFLICT, "no-door", "The store has no door"),
            Self::QueueFull => (
                StatusCode::SERVICE_UNAVAILABLE,
                "queue-full",
                "The queue is full",
            ),
            Self::Contended => (
                StatusCode::SERVICE_UNAVAILABLE,
                "contended",
                "Others are changing this",
            ),
            Self::ShuttingDown => (
                StatusCode::SERVICE_UNAVAILABLE,
                "shutting-down",
                "Shutting down",
            ),
            Self::DatabaseUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "database-unavailable",
                "The database is unavailable",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Internal error",
            ),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, name, title) = self.class();
        let problem = Problem {
            kind: format!("urn:weir:store:{name}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: Some(self.to_string()),
            errcode: match &self {
                Self::UnknownToWechat(refusal)
                | Self::RefusedByWechat(refusal)
                | Self::AgainstWechat(refusal) => Some(refusal.errcode),
                _ => None,
            },
        };
        let mut response = (status, axum::Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE_PROBLEM));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        }
        if self == Self::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
