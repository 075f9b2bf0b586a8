//! Engine.IO 4 (github.com/socketio/engine.io-protocol): long polling and WebSocket, the upgrade between them, heartbeats.
//! It carries messages and knows nothing of what they say; `socketio` and the conformance example are spoken over it.

mod packet;
mod polling;
mod session;
mod socket;
pub(crate) mod transport;
mod websocket;

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

use super::Pending;
use super::websocket::Upgrade;

pub use packet::{Message, Packet, Wire};
pub use session::Session;
pub use socket::Socket;

/// How long a session that has ended waits for the poll that takes its last words.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How an engine behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Time between two pings.
    pub ping_interval: Duration,
    /// Time for the pong.
    pub ping_timeout: Duration,
    /// Largest message and polling body, in bytes.
    pub max_payload: usize,
    /// Frames a message that a client may send over a WebSocket.
    pub max_frames: usize,
    /// Packets a second that a client may send; 0: any.
    pub max_messages: u32,
    /// Whether messages over a WebSocket may be packed.
    pub packed: bool,
    /// A client that takes nothing for so long is gone.
    pub write_timeout: Duration,
    /// What every session id begins with, so that a balancer can find the node by it.
    pub sid_prefix: String,
}

type App = Box<dyn Fn(Socket) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Who is at the other end of a new session.
pub struct Guest {
    /// The client's address.
    pub address: IpAddr,
    /// Its place among the sessions that have not logged in.
    pub place: Option<Pending>,
}

/// The sessions of one path, and what is spoken over them.
pub struct Engine {
    settings: Settings,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    app: App,
}

/// The engine alone at a path, with no door before it: the conformance example, and tests.
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
    let guest = Guest { address: from.ip(), place: None };
    engine.serve(&method, &query, upgrade, body, guest).await
}

/// The query of every request.
#[derive(Debug, Default, Deserialize)]
pub struct Query {
    #[serde(rename = "EIO")]
    version: Option<String>,
    transport: Option<String>,
    sid: Option<String>,
}

impl Query {
    /// Whether a session is to be opened.
    pub fn is_new(&self) -> bool {
        self.sid.is_none()
    }
}

/// What is wrong with a request, by the numbers that clients know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Transport = 0,
    Session = 1,
    HandshakeMethod = 2,
    Request = 3,
    Version = 5,
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        let message = match self {
            Self::Transport => "Transport unknown",
            Self::Session => "Session ID unknown",
            Self::HandshakeMethod => "Bad handshake method",
            Self::Request => "Bad request",
            Self::Version => "Unsupported protocol version",
        };
        (StatusCode::BAD_REQUEST, Json(json!({ "code": self as u8, "message": message }))).into_response()
    }
}

impl Engine {
    /// An engine over which `app` is spoken with each client.
    pub fn new<F>(settings: Settings, app: impl Fn(Socket) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let app: App = Box::new(move |socket| Box::pin(app(socket)));
        Arc::new(Self { settings, sessions: Mutex::default(), app })
    }

    /// Answers one request. `guest` goes to the app with a new session.
    pub async fn serve(
        self: &Arc<Self>,
        method: &Method,
        query: &Query,
        upgrade: Option<Upgrade>,
        body: Bytes,
        guest: Guest,
    ) -> Response {
        match self.route(method, query, upgrade, body, guest).await {
            Ok(response) => response,
            Err(wrong) => wrong.into_response(),
        }
    }

    async fn route(
        self: &Arc<Self>,
        method: &Method,
        query: &Query,
        upgrade: Option<Upgrade>,
        body: Bytes,
        guest: Guest,
    ) -> Result<Response, Wrong> {
        if query.version.as_deref() != Some("4") {
            return Err(Wrong::Version);
        }
        let session = match &query.sid {
            Some(sid) => Some(self.sessions.lock().get(sid).cloned().ok_or(Wrong::Session)?),
            None => None,
        };
        match (query.transport.as_deref(), session, method) {
            (Some("polling"), None, &Method::GET) => Ok(polling::open(self, guest)),
            (Some("polling"), Some(session), &Method::GET) => polling::poll(&session).await,
            (Some("polling"), Some(session), &Method::POST) => {
                polling::post(&session, &self.settings, &body).await
            }
            (Some("websocket"), session, &Method::GET) => {
                let upgrade = upgrade.ok_or(Wrong::Request)?;
                Ok(websocket::open(self, upgrade, session, guest))
            }
            (Some("polling" | "websocket"), None, _) => Err(Wrong::HandshakeMethod),
            (Some("polling" | "websocket"), Some(_), _) => Err(Wrong::Request),
            _ => Err(Wrong::Transport),
        }
    }

    /// Makes a session and gives it with its socket for the app.
    fn session(self: &Arc<Self>, upgraded: bool, guest: Guest) -> (Arc<Session>, Socket) {
        let sid = format!("{}{}", self.settings.sid_prefix, Uuid::new_v4().simple());
        let (session, socket) = Session::new(sid, upgraded, &self.settings, guest);
        self.sessions.lock().insert(session.sid.clone(), session.clone());
        (session, socket)
    }

    /// The life of a session: the app is spoken and hearts beat, until one of them ends. Then it is forgotten.
    async fn live(self: Arc<Self>, session: Arc<Session>, socket: Socket) {
        tokio::select! {
            () = (self.app)(socket) => {}
            () = session.beat(self.settings.ping_interval, self.settings.ping_timeout) => {}
            () = session.closed() => {}
        }
        session.close();
        // Perhaps the client is between two polls.
        let _ = tokio::time::timeout(LAST_WORDS, session.last_words()).await;
        self.sessions.lock().remove(&session.sid);
    }

    /// The open packet: exactly these five keys.
    fn greeting(&self, session: &Session, upgrades: &[&str]) -> String {
        let greeting = json!({
            "sid": session.sid,
            "upgrades": upgrades,
            "pingInterval": self.settings.ping_interval.as_millis() as u64,
            "pingTimeout": self.settings.ping_timeout.as_millis() as u64,
            "maxPayload": self.settings.max_payload,
        });
        format!("0{greeting}")
    }
}
