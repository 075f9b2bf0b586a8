//! Operators' files, and the environment.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;
use std::sync::LazyLock;

use laurel::account::Issuers;
use laurel::action::Catalogue;
use laurel::board::Boards;
use laurel::fuzzing::{Merged, jwks, pem};
use laurel::keyring::Algorithm;
use tempfile::TempDir;

use super::split;

pub fn catalogue(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Catalogue::parse(text, Path::new("")) {
        Ok(catalogue) => {
            let types: HashSet<_> = catalogue.all().iter().map(|action| &action.kind).collect();
            let numbers: HashSet<_> = catalogue.all().iter().map(|action| action.number).collect();
            assert_eq!((types.len(), numbers.len()), (catalogue.all().len(), catalogue.all().len()));
            assert!(catalogue.all().iter().all(|action| (1..1 << 53).contains(&action.points)));
        }
        Err(problems) => assert!(!problems.0.is_empty()),
    }
}

pub fn boards(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Boards::parse(text, &["race"]) {
        Ok(boards) => {
            let boards = boards.all();
            let ids: HashSet<_> = boards.iter().map(|board| &board.id).collect();
            assert_eq!((boards[0].id.as_str(), ids.len()), ("global", boards.len()));
        }
        Err(problems) => assert!(!problems.0.is_empty()),
    }
}

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
});

/// The keys of an identity provider, and after a zero byte the issuers file.
pub fn issuers(data: &[u8]) {
    let (keys, toml) = split(data, 0);
    let path = FOLDER.path().join("issuers.toml");
    std::fs::write(FOLDER.path().join("keys.json"), keys).unwrap();
    std::fs::write(&path, toml).unwrap();
    match Issuers::load(path.to_str().unwrap()) {
        Ok(issuers) => assert!(issuers.rings().count() > 0),
        Err(problems) => assert!(!problems.0.is_empty()),
    }
}

/// A JWK set or PEM keys.
pub fn keys(data: &[u8]) {
    if jwks(data).is_ok() {
        assert!(serde_json::from_slice::<serde_json::Value>(data).is_ok());
    }
    // The parser accepts spaces between the dashes after the label.
    let blocks = String::from_utf8_lossy(data).matches("-----BEGIN PUBLIC KEY-").count();
    for algorithm in [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256] {
        if let Ok(count) = pem(data, algorithm) {
            assert!(count <= blocks, "{count} keys of {blocks}");
        }
    }
    for algorithm in [Algorithm::HS256, Algorithm::ES384, Algorithm::PS256] {
        assert!(pem(data, algorithm).map_or(true, |count| count == 0), "{algorithm:?}");
    }
}

/// A weak secret, which must not appear in messages.
const WEAK: &str = "hunter2";

/// Environment variables, one per line, and after a zero byte a configuration file.
pub fn config(data: &[u8]) {
    let (environment, text) = split(data, 0);
    let (environment, text) = (std::str::from_utf8(environment), std::str::from_utf8(text));
    let (Ok(environment), Ok(text)) = (environment, text) else { return };
    let variables = environment.lines().filter_map(|line| line.split_once('='));
    // Without variables that name files, because these would be read.
    let variables: Vec<(OsString, OsString)> = variables
        .filter(|(name, _)| !name.to_ascii_uppercase().ends_with("_FILE") && *name != "LAUREL_CONFIG")
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let mut problems = Vec::new();
    let mut merged = Merged::defaults();
    merged.take_text(Path::new("laurel.toml"), text, &mut problems);
    merged.take_environment(&variables, &mut problems);
    let config = merged.typed(&mut problems);
    assert!(config.is_some() || !problems.is_empty());
    if let Some(config) = config {
        assert!(!format!("{config:?}").contains(WEAK) || environment.contains(WEAK) || text.contains(WEAK));
    }
    let weak_secret = ("JWT_SECRET".into(), WEAK.into());
    let refused = laurel::config::load(variables.into_iter().chain([weak_secret])).unwrap_err();
    assert!(!refused.to_string().contains(WEAK) || environment.contains(WEAK), "{refused}");
}
