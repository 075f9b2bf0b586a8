//! Compression: permessage-deflate (RFC 7692) for WebSockets, and gzip blocks for server-sent events.
//!
//! Each message is compressed without context from the one before. So the compressed board too is one frame for all clients, and no
//! client needs a compression window in memory.

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::reader::{INVALID_PAYLOAD, TOO_BIG};

/// The `Sec-WebSocket-Extensions` response: neither side keeps a context.
pub const ACCEPTED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// The end of a flushed block, which is not sent (RFC 7692, section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Whether a client's offer is acceptable. A smaller server window is not: it would need frames of its own.
pub fn accepts_offer(offer: &str) -> bool {
    let mut parts = offer.split(';').map(str::trim);
    parts.next() == Some("permessage-deflate")
        && parts.all(|parameter| {
            matches!(
                parameter,
                "server_no_context_takeover" | "client_no_context_takeover" | "client_max_window_bits"
            ) || parameter.starts_with("client_max_window_bits=")
        })
}

/// Compresses a message, without the tail.
pub fn compress(message: &[u8]) -> Vec<u8> {
    let mut compressed = compressed_block(message);
    compressed.truncate(compressed.len() - TAIL.len());
    compressed
}

/// Compresses a message to blocks that refer to nothing before them and end on a byte.
pub fn compressed_block(message: &[u8]) -> Vec<u8> {
    // Deflate adds a few bytes per block to data that it cannot compress.
    let mut compressed = Vec::with_capacity(message.len() + 64);
    let mut deflate = Compress::new(Compression::default(), false);
    // This cannot fail: the buffer is large enough.
    let _ = deflate.compress_vec(message, &mut compressed, FlushCompress::Full);
    compressed
}

/// The header of a body with `Content-Encoding: gzip` (RFC 1952, section 2.3), which blocks follow. A stream of events never ends, so it
/// needs no trailer.
pub const GZIP_HEADER: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A message of less than 64 KiB as an uncompressed block (RFC 1951, section 3.2.4).
pub fn stored_block(message: &[u8]) -> Vec<u8> {
    let length = message.len() as u16;
    [&[0], &length.to_le_bytes()[..], &(!length).to_le_bytes(), message].concat()
}

/// Decompresses a message of at most `max_bytes`.
///
/// # Errors
/// The close code: the message is larger, or malformed.
pub fn decompress(message: &[u8], max_bytes: usize) -> Result<Bytes, u16> {
    let mut inflate = Decompress::new(false);
    let mut bytes = Vec::new();
    for part in [message, &TAIL] {
        let begin = inflate.total_in();
        loop {
            if bytes.len() == bytes.capacity() {
                bytes.reserve(bytes.len().max(1024));
            }
            let rest = &part[(inflate.total_in() - begin) as usize..];
            let status = inflate.decompress_vec(rest, &mut bytes, FlushDecompress::Sync);
            if bytes.len() > max_bytes {
                return Err(TOO_BIG);
            }
            match status.map_err(|_| INVALID_PAYLOAD)? {
                // A final block ends the message; the tail is for messages without one.
                Status::StreamEnd if inflate.total_in() == message.len() as u64 => return Ok(bytes.into()),
                Status::StreamEnd => return Err(INVALID_PAYLOAD),
                // Space is left, so all available output has been written.
                _ if bytes.len() < bytes.capacity() => break,
                _ => {}
            }
        }
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn messages_round_trip() {
        for message in [&b""[..], b"Hello", &[7; 5000], &(0..=255).collect::<Vec<u8>>()] {
            assert_eq!(decompress(&compress(message), 5000).unwrap(), message);
        }
        assert_eq!(
            compress(b"Hello"),
            [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
            "RFC 7692, section 7.2.3.1"
        );
        assert_eq!(decompress(&compress(&[7; 5000]), 4999), Err(TOO_BIG));
        assert_eq!(decompress(b"not packed", 100), Err(INVALID_PAYLOAD));
        let last = [&[1, 1, 0, 0xfe, 0xff][..], b"x"].concat();
        assert_eq!(decompress(&last, 100).unwrap(), "x", "a final block, RFC 7692, section 7.2.3.4");
        assert_eq!(decompress(&[&last[..], b"more"].concat(), 100), Err(INVALID_PAYLOAD));
    }

    #[test]
    fn blocks_follow_each_other_in_any_order() {
        let blocks =
            [stored_block(b"event: one\n\n"), compressed_block(b"event: two\n\n"), stored_block(b":\n\n")];
        let stream = [GZIP_HEADER, &blocks.concat()].concat();
        let mut text = String::new();
        // The trailer is missing, which the decoder reports after it has decoded everything.
        assert!(flate2::read::GzDecoder::new(&stream[..]).read_to_string(&mut text).is_err());
        assert_eq!(text, "event: one\n\nevent: two\n\n:\n\n");
    }

    #[test]
    fn offers_of_a_smaller_server_window_are_refused() {
        for good in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate ;server_no_context_takeover",
        ] {
            assert!(accepts_offer(good), "{good}");
        }
        for bad in [
            "permessage-deflate; server_max_window_bits=10",
            "x-webkit-deflate-frame",
            "",
            "permessage-deflate; x",
        ] {
            assert!(!accepts_offer(bad), "{bad}");
        }
    }
}
