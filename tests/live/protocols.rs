//! Who is let in, whichever the protocol, and how a node lets go of those it has.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures::poll;
use reqwest::Method;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::clients::{ALL, Listener, Protocol, soon};
use crate::harness::{Answer, Player, TestNode, World, eventually};

/// Asks for a stream, or for a socket as a WebSocket's client does, of a node that is to refuse it.
async fn ask(node: &TestNode, protocol: Protocol, player: &Player) -> Answer {
    let path = match protocol {
        Protocol::Plain => "/api/v1/ws",
        Protocol::Events => "/api/v1/leaderboard/stream",
        Protocol::SocketIo => "/socket.io/?EIO=4&transport=websocket",
        Protocol::Polling => "/socket.io/?EIO=4&transport=polling",
    };
    let bearer = format!("Bearer {}", player.token);
    let mut headers = vec![("authorization", bearer.as_str())];
    if matches!(protocol, Protocol::Plain | Protocol::SocketIo) {
        headers.extend([("connection", "upgrade"), ("upgrade", "websocket")]);
        headers.extend([("sec-websocket-version", "13"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")]);
    }
    soon("an answer that ends", node.send(Method::GET, path, &headers, Vec::new())).await
}

/// A protocol whose client says who it is after the handshake, in a packet.
fn joins_later(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::SocketIo | Protocol::Polling)
}

/// A client of Socket.IO that finds no seat comes back by itself only if it is told nothing.
async fn assert_closed_without_a_word(node: &TestNode, protocol: Protocol, player: &Player) {
    let mut listener = Listener::open(&node.base, protocol, &player.token).await;
    let told = listener.rest().await;
    assert!(told.is_empty(), "{protocol:?}: {told:?}");
    if protocol == Protocol::SocketIo {
        assert_eq!(listener.closed().map(|it| it.0), Some(1005));
    }
}

/// Who an address is, is known at the door already; who a user is, perhaps later.
async fn assert_no_seat(node: &TestNode, player: &Player, of: &str) {
    for protocol in ALL {
        if joins_later(protocol) && of == "user" {
            assert_closed_without_a_word(node, protocol, player).await;
            continue;
        }
        let refused = ask(node, protocol, player).await;
        refused.assert_refused(429, "RATE_LIMIT_EXCEEDED");
        assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0, "{protocol:?}");
    }
}

fn assert_overloaded(refused: &Answer) {
    refused.assert_refused(503, "SERVICE_UNAVAILABLE");
    let after: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=5).contains(&after), "{after}");
}

pub fn sockets(node: &TestNode) -> i64 {
    let protocols = ["websocket", "socketio", "events"];
    protocols.iter().map(|it| node.app.metrics.sockets.with_label_values(&[it]).get()).sum()
}

/// Waits until the clients of this protocol have left. Nobody sees that a client polls no more until it misses a ping.
async fn gone(node: &TestNode, protocol: Protocol) {
    if protocol != Protocol::Polling {
        eventually("the seats to come back", async || (sockets(node) == 0).then_some(())).await;
    }
}

#[tokio::test]
async fn a_user_and_an_address_have_only_so_many_seats_whichever_the_protocol() {
    let world = World::new().await;
    let node = world.node_with(|it| it.limits.sockets_per_user = 1).await;
    let (ada, eve) = (node.register("ada").await, node.register("eve").await);
    for protocol in ALL {
        let mut held = Listener::open(&node.base, protocol, &ada.token).await;
        held.wait_for("leaderboard_updated").await;
        assert_no_seat(&node, &ada, "user").await;
        Listener::open(&node.base, protocol, &eve.token).await.wait_for("connect_success").await;
        drop(held);
        gone(&node, protocol).await;
    }
    let node = world.node_with(|it| it.limits.sockets_per_ip = 1).await;
    let _held = Listener::open(&node.base, Protocol::Plain, &ada.token).await;
    assert_no_seat(&node, &eve, "address").await;
}

#[tokio::test]
async fn a_full_node_sends_everybody_away_before_the_handshake() {
    let world = World::new().await;
    // One of the three is kept for a session that has not logged in.
    let node = world.node_with(|it| it.live.max_sockets = 3).await;
    let (ada, eve) = (node.register("ada").await, node.register("eve").await);
    let mut held = Vec::new();
    for protocol in [Protocol::SocketIo, Protocol::Events] {
        let mut listener = Listener::open(&node.base, protocol, &ada.token).await;
        listener.wait_for("leaderboard_updated").await;
        held.push(listener);
    }
    for protocol in ALL {
        assert_overloaded(&ask(&node, protocol, &eve).await);
    }
    drop(held);
    gone(&node, Protocol::SocketIo).await;
    for protocol in ALL {
        let open = async || Listener::try_open(&node.base, protocol, &eve.token, None).await;
        eventually("a seat", open).await.wait_for("leaderboard_updated").await;
        gone(&node, protocol).await;
    }
}

#[tokio::test]
async fn a_line_of_handshakes_that_is_too_long_is_not_joined() {
    let world = World::new().await;
    let change = |it: &mut laurel::config::Config| {
        it.live.max_concurrent_handshakes = 1;
        it.live.max_queued_handshakes = 0;
    };
    let closed = world.node_with(change).await;
    let ada = closed.register("ada").await;
    let _turn = closed.app.handshakes.turn().await.unwrap();
    for protocol in ALL {
        if joins_later(protocol) {
            assert_closed_without_a_word(&closed, protocol, &ada).await;
        } else {
            assert_overloaded(&ask(&closed, protocol, &ada).await);
        }
    }

    let change = |it: &mut laurel::config::Config| {
        it.live.max_concurrent_handshakes = 1;
        it.live.max_queued_handshakes = 1;
    };
    let node = world.node_with(change).await;
    for protocol in ALL {
        let turn = node.app.handshakes.turn().await.unwrap();
        let (base, token) = (node.base.clone(), ada.token.clone());
        let waits = tokio::spawn(async move {
            Listener::open(&base, protocol, &token).await.wait_for("leaderboard_updated").await
        });
        eventually("one to wait in line", async || {
            matches!(poll!(pin!(node.app.handshakes.turn())), Poll::Ready(None)).then_some(())
        })
        .await;
        assert_overloaded(&ask(&node, Protocol::Events, &ada).await);
        assert_overloaded(&ask(&node, Protocol::Plain, &ada).await);
        assert_closed_without_a_word(&node, Protocol::SocketIo, &ada).await;
        drop(turn);
        waits.await.unwrap();
    }
}

#[tokio::test]
async fn a_peer_of_socket_io_that_says_nothing_is_gone() {
    let world = World::new().await;
    let node = world.node_with(|it| it.live.ping_seconds = 1).await;
    let (ada, eve) = (node.register("ada").await, node.register("eve").await);
    // A client that is not polled reads nothing and answers no ping.
    let silent = Listener::open(&node.base, Protocol::SocketIo, &eve.token).await;
    let mut lives = Listener::open(&node.base, Protocol::SocketIo, &ada.token).await;
    lives.wait_for("leaderboard_updated").await;
    eventually("both to be there", async || (sockets(&node) == 2).then_some(())).await;
    let living = tokio::spawn(async move {
        lives.wait_for_board(&[("ada".to_owned(), 10, 1)]).await;
        lives
    });
    eventually("one to be gone", async || (sockets(&node) == 1).then_some(())).await;
    node.award(&ada, "watch_ad").await;
    living.await.unwrap();
    drop(silent);
}

/// How a client's connection came to its end.
struct Parting {
    protocol: Protocol,
    after: Duration,
    code: Option<(u16, String)>,
    last: Option<String>,
}

#[tokio::test]
async fn a_drain_closes_sockets_at_an_even_rate() {
    const WINDOW: Duration = Duration::from_secs(3);
    let world = World::new().await;
    let node = world.node_with(|it| it.server.drain_seconds = WINDOW.as_secs()).await;
    let players = node.players(60).await;
    let mut listeners = Vec::new();
    for (place, player) in players.iter().enumerate() {
        let mut listener = Listener::open(&node.base, ALL[place % ALL.len()], &player.token).await;
        listener.wait_for("leaderboard_updated").await;
        listeners.push(listener);
    }
    let began = Instant::now();
    let stopping = tokio::spawn(node.stop());
    let mut partings = JoinSet::new();
    for mut listener in listeners {
        partings.spawn(async move {
            let last = listener.rest().await.pop().map(|it| it.name);
            let (protocol, code) = (listener.protocol(), listener.closed().cloned());
            Parting { protocol, after: began.elapsed(), code, last }
        });
    }
    let partings = partings.join_all().await;
    stopping.await.unwrap();
    let early = partings.iter().filter(|it| it.after < WINDOW / 4).count();
    assert!(early <= partings.len() / 2, "{early} of {} were closed at once", partings.len());
    let late = |it: &&Parting| it.protocol == Protocol::Polling && it.after > WINDOW / 4;
    assert!(partings.iter().any(|it| late(&it)), "those who poll are let go with the others");
    let mut retries = Vec::new();
    for Parting { protocol, code, last, .. } in partings {
        let code = code.as_ref().map(|(code, reason)| (*code, reason.as_str()));
        match protocol {
            Protocol::Plain => {
                let (code, reason) = code.unwrap();
                let ms = reason.strip_prefix("retry in ").and_then(|it| it.strip_suffix(" ms"));
                assert_eq!(code, 1012);
                retries.push(ms.unwrap().parse::<u64>().unwrap());
            }
            // With a packet that says so, or with a code, the client would stay away.
            Protocol::SocketIo => assert_eq!((last.as_deref(), code), (None, Some((1005, "")))),
            Protocol::Polling => assert_eq!(last.as_deref(), None),
            Protocol::Events => assert_eq!(last.as_deref(), Some("retry")),
        }
    }
    assert!(retries.iter().all(|it| (200..2000).contains(it)), "{retries:?}");
    assert!(retries.iter().any(|it| *it != retries[0]), "all come back at the same moment");
}
