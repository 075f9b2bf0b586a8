//! Runs the README's quick start against a node on embedded stores.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

#[tokio::test]
async fn the_readme_quick_start_works() {
    let readme = include_str!("../README.md");
    let script: String = readme
        .split("```bash")
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        .filter(|it| it.contains("# quick start"))
        .collect();
    assert!(script.contains("finalize"), "the README's blocks must start with the comment `# quick start`");
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
    let printed = String::from_utf8_lossy(&output.stdout);
    node.kill().unwrap();
    node.wait().unwrap();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    for part in ["\"newScore\":10", "\"username\":\"ada\"", "connect_success", "leaderboard at "] {
        assert!(printed.contains(part), "{part} is missing in:\n{printed}");
    }
}
