//! Limits of connections: per network, per node, and the minimum speed of reading.

use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{NodeProcess, TEST_TIMEOUT, TestNode, TestStores, eventually};
use crate::live::clients::{Protocol, Subscriber, soon};

/// The open files of the attacked node. 500 of them are reserved for stores and logs.
const FILES: u64 = 800;
/// The connections of one network: half of the other 300.
const SHARE: usize = 150;
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: laurel\r\n\r\n";
const LARGE: &str = "GET /openapi.json HTTP/1.1\r\nHost: laurel\r\n\r\n";

/// A connection with a small receive buffer.
async fn connect(base: &str) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address: std::net::SocketAddr = base.trim_start_matches("http://").parse().unwrap();
    socket.connect(&address.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    TcpStream::from_std(socket.into()).unwrap()
}

/// Connects and sends a text. The node may close the connection at once.
async fn connect_and_send(base: &str, text: &str) -> TcpStream {
    let mut stream = connect(base).await;
    let _ = stream.write_all(text.as_bytes()).await;
    stream
}

/// A client with another address of this machine.
fn client_at_another_address() -> Client {
    let address = std::net::IpAddr::from([127, 0, 0, 2]);
    Client::builder().local_address(address).timeout(TEST_TIMEOUT).build().unwrap()
}

async fn post(client: &Client, url: String, token: &str, body: Value) -> Value {
    let response = client.post(url).bearer_auth(token).json(&body).send().await.unwrap();
    assert!(response.status().is_success(), "{}", response.status());
    response.json().await.unwrap()
}

/// The value of a metric, or 0.
fn metric_value(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find(|it| it.starts_with(name));
    line.and_then(|it| it.rsplit(' ').next()).map_or(0, |it| it.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_use_up_all_connections() {
    // This process is the attacker, and needs more open files.
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let all = rustix::process::Rlimit { current: files.maximum, ..files };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, all).unwrap();
    let stores = TestStores::new().await;
    let settings =
        [("LAUREL_LIMITS__CONNECTIONS_PER_IP", "4000"), ("LAUREL_SERVER__WRITE_TIMEOUT_MS", "600000")];
    let node = NodeProcess::start_with_file_limit(&stores.config, &settings, FILES).await;
    let (base, other_client) = (node.base.clone(), client_at_another_address());
    let mut held = Vec::new();
    for _ in 0..FILES / 2 {
        held.push(connect_and_send(&base, &LARGE.repeat(20)).await);
        held.push(connect_and_send(&base, HEALTH).await);
    }
    let get = async |path: &str| other_client.get(format!("{base}{path}")).send().await.unwrap();
    eventually("the attack to reach its limit", async || {
        let metrics = get("/metrics").await.text().await.unwrap();
        let refused = metric_value(&metrics, "laurel_connections_refused_total{reason=\"network\"}");
        (refused >= FILES - SHARE as u64).then_some(())
    })
    .await;
    for path in ["/healthz", "/readyz", "/api/v1/scores/leaderboard"] {
        assert_eq!(get(path).await.status(), 200, "{path}");
    }
    // The stores still have files: an award reaches the ledger.
    let registration = json!({ "username": "ada", "email": "ada@example.com", "password": "correct horse" });
    let registered = post(&other_client, format!("{base}/api/auth/register"), "", registration).await;
    let token = registered["data"]["token"].as_str().unwrap();
    let issued = post(
        &other_client,
        format!("{base}/api/v1/actions/init"),
        token,
        json!({ "actionType": "watch_ad" }),
    );
    let proof = json!({ "antiSpamToken": issued.await["antiSpamToken"] });
    let award = post(&other_client, format!("{base}/api/v1/actions/finalize"), token, proof).await;
    assert_eq!(award["newScore"], 10);
    eventually("the award to reach the ledger", async || {
        let metrics = get("/metrics").await.text().await.unwrap();
        (metric_value(&metrics, "laurel_ledger_entries_total") >= 2).then_some(())
    })
    .await;
    drop(held);
}

#[tokio::test]
async fn a_full_node_closes_the_longest_idle_connection_and_no_socket() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.server.max_connections = 40).await;
    let ada = node.register("ada").await;
    let mut subscribers = Vec::new();
    for protocol in [Protocol::WebSocket, Protocol::SocketIo, Protocol::ServerSentEvents] {
        let mut subscriber = Subscriber::open(&node.base, protocol, &ada.token).await;
        subscriber.wait_for("leaderboard_updated").await;
        subscribers.push(subscriber);
    }
    let mut oldest = connect_and_send(&node.base, HEALTH).await;
    let mut buffer = [0; 1024];
    assert!(soon("a response", oldest.read(&mut buffer)).await.unwrap() > 0);
    let mut others = Vec::new();
    let closed = async { while oldest.read(&mut buffer).await.is_ok_and(|it| it > 0) {} };
    tokio::pin!(closed);
    // Connections after a request, and connections that send nothing.
    while tokio::time::timeout(Duration::from_millis(10), closed.as_mut()).await.is_err() {
        others.push(connect_and_send(&node.base, if others.len() % 2 == 0 { HEALTH } else { "" }).await);
        assert!(others.len() < 3000, "the node closed no connection");
    }
    assert!(node.app.metrics.connections_closed.with_label_values(&["idle"]).get() > 0);
    // Three times the limit: the node closes every other connection before a socket.
    for _ in 0..120 {
        others.push(connect_and_send(&node.base, "").await);
    }
    drop(others);
    let open = || node.app.metrics.connections.with_label_values(&["public"]).get();
    eventually("the other connections to be closed", async || (open() < 10).then_some(())).await;
    node.award(&ada, "watch_ad").await;
    for mut subscriber in subscribers {
        subscriber.wait_for_board(&[("ada".to_owned(), 10, 1)]).await;
    }
}

#[tokio::test]
async fn slow_readers_are_closed_and_idle_streams_stay_open() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.server.write_timeout_ms = 300).await;
    let ada = node.register("ada").await;
    let mut idle = Subscriber::open(&node.base, Protocol::ServerSentEvents, &ada.token).await;
    idle.wait_for("leaderboard_updated").await;
    let slow = connect_and_send(&node.base, &LARGE.repeat(20)).await;
    let closed = |node: &TestNode| node.app.metrics.connections_closed.with_label_values(&["slow"]).get();
    eventually("the slow reader to be closed", async || (closed(&node) == 1).then_some(())).await;
    drop(slow);
    // A client that reads gets whole responses.
    for _ in 0..20 {
        assert_eq!(node.send(Method::GET, "/openapi.json", &[], Vec::new()).await.status, 200);
    }
    node.award(&ada, "watch_ad").await;
    idle.wait_for_board(&[("ada".to_owned(), 10, 1)]).await;
    assert_eq!(closed(&node), 1);
}
