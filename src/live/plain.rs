//! `/api/v1/ws`: a WebSocket's client listens.

use std::sync::Arc;

use super::Seat;
use super::fanout::{Dialect, Protocol, Sink};
use super::join::join;
use super::listen::listen;
use super::websocket::Socket;
use crate::account::Identity;
use crate::app::App;

/// Serves one socket. Clients only listen, so nothing that they say is heeded.
pub async fn serve(app: Arc<App>, caller: Identity, socket: Socket, seat: Seat) {
    let sink = Sink::Socket(socket.stream().clone());
    let dialect = Dialect { protocol: Protocol::Plain, packed: socket.is_packed() };
    if let Some(ticket) = join(&app, Some(caller), sink, dialect, seat).await {
        tokio::spawn(listen(socket, ticket, |_, _| true));
    }
}
