//! One client's Socket.IO connection: packets become what was heard, with their attachments gathered.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{Kind, Packet};
use crate::live::engineio::{Message, Session, Socket, Wire};
use crate::live::{Pending, websocket};

/// Of the attachments of one packet, which wait for each other in memory.
const MAX_ATTACHED_BYTES: usize = 64 * 1024;

/// What a client said.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// It wants to join a namespace.
    Connect {
        /// Which.
        namespace: String,
        /// With what, `{}` if nothing.
        auth: Value,
    },
    /// It leaves a namespace.
    Disconnect {
        /// Which.
        namespace: String,
    },
    /// An event.
    Event {
        /// Where.
        namespace: String,
        /// The acknowledgement that is asked for.
        ack: Option<u64>,
        /// Name and arguments.
        arguments: Vec<Value>,
        /// Bytes that the arguments stand for.
        attachments: Vec<Bytes>,
    },
}

/// A connection.
pub struct Connection {
    socket: Socket,
    /// A packet whose attachments are not all there yet.
    begun: Option<(Packet, Vec<Bytes>)>,
}

impl Connection {
    /// Over an Engine.IO session.
    pub fn new(socket: Socket) -> Self {
        Self { socket, begun: None }
    }

    /// The client's address.
    pub fn address(&self) -> IpAddr {
        self.socket.guest.address
    }

    /// The client's place among those that have not logged in; there is one.
    pub fn take_place(&mut self) -> Option<Pending> {
        self.socket.guest.place.take()
    }

    /// What the client says next; `None` when it is gone, or said what the protocol does not allow. Nothing is lost if
    /// the waiting is given up.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            if let Some((packet, attachments)) = self.begun.take_if(|(it, have)| have.len() == it.attachments)
            {
                match heard(packet, attachments) {
                    Some(heard) => return Some(heard),
                    None => continue,
                }
            }
            match (self.socket.next().await?, &mut self.begun) {
                (Message::Text(text), None) => self.begun = Some((Packet::read(&text)?, Vec::new())),
                (Message::Binary(bytes), Some((_, attachments))) => {
                    attachments.push(bytes);
                    if attachments.iter().map(Bytes::len).sum::<usize>() > MAX_ATTACHED_BYTES {
                        return None;
                    }
                }
                _ => return None,
            }
        }
    }

    /// The same, but only for so long.
    pub async fn next_within(&mut self, time: Duration) -> Option<Heard> {
        tokio::time::timeout(time, self.next()).await.ok().flatten()
    }

    /// Sends a packet with its attachments.
    pub fn send(&self, packet: &Packet, attachments: Vec<Bytes>) {
        self.send_ready(Wire::text(packet.write()));
        for bytes in attachments {
            self.send_ready(Wire::Binary(bytes));
        }
    }

    /// Sends what was encoded before.
    pub fn send_ready(&self, wire: Wire) {
        self.socket.send(wire);
    }

    /// Sends an event to the main namespace.
    pub fn emit(&self, name: &str, data: &Value) {
        self.send(&Packet::new(Kind::Event, "/", Some(json!([name, data]))), Vec::new());
    }

    /// Lets the client into a namespace, under an id.
    pub fn accept(&self, namespace: &str, id: &str) {
        self.send(&Packet::new(Kind::Connect, namespace, Some(json!({ "sid": id }))), Vec::new());
    }

    /// Keeps the client out of a namespace. It does not come back by itself after this.
    pub fn refuse(&self, namespace: &str, error: Value) {
        self.send(&Packet::new(Kind::ConnectError, namespace, Some(error)), Vec::new());
    }

    /// What carries it, for somebody else to send over.
    pub fn session(&self) -> &Arc<Session> {
        self.socket.session()
    }

    /// The WebSocket, as soon as one carries the session: see `engineio::Socket`.
    pub fn inherit(&self) -> oneshot::Receiver<websocket::Socket> {
        self.socket.inherit()
    }
}

/// We ask for no acknowledgements, so none is heard.
fn heard(packet: Packet, attachments: Vec<Bytes>) -> Option<Heard> {
    let Packet { kind, namespace, ack, data, .. } = packet;
    match (kind, data) {
        (Kind::Connect, data) => Some(Heard::Connect { namespace, auth: data.unwrap_or_else(|| json!({})) }),
        (Kind::Disconnect, _) => Some(Heard::Disconnect { namespace }),
        (Kind::Event | Kind::BinaryEvent, Some(Value::Array(arguments))) => {
            Some(Heard::Event { namespace, ack, arguments, attachments })
        }
        _ => None,
    }
}
