//! A Socket.IO client upgrades from polling to a WebSocket while the board changes quickly.

use std::cell::Cell;
use std::time::Duration;

use laurel::live::Board;
use laurel::store::BoardId;
use serde_json::{Value, json};

use super::clients::{Polling, WebSocket};
use crate::harness::{Player, TestNode, TestStores};

/// The time of the upgrade.
#[derive(Clone, Copy, Debug, PartialEq)]
enum UpgradeTime {
    /// Before the login, like the official client.
    BeforeLogin,
    /// After the first board.
    AfterBoard,
    /// Before the first poll, when several packets are queued.
    BeforePoll,
}

/// Publishes boards until the client has upgraded, at least a hundred. Returns the last version.
async fn publish(node: &TestNode, upgraded: &Cell<bool>) -> i64 {
    let mut version = node.app.hub.newest().version;
    let mut published = 0;
    while published < 100 || !upgraded.get() {
        version += 1_000_000;
        published += 1;
        node.app.hub.publish(Board { id: BoardId::GLOBAL, version, rows: Vec::new() });
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    version
}

/// Upgrades with the steps of the official client. Returns the WebSocket, and the packets from polling.
async fn upgrade(node: &TestNode, player: &Player, when: UpgradeTime) -> (WebSocket, Vec<String>) {
    let mut received = Vec::new();
    let mut polling = Polling::open(&node.base).await.unwrap();
    let path = format!("/socket.io/?EIO=4&transport=websocket&sid={}", polling.sid);
    let probed = Cell::new(false);
    let probe = async {
        let mut socket = WebSocket::open(&node.base, &path, "", None).await.unwrap();
        socket.send("2probe").await;
        assert_eq!(socket.receive().await.unwrap(), "3probe");
        probed.set(true);
        socket
    };
    let join = format!("40{}", json!({ "token": player.token }));
    if when == UpgradeTime::AfterBoard {
        polling.send(&join).await;
        while !received.iter().any(|packet: &String| packet.contains("scoreboard:update")) {
            received.extend(polling.poll().await.unwrap());
        }
    }
    let poll = async {
        if when != UpgradeTime::AfterBoard {
            polling.send(&join).await;
        }
        // The client lets its current poll finish, then pauses polling.
        while when != UpgradeTime::BeforePoll && !probed.get() {
            received.extend(polling.poll().await.expect("the session ended"));
        }
    };
    let (mut socket, ()) = futures::join!(probe, poll);
    socket.send("5").await;
    (socket, received)
}

/// The version of a board packet; `None` for other packets.
fn board_version(packet: &str) -> Option<i64> {
    let event: Value = serde_json::from_str(packet.strip_prefix("42")?).unwrap();
    (event[0] == "scoreboard:update").then(|| event[1]["version"].as_i64().unwrap())
}

#[tokio::test]
async fn an_upgrade_neither_loses_nor_repeats_a_packet() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    for when in [UpgradeTime::BeforeLogin, UpgradeTime::AfterBoard, UpgradeTime::BeforePoll].repeat(7) {
        let upgraded = Cell::new(false);
        let client = async {
            let (mut socket, mut received) = upgrade(&node, &ada, when).await;
            received.push(socket.receive().await.expect("the session ended"));
            upgraded.set(true);
            (socket, received)
        };
        let (newest, (mut socket, mut received)) = futures::join!(publish(&node, &upgraded), client);
        while received
            .iter()
            .rev()
            .find_map(|packet| board_version(packet))
            .is_none_or(|version| version < newest)
        {
            received.push(socket.receive().await.expect("the session ended"));
        }
        let count = |start: &str| received.iter().filter(|packet| packet.starts_with(start)).count();
        assert_eq!(count("40{\"sid\""), 1, "{received:?}");
        assert_eq!(count("42[\"connect_success\""), 1, "{received:?}");
        let order = received
            .iter()
            .filter(|packet| *packet != "6" && *packet != "2")
            .map(|packet| &packet[..packet.len().min(10)])
            .collect::<Vec<_>>();
        assert!(order[0].starts_with("40{") && order[1].starts_with("42[\"conne"), "{order:?}");
        let versions: Vec<i64> = received.iter().filter_map(|packet| board_version(packet)).collect();
        assert!(versions.is_sorted_by(|version, next| version < next), "{versions:?}");
        assert_eq!(versions.len() + 2, order.len(), "nothing else was sent");
    }
}
