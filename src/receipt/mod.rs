//! Receipts: awards signed with Ed25519, which anybody can verify later without a node. The same keys sign the ledger's checkpoints and
//! the roots of boards. This module does not depend on stores, HTTP or clocks.

mod key;
mod verify;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::config;
use crate::error::Fault;
use crate::keyring::{Algorithm, KeyFile, KeyRing};
use key::SigningKey;
pub use verify::VerifyError;
use verify::verify;

/// The header's `typ`. A text signed as one type never verifies as the other.
const RECEIPT: &str = "laurel-receipt+jwt";
const CHECKPOINT: &str = "laurel-checkpoint+jwt";
const BOARD_ROOT: &str = "laurel-board-root+jwt";
const ALGORITHMS: &[Algorithm] = &[Algorithm::EdDSA];

/// The claims of a receipt: the result of one award.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The award's event id: `score_history.event_id` in the ledger.
    pub jti: Uuid,
    /// The user's id.
    pub sub: Uuid,
    /// The action's type.
    pub act: String,
    /// The points awarded.
    pub points: u64,
    /// The user's score after the award.
    pub score: u64,
    /// The board's version after the award.
    pub version: i64,
    /// The time of the award, in Unix seconds by Redis' clock.
    pub iat: i64,
}

/// The keys that sign receipts, the ledger's checkpoints, and the roots of boards.
pub struct ReceiptKeys {
    /// The first key signs new texts. The others repeat their own signatures in replayed responses.
    sign: Vec<SigningKey>,
    verify: ReceiptVerifier,
    published: Bytes,
}

impl ReceiptKeys {
    /// Loads the keys of `auth.receipt_key_file`, then those derived from the login secrets, newest first.
    ///
    /// # Errors
    /// The file cannot be read or has no Ed25519 key, or there are too many keys. One line of text.
    pub fn new(auth: &config::Auth) -> Result<Self, String> {
        let secrets = std::iter::once(&auth.jwt_secret).chain(&auth.previous_jwt_secrets);
        let derived = secrets.map(|secret| SigningKey::derived(secret.expose()));
        let mut sign: Vec<SigningKey> = Vec::new();
        for key in from_file(&auth.receipt_key_file)?.into_iter().chain(derived) {
            if sign.iter().all(|known| known.kid != key.kid) {
                sign.push(key);
            }
        }
        let public = sign.iter().map(SigningKey::public).collect::<Result<_, _>>()?;
        let verify = ReceiptVerifier(KeyRing::fixed("receipts".to_owned(), public, ALGORITHMS)?);
        let published = json!({ "keys": sign.iter().map(SigningKey::jwk).collect::<Vec<_>>() });
        Ok(Self { sign, verify, published: published.to_string().into() })
    }

    /// The id of the key that signs new texts.
    pub fn kid(&self) -> &str {
        &self.sign[0].kid
    }

    /// Signs a receipt with the key of this id, or with the newest key if it was removed. A replayed response therefore has the same receipt
    /// after a key rotation.
    ///
    /// # Errors
    /// The claims cannot be serialized.
    pub fn sign(&self, kid: &str, receipt: &Receipt) -> Result<String, Fault> {
        let key = self.sign.iter().find(|key| key.kid == kid).unwrap_or(&self.sign[0]);
        key.sign(RECEIPT, receipt).map_err(|error| Fault::new("sign a receipt", error))
    }

    /// Signs a checkpoint of the ledger.
    ///
    /// # Errors
    /// The claims cannot be serialized.
    pub fn sign_checkpoint(&self, claims: &impl Serialize) -> Result<String, Fault> {
        self.sign[0].sign(CHECKPOINT, claims).map_err(|error| Fault::new("sign_checkpoint", error))
    }

    /// Signs the root of a board's closed period.
    ///
    /// # Errors
    /// The claims cannot be serialized.
    pub fn sign_board_root(&self, claims: &impl Serialize) -> Result<String, Fault> {
        self.sign[0].sign(BOARD_ROOT, claims).map_err(|error| Fault::new("sign_board_root", error))
    }

    /// Verifies with the public parts of all keys.
    pub fn verifier(&self) -> &ReceiptVerifier {
        &self.verify
    }

    /// Drops the private keys.
    pub fn into_verifier(self) -> ReceiptVerifier {
        self.verify
    }

    /// The public keys as a JWK set (RFC 7517).
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

/// Public keys that verify receipts and checkpoints.
pub struct ReceiptVerifier(KeyRing);

impl ReceiptVerifier {
    /// Reads a JWK set file, as a node publishes it.
    ///
    /// # Errors
    /// The file cannot be read, or has keys that are not for Ed25519. One line of text.
    pub fn open(jwks: &std::path::Path) -> Result<Self, String> {
        let ring = KeyRing::open("receipts".to_owned(), KeyFile::Jwks(jwks.to_owned()), ALGORITHMS)?;
        Ok(Self(ring))
    }

    /// Verifies a receipt.
    ///
    /// # Errors
    /// The text is not a receipt signed by one of these keys.
    pub fn receipt(&self, text: &str) -> Result<Receipt, VerifyError> {
        verify(&self.0, RECEIPT, text)
    }

    /// Verifies a checkpoint.
    ///
    /// # Errors
    /// The text is not a checkpoint signed by one of these keys.
    pub fn checkpoint<Claims: DeserializeOwned>(&self, text: &str) -> Result<Claims, VerifyError> {
        verify(&self.0, CHECKPOINT, text)
    }

    /// Verifies the root of a board's closed period.
    ///
    /// # Errors
    /// The text is not a root signed by one of these keys.
    pub fn board_root<Claims: DeserializeOwned>(&self, text: &str) -> Result<Claims, VerifyError> {
        verify(&self.0, BOARD_ROOT, text)
    }
}
