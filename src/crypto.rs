//! SHA-256 digests in hex, and keys derived from the login secrets.

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::hkdf;
use data_encoding::HEXLOWER;

/// SHA-256 over the concatenated parts, in hex. Secrets are stored, and long values are used in keys, as their digests.
pub fn sha256_hex(parts: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    HEXLOWER.encode(context.finish().as_ref())
}

/// Derives a key of 32 bytes for one purpose from a login secret, by HKDF-SHA256 (RFC 5869). Each purpose has its own key, so that a
/// token signed for one purpose never verifies for another.
pub fn derive_key(secret: &str, purpose: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"laurel");
    salt.extract(secret.as_bytes())
        .expand(&[purpose], hkdf::HKDF_SHA256)
        .and_then(|output| output.fill(&mut key))
        .expect("HKDF-SHA256 outputs up to 8160 bytes");
    key
}
