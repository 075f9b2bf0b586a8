//! WebSocket: the handshake, client frames, compressed messages.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use axum::extract::OptionalFromRequestParts;
use axum::http::{HeaderName, HeaderValue, Request};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::FutureExt;
use laurel::fuzzing::{Reader, accepts_offer, compress, decompress};
use laurel::live::websocket::{MessageLimits, Upgrade};

use super::Input;

/// Close codes: protocol error, invalid payload, too big (RFC 6455, section 7.4.1).
const CODES: [u16; 3] = [1002, 1007, 1009];

/// The result of a client's bytes.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    messages: Vec<String>,
    replies: Vec<u8>,
    code: Option<u16>,
}

/// Feeds a reader piece by piece, until a close frame or a protocol error.
fn feed<'a>(pieces: impl Iterator<Item = &'a [u8]>, limits: MessageLimits) -> Outcome {
    let mut reader = Reader::new(&[], limits);
    let mut outcome = Outcome::default();
    let (mut longest, max) = (0, limits.max_message_bytes);
    for piece in pieces {
        longest = longest.max(piece.len());
        reader.buffer().extend_from_slice(piece);
        loop {
            match reader.next(&mut outcome.replies) {
                Ok(None) => break,
                Ok(Some(message)) => {
                    assert!(message.len() <= max.max(125), "the message exceeds its limit");
                    let is_close = message.is_close();
                    outcome.messages.push(format!("{message:?}"));
                    if is_close {
                        return outcome;
                    }
                }
                Err(code) => {
                    assert!(CODES.contains(&code));
                    outcome.code = Some(code);
                    return outcome;
                }
            }
        }
        // An incomplete frame needs its header and at most one message.
        let buffer = reader.buffer();
        assert!(buffer.len() < 14 + max.max(125), "{} bytes are buffered", buffer.len());
        assert!(
            buffer.capacity() <= 4 * (longest + 14 + max.max(125)),
            "a capacity of {} bytes",
            buffer.capacity()
        );
        reader.shrink();
    }
    outcome
}

/// Feeds the same bytes in different pieces.
pub fn frames(data: &[u8]) {
    let mut input = Input(data);
    let flags = input.byte();
    let sizes = input.take(4);
    let bytes = input.rest();
    let limits = MessageLimits {
        max_message_bytes: if flags & 2 == 0 { 64 } else { 4096 },
        max_frames: 4,
        compression: flags & 1 == 1,
    };
    // The outcome must not depend on how the bytes are split.
    let expected = feed(std::iter::once(bytes), limits);
    assert_eq!(feed(bytes.chunks(1), limits), expected);
    let (mut rest, mut index) = (bytes, 0);
    let pieces = std::iter::from_fn(|| {
        let size = sizes.get(index % sizes.len().max(1)).map_or(7, |it| usize::from(*it) + 1);
        let (piece, remaining) = rest.split_at(size.min(rest.len()));
        (rest, index) = (remaining, index + 1);
        (!piece.is_empty()).then_some(piece)
    });
    assert_eq!(feed(pieces, limits), expected);
}

/// Decompresses an input, and compresses it.
pub fn deflate(data: &[u8]) {
    const MAX: usize = 4096;
    match decompress(data, MAX) {
        Ok(message) => {
            assert!(message.len() <= MAX);
            assert_eq!(decompress(&compress(&message), MAX).unwrap(), message);
        }
        Err(code) => assert!(CODES[1..].contains(&code)),
    }
    assert_eq!(decompress(&compress(data), data.len()).unwrap(), data);
    if !data.is_empty() {
        assert_eq!(decompress(&compress(data), data.len() - 1), Err(1009));
    }
}

/// An upgrade request with header lines from an input.
pub fn handshake(data: &[u8]) {
    let mut request = Request::get("/").body(()).unwrap();
    let upgrade = hyper::upgrade::on(&mut request);
    let (mut parts, ()) = request.into_parts();
    parts.extensions.insert(upgrade);
    for line in data.split(|byte| *byte == b'\n') {
        let mut pair = line.splitn(2, |byte| *byte == b':');
        let name = pair.next().and_then(|name| HeaderName::from_bytes(name).ok());
        let value = pair.next().and_then(|value| HeaderValue::from_bytes(value).ok());
        if let (Some(name), Some(value)) = (name, value) {
            parts.headers.append(name, value);
        }
    }
    let extracted = <Upgrade as OptionalFromRequestParts<()>>::from_request_parts(&mut parts, &());
    let Ok(Some(upgrade)) = extracted.now_or_never().unwrap() else { return };
    // Only a valid handshake is accepted (section 4.2.1).
    let words = |name: &str| -> Vec<String> {
        let values = parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(|word| word.trim().to_owned()).collect()
    };
    let has = |name: &str, word: &str| words(name).iter().any(|found| found.eq_ignore_ascii_case(word));
    assert!(has("upgrade", "websocket") && has("connection", "upgrade"));
    assert_eq!(words("sec-websocket-version"), ["13"]);
    let key = parts.headers["sec-websocket-key"].as_bytes();
    assert_eq!(BASE64_STANDARD.decode(key).unwrap().len(), 16);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let limits = MessageLimits { max_message_bytes: 64, max_frames: 4, compression: true };
    let response = runtime.block_on(async {
        let response = upgrade.protocol("laurel.v1", &parts.headers).accept(limits, |_| async {});
        tokio::task::yield_now().await;
        response
    });
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
    let accept = [key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    let accept = BASE64_STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &accept));
    assert_eq!((response.status().as_u16(), header("sec-websocket-accept")), (101, Some(accept.as_str())));
    // Only an offered extension or subprotocol is selected.
    let compresses = words("sec-websocket-extensions").iter().any(|offer| accepts_offer(offer));
    assert_eq!(header("sec-websocket-extensions").is_some(), compresses);
    let offered = words("sec-websocket-protocol").iter().any(|word| word == "laurel.v1");
    assert_eq!(header("sec-websocket-protocol"), offered.then_some("laurel.v1"));
}
