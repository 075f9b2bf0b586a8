//! More connections than a node has room for.

use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{NodeProcess, TEST_TIMEOUT, TestNode, TestStores, eventually};
use crate::live::clients::{Protocol, Subscriber, soon};

/// Open files of the attacked node; 500 of them are for stores and logs.
const FILES: u64 = 800;
/// Connections of one network, out of the 300 that are left.
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

/// The same after sending a text. The node may have closed it already.
async fn send(base: &str, text: &str) -> TcpStream {
    let mut stream = connect(base).await;
    let _ = stream.write_all(text.as_bytes()).await;
    stream
}

/// A client at another address of this machine.
fn somebody_else() -> Client {
    let address = std::net::IpAddr::from([127, 0, 0, 2]);
    Client::builder().local_address(address).timeout(TEST_TIMEOUT).build().unwrap()
}

async fn post(client: &Client, url: String, token: &str, body: Value) -> Value {
    let answer = client.post(url).bearer_auth(token).json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.json().await.unwrap()
}

/// A metric's value.
fn value(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find(|it| it.starts_with(name));
    line.and_then(|it| it.rsplit(' ').next()).map_or(0, |it| it.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_use_up_all_connections() {
    // This process is the attacker.
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let all = rustix::process::Rlimit { current: files.maximum, ..files };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, all).unwrap();
    let stores = TestStores::new().await;
    let settings =
        [("LAUREL_LIMITS__CONNECTIONS_PER_IP", "4000"), ("LAUREL_SERVER__WRITE_TIMEOUT_MS", "600000")];
    let node = NodeProcess::start_with_file_limit(&stores.config, &settings, FILES).await;
    let (base, else_where) = (node.base.clone(), somebody_else());
    let mut held = Vec::new();
    for _ in 0..FILES / 2 {
        held.push(send(&base, &LARGE.repeat(20)).await);
        held.push(send(&base, HEALTH).await);
    }
    let get = async |path: &str| else_where.get(format!("{base}{path}")).send().await.unwrap();
    eventually("the attack to reach its limit", async || {
        let metrics = get("/metrics").await.text().await.unwrap();
        let refused = value(&metrics, "laurel_connections_refused_total{reason=\"network\"}");
        (refused >= FILES - SHARE as u64).then_some(())
    })
    .await;
    for path in ["/healthz", "/readyz", "/api/v1/scores/leaderboard"] {
        assert_eq!(get(path).await.status(), 200, "{path}");
    }
    // Files are left for the stores: an award reaches the ledger.
    let who = json!({ "username": "ada", "email": "ada@example.com", "password": "correct horse" });
    let registered = post(&else_where, format!("{base}/api/auth/register"), "", who).await;
    let token = registered["data"]["token"].as_str().unwrap();
    let begun =
        post(&else_where, format!("{base}/api/v1/actions/init"), token, json!({ "actionType": "watch_ad" }));
    let proof = json!({ "antiSpamToken": begun.await["antiSpamToken"] });
    let won = post(&else_where, format!("{base}/api/v1/actions/finalize"), token, proof).await;
    assert_eq!(won["newScore"], 10);
    eventually("the ledger to have it", async || {
        let metrics = get("/metrics").await.text().await.unwrap();
        (value(&metrics, "laurel_ledger_entries_total") >= 2).then_some(())
    })
    .await;
    drop(held);
}

#[tokio::test]
async fn the_longest_idle_connection_is_replaced_and_sockets_stay() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|it| it.server.max_connections = 40).await;
    let ada = node.register("ada").await;
    let mut subscribers = Vec::new();
    for protocol in [Protocol::WebSocket, Protocol::SocketIo, Protocol::ServerSentEvents] {
        let mut subscriber = Subscriber::open(&node.base, protocol, &ada.token).await;
        subscriber.wait_for("leaderboard_updated").await;
        subscribers.push(subscriber);
    }
    let mut oldest = send(&node.base, HEALTH).await;
    let mut answer = [0; 1024];
    assert!(soon("an answer", oldest.read(&mut answer)).await.unwrap() > 0);
    let mut others = Vec::new();
    let closed = async { while oldest.read(&mut answer).await.is_ok_and(|it| it > 0) {} };
    tokio::pin!(closed);
    // Idle and silent connections.
    while tokio::time::timeout(Duration::from_millis(10), closed.as_mut()).await.is_err() {
        others.push(send(&node.base, if others.len() % 2 == 0 { HEALTH } else { "" }).await);
        assert!(others.len() < 3000, "no connection was replaced");
    }
    assert!(node.app.metrics.connections_closed.with_label_values(&["idle"]).get() > 0);
    // Three times the limit: all other connections are replaced before a socket.
    for _ in 0..120 {
        others.push(send(&node.base, "").await);
    }
    drop(others);
    let open = || node.app.metrics.connections.with_label_values(&["public"]).get();
    eventually("the others to be gone", async || (open() < 10).then_some(())).await;
    node.award(&ada, "watch_ad").await;
    for mut subscriber in subscribers {
        subscriber.wait_for_board(&[("ada".to_owned(), 10, 1)]).await;
    }
}

#[tokio::test]
async fn slow_readers_are_closed_and_quiet_streams_stay() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|it| it.server.write_timeout_ms = 300).await;
    let ada = node.register("ada").await;
    let mut quiet = Subscriber::open(&node.base, Protocol::ServerSentEvents, &ada.token).await;
    quiet.wait_for("leaderboard_updated").await;
    let slow = send(&node.base, &LARGE.repeat(20)).await;
    let closed = |node: &TestNode| node.app.metrics.connections_closed.with_label_values(&["slow"]).get();
    eventually("the slow reader to be disconnected", async || (closed(&node) == 1).then_some(())).await;
    drop(slow);
    // A client that reads gets the whole response.
    for _ in 0..20 {
        assert_eq!(node.send(Method::GET, "/openapi.json", &[], Vec::new()).await.status, 200);
    }
    node.award(&ada, "watch_ad").await;
    quiet.wait_for_board(&[("ada".to_owned(), 10, 1)]).await;
    assert_eq!(closed(&node), 1);
}
