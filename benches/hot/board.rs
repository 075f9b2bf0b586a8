//! Encodes a changed board for each protocol.

use divan::Bencher;
use laurel::live::{Board, EncodedBoard, Encoding, Protocol};
use laurel::store::{BoardEntry, BoardId};

/// Ten users with names of usual length.
pub fn board() -> Board {
    Board::from_entries(BoardId::GLOBAL, 1_790_000_000_000_000, entries())
}

/// The entries of the top list in Redis.
pub fn entries() -> Vec<BoardEntry> {
    let entry = |place: u32| BoardEntry {
        score: u64::from(99_990 - 7 * place),
        hlc_us: 1_790_000_000_000_000,
        user: crate::user(place.into()),
        number: i64::from(4711 + place),
        username: format!("player_{place:08}"),
    };
    (0..10).map(entry).collect()
}

/// Each protocol, and whether the board is compressed.
const ENCODINGS: [(&str, Protocol, bool); 7] = [
    ("websocket", Protocol::WebSocket, false),
    ("websocket, compressed", Protocol::WebSocket, true),
    ("socket.io", Protocol::SocketIo, false),
    ("socket.io, compressed", Protocol::SocketIo, true),
    ("socket.io, polling", Protocol::SocketIoPolling, false),
    ("events", Protocol::ServerSentEvents, false),
    ("events, compressed", Protocol::ServerSentEvents, true),
];

#[divan::bench(args = ENCODINGS.map(|encoding| encoding.0))]
fn event(bencher: Bencher<'_, '_>, name: &str) {
    let (_, protocol, compressed) =
        *ENCODINGS.iter().find(|encoding| encoding.0 == name).expect("it is an encoding");
    let board = board();
    bencher
        .with_inputs(|| EncodedBoard::new(board.clone()))
        .bench_refs(|encoded| encoded.event(Encoding { protocol, compressed }));
}

#[divan::bench]
fn leaderboard(bencher: Bencher<'_, '_>) {
    let board = board();
    bencher.with_inputs(|| EncodedBoard::new(board.clone())).bench_refs(|encoded| encoded.leaderboard(false));
}

/// A node reads each publication.
#[divan::bench]
fn read_publication(bencher: Bencher<'_, '_>) {
    let text = format!(
        "1790000000000000\n{}",
        entries().iter().map(BoardEntry::to_string).collect::<Vec<_>>().join("\n")
    );
    bencher.bench(|| Board::read_publication(BoardId::GLOBAL, divan::black_box(&text)));
}
