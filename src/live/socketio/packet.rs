//! Socket.IO packets: `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`.

use serde_json::Value;

/// More attachments than any of our clients sends; they wait in memory until all have arrived.
const MAX_ATTACHMENTS: usize = 16;

/// Longer than any namespace; a refusal repeats the name that the client requested.
const MAX_NAMESPACE_BYTES: usize = 128;

/// A packet's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in the protocol")]
pub enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
    BinaryEvent,
    BinaryAck,
}

/// One packet, without its attachments.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    /// Its type.
    pub kind: Kind,
    /// Number of attachments that follow.
    pub attachments: usize,
    /// Its namespace, `/` by default.
    pub namespace: String,
    /// The id of the acknowledgment that it asks for, or is.
    pub ack: Option<u64>,
    /// Its JSON.
    pub data: Option<Value>,
}

impl Packet {
    /// A packet without attachments and acknowledgment.
    pub fn new(kind: Kind, namespace: &str, data: Option<Value>) -> Self {
        Self { kind, attachments: 0, namespace: namespace.to_owned(), ack: None, data }
    }

    /// Reads a client's packet; `None` if the protocol does not allow it.
    pub fn read(text: &str) -> Option<Self> {
        let kind = match text.as_bytes().first()? {
            b'0' => Kind::Connect,
            b'1' => Kind::Disconnect,
            b'2' => Kind::Event,
            b'3' => Kind::Ack,
            b'5' => Kind::BinaryEvent,
            b'6' => Kind::BinaryAck,
            _ => return None,
        };
        let mut rest = text.get(1..)?;
        let mut attachments = 0;
        if matches!(kind, Kind::BinaryEvent | Kind::BinaryAck) {
            let (count, after) = rest.split_once('-')?;
            attachments = count.parse().ok().filter(|count| *count <= MAX_ATTACHMENTS)?;
            rest = after;
        }
        let mut namespace = "/";
        if rest.starts_with('/') {
            (namespace, rest) = rest.split_once(',').unwrap_or((rest, ""));
            if namespace.len() > MAX_NAMESPACE_BYTES {
                return None;
            }
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let ack = if digits > 0 { Some(rest[..digits].parse().ok()?) } else { None };
        rest = &rest[digits..];
        let data = if rest.is_empty() { None } else { Some(serde_json::from_str(rest).ok()?) };
        let packet = Self { kind, attachments, namespace: namespace.to_owned(), ack, data };
        packet.is_valid().then_some(packet)
    }

    fn is_valid(&self) -> bool {
        match (self.kind, &self.data) {
            (Kind::Connect, data) => data.as_ref().is_none_or(Value::is_object),
            (Kind::Disconnect, data) => data.is_none(),
            (Kind::Event | Kind::BinaryEvent, Some(Value::Array(arguments))) => {
                arguments.first().is_some_and(|name| name.is_string() || name.is_number())
            }
            (Kind::Ack | Kind::BinaryAck, Some(Value::Array(_))) => self.ack.is_some(),
            _ => false,
        }
    }

    /// The text to send, after Engine.IO's digit for a message.
    pub fn write(&self) -> String {
        let mut text = format!("4{}", self.kind as u8);
        if matches!(self.kind, Kind::BinaryEvent | Kind::BinaryAck) {
            text.push_str(&format!("{}-", self.attachments));
        }
        if self.namespace != "/" {
            text.push_str(&self.namespace);
            text.push(',');
        }
        if let Some(ack) = self.ack {
            text.push_str(&ack.to_string());
        }
        if let Some(data) = &self.data {
            text.push_str(&data.to_string());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn packets_match_the_protocol() {
        let cases = [
            ("0", Packet::new(Kind::Connect, "/", None)),
            (
                "0/admin,{\"token\":\"123\"}",
                Packet::new(Kind::Connect, "/admin", Some(json!({ "token": "123" }))),
            ),
            ("1/admin,", Packet::new(Kind::Disconnect, "/admin", None)),
            ("2[\"hello\",1]", Packet::new(Kind::Event, "/", Some(json!(["hello", 1])))),
            ("212[\"x\"]", Packet { ack: Some(12), ..Packet::new(Kind::Event, "/", Some(json!(["x"]))) }),
            ("3/admin,456[]", Packet { ack: Some(456), ..Packet::new(Kind::Ack, "/admin", Some(json!([]))) }),
        ];
        for (text, packet) in cases {
            assert_eq!(Packet::read(text), Some(packet.clone()), "{text}");
            assert_eq!(packet.write(), format!("4{text}"));
        }
        let binary = Packet::read("51-[\"baz\",{\"_placeholder\":true,\"num\":0}]").unwrap();
        assert_eq!((binary.kind, binary.attachments), (Kind::BinaryEvent, 1));
        for bad in [
            "",
            "7",
            "4{}",
            "0[]",
            "1[]",
            "2",
            "2{}",
            "2[]",
            "2[true]",
            "3[]",
            "5[\"x\"]",
            "599-[\"x\"]",
            "2x",
            "é",
        ] {
            assert_eq!(Packet::read(bad), None, "{bad}");
        }
    }
}
