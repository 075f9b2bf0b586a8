//! Keys of their own for each purpose, derived from the login secrets, so that no token is taken for one of another kind.

use aws_lc_rs::hkdf;

/// 32 bytes for one purpose, by HKDF-SHA256 (RFC 5869).
pub fn derive(secret: &str, purpose: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"laurel");
    salt.extract(secret.as_bytes())
        .expand(&[purpose], hkdf::HKDF_SHA256)
        .and_then(|it| it.fill(&mut key))
        .expect("HKDF-SHA256 gives up to 8160 bytes");
    key
}
