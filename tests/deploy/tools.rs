//! Programs that check files. `make test-deps` installs them; a missing one fails the test.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use laurel::config::{self, Config};
use serde_json::Value;

use super::servers::{Secrets, project_path};

/// A program that `tests/deploy/requirements.txt` installs.
pub fn tool(name: &str) -> Command {
    let mut command = Command::new(project_path("tests/deploy/tools/bin").join(name));
    command.current_dir(project_path(""));
    command
}

/// The output of a program that must succeed.
#[track_caller]
pub fn output_of(command: &mut Command) -> String {
    let output =
        command.output().unwrap_or_else(|error| panic!("make test-deps installs {command:?}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {stdout}{stderr}");
    stdout.into_owned()
}

/// Parses a YAML text with several documents.
#[track_caller]
pub fn documents(yaml: &str) -> Vec<Value> {
    let script = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin))))";
    let mut python = tool("python")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("make test-deps installs Python");
    python.stdin.take().unwrap().write_all(yaml.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "not YAML: {yaml}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Parses a YAML file with one document.
pub fn document(path: &str) -> Value {
    documents(&std::fs::read_to_string(project_path(path)).unwrap()).remove(0)
}

/// Loads the configuration from the environment of a container. Fails for an unknown variable or a secret that `secrets.sh` does not create.
#[track_caller]
pub fn settings(environment: &BTreeMap<String, String>) -> Config {
    let secrets = Secrets::create();
    let variables = environment.iter().map(|(name, value)| match name.strip_suffix("_FILE") {
        Some(_) => {
            let secret = secrets.path(value.rsplit('/').next().unwrap());
            assert!(secret.exists(), "{name}: secrets.sh does not create {value}");
            (name.into(), secret.into())
        }
        None => (name.into(), value.into()),
    });
    let config = config::load(variables).unwrap();
    let is_setting =
        |name: &&String| name.starts_with("LAUREL_") || name.ends_with("_FILE") || name.starts_with("OTEL_");
    assert!(environment.keys().filter(is_setting).count() > 3);
    assert!(!config.redis.url.is_empty() && !config.postgres.url.is_empty());
    assert!(!config.auth.jwt_secret.is_empty() && !config.live.node_name.is_empty());
    config
}

/// The longest time that a node takes to stop (docs/operations.md).
pub fn stop_seconds(config: &Config) -> u64 {
    assert!(config.server.drain_notice_ms > 0, "a balancer must notice before the node drains");
    config.server.drain_notice_ms.div_ceil(1000) + config.server.drain_seconds + 15
}

/// Asserts that the tag of an image is a whole version; for Laurel, the current one.
#[track_caller]
pub fn assert_pinned(image: &str) {
    let (name, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{image} has no tag"));
    let numbers = tag.split(|it: char| !it.is_ascii_digit()).filter(|it| !it.is_empty()).count();
    assert!(numbers >= 2 || tag.contains("-20"), "{image} is not pinned by a whole version");
    if name == "laurel" {
        assert_eq!(tag, env!("CARGO_PKG_VERSION"));
    }
}

/// Asserts that a node has this path.
#[track_caller]
pub fn assert_routed(path: &str) {
    let routes = include_str!("../../src/http/mod.rs");
    assert!(routes.contains(&format!(".route(\"{path}\"")), "a node has no {path}");
}

/// The strings of a list.
pub fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap()).collect()
}

/// A map of strings.
pub fn string_map(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}
