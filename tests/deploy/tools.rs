//! The programs that check files, and what they say. `make test-deps` installs them: one that is missing fails the test.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use laurel::config::{self, Config};
use serde_json::Value;

use super::servers::{Secrets, ours};

/// One of those that `tests/deploy/requirements.txt` brings.
pub fn tool(name: &str) -> Command {
    let mut command = Command::new(ours("tests/deploy/tools/bin").join(name));
    command.current_dir(ours(""));
    command
}

/// What a program says that has nothing to complain about.
#[track_caller]
pub fn told(command: &mut Command) -> String {
    let done =
        command.output().unwrap_or_else(|error| panic!("make test-deps installs {command:?}: {error}"));
    let (said, complaint) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?}: {said}{complaint}");
    said.into_owned()
}

/// The documents of a YAML text.
#[track_caller]
pub fn documents(yaml: &str) -> Vec<Value> {
    let script = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin))))";
    let mut python = tool("python")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("make test-deps installs it");
    python.stdin.take().unwrap().write_all(yaml.as_bytes()).unwrap();
    let done = python.wait_with_output().unwrap();
    assert!(done.status.success(), "no YAML");
    serde_json::from_slice(&done.stdout).unwrap()
}

/// The one document of a file.
pub fn document(path: &str) -> Value {
    documents(&std::fs::read_to_string(ours(path)).unwrap()).remove(0)
}

/// The settings that a container's environment makes. A variable that Laurel does not know, or a secret that `secrets.sh` does not
/// make, fails here.
#[track_caller]
pub fn settings(environment: &BTreeMap<String, String>) -> Config {
    let secrets = Secrets::make();
    let placed = environment.iter().map(|(name, value)| match name.strip_suffix("_FILE") {
        Some(_) => {
            let secret = secrets.path(value.rsplit('/').next().unwrap());
            assert!(secret.exists(), "{name}: secrets.sh does not make {value}");
            (name.into(), secret.into())
        }
        None => (name.into(), value.into()),
    });
    let config = config::load(placed).unwrap();
    let ours = |it: &&String| it.starts_with("LAUREL_") || it.ends_with("_FILE") || it.starts_with("OTEL_");
    assert!(environment.keys().filter(ours).count() > 3);
    assert!(!config.redis.url.is_empty() && !config.postgres.url.is_empty());
    assert!(!config.auth.jwt_secret.is_empty() && !config.live.node_name.is_empty());
    config
}

/// How long a node may take to stop, at most: docs/operations.md.
pub fn stop_seconds(config: &Config) -> u64 {
    assert!(config.server.drain_notice_ms > 0, "a balancer has to notice first");
    config.server.drain_notice_ms.div_ceil(1000) + config.server.drain_seconds + 15
}

/// An image that is the same tomorrow: its tag is a version, and ours is this one's.
#[track_caller]
pub fn assert_pinned(image: &str) {
    let (name, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{image} has no tag"));
    let numbers = tag.split(|it: char| !it.is_ascii_digit()).filter(|it| !it.is_empty()).count();
    assert!(numbers >= 2 || tag.contains("-20"), "{image} is not pinned by a whole version");
    if name == "laurel" {
        assert_eq!(tag, env!("CARGO_PKG_VERSION"));
    }
}

/// Every path of a node that others are told to ask.
#[track_caller]
pub fn assert_routed(path: &str) {
    let routes = include_str!("../../src/http/mod.rs");
    assert!(routes.contains(&format!(".route(\"{path}\"")), "a node has no {path}");
}

/// Words of a list.
pub fn words(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(|it| it.as_str().unwrap()).collect()
}

/// A map of texts.
pub fn texts(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.map(|(name, it)| (name.clone(), it.as_str().unwrap().to_owned())).collect()
}
