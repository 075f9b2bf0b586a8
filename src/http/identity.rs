//! Who calls: the login in `Authorization: Bearer`.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::address::ClientAddress;
use crate::account::{self, Identity};
use crate::app::App;
use crate::error::{Error, Refusal};

/// The caller of a door that needs a login.
pub struct Caller(pub Identity);

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        let from = ClientAddress::from_request_parts(parts, app).await?;
        let token = bearer(&parts.headers).ok_or(Refusal::Unauthorized)?;
        account::admit(app, token, from.counted_as()).await.map(Self)
    }
}

/// The token of a `Bearer` header; the scheme's case does not matter (RFC 9110, section 11.1).
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
