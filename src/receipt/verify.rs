//! Verifies signed texts. A signature cannot be guessed, so unlike for logins the error may state the exact reason.

use jsonwebtoken::Algorithm;
use serde::de::DeserializeOwned;

use crate::keyring::{KeyRing, MAX_TOKEN_BYTES};

/// Why a text was rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be parsed. This includes `alg: none`.
    #[error("not a signed text (compact JWS, RFC 7515)")]
    Malformed,
    /// Its algorithm is not EdDSA.
    #[error("not signed with EdDSA")]
    Algorithm,
    /// It was signed for another purpose.
    #[error("signed as {found:?} instead of {wanted:?}")]
    Type {
        /// The `typ` of its header.
        found: String,
        /// The expected `typ`.
        wanted: &'static str,
    },
    /// No key has its `kid`.
    #[error("its key {0:?} is not among these keys")]
    UnknownKey(String),
    /// It was changed, or signed with another key.
    #[error("its signature is wrong: it was changed, or signed with another key")]
    Forged,
}

/// Verifies a compact JWS of the wanted type and returns its claims.
///
/// # Errors
/// The reason why the text was rejected.
pub fn verify<Claims: DeserializeOwned>(
    ring: &KeyRing,
    wanted: &'static str,
    text: &str,
) -> Result<Claims, VerifyError> {
    if text.len() > MAX_TOKEN_BYTES {
        return Err(VerifyError::Malformed);
    }
    let header = jsonwebtoken::decode_header(text).map_err(|_| VerifyError::Malformed)?;
    if header.alg != Algorithm::EdDSA {
        return Err(VerifyError::Algorithm);
    }
    let found = header.typ.unwrap_or_default();
    if found != wanted {
        return Err(VerifyError::Type { found, wanted });
    }
    if !ring.has(header.kid.as_deref()) {
        return Err(VerifyError::UnknownKey(header.kid.unwrap_or_default()));
    }
    ring.verify(text).ok_or(VerifyError::Forged)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::Ed25519KeyPair;
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::super::{Receipt, ReceiptKeys};
    use super::*;
    use crate::keyring::signer::Signer;

    const OLD: &str = "an old secret, an old secret, an old one";
    const NEW: &str = "a new secret, a new secret, a new secret";

    fn keys_with(file: &str, newest: &str, previous: &[&str]) -> Result<ReceiptKeys, String> {
        let mut config = crate::config::load([("JWT_SECRET".into(), newest.into())]).unwrap();
        config.auth.previous_jwt_secrets =
            previous.iter().map(|secret| (*secret).to_owned().into()).collect();
        config.auth.receipt_key_file = file.to_owned();
        ReceiptKeys::new(&config.auth)
    }

    fn keys(newest: &str, previous: &[&str]) -> ReceiptKeys {
        keys_with("", newest, previous).unwrap()
    }

    fn receipt() -> Receipt {
        let (jti, sub) = (Uuid::from_u128(7), Uuid::from_u128(1));
        Receipt { jti, sub, act: "watch_ad".into(), points: 10, score: 30, version: 5, iat: 1_704_449_105 }
    }

    fn signed(keys: &ReceiptKeys) -> String {
        keys.sign(keys.kid(), &receipt()).unwrap()
    }

    #[test]
    fn a_receipt_is_read_back_and_always_signed_alike() {
        let keys = keys(NEW, &[]);
        assert_eq!(keys.verifier().receipt(&signed(&keys)), Ok(receipt()));
        assert_eq!(signed(&keys), signed(&keys));
    }

    #[test]
    fn every_changed_byte_is_detected() {
        let keys = keys(NEW, &[]);
        let text = signed(&keys);
        for (at, byte) in text.bytes().enumerate() {
            // Only four bits of the signature's last character are significant; this changes them.
            let mut changed = text.clone().into_bytes();
            changed[at] = if byte == b'A' { b'w' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(keys.verifier().receipt(&changed).is_err(), "{at}: {changed}");
            assert!(keys.verifier().receipt(&text[..at]).is_err(), "cut at {at}");
        }
        let (head, rest) = text.split_once('.').unwrap();
        let (_, signature) = rest.split_once('.').unwrap();
        let more_points =
            URL_SAFE_NO_PAD.encode(serde_json::to_vec(&Receipt { points: 1000, ..receipt() }).unwrap());
        let altered = format!("{head}.{more_points}.{signature}");
        assert_eq!(keys.verifier().receipt(&altered), Err(VerifyError::Forged));
    }

    #[test]
    fn another_keys_signature_is_refused_even_with_our_kid() {
        let ours = keys(NEW, &[]);
        let mut theirs = Signer::new(Algorithm::EdDSA, "theirs");
        theirs.header.typ = Some("laurel-receipt+jwt".into());
        let claims = serde_json::to_value(receipt()).unwrap();
        let wanted = Err(VerifyError::UnknownKey("theirs".into()));
        assert_eq!(ours.verifier().receipt(&theirs.sign(&claims)), wanted);
        let named = Header { kid: Some(ours.kid().to_owned()), ..theirs.header.clone() };
        assert_eq!(ours.verifier().receipt(&theirs.sign_as(&named, &claims)), Err(VerifyError::Forged));
        let nameless = Header { kid: None, ..theirs.header.clone() };
        assert_eq!(ours.verifier().receipt(&theirs.sign_as(&nameless, &claims)), Err(VerifyError::Forged));
    }

    #[test]
    fn the_text_cannot_choose_the_algorithm() {
        let keys = keys(NEW, &[]);
        let text = signed(&keys);
        let payload = text.split('.').nth(1).unwrap();
        let header = json!({ "alg": "none", "typ": "laurel-receipt+jwt", "kid": keys.kid() }).to_string();
        let unsigned = format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(header));
        assert_eq!(keys.verifier().receipt(&unsigned), Err(VerifyError::Malformed));
        // HS256 with the public key as the shared secret.
        let published: Value = serde_json::from_slice(&keys.published()).unwrap();
        let public = URL_SAFE_NO_PAD.decode(published["keys"][0]["x"].as_str().unwrap()).unwrap();
        let mut header = Header::new(Algorithm::HS256);
        (header.typ, header.kid) = (Some("laurel-receipt+jwt".into()), Some(keys.kid().to_owned()));
        let keyed = jsonwebtoken::encode(&header, &receipt(), &EncodingKey::from_secret(&public)).unwrap();
        assert_eq!(keys.verifier().receipt(&keyed), Err(VerifyError::Algorithm));
    }

    #[test]
    fn a_checkpoint_is_no_receipt_and_a_receipt_no_checkpoint() {
        let keys = keys(NEW, &[]);
        let claims = json!({ "head": "00ff", "entries": 3 });
        let checkpoint = keys.sign_checkpoint(&claims).unwrap();
        assert_eq!(keys.verifier().checkpoint::<Value>(&checkpoint), Ok(claims));
        assert!(matches!(keys.verifier().receipt(&checkpoint), Err(VerifyError::Type { .. })));
        assert!(keys.verifier().checkpoint::<Value>(&signed(&keys)).is_err());
    }

    #[test]
    fn previous_keys_verify_and_sign_replays_and_removed_ones_do_not() {
        let first = signed(&keys(OLD, &[]));
        let kid = keys(OLD, &[]).kid().to_owned();
        let rotated = keys(NEW, &[OLD, NEW]);
        assert_eq!(rotated.verifier().receipt(&first), Ok(receipt()));
        assert_eq!(rotated.sign(&kid, &receipt()).unwrap(), first);
        assert_ne!(rotated.kid(), kid);
        let published: Value = serde_json::from_slice(&rotated.published()).unwrap();
        assert_eq!(published["keys"].as_array().unwrap().len(), 2, "each key once");
        let dropped = keys(NEW, &[]);
        assert_eq!(dropped.verifier().receipt(&first), Err(VerifyError::UnknownKey(kid.clone())));
        assert_eq!(dropped.sign(&kid, &receipt()).unwrap(), signed(&dropped));
    }

    #[test]
    fn the_first_key_of_the_file_signs_and_derived_keys_verify() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("receipts.pem");
        let pem = || {
            let der = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap();
            format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
        };
        let with = |text: &str| {
            std::fs::write(&path, text).unwrap();
            keys_with(path.to_str().unwrap(), NEW, &[])
        };
        let (one, two) = (pem(), pem());
        let first = signed(&with(&one).unwrap());
        let both = with(&(two + &one)).unwrap();
        assert_eq!(both.verifier().receipt(&first), Ok(receipt()));
        assert_eq!(both.verifier().receipt(&signed(&keys(NEW, &[]))), Ok(receipt()));
        assert_ne!(signed(&both), first);
        let public = Signer::new(Algorithm::EdDSA, "a").pem();
        for wrong in ["", "nothing", &public, &one[..60], &one.replace("MC4", "MC5")] {
            assert!(with(wrong).err().unwrap().starts_with("auth.receipt_key_file: "), "{wrong}");
        }
        assert!(keys_with("/nowhere", NEW, &[]).err().unwrap().contains("/nowhere"));
    }

    #[test]
    fn the_published_keys_verify_a_receipt() {
        let keys = keys(NEW, &[OLD]);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), keys.published()).unwrap();
        let verifier = super::super::ReceiptVerifier::open(file.path()).unwrap();
        assert_eq!(verifier.receipt(&signed(&keys)), Ok(receipt()));
        assert!(!String::from_utf8_lossy(&keys.published()).contains("\"d\""));
    }

    #[test]
    fn the_key_id_is_the_thumbprint() {
        // The example of RFC 8037, appendix A.3.
        let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let pem = STANDARD.encode(pair.to_pkcs8v1().unwrap());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), pem).unwrap();
        let keys = keys_with(file.path().to_str().unwrap(), NEW, &[]).unwrap();
        assert_eq!(keys.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
