//! Socket.IO's client begins with polling, and moves to a WebSocket while boards change quickly.

use std::cell::Cell;
use std::time::Duration;

use laurel::live::Board;
use serde_json::{Value, json};

use super::clients::{Polling, WebSocket};
use crate::harness::{Player, TestNode, World};

/// When the client begins to move.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moves {
    /// Before it has joined, as the official client does.
    AtOnce,
    /// When it has seen a board.
    Later,
    /// Before it has polled even once: what waits for it is more than one packet.
    Unpolled,
}

/// Publishes boards, a hundred at least, until the client has moved. Returns the last one's version.
async fn publish(node: &TestNode, moved: &Cell<bool>) -> i64 {
    let mut version = node.app.hub.newest().version;
    let mut published = 0;
    while published < 100 || !moved.get() {
        version += 1_000_000;
        published += 1;
        node.app.hub.publish(Board { version, rows: Vec::new() });
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    version
}

/// Goes through the official client's steps. Returns its WebSocket, and what it heard over polling.
async fn move_over(node: &TestNode, player: &Player, moves: Moves) -> (WebSocket, Vec<String>) {
    let mut heard = Vec::new();
    let mut line = Polling::open(&node.base).await.unwrap();
    let path = format!("/socket.io/?EIO=4&transport=websocket&sid={}", line.sid);
    let probed = Cell::new(false);
    let probe = async {
        let mut socket = WebSocket::open(&node.base, &path, "", None).await.unwrap();
        socket.say("2probe").await;
        assert_eq!(socket.hear().await.unwrap(), "3probe");
        probed.set(true);
        socket
    };
    let join = format!("40{}", json!({ "token": player.token }));
    if moves == Moves::Later {
        line.say(&join).await;
        while !heard.iter().any(|it: &String| it.contains("scoreboard:update")) {
            heard.extend(line.poll().await.unwrap());
        }
    }
    let poll = async {
        if moves != Moves::Later {
            line.say(&join).await;
        }
        // A poll that has begun is waited for; then the transport is paused.
        while moves != Moves::Unpolled && !probed.get() {
            heard.extend(line.poll().await.expect("the session ended"));
        }
    };
    let (mut socket, ()) = futures::join!(probe, poll);
    socket.say("5").await;
    (socket, heard)
}

/// The version, if a packet brings a board.
fn version(packet: &str) -> Option<i64> {
    let event: Value = serde_json::from_str(packet.strip_prefix("42")?).unwrap();
    (event[0] == "scoreboard:update").then(|| event[1]["version"].as_i64().unwrap())
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_while_a_session_moves() {
    let world = World::new().await;
    let node = world.node().await;
    let ada = node.register("ada").await;
    for moves in [Moves::AtOnce, Moves::Later, Moves::Unpolled].repeat(7) {
        let moved = Cell::new(false);
        let client = async {
            let (mut socket, mut heard) = move_over(&node, &ada, moves).await;
            heard.push(socket.hear().await.expect("the session ended"));
            moved.set(true);
            (socket, heard)
        };
        let (newest, (mut socket, mut heard)) = futures::join!(publish(&node, &moved), client);
        while heard.iter().rev().find_map(|it| version(it)).is_none_or(|it| it < newest) {
            heard.push(socket.hear().await.expect("the session ended"));
        }
        let count = |start: &str| heard.iter().filter(|it| it.starts_with(start)).count();
        assert_eq!(count("40{\"sid\""), 1, "{heard:?}");
        assert_eq!(count("42[\"connect_success\""), 1, "{heard:?}");
        let order = heard
            .iter()
            .filter(|it| *it != "6" && *it != "2")
            .map(|it| &it[..it.len().min(10)])
            .collect::<Vec<_>>();
        assert!(order[0].starts_with("40{") && order[1].starts_with("42[\"conne"), "{order:?}");
        let versions: Vec<i64> = heard.iter().filter_map(|it| version(it)).collect();
        assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
        assert_eq!(versions.len() + 2, order.len(), "nothing else was said");
    }
}
