//! What encodings a client takes.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;

/// Whether `Accept-Encoding` lists gzip without refusing it (RFC 9110, section 12.5.3).
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let offer = headers.get(ACCEPT_ENCODING).and_then(|it| it.to_str().ok()).unwrap_or_default();
    offer.split(',').any(|it| {
        let (coding, weight) = it.split_once(';').unwrap_or((it, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|it| it.parse() == Ok(0.0));
        coding.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_where_it_is_listed_and_not_refused() {
        let takes =
            |offer: &str| takes_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, offer.parse().unwrap())]));
        for offer in ["gzip", "br, GZIP", "deflate,gzip;q=0.5"] {
            assert!(takes(offer), "{offer}");
        }
        for offer in ["", "br", "gzip;q=0", "gzip; q=0.000", "xgzip"] {
            assert!(!takes(offer), "{offer}");
        }
    }
}
