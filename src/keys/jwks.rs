//! A JWK set (RFC 7517). A key's algorithm follows from its type and curve; its `alg`, if there is one, has to agree.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Found, Key};

#[derive(Deserialize)]
struct KeySet {
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
    /// The private half of a pair.
    d: Option<IgnoredAny>,
}

/// Reads every key that verifies signatures, and says why others are skipped. Keys for encryption are none of ours.
///
/// # Errors
/// It is no set at all.
pub fn read(bytes: &[u8]) -> Result<Found, String> {
    let set: KeySet = serde_json::from_slice(bytes).map_err(|error| {
        format!("it is no JWK set: RFC 7517 (line {}, column {})", error.line(), error.column())
    })?;
    let mut found = Found::default();
    for (place, value) in set.keys.into_iter().enumerate() {
        // serde's own message might show a part of a secret.
        let jwk = serde_json::from_value(value).map_err(|_| "it is no JWK".to_owned());
        match jwk.and_then(|jwk: Jwk| if jwk.is_for_signatures() { jwk.key().map(Some) } else { Ok(None) }) {
            Ok(key) => found.keys.extend(key),
            Err(problem) => found.skipped.push(format!("key {}: {problem}", place + 1)),
        }
    }
    Ok(found)
}

impl Jwk {
    fn is_for_signatures(&self) -> bool {
        let used = self.purpose.as_ref().is_none_or(|it| it == "sig");
        used && self.key_ops.as_ref().is_none_or(|it| it.iter().any(|it| it == "verify"))
    }

    fn key(self) -> Result<Key, String> {
        if self.d.is_some() {
            return Err("it is a private key; to verify, its public half is enough".into());
        }
        let algorithm = match (self.kty.as_str(), self.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => Algorithm::EdDSA,
            ("EC", Some("P-256")) => Algorithm::ES256,
            ("RSA", _) => Algorithm::RS256,
            ("oct", _) => Algorithm::HS256,
            (kty, curve) => {
                return Err(format!("kty {kty:?} with crv {:?} is not served", curve.unwrap_or_default()));
            }
        };
        if let Some(alg) = self.alg.filter(|it| *it != format!("{algorithm:?}")) {
            return Err(format!("alg {alg:?} is not served for a key of this kind, only {algorithm:?}"));
        }
        match algorithm {
            Algorithm::EdDSA => Key::public(self.kid, algorithm, &bytes("x", self.x, Some(32))?),
            Algorithm::ES256 => {
                let (x, y) = (bytes("x", self.x, Some(32))?, bytes("y", self.y, Some(32))?);
                // An uncompressed point: SEC 1, section 2.3.3.
                Key::public(self.kid, algorithm, &[&[4], x.as_slice(), y.as_slice()].concat())
            }
            Algorithm::RS256 => {
                let parts =
                    RsaPublicKeyComponents { n: bytes("n", self.n, None)?, e: bytes("e", self.e, None)? };
                let der = parts.as_der().map_err(|_| "its n and e are no RSA key")?;
                Key::public(self.kid, algorithm, der.as_ref())
            }
            _ => Key::secret(self.kid, &bytes("k", self.k, None)?),
        }
    }
}

fn bytes(name: &str, text: Option<String>, length: Option<usize>) -> Result<Vec<u8>, String> {
    let text = text.ok_or_else(|| format!("its {name} is missing"))?;
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("its {name} is not base64url"))?;
    match length {
        Some(length) if bytes.len() != length => Err(format!("its {name} must have {length} bytes")),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::signer::Signer;
    use super::*;

    fn read_keys(keys: Value) -> Found {
        read(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    /// Why a key is skipped.
    fn problem(key: Value) -> String {
        let found = read_keys(json!([key]));
        assert!(found.keys.is_empty());
        found.reasons().unwrap()
    }

    #[test]
    fn the_algorithm_is_the_keys_own() {
        for algorithm in [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256, Algorithm::HS256] {
            let mut jwk = Signer::new(algorithm, "a").jwk();
            assert_eq!(read_keys(json!([jwk])).keys[0].algorithm, algorithm);
            jwk["alg"] = "HS512".into();
            assert!(problem(jwk.clone()).contains("HS512"));
            jwk["use"] = "enc".into();
            let nothing = |jwk: &Value| {
                let found = read_keys(json!([jwk]));
                found.keys.is_empty() && found.skipped.is_empty()
            };
            assert!(nothing(&jwk));
            jwk["use"] = "sig".into();
            jwk["key_ops"] = json!(["wrapKey"]);
            assert!(nothing(&jwk));
        }
    }

    #[test]
    fn what_is_no_key_is_named_without_its_value() {
        let secret = "c2hvcnQgc2VjcmV0";
        let short = problem(json!({ "kty": "oct", "k": secret }));
        assert!(short.contains("at least 32 bytes") && !short.contains(secret), "{short}");
        assert!(problem(json!({ "kty": "EC", "crv": "P-384" })).contains("P-384"));
        assert!(problem(json!({ "kty": "OKP", "crv": "Ed448" })).contains("Ed448"));
        assert!(problem(json!({ "kty": "OKP", "crv": "Ed25519", "x": "AAAA" })).contains("32 bytes"));
        assert!(problem(json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" })).contains("RSA"));
        assert!(problem(json!({ "kty": "RSA", "n": "A Q" , "e": "AQAB" })).contains("base64url"));
        assert!(problem(json!({ "kty": 7 })).contains("no JWK"));
        // A point that is not on the curve.
        let (x, y) = (URL_SAFE_NO_PAD.encode([1; 32]), URL_SAFE_NO_PAD.encode([1; 32]));
        assert!(problem(json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })).contains("no public key"));
        let mut private = Signer::new(Algorithm::EdDSA, "a").jwk();
        private["d"] = "AAAA".into();
        assert!(problem(private).contains("private"));
    }

    #[test]
    fn every_problem_of_a_set_is_told_at_once() {
        let problem = read_keys(json!([{ "kty": "EC" }, { "kty": "oct", "k": "AAAA" }])).reasons().unwrap();
        assert!(problem.contains("key 1: ") && problem.contains("key 2: "), "{problem}");
        let problem = read_keys(json!(vec![Value::Null; 40])).reasons().unwrap();
        assert!(problem.ends_with("32 more") && problem.len() < 300, "{problem}");
        for garbage in ["", "{", "[]", "{\"keys\":{}}", "null", "\u{0}"] {
            assert!(read(garbage.as_bytes()).is_err(), "{garbage:?}");
        }
    }
}
