//! Trusted identity providers. The file that lists them is read at startup; the key files it names are reloaded while the node runs.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use quick_cache::sync::Cache;
use serde::Deserialize;
use toml::{Table, Value};

use super::external_identities::ExternalUser;
use crate::config::{list, one_line};
use crate::keyring::{Algorithm, KeyFile, KeyRing};

/// Asymmetric algorithms only, so that this service can verify tokens but not sign them.
const ALGORITHMS: &[Algorithm] = &[Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];
/// Limit of `iss` and `aud`. The table has the same limit for `sub`.
const MAX_NAME_BYTES: usize = 255;

/// Users that are cached. One takes about 300 bytes, so 30 MB at most.
const CACHED_USERS: usize = 100_000;

/// An identity provider.
pub struct Issuer {
    /// The `iss` of its tokens.
    pub name: String,
    /// Must be in `aud` of its tokens.
    pub audience: String,
    /// The claim from which the name of a new user is derived.
    pub username_claim: String,
    /// The keys that verify its tokens.
    pub ring: Arc<KeyRing>,
}

/// All providers, and a cache of their users.
pub struct Issuers {
    pub(super) issuers: Vec<Issuer>,
    /// By issuer and subject. A subject's user, number and name never change.
    pub(super) known: Cache<(String, String), ExternalUser>,
}

impl Default for Issuers {
    fn default() -> Self {
        Self { issuers: Vec::new(), known: Cache::new(CACHED_USERS) }
    }
}

/// All problems of the file, one line each.
#[derive(Debug, thiserror::Error)]
#[error("{}", list("it", .0))]
pub struct IssuerProblems(pub Vec<String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerConfig {
    issuer: String,
    audience: String,
    jwks_file: Option<String>,
    public_key_file: Option<String>,
    algorithm: Option<Algorithm>,
    #[serde(default = "preferred_username")]
    username_claim: String,
}

/// The standard claim for a user's name (OpenID Connect Core, section 5.1).
fn preferred_username() -> String {
    "preferred_username".to_owned()
}

impl Issuers {
    /// Reads the file. An empty file name means no providers.
    ///
    /// # Errors
    /// All problems, those of the key files included.
    pub fn load(file: &str) -> Result<Self, IssuerProblems> {
        if file.is_empty() {
            return Ok(Self::default());
        }
        let path = Path::new(file);
        let text = std::fs::read_to_string(path)
            .map_err(|error| IssuerProblems(vec![format!("cannot read {file}: {error}")]))?;
        let mut table: Table = text
            .parse()
            .map_err(|error| IssuerProblems(vec![format!("{file} is not TOML: {}", one_line(&error))]))?;
        let Some(Value::Array(entries)) = table.remove("issuer") else {
            return Err(IssuerProblems(vec![format!("{file} has no [[issuer]]")]));
        };
        let mut problems: Vec<_> = table.keys().map(|key| format!("{key}: unknown")).collect();
        let mut issuers: Vec<Issuer> = Vec::new();
        // Key files are relative to this file, not to the working directory.
        let folder = path.parent().unwrap_or(Path::new(""));
        for (index, entry) in entries.into_iter().enumerate() {
            let config = entry.try_into().map_err(|error| vec![one_line(&error)]);
            match config.and_then(|config: IssuerConfig| config.read(folder)) {
                Ok(issuer) => issuers.push(issuer),
                Err(found) => problems
                    .extend(found.into_iter().map(|problem| format!("issuer {}: {problem}", index + 1))),
            }
        }
        let mut names = HashSet::new();
        let duplicates = issuers.iter().filter(|issuer| !names.insert(&issuer.name));
        problems.extend(duplicates.map(|issuer| format!("issuer {:?} is listed twice", issuer.name)));
        if problems.is_empty() {
            Ok(Self { issuers, ..Self::default() })
        } else {
            Err(IssuerProblems(problems))
        }
    }

    /// The key rings to reload.
    pub fn rings(&self) -> impl Iterator<Item = Arc<KeyRing>> {
        self.issuers.iter().map(|it| it.ring.clone())
    }
}

impl IssuerConfig {
    fn read(self, folder: &Path) -> Result<Issuer, Vec<String>> {
        let mut problems = Vec::new();
        for (key, text) in [("issuer", &self.issuer), ("audience", &self.audience)] {
            if !(1..=MAX_NAME_BYTES).contains(&text.len()) || text.chars().any(char::is_control) {
                problems.push(format!("{key}: use 1 to {MAX_NAME_BYTES} bytes without control characters"));
            }
        }
        let file = KeyFile::from_settings(folder, self.jwks_file, self.public_key_file, self.algorithm);
        match file.and_then(|file| KeyRing::open(self.issuer.clone(), file, ALGORITHMS)) {
            Ok(ring) if problems.is_empty() => Ok(Issuer {
                name: self.issuer,
                audience: self.audience,
                username_claim: self.username_claim,
                ring: Arc::new(ring),
            }),
            outcome => {
                problems.extend(outcome.err());
                Err(problems)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::keyring::signer::{Signer, jwks};

    fn load(text: &str) -> Result<Issuers, IssuerProblems> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("issuers.toml", text);
        write("keys.json", &jwks(&[&Signer::new(Algorithm::ES256, "a")]));
        write("secret.json", &jwks(&[&Signer::new(Algorithm::HS256, "a")]));
        write("key.pem", &Signer::new(Algorithm::EdDSA, "a").pem());
        Issuers::load(folder.path().join("issuers.toml").to_str().unwrap())
    }

    #[test]
    fn key_files_are_relative_to_the_file() {
        let issuers = load(
            "[[issuer]]
             issuer = \"a\"\naudience = \"laurel\"\njwks_file = \"keys.json\"
             [[issuer]]
             issuer = \"b\"\naudience = \"laurel\"\npublic_key_file = \"key.pem\"\nalgorithm = \"EdDSA\"
             username_claim = \"nickname\"",
        )
        .unwrap();
        let claims: Vec<_> = issuers.issuers.iter().map(|it| it.username_claim.as_str()).collect();
        assert_eq!(claims, ["preferred_username", "nickname"]);
        assert_eq!(issuers.rings().map(|it| it.name().to_owned()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(Issuers::load("").unwrap().issuers.is_empty());
    }

    #[test]
    fn reports_all_problems_together() {
        let issuer = |rest: &str| format!("[[issuer]]\nissuer = \"a\"\naudience = \"laurel\"\n{rest}\n");
        let text = [
            "nothing = 1".to_owned(),
            issuer("jwks_file = \"keys.json\""),
            issuer("jwks_file = \"keys.json\""),
            issuer("jwks_file = \"nowhere.json\""),
            issuer("jwks_file = \"secret.json\""),
            issuer("public_key_file = \"key.pem\""),
            issuer("public_key_file = \"key.pem\"\nalgorithm = \"ES256\""),
            issuer("public_key_file = \"key.pem\"\nalgorithm = \"HS256\""),
            issuer("jwks_file = \"keys.json\"\nalgorithm = \"ES256\""),
            issuer("jwks_file = \"keys.json\"\nrole = \"admin\""),
            "[[issuer]]\nissuer = \"\"\naudience = \"\"\njwks_file = \"keys.json\"".to_owned(),
        ];
        let problems = load(&text.join("\n")).err().unwrap();
        assert_eq!(problems.0.len(), 11, "{problems}");
        for text in ["", "issuer = 1", "[[issuer]"] {
            assert_eq!(load(text).err().unwrap().0.len(), 1, "{text:?}");
        }
        assert!(Issuers::load("nowhere/issuers.toml").is_err());
    }
}
