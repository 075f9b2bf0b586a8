//! The TypeScript client: node runs its scripts against real nodes; what is compiled equals its source; a package of it
//! has what it should.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::{NodeProcess, TestStores, assert_ledger_matches};
use crate::http::admin::admin;

/// Nothing that a script does may run into these.
const FREE: [(&str, &str); 5] = [
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
    stores.start_process(&[&FREE, more].concat()).await
}

/// A script of `test/live`, begun. Node 20 has a browser's WebSocket only if asked.
fn begin(script: &str, nodes: &[NodeProcess], admin: &str) -> Child {
    let told: Vec<_> = nodes.iter().map(|it| json!({ "url": it.base, "pid": it.id() })).collect();
    Command::new("node")
        .arg("--experimental-websocket")
        .arg(folder().join("test/live").join(script))
        .env("LAUREL_NODES", Value::from(told).to_string())
        .env("LAUREL_ADMIN", admin)
        .stdout(Stdio::piped())
        .spawn()
        .expect("make test installs it")
}

/// Runs a program to its good end.
async fn ended(child: Child) -> String {
    let Output { status, stdout, .. } =
        tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    let said = String::from_utf8(stdout).unwrap();
    assert!(status.success(), "{said}");
    said
}

async fn run(script: &str, nodes: &[NodeProcess], admin: &str) {
    ended(begin(script, nodes, admin)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_is_played_and_no_lost_answer_counts_twice() {
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
async fn games_go_on_whatever_answer_is_lost() {
    let stores = TestStores::new().await;
    let forgets = [("LAUREL_TOKENS__ANSWER_SECONDS", "1")];
    let nodes = [node(&stores, &[]).await, node(&stores, &[]).await, node(&stores, &forgets).await];
    run("game.mjs", &nodes, "").await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_boards_come_back_and_never_go_back() {
    let stores = TestStores::new().await;
    let root = admin(&stores.start_node().await).await;
    let one_seat = [("LAUREL_LIMITS__SOCKETS_PER_USER", "1")];
    let nodes = [
        node(&stores, &[]).await,
        node(&stores, &[]).await,
        node(&stores, &[]).await,
        node(&stores, &one_seat).await,
    ];
    run("live.mjs", &nodes, &root.token).await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_board_says_when_it_may_be_old() {
    let mut stores = TestStores::new().await;
    let nodes = [node(&stores, &[]).await];
    let mut script = begin("degraded.mjs", &nodes, "");
    let mut lines = BufReader::new(script.stdout.take().unwrap()).lines();
    let mut said = String::new();
    while let Some(Ok(line)) = tokio::task::block_in_place(|| lines.next()) {
        match line.as_str() {
            "take redis away" => stores.redis.kill().await,
            "bring redis back" => stores.redis.restart().await,
            _ => said += &format!("{line}\n"),
        }
    }
    assert!(script.wait().unwrap().success(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_readme_is_true() {
    let stores = TestStores::new().await;
    run("readme.mjs", &[node(&stores, &[]).await], "").await;
}

/// Runs a program in the client's folder.
async fn there(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder()).stdout(Stdio::piped());
    ended(command.spawn().expect("make test installs it")).await
}

#[tokio::test]
async fn its_own_tests_pass() {
    there("npm", &["test", "--silent"]).await;
}

/// The files of a folder, by name.
fn files(folder: &Path) -> Vec<(String, String)> {
    let read = |it: std::fs::DirEntry| {
        (it.file_name().into_string().unwrap(), std::fs::read_to_string(it.path()).unwrap())
    };
    let mut all: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().map(read).collect();
    all.sort();
    all
}

#[tokio::test]
async fn what_is_compiled_equals_its_source() {
    let fresh = tempfile::tempdir().unwrap();
    there("node_modules/.bin/tsc", &["--outDir", fresh.path().to_str().unwrap()]).await;
    let (fresh, kept) = (files(fresh.path()), files(&folder().join("dist")));
    let names = |all: &[(String, String)]| all.iter().map(|it| it.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&fresh), names(&kept), "`make client` compiles it");
    for ((name, fresh), (_, kept)) in fresh.iter().zip(&kept) {
        assert!(fresh == kept, "dist/{name} is not what its source says; `make client` compiles it");
    }
}

#[tokio::test]
async fn a_package_has_what_is_compiled_and_nothing_else() {
    let said = there("npm", &["pack", "--dry-run", "--json"]).await;
    let packed: Value = serde_json::from_str(&said).unwrap();
    let listed = packed[0]["files"].as_array().unwrap().iter();
    let mut listed: Vec<_> = listed.map(|it| it["path"].as_str().unwrap().to_owned()).collect();
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
