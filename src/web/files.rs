//! The table of files; whoever adds one to these folders names it here.

macro_rules! files {
    ($folder:literal as $below:literal: $($path:literal)+) => {
        &[$((concat!($below, $path), include_bytes!(concat!($folder, $path)) as &[u8])),+]
    };
}

/// The pages' own files, by their paths below `/assets/`.
pub const PAGES: &[(&str, &[u8])] = files! { "" as "":
    "admin/index.html"
    "common/common.css"
    "common/icon.svg"
    "common/theme.js"
    "docs/index.html"
    "live/board.css"
    "live/board.js"
    "live/connection.js"
    "live/door.js"
    "live/index.html"
    "live/main.js"
    "live/mine.js"
    "live/motion.js"
    "live/page.css"
    "live/play.css"
    "live/play.js"
    "live/quiz.js"
    "live/say.js"
    "live/solver.js"
    "live/wall.js"
    "live/words.js"
    "live/worker.js"
    "live/wreath.svg"
    "vendor/figtree.woff2"
    "vendor/marcellus.woff2"
};

/// The client for browsers, as its package has it.
pub const CLIENT: &[(&str, &[u8])] = files! { "../../clients/typescript/dist/" as "laurel/":
    "boards.js"
    "client.js"
    "errors.js"
    "event-text.js"
    "game.js"
    "index.js"
    "keys.js"
    "link.js"
    "live.js"
    "login.js"
    "play.js"
    "proofs.js"
    "rest.js"
    "retry.js"
    "sha256.js"
    "socket.js"
    "stream.js"
    "types.js"
};
