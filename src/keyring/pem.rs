//! PEM files (RFC 7468) with one or more `PUBLIC KEY` blocks, so that an old and a new key can be used together.

use jsonwebtoken::Algorithm;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

use super::{Key, KeySet};

/// Reads the public keys of an algorithm. The keys have no key id. Other keys are skipped, with a reason.
///
/// # Errors
/// Not PEM.
pub fn read(bytes: &[u8], algorithm: Algorithm) -> Result<KeySet, String> {
    let mut set = KeySet::default();
    if String::from_utf8_lossy(bytes).contains("PRIVATE KEY-----") {
        set.skipped.push("the file contains a private key; provide the public key only".into());
    }
    for (index, block) in SubjectPublicKeyInfoDer::pem_slice_iter(bytes).enumerate() {
        let der = block.map_err(|_| "not PEM (RFC 7468)".to_owned())?;
        match Key::public(None, algorithm, &der) {
            Ok(key) => set.keys.push(key),
            Err(problem) => set.skipped.push(format!("key {}: {problem}", index + 1)),
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::super::signer::Signer;
    use super::*;

    const KINDS: [Algorithm; 3] = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];

    #[test]
    fn a_key_is_read_as_its_own_algorithm_only() {
        for actual in KINDS {
            let pem = Signer::new(actual, "a").pem();
            for declared in KINDS {
                let set = read(pem.as_bytes(), declared).unwrap();
                let is_own = actual == declared;
                let counts = (usize::from(is_own), usize::from(!is_own));
                assert_eq!((set.keys.len(), set.skipped.len()), counts, "{actual:?} as {declared:?}");
            }
            for unsupported in [Algorithm::HS256, Algorithm::ES384, Algorithm::PS256] {
                assert!(read(pem.as_bytes(), unsupported).unwrap().keys.is_empty());
            }
        }
    }

    #[test]
    fn reads_several_keys_and_skips_private_ones() {
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
