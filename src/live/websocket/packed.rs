//! Packed messages (RFC 7692, permessage-deflate), each by itself: without context from one message to the next, the packed
//! board is one frame for all clients too, and nobody's dictionary is kept.

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::reader::{NOT_CONSISTENT, TOO_BIG};

/// What the answer to an offer says: neither side keeps a context.
pub const ACCEPTED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// The end of a flushed block, which is not sent (RFC 7692, section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Whether an offer of a client can be accepted. A window that the client wants to be smaller cannot: it would be another frame.
pub fn accepts(offer: &str) -> bool {
    let mut parts = offer.split(';').map(str::trim);
    parts.next() == Some("permessage-deflate")
        && parts.all(|it| {
            matches!(
                it,
                "server_no_context_takeover" | "client_no_context_takeover" | "client_max_window_bits"
            ) || it.starts_with("client_max_window_bits=")
        })
}

/// Packs a message, without the tail.
pub fn pack(message: &[u8]) -> Vec<u8> {
    let mut packed = flush(message);
    packed.truncate(packed.len() - TAIL.len());
    packed
}

/// A message as blocks that refer to nothing before them, to the end of a byte.
pub fn flush(message: &[u8]) -> Vec<u8> {
    // Deflate grows what it cannot pack by some bytes a block.
    let mut packed = Vec::with_capacity(message.len() + 64);
    let mut deflate = Compress::new(Compression::default(), false);
    // Into memory with room enough this cannot fail.
    let _ = deflate.compress_vec(message, &mut packed, FlushCompress::Full);
    packed
}

/// The head of a stream of blocks as a body with `Content-Encoding: gzip` (RFC 1952, section 2.3). It has no end: neither have
/// the events in it.
pub const GZIP: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A message of less than 64 KiB as a block that is not packed (RFC 1951, section 3.2.4).
pub fn store(message: &[u8]) -> Vec<u8> {
    let length = message.len() as u16;
    [&[0], &length.to_le_bytes()[..], &(!length).to_le_bytes(), message].concat()
}

/// Unpacks a message of at most so many bytes.
///
/// # Errors
/// It is larger, or not packed: the code to close with.
pub fn unpack(message: &[u8], max_bytes: usize) -> Result<Bytes, u16> {
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
            match status.map_err(|_| NOT_CONSISTENT)? {
                // A last block ends the message; the tail is there for messages without one.
                Status::StreamEnd if inflate.total_in() == message.len() as u64 => return Ok(bytes.into()),
                Status::StreamEnd => return Err(NOT_CONSISTENT),
                // With room left over, all that was there has come out.
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
    fn messages_come_back_as_they_were() {
        for message in [&b""[..], b"Hello", &[7; 5000], &(0..=255).collect::<Vec<u8>>()] {
            assert_eq!(unpack(&pack(message), 5000).unwrap(), message);
        }
        assert_eq!(pack(b"Hello"), [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], "RFC 7692, section 7.2.3.1");
        assert_eq!(unpack(&pack(&[7; 5000]), 4999), Err(TOO_BIG));
        assert_eq!(unpack(b"not packed", 100), Err(NOT_CONSISTENT));
        let last = [&[1, 1, 0, 0xfe, 0xff][..], b"x"].concat();
        assert_eq!(unpack(&last, 100).unwrap(), "x", "a last block, RFC 7692, section 7.2.3.4");
        assert_eq!(unpack(&[&last[..], b"more"].concat(), 100), Err(NOT_CONSISTENT));
    }

    #[test]
    fn blocks_follow_each_other_in_any_order() {
        let stream = [GZIP, &store(b"event: one\n\n"), &flush(b"event: two\n\n"), &store(b":\n\n")].concat();
        let mut text = String::new();
        // The end is missing, which is only found out after all that is there.
        assert!(flate2::read::GzDecoder::new(&stream[..]).read_to_string(&mut text).is_err());
        assert_eq!(text, "event: one\n\nevent: two\n\n:\n\n");
    }

    #[test]
    fn offers_that_want_another_window_are_not_accepted() {
        for good in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate ;server_no_context_takeover",
        ] {
            assert!(accepts(good), "{good}");
        }
        for bad in [
            "permessage-deflate; server_max_window_bits=10",
            "x-webkit-deflate-frame",
            "",
            "permessage-deflate; x",
        ] {
            assert!(!accepts(bad), "{bad}");
        }
    }
}
