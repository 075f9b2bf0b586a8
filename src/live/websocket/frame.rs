//! Frames of a server, which are not masked (RFC 6455, section 5.1): the same bytes for every client.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::packed;

/// A whole message of text.
pub fn text(message: impl Into<Utf8Bytes>) -> Bytes {
    bytes(Frame::message(message.into(), OpCode::Data(Data::Text), true))
}

/// A whole message of bytes.
pub fn binary(message: Bytes) -> Bytes {
    bytes(Frame::message(message, OpCode::Data(Data::Binary), true))
}

/// A ping without data.
pub fn ping() -> Bytes {
    bytes(Frame::ping(Bytes::new()))
}

/// The last frame, with a code and a reason, or with neither.
pub fn close(why: Option<(u16, &str)>) -> Bytes {
    bytes(Frame::close(why.map(|(code, reason)| CloseFrame { code: code.into(), reason: reason.into() })))
}

/// A whole message of text, packed (RFC 7692): for clients that take it.
pub fn packed_text(message: &str) -> Bytes {
    let mut frame = Frame::message(packed::pack(message.as_bytes()), OpCode::Data(Data::Text), true);
    frame.header_mut().rsv1 = true;
    bytes(frame)
}

/// A frame as it goes over the connection.
pub fn bytes(frame: Frame) -> Bytes {
    let mut bytes = Vec::with_capacity(frame.len());
    // Writing into memory does not fail.
    let _ = frame.format(&mut bytes);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_those_of_the_rfc() {
        assert_eq!(text("Hello"), [&[0x81, 5], "Hello".as_bytes()].concat(), "section 5.7");
        assert_eq!(binary(Bytes::from_static(&[7; 256]))[..4], [0x82, 126, 1, 0]);
        assert_eq!(ping()[..], [0x89, 0]);
        assert_eq!(close(None)[..], [0x88, 0]);
        assert_eq!(close(Some((1012, "x")))[..], [0x88, 3, 0x03, 0xf4, b'x']);
    }
}
