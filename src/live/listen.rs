//! The reading side of a WebSocket whose writing side is a shard's. Clients only listen; what they say shows that they live.

use std::time::Duration;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::fanout::{End, Ticket};
use super::websocket::{Heard, Socket};

/// Messages a second that a listener may say. Each costs the shard a little, so whoever floods it is closed.
const MAX_MESSAGES: u32 = 100;

/// Reads until the client is gone, or the shard has closed the connection. `heed` may answer over the ticket, and tells
/// whether the client stays.
pub async fn listen(mut socket: Socket, ticket: Ticket, heed: fn(&Ticket, &str) -> bool) {
    let mut replies = Vec::new();
    let (mut second, mut messages) = (Instant::now(), 0);
    loop {
        let heard = socket.next(&mut replies).await;
        if !replies.is_empty() {
            ticket.say(std::mem::take(&mut replies));
        }
        let message = match heard {
            Heard::Message(message) => message,
            Heard::Gone => return,
            Heard::Broken(code) => break ticket.end(End::Broken(code)),
        };
        if second.elapsed() >= Duration::from_secs(1) {
            (second, messages) = (Instant::now(), 0);
        }
        messages += 1;
        if messages > MAX_MESSAGES {
            break ticket.end(End::TooMuch);
        }
        ticket.heard();
        match message {
            Message::Close(_) => return,
            Message::Text(text) if !heed(&ticket, &text) => return,
            _ => {}
        }
    }
    // What the client still says would reset the connection before it has read why.
    socket.discard().await;
}
