//! Clients that do not read, or say what they should not: they cost others nothing, and themselves their seat.

use laurel::live::{Board, Row};
use uuid::Uuid;

use super::clients::{ALL, Listener, Protocol};
use super::protocols::sockets;
use crate::harness::{PATIENCE, TestNode, World, eventually};

/// Versions are µs; boards of the test are a second apart, so what the node's own looks publish finds a place between.
const STEP: i64 = 1_000_000;

/// A board of a realistic size: about 900 bytes.
fn board(version: i64) -> Board {
    let row = |place: u64| Row {
        user: Uuid::from_u128(u128::from(place) << 96),
        number: place as i64,
        username: format!("player_number_{place}"),
        score: 1_000_000 - place,
        rank: place,
    };
    Board { version, rows: (1..=10).map(row).collect() }
}

/// Publishes so many boards, each when all who read have the one before. Returns the last one's version.
async fn change(node: &TestNode, readers: &mut [Listener], times: i64) -> i64 {
    let from = node.app.hub.newest().version;
    for time in 1..=times {
        node.app.hub.publish(board(from + time * STEP));
        for reader in &mut *readers {
            reader.wait_for_version(from + time * STEP).await;
        }
    }
    from + times * STEP
}

#[tokio::test]
async fn a_client_that_reads_late_sees_few_old_boards_and_then_the_newest() {
    let world = World::new().await;
    let node = world.node_with(|it| it.live.write_timeout_ms = 600_000).await;
    let players = node.players(ALL.len() as u64 * 2).await;
    let (mut readers, mut late) = (Vec::new(), Vec::new());
    for (protocol, players) in ALL.into_iter().zip(players.chunks(2)) {
        readers.push(Listener::open(&node.base, protocol, &players[0].token).await);
        late.push(Listener::narrow(&node.base, protocol, &players[1].token).await);
    }
    for listener in readers.iter_mut().chain(&mut late) {
        listener.wait_for("leaderboard_updated").await;
    }
    let before: Vec<u64> = readers.iter().map(|it| it.boards).collect();
    let newest = change(&node, &mut readers, 300).await;
    for (reader, before) in readers.iter().zip(before) {
        assert!(reader.boards - before >= 300, "{:?} missed a board", reader.protocol());
    }
    for listener in &mut late {
        let before = listener.boards;
        listener.wait_for_version(newest).await;
        // An HTTP connection keeps sixteen pieces of an answer beside what the kernel keeps of any.
        let most = if listener.protocol() == Protocol::Events { 40 } else { 20 };
        let old = listener.boards - before - 1;
        assert!(old <= most, "{:?} saw {old} old boards", listener.protocol());
    }
    let skipped = node.app.metrics.board_updates_skipped.get();
    assert!(skipped >= 250 * late.len() as u64, "{skipped} are counted");
}

#[tokio::test]
async fn a_client_that_never_reads_is_closed_and_its_seat_comes_back() {
    let world = World::new().await;
    let node = world
        .node_with(|it| {
            it.live.write_timeout_ms = 1000;
            it.limits.sockets_per_user = 1;
        })
        .await;
    let players = node.players(ALL.len() as u64 + 1).await;
    let mut reader = [Listener::open(&node.base, Protocol::Plain, &players[ALL.len()].token).await];
    let mut dead = Vec::new();
    for (protocol, player) in ALL.into_iter().zip(&players) {
        let mut listener = Listener::narrow(&node.base, protocol, &player.token).await;
        listener.wait_for("leaderboard_updated").await;
        dead.push(listener);
        let again = Listener::try_open(&node.base, Protocol::Plain, &player.token, None).await;
        assert!(again.is_none(), "there is one seat a user");
    }
    change(&node, &mut reader, 60).await;
    let closed = || node.app.metrics.sockets_closed.with_label_values(&["4008"]).get();
    let all_closed = async {
        while closed() < ALL.len() as u64 {
            change(&node, &mut reader, 1).await;
        }
    };
    tokio::time::timeout(PATIENCE, all_closed).await.expect("all of them are too slow");
    eventually("the seats to come back", async || (sockets(&node) == 1).then_some(())).await;
    for player in &players[..ALL.len()] {
        let open = async || Listener::try_open(&node.base, Protocol::Plain, &player.token, None).await;
        eventually("the user's own seat", open).await.wait_for("leaderboard_updated").await;
    }
    for mut listener in dead {
        listener.rest().await;
    }
}

/// A client's frame, with a mask that changes nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ ..126 => bytes.push(0x80 | short as u8),
        long => {
            bytes.push(0x80 | 126);
            bytes.extend((long as u16).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

#[tokio::test]
async fn whoever_says_what_no_listener_says_is_closed_with_the_code_for_it() {
    let world = World::new().await;
    let node = world.node().await;
    let ada = node.register("ada").await;
    let unmasked = vec![0x81, 1, b'x'];
    let fragments = [frame(0x01, &[b'x'; 3000]), frame(0x80, &[b'x'; 3000])].concat();
    let cases = [
        (1008, frame(0x81, b"").repeat(101), "a flood of messages"),
        (1008, frame(0x89, b"").repeat(101), "a flood of pings"),
        (1009, frame(0x81, &[b'x'; 4097]), "a long message"),
        (1009, fragments, "a long message in two pieces"),
        (1002, frame(0xf1, b"x"), "reserved bits"),
        (1002, frame(0x83, b"x"), "an unknown kind of frame"),
        (1002, frame(0x80, b"x"), "the middle of nothing"),
        (1002, frame(0x09, b""), "a ping in pieces"),
        (1002, frame(0x89, &[b'x'; 126]), "a long ping"),
        (1002, unmasked, "no mask"),
        (1007, frame(0x81, &[0xff, 0xfe]), "no UTF-8"),
        (1007, frame(0x81, &"\u{e9}".as_bytes()[..1]), "half a character"),
    ];
    for (code, bytes, what) in cases {
        // Over Socket.IO there is no code, so that the client comes back.
        for (protocol, code) in [(Protocol::Plain, code), (Protocol::SocketIo, 1005)] {
            let mut listener = Listener::open(&node.base, protocol, &ada.token).await;
            listener.wait_for("leaderboard_updated").await;
            listener.say_raw(&bytes).await;
            listener.rest().await;
            assert_eq!(listener.closed().map(|it| it.0), Some(code), "{protocol:?}: {what}");
        }
    }
    eventually("the seats to come back", async || (sockets(&node) == 0).then_some(())).await;
}

#[tokio::test]
async fn a_client_that_says_no_more_than_it_may_stays() {
    let world = World::new().await;
    let node = world.node().await;
    let ada = node.register("ada").await;
    let mut client = Listener::open(&node.base, Protocol::Plain, &ada.token).await;
    client.wait_for("leaderboard_updated").await;
    client.say_raw(&frame(0x81, &[b'x'; 4096])).await;
    client.say_raw(&frame(0x89, b"").repeat(99)).await;
    change(&node, &mut [client], 5).await;
}
