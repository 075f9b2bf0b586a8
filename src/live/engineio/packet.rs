//! Engine.IO packets: a digit and data. Over polling, packets are joined and binary data is base64.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Separates packets in a polling body.
pub const SEPARATOR: char = '\u{1e}';

/// A message of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

/// An outgoing packet: text with its digit, or a binary message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    /// A text packet.
    Text(Utf8Bytes),
    /// A binary message.
    Binary(Bytes),
}

impl Wire {
    /// A text packet.
    pub fn text(packet: impl Into<Utf8Bytes>) -> Self {
        Self::Text(packet.into())
    }

    /// Appends it to a polling body.
    pub fn push_to(&self, body: &mut String) {
        match self {
            Self::Text(packet) => body.push_str(packet),
            Self::Binary(bytes) => {
                body.push('b');
                BASE64_STANDARD.encode_string(bytes, body);
            }
        }
    }
}

/// A packet from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// `1`
    Close,
    /// `2`, with `probe` on a new transport.
    Ping(String),
    /// `3`
    Pong,
    /// `4`, or binary data.
    Message(Message),
    /// `5`
    Upgrade,
}

impl Packet {
    /// Reads a text packet; `None` if it is malformed or clients must not send it.
    pub fn read(text: &str) -> Option<Self> {
        let rest = text.get(1..).unwrap_or_default();
        Some(match text.as_bytes().first()? {
            b'1' => Self::Close,
            b'2' => Self::Ping(rest.to_owned()),
            b'3' => Self::Pong,
            b'4' => Self::Message(Message::Text(rest.to_owned())),
            b'5' => Self::Upgrade,
            b'b' => Self::Message(Message::Binary(BASE64_STANDARD.decode(rest).ok()?.into())),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn polling_encodes_binary_data_as_base64() {
        let bytes = Bytes::from_static(&[1, 2, 3, 4]);
        let mut body = String::new();
        Wire::Binary(bytes.clone()).push_to(&mut body);
        assert_eq!(body, "bAQIDBA==");
        assert_eq!(Packet::read(&body), Some(Packet::Message(Message::Binary(bytes))));
        for bad in ["", "0", "6", "7", "x", "b!", "é"] {
            assert_eq!(Packet::read(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn messages_round_trip(text in ".{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let Wire::Text(packet) = Wire::text(format!("4{text}")) else { unreachable!() };
            prop_assert_eq!(Packet::read(&packet), Some(Packet::Message(Message::Text(text))));
            let mut body = String::new();
            Wire::Binary(bytes.clone().into()).push_to(&mut body);
            prop_assert_eq!(Packet::read(&body), Some(Packet::Message(Message::Binary(bytes.into()))));
        }

        #[test]
        fn reading_any_text_does_not_panic(text in ".{0,80}", digit in "[0-9b]") {
            let _ = Packet::read(&text);
            let read = Packet::read(&format!("{digit}{text}"));
            prop_assert!(read.is_some() || !"12345".contains(&digit));
        }
    }
}
