//! The pages `/`, `/admin` and `/docs`, and their files. A content security policy keeps them from loading anything from other hosts.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::envelope::ErrorCode;
use super::headers::{accepts_gzip, etag_matches};

use crate::error::{Code, Refusal};
use crate::web;

/// Routes of pages and their files.
pub const PATHS: [&str; 7] = ["/", "/admin", "/admin/", "/docs", "/docs/", "/favicon.ico", "/assets/{*path}"];

/// Content-Security-Policy Level 3: own files only, nothing inline, no framing, no DOM sinks for HTML or scripts except the URL of one
/// worker (trusted type `laurel`).
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types laurel";
/// `/docs` without trusted types: Swagger UI renders HTML from the OpenAPI document. Scripts and styles are still own files.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /`
pub async fn live(headers: HeaderMap) -> Response {
    page(&headers, "live/index.html", POLICY).await
}

/// `GET /admin`
pub async fn admin(headers: HeaderMap) -> Response {
    page(&headers, "admin/index.html", POLICY).await
}

/// `GET /docs`
pub async fn docs(headers: HeaderMap) -> Response {
    page(&headers, "docs/index.html", DOCS_POLICY).await
}

/// `GET /assets/{*path}`
pub async fn asset(path: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Response {
    let path = path.map(|Path(it)| it).unwrap_or_default();
    if path.ends_with(".html") {
        return Refusal::NotFound.into_response();
    }
    // A worker takes its policy from the response of its script.
    page(&headers, &path, POLICY).await
}

/// `GET /favicon.ico`, requested by browsers by default.
pub async fn icon(headers: HeaderMap) -> Response {
    page(&headers, "common/icon.svg", POLICY).await
}

/// 404: an HTML page for browsers, the envelope for API paths and programs.
pub async fn not_found(uri: Uri, headers: HeaderMap) -> Response {
    if uri.path().starts_with("/api/") {
        return Refusal::NotFound.into_response();
    }
    let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|it| it.to_str().ok());
    let mut response = if accepted.any(|it| it.contains("text/html")) {
        let mut response = page(&HeaderMap::new(), "common/not-found.html", POLICY).await;
        *response.status_mut() = StatusCode::NOT_FOUND;
        response.headers_mut().remove(ETAG);
        response.extensions_mut().insert(ErrorCode(Code::NotFound));
        response
    } else {
        Refusal::NotFound.into_response()
    };
    response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    response
}

/// A file, or 304 if the browser has this version. Browsers revalidate each file, so that they never mix the files of two releases.
async fn page(headers: &HeaderMap, path: &str, policy: &'static str) -> Response {
    let Some(asset) = web::asset(path) else { return Refusal::NotFound.into_response() };
    let accepts_gzip = accepts_gzip(headers);
    if accepts_gzip && !asset.is_compressed() {
        // Compression takes long enough to delay requests on this thread.
        let _ = tokio::task::spawn_blocking(|| asset.gzip()).await;
    }
    let gzip = if accepts_gzip { asset.gzip() } else { None };
    // Each encoding is its own representation and needs its own strong tag.
    let tag = format!("\"{}{}\"", asset.tag, if gzip.is_some() { "-gz" } else { "" });
    let is_cached = headers.get(IF_NONE_MATCH).is_some_and(|value| etag_matches(value, tag.as_bytes()));
    let mut response = if is_cached {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        gzip.unwrap_or(&asset.bytes).clone().into_response()
    };
    let fixed: [(HeaderName, &'static str); 7] = [
        (CONTENT_TYPE, asset.content_type),
        (CACHE_CONTROL, "no-cache"),
        (VARY, "accept-encoding"),
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    let answered = response.headers_mut();
    for (name, value) in fixed {
        answered.insert(name, HeaderValue::from_static(value));
    }
    if gzip.is_some() && !is_cached {
        answered.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answered.insert(ETAG, tag);
    }
    response
}
