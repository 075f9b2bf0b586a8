//! The WebSocket transport: from the start, or taken over from polling by a probe.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message as Frame, WebSocket, WebSocketUpgrade};
use axum::response::Response;

use super::packet::{Message, Packet, Wire};
use super::session::Transport;
use super::{Engine, Session, Wrong};

/// How long an upgrade may take.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
/// The library's default of 128 KiB is allocated and zeroed for every socket.
const READ_BUFFER_BYTES: usize = 1024;

/// Opens a session over a WebSocket, or moves one there.
pub fn open(
    engine: Arc<Engine>,
    upgrade: WebSocketUpgrade,
    session: Option<Arc<Session>>,
    about: IpAddr,
) -> Result<Response, Wrong> {
    let max_payload = engine.settings.max_payload;
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(64 * 1024 + 2 * max_payload)
        .max_message_size(max_payload)
        .max_frame_size(max_payload);
    match session {
        None => Ok(upgrade.on_upgrade(move |mut socket| async move {
            let (session, end) = engine.session(true, about);
            session.send(Wire::text(engine.greeting(&session, &[])));
            let write_timeout = engine.settings.write_timeout;
            tokio::join!(engine.live(session.clone(), end), pump(&session, &mut socket, write_timeout));
        })),
        Some(session) if session.change(Transport::Polling, Transport::Probing) => {
            let write_timeout = engine.settings.write_timeout;
            Ok(upgrade.on_upgrade(move |mut socket| async move {
                let probed = tokio::time::timeout(UPGRADE_TIMEOUT, probe(&session, &mut socket)).await;
                if probed == Ok(true) {
                    pump(&session, &mut socket, write_timeout).await;
                } else {
                    session.change(Transport::Probing, Transport::Polling);
                }
            }))
        }
        Some(_) => Err(Wrong::Request),
    }
}

/// `2probe` is answered by `3probe`, the pending poll by a noop; then `5` moves the session.
async fn probe(session: &Session, socket: &mut WebSocket) -> bool {
    while let Some(Ok(frame)) = socket.recv().await {
        let Frame::Text(text) = frame else { continue };
        match Packet::read(&text) {
            Some(Packet::Ping(data)) if data == "probe" => {
                if socket.send(Frame::text("3probe")).await.is_err() {
                    return false;
                }
            }
            Some(Packet::Upgrade) => return session.change(Transport::Probing, Transport::WebSocket),
            _ => return false,
        }
    }
    false
}

/// Carries packets both ways until one side ends.
async fn pump(session: &Session, socket: &mut WebSocket, write_timeout: Duration) {
    loop {
        tokio::select! {
            frame = socket.recv() => {
                let packet = match frame {
                    Some(Ok(Frame::Text(text))) => Packet::read(&text),
                    Some(Ok(Frame::Binary(bytes))) => Some(Packet::Message(Message::Binary(bytes))),
                    Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => continue,
                    Some(Ok(Frame::Close(_)) | Err(_)) | None => break,
                };
                if !session.receive(packet).await {
                    break;
                }
            }
            wires = session.take() => {
                let Some(wires) = wires else { break };
                if !matches!(tokio::time::timeout(write_timeout, write(socket, wires)).await, Ok(Ok(()))) {
                    break;
                }
                session.sent();
            }
        }
    }
    session.close();
    // Without a packet of its own: the client takes it for a transport that went, and comes back.
    let _ = tokio::time::timeout(Duration::from_secs(1), socket.send(Frame::Close(None))).await;
}

async fn write(socket: &mut WebSocket, wires: Vec<Wire>) -> Result<(), axum::Error> {
    for wire in wires {
        let frame = match wire {
            Wire::Text(packet) => Frame::Text(packet),
            Wire::Binary(bytes) => Frame::Binary(bytes),
        };
        socket.send(frame).await?;
    }
    Ok(())
}
