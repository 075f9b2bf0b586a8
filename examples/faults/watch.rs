//! Clients who look at the board: over WebSocket, Socket.IO and HTTP, each at its own node for as long as the suite lasts. None is
//! ever shown an older board than one it saw before, over all its reconnections. One more asks every node in turn: a node that was
//! cut off cannot know what others show, so how often that one met an older board is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

use crate::history::History;

/// A socket that says nothing for so long is opened anew; Laurel pings every 25 s.
const SILENCE: Duration = Duration::from_secs(40);

/// What clients were shown.
#[derive(Default)]
pub struct Shown {
    newest: AtomicI64,
    pub boards: AtomicU64,
    pub older_elsewhere: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

impl Shown {
    pub fn newest(&self) -> i64 {
        self.newest.load(Ordering::Relaxed)
    }

    pub fn take_wrong(&self) -> Vec<String> {
        std::mem::take(&mut *self.wrong.lock())
    }
}

/// One client and the newest version that it saw.
struct Client {
    name: String,
    /// Where it looks, in turn.
    bases: Vec<String>,
    login: String,
    seen: i64,
    shown: Arc<Shown>,
    history: Arc<History>,
}

impl Client {
    fn see(&mut self, version: i64) {
        self.shown.boards.fetch_add(1, Ordering::Relaxed);
        self.shown.newest.fetch_max(version, Ordering::Relaxed);
        if version < self.seen && self.bases.len() > 1 {
            self.shown.older_elsewhere.fetch_add(1, Ordering::Relaxed);
        } else if version < self.seen {
            let at = self.history.now().as_secs_f64();
            let text = format!("{} was shown version {version} after {} at {at:.3} s", self.name, self.seen);
            self.shown.wrong.lock().push(text);
        }
        self.seen = version;
    }

    async fn poll_forever(mut self) {
        let client = reqwest::Client::new();
        for turn in 0.. {
            let base = &self.bases[turn % self.bases.len()];
            let asked = client.get(format!("{base}/api/v1/scores/leaderboard"));
            if let Ok(answer) = asked.timeout(Duration::from_secs(3)).send().await
                && answer.status() == 200
                && let Ok(board) = answer.json::<Value>().await
            {
                self.see(board["version"].as_i64().unwrap_or(-1));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn listen_forever(mut self, path: &'static str) {
        loop {
            let _ = self.listen(path).await;
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Listens until the socket ends. Both protocols come over WebSocket; Socket.IO's packets begin with digits.
    async fn listen(&mut self, path: &str) -> Option<()> {
        let mut request =
            format!("{}{path}", self.bases[0].replace("http:", "ws:")).into_client_request().ok()?;
        let bearer = format!("Bearer {}", self.login);
        request.headers_mut().insert("authorization", bearer.parse().ok()?);
        let opened = timeout(Duration::from_secs(5), tokio_tungstenite::connect_async(request)).await;
        let (mut socket, _) = opened.ok()?.ok()?;
        loop {
            let message = timeout(SILENCE, socket.next()).await.ok()??.ok()?;
            let Message::Text(text) = message else { continue };
            let reply = match text.as_str() {
                it if it.starts_with("0{") => Some(format!("40{{\"token\":\"{}\"}}", self.login)),
                "2" => Some("3".to_owned()),
                it => {
                    self.read(it.trim_start_matches(|it: char| it.is_ascii_digit()));
                    None
                }
            };
            if let Some(reply) = reply {
                socket.send(Message::text(reply)).await.ok()?;
            }
        }
    }

    fn read(&mut self, text: &str) {
        let event: Value = serde_json::from_str(text).unwrap_or_default();
        let version = match event["event"].as_str() {
            Some("leaderboard_updated") => event["version"].as_i64(),
            _ if event[0] == "scoreboard:update" => event[1]["version"].as_i64(),
            _ => None,
        };
        if let Some(version) = version {
            self.see(version);
        }
    }
}

/// Starts a few of each kind at every node.
pub fn start(bases: &[String], logins: &[String], shown: &Arc<Shown>, history: &Arc<History>) {
    let client = |kind: &str, turn: usize, bases: &[String]| Client {
        name: format!("{kind} {turn} at {}", bases.join(", ")),
        bases: bases.to_vec(),
        login: logins[turn % logins.len()].clone(),
        seen: 0,
        shown: shown.clone(),
        history: history.clone(),
    };
    tokio::spawn(client("the poller", 0, bases).poll_forever());
    for base in bases {
        for turn in 0..2 {
            let at = std::slice::from_ref(base);
            tokio::spawn(client("the poller", turn, at).poll_forever());
            tokio::spawn(client("the WebSocket", turn, at).listen_forever("/api/v1/ws"));
            let socketio = "/socket.io/?EIO=4&transport=websocket";
            tokio::spawn(client("the Socket.IO client", turn, at).listen_forever(socketio));
        }
    }
}
