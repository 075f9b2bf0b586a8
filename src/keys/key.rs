//! One key: what it can verify is said by the key itself, never by a token.

use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use jsonwebtoken::{Algorithm, DecodingKey};

use crate::config::MIN_SECRET_BYTES;

/// What aws-lc verifies; shorter ones can be factored.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// A key's name travels in every token; RFC 7517 knows no bound.
const MAX_KID_BYTES: usize = 128;

/// A key and the one algorithm that it verifies with.
pub struct Key {
    /// Its name. A key without one is tried for every token.
    pub(super) kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) verify: DecodingKey,
    /// Whether the log has said something of what it signs.
    was_remarked: AtomicBool,
}

impl Key {
    /// A shared secret, for HS256.
    ///
    /// # Errors
    /// It is shorter than 32 bytes, or its name is longer than 128.
    pub fn secret(kid: Option<String>, secret: &[u8]) -> Result<Self, String> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(format!("a secret for HS256 needs at least {MIN_SECRET_BYTES} bytes"));
        }
        Self::new(kid, Algorithm::HS256, DecodingKey::from_secret(secret))
    }

    /// A public key as DER: an X.509 SubjectPublicKeyInfo, an Ed25519 key's 32 bytes, or a point of P-256.
    ///
    /// # Errors
    /// It is none of this algorithm, RSA keys of less than 2048 bits included; its name is longer than 128 bytes.
    pub fn public(kid: Option<String>, algorithm: Algorithm, der: &[u8]) -> Result<Self, String> {
        let (parse_as, verify): (&'static dyn VerificationAlgorithm, _) = match algorithm {
            Algorithm::EdDSA => (&ED25519, DecodingKey::from_ed_der(der)),
            Algorithm::ES256 => (&ECDSA_P256_SHA256_FIXED, DecodingKey::from_ec_der(der)),
            Algorithm::RS256 => (&RSA_PKCS1_2048_8192_SHA256, DecodingKey::from_rsa_der(der)),
            other => return Err(format!("{other:?} has no public keys here; use EdDSA, ES256 or RS256")),
        };
        ParsedPublicKey::new(parse_as, der).map_err(|_| format!("it is no public key for {algorithm:?}"))?;
        if algorithm == Algorithm::RS256 {
            let bits = PublicEncryptingKey::from_der(der).map(|it| it.key_size_bits()).unwrap_or_default();
            if !RSA_BITS.contains(&bits) {
                return Err(format!("an RSA key needs {} to {} bits", RSA_BITS.start(), RSA_BITS.end()));
            }
        }
        Self::new(kid, algorithm, verify)
    }

    /// Its name.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether this is the first remark on what it signs: the log has one a key.
    pub fn is_first_remark(&self) -> bool {
        !self.was_remarked.swap(true, Ordering::Relaxed)
    }

    /// Whether it is tried for a token of this name: names that differ are told apart, one that is missing is not.
    pub(super) fn is_for(&self, kid: Option<&str>) -> bool {
        self.kid.as_deref().zip(kid).is_none_or(|(mine, other)| mine == other)
    }

    fn new(kid: Option<String>, algorithm: Algorithm, verify: DecodingKey) -> Result<Self, String> {
        if kid.as_ref().is_some_and(|it| it.len() > MAX_KID_BYTES) {
            return Err(format!("its kid has more than {MAX_KID_BYTES} bytes"));
        }
        Ok(Self { kid, algorithm, verify, was_remarked: AtomicBool::new(false) })
    }
}
