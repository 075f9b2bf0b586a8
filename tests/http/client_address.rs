//! Rate limits count the client's address: not the load balancer's, and not one that the client claims.

use serde_json::json;

use crate::harness::{TestNode, TestStores};

/// The status of a request with this `X-Forwarded-For`.
async fn status(node: &TestNode, forwarded_for: &str) -> u16 {
    let headers = [("x-forwarded-for", forwarded_for)];
    node.get_with("/api/v1/scores/leaderboard", "", &headers).await.status
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_have_separate_limits() {
    let stores = TestStores::new().await;
    let node = stores
        .start_node_with(|config| {
            config.server.trusted_proxies = vec!["127.0.0.1".into()];
            config.limits.requests_per_minute_per_ip = 2;
        })
        .await;
    for client in ["192.0.2.1", "198.51.100.7, 192.0.2.2", "2001:db8::1"] {
        let statuses =
            [status(&node, client).await, status(&node, client).await, status(&node, client).await];
        assert_eq!(statuses, [200, 200, 429], "{client}");
    }
    assert_eq!(
        status(&node, "203.0.113.5, 192.0.2.1").await,
        429,
        "the client itself writes the left-most address"
    );
    assert_eq!(status(&node, "2001:db8::2:1").await, 429, "the same /64");
    assert_eq!(status(&node, "2001:db8:0:1::1").await, 200, "another /64");
}

#[tokio::test]
async fn forwarded_for_of_an_untrusted_peer_is_ignored() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.limits.requests_per_minute_per_ip = 2).await;
    let statuses = [
        status(&node, "192.0.2.1").await,
        status(&node, "192.0.2.2").await,
        status(&node, "192.0.2.3").await,
    ];
    assert_eq!(statuses, [200, 200, 429]);
}

/// A /48 has 65,536 /64 networks. Together they get eight times the limit of one.
#[tokio::test]
async fn an_ipv6_48_gets_eight_times_the_limit_of_a_64() {
    let stores = TestStores::new().await;
    let node = stores
        .start_node_with(|config| {
            config.server.trusted_proxies = vec!["::ffff:127.0.0.0/104".into()];
            config.limits.requests_per_minute_per_ip = 2;
        })
        .await;
    for network in 1..=8 {
        let client = format!("2001:db8:1:{network}::1");
        assert_eq!([status(&node, &client).await, status(&node, &client).await], [200, 200], "{client}");
    }
    assert_eq!(status(&node, "2001:db8:1:ff::1").await, 429, "the same /48");
    assert_eq!(status(&node, "2001:db8:2::1").await, 200, "another /48");
    assert_eq!(status(&node, "192.0.2.1").await, 200);

    let node = stores
        .start_node_with(|config| {
            config.server.trusted_proxies = vec!["127.0.0.1".into()];
            config.limits.logins_per_minute_per_ip = 1;
            config.limits.registers_per_minute_per_ip = 1;
        })
        .await;
    let login = json!({ "username": "nobody", "password": "correct horse" });
    let registration = json!({ "username": "ada", "email": "ada@example.com", "password": "correct horse" });
    for (path, body) in [("/api/auth/login", login), ("/api/auth/register", registration)] {
        let status = async |client: String| {
            node.post_with(path, "", &[("x-forwarded-for", &client)], &body).await.status
        };
        for network in 1..=8 {
            assert_ne!(status(format!("2001:db8:3:{network}::1")).await, 429, "{path}");
        }
        assert_eq!(status("2001:db8:3:ff::1".into()).await, 429, "{path}");
        assert_ne!(status("2001:db8:4::1".into()).await, 429, "{path}");
    }
}
