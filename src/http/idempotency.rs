//! `Idempotency-Key`: 1 to 64 visible ASCII characters. A repeat is a request with the same key, route and body.

use axum::http::HeaderMap;
use serde_json::Value;

use crate::app::App;
use crate::crypto::sha256_hex;
use crate::error::Refusal;
use crate::store::IdempotencyKey;

const NAME: &str = "idempotency-key";

/// 2^64. `serde_json` parses larger integers as floats.
const MAX_INTEGER: f64 = 18_446_744_073_709_551_616.0;

/// Reads the request's key and binds it to the endpoint and the body.
///
/// # Errors
/// The key is malformed.
pub fn read(
    app: &App,
    headers: &HeaderMap,
    endpoint: &str,
    body: &[u8],
) -> Result<Option<IdempotencyKey>, Refusal> {
    let Some(key) = key(headers)? else { return Ok(None) };
    Ok(Some(IdempotencyKey {
        key_digest: sha256_hex(&[key.as_bytes()]),
        request_digest: request_digest(endpoint, body),
        answer_ttl_ms: app.config.tokens.answer_seconds * 1000,
    }))
}

/// Digest of the endpoint and the body as canonical JSON. A client that serializes its body again may change the field order and the
/// whitespace, or write `10` as `10.0`.
pub fn request_digest(endpoint: &str, body: &[u8]) -> String {
    let mut canonical = String::with_capacity(body.len());
    match serde_json::from_slice(body) {
        Ok(value) => write_canonical(&value, &mut canonical),
        // The request will be refused and its key is not stored. The separator differs from that of valid JSON.
        Err(_) => return sha256_hex(&[endpoint.as_bytes(), b"\n", body]),
    }
    sha256_hex(&[endpoint.as_bytes(), b"\0", canonical.as_bytes()])
}

/// Writes a value so that equal values give the same text.
fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|field| field.0);
            text.push('{');
            for (name, value) in fields {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(values) => {
            text.push('[');
            for value in values {
                write_canonical(value, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Number(number) => match number.as_f64() {
            // A float without a fraction. Integers are written exactly below.
            Some(whole) if number.is_f64() && whole.fract() == 0.0 && whole.abs() < MAX_INTEGER => {
                text.push_str(&(whole as i128).to_string());
            }
            _ => text.push_str(&number.to_string()),
        },
        other => text.push_str(&other.to_string()),
    }
}

/// The request's key as text.
///
/// # Errors
/// The key is malformed.
pub fn key(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let Some(key) = headers.get(NAME) else { return Ok(None) };
    match key.to_str() {
        Ok(text) if (1..=64).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_graphic()) => {
            Ok(Some(text))
        }
        _ => Err(Refusal::field("Idempotency-Key", "must be 1 to 64 visible ASCII characters")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-(1_i64 << 53)..1 << 53).prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e12..1e12).prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::hash_map("\\PC{0,4}", inner, 0..5).prop_map(|it| it.into_iter().collect()),
            ]
        })
    }

    /// The same value as another client may write it: reversed fields, whitespace, escapes, and the number notation of `style`.
    fn written(value: &Value, style: u8) -> String {
        match value {
            Value::Object(fields) => {
                let fields = fields.iter().rev();
                let fields: Vec<_> = fields
                    .map(|(name, it)| format!(" {} :\t{}", escaped(name), written(it, style / 2)))
                    .collect();
                format!("{{{}\n}}", fields.join(","))
            }
            Value::Array(values) => {
                let values: Vec<_> = values.iter().map(|value| written(value, style / 2)).collect();
                format!("[ {}]", values.join(" ,"))
            }
            Value::String(text) => escaped(text),
            Value::Number(number) => {
                match (number.as_i64().filter(|it| it.unsigned_abs() < 1 << 53), style % 4) {
                    (Some(whole), 0) => format!("{whole}.0"),
                    (Some(whole), 1) => format!("{}e-1", i128::from(whole) * 10),
                    (Some(whole), 2) => format!("{whole}.00E+0"),
                    _ => number.to_string(),
                }
            }
            other => other.to_string(),
        }
    }

    fn escaped(text: &str) -> String {
        format!("\"{}\"", text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>())
    }

    proptest! {
        #[test]
        fn bodies_that_are_equal_json_have_one_digest(value in values(), other in values(), style in any::<u8>()) {
            let digest = |text: &str| request_digest("update", text.as_bytes());
            let first = digest(&value.to_string());
            let rewritten = written(&value, style);
            prop_assert_eq!(&digest(&rewritten), &first, "{}", rewritten);
            prop_assert_eq!(digest(&other.to_string()) == first, other == value, "{}", other);
            prop_assert_ne!(request_digest("scores", rewritten.as_bytes()), first);
        }
    }
}
