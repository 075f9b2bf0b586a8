//! `/api/v1/ws`: a WebSocket's client listens.

use std::sync::Arc;

use serde::Deserialize;

use super::Seat;
use super::fanout::{Dialect, Protocol, Sink};
use super::join::join;
use super::listen::listen;
use super::websocket::{Socket, text};
use crate::account::Identity;
use crate::app::App;

/// The answer to `{"event":"ping"}`. Browsers do not show pages the WebSocket protocol's own pings.
const PONG: &str = r#"{"event":"pong"}"#;

#[derive(Deserialize)]
struct ClientEvent<'a> {
    event: &'a str,
}

/// Serves one socket. Clients listen, and may ask for a sign of life; everything else that they send is ignored.
pub async fn serve(app: Arc<App>, caller: Identity, socket: Socket, seat: Seat) {
    let sink = Sink::Socket(socket.stream().clone());
    let dialect = Dialect { protocol: Protocol::Plain, packed: socket.is_packed() };
    if let Some(ticket) = join(&app, Some(caller), sink, dialect, seat).await {
        tokio::spawn(listen(socket, ticket, |ticket, message| {
            if serde_json::from_str::<ClientEvent>(message).is_ok_and(|it| it.event == "ping") {
                ticket.say(text(PONG));
            }
            true
        }));
    }
}
