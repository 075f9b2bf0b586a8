//! The table of files; whoever adds one to these folders names it here.

macro_rules! files {
    ($($path:literal)+) => { &[$(($path, include_bytes!($path) as &[u8])),+] };
}

/// Every file by its path below `/assets/`.
pub const FILES: &[(&str, &[u8])] = files! {
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
    "common/theme.js"
    "docs/index.html"
    "live/index.html"
    "vendor/figtree.woff2"
    "vendor/marcellus.woff2"
    "vendor/uplot.css"
    "vendor/uplot.js"
};
