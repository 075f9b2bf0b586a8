//! Log lines of a node: of its start, its drain, refused logins and store outages.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use super::{Node, read};
use crate::harness::{self, TestStores, eventually, laurel_binary};

fn read_lines(path: &Path) -> Vec<Value> {
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    // The last line may be incomplete.
    let text = read(path);
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete.lines().map(line).collect()
}

fn find<'a>(lines: &'a [Value], message: &str) -> Option<&'a Value> {
    lines.iter().find(|line| line["message"] == message)
}

#[tokio::test]
async fn a_first_start_logs_json_at_info_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let log = File::create(&path).unwrap();
    let mut command = laurel_binary();
    command
        .current_dir(folder.path())
        .env("LAUREL_LOG__FORMAT", "json")
        .env("LAUREL_LIMITS__LOGINS_PER_MINUTE", "2");
    command.env("JWT_SECRET", "hunter2 hunter2 hunter2 hunter2 0123456789");
    command.stdout(log.try_clone().unwrap()).stderr(log);
    let mut node = Node::start(command).await;
    let start_lines = eventually("the last log line of the start", async || {
        let lines = read_lines(&path);
        (find(&lines, "Laurel serves").is_some() && find(&lines, "ledger leader elected").is_some())
            .then_some(lines)
    })
    .await;
    for line in &start_lines {
        assert_eq!(line["level"], "INFO", "{line}");
        assert!(line["timestamp"].is_string(), "{line}");
        let text = line.to_string();
        assert!(!text.contains("hunter2") && !text.contains("Some("), "{line}");
    }
    let entry = |message: &str| {
        find(&start_lines, message).unwrap_or_else(|| panic!("{message} is missing: {start_lines:#?}"))
    };
    let settings = entry("starting")["settings"].as_str().unwrap();
    for part in ["limits.logins_per_minute=2", "log.format=\"json\"", "auth.jwt_secret=\"<hidden>\""] {
        assert!(settings.contains(part), "{settings}");
    }
    assert!(!settings.contains("drain_notice_ms"), "defaults are not logged: {settings}");
    assert_eq!(entry("starting")["version"], env!("CARGO_PKG_VERSION"));
    for message in ["redis connected", "postgres connected"] {
        assert!(entry(message)["version"].is_string(), "{}", entry(message));
    }
    assert_eq!(entry("migrations applied")["steps"], 1);
    assert_eq!(entry("opening an empty board")["reason"], "empty_redis");
    for message in ["listening", "Laurel serves"] {
        assert!(entry(message)["url"].as_str().unwrap().starts_with("http://localhost:"));
    }

    let player = json!({ "username": "ada", "email": "ada@example.com", "password": "correct horse" });
    let post = async |path: &str, body: &Value| {
        reqwest::Client::new().post(format!("{}{path}", node.base)).json(body).send().await.unwrap().status()
    };
    assert_eq!(post("/api/auth/register", &player).await, 201);
    for _ in 0..5 {
        let wrong = json!({ "username": "ada", "password": "wrong horse battery" });
        post("/api/auth/login", &wrong).await;
    }
    node.send_signal(libc::SIGTERM);
    assert_eq!(node.exit_code().await, Some(0));
    let lines = read_lines(&path);
    let limited: Vec<_> = lines.iter().filter(|line| line["message"] == "login rate limit reached").collect();
    assert_eq!(limited.len(), 1, "one line per window: {limited:?}");
    assert_eq!((&limited[0]["username"], &limited[0]["address"]), (&json!("ada"), &json!("127.0.0.1")));
    for message in ["draining", "ledger leadership released", "drained"] {
        assert!(find(&lines, message).is_some(), "{message} is missing: {lines:#?}");
    }
    assert_eq!(lines.last().unwrap()["message"], "drained");
}

#[tokio::test(flavor = "multi_thread")]
async fn store_outages_are_logged_once() {
    let mut stores = TestStores::with_shards(1).await;
    let path = stores.folder.path().join("log");
    let mut command = harness::laurel_command(&stores.config);
    command.stdout(Stdio::null()).stderr(File::create(&path).unwrap()).env("LAUREL_LOG__FORMAT", "json");
    let mut node = Node::start(command).await;
    for round in 1..=2 {
        stores.redis.kill().await;
        let count = |message: &str| {
            read_lines(&path)
                .iter()
                .filter(|line| line["message"] == message && line["store"] == "redis")
                .count()
        };
        eventually("the node to be degraded", async || {
            (count("store does not answer, node degraded") == round).then_some(())
        })
        .await;
        stores.redis.restart().await;
        eventually("the node to recover", async || (count("store recovered") == round).then_some(())).await;
        node.wait_for_awards().await;
    }
}
