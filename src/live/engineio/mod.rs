//! Engine.IO 4 (github.com/socketio/engine.io-protocol): long polling and WebSocket, the upgrade between them, heartbeats.
//! It does not depend on what its messages mean: `socketio` and the conformance example are handlers over it.

mod packet;
pub(crate) mod session;
mod transport;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::PendingPermit;
use super::websocket::Upgrade;

pub use packet::{Message, Packet, Wire};
pub use session::{Session, Socket};

/// How long a session that has ended waits for the poll that takes its last packets.
const LAST_POLL_TIMEOUT: Duration = Duration::from_secs(5);

/// The settings of an engine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Time between two pings.
    pub ping_interval: Duration,
    /// Time for the pong.
    pub ping_timeout: Duration,
    /// Most bytes of a message and of a polling body.
    pub max_payload: usize,
    /// Most frames of a client's message over a WebSocket.
    pub max_frames: usize,
    /// Most packets of a client per second; 0 is no limit.
    pub max_messages_per_second: u32,
    /// Whether messages over a WebSocket may be compressed.
    pub compression: bool,
    /// A client that takes no bytes for this long is gone.
    pub write_timeout: Duration,
    /// Prefix of every session id, by which a load balancer finds the node.
    pub sid_prefix: String,
}

type Handler = Box<dyn Fn(Socket) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The client of a new session.
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Counts it among the sessions that have not logged in.
    pub permit: Option<PendingPermit>,
}

/// The sessions of one path, and their handler.
pub struct Engine {
    settings: Settings,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    handler: Handler,
}

/// The engine at a path, without connection limits: for the conformance example and tests.
pub fn routes<S: Clone + Send + Sync + 'static>(path: &str, engine: Arc<Engine>) -> Router<S> {
    Router::new().route(path, any(serve)).with_state(engine)
}

async fn serve(
    State(engine): State<Arc<Engine>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    method: Method,
    axum::extract::Query(query): axum::extract::Query<Query>,
    upgrade: Option<Upgrade>,
    body: Bytes,
) -> Response {
    let peer = Peer { address: from.ip(), permit: None };
    engine.serve(&method, &query, upgrade, body, peer).await
}

/// The query string of every request.
#[derive(Debug, Default, Deserialize)]
pub struct Query {
    #[serde(rename = "EIO")]
    version: Option<String>,
    transport: Option<String>,
    sid: Option<String>,
}

impl Query {
    /// Whether the request opens a session.
    pub fn is_new(&self) -> bool {
        self.sid.is_none()
    }
}

/// Why a request is refused, with the protocol's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestError {
    UnknownTransport = 0,
    UnknownSession = 1,
    BadHandshakeMethod = 2,
    BadRequest = 3,
    UnsupportedVersion = 5,
}

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        let message = match self {
            Self::UnknownTransport => "Transport unknown",
            Self::UnknownSession => "Session ID unknown",
            Self::BadHandshakeMethod => "Bad handshake method",
            Self::BadRequest => "Bad request",
            Self::UnsupportedVersion => "Unsupported protocol version",
        };
        (StatusCode::BAD_REQUEST, Json(json!({ "code": self as u8, "message": message }))).into_response()
    }
}

impl Engine {
    /// An engine that runs `handler` for each client.
    pub fn new<F>(settings: Settings, handler: impl Fn(Socket) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let handler: Handler = Box::new(move |socket| Box::pin(handler(socket)));
        Arc::new(Self { settings, sessions: Mutex::default(), handler })
    }

    /// Answers one request. A new session passes `peer` to the handler.
    pub async fn serve(
        self: &Arc<Self>,
        method: &Method,
        query: &Query,
        upgrade: Option<Upgrade>,
        body: Bytes,
        peer: Peer,
    ) -> Response {
        match self.route(method, query, upgrade, body, peer).await {
            Ok(response) => response,
            Err(error) => error.into_response(),
        }
    }

    async fn route(
        self: &Arc<Self>,
        method: &Method,
        query: &Query,
        upgrade: Option<Upgrade>,
        body: Bytes,
        peer: Peer,
    ) -> Result<Response, RequestError> {
        if query.version.as_deref() != Some("4") {
            return Err(RequestError::UnsupportedVersion);
        }
        let session = match &query.sid {
            Some(sid) => Some(self.sessions.lock().get(sid).cloned().ok_or(RequestError::UnknownSession)?),
            None => None,
        };
        match (query.transport.as_deref(), session, method) {
            (Some("polling"), None, &Method::GET) => Ok(transport::open_polling(self, peer)),
            (Some("polling"), Some(session), &Method::GET) => transport::poll(&session).await,
            (Some("polling"), Some(session), &Method::POST) => {
                transport::post(&session, &self.settings, &body).await
            }
            (Some("websocket"), session, &Method::GET) => {
                let upgrade = upgrade.ok_or(RequestError::BadRequest)?;
                Ok(transport::open_websocket(self, upgrade, session, peer))
            }
            (Some("polling" | "websocket"), None, _) => Err(RequestError::BadHandshakeMethod),
            (Some("polling" | "websocket"), Some(_), _) => Err(RequestError::BadRequest),
            _ => Err(RequestError::UnknownTransport),
        }
    }

    /// Creates a session, and the handler's end of it.
    fn new_session(self: &Arc<Self>, upgraded: bool, peer: Peer) -> (Arc<Session>, Socket) {
        let sid = format!("{}{}", self.settings.sid_prefix, Uuid::new_v4().simple());
        let (session, socket) = Session::new(sid, upgraded, &self.settings, peer);
        self.sessions.lock().insert(session.sid.clone(), session.clone());
        (session, socket)
    }

    /// Runs a session until the handler ends, the client is gone or the session is closed; then removes it.
    async fn run(self: Arc<Self>, session: Arc<Session>, socket: Socket) {
        tokio::select! {
            () = (self.handler)(socket) => {}
            () = session.heartbeat(self.settings.ping_interval, self.settings.ping_timeout) => {}
            () = session.closed() => {}
        }
        session.close();
        // The client may be between two polls.
        let _ = tokio::time::timeout(LAST_POLL_TIMEOUT, session.last_poll()).await;
        self.sessions.lock().remove(&session.sid);
    }

    /// The open packet: exactly these five keys.
    fn open_packet(&self, session: &Session, upgrades: &[&str]) -> String {
        let packet = json!({
            "sid": session.sid,
            "upgrades": upgrades,
            "pingInterval": self.settings.ping_interval.as_millis() as u64,
            "pingTimeout": self.settings.ping_timeout.as_millis() as u64,
            "maxPayload": self.settings.max_payload,
        });
        format!("0{packet}")
    }
}
