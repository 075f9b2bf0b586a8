//! Clients that receive the board by WebSocket, Socket.IO and HTTP, each from one node. None may receive an older board than before,
//! over all its reconnects. One more client polls every node in turn. A node that is cut off cannot know the boards of the others, so older
//! boards are only counted for that client.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

use crate::history::History;

/// A socket that is silent for this long is reopened. Laurel pings every 25 s.
const MAX_SILENCE: Duration = Duration::from_secs(40);

/// The boards that clients received.
#[derive(Default)]
pub struct SeenBoards {
    newest: AtomicI64,
    pub boards: AtomicU64,
    pub older_on_other_node: AtomicU64,
    violations: Mutex<Vec<String>>,
}

impl SeenBoards {
    pub fn newest(&self) -> i64 {
        self.newest.load(Ordering::Relaxed)
    }

    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut *self.violations.lock())
    }
}

/// One client.
struct Client {
    name: String,
    /// The nodes that it uses, in turn.
    bases: Vec<String>,
    login: String,
    /// The version of its last board.
    version: i64,
    seen: Arc<SeenBoards>,
    history: Arc<History>,
}

impl Client {
    fn on_board(&mut self, version: i64) {
        self.seen.boards.fetch_add(1, Ordering::Relaxed);
        self.seen.newest.fetch_max(version, Ordering::Relaxed);
        if version < self.version && self.bases.len() > 1 {
            self.seen.older_on_other_node.fetch_add(1, Ordering::Relaxed);
        } else if version < self.version {
            let at = self.history.now().as_secs_f64();
            let text =
                format!("{} received version {version} after {} at {at:.3} s", self.name, self.version);
            self.seen.violations.lock().push(text);
        }
        self.version = version;
    }

    async fn poll_forever(mut self) {
        let client = reqwest::Client::new();
        for turn in 0.. {
            let base = &self.bases[turn % self.bases.len()];
            let request = client.get(format!("{base}/api/v1/scores/leaderboard"));
            if let Ok(response) = request.timeout(Duration::from_secs(3)).send().await
                && response.status() == 200
                && let Ok(board) = response.json::<Value>().await
            {
                self.on_board(board["version"].as_i64().unwrap_or(-1));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn subscribe_forever(mut self, path: &'static str) {
        loop {
            let _ = self.subscribe(path).await;
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Receives boards until the socket ends. Socket.IO's packets are WebSocket messages that begin with digits.
    async fn subscribe(&mut self, path: &str) -> Option<()> {
        let mut request =
            format!("{}{path}", self.bases[0].replace("http:", "ws:")).into_client_request().ok()?;
        let bearer = format!("Bearer {}", self.login);
        request.headers_mut().insert("authorization", bearer.parse().ok()?);
        let opened = timeout(Duration::from_secs(5), tokio_tungstenite::connect_async(request)).await;
        let (mut socket, _) = opened.ok()?.ok()?;
        loop {
            let message = timeout(MAX_SILENCE, socket.next()).await.ok()??.ok()?;
            let Message::Text(text) = message else { continue };
            let reply = match text.as_str() {
                open if open.starts_with("0{") => Some(format!("40{{\"token\":\"{}\"}}", self.login)),
                "2" => Some("3".to_owned()),
                event => {
                    self.on_event(event.trim_start_matches(|first: char| first.is_ascii_digit()));
                    None
                }
            };
            if let Some(reply) = reply {
                socket.send(Message::text(reply)).await.ok()?;
            }
        }
    }

    fn on_event(&mut self, text: &str) {
        let event: Value = serde_json::from_str(text).unwrap_or_default();
        let version = match event["event"].as_str() {
            Some("leaderboard_updated") => event["version"].as_i64(),
            _ if event[0] == "scoreboard:update" => event[1]["version"].as_i64(),
            _ => None,
        };
        if let Some(version) = version {
            self.on_board(version);
        }
    }
}

/// Starts two of each kind at every node, and the client that polls all nodes.
pub fn start(bases: &[String], logins: &[String], seen: &Arc<SeenBoards>, history: &Arc<History>) {
    let client = |kind: &str, turn: usize, bases: &[String]| Client {
        name: format!("{kind} {turn} at {}", bases.join(", ")),
        bases: bases.to_vec(),
        login: logins[turn % logins.len()].clone(),
        version: 0,
        seen: seen.clone(),
        history: history.clone(),
    };
    tokio::spawn(client("the HTTP client", 0, bases).poll_forever());
    for base in bases {
        for turn in 0..2 {
            let at = std::slice::from_ref(base);
            tokio::spawn(client("the HTTP client", turn, at).poll_forever());
            tokio::spawn(client("the WebSocket client", turn, at).subscribe_forever("/api/v1/ws"));
            let socketio = "/socket.io/?EIO=4&transport=websocket";
            tokio::spawn(client("the Socket.IO client", turn, at).subscribe_forever(socketio));
        }
    }
}
