//! The compiled-in files. A test checks that every file of these folders is listed.

macro_rules! files {
    ($folder:literal as $prefix:literal: $($path:literal)+) => {
        &[$((concat!($prefix, $path), include_bytes!(concat!($folder, $path)) as &[u8])),+]
    };
}

/// Style sheets of the live page, in the order of the bundle.
pub const LIVE_STYLES: &[&str] = &["common/common.css", "live/page.css", "live/board.css", "live/play.css"];
/// Entry modules of the live page's bundle. Their imports are added.
pub const LIVE_ENTRIES: &[&str] = &["common/theme.js", "live/main.js"];

/// Files of the pages, by path below `/assets/`.
pub const PAGES: &[(&str, &[u8])] = files! { "" as "":
    "admin/activity.js"
    "admin/adminActions.js"
    "admin/api.js"
    "admin/audit.js"
    "admin/chart.js"
    "admin/components.css"
    "admin/deadLetters.js"
    "admin/distribution.js"
    "admin/elements.js"
    "admin/format.js"
    "admin/frame.css"
    "admin/heatmap.js"
    "admin/history.js"
    "admin/index.html"
    "admin/login.js"
    "admin/main.js"
    "admin/notices.js"
    "admin/overview.js"
    "admin/player.js"
    "admin/players.js"
    "admin/router.js"
    "admin/suspect.js"
    "admin/suspects.js"
    "admin/userCells.js"
    "admin/views.css"
    "common/common.css"
    "common/icon.svg"
    "common/not-found.html"
    "common/storage.js"
    "common/theme.js"
    "docs/docs.css"
    "docs/eventConsole.js"
    "docs/index.html"
    "docs/login.js"
    "docs/main.js"
    "docs/rest.js"
    "docs/sockets.css"
    "docs/sockets.js"
    "docs/swagger.css"
    "live/actionCard.js"
    "live/actions.js"
    "live/announce.js"
    "live/board.css"
    "live/board.js"
    "live/connection.js"
    "live/hashcash.js"
    "live/hashcashWorker.js"
    "live/index.html"
    "live/labels.js"
    "live/main.js"
    "live/motion.js"
    "live/myScore.js"
    "live/page.css"
    "live/play.css"
    "live/quiz.js"
    "live/signIn.js"
    "live/wallScreen.js"
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

/// The compiled TypeScript client.
pub const CLIENT: &[(&str, &[u8])] = files! { "../../clients/typescript/dist/" as "laurel/":
    "actions.js"
    "boards.js"
    "client.js"
    "connection.js"
    "errors.js"
    "event-stream.js"
    "game.js"
    "hashcash.js"
    "index.js"
    "live.js"
    "login.js"
    "players.js"
    "rest.js"
    "retry.js"
    "sha256.js"
    "types.js"
    "websocket.js"
};
