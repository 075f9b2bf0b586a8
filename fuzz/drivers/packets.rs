//! Packets of Engine.IO and Socket.IO.

use laurel::live::engineio::{Message, Packet as Engine, Wire};
use laurel::live::socketio::Packet;

pub fn packets(data: &[u8]) {
    // Bytes go over polling as text, and come back as they were.
    let mut body = String::new();
    Wire::Binary(data.to_vec().into()).push_to(&mut body);
    assert_eq!(Engine::read(&body), Some(Engine::Message(Message::Binary(data.to_vec().into()))));
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = Engine::read(text);
    let may_be_sent = text.starts_with(['1', '2', '3', '4', '5']);
    assert!(read.is_some() || !may_be_sent);
    if let Some(Engine::Message(Message::Text(inner))) = read {
        assert_eq!(inner, text[1..]);
    }
    let Some(packet) = Packet::read(text) else { return };
    assert!(packet.attachments <= 16 && packet.namespace.len() <= 128 && packet.namespace.starts_with('/'));
    let written = packet.write();
    let again = Packet::read(written.strip_prefix('4').unwrap()).unwrap();
    // Fractions may lose their last digit on the way; all that is acted upon stays.
    assert_eq!(
        (again.kind, again.attachments, &again.namespace, again.ack, again.data.is_some()),
        (packet.kind, packet.attachments, &packet.namespace, packet.ack, packet.data.is_some())
    );
}
