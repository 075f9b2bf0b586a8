//! `Idempotency-Key`: 1 to 64 visible ASCII characters (contract, section 2).

use axum::http::HeaderMap;

use crate::app::App;
use crate::error::Refusal;
use crate::store::IdempotencyKey;
use crate::token::sha256_hex;

const NAME: &str = "idempotency-key";

/// The request's key, bound to the door and the body it came with.
///
/// # Errors
/// A key of another shape.
pub fn read(
    app: &App,
    headers: &HeaderMap,
    door: &str,
    body: &[u8],
) -> Result<Option<IdempotencyKey>, Refusal> {
    let Some(key) = key(headers)? else { return Ok(None) };
    Ok(Some(IdempotencyKey {
        key_digest: sha256_hex(&[key.as_bytes()]),
        request_digest: sha256_hex(&[door.as_bytes(), b"\n", body]),
        kept_ms: app.config.tokens.answer_seconds * 1000,
    }))
}

/// The request's key itself.
///
/// # Errors
/// A key of another shape.
pub fn key(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let Some(key) = headers.get(NAME) else { return Ok(None) };
    match key.to_str() {
        Ok(text) if (1..=64).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_graphic()) => {
            Ok(Some(text))
        }
        _ => Err(Refusal::field("Idempotency-Key", "must be 1 to 64 visible ASCII characters")),
    }
}
