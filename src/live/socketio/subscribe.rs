//! How a Socket.IO client subscribes: it connects to the main namespace with its login, then polls until a WebSocket carries the session.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::{ClientPacket, Connection, Kind, Packet};
use crate::account::{self, Identity};
use crate::error::{Error, Refusal, Result};
use crate::live::Live;
use crate::live::boards::{BoardRequest, handle_request};
use crate::live::engineio::{self, Engine, Message, Settings, Wire};
use crate::live::fanout::{Encoding, Protocol, Sink, SubscriberHandle};
use crate::live::subscribe::{MAX_FRAMES, MAX_MESSAGES_PER_SECOND, Reaction, read, subscribe};
use crate::live::{ConnectionPermit, LimitError, websocket};

/// Most logins, and other namespaces, that one connection may try.
const MAX_TRIES: usize = 20;
/// Clients send nothing but their login.
const MAX_PAYLOAD_BYTES: usize = 16 * 1024;
/// Socket.IO's default.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The engine behind `/socket.io/`.
pub fn scoreboard_engine(live: &Arc<Live>) -> Arc<Engine> {
    let config = &live.config.live;
    let settings = Settings {
        ping_interval: Duration::from_secs(config.ping_seconds),
        ping_timeout: PING_TIMEOUT,
        max_payload: MAX_PAYLOAD_BYTES,
        max_frames: MAX_FRAMES,
        max_messages_per_second: MAX_MESSAGES_PER_SECOND,
        compression: config.compression,
        write_timeout: Duration::from_millis(config.write_timeout_ms),
        sid_prefix: if config.node_name.is_empty() {
            String::new()
        } else {
            format!("{}.", config.node_name)
        },
    };
    let live = Arc::downgrade(live);
    Engine::new(settings, move |socket| {
        let live = live.upgrade();
        async move {
            if let Some(live) = live {
                serve(live, Connection::new(socket)).await;
            }
        }
    })
}

async fn serve(live: Arc<Live>, mut connection: Connection) {
    // Boxed, so that the login's large future is freed before the session goes on.
    let logged_in = tokio::select! {
        logged_in = Box::pin(log_in(&live, &mut connection)) => logged_in,
        // The client reconnects to another node.
        () = live.draining.cancelled() => return,
    };
    let Some((caller, permit)) = logged_in else { return };
    let sink = Sink::Session(connection.session().clone());
    let encoding = Encoding { protocol: Protocol::SocketIoPolling, compressed: false };
    if let Some(handle) = subscribe(&live, Some(caller), sink, encoding, permit).await {
        poll(live, connection, handle).await;
    }
}

/// Serves a polling client until a WebSocket carries its session; then the worker writes to the WebSocket.
async fn poll(live: Arc<Live>, mut connection: Connection, mut handle: SubscriberHandle) {
    let mut websocket = connection.take_websocket();
    loop {
        tokio::select! {
            Ok(socket) = &mut websocket => {
                let encoding = Encoding { protocol: Protocol::SocketIo, compressed: socket.is_compressed() };
                handle.move_to(Sink::Socket(socket.stream().clone()), encoding);
                // Packets that the client sent before.
                while let Some(packet) = connection.next().now_or_never() {
                    let refuse = |namespace: &str| handle.send(websocket::text(refusal(namespace)));
                    match handle_packet(packet, refuse) {
                        Reaction::Stay => {}
                        Reaction::Leave => return handle.send(websocket::close(None)),
                        Reaction::Request(request) => {
                            let send = |handle: &SubscriberHandle, answer| handle.send(websocket::text(answer));
                            Box::pin(handle_request(&live, &mut handle, &request, send)).await;
                        }
                    }
                }
                tokio::spawn(read(live, socket, handle, on_message));
                return;
            }
            packet = connection.next() => {
                match handle_packet(packet, |namespace| connection.refuse(namespace, invalid_namespace())) {
                    Reaction::Stay => {}
                    Reaction::Leave => return,
                    Reaction::Request(request) => {
                        let send = |_: &SubscriberHandle, answer| connection.session().send(Wire::text(answer));
                        Box::pin(handle_request(&live, &mut handle, &request, send)).await;
                    }
                }
            }
        }
    }
}

/// Handles a packet of a subscriber. Other namespaces are refused, events other than requests for boards are ignored.
fn handle_packet(packet: Option<ClientPacket>, refuse: impl FnOnce(&str)) -> Reaction {
    match packet {
        Some(ClientPacket::Connect { namespace, .. }) if namespace != "/" => {
            refuse(&namespace);
            Reaction::Stay
        }
        Some(ClientPacket::Event { namespace, ack, arguments, .. }) => on_event(&namespace, ack, arguments),
        _ => Reaction::Leave,
    }
}

fn on_event(namespace: &str, ack: Option<u64>, arguments: Vec<Value>) -> Reaction {
    let request = if namespace == "/" { BoardRequest::of_socketio(ack, arguments) } else { None };
    request.map_or(Reaction::Stay, Reaction::Request)
}

/// Handles a text message of a subscriber over its WebSocket.
fn on_message(handle: &SubscriberHandle, text: &str) -> Reaction {
    let reaction = match engineio::Packet::read(text) {
        Some(engineio::Packet::Pong) => Reaction::Stay,
        Some(engineio::Packet::Message(Message::Text(text))) => match Packet::read(&text) {
            Some(Packet { kind: Kind::Connect, namespace, .. }) if namespace != "/" => {
                handle.send(websocket::text(refusal(&namespace)));
                Reaction::Stay
            }
            Some(Packet {
                kind: Kind::Event, namespace, ack, data: Some(Value::Array(arguments)), ..
            }) => on_event(&namespace, ack, arguments),
            Some(Packet { kind: Kind::Event | Kind::BinaryEvent | Kind::Ack | Kind::BinaryAck, .. }) => {
                Reaction::Stay
            }
            _ => Reaction::Leave,
        },
        _ => Reaction::Leave,
    };
    if matches!(reaction, Reaction::Leave) {
        // Without a code: a client that did not mean to leave treats it as a lost transport, and reconnects.
        handle.send(websocket::close(None));
    }
    reaction
}

/// The packet that refuses a namespace.
fn refusal(namespace: &str) -> String {
    Packet::new(Kind::ConnectError, namespace, Some(invalid_namespace())).write()
}

fn invalid_namespace() -> Value {
    json!({ "message": "Invalid namespace" })
}

/// Waits for a valid login. After an invalid one the client may try again until the login timeout, so that a session without a login does
/// not hold its permit for long. Time in the handshake queue does not count.
async fn log_in(live: &Live, connection: &mut Connection) -> Option<(Identity, ConnectionPermit)> {
    let deadline = Instant::now() + Duration::from_millis(live.config.live.login_timeout_ms);
    for _ in 0..MAX_TRIES {
        let packet = tokio::time::timeout_at(deadline, connection.next()).await;
        let ClientPacket::Connect { namespace, auth } = packet.ok()?? else { return None };
        if namespace != "/" {
            connection.refuse(&namespace, invalid_namespace());
            continue;
        }
        // If the queue or the node is full, the transport is closed, so that the client reconnects later.
        let Some(_handshake) = live.handshakes.acquire().await else {
            live.metrics.socket_refused("busy");
            return None;
        };
        match verify(live, &auth, connection.address()).await {
            Ok(caller) => {
                let count = |error: &LimitError| live.metrics.socket_refused(error.label());
                let permit = connection.take_permit()?.log_in(caller.user).inspect_err(count).ok()?;
                connection.accept("/", &Uuid::new_v4().simple().to_string());
                return Some((caller, permit));
            }
            // The login may be valid: the client reconnects later.
            Err(Error::Fault(fault)) => {
                tracing::warn!(%fault, "socket.io login check failed, connection closed");
                return None;
            }
            Err(Error::Refused(refusal)) => {
                let data = json!({ "code": refusal.code().as_str() });
                connection.refuse("/", json!({ "message": "Authentication failed", "data": data }));
            }
        }
    }
    None
}

/// Checks `{token}`, with or without `Bearer `.
async fn verify(live: &Live, auth: &Value, from: IpAddr) -> Result<Identity> {
    let token = auth["token"].as_str().unwrap_or_default();
    let bare = token.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = bare.map_or(token, |(_, token)| token).trim();
    if token.is_empty() {
        return Err(Refusal::InvalidAccessToken.into());
    }
    account::admit_listener(&live.accounts, token, from).await
}
