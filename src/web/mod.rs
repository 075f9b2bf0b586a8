//! The files of the pages, compiled in, each with its entity tag and compressed once. The files are the same for everyone: pages get their
//! data from the public API.

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
    /// Value of `Content-Type`.
    pub content_type: &'static str,
    /// Content, uncompressed.
    pub bytes: Bytes,
    /// Strong entity tag (RFC 9110, section 8.8.3) of the content.
    pub tag: String,
    gzip: OnceLock<Option<Bytes>>,
}

static ASSETS: LazyLock<HashMap<&'static str, Asset>> = LazyLock::new(|| {
    let all = || files::PAGES.iter().chain(files::CLIENT);
    let read = |path: &str| {
        let (_, bytes) =
            all().find(|file| file.0 == path).unwrap_or_else(|| panic!("{path} is not in files.rs"));
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
    fn new(path: &str, bytes: Bytes) -> Self {
        Self {
            content_type: content_type(path),
            tag: sha256_hex(&[&bytes])[..32].to_owned(),
            bytes,
            gzip: OnceLock::new(),
        }
    }

    /// True if `gzip` returns at once. The first call compresses, which takes up to some hundred ms of CPU time.
    pub fn is_compressed(&self) -> bool {
        self.gzip.get().is_some()
    }

    /// The content as gzip (RFC 1952). None if that is not shorter. Compressed at the first request for the file, so that a start does not
    /// wait for large files.
    pub fn gzip(&self) -> Option<&Bytes> {
        let compress =
            || Some(compress(&self.bytes)).filter(|gzip| gzip.len() < self.bytes.len()).map(Bytes::from);
        self.gzip.get_or_init(compress).as_ref()
    }
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writes to memory do not fail")
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
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
    fn every_file_has_a_content_type_and_decompresses() {
        for (path, asset) in ASSETS.iter() {
            assert_ne!(asset.content_type, "application/octet-stream", "{path}");
            let Some(gzip) = asset.gzip() else { continue };
            let mut bytes = Vec::new();
            std::io::copy(&mut flate2::read::GzDecoder::new(&gzip[..]), &mut bytes).unwrap();
            assert_eq!(bytes, asset.bytes, "{path}");
        }
    }
}
