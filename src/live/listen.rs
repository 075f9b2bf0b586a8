//! The reading side of a WebSocket whose writing side is a shard's. Clients only listen; what they say shows that they live.

use tokio_tungstenite::tungstenite::Message;

use super::fanout::{End, Ticket};
use super::pace::Pace;
use super::websocket::{Heard, Socket};

/// Frames that a message of a listener may have.
pub const MAX_FRAMES: usize = 64;
/// Messages a second that a listener may say.
pub const MAX_MESSAGES: u32 = 100;

/// Reads until the client is gone, or the shard has closed the connection. `heed` may answer over the ticket, and tells
/// whether the client stays.
pub async fn listen(mut socket: Socket, ticket: Ticket, heed: fn(&Ticket, &str) -> bool) {
    let mut replies = Vec::new();
    let mut pace = Pace::new(MAX_MESSAGES);
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
        if !pace.allows_one_more() {
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
