//! Engine.IO and Socket.IO packets.

use laurel::live::engineio::{Message, Packet as Engine, Wire};
use laurel::live::socketio::Packet;

/// Reads and writes packets of both protocols.
pub fn packets(data: &[u8]) {
    // Binary data round-trips over polling.
    let mut body = String::new();
    Wire::Binary(data.to_vec().into()).push_to(&mut body);
    assert_eq!(Engine::read(&body), Some(Engine::Message(Message::Binary(data.to_vec().into()))));
    let Ok(text) = std::str::from_utf8(data) else { return };
    let engine_packet = Engine::read(text);
    let is_client_packet = text.starts_with(['1', '2', '3', '4', '5']);
    assert!(engine_packet.is_some() || !is_client_packet);
    if let Some(Engine::Message(Message::Text(inner))) = engine_packet {
        assert_eq!(inner, text[1..]);
    }
    let Some(packet) = Packet::read(text) else { return };
    assert!(packet.attachments <= 16 && packet.namespace.len() <= 128 && packet.namespace.starts_with('/'));
    let written = packet.write();
    let again = Packet::read(written.strip_prefix('4').unwrap()).unwrap();
    // A fraction may lose its last digit. Every part that the server uses stays the same.
    assert_eq!(
        (again.kind, again.attachments, &again.namespace, again.ack, again.data.is_some()),
        (packet.kind, packet.attachments, &packet.namespace, packet.ack, packet.data.is_some())
    );
}
