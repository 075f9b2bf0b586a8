//! JWK sets (RFC 7517). A key's type and curve determine the algorithm; `alg`, if present, must agree.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Key, KeySet};

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    k: Option<String>,
    /// Present in private keys.
    d: Option<IgnoredAny>,
}

/// Reads the keys that verify signatures. Keys for encryption are ignored; other keys are skipped, with a reason.
///
/// # Errors
/// Not a JWK set.
pub fn read(bytes: &[u8]) -> Result<KeySet, String> {
    let jwks: JwkSet = serde_json::from_slice(bytes).map_err(|error| {
        format!("not a JWK set (RFC 7517), see line {}, column {}", error.line(), error.column())
    })?;
    let mut set = KeySet::default();
    for (index, value) in jwks.keys.into_iter().enumerate() {
        // The message of serde could contain a part of a secret.
        let jwk = serde_json::from_value(value).map_err(|_| "not a JWK".to_owned());
        match jwk.and_then(|jwk: Jwk| if jwk.is_for_signatures() { jwk.key().map(Some) } else { Ok(None) }) {
            Ok(key) => set.keys.extend(key),
            Err(problem) => set.skipped.push(format!("key {}: {problem}", index + 1)),
        }
    }
    Ok(set)
}

impl Jwk {
    fn is_for_signatures(&self) -> bool {
        self.purpose.as_ref().is_none_or(|purpose| purpose == "sig")
            && self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"))
    }

    fn key(self) -> Result<Key, String> {
        if self.d.is_some() {
            return Err("private key; provide the public key only".into());
        }
        let algorithm = match (self.kty.as_str(), self.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => Algorithm::EdDSA,
            ("EC", Some("P-256")) => Algorithm::ES256,
            ("RSA", _) => Algorithm::RS256,
            ("oct", _) => Algorithm::HS256,
            (kty, curve) => {
                return Err(format!("kty {kty:?} with crv {:?} is not supported", curve.unwrap_or_default()));
            }
        };
        if let Some(alg) = self.alg.filter(|alg| *alg != format!("{algorithm:?}")) {
            return Err(format!("alg {alg:?} is not supported for this key type, only {algorithm:?}"));
        }
        match algorithm {
            Algorithm::EdDSA => Key::public(self.kid, algorithm, &bytes("x", self.x, Some(32))?),
            Algorithm::ES256 => {
                let (x, y) = (bytes("x", self.x, Some(32))?, bytes("y", self.y, Some(32))?);
                // An uncompressed point (SEC 1, section 2.3.3).
                Key::public(self.kid, algorithm, &[&[4], x.as_slice(), y.as_slice()].concat())
            }
            Algorithm::RS256 => {
                let parts =
                    RsaPublicKeyComponents { n: bytes("n", self.n, None)?, e: bytes("e", self.e, None)? };
                let der = parts.as_der().map_err(|_| "n and e are not an RSA key")?;
                Key::public(self.kid, algorithm, der.as_ref())
            }
            _ => Key::secret(self.kid, &bytes("k", self.k, None)?),
        }
    }
}

fn bytes(name: &str, text: Option<String>, length: Option<usize>) -> Result<Vec<u8>, String> {
    let text = text.ok_or_else(|| format!("{name} is missing"))?;
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("{name} is not base64url"))?;
    match length {
        Some(length) if bytes.len() != length => Err(format!("{name} must have {length} bytes")),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::signer::Signer;
    use super::*;

    fn read_keys(keys: Value) -> KeySet {
        read(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    /// Returns why a key is skipped.
    fn problem(key: Value) -> String {
        let set = read_keys(json!([key]));
        assert!(set.keys.is_empty());
        set.skip_reasons().unwrap()
    }

    #[test]
    fn the_key_determines_the_algorithm() {
        for algorithm in [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256, Algorithm::HS256] {
            let mut jwk = Signer::new(algorithm, "a").jwk();
            assert_eq!(read_keys(json!([jwk])).keys[0].algorithm, algorithm);
            jwk["alg"] = "HS512".into();
            assert!(problem(jwk.clone()).contains("HS512"));
            jwk["use"] = "enc".into();
            let is_ignored = |jwk: &Value| {
                let set = read_keys(json!([jwk]));
                set.keys.is_empty() && set.skipped.is_empty()
            };
            assert!(is_ignored(&jwk));
            jwk["use"] = "sig".into();
            jwk["key_ops"] = json!(["wrapKey"]);
            assert!(is_ignored(&jwk));
        }
    }

    #[test]
    fn problems_do_not_contain_the_key() {
        let secret = "c2hvcnQgc2VjcmV0";
        let short = problem(json!({ "kty": "oct", "k": secret }));
        assert!(short.contains("at least 32 bytes") && !short.contains(secret), "{short}");
        assert!(problem(json!({ "kty": "EC", "crv": "P-384" })).contains("P-384"));
        assert!(problem(json!({ "kty": "OKP", "crv": "Ed448" })).contains("Ed448"));
        assert!(problem(json!({ "kty": "OKP", "crv": "Ed25519", "x": "AAAA" })).contains("32 bytes"));
        assert!(problem(json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" })).contains("RSA"));
        assert!(problem(json!({ "kty": "RSA", "n": "A Q" , "e": "AQAB" })).contains("base64url"));
        assert!(problem(json!({ "kty": 7 })).contains("not a JWK"));
        // A point that is not on the curve.
        let (x, y) = (URL_SAFE_NO_PAD.encode([1; 32]), URL_SAFE_NO_PAD.encode([1; 32]));
        assert!(problem(json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })).contains("not a public key"));
        let mut private = Signer::new(Algorithm::EdDSA, "a").jwk();
        private["d"] = "AAAA".into();
        assert!(problem(private).contains("private"));
    }

    #[test]
    fn reports_all_problems_of_a_set_together() {
        let set = read_keys(json!([{ "kty": "EC" }, { "kty": "oct", "k": "AAAA" }]));
        let problem = set.skip_reasons().unwrap();
        assert!(problem.contains("key 1: ") && problem.contains("key 2: "), "{problem}");
        let problem = read_keys(json!(vec![Value::Null; 40])).skip_reasons().unwrap();
        assert!(problem.ends_with("32 more") && problem.len() < 300, "{problem}");
        for garbage in ["", "{", "[]", "{\"keys\":{}}", "null", "\u{0}"] {
            assert!(read(garbage.as_bytes()).is_err(), "{garbage:?}");
        }
    }
}
