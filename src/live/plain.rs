//! `/api/v1/ws`: a WebSocket's client listens.

use std::sync::Arc;

use super::Seat;
use super::fanout::{Dialect, Newcomer, Protocol, Sink};
use super::listen::listen;
use super::websocket::Socket;
use crate::account::Identity;
use crate::app::App;

/// Serves one socket. Clients only listen, so nothing that they say is heeded.
pub async fn serve(app: Arc<App>, caller: Identity, socket: Socket, seat: Seat) {
    let sink = Sink::Socket(socket.stream().clone());
    let dialect = Dialect { protocol: Protocol::Plain, packed: socket.is_packed() };
    let newcomer = Newcomer::player(&app, caller, sink, dialect, seat);
    if let Some(ticket) = app.fanout.join(newcomer).await {
        tokio::spawn(listen(socket, ticket, |_, _| true));
    }
}
