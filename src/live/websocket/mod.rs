//! WebSockets (RFC 6455) on the TCP connection: the handshake, the reading half, and frames to write.
//!
//! A frame of a server is not masked (section 5.1), so all clients of an encoding share its bytes. The writing half is the caller's.

pub(crate) mod deflate;
pub(crate) mod reader;
mod socket;
mod upgrade;

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

pub use deflate::{GZIP_HEADER, compressed_block, stored_block};
pub use socket::{MessageLimits, ReadOutcome, WebSocket};
pub use upgrade::Upgrade;

/// The frame of a text message.
pub fn text(message: impl Into<Utf8Bytes>) -> Bytes {
    frame_bytes(Frame::message(message.into(), OpCode::Data(Data::Text), true))
}

/// The frame of a text message, compressed (RFC 7692): for clients that accepted it.
pub fn compressed_text(message: &str) -> Bytes {
    let payload = deflate::compress(message.as_bytes());
    let mut frame = Frame::message(payload, OpCode::Data(Data::Text), true);
    frame.header_mut().rsv1 = true;
    frame_bytes(frame)
}

/// The frame of a binary message.
pub fn binary(message: Bytes) -> Bytes {
    frame_bytes(Frame::message(message, OpCode::Data(Data::Binary), true))
}

/// A ping frame without data.
pub fn ping() -> Bytes {
    frame_bytes(Frame::ping(Bytes::new()))
}

/// A close frame, with a code and a reason or with neither.
pub fn close(reason: Option<(u16, &str)>) -> Bytes {
    let reason = reason.map(|(code, text)| CloseFrame { code: code.into(), reason: text.into() });
    frame_bytes(Frame::close(reason))
}

fn frame_bytes(frame: Frame) -> Bytes {
    let mut bytes = Vec::with_capacity(frame.len());
    // Writing into memory does not fail.
    let _ = frame.format(&mut bytes);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_match_the_rfc() {
        assert_eq!(text("Hello"), [&[0x81, 5], "Hello".as_bytes()].concat(), "section 5.7");
        assert_eq!(binary(Bytes::from_static(&[7; 256]))[..4], [0x82, 126, 1, 0]);
        assert_eq!(ping()[..], [0x89, 0]);
        assert_eq!(close(None)[..], [0x88, 0]);
        assert_eq!(close(Some((1012, "x")))[..], [0x88, 3, 0x03, 0xf4, b'x']);
    }
}
