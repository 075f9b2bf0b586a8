//! Webhook requests: their body, their signature as in Standard Webhooks, and their headers.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::clock::rfc3339;
use crate::traces;

/// A proof for the backend to verify.
#[derive(Clone, Copy, Debug)]
pub struct WebhookRequest<'a> {
    /// The player.
    pub user: Uuid,
    /// The action's type.
    pub action: &'a str,
    /// The id of the token to redeem. It is the same in every retry of one proof.
    pub token_id: &'a str,
    /// The proof that the client sent.
    pub proof: Option<&'a Map<String, Value>>,
    /// The node's clock in Unix ms. The backend rejects old requests.
    pub now_ms: i64,
}

/// Builds the headers and the body of a request. Each request has its own message id, so that the backend verifies a retry again instead of
/// skipping it as a duplicate.
///
/// # Errors
/// A header value is not ASCII.
pub fn write(request: WebhookRequest<'_>, key: &SigningKey) -> Result<(HeaderMap, String), String> {
    let data = json!({
        "userId": request.user,
        "actionType": request.action,
        "tokenId": request.token_id,
        "proof": request.proof,
    });
    let body = json!({ "type": "proof.submitted", "timestamp": rfc3339(request.now_ms), "data": data });
    let body = body.to_string();
    let id = format!("msg_{}", Uuid::new_v4().simple());
    let at_s = (request.now_ms / 1000).to_string();
    let signature = key.sign(&id, &at_s, &body);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in [("webhook-id", id), ("webhook-timestamp", at_s), ("webhook-signature", signature)] {
        headers.insert(name, HeaderValue::from_str(&value).map_err(|error| error.to_string())?);
    }
    add_trace_context(&mut headers);
    Ok((headers, body))
}

/// Passes the trace context on, sampled or not, so that the backend can continue the trace.
fn add_trace_context(headers: &mut HeaderMap) {
    let Some((parent, state)) = traces::headers() else { return };
    for (name, value) in [("traceparent", Some(parent)), ("tracestate", state)] {
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// The secret shared with the backend.
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// Parses `whsec_<base64>`.
    ///
    /// # Errors
    /// The text is malformed or is not 24 to 64 bytes long. The message does not contain it.
    pub fn parse(secret: &str) -> Result<Self, String> {
        let bytes = secret.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
        match bytes {
            Some(bytes) if (24..=64).contains(&bytes.len()) => {
                Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
            }
            _ => Err("proof.secret must be whsec_ and the base64 of 24 to 64 bytes".into()),
        }
    }

    /// The value of `webhook-signature`: HMAC-SHA256 over the id, the Unix time in seconds and the body.
    pub fn sign(&self, id: &str, at_s: &str, body: &str) -> String {
        let tag = hmac::sign(&self.0, format!("{id}.{at_s}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_the_example_of_the_specification() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn malformed_and_short_secrets_are_refused() {
        for weak in ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_*"] {
            assert!(SigningKey::parse(weak).is_err(), "{weak}");
        }
    }
}
