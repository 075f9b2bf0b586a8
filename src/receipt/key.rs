//! One key that signs: its name, and its public half as a JWK.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;
use serde_json::{Value, json};

use super::{CHECKPOINT, RECEIPT};
use crate::keys::Key;
use crate::token::derive;

/// A pair of keys for Ed25519 (RFC 8032). Nothing here shows the private half.
pub struct SigningKey {
    /// The public half's thumbprint (RFC 7638), so that it says which key it is whoever publishes it.
    pub kid: String,
    /// The header of each kind of text that it signs, encoded once.
    headers: [(&'static str, String); 2],
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// The key that goes with a login secret: every node has the same without being told.
    pub fn derived(secret: &str) -> Self {
        let seed = derive(secret, b"receipt");
        Self::new(Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are a seed of Ed25519"))
    }

    /// Every key of a PEM file (RFC 7468), in its order.
    ///
    /// # Errors
    /// There is none, or one is no Ed25519 key as PKCS #8.
    pub fn read_pem(bytes: &[u8]) -> Result<Vec<Self>, String> {
        let keys: Vec<_> = PrivatePkcs8KeyDer::pem_slice_iter(bytes)
            .map(|found| {
                let der = found.map_err(|_| "it is not PEM: RFC 7468".to_owned())?;
                let pair = Ed25519KeyPair::from_pkcs8(der.secret_pkcs8_der());
                pair.map(Self::new).map_err(|_| "it has a key that is not for Ed25519".to_owned())
            })
            .collect::<Result<_, _>>()?;
        if keys.is_empty() { Err("it has no PRIVATE KEY block (PKCS #8)".to_owned()) } else { Ok(keys) }
    }

    fn new(pair: Ed25519KeyPair) -> Self {
        // The members that RFC 8037 names, in the order of their names and without spaces, as RFC 7638 wants them.
        let members =
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(pair.public_key().as_ref()));
        let kid = encode(digest(&SHA256, members.as_bytes()).as_ref());
        let header = |typ| (typ, encode(json!({ "alg": "EdDSA", "typ": typ, "kid": kid }).to_string()));
        Self { headers: [header(RECEIPT), header(CHECKPOINT)], kid, pair }
    }

    /// A compact JWS (RFC 7515) of these claims. The same claims always give the same text: Ed25519 draws nothing.
    ///
    /// # Errors
    /// The claims cannot be written as JSON.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> serde_json::Result<String> {
        let mut text = String::with_capacity(512);
        self.headers.iter().filter(|(it, _)| *it == typ).for_each(|(_, header)| text.push_str(header));
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(claims)?, &mut text);
        let signature = self.pair.sign(text.as_bytes());
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        Ok(text)
    }

    /// The public half, to verify with.
    ///
    /// # Errors
    /// Never: it is a key.
    pub fn public(&self) -> Result<Key, String> {
        Key::public(Some(self.kid.clone()), Algorithm::EdDSA, self.pair.public_key().as_ref())
    }

    /// The public half, to publish (RFC 8037).
    pub fn jwk(&self) -> Value {
        let x = encode(self.pair.public_key());
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.kid, "x": x })
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
