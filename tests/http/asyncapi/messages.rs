//! Over each protocol, a node sends every documented message and no other.

use laurel::admin::{Decision, Restriction, restrict};
use laurel::live::{Board, Row};
use laurel::store::BoardId;
use serde_json::{Value, json};
use uuid::Uuid;

use super::recorder::Recorder;
use crate::harness::{Player, TestNode, TestStores, eventually};
use crate::live::clients::events::Events;
use crate::live::clients::{Polling, Protocol, SMALL_BUFFER, Subscriber, WebSocket, soon};

const SOCKET: &str = "webSocket";
const STREAM: &str = "stream";
const SOCKET_IO: &str = "socketIo";

#[tokio::test]
async fn a_node_sends_exactly_the_documented_messages() {
    let mut recorder = Recorder::new();
    let mut stores = TestStores::new().await;
    // No pings, because a client that waits on one connection sends no pongs on the others.
    let node = stores.start_node_with(|config| config.live.ping_seconds = 3600).await;
    let ada = node.register("ada").await;
    let mut connections = [
        Connection::web_socket(&node, &ada, &mut recorder).await,
        Connection::stream(&node, &ada).await,
        Connection::socket_io(&node, &ada, &mut recorder).await,
    ];
    for connection in &mut connections {
        connection.wait_for(&mut recorder, "leaderboardUpdated").await;
    }
    boards(&mut connections, &mut recorder).await;
    wait_for_subscription(&stores, &ada).await;
    node.award(&ada, "watch_ad").await;
    for connection in &mut connections {
        connection.wait_for(&mut recorder, "scorePersonal").await;
    }
    for connection in &mut connections {
        connection.wait_for(&mut recorder, "boardPersonal").await;
    }
    pings(&stores, &ada, &mut recorder).await;
    stores.redis.kill().await;
    for connection in &mut connections {
        connection.wait_for(&mut recorder, "status").await;
    }
    stores.redis.restart().await;
    for connection in &mut connections {
        connection.wait_for(&mut recorder, "status").await;
    }
    eventually("awards to be accepted again", async || {
        (node.get("/readyz/awards").await.status == 200).then_some(())
    })
    .await;
    // Without a login `connect_success` names no player.
    let mut without_login = Connection::Stream(Events::open(&node.base, "", None).await.unwrap());
    without_login.wait_for(&mut recorder, "connectSuccess").await;
    polling(&node, &ada, &mut recorder).await;
    ban(&node, &ada).await;
    let [socket, stream, socket_io] = &mut connections;
    socket.assert_closed(&mut recorder).await;
    assert_eq!(stream.wait_for(&mut recorder, "retry").await, 60_000);
    socket_io.wait_for(&mut recorder, "disconnected").await;
    other_closes(&stores, node, &mut recorder).await;
    recorder.assert_complete();
}

/// A client that returns messages as they are on the wire.
enum Connection {
    Socket(WebSocket),
    Stream(Events),
    SocketIo(WebSocket),
}

impl Connection {
    async fn web_socket(node: &TestNode, player: &Player, recorder: &mut Recorder) -> Self {
        let mut socket = WebSocket::open(&node.base, "/api/v1/ws", &player.token, None).await.unwrap();
        for text in ["hello", r#"{"event":"ping"}"#] {
            recorder.received(SOCKET, text);
            socket.send(text).await;
        }
        Self::Socket(socket)
    }

    async fn stream(node: &TestNode, player: &Player) -> Self {
        let bearer = format!("Authorization: Bearer {}\r\n", player.token);
        Self::Stream(Events::open_with(&node.base, "?board=weekly", &bearer, None).await.unwrap())
    }

    /// Tries a forged login before the valid one.
    async fn socket_io(node: &TestNode, player: &Player, recorder: &mut Recorder) -> Self {
        let path = "/socket.io/?EIO=4&transport=websocket";
        let mut connection = Self::SocketIo(WebSocket::open(&node.base, path, "", None).await.unwrap());
        connection.wait_for(recorder, "open").await;
        connection.send(recorder, &join("forged")).await;
        connection.wait_for(recorder, "connectError").await;
        connection.send(recorder, &join(&player.token)).await;
        connection.wait_for(recorder, "connected").await;
        connection
    }

    async fn send(&mut self, recorder: &mut Recorder, packet: &str) {
        let Self::SocketIo(connection) = self else { panic!("only Socket.IO clients send packets") };
        recorder.received(SOCKET_IO, packet);
        connection.send(packet).await;
    }

    /// Receives until a message of this name, and returns its payload.
    async fn wait_for(&mut self, recorder: &mut Recorder, key: &str) -> Value {
        loop {
            let text = soon(key, self.receive())
                .await
                .unwrap_or_else(|| panic!("the connection ended before {key}"));
            let channel = match self {
                Self::Socket(_) => SOCKET,
                Self::Stream(_) => STREAM,
                Self::SocketIo(_) => SOCKET_IO,
            };
            let (name, payload) = recorder.sent(channel, &text);
            if name == "ping" {
                self.send(recorder, "3").await;
            }
            if name == key {
                return payload;
            }
        }
    }

    async fn receive(&mut self) -> Option<String> {
        match self {
            Self::Socket(connection) | Self::SocketIo(connection) => connection.receive().await,
            Self::Stream(connection) => Some(format!("{}\n\n", connection.block().await?)),
        }
    }

    /// Receives the remaining messages and checks the close frame.
    async fn assert_closed(&mut self, recorder: &mut Recorder) {
        while let Some(text) = soon("the end of the connection", self.receive()).await {
            recorder.sent(SOCKET, &text);
        }
        let Self::Socket(connection) = self else { panic!("only a WebSocket has a close frame") };
        let (code, reason) = connection.closed.clone().expect("a close frame");
        recorder.closed(SOCKET, code, &reason);
    }
}

fn join(token: &str) -> String {
    format!("40{}", json!({ "token": token }))
}

/// Subscribes to a board, and waits for its entries.
async fn boards(connections: &mut [Connection; 3], recorder: &mut Recorder) {
    let data = json!({ "boards": ["weekly"] });
    for event in ["subscribe", "unsubscribe", "subscribe"] {
        let [socket, _, socket_io] = &mut *connections;
        let request = json!({ "event": event, "data": data }).to_string();
        recorder.received(SOCKET, &request);
        let Connection::Socket(websocket) = &mut *socket else { panic!("the first is a WebSocket") };
        websocket.send(&request).await;
        socket.wait_for(recorder, &format!("{event}d")).await;
        let request = format!("420{}", json!([format!("board:{event}"), data]));
        socket_io.send(recorder, &request).await;
        socket_io.wait_for(recorder, "acknowledged").await;
    }
    for connection in connections {
        connection.wait_for(recorder, "boardUpdated").await;
    }
}

/// Polls once, and checks the packets. Returns their names.
async fn poll(connection: &Polling, recorder: &mut Recorder) -> Vec<String> {
    let packets = soon("the response of a poll", connection.poll()).await.expect("the session ended");
    packets.iter().map(|packet| recorder.sent(SOCKET_IO, packet).0).collect()
}

async fn send(connection: &mut Polling, recorder: &mut Recorder, packet: &str) {
    recorder.received(SOCKET_IO, packet);
    connection.send(packet).await;
}

/// The packets of polling: the upgrade to a WebSocket, and the two ends of a session.
async fn polling(node: &TestNode, player: &Player, recorder: &mut Recorder) {
    let mut connection = Polling::open(&node.base).await.unwrap();
    send(&mut connection, recorder, &join(&player.token)).await;
    while !poll(&connection, recorder).await.iter().any(|it| it == "leaderboardUpdated") {}
    let path = format!("/socket.io/?EIO=4&transport=websocket&sid={}", connection.sid);
    let mut socket = Connection::SocketIo(WebSocket::open(&node.base, &path, "", None).await.unwrap());
    let probe = async {
        let mut recorder = Recorder::new();
        socket.send(&mut recorder, "2probe").await;
        socket.wait_for(&mut recorder, "probed").await;
        socket.send(&mut recorder, "5").await;
        recorder
    };
    let polls = async {
        let mut received = Vec::new();
        while let Some(packets) = connection.poll().await {
            received.extend(packets);
        }
        received
    };
    let (probed, polled) = futures::join!(probe, polls);
    recorder.add(probed);
    for packet in polled {
        recorder.sent(SOCKET_IO, &packet);
    }
    socket.send(recorder, "41").await;
    while socket.receive().await.is_some() {}

    // A pending poll gets a response when the client closes the session. The two requests race, so it is repeated.
    recorder.received(SOCKET_IO, "1");
    let packets = eventually("a poll that the close of the session ends", async || {
        let mut closing = Polling::open(&node.base).await?;
        let polls = closing.clone();
        futures::join!(polls.poll(), closing.send("1")).0
    })
    .await;
    assert_eq!(recorder.sent(SOCKET_IO, &packets[0]).0, "noop");
    // A second concurrent poll is an error, and ends the session.
    let session = Polling::open(&node.base).await.unwrap();
    let (one, two) = futures::join!(session.poll(), session.poll());
    let packets = one.or(two).expect("one poll gets a response");
    assert_eq!(recorder.sent(SOCKET_IO, &packets[0]).0, "closed");
}

/// What a node sends to subscribers that wait.
async fn pings(stores: &TestStores, player: &Player, recorder: &mut Recorder) {
    let node = stores.start_node_with(|config| config.live.ping_seconds = 10).await;
    Connection::stream(&node, player).await.wait_for(recorder, "heartbeat").await;
    Connection::socket_io(&node, player, recorder).await.wait_for(recorder, "ping").await;
    node.stop().await;
}

/// Waits until the node is subscribed to the player's channel.
async fn wait_for_subscription(stores: &TestStores, player: &Player) {
    let channel = format!("personal:{}", player.identity.user);
    eventually("the node to subscribe to the player", async || {
        let (_, count): (String, u64) =
            stores.redis_client().await.query(&format!("PUBSUB NUMSUB {channel}")).await;
        (count == 1).then_some(())
    })
    .await;
}

async fn ban(node: &TestNode, player: &Player) {
    let decision = Decision { actor: "test".into(), host: None, reason: "a bot".into() };
    restrict(&node.app.admin, player.identity.user, Restriction::Ban, None, &decision).await.unwrap();
}

/// Rows of a realistic size.
fn top_rows() -> Vec<Row> {
    let row = |place: u64| Row {
        user: Uuid::from_u128(u128::from(place) << 96),
        number: place as i64,
        username: format!("player_number_{place}"),
        score: 1_000_000 - place,
        rank: place,
    };
    (1..=10).map(row).collect()
}

/// The other close codes: expired login, malformed frames, slow client, drain.
async fn other_closes(stores: &TestStores, node: TestNode, recorder: &mut Recorder) {
    let eve = node.register("eve").await;
    // The login has a few seconds left.
    stores.clock.shift(86_385_000);
    Connection::web_socket(&node, &eve, recorder).await.assert_closed(recorder).await;
    stores.clock.shift(-86_385_000);
    let masked =
        |first: u8, payload: &[u8]| [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat();
    let fragments = [masked(0x01, b"x"), masked(0x00, b"x").repeat(64)].concat();
    for frames in [masked(0x83, b"x"), masked(0x81, &[0xff]), masked(0x81, b"").repeat(101), fragments] {
        let mut connection = WebSocket::open(&node.base, "/api/v1/ws", &eve.token, None).await.unwrap();
        connection.send_raw(&frames).await;
        Connection::Socket(connection).assert_closed(recorder).await;
    }
    let node_with_timeout = stores.start_node_with(|config| config.live.write_timeout_ms = 500).await;
    let mut slow_client =
        WebSocket::open(&node_with_timeout.base, "/api/v1/ws", &eve.token, Some(SMALL_BUFFER)).await.unwrap();
    let mut reader = Subscriber::open(&node_with_timeout.base, Protocol::WebSocket, &eve.token).await;
    let too_slow = node_with_timeout.app.metrics.sockets_closed.with_label_values(&["4008"]);
    while too_slow.get() == 0 {
        let version = node_with_timeout.app.hub.newest().version + 1_000_000;
        node_with_timeout.app.hub.publish(Board { id: BoardId::GLOBAL, version, rows: top_rows() });
        reader.wait_for_version(version).await;
    }
    while soon("the close of the slow client", slow_client.receive()).await.is_some() {}
    let (code, reason) = slow_client.closed.expect("the node must close the slow client");
    recorder.closed(SOCKET, code, &reason);

    let mut drained = Connection::web_socket(&node, &eve, recorder).await;
    drained.wait_for(recorder, "leaderboardUpdated").await;
    let stopping = tokio::spawn(node.stop());
    drained.assert_closed(recorder).await;
    stopping.await.unwrap();
}
