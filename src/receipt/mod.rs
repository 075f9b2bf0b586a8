//! Receipts: what an award came to, signed with Ed25519, so that anybody can check it later without asking us. It knows no
//! store, no HTTP and no clock.

mod key;
mod verify;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::config;
use crate::error::Fault;
use crate::keys::{Algorithm, KeyFile, KeyRing};
use key::SigningKey;
pub use verify::NotVerified;
use verify::verify;

/// The header's `typ`: what is signed for one purpose is nothing for another.
const RECEIPT: &str = "laurel-receipt+jwt";
const CHECKPOINT: &str = "laurel-checkpoint+jwt";
const ALGORITHMS: &[Algorithm] = &[Algorithm::EdDSA];

/// What an award came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The award's event id: `score_history.event_id` in the ledger.
    pub jti: Uuid,
    /// Who won the points.
    pub sub: Uuid,
    /// The action's type.
    pub act: String,
    /// What the award was worth.
    pub points: u64,
    /// The user's total after it.
    pub score: u64,
    /// The board's version after it.
    pub version: i64,
    /// When it was, in seconds by Redis' clock.
    pub iat: i64,
}

/// The keys that sign receipts, and the ledger's checkpoints.
pub struct ReceiptKeys {
    /// The first signs; the others sign again what they signed.
    sign: Vec<SigningKey>,
    verify: ReceiptVerifier,
    published: Bytes,
}

impl ReceiptKeys {
    /// The keys of `auth.receipt_key_file`, then those derived from the login secrets, newest first.
    ///
    /// # Errors
    /// The file cannot be read or has no such key; there are too many keys. One line.
    pub fn new(auth: &config::Auth) -> Result<Self, String> {
        let secrets = std::iter::once(&auth.jwt_secret).chain(&auth.previous_jwt_secrets);
        let derived = secrets.map(|it| SigningKey::derived(it.expose()));
        let mut sign: Vec<SigningKey> = Vec::new();
        for key in from_file(&auth.receipt_key_file)?.into_iter().chain(derived) {
            if sign.iter().all(|it| it.kid != key.kid) {
                sign.push(key);
            }
        }
        let public = sign.iter().map(SigningKey::public).collect::<Result<_, _>>()?;
        let verify = ReceiptVerifier(KeyRing::fixed("receipts".to_owned(), public, ALGORITHMS)?);
        let published = json!({ "keys": sign.iter().map(SigningKey::jwk).collect::<Vec<_>>() });
        Ok(Self { sign, verify, published: published.to_string().into() })
    }

    /// The name of the key that signs.
    pub fn kid(&self) -> &str {
        &self.sign[0].kid
    }

    /// Signs a receipt with the key of this name, or with the newest if that one is gone: so it comes out the same when it is
    /// signed again, whatever key signs by then.
    ///
    /// # Errors
    /// The claims cannot be written as JSON.
    pub fn sign(&self, kid: &str, receipt: &Receipt) -> Result<String, Fault> {
        let key = self.sign.iter().find(|it| it.kid == kid).unwrap_or(&self.sign[0]);
        key.sign(RECEIPT, receipt).map_err(|error| Fault::new("sign a receipt", error))
    }

    /// Signs what the ledger says of itself.
    ///
    /// # Errors
    /// The claims cannot be written as JSON.
    pub fn sign_checkpoint(&self, claims: &impl Serialize) -> Result<String, Fault> {
        self.sign[0].sign(CHECKPOINT, claims).map_err(|error| Fault::new("sign a checkpoint", error))
    }

    /// What verifies: the public halves of all keys.
    pub fn verifier(&self) -> &ReceiptVerifier {
        &self.verify
    }

    /// The public halves alone.
    pub fn into_verifier(self) -> ReceiptVerifier {
        self.verify
    }

    /// The public halves as a JWK set (RFC 7517).
    pub fn published(&self) -> Bytes {
        self.published.clone()
    }
}

fn from_file(path: &str) -> Result<Vec<SigningKey>, String> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = std::fs::read(path).map_err(|error| format!("auth.receipt_key_file: {path}: {error}"))?;
    SigningKey::read_pem(&bytes).map_err(|problem| format!("auth.receipt_key_file: {path}: {problem}"))
}

/// Public keys, and nothing else: all that is needed to check what was signed.
pub struct ReceiptVerifier(KeyRing);

impl ReceiptVerifier {
    /// The keys of a JWK set, as a node publishes it.
    ///
    /// # Errors
    /// It cannot be read, or has keys that are not for Ed25519. One line.
    pub fn open(jwks: &std::path::Path) -> Result<Self, String> {
        let ring = KeyRing::open("receipts".to_owned(), KeyFile::Jwks(jwks.to_owned()), ALGORITHMS)?;
        Ok(Self(ring))
    }

    /// Reads a receipt.
    ///
    /// # Errors
    /// It is none, or none of these keys signed it.
    pub fn receipt(&self, text: &str) -> Result<Receipt, NotVerified> {
        verify(&self.0, RECEIPT, text)
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// It is none, or none of these keys signed it.
    pub fn checkpoint<Claims: DeserializeOwned>(&self, text: &str) -> Result<Claims, NotVerified> {
        verify(&self.0, CHECKPOINT, text)
    }
}
