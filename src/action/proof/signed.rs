//! `signed`: an attestation, a compact JWS (RFC 7515) in which a game server or an ad network says who did what. Whether it
//! has begun, has run out or was used before is for Redis to judge.

use serde::Deserialize;
use uuid::Uuid;

use crate::keys::{Algorithm, KeyRing, LAST_SECOND};

/// What may sign attestations.
pub const ALGORITHMS: &[Algorithm] = &[Algorithm::EdDSA, Algorithm::ES256, Algorithm::HS256];
/// Longer attestations are refused as malformed.
pub const MAX_BYTES: usize = crate::keys::MAX_TOKEN_BYTES;

const MAX_JTI_BYTES: usize = 128;
const MAX_DIFFICULTY_BYTES: usize = 50;

/// What an attestation says, but for whom and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// Its id, 1 to 128 visible ASCII characters, by which it is used once.
    pub jti: String,
    /// When it begins, in seconds; 0 if it does not say.
    pub begins_at_s: i64,
    /// When it runs out, in seconds, up to the year 9999.
    pub expires_at_s: i64,
    /// What was done, where an action knows several, in up to 50 of `a-z`, `0-9` and `_`.
    pub difficulty: Option<String>,
    /// The name of the ring that it verified with. Ids are told apart by ring and not by key: a party that signs the same
    /// attestation again with its next key must not be paid again.
    pub key: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: Uuid,
    act: String,
    jti: String,
    exp: i64,
    nbf: Option<i64>,
    difficulty: Option<String>,
}

/// Reads an attestation that this user did this action; with a nonce, only the one that was made for it. `None` if it is
/// malformed, forged, or about something else.
pub fn read(ring: &KeyRing, jws: &str, user: Uuid, action: &str, nonce: Option<&str>) -> Option<Attestation> {
    let claims: Claims = ring.verify(jws)?;
    let begins_at_s = claims.nbf.unwrap_or_default();
    let about_this = claims.sub == user
        && claims.act == action
        && nonce.is_none_or(|it| it == claims.jti)
        && (1..=MAX_JTI_BYTES).contains(&claims.jti.len())
        && claims.jti.bytes().all(|it| it.is_ascii_graphic())
        && (1..=LAST_SECOND).contains(&claims.exp)
        && (0..claims.exp).contains(&begins_at_s)
        && claims.difficulty.as_deref().is_none_or(names_a_difficulty);
    about_this.then(|| Attestation {
        jti: claims.jti,
        begins_at_s,
        expires_at_s: claims.exp,
        difficulty: claims.difficulty,
        key: ring.name().to_owned(),
    })
}

fn names_a_difficulty(text: &str) -> bool {
    let allowed = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_';
    (1..=MAX_DIFFICULTY_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::keys::KeyFile;
    use crate::keys::signer::{Signer, jwks};

    const ADA: Uuid = Uuid::from_u128(7);

    /// A signer of each algorithm, and the ring of them all.
    static SIGNERS: LazyLock<(Vec<Signer>, KeyRing)> = LazyLock::new(|| {
        let signers: Vec<_> =
            ALGORITHMS.iter().map(|it| Signer::new(*it, &format!("{it:?}").to_lowercase())).collect();
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

    /// The same claims but for one.
    fn with(name: &str, value: Value) -> Option<Attestation> {
        let mut claims = claims();
        claims[name] = value;
        read_ads(&SIGNERS.0[0].sign(&claims), None)
    }

    #[test]
    fn each_algorithm_attests() {
        let attested = Attestation {
            jti: "one".into(),
            begins_at_s: 0,
            expires_at_s: 100,
            difficulty: Some("hard_2".into()),
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
        for exp in [json!(LAST_SECOND + 1), json!(u64::MAX), json!(0), json!(-1), json!(1.5), json!("100")] {
            assert_eq!(with("exp", exp.clone()), None, "{exp}");
        }
        assert_eq!(with("nbf", json!(99)).unwrap().begins_at_s, 99);
        for nbf in [json!(100), json!(-1), json!("1")] {
            assert_eq!(with("nbf", nbf.clone()), None, "{nbf}");
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
        assert!(with("iat", json!(50)).is_some() && with("role", "admin".into()).is_some());
    }

    #[test]
    fn a_ring_of_attestations_holds_no_rsa_keys() {
        let signer = Signer::new(Algorithm::RS256, "a");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        std::fs::write(&path, jwks(&[&signer])).unwrap();
        assert!(KeyRing::open("ads".into(), KeyFile::Jwks(path), ALGORITHMS).is_err());
    }

    proptest! {
        #[test]
        fn a_changed_attestation_is_none(
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
        fn any_claims_are_read_without_a_panic(jti in ".*", exp in any::<i64>(), nbf in any::<i64>(), difficulty in ".*") {
            let claims = json!({
                "sub": ADA, "act": "watch_ad", "jti": jti, "exp": exp, "nbf": nbf, "difficulty": difficulty
            });
            if let Some(read) = read_ads(&SIGNERS.0[0].sign(&claims), None) {
                prop_assert!(read.begins_at_s < read.expires_at_s && read.expires_at_s <= LAST_SECOND);
            }
        }
    }
}
