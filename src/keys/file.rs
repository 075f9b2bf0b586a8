//! The file that a ring follows: a JWK set or PEM. A key that is not served here is skipped, and the others count (RFC 7517, section
//! 5): one new kind of key must not keep a provider from rotating the rest, nor removed keys in force.

use std::io::Read;
use std::path::{Path, PathBuf};

use jsonwebtoken::Algorithm;

use super::{Key, jwks, pem};

/// A token without `kid` is tried with all of them, so they are few; those behind are skipped.
const MAX_KEYS: usize = 32;
/// Skipped keys that a log line or an error tells of.
const MAX_REASONS: usize = 8;
/// Longer files are refused.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// The keys of a file, and why others were skipped: a line each, without any key's value.
#[derive(Default)]
pub struct Found {
    /// Those that verify signatures.
    pub keys: Vec<Key>,
    /// The others.
    pub skipped: Vec<String>,
}

impl Found {
    /// Keeps the keys that a ring may hold.
    ///
    /// # Errors
    /// Nothing is left: why.
    fn served(self, algorithms: &'static [Algorithm]) -> Result<Self, String> {
        let mut served = Self { keys: Vec::new(), skipped: self.skipped };
        for key in self.keys {
            let name = key.kid.as_deref().unwrap_or_default();
            if !algorithms.contains(&key.algorithm) {
                let kind = key.algorithm;
                served
                    .skipped
                    .push(format!("key {name:?}: {kind:?} is not served here, only {algorithms:?}"));
            } else if served.keys.len() == MAX_KEYS {
                served.skipped.push(format!("key {name:?}: it stands behind {MAX_KEYS} others"));
            } else {
                served.keys.push(key);
            }
        }
        match (served.keys.is_empty(), served.reasons()) {
            (false, _) => Ok(served),
            (true, None) => Err("it has no key that verifies signatures".to_owned()),
            (true, Some(why)) => Err(format!("it has no key that is served here: {why}")),
        }
    }

    /// Why keys were skipped, in one line.
    pub(super) fn reasons(&self) -> Option<String> {
        let mut told = self.skipped.iter().take(MAX_REASONS).cloned().collect::<Vec<_>>();
        if let Some(more @ 1..) = self.skipped.len().checked_sub(MAX_REASONS) {
            told.push(format!("{more} more"));
        }
        (!told.is_empty()).then(|| told.join("; "))
    }
}

/// Where a ring's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFile {
    /// A JWK set (RFC 7517).
    Jwks(PathBuf),
    /// One or more `PUBLIC KEY` blocks (RFC 7468) of one algorithm.
    Pem(PathBuf, Algorithm),
}

impl KeyFile {
    /// The file that a setting names, beside the settings' own file.
    ///
    /// # Errors
    /// It names none, or both kinds.
    pub fn named(
        folder: &Path,
        jwks_file: Option<String>,
        public_key_file: Option<String>,
        algorithm: Option<Algorithm>,
    ) -> Result<Self, String> {
        match (jwks_file, public_key_file, algorithm) {
            (Some(jwks), None, None) => Ok(Self::Jwks(folder.join(jwks))),
            (None, Some(pem), Some(algorithm)) => Ok(Self::Pem(folder.join(pem), algorithm)),
            _ => Err("must have either jwks_file, or public_key_file and algorithm".to_owned()),
        }
    }

    fn path(&self) -> &PathBuf {
        match self {
            Self::Jwks(path) | Self::Pem(path, _) => path,
        }
    }

    /// What stands there now.
    pub(super) fn read(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let read = std::fs::File::open(self.path())
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
        match read {
            Ok(length) if length as u64 > MAX_FILE_BYTES => {
                Err(format!("{}: more than {MAX_FILE_BYTES} bytes", self.path().display()))
            }
            Ok(_) => Ok(bytes),
            Err(error) => Err(format!("{}: {error}", self.path().display())),
        }
    }

    /// The keys of what stood there.
    pub(super) fn parse(
        &self,
        found: &Result<Vec<u8>, String>,
        algorithms: &'static [Algorithm],
    ) -> Result<Found, String> {
        let bytes = found.as_ref().map_err(Clone::clone)?;
        let keys = match self {
            Self::Jwks(_) => jwks::read(bytes),
            Self::Pem(_, algorithm) => pem::read(bytes, *algorithm),
        };
        keys.and_then(|found| found.served(algorithms))
            .map_err(|problem| format!("{}: {problem}", self.path().display()))
    }
}

/// Keys of our own: some, but not too many, and all of these algorithms.
pub(super) fn checked(keys: Vec<Key>, algorithms: &'static [Algorithm]) -> Result<Vec<Key>, String> {
    let served = Found { keys, skipped: Vec::new() }.served(algorithms)?;
    match served.reasons() {
        Some(why) => Err(why),
        None => Ok(served.keys),
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

    const SERVED: &[Algorithm] = &[Algorithm::EdDSA];

    /// Keys that providers publish beside the ones that are served, and what are none.
    static UNSERVED: LazyLock<Vec<Value>> = LazyLock::new(|| {
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
    fn keys_behind_the_most_that_are_tried_are_skipped() {
        let signers: Vec<_> = (0..MAX_KEYS + 3).map(|it| Signer::new(SERVED[0], &it.to_string())).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        fs::write(&path, jwks(&signers.iter().collect::<Vec<_>>())).unwrap();
        let ring = KeyRing::open("a ring".into(), KeyFile::Jwks(path), SERVED).unwrap();
        let verifies = |it: &Signer| ring.verify::<Value>(&it.sign(&json!({ "sub": "ada" }))).is_some();
        assert_eq!(signers.iter().map(verifies).filter(|it| *it).count(), MAX_KEYS);
        assert!(verifies(&signers[MAX_KEYS - 1]) && !verifies(&signers[MAX_KEYS]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        /// RFC 7517, section 5.
        #[test]
        fn an_unsupported_key_does_not_block_rotation(
            order in Just((0..UNSERVED.len()).collect::<Vec<_>>()).prop_shuffle(), at in any::<prop::sample::Index>()
        ) {
            let claims = json!({ "sub": "ada" });
            let (old, new) = (Signer::new(SERVED[0], "old"), Signer::new(SERVED[0], "new"));
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("keys.json");
            let publish = |signer: Option<&Signer>| {
                let mut keys: Vec<_> = order.iter().map(|it| UNSERVED[*it].clone()).collect();
                let at = at.index(keys.len() + 1);
                keys.splice(at..at, signer.map(Signer::jwk));
                fs::write(&path, json!({ "keys": keys }).to_string()).unwrap();
            };
            publish(Some(&old));
            let ring = KeyRing::open("a ring".into(), KeyFile::Jwks(path.clone()), SERVED).unwrap();
            let verifies = || [&old, &new].map(|it| ring.verify::<Value>(&it.sign(&claims)).is_some());
            prop_assert_eq!(verifies(), [true, false]);
            publish(Some(&new));
            prop_assert_eq!(ring.reload(), Ok(true));
            prop_assert_eq!(verifies(), [false, true]);
            publish(None);
            prop_assert!(ring.reload().is_err_and(|it| it.contains("no key that is served")));
            prop_assert_eq!(verifies(), [false, true], "of that set nothing is left");
            prop_assert!(KeyRing::open("another".into(), KeyFile::Jwks(path.clone()), SERVED).is_err());
        }
    }
}
