//! The scenarios for k6 still speak to Laurel. k6 itself is in no package that `make test-deps` could install, so a small stand-in
//! for its modules runs each of them for a moment; what they measure is not looked at.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{World, assert_verified};

const SCENARIOS: [&str; 5] = ["actions", "game", "reads", "sockets", "mixed"];
/// The names that scenarios import the stand-in by.
const MODULES: [&str; 6] = ["k6", "k6/http", "k6/data", "k6/execution", "k6/metrics", "k6/websockets"];
const PLAYERS: u64 = 12;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().flatten().filter(|it| it.path().is_file()) {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// A folder in which node finds the scenarios, and the stand-in under k6's names.
fn lay_out(folder: &Path) {
    copy(&root("loadtest/k6"), folder);
    copy(&root("tests/k6"), folder);
    let modules = folder.join("node_modules");
    copy(&root("tests/official/node_modules/ws"), &modules.join("ws"));
    copy(&root("tests/official/node_modules/ws/lib"), &modules.join("ws/lib"));
    fs::write(folder.join("package.json"), r#"{"type":"module"}"#).unwrap();
    let exports: serde_json::Map<String, Value> =
        MODULES.iter().map(|it| (it.replacen("k6", ".", 1), Value::from("./k6.mjs"))).collect();
    let package = serde_json::json!({ "name": "k6", "type": "module", "exports": exports });
    copy(&root("tests/k6"), &modules.join("k6"));
    fs::write(modules.join("k6/package.json"), package.to_string()).unwrap();
}

#[tokio::test]
async fn each_scenario_is_answered() {
    let world = World::new().await;
    let node = world.node().await;
    let players = node.players(PLAYERS).await;
    let folder = tempfile::tempdir().unwrap();
    lay_out(folder.path());
    let logins: String = players.iter().map(|it| format!("{}\n", it.token)).collect();
    fs::write(folder.path().join("logins"), logins).unwrap();
    for scenario in SCENARIOS {
        let mut command = Command::new("node");
        command.arg(folder.path().join("run.mjs")).arg(folder.path().join(format!("{scenario}.js")));
        command.env("LAUREL_URL", &node.base).env("LAUREL_LOGINS", folder.path().join("logins"));
        command.env("LAUREL_LISTEN_SECONDS", "2");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{scenario}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
        if scenario == "sockets" {
            let met: Value = serde_json::from_str(&said).unwrap();
            assert!(met["board_late"].as_u64() > Some(0), "listeners heard of changes: {said}");
            assert_eq!(met["boards_not_newer"], 0, "{said}");
        }
    }
    assert_verified(&world).await;
}
