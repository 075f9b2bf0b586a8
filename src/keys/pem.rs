//! Public keys as PEM (RFC 7468): `PUBLIC KEY` blocks, one or more, so that an old and a new key can stand side by side.

use jsonwebtoken::Algorithm;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

use super::Key;

/// Reads every public key; they have no names.
///
/// # Errors
/// What is wrong with the first one that is wrong.
pub fn read(bytes: &[u8], algorithm: Algorithm) -> Result<Vec<Key>, String> {
    if String::from_utf8_lossy(bytes).contains("PRIVATE KEY-----") {
        return Err("it has a private key; to verify, the public key is enough".into());
    }
    SubjectPublicKeyInfoDer::pem_slice_iter(bytes)
        .map(|found| {
            let der = found.map_err(|_| "it is not PEM: RFC 7468".to_owned())?;
            Key::public(None, algorithm, &der)
        })
        .collect()
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
                assert_eq!(read(pem.as_bytes(), named).is_ok(), made == named, "{made:?} as {named:?}");
            }
            for never in [Algorithm::HS256, Algorithm::ES384, Algorithm::PS256] {
                assert!(read(pem.as_bytes(), never).is_err());
            }
        }
    }

    #[test]
    fn several_keys_stand_in_one_file_and_private_ones_in_none() {
        let pem = Signer::new(Algorithm::ES256, "a").pem() + &Signer::new(Algorithm::ES256, "b").pem();
        assert_eq!(read(pem.as_bytes(), Algorithm::ES256).unwrap().len(), 2);
        let private = pem.replace("PUBLIC", "PRIVATE");
        assert!(read(private.as_bytes(), Algorithm::ES256).err().unwrap().contains("private"));
        assert!(read(&pem.as_bytes()[..100], Algorithm::ES256).is_err());
        assert!(read(b"nothing", Algorithm::ES256).unwrap().is_empty());
    }
}
