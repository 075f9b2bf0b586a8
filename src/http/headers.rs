//! Parsers for request headers.

use axum::http::header::{ACCEPT_ENCODING, AUTHORIZATION};
use axum::http::{HeaderMap, HeaderValue};

/// The token of a `Bearer` header; the scheme's case does not matter (RFC 9110, section 11.1).
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Whether `Accept-Encoding` lists gzip without refusing it (RFC 9110, section 12.5.3).
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let offer = headers.get(ACCEPT_ENCODING).and_then(|it| it.to_str().ok()).unwrap_or_default();
    offer.split(',').any(|entry| {
        let (coding, weight) = entry.split_once(';').unwrap_or((entry, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|it| it.parse() == Ok(0.0));
        coding.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// Whether `If-None-Match` lists a tag, weak or strong (RFC 9110, section 13.1.2).
pub fn etag_matches(value: &HeaderValue, tag: &[u8]) -> bool {
    let listed = value.to_str().unwrap_or_default().split(',').map(str::trim);
    listed.into_iter().any(|candidate| {
        candidate == "*" || candidate.strip_prefix("W/").unwrap_or(candidate).as_bytes() == tag
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_if_listed_and_not_refused() {
        let takes =
            |offer: &str| accepts_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, offer.parse().unwrap())]));
        for offer in ["gzip", "br, GZIP", "deflate,gzip;q=0.5"] {
            assert!(takes(offer), "{offer}");
        }
        for offer in ["", "br", "gzip;q=0", "gzip; q=0.000", "xgzip"] {
            assert!(!takes(offer), "{offer}");
        }
    }
}
