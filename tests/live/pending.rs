//! Socket.IO sessions that have not logged in: they have a pool of their own.

use reqwest::Method;

use super::clients::{ALL, Listener, Protocol};
use crate::harness::{Answer, TestNode, World, eventually};

/// A handshake from an address, as the trusted proxy says.
async fn handshake(node: &TestNode, from: &str) -> Answer {
    let path = "/socket.io/?EIO=4&transport=polling";
    node.send(Method::GET, path, &[("x-forwarded-for", from)], Vec::new()).await
}

/// So many handshakes; how many of them were taken.
async fn handshakes(node: &TestNode, from: &str, count: usize) -> usize {
    let mut taken = 0;
    for _ in 0..count {
        let answer = handshake(node, from).await;
        if answer.status == 200 {
            taken += 1;
        } else {
            answer.assert_refused(503, "SERVICE_UNAVAILABLE");
            assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
        }
    }
    taken
}

#[tokio::test]
async fn sessions_without_a_login_keep_no_player_out_and_go_soon() {
    let world = World::new().await;
    let change = |it: &mut laurel::config::Config| {
        it.live.max_sockets = 300;
        it.live.login_timeout_ms = 600_000;
        it.server.trusted_proxies = vec!["127.0.0.1".into()];
    };
    let node = world.node_with(change).await;
    let ada = node.register("ada").await;
    // A tenth of the sockets' number is for them, a quarter of that for one address.
    assert_eq!(handshakes(&node, "198.51.100.1", 300).await, 7);
    // Of IPv6 the first 48 bits are one.
    for household in 1..=20 {
        handshakes(&node, &format!("2001:db8:1:{household}::1"), 1).await;
    }
    assert_eq!(handshakes(&node, "2001:db8:1:99::1", 1).await, 0);
    for protocol in ALL {
        let mut player = Listener::open(&node.base, protocol, &ada.token).await;
        player.wait_for("leaderboard_updated").await;
    }
    // Many addresses fill the pool, and no seat: players whose login comes with the handshake are let in.
    for number in 1..=20 {
        handshakes(&node, &format!("198.51.100.{number}"), 7).await;
    }
    assert_eq!(handshakes(&node, "203.0.113.9", 1).await, 0, "the pool is full");
    for protocol in [Protocol::Plain, Protocol::Events] {
        let mut player = Listener::open(&node.base, protocol, &ada.token).await;
        player.wait_for("leaderboard_updated").await;
    }

    let node = world
        .node_with(|it| {
            change(it);
            it.live.login_timeout_ms = 50;
        })
        .await;
    assert!(handshakes(&node, "198.51.100.1", 300).await >= 7);
    eventually("their places to be free", async || {
        (handshake(&node, "198.51.100.1").await.status == 200).then_some(())
    })
    .await;
}
