//! The file of a key ring: a JWK set or PEM. Unsupported keys are skipped and the others are used (RFC 7517, section 5), so that a key of a
//! new kind does not stop a provider from rotating its other keys.

use std::io::Read;
use std::path::{Path, PathBuf};

use jsonwebtoken::Algorithm;

use super::{Key, jwks, pem};

/// Limits the keys that a token without `kid` is tried with. Further keys are skipped.
const MAX_KEYS: usize = 32;
/// Skipped keys that are listed in a log line or an error.
const MAX_REASONS: usize = 8;
/// Longer files are refused.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// The keys of a file.
#[derive(Default)]
pub struct KeySet {
    /// Keys that verify signatures.
    pub keys: Vec<Key>,
    /// Why each of the other keys was skipped, without its value.
    pub skipped: Vec<String>,
}

impl KeySet {
    /// Keeps the keys with these algorithms.
    ///
    /// # Errors
    /// No key is left: the reasons.
    fn restricted_to(self, algorithms: &'static [Algorithm]) -> Result<Self, String> {
        let mut set = Self { keys: Vec::new(), skipped: self.skipped };
        for key in self.keys {
            let kid = key.kid.as_deref().unwrap_or_default();
            if !algorithms.contains(&key.algorithm) {
                let algorithm = key.algorithm;
                set.skipped
                    .push(format!("key {kid:?}: {algorithm:?} is not supported here, only {algorithms:?}"));
            } else if set.keys.len() == MAX_KEYS {
                set.skipped.push(format!("key {kid:?}: only the first {MAX_KEYS} keys are used"));
            } else {
                set.keys.push(key);
            }
        }
        match (set.keys.is_empty(), set.skip_reasons()) {
            (false, _) => Ok(set),
            (true, None) => Err("no key that verifies signatures".to_owned()),
            (true, Some(reasons)) => Err(format!("no supported key: {reasons}")),
        }
    }

    /// Why keys were skipped, in one line.
    pub(super) fn skip_reasons(&self) -> Option<String> {
        let mut reasons = self.skipped.iter().take(MAX_REASONS).cloned().collect::<Vec<_>>();
        if let Some(more @ 1..) = self.skipped.len().checked_sub(MAX_REASONS) {
            reasons.push(format!("{more} more"));
        }
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

/// A file with keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFile {
    /// A JWK set (RFC 7517).
    Jwks(PathBuf),
    /// One or more `PUBLIC KEY` blocks (RFC 7468) of one algorithm.
    Pem(PathBuf, Algorithm),
}

impl KeyFile {
    /// The key file in the settings, relative to `folder`.
    ///
    /// # Errors
    /// The settings name neither or both kinds of files.
    pub fn from_settings(
        folder: &Path,
        jwks_file: Option<String>,
        public_key_file: Option<String>,
        algorithm: Option<Algorithm>,
    ) -> Result<Self, String> {
        match (jwks_file, public_key_file, algorithm) {
            (Some(jwks), None, None) => Ok(Self::Jwks(folder.join(jwks))),
            (None, Some(pem), Some(algorithm)) => Ok(Self::Pem(folder.join(pem), algorithm)),
            _ => Err("set either jwks_file, or public_key_file and algorithm".to_owned()),
        }
    }

    fn path(&self) -> &PathBuf {
        match self {
            Self::Jwks(path) | Self::Pem(path, _) => path,
        }
    }

    /// Reads the file.
    pub(super) fn read(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let read = std::fs::File::open(self.path())
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
        match read {
            Ok(length) if length as u64 > MAX_FILE_BYTES => {
                Err(format!("{}: larger than {MAX_FILE_BYTES} bytes", self.path().display()))
            }
            Ok(_) => Ok(bytes),
            Err(error) => Err(format!("{}: {error}", self.path().display())),
        }
    }

    /// Parses the result of `read`.
    pub(super) fn parse(
        &self,
        content: &Result<Vec<u8>, String>,
        algorithms: &'static [Algorithm],
    ) -> Result<KeySet, String> {
        let bytes = content.as_ref().map_err(Clone::clone)?;
        let set = match self {
            Self::Jwks(_) => jwks::read(bytes),
            Self::Pem(_, algorithm) => pem::read(bytes, *algorithm),
        };
        set.and_then(|set| set.restricted_to(algorithms))
            .map_err(|problem| format!("{}: {problem}", self.path().display()))
    }
}

/// Checks keys that do not come from a file: between 1 and 32 keys, all with these algorithms.
pub(super) fn check(keys: Vec<Key>, algorithms: &'static [Algorithm]) -> Result<Vec<Key>, String> {
    let set = KeySet { keys, skipped: Vec::new() }.restricted_to(algorithms)?;
    match set.skip_reasons() {
        Some(reasons) => Err(reasons),
        None => Ok(set.keys),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::KeyRing;
    use super::super::signer::{Signer, jwks};
    use super::*;

    const SUPPORTED: &[Algorithm] = &[Algorithm::EdDSA];

    /// Keys that providers may publish together with supported ones, and invalid ones.
    static UNSUPPORTED: LazyLock<Vec<Value>> = LazyLock::new(|| {
        let mut private = Signer::new(Algorithm::EdDSA, "private").jwk();
        private["d"] = "AAAA".into();
        vec![
            json!({ "kty": "AKP", "alg": "ML-DSA-65", "kid": "pq", "pub": "AAAA" }),
            json!({ "kty": "EC", "crv": "P-384", "x": "AAAA", "y": "AAAA", "kid": "384" }),
            json!({ "kty": "EC", "crv": "secp256k1", "x": "AAAA", "y": "AAAA" }),
            json!({ "kty": "OKP", "crv": "X25519", "x": "AAAA" }),
            json!({ "kty": "RSA", "alg": "PS256", "n": "AQAB", "e": "AQAB" }),
            json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" }),
            json!({ "kty": "oct", "k": "c2hvcnQ" }),
            json!({ "kty": "OKP", "crv": "Ed25519" }),
            json!({ "kty": 7 }),
            json!({ "kid": "nothing else" }),
            json!([]),
            Value::Null,
            Signer::new(Algorithm::HS256, "secret").jwk(),
            Signer::new(Algorithm::RS256, "rsa").jwk(),
            private,
        ]
    });

    #[test]
    fn only_the_first_keys_are_used() {
        let signers: Vec<_> =
            (0..MAX_KEYS + 3).map(|kid| Signer::new(SUPPORTED[0], &kid.to_string())).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        fs::write(&path, jwks(&signers.iter().collect::<Vec<_>>())).unwrap();
        let ring = KeyRing::open("a ring".into(), KeyFile::Jwks(path), SUPPORTED).unwrap();
        let verifies =
            |signer: &Signer| ring.verify::<Value>(&signer.sign(&json!({ "sub": "ada" }))).is_some();
        assert_eq!(signers.iter().filter(|signer| verifies(signer)).count(), MAX_KEYS);
        assert!(verifies(&signers[MAX_KEYS - 1]) && !verifies(&signers[MAX_KEYS]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        /// RFC 7517, section 5.
        #[test]
        fn unsupported_keys_do_not_stop_rotation(
            order in Just((0..UNSUPPORTED.len()).collect::<Vec<_>>()).prop_shuffle(), at in any::<prop::sample::Index>()
        ) {
            let claims = json!({ "sub": "ada" });
            let (old, new) = (Signer::new(SUPPORTED[0], "old"), Signer::new(SUPPORTED[0], "new"));
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("keys.json");
            let publish = |signer: Option<&Signer>| {
                let mut keys: Vec<_> = order.iter().map(|index| UNSUPPORTED[*index].clone()).collect();
                let at = at.index(keys.len() + 1);
                keys.splice(at..at, signer.map(Signer::jwk));
                fs::write(&path, json!({ "keys": keys }).to_string()).unwrap();
            };
            publish(Some(&old));
            let ring = KeyRing::open("a ring".into(), KeyFile::Jwks(path.clone()), SUPPORTED).unwrap();
            let verifies = || [&old, &new].map(|signer| ring.verify::<Value>(&signer.sign(&claims)).is_some());
            prop_assert_eq!(verifies(), [true, false]);
            publish(Some(&new));
            prop_assert_eq!(ring.reload(), Ok(true));
            prop_assert_eq!(verifies(), [false, true]);
            publish(None);
            prop_assert!(ring.reload().is_err_and(|problem| problem.contains("no supported key")));
            prop_assert_eq!(verifies(), [false, true], "a set without a supported key changes nothing");
            prop_assert!(KeyRing::open("another".into(), KeyFile::Jwks(path.clone()), SUPPORTED).is_err());
        }
    }
}
