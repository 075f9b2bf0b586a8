//! The pages, compiled in: each file as a browser is given it, packed once, under its tag. It must never know who asks, nor
//! anything of a board; the pages learn that from the same doors as everybody else.

mod bundle;
mod files;

use std::collections::HashMap;
use std::io::Write;
use std::sync::{LazyLock, OnceLock};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::crypto::sha256_hex;

/// A file of a page.
pub struct Asset {
    /// What a browser takes it for.
    pub content_type: &'static str,
    /// As it lies in the tree, or as a bundle.
    pub plain: Bytes,
    /// A strong tag (RFC 9110, section 8.8.3) of the plain bytes.
    pub tag: String,
    packed: OnceLock<Option<Bytes>>,
}

static ASSETS: LazyLock<HashMap<&'static str, Asset>> = LazyLock::new(|| {
    let all = || files::PAGES.iter().chain(files::CLIENT);
    let read = |path: &str| {
        let (_, bytes) = all().find(|it| it.0 == path).unwrap_or_else(|| panic!("{path} is in no table"));
        String::from_utf8_lossy(bytes).into_owned()
    };
    let bundles = [
        ("live.css", bundle::styles(files::LIVE_STYLES, read)),
        ("live.js", bundle::script(files::LIVE_ENTRIES, read)),
    ];
    let bundles = bundles.into_iter().map(|(path, text)| (path, Bytes::from(text)));
    let files = all().map(|(path, bytes)| (*path, Bytes::from_static(bytes)));
    files.chain(bundles).map(|(path, bytes)| (path, Asset::new(path, bytes))).collect()
});

/// The file at `path`, such as `live/index.html`.
pub fn asset(path: &str) -> Option<&'static Asset> {
    ASSETS.get(path)
}

impl Asset {
    fn new(path: &str, plain: Bytes) -> Self {
        Self {
            content_type: content_type(path),
            tag: sha256_hex(&[&plain])[..32].to_owned(),
            plain,
            packed: OnceLock::new(),
        }
    }

    /// Whether somebody had it packed already; else that takes up to some hundred ms of a core.
    pub fn is_packed(&self) -> bool {
        self.packed.get().is_some()
    }

    /// The same as gzip (RFC 1952), unless that is no shorter. A file is packed when somebody asks for it first, so that nobody
    /// waits for the large ones of another page.
    pub fn packed(&self) -> Option<&Bytes> {
        let pack = || Some(pack(&self.plain)).filter(|it| it.len() < self.plain.len()).map(Bytes::from);
        self.packed.get_or_init(pack).as_ref()
    }
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes).and_then(|()| packer.finish()).expect("memory takes everything")
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        "json" => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_type_and_comes_back_unpacked() {
        for (path, asset) in ASSETS.iter() {
            assert_ne!(asset.content_type, "application/octet-stream", "{path}");
            let Some(packed) = asset.packed() else { continue };
            let mut plain = Vec::new();
            std::io::copy(&mut flate2::read::GzDecoder::new(&packed[..]), &mut plain).unwrap();
            assert_eq!(plain, asset.plain, "{path}");
        }
    }
}
