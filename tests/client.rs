//! The TypeScript client: its scripts against real nodes, its compiled files, its package.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::{NodeProcess, TestStores, assert_ledger_matches};
use crate::http::admin::create_admin;

/// Limits that scripts must not reach.
const NO_LIMITS: [(&str, &str); 5] = [
    ("LAUREL_LIMITS__UPDATES_PER_MINUTE", "0"),
    ("LAUREL_LIMITS__INITS_PER_MINUTE", "0"),
    ("LAUREL_LIMITS__STARTS_PER_HOUR", "0"),
    ("LAUREL_TOKENS__ACTION_INTERVAL_SECONDS", "0"),
    ("LAUREL_SERVER__DRAIN_SECONDS", "1"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/typescript")
}

async fn node(stores: &TestStores, more: &[(&str, &str)]) -> NodeProcess {
    stores.start_process(&[&NO_LIMITS, more].concat()).await
}

/// Starts a script of `test/live`. Node.js 20 has a WebSocket with this flag only.
fn start(script: &str, nodes: &[NodeProcess], admin: &str) -> Child {
    let nodes: Vec<_> = nodes.iter().map(|node| json!({ "url": node.base, "pid": node.id() })).collect();
    Command::new("node")
        .arg("--experimental-websocket")
        .arg(folder().join("test/live").join(script))
        .env("LAUREL_NODES", Value::from(nodes).to_string())
        .env("LAUREL_ADMIN", admin)
        .stdout(Stdio::piped())
        .spawn()
        .expect("make test-deps installs it")
}

/// Waits until a program has succeeded. Returns its output.
async fn finish(child: Child) -> String {
    let Output { status, stdout, .. } =
        tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    let output = String::from_utf8(stdout).unwrap();
    assert!(status.success(), "{output}");
    output
}

async fn run(script: &str, nodes: &[NodeProcess], admin: &str) {
    finish(start(script, nodes, admin)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_is_played_and_lost_responses_never_count_twice() {
    let stores = TestStores::new().await;
    let limited = [("LAUREL_LIMITS__UPDATES_PER_MINUTE", "2")];
    let catalogue = stores.folder.path().join("cooling.toml");
    let action = |name, number, cooldown| {
        format!(
            "[[action]]\ntype = \"{name}\"\nnumber = {number}\npoints = 7\nproof = {{ kind = \"none\" }}\ncooldown_ms = {cooldown}\n"
        )
    };
    std::fs::write(&catalogue, action("jab", 1, 2000) + &action("hook", 2, 600_000)).unwrap();
    let cooling = [("LAUREL_ACTIONS__FILE", catalogue.to_str().unwrap())];
    let nodes = [node(&stores, &[]).await, node(&stores, &limited).await, node(&stores, &cooling).await];
    run("play.mjs", &nodes, "").await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn games_continue_after_lost_responses() {
    let stores = TestStores::new().await;
    let forgetful = [("LAUREL_TOKENS__ANSWER_SECONDS", "1")];
    let nodes = [node(&stores, &[]).await, node(&stores, &[]).await, node(&stores, &forgetful).await];
    run("game.mjs", &nodes, "").await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_connections_return_and_boards_never_get_older() {
    let stores = TestStores::new().await;
    // It leads the ledger as long as it runs, and the boards follow there.
    let leader = stores.start_node().await;
    let root = create_admin(&leader).await;
    let one_connection = [("LAUREL_LIMITS__SOCKETS_PER_USER", "1")];
    let nodes = [
        node(&stores, &[]).await,
        node(&stores, &[]).await,
        node(&stores, &[]).await,
        node(&stores, &one_connection).await,
    ];
    run("live.mjs", &nodes, &root.token).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_board_reports_when_it_may_be_out_of_date() {
    let mut stores = TestStores::new().await;
    let nodes = [node(&stores, &[]).await];
    let mut script = start("degraded.mjs", &nodes, "");
    let mut lines = BufReader::new(script.stdout.take().unwrap()).lines();
    let mut output = String::new();
    while let Some(Ok(line)) = tokio::task::block_in_place(|| lines.next()) {
        match line.as_str() {
            "stop redis" => stores.redis.kill().await,
            "start redis" => stores.redis.restart().await,
            _ => output += &format!("{line}\n"),
        }
    }
    assert!(script.wait().unwrap().success(), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_examples_work() {
    let stores = TestStores::new().await;
    run("readme.mjs", &[node(&stores, &[]).await], "").await;
}

/// Runs a program in the client's folder. Returns its output.
async fn run_in_folder(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder()).stdout(Stdio::piped());
    finish(command.spawn().expect("make test-deps installs it")).await
}

#[tokio::test]
async fn its_own_tests_pass() {
    run_in_folder("npm", &["test", "--silent"]).await;
}

/// The files of a folder, by name.
fn files(folder: &Path) -> Vec<(String, String)> {
    let read = |entry: std::fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
    };
    let mut all: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().map(read).collect();
    all.sort();
    all
}

#[tokio::test]
async fn the_compiled_files_match_the_source() {
    let fresh = tempfile::tempdir().unwrap();
    run_in_folder("node_modules/.bin/tsc", &["--outDir", fresh.path().to_str().unwrap()]).await;
    let (fresh, committed) = (files(fresh.path()), files(&folder().join("dist")));
    let names = |all: &[(String, String)]| all.iter().map(|file| file.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&fresh), names(&committed), "run `make client`");
    for ((name, fresh), (_, committed)) in fresh.iter().zip(&committed) {
        assert!(fresh == committed, "dist/{name} is out of date: run `make client`");
    }
}

#[tokio::test]
async fn the_package_has_the_compiled_files_only() {
    let output = run_in_folder("npm", &["pack", "--dry-run", "--json"]).await;
    let packed: Value = serde_json::from_str(&output).unwrap();
    let listed = packed[0]["files"].as_array().unwrap().iter();
    let mut listed: Vec<_> = listed.map(|file| file["path"].as_str().unwrap().to_owned()).collect();
    let compiled = files(&folder().join("dist"));
    let mut expected: Vec<_> = compiled.into_iter().map(|(name, _)| format!("dist/{name}")).collect();
    expected.extend(["README.md".into(), "package.json".into()]);
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
    let package: Value =
        serde_json::from_str(&std::fs::read_to_string(folder().join("package.json")).unwrap()).unwrap();
    assert_eq!(package["license"], "Apache-2.0");
    assert_eq!(package["dependencies"], Value::Null);
}
