//! What measures is measured: each flow is answered by a real node, and a server that stalls cannot hide it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{World, assert_verified};

/// How long the server stalls, once, and when after the first request: beyond the warm-up, which takes a second.
const STALL: Duration = Duration::from_millis(700);
const AFTER: Duration = Duration::from_millis(2000);

/// Drives a flow at a target, and gives all its numbers.
async fn drive(target: &str, logins: &Path, arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let (json, svg) = (folder.path().join("run.json"), folder.path().join("run.svg"));
    let example = Path::new(env!("CARGO_BIN_EXE_laurel")).parent().unwrap().join("examples/loadtest");
    let mut command = Command::new(example);
    command.arg("run").args(arguments).args(["--target", target, "--logins"]).arg(logins);
    command.arg("--json").arg(&json).arg("--svg").arg(&svg);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::read_to_string(svg).unwrap().ends_with("</svg>\n"));
    serde_json::from_slice(&fs::read(json).unwrap()).unwrap()
}

#[tokio::test]
async fn each_flow_is_answered() {
    let world = World::new().await;
    let node = world.node().await;
    let players = node.players(24).await;
    node.award(&players[3], "watch_ad").await;
    let folder = tempfile::tempdir().unwrap();
    let logins = folder.path().join("logins");
    let lines: String = players.iter().map(|it| format!("{}\n", it.token)).collect();
    fs::write(&logins, lines).unwrap();
    for (flow, kinds) in [
        ("actions", &["init", "finalize"][..]),
        ("game", &["game start", "game update", "game end"]),
        ("reads", &["board"]),
        ("rank", &["own rank"]),
        ("sockets", &["leader's update"]),
        ("mixed", &["board", "own rank", "game update", "init", "finalize", "leader's update"]),
    ] {
        let pace = ["--rate", "240", "--connections", "8", "--listeners", "6", "--changes", "10"];
        let run = drive(&node.base, &logins, &[&[flow, "--seconds", "2.5"][..], &pace].concat()).await;
        assert_eq!(run["all"]["errors"], serde_json::json!({}), "{flow}: {run}");
        for kind in kinds {
            let asked = run["requests"].as_array().unwrap().iter().any(|it| it["request"] == *kind);
            assert!(asked, "{flow} asks for {kind}: {}", run["requests"]);
        }
        if flow != "sockets" {
            // Every request that was due was sent, but for what the end cut off.
            assert!(run["all"]["count"].as_u64() >= Some(590), "{flow}: {}", run["all"]);
        }
        if let Some(heard) = run["listeners"].as_object() {
            assert!(heard["boards"].as_u64() >= Some(6) && heard["timed"].as_u64() >= Some(6), "{heard:?}");
            assert_eq!((&heard["not_newer"], &heard["connections_lost"]), (&0.into(), &0.into()));
        }
    }
    assert_verified(&world).await;
}

/// A server that answers at once, but for one moment in which it answers nobody.
fn stalling() -> SocketAddr {
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
async fn a_stall_is_in_the_times_of_all_that_were_due_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let logins = folder.path().join("logins");
    // {"sub":"00000000-0000-4000-8000-00000000000…"}
    let claims = "eyJzdWIiOiIwMDAwMDAwMC0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwMDAifQ";
    fs::write(&logins, format!("h.{claims}.s\n").repeat(10)).unwrap();
    let pace = ["reads", "--rate", "400", "--connections", "4", "--seconds", "3"];
    let run = drive(&stalling().to_string(), &logins, &pace).await;
    // Of 1,200 requests some 280 were due while it stalled: nearly a quarter, though only four had been sent.
    assert!(run["all"]["count"] == 1200, "{}", run["all"]);
    let ms = &run["all"]["ms"];
    assert!(ms["max"].as_f64() > Some(600.0) && ms["p90"].as_f64() > Some(250.0), "{ms}");
    assert!(ms["p50"].as_f64() < Some(250.0), "{ms}");
}
