//! HAProxy serves three nodes as one, with the configuration of the compose network.

use std::process::{Child, Command};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::servers::project_path;
use super::tools::{assert_routed, output_of};
use crate::harness::{NodeProcess, TestStores, eventually, free_port, haproxy_path};

/// A HAProxy process, stopped on drop.
struct Balancer(Child);

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn paths_in_balancer_files_exist() {
    let file = std::fs::read_to_string(project_path("deploy/compose/haproxy.cfg")).unwrap();
    // A path that ends with a slash is a prefix.
    let paths = file.split_ascii_whitespace().filter(|it| it.starts_with('/') && !it.ends_with('/'));
    let paths: Vec<&str> = paths.filter(|it| !it.contains("haproxy.cfg")).collect();
    assert!(paths.len() > 5);
    paths.into_iter().for_each(assert_routed);
}

/// Both files are the same but for the addresses, so the tests of one cover the other.
#[test]
fn both_balancer_files_have_the_same_lines() {
    let lines = |path: &str| -> Vec<String> {
        let text = std::fs::read_to_string(project_path(path)).unwrap();
        text.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect()
    };
    let mut compose = lines("deploy/compose/haproxy.cfg").into_iter();
    for mut line in lines("deploy/haproxy.cfg").into_iter().filter(|it| !it.starts_with("bind ")) {
        for (node, port) in [("a", 3001), ("b", 3002), ("c", 3003)] {
            line = line.replace(&format!("127.0.0.1:{port}"), &format!("laurel-{node}:3000"));
        }
        assert!(compose.any(|other| other.starts_with(&line)), "{line} is missing or in another place");
    }
}

/// The global limit of connections exceeds the limit of players, so that operators and health checks can connect.
#[test]
fn players_cannot_use_all_connections_of_the_balancer() {
    let file = std::fs::read_to_string(project_path("deploy/compose/haproxy.cfg")).unwrap();
    let limits = file.lines().filter_map(|line| line.trim().strip_prefix("maxconn "));
    let limits: Vec<u32> = limits.map(|it| it.parse().unwrap()).collect();
    assert!(limits.len() == 2 && limits[0] >= limits[1] + 100, "{limits:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_are_served_as_one() {
    let stores = TestStores::new().await;
    let mut nodes: Vec<NodeProcess> = Vec::new();
    let admin = [free_port(), free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    for (name, admin) in ["a", "b", "c"].iter().zip(&admin) {
        let settings = [
            ("LAUREL_LIVE__NODE_NAME", *name),
            ("LAUREL_SERVER__DRAIN_SECONDS", "1"),
            ("LAUREL_SERVER__ADMIN_LISTEN", admin.as_str()),
        ];
        nodes.push(stores.start_process(&settings).await);
    }
    let (port, health_port, operator_port) = (free_port(), free_port(), free_port());
    let mut file = std::fs::read_to_string(project_path("deploy/compose/haproxy.cfg")).unwrap();
    for ((name, node), admin) in ["a", "b", "c"].iter().zip(&nodes).zip(&admin) {
        file = file.replace(&format!("laurel-{name}:3000"), node.base.trim_start_matches("http://"));
        file = file.replace(&format!("laurel-{name}:9090"), admin);
    }
    let file = file
        .replace("bind :8080", &format!("bind 127.0.0.1:{port}"))
        .replace("bind :8081", &format!("bind 127.0.0.1:{operator_port}"))
        .replace("127.0.0.1:8404", &format!("127.0.0.1:{health_port}"))
        .replace("inter 500", "inter 100");
    let path = stores.folder.path().join("haproxy.cfg");
    std::fs::write(&path, file).unwrap();
    let program = haproxy_path();
    // With all addresses resolved there are no warnings.
    output_of(Command::new(&program).args(["-c", "-dW", "-f"]).arg(&path));
    let _balancer = Balancer(Command::new(program).arg("-f").arg(&path).spawn().unwrap());

    let (base, http) = (format!("http://127.0.0.1:{port}"), reqwest::Client::new());
    let status = async |url: String| reqwest::get(url).await.ok().map(|it| it.status());
    let health = format!("http://127.0.0.1:{health_port}/healthz");
    eventually("a node to be ready", async || {
        (status(health.clone()).await? == StatusCode::OK).then_some(())
    })
    .await;
    for path in ["/metrics", "/admin", "/api/admin/users", "/readyz", "/readyz/awards"] {
        assert_eq!(status(format!("{base}{path}")).await, Some(StatusCode::NOT_FOUND), "{path}");
    }
    let operators = format!("http://127.0.0.1:{operator_port}");
    eventually("a node for operators", async || {
        (status(format!("{operators}/admin")).await? == StatusCode::OK).then_some(())
    })
    .await;
    assert_eq!(status(format!("{operators}/api/admin/users")).await, Some(StatusCode::UNAUTHORIZED));
    // The nodes themselves refuse these paths on the port of players.
    for path in ["/metrics", "/admin", "/api/admin/users"] {
        assert_eq!(status(format!("{}{path}", nodes[0].base)).await, Some(StatusCode::NOT_FOUND), "{path}");
    }
    // The balancer passes a login as long as a node reads. The node refuses it.
    let response =
        http.get(format!("{base}/api/game/session")).bearer_auth("x".repeat(12 * 1024)).send().await.unwrap();
    assert_eq!(response.json::<Value>().await.unwrap()["metadata"]["errorCode"], "INVALID_TOKEN");
    let post = async |path: &str, token: &str, body: Value| {
        let response =
            http.post(format!("{base}{path}")).bearer_auth(token).json(&body).send().await.unwrap();
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    };
    let user = json!({ "username": "ada", "email": "ada@example.com", "password": "correct horse" });
    let token = post("/api/auth/register", "", user).await["data"]["token"].as_str().unwrap().to_owned();
    for round in 1..=6 {
        let init = post("/api/v1/actions/init", &token, json!({ "actionType": "watch_ad" })).await;
        let finalize = json!({ "antiSpamToken": init["antiSpamToken"] });
        assert_eq!(post("/api/v1/actions/finalize", &token, finalize).await["newScore"], round * 10);
    }
    // Each poll reaches the node of its session.
    for _ in 0..6 {
        let polling = format!("{base}/socket.io/?EIO=4&transport=polling");
        let opened = reqwest::get(&polling).await.unwrap().text().await.unwrap();
        let opened: Value = serde_json::from_str(opened.trim_start_matches('0')).unwrap();
        let session = format!("{polling}&sid={}", opened["sid"].as_str().unwrap());
        let response = http.post(&session).body(format!("40{{\"token\":\"{token}\"}}")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        eventually("the session to be connected", async || {
            let polled = reqwest::get(&session).await.unwrap();
            assert_eq!(polled.status(), StatusCode::OK);
            polled.text().await.unwrap().contains("connect_success").then_some(())
        })
        .await;
    }
    for node in &mut nodes[1..] {
        node.kill();
    }
    eventually("the remaining node to serve all requests", async || {
        (status(format!("{base}/api/v1/scores/leaderboard")).await? == StatusCode::OK).then_some(())
    })
    .await;
}
