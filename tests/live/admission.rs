//! Connection limits and the handshake queue for every protocol, and the drain.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures::poll;
use reqwest::Method;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::clients::{ALL, Protocol, Subscriber, soon};
use crate::harness::{Player, TestNode, TestResponse, TestStores, eventually};

/// Sends the request that opens a connection, to a node that refuses it.
async fn send_handshake(node: &TestNode, protocol: Protocol, player: &Player) -> TestResponse {
    let path = match protocol {
        Protocol::WebSocket => "/api/v1/ws",
        Protocol::ServerSentEvents => "/api/v1/leaderboard/stream",
        Protocol::SocketIo => "/socket.io/?EIO=4&transport=websocket",
        Protocol::SocketIoPolling => "/socket.io/?EIO=4&transport=polling",
    };
    let bearer = format!("Bearer {}", player.token);
    let mut headers = vec![("authorization", bearer.as_str())];
    if matches!(protocol, Protocol::WebSocket | Protocol::SocketIo) {
        headers.extend([("connection", "upgrade"), ("upgrade", "websocket")]);
        headers.extend([("sec-websocket-version", "13"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")]);
    }
    soon("a complete response", node.send(Method::GET, path, &headers, Vec::new())).await
}

/// True if clients log in after the handshake, in a packet.
fn logs_in_after_handshake(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::SocketIo | Protocol::SocketIoPolling)
}

/// A refused Socket.IO client reconnects by itself only if it gets no packet.
async fn assert_closed_silently(node: &TestNode, protocol: Protocol, player: &Player) {
    let mut subscriber = Subscriber::open(&node.base, protocol, &player.token).await;
    let events = subscriber.rest().await;
    assert!(events.is_empty(), "{protocol:?}: {events:?}");
    if protocol == Protocol::SocketIo {
        assert_eq!(subscriber.closed().map(|frame| frame.0), Some(1005));
    }
}

/// Checks that every protocol refuses the player. With a limit per user, Socket.IO refuses only after the login packet.
async fn assert_limited(node: &TestNode, player: &Player, scope: &str) {
    for protocol in ALL {
        if logs_in_after_handshake(protocol) && scope == "user" {
            assert_closed_silently(node, protocol, player).await;
            continue;
        }
        let refused = send_handshake(node, protocol, player).await;
        refused.assert_refused(429, "RATE_LIMIT_EXCEEDED");
        assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0, "{protocol:?}");
    }
}

fn assert_overloaded(refused: &TestResponse) {
    refused.assert_refused(503, "SERVICE_UNAVAILABLE");
    let after: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=5).contains(&after), "{after}");
}

/// The number of open connections.
pub fn sockets(node: &TestNode) -> i64 {
    let protocols = ["websocket", "socketio", "events"];
    protocols.iter().map(|protocol| node.app.metrics.sockets.with_label_values(&[protocol]).get()).sum()
}

/// Waits until a client's permit is released. Not for polling clients: they leave only when they miss a ping.
async fn wait_until_released(node: &TestNode, protocol: Protocol) {
    if protocol != Protocol::SocketIoPolling {
        eventually("the permits to be released", async || (sockets(node) == 0).then_some(())).await;
    }
}

#[tokio::test]
async fn users_and_addresses_have_a_connection_limit_over_all_protocols() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.limits.sockets_per_user = 1).await;
    let (ada, eve) = (node.register("ada").await, node.register("eve").await);
    for protocol in ALL {
        let mut connection = Subscriber::open(&node.base, protocol, &ada.token).await;
        connection.wait_for("leaderboard_updated").await;
        assert_limited(&node, &ada, "user").await;
        Subscriber::open(&node.base, protocol, &eve.token).await.wait_for("connect_success").await;
        drop(connection);
        wait_until_released(&node, protocol).await;
    }
    let node = stores.start_node_with(|config| config.limits.sockets_per_ip = 1).await;
    let _connection = Subscriber::open(&node.base, Protocol::WebSocket, &ada.token).await;
    assert_limited(&node, &eve, "address").await;
}

#[tokio::test]
async fn a_full_node_refuses_before_the_handshake() {
    let stores = TestStores::new().await;
    // One of the three is for pending logins.
    let node = stores.start_node_with(|config| config.live.max_sockets = 3).await;
    let (ada, eve) = (node.register("ada").await, node.register("eve").await);
    let mut connections = Vec::new();
    for protocol in [Protocol::SocketIo, Protocol::ServerSentEvents] {
        let mut subscriber = Subscriber::open(&node.base, protocol, &ada.token).await;
        subscriber.wait_for("leaderboard_updated").await;
        connections.push(subscriber);
    }
    for protocol in ALL {
        assert_overloaded(&send_handshake(&node, protocol, &eve).await);
    }
    drop(connections);
    wait_until_released(&node, Protocol::SocketIo).await;
    for protocol in ALL {
        let open = async || Subscriber::try_open(&node.base, protocol, &eve.token, None).await;
        eventually("a permit", open).await.wait_for("leaderboard_updated").await;
        wait_until_released(&node, protocol).await;
    }
}

#[tokio::test]
async fn a_full_handshake_queue_refuses_every_protocol() {
    let stores = TestStores::new().await;
    let set_limits = |config: &mut laurel::config::Config| {
        config.live.max_concurrent_handshakes = 1;
        config.live.max_queued_handshakes = 0;
    };
    let full = stores.start_node_with(set_limits).await;
    let ada = full.register("ada").await;
    let _running = full.app.live.handshakes.acquire().await.unwrap();
    for protocol in ALL {
        if logs_in_after_handshake(protocol) {
            assert_closed_silently(&full, protocol, &ada).await;
        } else {
            assert_overloaded(&send_handshake(&full, protocol, &ada).await);
        }
    }

    let set_limits = |config: &mut laurel::config::Config| {
        config.live.max_concurrent_handshakes = 1;
        config.live.max_queued_handshakes = 1;
    };
    let node = stores.start_node_with(set_limits).await;
    for protocol in ALL {
        let running = node.app.live.handshakes.acquire().await.unwrap();
        let (base, token) = (node.base.clone(), ada.token.clone());
        let queued = tokio::spawn(async move {
            Subscriber::open(&base, protocol, &token).await.wait_for("leaderboard_updated").await
        });
        eventually("the handshake to be queued", async || {
            matches!(poll!(pin!(node.app.live.handshakes.acquire())), Poll::Ready(None)).then_some(())
        })
        .await;
        assert_overloaded(&send_handshake(&node, Protocol::ServerSentEvents, &ada).await);
        assert_overloaded(&send_handshake(&node, Protocol::WebSocket, &ada).await);
        assert_closed_silently(&node, Protocol::SocketIo, &ada).await;
        drop(running);
        queued.await.unwrap();
    }
}

#[tokio::test]
async fn a_silent_socket_io_client_is_closed() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.live.ping_seconds = 1).await;
    let (ada, eve) = (node.register("ada").await, node.register("eve").await);
    // A client that is not polled reads nothing and answers no ping.
    let silent = Subscriber::open(&node.base, Protocol::SocketIo, &eve.token).await;
    let mut active = Subscriber::open(&node.base, Protocol::SocketIo, &ada.token).await;
    active.wait_for("leaderboard_updated").await;
    eventually("both to be connected", async || (sockets(&node) == 2).then_some(())).await;
    let received = tokio::spawn(async move {
        active.wait_for_board(&[("ada".to_owned(), 10, 1)]).await;
        active
    });
    eventually("the silent client to be closed", async || (sockets(&node) == 1).then_some(())).await;
    node.award(&ada, "watch_ad").await;
    received.await.unwrap();
    drop(silent);
}

/// The end of a client's connection.
struct Ending {
    protocol: Protocol,
    after: Duration,
    /// Code and reason of the close frame.
    code: Option<(u16, String)>,
    last_event: Option<String>,
}

#[tokio::test]
async fn a_drain_closes_sockets_at_an_even_rate() {
    const WINDOW: Duration = Duration::from_secs(3);
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.server.drain_seconds = WINDOW.as_secs()).await;
    let players = node.create_players(60).await;
    let mut subscribers = Vec::new();
    for (index, player) in players.iter().enumerate() {
        let mut subscriber = Subscriber::open(&node.base, ALL[index % ALL.len()], &player.token).await;
        subscriber.wait_for("leaderboard_updated").await;
        subscribers.push(subscriber);
    }
    let start = Instant::now();
    let stopping = tokio::spawn(node.stop());
    let mut endings = JoinSet::new();
    for mut subscriber in subscribers {
        endings.spawn(async move {
            let last_event = subscriber.rest().await.pop().map(|event| event.name);
            let (protocol, code) = (subscriber.protocol(), subscriber.closed().cloned());
            Ending { protocol, after: start.elapsed(), code, last_event }
        });
    }
    let endings = endings.join_all().await;
    stopping.await.unwrap();
    let early = endings.iter().filter(|ending| ending.after < WINDOW / 4).count();
    assert!(early <= endings.len() / 2, "{early} of {} were closed at once", endings.len());
    let is_late_polling =
        |ending: &Ending| ending.protocol == Protocol::SocketIoPolling && ending.after > WINDOW / 4;
    assert!(endings.iter().any(is_late_polling), "polling clients leave at the same rate");
    let mut retries = Vec::new();
    for Ending { protocol, code, last_event, .. } in endings {
        let code = code.as_ref().map(|(code, reason)| (*code, reason.as_str()));
        match protocol {
            Protocol::WebSocket => {
                let (code, reason) = code.unwrap();
                let ms = reason.strip_prefix("retry in ").and_then(|rest| rest.strip_suffix(" ms"));
                assert_eq!(code, 1012);
                retries.push(ms.unwrap().parse::<u64>().unwrap());
            }
            // With a disconnect packet, or a close code, the client would not reconnect.
            Protocol::SocketIo => assert_eq!((last_event.as_deref(), code), (None, Some((1005, "")))),
            Protocol::SocketIoPolling => assert_eq!(last_event.as_deref(), None),
            Protocol::ServerSentEvents => assert_eq!(last_event.as_deref(), Some("retry")),
        }
    }
    assert!(retries.iter().all(|ms| (200..2000).contains(ms)), "{retries:?}");
    assert!(retries.iter().any(|ms| *ms != retries[0]), "all reconnect at the same time");
}
