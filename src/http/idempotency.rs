//! `Idempotency-Key`: 1 to 64 visible ASCII characters (contract, section 2).

use axum::http::HeaderMap;

use uuid::Uuid;

use crate::app::App;
use crate::error::Refusal;
use crate::store::IdempotencyKey;
use crate::token::sha256_hex;

/// The id of the event that a key of this caller's stands for: a UUID v8 (RFC 9562) of their digest.
///
/// # Errors
/// A key of another shape.
pub fn event_id(headers: &HeaderMap, caller: &str) -> Result<Option<Uuid>, Refusal> {
    let Some(key) = read_key(headers)? else { return Ok(None) };
    let digest = sha256_hex(&[caller.as_bytes(), b"\n", key]);
    let bytes: [u8; 16] = std::array::from_fn(|it| digest.as_bytes()[it]);
    Ok(Some(Uuid::new_v8(bytes)))
}

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
    let Some(key) = read_key(headers)? else { return Ok(None) };
    Ok(Some(IdempotencyKey {
        key_digest: sha256_hex(&[key]),
        request_digest: sha256_hex(&[door.as_bytes(), b"\n", body]),
        kept_ms: app.config.tokens.answer_seconds * 1000,
    }))
}

fn read_key(headers: &HeaderMap) -> Result<Option<&[u8]>, Refusal> {
    let Some(key) = headers.get(NAME) else { return Ok(None) };
    let key = key.as_bytes();
    if !(1..=64).contains(&key.len()) || !key.iter().all(u8::is_ascii_graphic) {
        return Err(Refusal::field("Idempotency-Key", "must be 1 to 64 visible ASCII characters"));
    }
    Ok(Some(key))
}
