//! The official Socket.IO client over two nodes behind HAProxy, compressed messages, and the official protocol suites.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Balancer, TestStores, assert_ledger_matches};

#[tokio::test(flavor = "multi_thread")]
async fn the_game_api_example_runs_over_two_nodes() {
    let stores = TestStores::new().await;
    let node = async |name: &'static str| {
        stores.start_process(&[("LAUREL_LIVE__NODE_NAME", name), ("LAUREL_SERVER__DRAIN_SECONDS", "1")]).await
    };
    let (one, mut two) = (node("a").await, node("b").await);
    let balancer = Balancer::start(stores.folder.path(), &[&one.base, &two.base]).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/official");
    let mut example = Command::new("node");
    example.arg(folder.join("example.mjs")).arg(&balancer.base).arg(two.id().to_string());
    let output =
        tokio::task::spawn_blocking(move || example.output().expect("make test installs it")).await.unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("as documented"), "{stdout}");
    assert_eq!(two.exit_code(), Some(0));
    assert_ledger_matches(&stores).await;
    drop(one);
}

/// Runs a script of official clients, which must succeed. Returns its output.
async fn run(script: &str, argument: String) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/official").join(script);
    let run = move || Command::new("node").arg(path).arg(argument).output().expect("make test installs it");
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn official_clients_decompress_boards() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.live.compression = true).await;
    assert!(run("compression.mjs", node.base.clone()).await.contains("compressed and decompressed"));
}

#[tokio::test]
async fn the_official_protocol_suites_pass() {
    let example = Path::new(env!("CARGO_BIN_EXE_laurel")).parent().unwrap().join("examples/conformance");
    let mut server = Command::new(example).args(["--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().rsplit(' ').next().unwrap().to_owned();
    let stdout = run("conformance.mjs", address).await;
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(stdout.contains("cases passed"));
}
