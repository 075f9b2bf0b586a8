//! The table of files; whoever adds one to these folders names it here.

macro_rules! files {
    ($($path:literal)+) => { &[$(($path, include_bytes!($path) as &[u8])),+] };
}

/// Every file by its path below `/assets/`.
pub const FILES: &[(&str, &[u8])] = files! {
    "admin/index.html"
    "common/common.css"
    "common/icon.svg"
    "common/theme.js"
    "docs/index.html"
    "live/index.html"
    "vendor/figtree.woff2"
    "vendor/marcellus.woff2"
};
