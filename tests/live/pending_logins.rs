//! Socket.IO sessions before their login use a separate pool of connections.

use reqwest::Method;

use super::clients::{ALL, Protocol, Subscriber};
use crate::harness::{TestNode, TestResponse, TestStores, eventually};

/// A handshake from an address, through a trusted proxy.
async fn send_handshake(node: &TestNode, from: &str) -> TestResponse {
    let path = "/socket.io/?EIO=4&transport=polling";
    node.send(Method::GET, path, &[("x-forwarded-for", from)], Vec::new()).await
}

/// Makes `count` handshakes; returns how many succeeded.
async fn count_accepted(node: &TestNode, from: &str, count: usize) -> usize {
    let mut accepted = 0;
    for _ in 0..count {
        let answer = send_handshake(node, from).await;
        if answer.status == 200 {
            accepted += 1;
        } else {
            answer.assert_refused(503, "SERVICE_UNAVAILABLE");
            assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
        }
    }
    accepted
}

#[tokio::test]
async fn pending_logins_leave_room_for_players_and_time_out() {
    let stores = TestStores::new().await;
    let set_limits = |config: &mut laurel::config::Config| {
        config.live.max_sockets = 300;
        config.live.login_timeout_ms = 600_000;
        config.server.trusted_proxies = vec!["127.0.0.1".into()];
    };
    let node = stores.start_node_with(set_limits).await;
    let ada = node.register("ada").await;
    // A tenth of the 300 connections is for pending logins, and a quarter of the tenth for one address.
    assert_eq!(count_accepted(&node, "198.51.100.1", 300).await, 7);
    // An IPv6 /48 counts as one network.
    for household in 1..=20 {
        count_accepted(&node, &format!("2001:db8:1:{household}::1"), 1).await;
    }
    assert_eq!(count_accepted(&node, "2001:db8:1:99::1", 1).await, 0);
    for protocol in ALL {
        let mut player = Subscriber::open(&node.base, protocol, &ada.token).await;
        player.wait_for("leaderboard_updated").await;
    }
    // Many addresses fill this pool only: players who log in with the handshake can still connect.
    for number in 1..=20 {
        count_accepted(&node, &format!("198.51.100.{number}"), 7).await;
    }
    assert_eq!(count_accepted(&node, "203.0.113.9", 1).await, 0, "the pool is full");
    for protocol in [Protocol::WebSocket, Protocol::ServerSentEvents] {
        let mut player = Subscriber::open(&node.base, protocol, &ada.token).await;
        player.wait_for("leaderboard_updated").await;
    }

    let node = stores
        .start_node_with(|config| {
            set_limits(config);
            config.live.login_timeout_ms = 50;
        })
        .await;
    assert!(count_accepted(&node, "198.51.100.1", 300).await >= 7);
    eventually("a permit to be released", async || {
        (send_handshake(&node, "198.51.100.1").await.status == 200).then_some(())
    })
    .await;
}
