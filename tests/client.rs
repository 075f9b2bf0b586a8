//! The TypeScript client: its unit tests, scripts that run against nodes, its compiled files, and the content of its package.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::{NodeProcess, TestStores, assert_ledger_matches};
use crate::http::admin::admin;

/// Settings without rate limits.
const WITHOUT_LIMITS: [(&str, &str); 5] = [
    ("LAUREL_LIMITS__UPDATES_PER_MINUTE", "0"),
    ("LAUREL_LIMITS__INITS_PER_MINUTE", "0"),
    ("LAUREL_LIMITS__STARTS_PER_HOUR", "0"),
    ("LAUREL_TOKENS__ACTION_INTERVAL_SECONDS", "0"),
    ("LAUREL_SERVER__DRAIN_SECONDS", "1"),
];

fn client_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/typescript")
}

async fn start_node(stores: &TestStores, settings: &[(&str, &str)]) -> NodeProcess {
    stores.start_process(&[&WITHOUT_LIMITS, settings].concat()).await
}

/// Starts a script of `test/live`. Node.js 20 has a browser's `WebSocket` only with this option.
fn start_script(script: &str, nodes: &[NodeProcess], admin: &str) -> Child {
    let addresses: Vec<_> = nodes.iter().map(|node| json!({ "url": node.base, "pid": node.id() })).collect();
    Command::new("node")
        .arg("--experimental-websocket")
        .arg(client_folder().join("test/live").join(script))
        .env("LAUREL_NODES", Value::from(addresses).to_string())
        .env("LAUREL_ADMIN", admin)
        .stdout(Stdio::piped())
        .spawn()
        .expect("make test installs it")
}

/// Waits until a program has succeeded. Returns its output.
async fn wait_for_success(child: Child) -> String {
    let Output { status, stdout, .. } =
        tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    let output = String::from_utf8(stdout).unwrap();
    assert!(status.success(), "{output}");
    output
}

async fn run_script(script: &str, nodes: &[NodeProcess], admin: &str) {
    wait_for_success(start_script(script, nodes, admin)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_awards_once_despite_lost_responses() {
    let stores = TestStores::new().await;
    let limited = [("LAUREL_LIMITS__UPDATES_PER_MINUTE", "2")];
    let action = |name, number, cooldown| {
        format!(
            "[[action]]\ntype = \"{name}\"\nnumber = {number}\npoints = 7\nproof = {{ kind = \"none\" }}\ncooldown_ms = {cooldown}\n"
        )
    };
    let catalogue = stores.write_catalogue(&(action("jab", 1, 2000) + &action("hook", 2, 600_000)));
    let with_cooldowns = [("LAUREL_ACTIONS__FILE", catalogue.as_str())];
    let nodes = [
        start_node(&stores, &[]).await,
        start_node(&stores, &limited).await,
        start_node(&stores, &with_cooldowns).await,
    ];
    run_script("actions.mjs", &nodes, "").await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn games_continue_after_any_lost_response() {
    let stores = TestStores::new().await;
    let short_replays = [("LAUREL_TOKENS__ANSWER_SECONDS", "1")];
    let nodes = [
        start_node(&stores, &[]).await,
        start_node(&stores, &[]).await,
        start_node(&stores, &short_replays).await,
    ];
    run_script("game.mjs", &nodes, "").await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_boards_reconnect_and_never_show_an_older_board() {
    let stores = TestStores::new().await;
    let root = admin(&stores.start_node().await).await;
    let one_socket = [("LAUREL_LIMITS__SOCKETS_PER_USER", "1")];
    let nodes = [
        start_node(&stores, &[]).await,
        start_node(&stores, &[]).await,
        start_node(&stores, &[]).await,
        start_node(&stores, &one_socket).await,
    ];
    run_script("subscriptions.mjs", &nodes, &root.token).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_board_reports_a_degraded_node() {
    let mut stores = TestStores::new().await;
    let nodes = [start_node(&stores, &[]).await];
    let mut script = start_script("degraded.mjs", &nodes, "");
    let mut lines = BufReader::new(script.stdout.take().unwrap()).lines();
    let mut output = String::new();
    while let Some(Ok(line)) = tokio::task::block_in_place(|| lines.next()) {
        match line.as_str() {
            "kill redis" => stores.redis.kill().await,
            "restart redis" => stores.redis.restart().await,
            _ => output += &format!("{line}\n"),
        }
    }
    assert!(script.wait().unwrap().success(), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_examples_run() {
    let stores = TestStores::new().await;
    run_script("readme.mjs", &[start_node(&stores, &[]).await], "").await;
}

/// Runs a program in the client's folder. Returns its output.
async fn run_program(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(client_folder()).stdout(Stdio::piped());
    wait_for_success(command.spawn().expect("make test installs it")).await
}

#[tokio::test]
async fn the_unit_tests_pass() {
    run_program("npm", &["test", "--silent"]).await;
}

/// The names and contents of the files in a folder, sorted.
fn files(folder: &Path) -> Vec<(String, String)> {
    let read = |entry: std::fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
    };
    let mut all: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().map(read).collect();
    all.sort();
    all
}

#[tokio::test]
async fn dist_is_compiled_from_the_source() {
    let folder = tempfile::tempdir().unwrap();
    run_program("node_modules/.bin/tsc", &["--outDir", folder.path().to_str().unwrap()]).await;
    let (compiled, committed) = (files(folder.path()), files(&client_folder().join("dist")));
    let names = |all: &[(String, String)]| all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&compiled), names(&committed), "run `make client`");
    for ((name, compiled), (_, committed)) in compiled.iter().zip(&committed) {
        assert!(compiled == committed, "dist/{name} is not compiled from its source: run `make client`");
    }
}

#[tokio::test]
async fn a_package_has_only_the_compiled_files() {
    let output = run_program("npm", &["pack", "--dry-run", "--json"]).await;
    let packed: Value = serde_json::from_str(&output).unwrap();
    let listed = packed[0]["files"].as_array().unwrap().iter();
    let mut listed: Vec<_> = listed.map(|file| file["path"].as_str().unwrap().to_owned()).collect();
    let compiled = files(&client_folder().join("dist"));
    let mut expected: Vec<_> = compiled.into_iter().map(|(name, _)| format!("dist/{name}")).collect();
    expected.extend(["README.md".into(), "package.json".into()]);
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
    let package: Value =
        serde_json::from_str(&std::fs::read_to_string(client_folder().join("package.json")).unwrap())
            .unwrap();
    assert_eq!(package["license"], "Apache-2.0");
    assert_eq!(package["dependencies"], Value::Null);
}
