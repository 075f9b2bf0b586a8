//! Cross-origin requests (WHATWG Fetch, section 3.3): which origins may call this node, and the response headers for browsers.
//! tower-http's `CorsLayer` is not used: it answers preflights outside the edge, without a request id, log line and metric, and adds
//! about 200 bytes to each response for a client that is not a browser. Here such a response gets `vary: origin` only.

use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::config::ANY_ORIGIN;
use crate::error::Refusal;

/// Seconds that a browser may cache a preflight response: Chromium's maximum.
const MAX_AGE: &str = "7200";
/// Includes methods that no route has, so that a page can read the 405.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// Response headers that a page may read in addition to the CORS-safelisted ones.
const EXPOSED: &str = "etag, idempotent-replayed, ratelimit-limit, ratelimit-remaining, ratelimit-reset, retry-after, x-request-id";

/// The access of the page that sends a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginAccess {
    /// The client is not a browser, or the page is served by this node: no headers are needed.
    Own,
    /// `*` admits the page, without credentials.
    Open,
    /// The page's origin is listed: it may call with credentials.
    Listed(HeaderValue),
    /// The page may not call. The browser hides responses from it; sockets and streams are refused.
    Denied,
}

impl OriginAccess {
    /// Looks up a request's origin in `server.cors_origins`.
    pub fn of(origins: &[String], headers: &HeaderMap) -> Self {
        let Some(origin) = headers.get(ORIGIN) else { return Self::Own };
        let is_listed = |it: &String| it != ANY_ORIGIN && it.as_bytes() == origin.as_bytes();
        if origins.iter().any(is_listed) {
            Self::Listed(origin.clone())
        } else if is_own(origin, headers) {
            Self::Own
        } else if origins.iter().any(|listed| listed == ANY_ORIGIN) {
            Self::Open
        } else {
            Self::Denied
        }
    }

    /// The same for operators' routes, which `*` does not open.
    pub fn of_operator(origins: &[String], headers: &HeaderMap) -> Self {
        match Self::of(origins, headers) {
            Self::Open => Self::Denied,
            access => access,
        }
    }

    /// The response to a preflight, or `None` if the request is not a preflight.
    pub fn preflight(&self, request: &Request) -> Option<Response> {
        let requested = request.headers();
        if request.method() != Method::OPTIONS || !requested.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        match self {
            Self::Own => return None,
            Self::Denied => return Some(Refusal::OriginNotAllowed.into_response()),
            Self::Open | Self::Listed(_) => {}
        }
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
        // All headers are allowed: none of them grants access, and tracing libraries send headers of their own.
        if let Some(wanted) = requested.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        Some(response)
    }

    /// Writes the CORS headers of a response.
    pub fn write(&self, headers: &mut HeaderMap) {
        headers.append(VARY, HeaderValue::from_static("origin"));
        let allowed = match self {
            Self::Own | Self::Denied => return,
            Self::Open => HeaderValue::from_static(ANY_ORIGIN),
            Self::Listed(origin) => {
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
                origin.clone()
            }
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
}

/// Whether a page of this node sends the request. The scheme is not compared, because TLS ends at the balancer.
fn is_own(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|it| it.to_str().ok());
    let origin = origin.to_str().ok().and_then(|it| it.split_once("://"));
    matches!((origin, host), (Some((_, origin)), Some(host)) if origin.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(origins: &[&str], headers: &[(&'static str, &str)]) -> OriginAccess {
        let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        OriginAccess::of(&origins, &headers.collect())
    }

    #[test]
    fn an_origin_is_own_listed_open_or_denied() {
        let game = "https://game.example";
        let listed = OriginAccess::Listed(HeaderValue::from_static("https://game.example"));
        for (origins, origin, expected) in [
            (&["*"][..], game, OriginAccess::Open),
            (&["*"], "null", OriginAccess::Open),
            (&["*", game], game, listed.clone()),
            (&["*", game], "https://other.example", OriginAccess::Open),
            (&[game], game, listed),
            (&[game], "http://game.example", OriginAccess::Denied),
            (&[game], "https://game.example:8443", OriginAccess::Denied),
            (&[game], "https://game.example.evil.example", OriginAccess::Denied),
            (&[game], "https://evil.example/https://game.example", OriginAccess::Denied),
            (&[game], "null", OriginAccess::Denied),
            (&[], game, OriginAccess::Denied),
            (&["*"], "*", OriginAccess::Open),
            (&[game], "*", OriginAccess::Denied),
            // The node's own pages, also behind a balancer that terminates TLS.
            (&[], "https://laurel.example", OriginAccess::Own),
            (&[], "http://LAUREL.example", OriginAccess::Own),
            (&[], "https://laurel.example:8443", OriginAccess::Denied),
        ] {
            let headers = [("origin", origin), ("host", "laurel.example")];
            assert_eq!(access(origins, &headers), expected, "{origins:?} {origin}");
        }
        assert_eq!(access(&[], &[("host", "laurel.example")]), OriginAccess::Own);
        assert_eq!(access(&[], &[("origin", game)]), OriginAccess::Denied);
    }
}
