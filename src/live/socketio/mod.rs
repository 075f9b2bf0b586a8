//! Socket.IO 5 (github.com/socketio/socket.io-protocol) over Engine.IO: namespaces, events, acknowledgments, binary attachments.

mod packet;
mod subscribe;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::PendingPermit;
use super::engineio::{Message, Session, Socket, Wire};
use super::websocket::WebSocket;

pub use packet::{Kind, Packet};
pub use subscribe::scoreboard_engine;

/// Most bytes of one packet's attachments, which wait in memory until all have arrived.
const MAX_ATTACHMENT_BYTES: usize = 64 * 1024;

/// A client's packet with its attachments.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientPacket {
    /// Join a namespace.
    Connect {
        /// The namespace.
        namespace: String,
        /// The authentication data, `{}` if there is none.
        auth: Value,
    },
    /// Leave a namespace.
    Disconnect {
        /// The namespace.
        namespace: String,
    },
    /// An event.
    Event {
        /// The namespace.
        namespace: String,
        /// The id of the acknowledgment that the client asks for.
        ack: Option<u64>,
        /// Name and arguments.
        arguments: Vec<Value>,
        /// Binary data that the arguments refer to.
        attachments: Vec<Bytes>,
    },
}

/// One client's Socket.IO connection.
pub struct Connection {
    socket: Socket,
    /// A packet whose attachments have not all arrived.
    partial: Option<(Packet, Vec<Bytes>)>,
}

impl Connection {
    /// A connection over an Engine.IO session.
    pub fn new(socket: Socket) -> Self {
        Self { socket, partial: None }
    }

    /// The client's address.
    pub fn address(&self) -> IpAddr {
        self.socket.peer.address
    }

    /// Takes the permit that counts the client among those that have not logged in; it can be taken once.
    pub fn take_permit(&mut self) -> Option<PendingPermit> {
        self.socket.peer.permit.take()
    }

    /// The client's next packet; `None` if it is gone or broke the protocol. Cancel safe.
    pub async fn next(&mut self) -> Option<ClientPacket> {
        loop {
            let complete =
                |(packet, attachments): &mut (Packet, Vec<Bytes>)| attachments.len() == packet.attachments;
            if let Some((packet, attachments)) = self.partial.take_if(complete) {
                match client_packet(packet, attachments) {
                    Some(packet) => return Some(packet),
                    None => continue,
                }
            }
            match (self.socket.next().await?, &mut self.partial) {
                (Message::Text(text), None) => self.partial = Some((Packet::read(&text)?, Vec::new())),
                (Message::Binary(bytes), Some((_, attachments))) => {
                    attachments.push(bytes);
                    if attachments.iter().map(Bytes::len).sum::<usize>() > MAX_ATTACHMENT_BYTES {
                        return None;
                    }
                }
                _ => return None,
            }
        }
    }

    /// The same, `None` also after a timeout.
    pub async fn next_within(&mut self, timeout: Duration) -> Option<ClientPacket> {
        tokio::time::timeout(timeout, self.next()).await.ok().flatten()
    }

    /// Sends a packet with its attachments.
    pub fn send(&self, packet: &Packet, attachments: Vec<Bytes>) {
        self.socket.send(Wire::text(packet.write()));
        for bytes in attachments {
            self.socket.send(Wire::Binary(bytes));
        }
    }

    /// Accepts the client to a namespace, under an id.
    pub fn accept(&self, namespace: &str, id: &str) {
        self.send(&Packet::new(Kind::Connect, namespace, Some(json!({ "sid": id }))), Vec::new());
    }

    /// Refuses a namespace. The client does not retry by itself then.
    pub fn refuse(&self, namespace: &str, error: Value) {
        self.send(&Packet::new(Kind::ConnectError, namespace, Some(error)), Vec::new());
    }

    /// The session, for another task to send over.
    pub fn session(&self) -> &Arc<Session> {
        self.socket.session()
    }

    /// Requests the session's WebSocket: see `Session::take_websocket`.
    pub fn take_websocket(&self) -> oneshot::Receiver<WebSocket> {
        self.socket.session().take_websocket()
    }
}

/// `None` for acknowledgments: the server asks for none.
fn client_packet(packet: Packet, attachments: Vec<Bytes>) -> Option<ClientPacket> {
    let Packet { kind, namespace, ack, data, .. } = packet;
    match (kind, data) {
        (Kind::Connect, data) => {
            Some(ClientPacket::Connect { namespace, auth: data.unwrap_or_else(|| json!({})) })
        }
        (Kind::Disconnect, _) => Some(ClientPacket::Disconnect { namespace }),
        (Kind::Event | Kind::BinaryEvent, Some(Value::Array(arguments))) => {
            Some(ClientPacket::Event { namespace, ack, arguments, attachments })
        }
        _ => None,
    }
}
