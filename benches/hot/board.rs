//! Encoding a changed board for each protocol.

use divan::Bencher;
use laurel::live::{Board, EncodedBoard, Encoding, Protocol};

/// Ten users with names as long as most.
pub fn board() -> Board {
    Board::read(1_790_000_000_000_000, &entries()).expect("they are entries")
}

/// The ten as Redis keeps them.
pub fn entries() -> Vec<String> {
    let entry = |it: u128| {
        format!("{} 1790000000000000 {} {} player_{it:08}", 99_990 - 7 * it, crate::user(it), 4711 + it)
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

#[divan::bench(args = ENCODINGS.map(|it| it.0))]
fn event(bencher: Bencher<'_, '_>, name: &str) {
    let (_, protocol, compressed) = *ENCODINGS.iter().find(|it| it.0 == name).expect("it is one of them");
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

/// What a node reads of each publication.
#[divan::bench]
fn read_publication(bencher: Bencher<'_, '_>) {
    let text = format!("1790000000000000\n{}", entries().join("\n"));
    bencher.bench(|| Board::read_publication(divan::black_box(&text)));
}
