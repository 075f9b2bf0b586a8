//! Key rings: the keys that verify one party's signatures, and the task that reloads their files.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jsonwebtoken::{Algorithm, Validation};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use super::key_file::check;
use super::{Key, KeyFile, KeySet};

/// Longer tokens are refused unread. Providers add groups and roles to theirs; the limit of the request head leaves this much.
pub const MAX_TOKEN_BYTES: usize = 12 * 1024;
/// How often the files are read.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// Keys that verify one party's signatures.
pub struct KeyRing {
    name: String,
    /// The algorithms that this ring accepts.
    algorithms: &'static [Algorithm],
    file: Option<KeyFile>,
    /// The last content of the file, so that a problem is reported once.
    content: Mutex<Result<Vec<u8>, String>>,
    keys: ArcSwap<Vec<Key>>,
}

/// Prints the name only: some keys are secrets.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyRing").field(&self.name).finish()
    }
}

impl KeyRing {
    /// A ring that reloads a file. The name appears in the log and identifies the ring.
    ///
    /// # Errors
    /// The file cannot be read, or has no key with these algorithms: one line.
    pub fn open(name: String, file: KeyFile, algorithms: &'static [Algorithm]) -> Result<Self, String> {
        let content = file.read();
        let set = file.parse(&content, algorithms)?;
        warn_of_skipped(&name, &set);
        Ok(Self {
            name,
            algorithms,
            file: Some(file),
            content: Mutex::new(content),
            keys: ArcSwap::from_pointee(set.keys),
        })
    }

    /// A ring of keys that never change.
    ///
    /// # Errors
    /// There is no key, or one with another algorithm.
    pub fn fixed(name: String, keys: Vec<Key>, algorithms: &'static [Algorithm]) -> Result<Self, String> {
        let keys = ArcSwap::from_pointee(check(keys, algorithms)?);
        Ok(Self { name, algorithms, file: None, content: Mutex::new(Ok(Vec::new())), keys })
    }

    /// The name of the ring.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether any key is tried for a token with this key id.
    pub fn has(&self, kid: Option<&str>) -> bool {
        self.keys.load().iter().any(|key| key.matches(kid))
    }

    /// Verifies a compact JWS (RFC 7515) and returns its claims; `None` if it is malformed or forged. The key determines the algorithm. The
    /// caller must check times and audience.
    pub fn verify<Claims: DeserializeOwned>(&self, token: &str) -> Option<Claims> {
        self.verify_and(token, |claims, _| claims)
    }

    /// Like `verify`, and passes the key to `read`.
    pub fn verify_and<Claims: DeserializeOwned, T>(
        &self,
        token: &str,
        read: impl FnOnce(Claims, &Key) -> T,
    ) -> Option<T> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let header = jsonwebtoken::decode_header(token).ok()?;
        // Critical extensions must be understood, and none is supported (RFC 7515, section 4.1.11).
        if header.crit.is_some() {
            return None;
        }
        let kid = header.kid.as_deref();
        let keys = self.keys.load();
        let (claims, key) = keys.iter().filter(|key| key.matches(kid)).find_map(|key| {
            let mut validation = Validation::new(key.algorithm);
            validation.validate_exp = false;
            validation.validate_aud = false;
            validation.required_spec_claims.clear();
            jsonwebtoken::decode(token, &key.verify, &validation).ok().map(|data| (data.claims, key))
        })?;
        Some(read(claims, key))
    }

    /// Reads the file again and replaces the keys if it has changed and has a supported key. Returns whether the keys were replaced.
    ///
    /// # Errors
    /// The problem of a changed file, once per content. The ring keeps its keys.
    pub fn reload(&self) -> Result<bool, String> {
        let Some(file) = &self.file else { return Ok(false) };
        let new_content = file.read();
        let mut content = self.content.lock();
        // Compares the bytes, since two writes can have the same modification time.
        if *content == new_content {
            return Ok(false);
        }
        let set = file.parse(&new_content, self.algorithms);
        *content = new_content;
        let set = set?;
        warn_of_skipped(&self.name, &set);
        self.keys.store(Arc::new(set.keys));
        Ok(true)
    }
}

fn warn_of_skipped(ring: &str, set: &KeySet) {
    if let Some(reasons) = set.skip_reasons() {
        tracing::warn!(ring, reasons, "unsupported keys skipped, tokens signed with them are refused");
    }
}

/// Reloads the files of these rings every second.
pub async fn reload_forever(rings: Vec<Arc<KeyRing>>) {
    loop {
        tokio::time::sleep(POLL_EVERY).await;
        for ring in &rings {
            let shared = ring.clone();
            match tokio::task::spawn_blocking(move || shared.reload()).await {
                Ok(Ok(false)) => {}
                Ok(Ok(true)) => tracing::info!(ring = ring.name, "keys reloaded"),
                Ok(Err(problem)) => {
                    tracing::warn!(
                        ring = ring.name,
                        problem,
                        "key file is invalid, the previous keys stay in use"
                    );
                }
                Err(error) => tracing::warn!(ring = ring.name, %error, "key reload failed"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::super::signer::{Signer, jwks};
    use super::*;

    const ALL: &[Algorithm] = &[Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256, Algorithm::HS256];

    fn claims() -> Value {
        json!({ "sub": "ada", "exp": 1, "aud": ["anybody"] })
    }

    fn ring(text: &str) -> (TempDir, KeyRing) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("keys"), text).unwrap();
        let file = KeyFile::Jwks(folder.path().join("keys"));
        let ring = KeyRing::open("a ring".into(), file, ALL).unwrap();
        (folder, ring)
    }

    fn verifies(ring: &KeyRing, token: &str) -> bool {
        ring.verify::<Value>(token).is_some_and(|it| it == claims())
    }

    #[test]
    fn verifies_every_algorithm_with_and_without_a_key_id() {
        let signers: Vec<_> = ALL
            .iter()
            .enumerate()
            .map(|(index, algorithm)| Signer::new(*algorithm, &index.to_string()))
            .collect();
        let (_folder, ring) = ring(&jwks(&signers.iter().collect::<Vec<_>>()));
        for signer in &signers {
            assert!(verifies(&ring, &signer.sign(&claims())));
            let mut header = signer.header.clone();
            header.kid = None;
            assert!(verifies(&ring, &signer.sign_as(&header, &claims())));
            for wrong in ["", "9", if signer.header.kid.as_deref() == Some("0") { "1" } else { "0" }] {
                header.kid = Some(wrong.into());
                assert!(!verifies(&ring, &signer.sign_as(&header, &claims())), "{wrong:?}");
            }
            let stranger = Signer::new(signer.header.alg, signer.header.kid.as_deref().unwrap());
            assert!(!verifies(&ring, &stranger.sign(&claims())));
        }
    }

    #[test]
    fn keys_rotate_and_invalid_files_change_nothing() {
        let (old, new) = (Signer::new(Algorithm::ES256, "old"), Signer::new(Algorithm::EdDSA, "new"));
        let (folder, ring) = ring(&jwks(&[&old]));
        let path = folder.path().join("keys");
        let assert_verifies = |signers: [bool; 2]| {
            assert_eq!([&old, &new].map(|signer| verifies(&ring, &signer.sign(&claims()))), signers);
        };
        assert_eq!(ring.reload(), Ok(false));
        assert_verifies([true, false]);
        fs::write(&path, jwks(&[&old, &new])).unwrap();
        assert_eq!(ring.reload(), Ok(true));
        assert_verifies([true, true]);

        let whole = jwks(&[&new]);
        for garbage in ["", "{}", "{\"keys\":[]}", &whole[..whole.len() - 1], "\u{0}\u{1}"] {
            fs::write(&path, garbage).unwrap();
            assert!(ring.reload().is_err(), "{garbage:?}");
            // A problem is reported once.
            assert_eq!(ring.reload(), Ok(false));
            assert_verifies([true, true]);
        }
        fs::write(&path, vec![b' '; 300 * 1024]).unwrap();
        assert!(ring.reload().is_err_and(|it| it.contains("bytes")));
        fs::remove_file(&path).unwrap();
        assert!(ring.reload().is_err());
        assert_eq!(ring.reload(), Ok(false));
        assert_verifies([true, true]);
        fs::write(&path, whole).unwrap();
        assert_eq!(ring.reload(), Ok(true));
        assert_verifies([false, true]);
    }

    #[test]
    fn the_algorithm_of_the_header_is_ignored() {
        for public in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
            let signer = Signer::new(public, "a");
            let (_folder, ring) = ring(&jwks(&[&signer]));
            let token = signer.sign(&claims());
            // The public key as an HS256 secret.
            let mut header = signer.header.clone();
            header.alg = Algorithm::HS256;
            let text = signer.jwk().to_string();
            for secret in [signer.pem().as_bytes(), signer.pem().trim_end().as_bytes(), text.as_bytes()] {
                let key = jsonwebtoken::EncodingKey::from_secret(secret);
                assert!(!verifies(&ring, &jsonwebtoken::encode(&header, &claims(), &key).unwrap()));
            }
            let payload = token.split('.').nth(1).unwrap();
            // {"alg":"none","typ":"JWT"}
            for unsigned in ["eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", token.split('.').next().unwrap()] {
                assert!(!verifies(&ring, &format!("{unsigned}.{payload}.")));
            }
        }
        let signer = Signer::new(Algorithm::HS256, "a");
        let (_folder, ring) = ring(&jwks(&[&signer]));
        for longer in [Algorithm::HS384, Algorithm::HS512] {
            let mut header = signer.header.clone();
            header.alg = longer;
            assert!(!verifies(&ring, &signer.sign_as(&header, &claims())));
        }
    }

    #[test]
    fn changed_tokens_do_not_verify() {
        let signer = Signer::new(Algorithm::ES256, "a");
        let (_folder, ring) = ring(&jwks(&[&signer]));
        let token = signer.sign(&claims());
        for cut in 0..token.len() {
            assert!(!verifies(&ring, &token[..cut]));
        }
        for longer in [format!("{token}."), format!("{token}A"), format!(" {token}"), format!("{token}.A")] {
            assert!(!verifies(&ring, &longer));
        }
        let mut header = signer.header.clone();
        header.crit = Some(vec!["b64".into()]);
        assert!(!verifies(&ring, &signer.sign_as(&header, &claims())));
        let large = json!({ "sub": "a".repeat(MAX_TOKEN_BYTES) });
        assert!(ring.verify::<Value>(&signer.sign(&large)).is_none());
    }

    #[test]
    fn a_ring_holds_keys_of_its_algorithms_only() {
        let signer = Signer::new(Algorithm::HS256, "a");
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::Jwks(folder.path().join("keys"));
        let open = |algorithms| KeyRing::open("a ring".into(), file.clone(), algorithms).err();
        assert!(open(ALL).unwrap().contains("keys: "));
        fs::write(folder.path().join("keys"), jwks(&[&signer])).unwrap();
        assert!(open(&[Algorithm::ES256]).unwrap().contains("HS256"));
        assert!(open(ALL).is_none());
        let secret = |length| Key::secret(None, &vec![7; length]);
        assert!(secret(31).is_err());
        let fixed = KeyRing::fixed("fixed".into(), vec![secret(32).unwrap()], ALL).unwrap();
        assert_eq!((fixed.name(), fixed.reload()), ("fixed", Ok(false)));
        let key = jsonwebtoken::EncodingKey::from_secret(&[7; 32]);
        let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims(), &key).unwrap();
        assert!(verifies(&fixed, &token));
        assert!(KeyRing::fixed("none".into(), Vec::new(), ALL).is_err());
    }
}
