//! How a client comes to listen over Socket.IO (scoreboard-system.md, "WebSocket Events"): its login, then long polling until a
//! WebSocket carries the session.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Connection, Heard, Kind, Packet};
use crate::account::{self, Identity};
use crate::app::App;
use crate::error::{Error, Refusal, Result};
use crate::live::engineio::{self, Engine, Message, Settings};
use crate::live::fanout::{Dialect, Protocol, Sink, Ticket};
use crate::live::join::join;
use crate::live::listen::{MAX_FRAMES, MAX_MESSAGES, listen};
use crate::live::{NoSeat, Seat, websocket};

/// Logins, and other namespaces, that one connection may try.
const MAX_TRIES: usize = 20;
/// Clients only listen.
const MAX_PAYLOAD_BYTES: usize = 16 * 1024;
/// Socket.IO's default.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The engine behind `/socket.io/`.
pub fn engine(app: &Arc<App>) -> Arc<Engine> {
    let live = &app.config.live;
    let settings = Settings {
        ping_interval: Duration::from_secs(live.ping_seconds),
        ping_timeout: PING_TIMEOUT,
        max_payload: MAX_PAYLOAD_BYTES,
        max_frames: MAX_FRAMES,
        max_messages: MAX_MESSAGES,
        packed: live.compression,
        write_timeout: Duration::from_millis(live.write_timeout_ms),
        sid_prefix: if live.node_name.is_empty() { String::new() } else { format!("{}.", live.node_name) },
    };
    let app = Arc::downgrade(app);
    Engine::new(settings, move |socket| {
        let app = app.upgrade();
        async move {
            if let Some(app) = app {
                serve(app, Connection::new(socket)).await;
            }
        }
    })
}

async fn serve(app: Arc<App>, mut connection: Connection) {
    // Boxed, so that what a login may need, a look into Postgres at the most, is not held as long as the session lives.
    let joined = tokio::select! {
        joined = Box::pin(admit(&app, &mut connection)) => joined,
        // Whoever has not joined by now does so at another node.
        () = app.draining.cancelled() => return,
    };
    let Some((caller, seat)) = joined else { return };
    let sink = Sink::Session(connection.session().clone());
    let dialect = Dialect { protocol: Protocol::Polling, packed: false };
    if let Some(ticket) = join(&app, Some(caller), sink, dialect, seat).await {
        poll(connection, ticket).await;
    }
}

/// A client that polls, until a WebSocket carries its session: then the shard writes there.
async fn poll(mut connection: Connection, ticket: Ticket) {
    let mut inherited = connection.inherit();
    loop {
        tokio::select! {
            Ok(socket) = &mut inherited => {
                let dialect = Dialect { protocol: Protocol::SocketIo, packed: socket.is_packed() };
                ticket.move_to(Sink::Socket(socket.stream().clone()), dialect);
                // What the client said before.
                while let Some(heard) = connection.next().now_or_never() {
                    if !stays(heard, |namespace| ticket.say(websocket::text(not_there(namespace)))) {
                        return ticket.say(websocket::close(None));
                    }
                }
                tokio::spawn(listen(socket, ticket, heed));
                return;
            }
            heard = connection.next() => {
                if !stays(heard, |namespace| connection.refuse(namespace, invalid_namespace())) {
                    return;
                }
            }
        }
    }
}

/// Whether a client that has joined stays after what it said; another namespace is refused. Clients only listen, so events
/// are not answered.
fn stays(heard: Option<Heard>, refuse: impl FnOnce(&str)) -> bool {
    match heard {
        Some(Heard::Connect { namespace, .. }) if namespace != "/" => refuse(&namespace),
        Some(Heard::Event { .. }) => {}
        _ => return false,
    }
    true
}

/// What a client says over its WebSocket: whether it stays.
fn heed(ticket: &Ticket, text: &str) -> bool {
    let stays = match engineio::Packet::read(text) {
        Some(engineio::Packet::Pong) => true,
        Some(engineio::Packet::Message(Message::Text(text))) => match Packet::read(&text) {
            Some(Packet { kind: Kind::Connect, namespace, .. }) if namespace != "/" => {
                ticket.say(websocket::text(not_there(&namespace)));
                true
            }
            Some(packet) => {
                matches!(packet.kind, Kind::Event | Kind::BinaryEvent | Kind::Ack | Kind::BinaryAck)
            }
            None => false,
        },
        _ => false,
    };
    if !stays {
        // Without a code: a client that did not want to leave takes it for a transport that went, and comes back.
        ticket.say(websocket::close(None));
    }
    stays
}

/// The packet that keeps a client out of a namespace.
fn not_there(namespace: &str) -> String {
    Packet::new(Kind::ConnectError, namespace, Some(invalid_namespace())).write()
}

fn invalid_namespace() -> Value {
    json!({ "message": "Invalid namespace" })
}

/// Waits for a client with a good login. A bad one is refused and may try another, until the time is over: a session without a login
/// must not keep its place for long. Waiting for a turn is not the client's fault, and has no such end.
async fn admit(app: &App, connection: &mut Connection) -> Option<(Identity, Seat)> {
    let deadline = Instant::now() + Duration::from_millis(app.config.live.login_timeout_ms);
    for _ in 0..MAX_TRIES {
        let said = tokio::time::timeout_at(deadline, connection.next()).await;
        let Heard::Connect { namespace, auth } = said.ok()?? else { return None };
        if namespace != "/" {
            connection.refuse(&namespace, invalid_namespace());
            continue;
        }
        // With no turn and no seat left the transport is closed, so that the client comes back later.
        let Some(_turn) = app.handshakes.turn().await else {
            app.metrics.socket_refused("busy");
            return None;
        };
        match login(app, &auth, connection.address()).await {
            Ok(caller) => {
                let refused = |why: &NoSeat| app.metrics.socket_refused(why.as_str());
                let seat = connection.take_place()?.log_in(caller.user).inspect_err(refused).ok()?;
                connection.accept("/", &Uuid::new_v4().simple().to_string());
                return Some((caller, seat));
            }
            // Nobody knows yet whether the login is good: as with no seat, the client comes back later.
            Err(Error::Fault(fault)) => {
                tracing::warn!(%fault, "a Socket.IO login could not be looked up");
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

/// `{token}`, with or without `Bearer `.
async fn login(app: &App, auth: &Value, from: IpAddr) -> Result<Identity> {
    let token = auth["token"].as_str().unwrap_or_default();
    let bare = token.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = bare.map_or(token, |(_, token)| token).trim();
    if token.is_empty() {
        return Err(Refusal::InvalidAccessToken.into());
    }
    account::admit_listener(app, token, from).await
}
