//! WebSocket: the handshake, what a client sends, packed messages.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use axum::extract::OptionalFromRequestParts;
use axum::http::{HeaderName, HeaderValue, Request};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::FutureExt;
use laurel::fuzzing::{Reader, Said, accepts, pack, unpack};
use laurel::live::websocket::{Limits, Upgrade};

use super::Input;

/// Protocol error, no consistent text or packing, too big (RFC 6455, section 7.4.1).
const CODES: [u16; 3] = [1002, 1007, 1009];

/// All that came of a client's bytes: messages, replies, and the code it is closed with.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    messages: Vec<String>,
    replies: Vec<u8>,
    code: Option<u16>,
}

/// Feeds a reader piece by piece, until it has heard a close or a breach.
fn feed<'a>(pieces: impl Iterator<Item = &'a [u8]>, limits: Limits) -> Outcome {
    let mut reader = Reader::new(&[], limits);
    let mut outcome = Outcome::default();
    let (mut longest, max) = (0, limits.max_message_bytes);
    for piece in pieces {
        longest = longest.max(piece.len());
        reader.buffer().extend_from_slice(piece);
        loop {
            match reader.next(&mut outcome.replies) {
                Ok(Said::Unfinished) => break,
                Ok(Said::Message(message)) => {
                    assert!(message.len() <= max.max(125), "longer than a message may be");
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
        // What is kept of a frame that is not whole: its head, and at most a message.
        let buffer = reader.buffer();
        assert!(buffer.len() < 14 + max.max(125), "{} bytes are kept", buffer.len());
        assert!(
            buffer.capacity() <= 4 * (longest + 14 + max.max(125)),
            "{} bytes of room",
            buffer.capacity()
        );
        reader.rest();
    }
    outcome
}

pub fn frames(data: &[u8]) {
    let mut input = Input(data);
    let flags = input.byte();
    let sizes = input.take(4);
    let bytes = input.rest();
    let limits = Limits {
        max_message_bytes: if flags & 2 == 0 { 64 } else { 4096 },
        max_frames: 4,
        packed: flags & 1 == 1,
    };
    // A client's bytes arrive in any pieces; that must not change what they say.
    let whole = feed(std::iter::once(bytes), limits);
    assert_eq!(feed(bytes.chunks(1), limits), whole);
    let (mut rest, mut place) = (bytes, 0);
    let pieces = std::iter::from_fn(|| {
        let size = sizes.get(place % sizes.len().max(1)).map_or(7, |it| usize::from(*it) + 1);
        let (piece, left) = rest.split_at(size.min(rest.len()));
        (rest, place) = (left, place + 1);
        (!piece.is_empty()).then_some(piece)
    });
    assert_eq!(feed(pieces, limits), whole);
}

pub fn deflate(data: &[u8]) {
    const MAX: usize = 4096;
    match unpack(data, MAX) {
        Ok(message) => {
            assert!(message.len() <= MAX);
            assert_eq!(unpack(&pack(&message), MAX).unwrap(), message);
        }
        Err(code) => assert!(CODES[1..].contains(&code)),
    }
    assert_eq!(unpack(&pack(data), data.len()).unwrap(), data);
    if !data.is_empty() {
        assert_eq!(unpack(&pack(data), data.len() - 1), Err(1009));
    }
}

pub fn handshake(data: &[u8]) {
    let mut request = Request::get("/").body(()).unwrap();
    let upgrade = hyper::upgrade::on(&mut request);
    let (mut parts, ()) = request.into_parts();
    parts.extensions.insert(upgrade);
    for line in data.split(|it| *it == b'\n') {
        let mut halves = line.splitn(2, |it| *it == b':');
        let name = halves.next().and_then(|it| HeaderName::from_bytes(it).ok());
        let value = halves.next().and_then(|it| HeaderValue::from_bytes(it).ok());
        if let (Some(name), Some(value)) = (name, value) {
            parts.headers.append(name, value);
        }
    }
    let asked = <Upgrade as OptionalFromRequestParts<()>>::from_request_parts(&mut parts, &());
    let Ok(Some(upgrade)) = asked.now_or_never().unwrap() else { return };
    // It asked as the RFC wants it (section 4.2.1).
    let words = |name: &str| -> Vec<String> {
        let values = parts.headers.get_all(name).iter().filter_map(|it| it.to_str().ok());
        values.flat_map(|it| it.split(',')).map(|it| it.trim().to_owned()).collect()
    };
    let has = |name: &str, word: &str| words(name).iter().any(|it| it.eq_ignore_ascii_case(word));
    assert!(has("upgrade", "websocket") && has("connection", "upgrade"));
    assert_eq!(words("sec-websocket-version"), ["13"]);
    let key = parts.headers["sec-websocket-key"].as_bytes();
    assert_eq!(BASE64_STANDARD.decode(key).unwrap().len(), 16);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let limits = Limits { max_message_bytes: 64, max_frames: 4, packed: true };
    let response = runtime.block_on(async {
        let response = upgrade.protocol("laurel.v1", &parts.headers).accept(limits, |_| async {});
        tokio::task::yield_now().await;
        response
    });
    let answer = |name: &str| response.headers().get(name).map(|it| it.to_str().unwrap());
    let accept = [key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    let accept = BASE64_STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &accept));
    assert_eq!((response.status().as_u16(), answer("sec-websocket-accept")), (101, Some(accept.as_str())));
    // Nothing is spoken that was not offered.
    let packs = words("sec-websocket-extensions").iter().any(|it| accepts(it));
    assert_eq!(answer("sec-websocket-extensions").is_some(), packs);
    let speaks = words("sec-websocket-protocol").iter().any(|it| it == "laurel.v1");
    assert_eq!(answer("sec-websocket-protocol"), speaks.then_some("laurel.v1"));
}
