//! A node is made to say everything that it can say, by each protocol.

use laurel::admin::{Decision, Restriction, restrict};
use laurel::live::{Board, Row};
use serde_json::{Value, json};
use uuid::Uuid;

use super::book::Book;
use crate::harness::{Player, TestNode, World, eventually};
use crate::live::clients::events::Events;
use crate::live::clients::{FEW, Listener, Polling, Protocol, WebSocket, soon};

const SOCKET: &str = "webSocket";
const STREAM: &str = "stream";
const SOCKET_IO: &str = "socketIo";

#[tokio::test]
async fn a_node_says_all_that_is_documented_and_nothing_else() {
    let mut book = Book::new();
    let mut world = World::new().await;
    // Longer than Redis takes to be written to again on a busy machine, since who waits on one line answers no pings on the others.
    let node = world.node_with(|it| it.live.ping_seconds = 10).await;
    let ada = node.register("ada").await;
    let mut lines = [
        Line::web_socket(&node, &ada, &mut book).await,
        Line::stream(&node, &ada).await,
        Line::socket_io(&node, &ada, &mut book).await,
    ];
    for line in &mut lines {
        line.wait_for(&mut book, "leaderboardUpdated").await;
    }
    followed(&world, &ada).await;
    node.award(&ada, "watch_ad").await;
    for line in &mut lines {
        line.wait_for(&mut book, "scorePersonal").await;
    }
    lines[1].wait_for(&mut book, "beat").await;
    lines[2].wait_for(&mut book, "ping").await;
    world.redis.kill().await;
    for line in &mut lines {
        line.wait_for(&mut book, "status").await;
    }
    world.redis.restart().await;
    for line in &mut lines {
        line.wait_for(&mut book, "status").await;
    }
    eventually("awards to be taken again", async || {
        (node.get("/readyz/awards").await.status == 200).then_some(())
    })
    .await;
    // A spectator's greeting names nobody.
    let mut spectator = Line::Stream(Events::open(&node.base, "", None).await.unwrap());
    spectator.wait_for(&mut book, "connectSuccess").await;
    polling(&node, &ada, &mut book).await;
    ban(&node, &ada).await;
    let [socket, stream, socket_io] = &mut lines;
    socket.assert_closed(&mut book).await;
    assert_eq!(stream.wait_for(&mut book, "retry").await, 60_000);
    socket_io.wait_for(&mut book, "disconnected").await;
    other_ends(&world, node, &mut book).await;
    book.assert_all_seen();
}

/// Somebody who hears the bare words.
enum Line {
    Socket(WebSocket),
    Stream(Events),
    SocketIo(WebSocket),
}

impl Line {
    async fn web_socket(node: &TestNode, player: &Player, book: &mut Book) -> Self {
        let mut socket = WebSocket::open(&node.base, "/api/v1/ws", &player.token, None).await.unwrap();
        for text in ["hello", r#"{"event":"ping"}"#] {
            book.said(SOCKET, text);
            socket.say(text).await;
        }
        Self::Socket(socket)
    }

    async fn stream(node: &TestNode, player: &Player) -> Self {
        Self::Stream(Events::open(&node.base, &player.token, None).await.unwrap())
    }

    /// Tries a bad login before the good one.
    async fn socket_io(node: &TestNode, player: &Player, book: &mut Book) -> Self {
        let path = "/socket.io/?EIO=4&transport=websocket";
        let mut line = Self::SocketIo(WebSocket::open(&node.base, path, "", None).await.unwrap());
        line.wait_for(book, "open").await;
        line.say(book, &join("forged")).await;
        line.wait_for(book, "connectError").await;
        line.say(book, &join(&player.token)).await;
        line.wait_for(book, "connected").await;
        line
    }

    async fn say(&mut self, book: &mut Book, packet: &str) {
        let Self::SocketIo(line) = self else { panic!("only Socket.IO's clients say something") };
        book.said(SOCKET_IO, packet);
        line.say(packet).await;
    }

    /// Hears until a message of this name, and returns its payload.
    async fn wait_for(&mut self, book: &mut Book, key: &str) -> Value {
        loop {
            let text = soon(key, self.hear()).await.unwrap_or_else(|| panic!("the end came before {key}"));
            let channel = match self {
                Self::Socket(_) => SOCKET,
                Self::Stream(_) => STREAM,
                Self::SocketIo(_) => SOCKET_IO,
            };
            let (told, payload) = book.told(channel, &text);
            if told == "ping" {
                self.say(book, "3").await;
            }
            if told == key {
                return payload;
            }
        }
    }

    async fn hear(&mut self) -> Option<String> {
        match self {
            Self::Socket(line) | Self::SocketIo(line) => line.hear().await,
            Self::Stream(line) => Some(format!("{}\n\n", line.piece().await?)),
        }
    }

    /// The rest of what it hears, and the close frame.
    async fn assert_closed(&mut self, book: &mut Book) {
        while let Some(text) = soon("the end", self.hear()).await {
            book.told(SOCKET, &text);
        }
        let Self::Socket(line) = self else { panic!("only a WebSocket has a close frame") };
        let (code, reason) = line.closed.clone().expect("a close frame");
        book.closed(SOCKET, code, &reason);
    }
}

fn join(token: &str) -> String {
    format!("40{}", json!({ "token": token }))
}

/// Polls once, and holds the packets against the document.
async fn poll(line: &Polling, book: &mut Book) -> Vec<String> {
    let packets = soon("a poll's answer", line.poll()).await.expect("the session ended");
    packets.iter().map(|it| book.told(SOCKET_IO, it).0).collect()
}

async fn say(line: &mut Polling, book: &mut Book, packet: &str) {
    book.said(SOCKET_IO, packet);
    line.say(packet).await;
}

/// The packets that only a session over polling has: it moves to a WebSocket, ends, or is ended.
async fn polling(node: &TestNode, player: &Player, book: &mut Book) {
    let mut line = Polling::open(&node.base).await.unwrap();
    say(&mut line, book, &join(&player.token)).await;
    while !poll(&line, book).await.iter().any(|it| it == "leaderboardUpdated") {}
    let path = format!("/socket.io/?EIO=4&transport=websocket&sid={}", line.sid);
    let mut socket = Line::SocketIo(WebSocket::open(&node.base, &path, "", None).await.unwrap());
    let probe = async {
        let mut book = Book::new();
        socket.say(&mut book, "2probe").await;
        socket.wait_for(&mut book, "probed").await;
        socket.say(&mut book, "5").await;
        book
    };
    let polls = async {
        let mut heard = Vec::new();
        while let Some(packets) = line.poll().await {
            heard.extend(packets);
        }
        heard
    };
    let (probed, polled) = futures::join!(probe, polls);
    book.add(probed);
    for packet in polled {
        book.told(SOCKET_IO, &packet);
    }
    socket.say(book, "41").await;
    while socket.hear().await.is_some() {}

    // A poll under way is answered when the client leaves; the two requests race.
    book.said(SOCKET_IO, "1");
    let told = eventually("a poll that ends because the client leaves", async || {
        let mut leaves = Polling::open(&node.base).await?;
        let polls = leaves.clone();
        futures::join!(polls.poll(), leaves.say("1")).0
    })
    .await;
    assert_eq!(book.told(SOCKET_IO, &told[0]).0, "noop");
    // A second poll beside the first is an error, which ends the session.
    let errs = Polling::open(&node.base).await.unwrap();
    let (one, two) = futures::join!(errs.poll(), errs.poll());
    let told = one.or(two).expect("one of them is answered");
    assert_eq!(book.told(SOCKET_IO, &told[0]).0, "closed");
}

/// Waits until this player's news come to the node.
async fn followed(world: &World, player: &Player) {
    let channel = format!("personal:{}", player.identity.user);
    eventually("the node to follow the player", async || {
        let (_, count): (String, u64) = world.look().await.ask(&format!("PUBSUB NUMSUB {channel}")).await;
        (count == 1).then_some(())
    })
    .await;
}

async fn ban(node: &TestNode, player: &Player) {
    let decision = Decision { actor: "test".into(), host: None, reason: "a bot".into() };
    restrict(&node.app, player.identity.user, Restriction::Ban, None, &decision).await.unwrap();
}

/// Rows of a realistic size.
fn ten() -> Vec<Row> {
    let row = |place: u64| Row {
        user: Uuid::from_u128(u128::from(place) << 96),
        number: place as i64,
        username: format!("player_number_{place}"),
        score: 1_000_000 - place,
        rank: place,
    };
    (1..=10).map(row).collect()
}

/// The close codes that are left: a login that runs out, a client that is broken, one that reads nothing, and a drain.
async fn other_ends(world: &World, node: TestNode, book: &mut Book) {
    let eve = node.register("eve").await;
    // All but a moment of the day has passed.
    world.clock.shift(86_385_000);
    Line::web_socket(&node, &eve, book).await.assert_closed(book).await;
    world.clock.shift(-86_385_000);
    let masked =
        |first: u8, payload: &[u8]| [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat();
    let pieces = [masked(0x01, b"x"), masked(0x00, b"x").repeat(64)].concat();
    for wrong in [masked(0x83, b"x"), masked(0x81, &[0xff]), masked(0x81, b"").repeat(101), pieces] {
        let mut line = WebSocket::open(&node.base, "/api/v1/ws", &eve.token, None).await.unwrap();
        line.say_raw(&wrong).await;
        Line::Socket(line).assert_closed(book).await;
    }
    let slow = world.node_with(|it| it.live.write_timeout_ms = 500).await;
    let mut reads_nothing = WebSocket::open(&slow.base, "/api/v1/ws", &eve.token, Some(FEW)).await.unwrap();
    let mut reads = Listener::open(&slow.base, Protocol::Plain, &eve.token).await;
    let too_slow = slow.app.metrics.sockets_closed.with_label_values(&["4008"]);
    while too_slow.get() == 0 {
        let version = slow.app.hub.newest().version + 1_000_000;
        slow.app.hub.publish(Board { version, rows: ten() });
        reads.wait_for_version(version).await;
    }
    while soon("the end of a client that did not read", reads_nothing.hear()).await.is_some() {}
    let (code, reason) = reads_nothing.closed.expect("it reads again just in time");
    book.closed(SOCKET, code, &reason);

    let mut drained = Line::web_socket(&node, &eve, book).await;
    drained.wait_for(book, "leaderboardUpdated").await;
    let stopping = tokio::spawn(node.stop());
    drained.assert_closed(book).await;
    stopping.await.unwrap();
}
