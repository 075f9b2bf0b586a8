//! The README's quick start, pasted as a new user would, against a node on its private stores.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

#[tokio::test]
async fn the_readme_is_true() {
    let readme = include_str!("../README.md");
    let script: String = readme
        .split("```bash")
        .skip(1)
        .map(|it| it.split("```").next().unwrap())
        .filter(|it| it.contains("# quick start"))
        .collect();
    assert!(script.contains("finalize"), "the quick start is marked by a comment in its blocks");
    let folder = tempfile::tempdir().unwrap();
    let mut node = crate::harness::laurel_binary()
        .arg("serve")
        .current_dir(folder.path())
        .env("PORT", "0")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
    let base = lines.next().unwrap().unwrap().rsplit(' ').next().unwrap().to_owned();
    let script = script.replace("http://localhost:3000", &base).replace(
        "./target/quick/laurel watch",
        &format!("{} watch --url {base}", env!("CARGO_BIN_EXE_laurel")),
    );
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    node.kill().unwrap();
    node.wait().unwrap();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for part in ["\"newScore\":10", "\"username\":\"ada\"", "connect_success", "leaderboard at "] {
        assert!(said.contains(part), "{part} is missing in:\n{said}");
    }
}
