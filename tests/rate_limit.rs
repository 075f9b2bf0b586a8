//! Rate limits of requests: all nodes share a window, and refused requests call no script.

use futures::stream::{self, StreamExt};
use serde_json::json;

use crate::harness::{Player, TestNode, TestStores, eventually};

const BOARD: &str = "/api/v1/scores/leaderboard";

/// The calls of `lease` by a node, including failed ones.
fn leases(node: &TestNode) -> u64 {
    node.metric("laurel_redis_script_duration_seconds_count", "script=\"lease\"")
}

/// Sends requests to the nodes in turn, 20 at a time. Returns the number of accepted ones.
async fn flood(nodes: &[&TestNode], player: Option<&Player>, path: &str, requests: usize) -> usize {
    let token = player.map_or("", |it| it.token.as_str());
    let send = |turn: usize| nodes[turn % nodes.len()].get_with(path, token, &[]);
    let responses: Vec<_> = stream::iter(0..requests).map(send).buffered(20).collect().await;
    for refused in responses.iter().filter(|it| it.status == 429) {
        refused.assert_refused(429, "RATE_LIMIT_EXCEEDED");
        let retry: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&retry));
        assert_eq!(refused.header("ratelimit-remaining"), "0");
    }
    responses.iter().filter(|it| it.status != 429).count()
}

#[tokio::test]
async fn two_nodes_share_the_window_of_an_address() {
    let stores = TestStores::new().await;
    let limit = |config: &mut laurel::config::Config| config.limits.requests_per_minute_per_ip = 100;
    let (one, two) = (stores.start_node_with(limit).await, stores.start_node_with(limit).await);
    assert_eq!(flood(&[&one, &two], None, BOARD, 300).await, 100);
    let before = leases(&one) + leases(&two);
    assert!(before <= 40, "{before} leases for 100 requests");

    assert_eq!(flood(&[&one, &two], None, BOARD, 300).await, 0);
    assert_eq!(leases(&one) + leases(&two), before, "refused requests must call no script");
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(one.get(path).await.status, 200, "{path}");
    }
    let counter = "laurel_rate_limited_total{scope=\"address\"}";
    assert!(one.get("/metrics").await.text.contains(counter));
}

#[tokio::test]
async fn two_nodes_share_the_window_of_a_user() {
    let stores = TestStores::new().await;
    let limit = |config: &mut laurel::config::Config| config.limits.requests_per_minute_per_user = 30;
    let (one, two) = (stores.start_node_with(limit).await, stores.start_node_with(limit).await);
    let (ada, bob) = (one.register("ada").await, one.register("bob").await);
    let nodes = [&one, &two];
    assert_eq!(flood(&nodes, Some(&ada), "/api/game/session", 90).await, 30);
    let before = leases(&one) + leases(&two);
    assert_eq!(flood(&nodes, Some(&ada), "/api/game/session", 90).await, 0);
    assert_eq!(leases(&one) + leases(&two), before);
    assert_eq!(
        flood(&nodes, Some(&bob), "/api/game/session", 10).await,
        10,
        "other users have their own windows"
    );
    assert_eq!(
        flood(&nodes, None, BOARD, 10).await,
        10,
        "requests without a login count for the address only"
    );
}

#[tokio::test]
async fn concurrent_requests_share_one_lease() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.limits.requests_per_minute_per_ip = 1600).await;
    assert_eq!(flood(&[&node], None, BOARD, 100).await, 100);
    assert_eq!(leases(&node), 1);
}

#[tokio::test]
async fn without_redis_each_node_counts_alone() {
    let mut stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.limits.requests_per_minute_per_ip = 40).await;
    stores.redis.kill().await;
    assert_eq!(flood(&[&node], None, BOARD, 100).await, 40, "a node alone applies the whole limit");
    stores.redis.restart().await;
    eventually("the shared window to be back", async || (node.get(BOARD).await.status == 200).then_some(()))
        .await;
}

#[tokio::test]
async fn a_socket_io_poll_is_a_request() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.limits.requests_per_minute_per_ip = 3).await;
    assert_eq!(flood(&[&node], None, "/socket.io/?EIO=4&transport=polling", 10).await, 3);
}

#[tokio::test]
async fn registrations_are_limited_per_address() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.limits.registers_per_minute_per_ip = 2).await;
    node.register("ada").await;
    node.register("bob").await;
    let body = json!({ "username": "eve", "email": "eve@example.com", "password": "correct horse" });
    node.post("/api/auth/register", "", &body).await.assert_refused(429, "RATE_LIMIT_EXCEEDED");
}
