//! `Idempotency-Key`: 1 to 64 visible ASCII characters (contract, section 2).

use axum::http::HeaderMap;
use serde_json::Value;

use crate::app::App;
use crate::error::Refusal;
use crate::store::IdempotencyKey;
use crate::token::sha256_hex;

const NAME: &str = "idempotency-key";

/// 2^64: JSON's whole numbers beyond are read as fractions, however they are written.
const MAX_WHOLE: f64 = 18_446_744_073_709_551_616.0;

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
        request_digest: request_digest(door, body),
        kept_ms: app.config.tokens.answer_seconds * 1000,
    }))
}

/// What a repeat has in common with the first request: the door, and the body as JSON (contract, section 2). Clients that write
/// their body anew may order and space it in another way, or write `10` as `10.0`.
pub fn request_digest(door: &str, body: &[u8]) -> String {
    let mut plain = String::with_capacity(body.len());
    match serde_json::from_slice(body) {
        Ok(value) => write_plain(&value, &mut plain),
        // It is refused, and kept under no key; no JSON has the same digest.
        Err(_) => return sha256_hex(&[door.as_bytes(), b"\n", body]),
    }
    sha256_hex(&[door.as_bytes(), b"\0", plain.as_bytes()])
}

/// Writes a value so that equal ones are the same text.
fn write_plain(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|field| field.0);
            text.push('{');
            for (name, value) in fields {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_plain(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(values) => {
            text.push('[');
            for value in values {
                write_plain(value, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Number(number) => match number.as_f64() {
            // A number that is whole as a fraction; as an integer it is written exactly below.
            Some(whole) if number.is_f64() && whole.fract() == 0.0 && whole.abs() < MAX_WHOLE => {
                text.push_str(&(whole as i128).to_string());
            }
            _ => text.push_str(&number.to_string()),
        },
        other => text.push_str(&other.to_string()),
    }
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
