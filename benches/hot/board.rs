//! A board that changed, in the words of each protocol.

use divan::Bencher;
use laurel::live::{Board, Dialect, Frame, Protocol};

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

/// Each protocol, and whether the board is packed.
const DIALECTS: [(&str, Protocol, bool); 7] = [
    ("websocket", Protocol::Plain, false),
    ("websocket, packed", Protocol::Plain, true),
    ("socket.io", Protocol::SocketIo, false),
    ("socket.io, packed", Protocol::SocketIo, true),
    ("socket.io, polling", Protocol::Polling, false),
    ("events", Protocol::Events, false),
    ("events, packed", Protocol::Events, true),
];

#[divan::bench(args = DIALECTS.map(|it| it.0))]
fn frame(bencher: Bencher<'_, '_>, name: &str) {
    let (_, protocol, packed) = *DIALECTS.iter().find(|it| it.0 == name).expect("it is one of them");
    let board = board();
    bencher
        .with_inputs(|| Frame::new(board.clone()))
        .bench_refs(|frame| frame.told(Dialect { protocol, packed }));
}

#[divan::bench]
fn answer(bencher: Bencher<'_, '_>) {
    let board = board();
    bencher.with_inputs(|| Frame::new(board.clone())).bench_refs(|frame| frame.answer(false));
}

/// What a node reads of each publication.
#[divan::bench]
fn read_publication(bencher: Bencher<'_, '_>) {
    let text = format!("1790000000000000\n{}", entries().join("\n"));
    bencher.bench(|| Board::read_publication(divan::black_box(&text)));
}
