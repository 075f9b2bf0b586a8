//! The file that a ring follows: a JWK set or PEM, read whole or not at all.

use std::io::Read;
use std::path::{Path, PathBuf};

use jsonwebtoken::Algorithm;

use super::{Key, jwks, pem};

/// A token without `kid` is tried with all of them, so they are few.
const MAX_KEYS: usize = 32;
/// Longer files are refused.
const MAX_FILE_BYTES: u64 = 256 * 1024;

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
    ) -> Result<Vec<Key>, String> {
        let bytes = found.as_ref().map_err(Clone::clone)?;
        let keys = match self {
            Self::Jwks(_) => jwks::read(bytes),
            Self::Pem(_, algorithm) => pem::read(bytes, *algorithm),
        };
        keys.and_then(|keys| checked(keys, algorithms))
            .map_err(|problem| format!("{}: {problem}", self.path().display()))
    }
}

/// Keys that are some, but not too many, and of these algorithms.
pub(super) fn checked(keys: Vec<Key>, algorithms: &'static [Algorithm]) -> Result<Vec<Key>, String> {
    if keys.is_empty() || keys.len() > MAX_KEYS {
        return Err(format!("it must have 1 to {MAX_KEYS} keys that verify signatures, not {}", keys.len()));
    }
    match keys.iter().find(|it| !algorithms.contains(&it.algorithm)) {
        Some(key) => Err(format!("keys for {:?} are not served here, only {algorithms:?}", key.algorithm)),
        None => Ok(keys),
    }
}
