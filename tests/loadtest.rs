//! The load generator is correct: a real node answers each flow, and a server that stalls cannot hide it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{TestStores, assert_ledger_matches};

/// How long the server stalls, once, and how long after the first request: later than the warm-up, which takes a second.
const STALL: Duration = Duration::from_millis(700);
const AFTER: Duration = Duration::from_millis(2000);

/// Drives a flow at a target, and returns all its numbers.
async fn drive(target: &str, logins: &Path, arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("run.json");
    let example = Path::new(env!("CARGO_BIN_EXE_laurel")).parent().unwrap().join("examples/loadtest");
    let mut command = Command::new(example);
    command.arg("run").args(arguments).args(["--target", target, "--logins"]).arg(logins);
    command.arg("--json").arg(&json);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&fs::read(json).unwrap()).unwrap()
}

#[tokio::test]
async fn each_flow_is_answered() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let players = node.create_players(24).await;
    node.award(&players[3], "watch_ad").await;
    let folder = tempfile::tempdir().unwrap();
    let logins = folder.path().join("logins");
    let lines: String = players.iter().map(|player| format!("{}\n", player.token)).collect();
    fs::write(&logins, lines).unwrap();
    for (flow, kinds) in [
        ("actions", &["init", "finalize"][..]),
        ("game", &["game start", "game update", "game end"]),
        ("reads", &["board"]),
        ("rank", &["own rank"]),
        ("sockets", &["top player's update"]),
        ("mixed", &["board", "own rank", "game update", "init", "finalize", "top player's update"]),
    ] {
        let pace = ["--rate", "240", "--connections", "8", "--subscribers", "6", "--changes", "10"];
        let run = drive(&node.base, &logins, &[&[flow, "--seconds", "2.5"][..], &pace].concat()).await;
        assert_eq!(run["all"]["errors"], serde_json::json!({}), "{flow}: {run}");
        for kind in kinds {
            let has_kind = run["requests"].as_array().unwrap().iter().any(|row| row["request"] == *kind);
            assert!(has_kind, "{flow} sends {kind}: {}", run["requests"]);
        }
        if flow != "sockets" {
            // Every due request was sent, except the last few at the end.
            assert!(run["all"]["count"].as_u64() >= Some(590), "{flow}: {}", run["all"]);
        }
        if let Some(counts) = run["subscribers"].as_object() {
            assert!(
                counts["boards"].as_u64() >= Some(6) && counts["timed"].as_u64() >= Some(6),
                "{counts:?}"
            );
            assert_eq!((&counts["not_newer"], &counts["connections_lost"]), (&0.into(), &0.into()));
        }
    }
    assert_ledger_matches(&stores).await;
}

/// A server that answers at once, except during one stall.
fn stalling_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let began = Arc::new(std::sync::OnceLock::new());
        for stream in listener.incoming() {
            let (mut stream, began) = (stream.unwrap(), began.clone());
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                while let Some(Ok(line)) = lines.next() {
                    if line.is_empty() {
                        let stall = *began.get_or_init(Instant::now) + AFTER;
                        if Instant::now() > stall {
                            let over = stall + STALL;
                            std::thread::sleep(over.saturating_duration_since(Instant::now()));
                        }
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_stall_counts_in_every_request_that_was_due() {
    let folder = tempfile::tempdir().unwrap();
    let logins = folder.path().join("logins");
    // {"sub":"00000000-0000-4000-8000-00000000000…"}
    let claims = "eyJzdWIiOiIwMDAwMDAwMC0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwMDAifQ";
    fs::write(&logins, format!("h.{claims}.s\n").repeat(10)).unwrap();
    let pace = ["reads", "--rate", "400", "--connections", "4", "--seconds", "3"];
    let run = drive(&stalling_server().to_string(), &logins, &pace).await;
    // Of 1,200 requests some 280 were due while it stalled: nearly a quarter, though only four had been sent.
    assert!(run["all"]["count"] == 1200, "{}", run["all"]);
    let ms = &run["all"]["ms"];
    assert!(ms["max"].as_f64() > Some(600.0) && ms["p90"].as_f64() > Some(250.0), "{ms}");
    assert!(ms["p50"].as_f64() < Some(250.0), "{ms}");
}
