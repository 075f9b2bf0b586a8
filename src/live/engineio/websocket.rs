//! The WebSocket transport: from the start, or taken over from polling by a probe.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::packet::{Message, Packet, Wire};
use super::transport::{Task, Transport};
use super::{Engine, Guest, Session};
use crate::live::websocket::{self, Heard, Limits, Socket, Upgrade};

/// How long an upgrade may take.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens a session over a WebSocket, or moves one there.
pub fn open(engine: &Arc<Engine>, upgrade: Upgrade, session: Option<Arc<Session>>, guest: Guest) -> Response {
    let limits = Limits {
        max_message_bytes: engine.settings.max_payload,
        max_frames: engine.settings.max_frames,
        packed: engine.settings.packed,
    };
    let write_timeout = engine.settings.write_timeout;
    match session {
        None => {
            let engine = engine.clone();
            upgrade.accept(limits, async move |socket| {
                let (session, end) = engine.session(true, guest);
                session.send(Wire::text(engine.greeting(&session, &[])));
                tokio::spawn(engine.live(session.clone(), end));
                pump(&session, socket, write_timeout).await;
            })
        }
        Some(session) if session.change(Transport::Polling, Transport::Probing) => {
            let trial = Trial(session);
            upgrade.accept(limits, async move |mut socket| {
                let session = &trial.0;
                if tokio::time::timeout(UPGRADE_TIMEOUT, probe(session, &mut socket)).await == Ok(true) {
                    pump(session, socket, write_timeout).await;
                }
            })
        }
        // As the official server does it; the session's own WebSocket goes on.
        Some(_) => upgrade.accept(limits, async move |socket| {
            say_last(&socket, &websocket::close(None)).await;
        }),
    }
}

/// A WebSocket that is tried; if nothing comes of it, also if its handshake never ends, polling goes on.
struct Trial(Arc<Session>);

impl Drop for Trial {
    fn drop(&mut self) {
        self.0.change(Transport::Probing, Transport::Polling);
    }
}

/// `2probe` is answered by `3probe`, the pending poll by a noop; then `5` moves the session.
async fn probe(session: &Session, socket: &mut Socket) -> bool {
    loop {
        let mut replies = Vec::new();
        let heard = socket.next(&mut replies).await;
        if !session.has_time_for_more() || socket.write(&replies).await.is_err() {
            return false;
        }
        let text = match heard {
            Heard::Message(Frame::Text(text)) => text,
            Heard::Message(_) => continue,
            Heard::Gone | Heard::Broken(_) => return false,
        };
        match Packet::read(&text) {
            Some(Packet::Ping(data)) if data == "probe" => {
                if socket.write(&websocket::text("3probe")).await.is_err() {
                    return false;
                }
            }
            Some(Packet::Upgrade) => return session.change(Transport::Probing, Transport::WebSocket),
            _ => return false,
        }
    }
}

/// Carries packets both ways until one side ends, or somebody else takes the socket.
async fn pump(session: &Session, mut socket: Socket, write_timeout: Duration) {
    let mut replies = Vec::new();
    loop {
        let sent = tokio::select! {
            heard = socket.next(&mut replies) => {
                if !session.has_time_for_more() || !hear(session, heard).await {
                    break;
                }
                tokio::time::timeout(write_timeout, socket.write(&replies)).await
            }
            task = session.task() => match task {
                Task::Write(wires) => {
                    let written = tokio::time::timeout(write_timeout, write(&socket, wires)).await;
                    session.sent();
                    written
                }
                Task::Leave(heir) => {
                    let _ = heir.send(socket);
                    return;
                }
                Task::Close => break,
            },
        };
        replies.clear();
        if !matches!(sent, Ok(Ok(()))) {
            break;
        }
    }
    session.close();
    // Without a packet of its own: the client takes it for a transport that went, and comes back.
    if replies.is_empty() {
        replies.extend_from_slice(&websocket::close(None));
    }
    say_last(&socket, &replies).await;
}

/// Writes the last frames of a connection, if the client takes them.
async fn say_last(socket: &Socket, frames: &[u8]) {
    let _ = tokio::time::timeout(Duration::from_secs(1), socket.write(frames)).await;
}

/// Whether the session goes on.
async fn hear(session: &Session, heard: Heard) -> bool {
    let packet = match heard {
        Heard::Message(Frame::Text(text)) => Packet::read(&text),
        Heard::Message(Frame::Binary(bytes)) => Some(Packet::Message(Message::Binary(bytes))),
        Heard::Message(Frame::Close(_)) | Heard::Gone | Heard::Broken(_) => return false,
        Heard::Message(_) => return true,
    };
    session.receive(packet).await
}

async fn write(socket: &Socket, wires: Vec<Wire>) -> io::Result<()> {
    for wire in wires {
        let frame = match wire {
            Wire::Text(packet) => websocket::text(packet),
            Wire::Binary(bytes) => websocket::binary(bytes),
        };
        socket.write(&frame).await?;
    }
    Ok(())
}
