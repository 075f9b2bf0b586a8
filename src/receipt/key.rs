//! An Ed25519 signing key, its id, and its public key as a JWK.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;
use serde_json::{Value, json};

use super::{BOARD_ROOT, CHECKPOINT, RECEIPT};
use crate::crypto::derive_key;
use crate::keyring::Key;

/// An Ed25519 key pair (RFC 8032). The private key is never exposed.
pub struct SigningKey {
    /// The thumbprint of the public key (RFC 7638), which is the same on every node.
    pub kid: String,
    /// The encoded header of each `typ`, computed once.
    headers: [(&'static str, String); 3],
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// Derives the key from a login secret, so that all nodes with the same secret have the same key.
    pub fn derived(secret: &str) -> Self {
        let seed = derive_key(secret, b"receipt");
        Self::new(Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are an Ed25519 seed"))
    }

    /// Reads all keys of a PEM file (RFC 7468), in their order.
    ///
    /// # Errors
    /// The file has no key, or a key is not Ed25519 as PKCS #8.
    pub fn read_pem(bytes: &[u8]) -> Result<Vec<Self>, String> {
        let keys: Vec<_> = PrivatePkcs8KeyDer::pem_slice_iter(bytes)
            .map(|found| {
                let der = found.map_err(|_| "not a PEM file (RFC 7468)".to_owned())?;
                let pair = Ed25519KeyPair::from_pkcs8(der.secret_pkcs8_der());
                pair.map(Self::new).map_err(|_| "a key is not an Ed25519 key".to_owned())
            })
            .collect::<Result<_, _>>()?;
        if keys.is_empty() { Err("no PRIVATE KEY block (PKCS #8) found".to_owned()) } else { Ok(keys) }
    }

    fn new(pair: Ed25519KeyPair) -> Self {
        // The members required by RFC 8037, sorted and without spaces as in RFC 7638.
        let members =
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(pair.public_key().as_ref()));
        let kid = encode(digest(&SHA256, members.as_bytes()).as_ref());
        let header = |typ| (typ, encode(json!({ "alg": "EdDSA", "typ": typ, "kid": kid }).to_string()));
        Self { headers: [header(RECEIPT), header(CHECKPOINT), header(BOARD_ROOT)], kid, pair }
    }

    /// Signs claims as a compact JWS (RFC 7515). Ed25519 is deterministic, so equal claims give equal texts.
    ///
    /// # Errors
    /// The claims cannot be serialized.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> serde_json::Result<String> {
        let mut text = String::with_capacity(512);
        self.headers.iter().filter(|(name, _)| *name == typ).for_each(|(_, header)| text.push_str(header));
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(claims)?, &mut text);
        let signature = self.pair.sign(text.as_bytes());
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        Ok(text)
    }

    /// The public key, for verifying.
    ///
    /// # Errors
    /// Never for a valid key pair.
    pub fn public(&self) -> Result<Key, String> {
        Key::public(Some(self.kid.clone()), Algorithm::EdDSA, self.pair.public_key().as_ref())
    }

    /// The public key as a JWK (RFC 8037).
    pub fn jwk(&self) -> Value {
        let x = encode(self.pair.public_key());
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.kid, "x": x })
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
