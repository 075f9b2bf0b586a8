//! HTTP long polling: GET takes what waits, POST brings what the client says.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::packet::{Packet, SEPARATOR, Wire};
use super::{Engine, Guest, Session, Settings, Wrong};

/// Opens a session.
pub fn open(engine: &Arc<Engine>, guest: Guest) -> Response {
    let (session, socket) = engine.session(false, guest);
    let greeting = engine.greeting(&session, &["websocket"]);
    tokio::spawn(engine.clone().live(session, socket));
    text(greeting)
}

/// Waits for what goes out.
pub async fn poll(session: &Session) -> Result<Response, Wrong> {
    let wires = session.poll().await.ok_or(Wrong::Request)?;
    Ok(text(join(&wires)))
}

/// Takes what comes in: packets, joined.
pub async fn post(session: &Session, settings: &Settings, body: &[u8]) -> Result<Response, Wrong> {
    let body = std::str::from_utf8(body).ok().filter(|it| it.len() <= settings.max_payload);
    let Some(body) = body else {
        session.close();
        return Err(Wrong::Request);
    };
    for packet in body.split(SEPARATOR) {
        if !session.has_time_for_more() || !session.receive(Packet::read(packet)).await {
            session.close();
            return Err(Wrong::Request);
        }
    }
    Ok(text("ok".to_owned()))
}

fn join(wires: &[Wire]) -> String {
    let mut body = String::new();
    for (place, wire) in wires.iter().enumerate() {
        if place > 0 {
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
