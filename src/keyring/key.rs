//! A verification key. The key determines the algorithm, never the token.

use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use jsonwebtoken::{Algorithm, DecodingKey};

use crate::config::MIN_SECRET_BYTES;

/// The sizes that aws-lc verifies; shorter keys can be factored.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// A key id is part of every token. RFC 7517 sets no limit.
const MAX_KID_BYTES: usize = 128;

/// A key and its algorithm.
pub struct Key {
    /// The key id. A key without one is tried for every token.
    pub(super) kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) verify: DecodingKey,
    /// Whether a warning about this key was logged.
    has_warned: AtomicBool,
}

impl Key {
    /// A shared secret, for HS256.
    ///
    /// # Errors
    /// It is shorter than 32 bytes, or its key id is longer than 128 bytes.
    pub fn secret(kid: Option<String>, secret: &[u8]) -> Result<Self, String> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(format!("a secret for HS256 needs at least {MIN_SECRET_BYTES} bytes"));
        }
        Self::new(kid, Algorithm::HS256, DecodingKey::from_secret(secret))
    }

    /// A public key as DER: an X.509 SubjectPublicKeyInfo, the 32 bytes of an Ed25519 key, or a P-256 point.
    ///
    /// # Errors
    /// Not a key of this algorithm; an RSA key outside 2048 to 8192 bits; a key id longer than 128 bytes.
    pub fn public(kid: Option<String>, algorithm: Algorithm, der: &[u8]) -> Result<Self, String> {
        let (parse_as, verify): (&'static dyn VerificationAlgorithm, _) = match algorithm {
            Algorithm::EdDSA => (&ED25519, DecodingKey::from_ed_der(der)),
            Algorithm::ES256 => (&ECDSA_P256_SHA256_FIXED, DecodingKey::from_ec_der(der)),
            Algorithm::RS256 => (&RSA_PKCS1_2048_8192_SHA256, DecodingKey::from_rsa_der(der)),
            other => return Err(format!("{other:?} is not supported; use EdDSA, ES256 or RS256")),
        };
        ParsedPublicKey::new(parse_as, der).map_err(|_| format!("not a public key for {algorithm:?}"))?;
        if algorithm == Algorithm::RS256 {
            let bits = PublicEncryptingKey::from_der(der).map(|it| it.key_size_bits()).unwrap_or_default();
            if !RSA_BITS.contains(&bits) {
                return Err(format!("an RSA key needs {} to {} bits", RSA_BITS.start(), RSA_BITS.end()));
            }
        }
        Self::new(kid, algorithm, verify)
    }

    /// The key id.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// True on the first call, to log one warning per key.
    pub fn is_first_warning(&self) -> bool {
        !self.has_warned.swap(true, Ordering::Relaxed)
    }

    /// Whether to try this key for a token with this key id. A missing id, of the key or the token, matches all.
    pub(super) fn matches(&self, kid: Option<&str>) -> bool {
        self.kid.as_deref().zip(kid).is_none_or(|(own, wanted)| own == wanted)
    }

    fn new(kid: Option<String>, algorithm: Algorithm, verify: DecodingKey) -> Result<Self, String> {
        if kid.as_ref().is_some_and(|it| it.len() > MAX_KID_BYTES) {
            return Err(format!("kid is longer than {MAX_KID_BYTES} bytes"));
        }
        Ok(Self { kid, algorithm, verify, has_warned: AtomicBool::new(false) })
    }
}
