//! Signing as Standard Webhooks says: HMAC-SHA256 over the id, the time and the body.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A shared secret.
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// Reads `whsec_<base64>`.
    ///
    /// # Errors
    /// It is not that, or not of 24 to 64 bytes; the text itself is not told.
    pub fn read(secret: &str) -> Result<Self, String> {
        let bytes = secret.strip_prefix("whsec_").and_then(|it| STANDARD.decode(it).ok());
        match bytes {
            Some(bytes) if (24..=64).contains(&bytes.len()) => {
                Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
            }
            _ => Err("proof.secret must be whsec_ and the base64 of 24 to 64 bytes".into()),
        }
    }

    /// The value of `webhook-signature`; `at_s` is the Unix time in seconds.
    pub fn sign(&self, id: &str, at_s: &str, body: &str) -> String {
        let tag = hmac::sign(&self.0, format!("{id}.{at_s}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_own_example_comes_out() {
        let key = SigningKey::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn weak_secrets_are_refused() {
        for weak in ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_*"] {
            assert!(SigningKey::read(weak).is_err(), "{weak}");
        }
    }
}
