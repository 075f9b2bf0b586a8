//! Public keys as PEM (RFC 7468): `PUBLIC KEY` blocks, one or more, so that an old and a new key can stand side by side.

use jsonwebtoken::Algorithm;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

use super::{Found, Key};

/// Reads every public key of this algorithm, and says why others are skipped; they have no names.
///
/// # Errors
/// It is not PEM.
pub fn read(bytes: &[u8], algorithm: Algorithm) -> Result<Found, String> {
    let mut found = Found::default();
    if String::from_utf8_lossy(bytes).contains("PRIVATE KEY-----") {
        found.skipped.push("it has a private key; to verify, the public key is enough".into());
    }
    for (place, block) in SubjectPublicKeyInfoDer::pem_slice_iter(bytes).enumerate() {
        let der = block.map_err(|_| "it is not PEM: RFC 7468".to_owned())?;
        match Key::public(None, algorithm, &der) {
            Ok(key) => found.keys.push(key),
            Err(problem) => found.skipped.push(format!("key {}: {problem}", place + 1)),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::signer::Signer;
    use super::*;

    const KINDS: [Algorithm; 3] = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];

    #[test]
    fn a_key_is_of_its_own_algorithm_alone() {
        for made in KINDS {
            let pem = Signer::new(made, "a").pem();
            for named in KINDS {
                let found = read(pem.as_bytes(), named).unwrap();
                let is_own = made == named;
                let counts = (usize::from(is_own), usize::from(!is_own));
                assert_eq!((found.keys.len(), found.skipped.len()), counts, "{made:?} as {named:?}");
            }
            for never in [Algorithm::HS256, Algorithm::ES384, Algorithm::PS256] {
                assert!(read(pem.as_bytes(), never).unwrap().keys.is_empty());
            }
        }
    }

    #[test]
    fn several_keys_stand_in_one_file_and_private_ones_in_none() {
        let pem = Signer::new(Algorithm::ES256, "a").pem() + &Signer::new(Algorithm::ES256, "b").pem();
        assert_eq!(read(pem.as_bytes(), Algorithm::ES256).unwrap().keys.len(), 2);
        let private = read(pem.replace("PUBLIC", "PRIVATE").as_bytes(), Algorithm::ES256).unwrap();
        assert!(private.keys.is_empty() && private.skipped[0].contains("private"));
        assert!(read(&pem.as_bytes()[..100], Algorithm::ES256).is_err());
        assert!(read(b"nothing", Algorithm::ES256).unwrap().keys.is_empty());
        let mixed =
            read((pem + &Signer::new(Algorithm::EdDSA, "c").pem()).as_bytes(), Algorithm::ES256).unwrap();
        assert_eq!((mixed.keys.len(), mixed.skipped.len()), (2, 1));
    }
}
