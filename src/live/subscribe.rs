//! Subscribes clients: WebSockets of `/api/v1/ws`, readers of server-sent events, and, from `socketio`, Socket.IO clients. Also the
//! reading side of a WebSocket, whose writing side is a fan-out worker.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures::stream;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::ConnectionPermit;
use super::boards::{BoardAction, BoardRequest, BoardWatch, Reply, handle_request};
use super::fanout::{CloseReason, Encoding, NewSubscriber, Protocol, Sink, SubscriberHandle};
use super::websocket::{ReadOutcome, WebSocket, text};
use crate::account::Identity;
use crate::live::Live;

/// Most frames of one client message.
pub const MAX_FRAMES: usize = 64;
/// Most messages per second of one client.
pub const MAX_MESSAGES_PER_SECOND: u32 = 100;

/// The answer to `{"event":"ping"}`. Browsers do not show pages the pings of the WebSocket protocol.
const PONG: &str = r#"{"event":"pong"}"#;

#[derive(Deserialize)]
struct ClientEvent<'a> {
    event: &'a str,
}

#[derive(Deserialize)]
struct ClientData {
    #[serde(default)]
    data: Value,
}

/// What a message of a client leads to.
pub enum Reaction {
    /// Nothing, or it was answered.
    Stay,
    /// The client leaves.
    Leave,
    /// A request to be handled.
    Request(BoardRequest),
}

/// Subscribes a WebSocket. Its client may send pings, and subscribe to boards; everything else that it sends is ignored.
pub async fn serve_websocket(live: Arc<Live>, caller: Identity, socket: WebSocket, permit: ConnectionPermit) {
    let sink = Sink::Socket(socket.stream().clone());
    let encoding = Encoding { protocol: Protocol::WebSocket, compressed: socket.is_compressed() };
    if let Some(handle) = subscribe(&live, Some(caller), sink, encoding, permit).await {
        tokio::spawn(read(live, socket, handle, on_message));
    }
}

fn on_message(handle: &SubscriberHandle, message: &str) -> Reaction {
    let action = match serde_json::from_str::<ClientEvent>(message).map(|it| it.event) {
        Ok("ping") => {
            handle.send(text(PONG));
            return Reaction::Stay;
        }
        Ok("subscribe") => BoardAction::Subscribe,
        Ok("unsubscribe") => BoardAction::Unsubscribe,
        _ => return Reaction::Stay,
    };
    // Data that cannot be read names no boards, which the answer says.
    let data = serde_json::from_str::<ClientData>(message).map(|it| it.data).unwrap_or_default();
    Reaction::Request(BoardRequest { action, data, reply: Reply::Event })
}

/// Returns the body of a stream of server-sent events (WHATWG HTML, section 9.2), for a user or a client without a login; `None` if the
/// node is stopping. Dropping the body unsubscribes.
pub async fn serve_events(
    live: &Live,
    caller: Option<Identity>,
    boards: Vec<BoardWatch>,
    compressed: bool,
    permit: ConnectionPermit,
) -> Option<Body> {
    // One event waits here; the connection itself buffers a few more.
    let (sink, chunks) = mpsc::channel(1);
    let encoding = Encoding { protocol: Protocol::ServerSentEvents, compressed };
    let mut handle = subscribe(live, caller, Sink::Body(sink), encoding, permit).await?;
    boards.into_iter().for_each(|watch| handle.watch(watch));
    Some(Body::from_stream(stream::unfold((chunks, handle), async |(mut chunks, handle)| {
        let chunk = chunks.recv().await?;
        Some((Ok::<_, Infallible>(chunk), (chunks, handle)))
    })))
}

/// Adds a subscriber of any protocol, until its login expires. `None` if the node is stopping.
///
/// A reconnecting client may have seen a newer version on another node. Its first board is therefore at least as new as the last one
/// published before it connected.
pub async fn subscribe(
    live: &Live,
    caller: Option<Identity>,
    sink: Sink,
    encoding: Encoding,
    permit: ConnectionPermit,
) -> Option<SubscriberHandle> {
    // While Redis does not answer, or its board is not open, this node's board is the newest there is.
    let current = live.health.is_current();
    let min_version = if current { live.store.published().await.unwrap_or(0) } else { 0 };
    let left_ms = caller.as_ref().map(|it| it.expires_at_s * 1000 - live.clock.now_ms());
    let login_expires = left_ms.map(|ms| Instant::now() + Duration::from_millis(ms.max(0) as u64));
    live.fanout.subscribe(NewSubscriber { sink, encoding, caller, login_expires, permit, min_version }).await
}

/// Reads from a WebSocket until the client or the worker closes the connection. `on_message` gets each text message.
pub async fn read(
    live: Arc<Live>,
    mut socket: WebSocket,
    mut handle: SubscriberHandle,
    on_message: fn(&SubscriberHandle, &str) -> Reaction,
) {
    let mut replies = Vec::new();
    let mut rate = MessageRate::new(MAX_MESSAGES_PER_SECOND);
    loop {
        let outcome = socket.next(&mut replies).await;
        if !replies.is_empty() {
            handle.send(std::mem::take(&mut replies));
        }
        let message = match outcome {
            ReadOutcome::Message(message) => message,
            ReadOutcome::Disconnected => return,
            ReadOutcome::ProtocolError(code) => break handle.close(CloseReason::ProtocolError(code)),
        };
        if !rate.count() {
            break handle.close(CloseReason::TooManyMessages);
        }
        handle.mark_alive();
        let reaction = match message {
            Message::Close(_) => return,
            Message::Text(message) => on_message(&handle, &message),
            _ => Reaction::Stay,
        };
        match reaction {
            Reaction::Stay => {}
            Reaction::Leave => return,
            Reaction::Request(request) => {
                let send = |handle: &SubscriberHandle, answer| handle.send(text(answer));
                // Boxed: the task of a client that asks for nothing stays small.
                Box::pin(handle_request(&live, &mut handle, &request, send)).await;
            }
        }
    }
    // Unread bytes would reset the connection before the client has read the close frame.
    socket.discard().await;
}

/// Limits how many messages a client may send per second.
pub struct MessageRate {
    max_per_second: u32,
    second_began: Instant,
    count: u32,
}

impl MessageRate {
    /// A limit of messages per second; 0 is no limit.
    pub fn new(max_per_second: u32) -> Self {
        Self { max_per_second, second_began: Instant::now(), count: 0 }
    }

    /// Counts one message; `false` if it is beyond the limit.
    pub fn count(&mut self) -> bool {
        if self.second_began.elapsed() >= Duration::from_secs(1) {
            (self.second_began, self.count) = (Instant::now(), 0);
        }
        self.count += 1;
        self.max_per_second == 0 || self.count <= self.max_per_second
    }
}
