//! `signed`: an attestation, a compact JWS (RFC 7515) in which a game server or an ad network states that a player did an action. Redis
//! checks by its own clock whether it is valid yet, has expired, or was used before.

use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{AwardResult, award_result, shortened};
use crate::keyring::{Algorithm, Key, KeyRing, NumericDate};

/// The algorithms that may sign attestations.
pub const ALGORITHMS: &[Algorithm] = &[Algorithm::EdDSA, Algorithm::ES256, Algorithm::HS256];
/// The longest attestation, in bytes. Longer ones are malformed.
pub const MAX_BYTES: usize = 4096;

/// Standard JWT claims (RFC 7519, section 4.1) that are ignored without a warning.
const REGISTERED: [&str; 3] = ["iss", "aud", "iat"];
/// The most ignored claims that one log line names.
const MAX_NAMED: usize = 8;
const MAX_JTI_BYTES: usize = 128;
const MAX_DIFFICULTY_BYTES: usize = 50;

/// A verified attestation, without its user and action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// Its id, 1 to 128 visible ASCII characters. Each id can be used once.
    pub jti: String,
    /// When it becomes valid, in Unix seconds; 0 without `nbf`.
    pub begins_at_s: i64,
    /// When it expires, in Unix seconds, up to the year 9999.
    pub expires_at_s: i64,
    /// The difficulty that selects `points_by_difficulty`: up to 50 of `a-z`, `0-9` and `_`.
    pub difficulty: Option<String>,
    /// Its `value`, `subscore` and `tags`.
    pub award: AwardResult,
    /// The name of the key ring that verified it. Ids are unique per ring, not per key: an attestation signed again with the ring's next
    /// key must not be paid again.
    pub key: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: Uuid,
    act: String,
    jti: String,
    exp: NumericDate,
    nbf: Option<NumericDate>,
    difficulty: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Verifies an attestation for this user and action. With a nonce, its `jti` must be that nonce. `None` if it is malformed, forged, or for
/// something else.
pub fn read(ring: &KeyRing, jws: &str, user: Uuid, action: &str, nonce: Option<&str>) -> Option<Attestation> {
    let claims = ring.verify_and(jws, |claims: Claims, key| {
        warn_of_ignored(ring, key, &claims.others);
        claims
    })?;
    let expires_at_s = claims.exp.rounded_down();
    let begins_at_s = claims.nbf.map_or(0, NumericDate::rounded_up);
    let about_this = claims.sub == user
        && claims.act == action
        && nonce.is_none_or(|nonce| nonce == claims.jti)
        && (1..=MAX_JTI_BYTES).contains(&claims.jti.len())
        && claims.jti.bytes().all(|byte| byte.is_ascii_graphic())
        && begins_at_s < expires_at_s
        && claims.difficulty.as_deref().is_none_or(is_difficulty);
    let award = AwardResult::read(&claims.others).filter(|_| about_this)?;
    Some(Attestation {
        jti: claims.jti,
        begins_at_s,
        expires_at_s,
        difficulty: claims.difficulty,
        award,
        key: ring.name().to_owned(),
    })
}

/// Warns once per key about claims that are ignored, for example a game server's `points`.
fn warn_of_ignored(ring: &KeyRing, key: &Key, others: &Map<String, Value>) {
    let is_read = |name: &&String| REGISTERED.iter().chain(&award_result::NAMES).any(|read| name == read);
    let names = others.keys().filter(|name| !is_read(name));
    let names: Vec<_> = names.take(MAX_NAMED).map(|name| shortened(name)).collect();
    if !names.is_empty() && key.is_first_warning() {
        let claims = names.join(", ");
        tracing::warn!(
            ring = ring.name(),
            kid = key.kid(),
            claims,
            "attestation claims ignored, points come from the catalogue: see docs/proofs.md"
        );
    }
}

fn is_difficulty(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=MAX_DIFFICULTY_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::keyring::signer::{Signer, jwks};
    use crate::keyring::{KeyFile, LAST_SECOND};

    const ADA: Uuid = Uuid::from_u128(7);

    /// One signer per algorithm, and a ring with all their keys.
    static SIGNERS: LazyLock<(Vec<Signer>, KeyRing)> = LazyLock::new(|| {
        let signers: Vec<_> =
            ALGORITHMS.iter().map(|name| Signer::new(*name, &format!("{name:?}").to_lowercase())).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        std::fs::write(&path, jwks(&signers.iter().collect::<Vec<_>>())).unwrap();
        let ring = KeyRing::open("ads".into(), KeyFile::Jwks(path), ALGORITHMS).unwrap();
        (signers, ring)
    });

    fn claims() -> Value {
        json!({ "sub": ADA, "act": "watch_ad", "jti": "one", "exp": 100, "difficulty": "hard_2" })
    }

    fn read_ads(jws: &str, nonce: Option<&str>) -> Option<Attestation> {
        read(&SIGNERS.1, jws, ADA, "watch_ad", nonce)
    }

    /// Reads the claims with one of them replaced.
    fn with(name: &str, value: Value) -> Option<Attestation> {
        let mut claims = claims();
        claims[name] = value;
        read_ads(&SIGNERS.0[0].sign(&claims), None)
    }

    #[test]
    fn every_algorithm_verifies() {
        let attested = Attestation {
            jti: "one".into(),
            begins_at_s: 0,
            expires_at_s: 100,
            difficulty: Some("hard_2".into()),
            award: AwardResult::default(),
            key: "ads".into(),
        };
        for signer in &SIGNERS.0 {
            let jws = signer.sign(&claims());
            assert_eq!(read_ads(&jws, None).as_ref(), Some(&attested));
            assert_eq!(read_ads(&jws, Some("one")).as_ref(), Some(&attested));
            assert_eq!(read_ads(&jws, Some("two")), None);
            assert_eq!(read_ads(&jws, Some("")), None);
            assert_eq!(read(&SIGNERS.1, &jws, Uuid::from_u128(8), "watch_ad", None), None);
            assert_eq!(read(&SIGNERS.1, &jws, ADA, "watch_ads", None), None);
        }
    }

    #[test]
    fn every_claim_has_its_bounds() {
        for name in ["sub", "act", "jti", "exp"] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(name);
            assert_eq!(read_ads(&SIGNERS.0[0].sign(&claims), None), None, "{name}");
            assert_eq!(with(name, Value::Null), None, "{name}");
            assert_eq!(with(name, json!(["one"])), None, "{name}");
        }
        assert!(with("exp", json!(LAST_SECOND)).is_some());
        for exp in [json!(LAST_SECOND + 1), json!(u64::MAX), json!(0), json!(0.9), json!(-1), json!("100")] {
            assert_eq!(with("exp", exp.clone()), None, "{exp}");
        }
        assert_eq!(with("nbf", json!(99)).unwrap().begins_at_s, 99);
        for nbf in [json!(100), json!(99.01), json!(-1), json!(-0.5), json!("1")] {
            assert_eq!(with("nbf", nbf.clone()), None, "{nbf}");
        }
        // Python's `time.time()` has fractions: an attestation must never be valid for longer than it states.
        for (exp, nbf, seconds) in [(100.9, 1.1, (2, 100)), (1.0, 0.0, (0, 1)), (1.5, 0.5, (1, 1))] {
            let mut claims = claims();
            (claims["exp"], claims["nbf"]) = (exp.into(), nbf.into());
            let read =
                read_ads(&SIGNERS.0[0].sign(&claims), None).map(|it| (it.begins_at_s, it.expires_at_s));
            assert_eq!(read, Some(seconds).filter(|(begins, expires)| begins < expires), "{exp} {nbf}");
        }
        assert!(with("jti", "~".repeat(128).into()).is_some());
        for jti in ["", "a b", "ä", "a\u{0}", &"a".repeat(129)] {
            assert_eq!(with("jti", jti.into()), None, "{jti:?}");
        }
        assert!(with("difficulty", Value::Null).unwrap().difficulty.is_none());
        assert!(with("difficulty", "a".repeat(50).into()).is_some());
        for difficulty in ["", "Hard", "a-b", "ä", &"a".repeat(51)] {
            assert_eq!(with("difficulty", difficulty.into()), None, "{difficulty:?}");
        }
        assert_eq!(with("value", json!(61_250)).unwrap().award.value, Some(61_250));
        for (name, bad) in
            [("value", json!(1.5)), ("subscore", json!(-1)), ("tags", json!({ "mode": "a b" }))]
        {
            assert_eq!(with(name, bad.clone()), None, "{name} {bad}");
        }
        assert!(with("iat", json!(50)).is_some() && with("role", "admin".into()).is_some());
    }

    #[test]
    fn ignored_claims_are_logged_once_per_key() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, log) = (folder.path().join("keys.json"), folder.path().join("log"));
        let signers = ["a", "b", "c"].map(|kid| Signer::new(Algorithm::EdDSA, kid));
        std::fs::write(&keys, jwks(&signers.each_ref())).unwrap();
        let ring = KeyRing::open("ads".into(), KeyFile::Jwks(keys), ALGORITHMS).unwrap();
        let file = std::sync::Arc::new(std::fs::File::create(&log).unwrap());
        let subscriber = tracing_subscriber::fmt().with_writer(file).finish();
        tracing::subscriber::with_default(subscriber, || {
            for (signer, others) in [
                (&signers[0], json!({ "points": 5000, "score": 9 })),
                (&signers[0], json!({ "reward": 1 })),
                (&signers[1], json!({ "points": 5000, "Difficulty": "easy" })),
                (
                    &signers[2],
                    json!({ "iss": "game", "aud": ["laurel"], "iat": 50, "value": 1, "subscore": 2, "tags": {} }),
                ),
            ] {
                let mut claims = claims();
                claims.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
                let attestation = read(&ring, &signer.sign(&claims), ADA, "watch_ad", None).unwrap();
                assert_eq!(attestation.difficulty.as_deref(), Some("hard_2"));
            }
            let forged = Signer::new(Algorithm::EdDSA, "c").sign(&json!({ "points": 1 }));
            assert_eq!(read(&ring, &forged, ADA, "watch_ad", None), None);
        });
        let log = std::fs::read_to_string(log).unwrap();
        assert_eq!(log.lines().count(), 2, "{log}");
        assert!(log.contains("points, score") && log.contains("points, Difficulty"), "{log}");
        assert!(!log.contains("5000") && !log.contains("eyJ"), "{log}");
    }

    #[test]
    fn rsa_keys_are_refused() {
        let signer = Signer::new(Algorithm::RS256, "a");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        std::fs::write(&path, jwks(&[&signer])).unwrap();
        assert!(KeyRing::open("ads".into(), KeyFile::Jwks(path), ALGORITHMS).is_err());
    }

    fn times() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<i64>().prop_map(Value::from),
            (0.0..1e12).prop_map(Value::from),
            any::<f64>().prop_map(Value::from)
        ]
    }

    proptest! {
        #[test]
        fn a_changed_attestation_is_refused(
            signer in 0..ALGORITHMS.len(), place in any::<prop::sample::Index>(), byte in 0_u8..128
        ) {
            let jws = SIGNERS.0[signer].sign(&claims());
            let mut changed = jws.clone().into_bytes();
            let place = place.index(changed.len());
            prop_assume!(changed[place] != byte);
            changed[place] = byte;
            prop_assert_eq!(read_ads(std::str::from_utf8(&changed).unwrap(), None), None);
            prop_assert_eq!(read_ads(&jws[..place], None), None);
            prop_assert_eq!(read_ads(&jws[place..], None).is_some(), place == 0);
            let longer = format!("{}{}{}", &jws[..place], byte as char, &jws[place..]);
            prop_assert_eq!(read_ads(&longer, None), None);
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,200}", header in "[!-~]{0,80}", rest in "[!-~.]{0,80}") {
            prop_assert_eq!(read_ads(&text, None), None);
            prop_assert_eq!(read_ads(&format!("{header}.{rest}"), None), None);
        }

        #[test]
        fn any_claims_are_read_without_a_panic(jti in ".*", exp in times(), nbf in times(), difficulty in ".*") {
            let claims = json!({
                "sub": ADA, "act": "watch_ad", "jti": jti, "exp": exp, "nbf": nbf, "difficulty": difficulty
            });
            if let Some(read) = read_ads(&SIGNERS.0[0].sign(&claims), None) {
                prop_assert!(read.begins_at_s < read.expires_at_s && read.expires_at_s <= LAST_SECOND);
            }
        }
    }
}
