//! The table of files; whoever adds one to these folders names it here.

macro_rules! files {
    ($folder:literal as $below:literal: $($path:literal)+) => {
        &[$((concat!($below, $path), include_bytes!(concat!($folder, $path)) as &[u8])),+]
    };
}

/// What the live page's style sheet is joined from, in this order.
pub const LIVE_STYLES: &[&str] = &["common/common.css", "live/page.css", "live/board.css", "live/play.css"];
/// What the live page's script is joined from; what these import comes with them.
pub const LIVE_ENTRIES: &[&str] = &["common/theme.js", "live/main.js"];

/// The pages' own files, by their paths below `/assets/`.
pub const PAGES: &[(&str, &[u8])] = files! { "" as "":
    "admin/activity.js"
    "admin/api.js"
    "admin/audit.js"
    "admin/chart.js"
    "admin/deeds.js"
    "admin/element.js"
    "admin/format.js"
    "admin/frame.css"
    "admin/heat.js"
    "admin/history.js"
    "admin/index.html"
    "admin/letters.js"
    "admin/login.js"
    "admin/main.js"
    "admin/overview.js"
    "admin/parts.css"
    "admin/place.js"
    "admin/player.js"
    "admin/players.js"
    "admin/session.js"
    "admin/spread.js"
    "admin/suspects.js"
    "admin/tell.js"
    "admin/user.js"
    "admin/views.css"
    "common/common.css"
    "common/icon.svg"
    "common/kept.js"
    "common/theme.js"
    "docs/docs.css"
    "docs/fields.js"
    "docs/index.html"
    "docs/listen.js"
    "docs/login.js"
    "docs/main.js"
    "docs/rest.js"
    "docs/sockets.css"
    "docs/sockets.js"
    "docs/swagger.css"
    "live/board.css"
    "live/board.js"
    "live/card.js"
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
    "vendor/swagger-ui-bundle.js"
    "vendor/swagger-ui-bundle.js.LICENSE.txt"
    "vendor/swagger-ui.NOTICE.txt"
    "vendor/swagger-ui.css"
    "vendor/uplot.css"
    "vendor/uplot.js"
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
