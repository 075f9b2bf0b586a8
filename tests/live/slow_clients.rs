//! Clients that do not read or break the protocol are closed, and do not affect other clients.

use laurel::live::{Board, Row, TopEntries};
use laurel::store::{BoardId, PlacedEntry, Ranked};
use uuid::Uuid;

use super::admission::sockets;
use super::clients::{ALL, Protocol, Subscriber};
use crate::harness::{TEST_TIMEOUT, TestNode, TestStores, eventually};

/// Distance between the versions of the test's boards: a second in µs, so that boards from the node's polls fit between them.
const STEP_US: i64 = 1_000_000;

/// A board of a realistic size: about 900 bytes.
fn board(version: i64) -> Board {
    let row = |rank: u64| Row {
        user: Uuid::from_u128(u128::from(rank) << 96),
        number: rank as i64,
        username: format!("player_number_{rank}"),
        score: 1_000_000 - rank,
        rank,
    };
    Board { id: BoardId::GLOBAL, version, rows: (1..=10).map(row).collect() }
}

/// Publishes boards; waits after each until all readers have it. Returns the last version.
async fn publish(node: &TestNode, readers: &mut [Subscriber], count: i64) -> i64 {
    let from = node.app.hub.newest().version;
    for step in 1..=count {
        node.app.hub.publish(board(from + step * STEP_US));
        for reader in &mut *readers {
            reader.wait_for_version(from + step * STEP_US).await;
        }
    }
    from + count * STEP_US
}

#[tokio::test]
async fn a_slow_client_skips_to_the_newest_board() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.live.write_timeout_ms = 600_000).await;
    let players = node.create_players(ALL.len() as u64 * 2).await;
    let (mut readers, mut slow) = (Vec::new(), Vec::new());
    for (protocol, players) in ALL.into_iter().zip(players.chunks(2)) {
        readers.push(Subscriber::open(&node.base, protocol, &players[0].token).await);
        slow.push(Subscriber::open_small(&node.base, protocol, &players[1].token).await);
    }
    for subscriber in readers.iter_mut().chain(&mut slow) {
        subscriber.wait_for("leaderboard_updated").await;
    }
    let before: Vec<u64> = readers.iter().map(|reader| reader.boards).collect();
    let newest = publish(&node, &mut readers, 300).await;
    for (reader, before) in readers.iter().zip(before) {
        assert!(reader.boards - before >= 300, "{:?} missed a board", reader.protocol());
    }
    for subscriber in &mut slow {
        let before = subscriber.boards;
        subscriber.wait_for_version(newest).await;
        // HTTP buffers sixteen chunks of a response in addition to the kernel.
        let max = if subscriber.protocol() == Protocol::ServerSentEvents { 40 } else { 20 };
        let old = subscriber.boards - before - 1;
        assert!(old <= max, "{:?} received {old} old boards", subscriber.protocol());
    }
    let skipped = node.app.metrics.board_updates_skipped.get();
    assert!(skipped >= 250 * slow.len() as u64, "{skipped} skipped boards are counted");
}

#[tokio::test]
async fn a_slow_client_skips_to_the_newest_entries_of_a_board() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.live.write_timeout_ms = 600_000).await;
    node.wait_for_boards().await;
    let players = node.create_players(ALL.len() as u64).await;
    let reader = node.register("reader").await;
    let mut reader =
        Subscriber::open_boards(&node.base, Protocol::WebSocket, &reader.token, &["weekly"]).await;
    let mut slow = Vec::new();
    for (protocol, player) in ALL.into_iter().zip(&players) {
        slow.push(Subscriber::open_boards_small(&node.base, protocol, &player.token, &["weekly"]).await);
    }
    let mut shown = reader.wait_for("board_updated").await.data;
    for subscriber in &mut slow {
        subscriber.wait_for("board_updated").await;
    }
    let fanout = &node.app.live.fanout;
    let weekly = fanout.watched().find("weekly").unwrap();
    let from = shown["version"].as_i64().unwrap();
    let newest = from + 300 * STEP_US;
    for step in 1..=300 {
        let entry = |(index, row): (usize, Row)| PlacedEntry {
            user: row.user,
            username: row.username,
            result: Ranked { score: row.score as i64 + step, subscore: None, hlc_us: 0 },
            attempts: None,
            position: index as u64 + 1,
            rank: row.rank,
        };
        let period = shown["period"].as_str().unwrap().to_owned();
        let version = from + step * STEP_US;
        let entries = board(version).rows.into_iter().enumerate().map(entry).collect();
        assert!(weekly.learn(TopEntries { period, version, is_stale: false, entries }));
        fanout.board_changed(&weekly);
        while shown["version"] != version {
            shown = reader.wait_for("board_updated").await.data;
        }
    }
    for subscriber in &mut slow {
        let mut old = 0;
        while subscriber.wait_for("board_updated").await.data["version"] != newest {
            old += 1;
        }
        // HTTP buffers sixteen chunks of a response in addition to the kernel.
        let max = if subscriber.protocol() == Protocol::ServerSentEvents { 40 } else { 20 };
        assert!(old <= max, "{:?} received {old} old states", subscriber.protocol());
    }
    let skipped = node.app.metrics.board_updates_skipped.get();
    assert!(skipped >= 250 * slow.len() as u64, "{skipped} skipped states are counted");
}

#[tokio::test]
async fn a_client_that_never_reads_is_closed() {
    let stores = TestStores::new().await;
    let node = stores
        .start_node_with(|config| {
            config.live.write_timeout_ms = 1000;
            config.limits.sockets_per_user = 1;
        })
        .await;
    let players = node.create_players(ALL.len() as u64 + 1).await;
    let mut reader = [Subscriber::open(&node.base, Protocol::WebSocket, &players[ALL.len()].token).await];
    let mut stuck = Vec::new();
    for (protocol, player) in ALL.into_iter().zip(&players) {
        let mut subscriber = Subscriber::open_small(&node.base, protocol, &player.token).await;
        subscriber.wait_for("leaderboard_updated").await;
        stuck.push(subscriber);
        let second = Subscriber::try_open(&node.base, Protocol::WebSocket, &player.token, None).await;
        assert!(second.is_none(), "one connection per user");
    }
    publish(&node, &mut reader, 60).await;
    let closed = || node.app.metrics.sockets_closed.with_label_values(&["4008"]).get();
    let all_closed = async {
        while closed() < ALL.len() as u64 {
            publish(&node, &mut reader, 1).await;
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, all_closed).await.expect("all are closed as too slow");
    eventually("the permits to be released", async || (sockets(&node) == 1).then_some(())).await;
    for player in &players[..ALL.len()] {
        let open = async || Subscriber::try_open(&node.base, Protocol::WebSocket, &player.token, None).await;
        eventually("the user's permit", open).await.wait_for("leaderboard_updated").await;
    }
    for mut subscriber in stuck {
        subscriber.rest().await;
    }
}

/// A client's frame with a zero mask.
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
async fn a_protocol_violation_is_closed_with_its_code() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let unmasked = vec![0x81, 1, b'x'];
    let fragments = [frame(0x01, &[b'x'; 3000]), frame(0x80, &[b'x'; 3000])].concat();
    let cases = [
        (1008, frame(0x81, b"").repeat(101), "a flood of messages"),
        (1008, frame(0x89, b"").repeat(101), "a flood of pings"),
        (1009, frame(0x81, &[b'x'; 4097]), "a long message"),
        (1009, fragments, "a long message in two frames"),
        (1002, frame(0xf1, b"x"), "reserved bits"),
        (1002, frame(0x83, b"x"), "an unknown opcode"),
        (1002, frame(0x80, b"x"), "a continuation without a start"),
        (1002, frame(0x09, b""), "a fragmented ping"),
        (1002, frame(0x89, &[b'x'; 126]), "a long ping"),
        (1002, unmasked, "no mask"),
        (1007, frame(0x81, &[0xff, 0xfe]), "invalid UTF-8"),
        (1007, frame(0x81, &"\u{e9}".as_bytes()[..1]), "half a character"),
    ];
    for (code, bytes, violation) in cases {
        // A Socket.IO client reconnects only without a code.
        for (protocol, code) in [(Protocol::WebSocket, code), (Protocol::SocketIo, 1005)] {
            let mut subscriber = Subscriber::open(&node.base, protocol, &ada.token).await;
            subscriber.wait_for("leaderboard_updated").await;
            subscriber.send_raw(&bytes).await;
            subscriber.rest().await;
            assert_eq!(subscriber.closed().map(|frame| frame.0), Some(code), "{protocol:?}: {violation}");
        }
    }
    eventually("the permits to be released", async || (sockets(&node) == 0).then_some(())).await;
}

#[tokio::test]
async fn a_client_within_its_limits_stays_connected() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let mut client = Subscriber::open(&node.base, Protocol::WebSocket, &ada.token).await;
    client.wait_for("leaderboard_updated").await;
    client.send_raw(&frame(0x81, &[b'x'; 4096])).await;
    client.send_raw(&frame(0x89, b"").repeat(99)).await;
    publish(&node, &mut [client], 5).await;
}
