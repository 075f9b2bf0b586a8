//! A signing key of another party. Its public key is available as JWK and PEM.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair as RsaPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair,
    RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// The length in bytes of the PKCS #8 header of an RSA key of 2048 bits. The signer needs the key without it.
const RSA_2048_PKCS8_PREFIX: usize = 26;

pub struct Signer {
    pub header: Header,
    key: EncodingKey,
    public: Value,
    der: Vec<u8>,
}

impl Signer {
    /// A new key with a key id, for EdDSA, ES256, RS256 or HS256.
    pub fn new(algorithm: Algorithm, kid: &str) -> Self {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (key, mut public, der) = match algorithm {
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::generate().unwrap();
                let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
                let public = json!({ "kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref()) });
                (EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref()), public, der.as_ref().to_vec())
            }
            Algorithm::ES256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
                let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let public = json!({ "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y) });
                (EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref()), public, der.as_ref().to_vec())
            }
            Algorithm::RS256 => {
                let private: Pkcs8V1Der<'_> = RsaPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
                let inner = &private.as_ref()[RSA_2048_PKCS8_PREFIX..];
                let pair = RsaKeyPair::from_der(inner).unwrap();
                let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                let der = parts.as_der().unwrap().as_ref().to_vec();
                let public = json!({ "kty": "RSA", "n": text(&parts.n), "e": text(&parts.e) });
                (EncodingKey::from_rsa_der(inner), public, der)
            }
            _ => {
                let mut secret = [0; 32];
                aws_lc_rs::rand::fill(&mut secret).unwrap();
                (EncodingKey::from_secret(&secret), json!({ "kty": "oct", "k": text(&secret) }), Vec::new())
            }
        };
        let mut header = Header::new(algorithm);
        header.kid = Some(kid.to_owned());
        public["kid"] = kid.into();
        Self { header, key, public, der }
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(&self.header, claims)
    }

    /// Signs with another header.
    pub fn sign_as(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.key).unwrap()
    }

    /// The public key, or the secret of HS256.
    pub fn jwk(&self) -> Value {
        self.public.clone()
    }

    pub fn pem(&self) -> String {
        let text = STANDARD.encode(&self.der);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }
}

/// A JWK set of these keys.
pub fn jwks(signers: &[&Signer]) -> String {
    json!({ "keys": signers.iter().map(|it| it.jwk()).collect::<Vec<_>>() }).to_string()
}
