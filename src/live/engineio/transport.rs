//! The transports: HTTP long polling, and WebSocket, from the start or after an upgrade from polling.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio_tungstenite::tungstenite::Message as WebSocketMessage;

use super::packet::{Message, Packet, SEPARATOR, Wire};
use super::session::{Session, Task, Transport};
use super::{Engine, Peer, RequestError, Settings};
use crate::live::websocket::{self, MessageLimits, ReadOutcome, Upgrade, WebSocket};

/// How long an upgrade from polling may take.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to accept the last frames.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Opens a session over polling.
pub fn open_polling(engine: &Arc<Engine>, peer: Peer) -> Response {
    let (session, socket) = engine.new_session(false, peer);
    let packet = engine.open_packet(&session, &["websocket"]);
    tokio::spawn(engine.clone().run(session, socket));
    text(packet)
}

/// Answers a GET: waits for outgoing packets.
pub async fn poll(session: &Session) -> Result<Response, RequestError> {
    let wires = session.poll().await.ok_or(RequestError::BadRequest)?;
    Ok(text(join(&wires)))
}

/// Answers a POST: takes the packets in its body.
pub async fn post(session: &Session, settings: &Settings, body: &[u8]) -> Result<Response, RequestError> {
    let body = std::str::from_utf8(body).ok().filter(|it| it.len() <= settings.max_payload);
    let Some(body) = body else {
        session.close();
        return Err(RequestError::BadRequest);
    };
    for packet in body.split(SEPARATOR) {
        if !session.count_message() || !session.receive(Packet::read(packet)).await {
            session.close();
            return Err(RequestError::BadRequest);
        }
    }
    Ok(text("ok".to_owned()))
}

fn join(wires: &[Wire]) -> String {
    let mut body = String::new();
    for (index, wire) in wires.iter().enumerate() {
        if index > 0 {
            body.push(SEPARATOR);
        }
        wire.push_to(&mut body);
    }
    body
}

fn text(body: String) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=UTF-8"), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::OK, headers, body).into_response()
}

/// Opens a session over a WebSocket, or upgrades one to it.
pub fn open_websocket(
    engine: &Arc<Engine>,
    upgrade: Upgrade,
    session: Option<Arc<Session>>,
    peer: Peer,
) -> Response {
    let limits = MessageLimits {
        max_message_bytes: engine.settings.max_payload,
        max_frames: engine.settings.max_frames,
        compression: engine.settings.compression,
    };
    let write_timeout = engine.settings.write_timeout;
    match session {
        None => {
            let engine = engine.clone();
            upgrade.accept(limits, async move |socket| {
                let (session, end) = engine.new_session(true, peer);
                session.send(Wire::text(engine.open_packet(&session, &[])));
                tokio::spawn(engine.run(session.clone(), end));
                pump(&session, socket, write_timeout).await;
            })
        }
        Some(session) if session.change_transport(Transport::Polling, Transport::Probing) => {
            let guard = ProbeGuard(session);
            upgrade.accept(limits, async move |mut socket| {
                let session = &guard.0;
                if tokio::time::timeout(UPGRADE_TIMEOUT, probe(session, &mut socket)).await == Ok(true) {
                    pump(session, socket, write_timeout).await;
                }
            })
        }
        // The session has a WebSocket already, which stays: the official server does the same.
        Some(_) => upgrade.accept(limits, async move |socket| {
            write_last(&socket, &websocket::close(None)).await;
        }),
    }
}

/// Returns the session to polling if the probe fails, also if its handshake never finishes.
struct ProbeGuard(Arc<Session>);

impl Drop for ProbeGuard {
    fn drop(&mut self) {
        self.0.change_transport(Transport::Probing, Transport::Polling);
    }
}

/// Answers `2probe` with `3probe` (and the pending poll with a noop) until `5` upgrades the session.
async fn probe(session: &Session, socket: &mut WebSocket) -> bool {
    loop {
        let mut replies = Vec::new();
        let outcome = socket.next(&mut replies).await;
        if !session.count_message() || socket.write(&replies).await.is_err() {
            return false;
        }
        let text = match outcome {
            ReadOutcome::Message(WebSocketMessage::Text(text)) => text,
            ReadOutcome::Message(_) => continue,
            ReadOutcome::Disconnected | ReadOutcome::ProtocolError(_) => return false,
        };
        match Packet::read(&text) {
            Some(Packet::Ping(data)) if data == "probe" => {
                if socket.write(&websocket::text("3probe")).await.is_err() {
                    return false;
                }
            }
            Some(Packet::Upgrade) => {
                return session.change_transport(Transport::Probing, Transport::WebSocket);
            }
            _ => return false,
        }
    }
}

/// Moves packets both ways until the session ends or the WebSocket is handed over.
async fn pump(session: &Session, mut socket: WebSocket, write_timeout: Duration) {
    let mut replies = Vec::new();
    loop {
        let written = tokio::select! {
            outcome = socket.next(&mut replies) => {
                if !session.count_message() || !receive(session, outcome).await {
                    break;
                }
                tokio::time::timeout(write_timeout, socket.write(&replies)).await
            }
            task = session.next_task() => match task {
                Task::Write(wires) => {
                    let written = tokio::time::timeout(write_timeout, write(&socket, wires)).await;
                    session.written();
                    written
                }
                Task::HandOver(successor) => {
                    let _ = successor.send(socket);
                    return;
                }
                Task::Close => break,
            },
        };
        replies.clear();
        if !matches!(written, Ok(Ok(()))) {
            break;
        }
    }
    session.close();
    // No close packet: the client then treats it as a lost transport, and reconnects.
    if replies.is_empty() {
        replies.extend_from_slice(&websocket::close(None));
    }
    write_last(&socket, &replies).await;
}

/// Writes the last frames of a connection, if the client takes them.
async fn write_last(socket: &WebSocket, frames: &[u8]) {
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, socket.write(frames)).await;
}

/// Passes a message on; returns whether the session continues.
async fn receive(session: &Session, outcome: ReadOutcome) -> bool {
    let packet = match outcome {
        ReadOutcome::Message(WebSocketMessage::Text(text)) => Packet::read(&text),
        ReadOutcome::Message(WebSocketMessage::Binary(bytes)) => {
            Some(Packet::Message(Message::Binary(bytes)))
        }
        ReadOutcome::Message(WebSocketMessage::Close(_))
        | ReadOutcome::Disconnected
        | ReadOutcome::ProtocolError(_) => return false,
        ReadOutcome::Message(_) => return true,
    };
    session.receive(packet).await
}

async fn write(socket: &WebSocket, wires: Vec<Wire>) -> io::Result<()> {
    for wire in wires {
        let frame = match wire {
            Wire::Text(packet) => websocket::text(packet),
            Wire::Binary(bytes) => websocket::binary(bytes),
        };
        socket.write(&frame).await?;
    }
    Ok(())
}
