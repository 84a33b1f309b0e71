//! The bearer token, where one is demanded.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use subtle::ConstantTimeEq;

use crate::error::Error;
use crate::server::AppState;

/// Lets a request pass if it bears the token, or if none is demanded.
pub(crate) async fn require_bearer(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let authorization = request.headers().get(AUTHORIZATION);
    let borne = authorization.and_then(|value| bearer(value.as_bytes()));
    match (&state.bearer_token, borne) {
        (None, _) => {}
        // How long it takes tells at most the token's length.
        (Some(token), Some(borne)) if token.as_bytes().ct_eq(borne).into() => {}
        (Some(_), _) => return Err(Error::Unauthorized),
    }
    Ok(next.run(request).await)
}

/// The token in `Bearer <token>`; the scheme's case does not matter. Source: RFC 9110, section 11.1.
fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked(b"bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}
