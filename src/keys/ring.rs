//! A ring of keys that verify one party's signatures, and the task that follows the files of all rings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jsonwebtoken::{Algorithm, Validation};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use super::file::checked;
use super::{Found, Key, KeyFile};

/// Longer tokens are refused unread. Providers write groups and roles into theirs, and a request's head has room for so much.
pub const MAX_TOKEN_BYTES: usize = 12 * 1024;
/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Keys that verify one party's signatures.
pub struct KeyRing {
    name: String,
    /// What this ring may hold at all.
    algorithms: &'static [Algorithm],
    file: Option<KeyFile>,
    /// What the file was when it was last looked at, so that the same trouble is told once.
    seen: Mutex<Result<Vec<u8>, String>>,
    keys: ArcSwap<Vec<Key>>,
}

/// Shows the name alone: some keys are secrets.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyRing").field(&self.name).finish()
    }
}

impl KeyRing {
    /// A ring that follows a file. Its name is for the log, and for telling rings apart.
    ///
    /// # Errors
    /// The file cannot be read, or has no key of these algorithms: one line.
    pub fn open(name: String, file: KeyFile, algorithms: &'static [Algorithm]) -> Result<Self, String> {
        let seen = file.read();
        let found = file.parse(&seen, algorithms)?;
        warn_of_skipped(&name, &found);
        Ok(Self {
            name,
            algorithms,
            file: Some(file),
            seen: Mutex::new(seen),
            keys: ArcSwap::from_pointee(found.keys),
        })
    }

    /// A ring of keys that never change.
    ///
    /// # Errors
    /// There is no key, or one of another algorithm.
    pub fn fixed(name: String, keys: Vec<Key>, algorithms: &'static [Algorithm]) -> Result<Self, String> {
        let keys = ArcSwap::from_pointee(checked(keys, algorithms)?);
        Ok(Self { name, algorithms, file: None, seen: Mutex::new(Ok(Vec::new())), keys })
    }

    /// What the ring is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a token of this name is tried with any key.
    pub fn has(&self, kid: Option<&str>) -> bool {
        self.keys.load().iter().any(|key| key.is_for(kid))
    }

    /// The claims of a compact JWS (RFC 7515) that one of the keys signed. The key decides about the algorithm, and the
    /// caller about times. `None` if it is malformed or forged, without saying which.
    pub fn verify<Claims: DeserializeOwned>(&self, token: &str) -> Option<Claims> {
        self.verify_and(token, |claims, _| claims)
    }

    /// The same; `read` sees the key, too.
    pub fn verify_and<Claims: DeserializeOwned, T>(
        &self,
        token: &str,
        read: impl FnOnce(Claims, &Key) -> T,
    ) -> Option<T> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let header = jsonwebtoken::decode_header(token).ok()?;
        // Whoever marks an extension as critical must not be understood without it: RFC 7515, section 4.1.11.
        if header.crit.is_some() {
            return None;
        }
        let kid = header.kid.as_deref();
        let keys = self.keys.load();
        let (claims, key) = keys.iter().filter(|key| key.is_for(kid)).find_map(|key| {
            let mut validation = Validation::new(key.algorithm);
            validation.validate_exp = false;
            validation.validate_aud = false;
            validation.required_spec_claims.clear();
            jsonwebtoken::decode(token, &key.verify, &validation).ok().map(|data| (data.claims, key))
        })?;
        Some(read(claims, key))
    }

    /// Looks at the file again and takes its keys, if it has any that are served. Whether they are new.
    ///
    /// # Errors
    /// What is wrong with the file, once for the same contents; the ring keeps the keys that it had.
    pub fn reload(&self) -> Result<bool, String> {
        let Some(file) = &self.file else { return Ok(false) };
        let found = file.read();
        let mut seen = self.seen.lock();
        // Its times would not do: a file that is written twice within one tick of them looks the same.
        if *seen == found {
            return Ok(false);
        }
        let keys = file.parse(&found, self.algorithms);
        *seen = found;
        let keys = keys?;
        warn_of_skipped(&self.name, &keys);
        self.keys.store(Arc::new(keys.keys));
        Ok(true)
    }
}

fn warn_of_skipped(ring: &str, found: &Found) {
    if let Some(why) = found.reasons() {
        tracing::warn!(ring, why, "keys skipped, what they sign is refused");
    }
}

/// Follows the files of these rings for ever.
pub async fn reload_forever(rings: Vec<Arc<KeyRing>>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        for ring in &rings {
            let look = ring.clone();
            match tokio::task::spawn_blocking(move || look.reload()).await {
                Ok(Ok(false)) => {}
                Ok(Ok(true)) => tracing::info!(ring = ring.name, "new keys were taken"),
                Ok(Err(problem)) => {
                    tracing::warn!(ring = ring.name, problem, "the new keys are refused, the old ones stay");
                }
                Err(error) => tracing::warn!(ring = ring.name, %error, "the keys could not be looked at"),
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
    fn every_algorithm_verifies_by_name_and_without_one() {
        let signers: Vec<_> =
            ALL.iter().enumerate().map(|(at, it)| Signer::new(*it, &at.to_string())).collect();
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
    fn keys_rotate_and_garbage_changes_nothing() {
        let (old, new) = (Signer::new(Algorithm::ES256, "old"), Signer::new(Algorithm::EdDSA, "new"));
        let (folder, ring) = ring(&jwks(&[&old]));
        let path = folder.path().join("keys");
        let holds = |signers: [bool; 2]| {
            assert_eq!([&old, &new].map(|it| verifies(&ring, &it.sign(&claims()))), signers);
        };
        assert_eq!(ring.reload(), Ok(false));
        holds([true, false]);
        fs::write(&path, jwks(&[&old, &new])).unwrap();
        assert_eq!(ring.reload(), Ok(true));
        holds([true, true]);

        let whole = jwks(&[&new]);
        for garbage in ["", "{}", "{\"keys\":[]}", &whole[..whole.len() - 1], "\u{0}\u{1}"] {
            fs::write(&path, garbage).unwrap();
            assert!(ring.reload().is_err(), "{garbage:?}");
            // The same trouble is told once.
            assert_eq!(ring.reload(), Ok(false));
            holds([true, true]);
        }
        fs::write(&path, vec![b' '; 300 * 1024]).unwrap();
        assert!(ring.reload().is_err_and(|it| it.contains("bytes")));
        fs::remove_file(&path).unwrap();
        assert!(ring.reload().is_err());
        assert_eq!(ring.reload(), Ok(false));
        holds([true, true]);
        fs::write(&path, whole).unwrap();
        assert_eq!(ring.reload(), Ok(true));
        holds([false, true]);
    }

    #[test]
    fn the_algorithm_is_never_the_tokens() {
        for public in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
            let signer = Signer::new(public, "a");
            let (_folder, ring) = ring(&jwks(&[&signer]));
            let token = signer.sign(&claims());
            // What is public about the key, used as the secret of HS256.
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
    fn a_token_is_taken_whole_or_not_at_all() {
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
    fn a_ring_holds_what_it_may() {
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
