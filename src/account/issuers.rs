//! Outside identity providers: whom we believe, about what, and by which keys. Their file is read at the start; the key
//! files that it names are followed while the node runs.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use toml::{Table, Value};

use super::lately::Lately;
use super::outside_users::KnownUser;
use crate::config::{list, one_line};
use crate::keys::{Algorithm, KeyFile, KeyRing};

/// Public keys alone: whoever can verify must not be able to sign.
const ALGORITHMS: &[Algorithm] = &[Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];
/// Bounds `iss` and `aud`, as the table does `sub`.
const MAX_NAME_BYTES: usize = 255;

/// One provider.
pub struct Issuer {
    /// Its tokens' `iss`.
    pub name: String,
    /// What their `aud` must have.
    pub audience: String,
    /// The claim that a new user's name is made of.
    pub username_claim: String,
    /// What signs them.
    pub ring: Arc<KeyRing>,
}

/// All providers, and the users that came from them lately.
#[derive(Default)]
pub struct Issuers {
    pub(super) issuers: Vec<Issuer>,
    /// By issuer and subject: a subject's user, number and name never change.
    pub(super) known: Lately<(String, String), KnownUser>,
}

/// Everything that is wrong with the file, a line each.
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

/// The name that people have at their provider (OpenID Connect Core, section 5.1).
fn preferred_username() -> String {
    "preferred_username".to_owned()
}

impl Issuers {
    /// Reads the file; no provider if the name is empty.
    ///
    /// # Errors
    /// Every problem at once, those of the key files included.
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
        // The files that it names lie beside it, wherever the node was started.
        let folder = path.parent().unwrap_or(Path::new(""));
        for (place, entry) in entries.into_iter().enumerate() {
            let config = entry.try_into().map_err(|error| vec![one_line(&error)]);
            match config.and_then(|config: IssuerConfig| config.read(folder)) {
                Ok(issuer) => issuers.push(issuer),
                Err(found) => {
                    problems.extend(found.into_iter().map(|it| format!("issuer {}: {it}", place + 1)))
                }
            }
        }
        let mut names = HashSet::new();
        let twice = issuers.iter().filter(|it| !names.insert(&it.name));
        problems.extend(twice.map(|it| format!("issuer {:?} is there twice", it.name)));
        if problems.is_empty() {
            Ok(Self { issuers, ..Self::default() })
        } else {
            Err(IssuerProblems(problems))
        }
    }

    /// The rings whose files are to be followed.
    pub fn rings(&self) -> impl Iterator<Item = Arc<KeyRing>> {
        self.issuers.iter().map(|it| it.ring.clone())
    }
}

impl IssuerConfig {
    fn read(self, folder: &Path) -> Result<Issuer, Vec<String>> {
        let mut problems = Vec::new();
        for (key, text) in [("issuer", &self.issuer), ("audience", &self.audience)] {
            if !(1..=MAX_NAME_BYTES).contains(&text.len()) || text.chars().any(char::is_control) {
                problems
                    .push(format!("{key}: must be 1 to {MAX_NAME_BYTES} bytes without control characters"));
            }
        }
        let file = KeyFile::named(folder, self.jwks_file, self.public_key_file, self.algorithm);
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
    use crate::keys::signer::{Signer, jwks};

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
    fn key_files_lie_beside_the_file() {
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
    fn every_problem_is_told_at_once() {
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
