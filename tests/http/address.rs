//! Rate limits count the client's address, not the balancer's and not one that a client claims.

use reqwest::Method;
use serde_json::json;

use crate::harness::{TestNode, TestStores};

/// The status of a request with this `X-Forwarded-For`.
async fn status(node: &TestNode, forwarded_for: &str) -> u16 {
    let headers = [("x-forwarded-for", forwarded_for)];
    node.send(Method::GET, "/api/v1/scores/leaderboard", &headers, Vec::new()).await.status
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_have_separate_limits() {
    let stores = TestStores::new().await;
    let node = stores
        .start_node_with(|it| {
            it.server.trusted_proxies = vec!["127.0.0.1".into()];
            it.limits.requests_per_minute_per_ip = 2;
        })
        .await;
    for client in ["192.0.2.1", "198.51.100.7, 192.0.2.2", "2001:db8::1"] {
        let answers = [status(&node, client).await, status(&node, client).await, status(&node, client).await];
        assert_eq!(answers, [200, 200, 429], "{client}");
    }
    assert_eq!(status(&node, "203.0.113.5, 192.0.2.1").await, 429, "the left-most is the client's own word");
    assert_eq!(status(&node, "2001:db8::2:1").await, 429, "the same /64");
    assert_eq!(status(&node, "2001:db8:0:1::1").await, 200, "another /64");
}

#[tokio::test]
async fn forwarded_for_of_an_untrusted_peer_is_ignored() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|it| it.limits.requests_per_minute_per_ip = 2).await;
    let answers = [
        status(&node, "192.0.2.1").await,
        status(&node, "192.0.2.2").await,
        status(&node, "192.0.2.3").await,
    ];
    assert_eq!(answers, [200, 200, 429]);
}

/// A /48 has 65,536 /64 networks: together they get the limit of eight.
#[tokio::test]
async fn an_ipv6_48_gets_eight_times_the_limit_of_a_64() {
    let stores = TestStores::new().await;
    let node = stores
        .start_node_with(|it| {
            it.server.trusted_proxies = vec!["::ffff:127.0.0.0/104".into()];
            it.limits.requests_per_minute_per_ip = 2;
        })
        .await;
    for household in 1..=8 {
        let client = format!("2001:db8:1:{household}::1");
        assert_eq!([status(&node, &client).await, status(&node, &client).await], [200, 200], "{client}");
    }
    assert_eq!(status(&node, "2001:db8:1:ff::1").await, 429, "the same /48");
    assert_eq!(status(&node, "2001:db8:2::1").await, 200, "another /48");
    assert_eq!(status(&node, "192.0.2.1").await, 200);

    let node = stores
        .start_node_with(|it| {
            it.server.trusted_proxies = vec!["127.0.0.1".into()];
            it.limits.logins_per_minute_per_ip = 1;
            it.limits.registers_per_minute_per_ip = 1;
        })
        .await;
    let short = json!({ "username": "nobody", "password": "correct horse" });
    let taken = json!({ "username": "ada", "email": "ada@example.com", "password": "correct horse" });
    for (path, body) in [("/api/auth/login", short), ("/api/auth/register", taken)] {
        let ask = async |client: String| {
            node.post_with(path, "", &[("x-forwarded-for", &client)], &body).await.status
        };
        for household in 1..=8 {
            assert_ne!(ask(format!("2001:db8:3:{household}::1")).await, 429, "{path}");
        }
        assert_eq!(ask("2001:db8:3:ff::1".into()).await, 429, "{path}");
        assert_ne!(ask("2001:db8:4::1".into()).await, 429, "{path}");
    }
}
