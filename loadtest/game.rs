//! Sessions while others watch: 1,000 Socket.IO clients listen, 2,000 players start, update ten times and end. Then one
//! player changes the board again and again: how long until the last listener has it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use hdrhistogram::Histogram;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::http::{self, Connection};
use crate::server::Server;

pub const LISTENERS: usize = 1000;
pub const SESSIONS: usize = 2000;
const UPDATES: usize = 10;
/// Changes of the board that are timed.
const CHANGES: usize = 100;

/// What was measured.
pub struct Game {
    pub bytes_per_listener: f64,
    pub updates: usize,
    pub took: Duration,
    /// Microseconds from an update's request to the first and the last listener that had the board.
    pub first: Histogram<u64>,
    pub last: Histogram<u64>,
    /// Boards that each listener was told during the sessions, on average.
    pub boards: f64,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One board that one listener heard: the leader's score in it.
type Heard = (u64, Instant);

pub async fn measure(server: &Server, logins: &Arc<Vec<String>>) -> Game {
    let before = server.resident_bytes();
    let (tell, mut heard) = mpsc::unbounded_channel();
    let mut listeners = Vec::new();
    for login in logins.iter().rev().take(LISTENERS) {
        listeners.push(listen(&server.address, login).await);
    }
    // What the connecting left behind is given back.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let bytes_per_listener = (server.resident_bytes() - before) / LISTENERS as f64;
    let tasks: Vec<_> = listeners.into_iter().map(|it| tokio::spawn(follow(it, tell.clone()))).collect();

    let started = Instant::now();
    let sessions = (0..SESSIONS).map(|it| tokio::spawn(play(server.address.clone(), logins[it].clone())));
    for session in futures::future::join_all(sessions).await {
        session.unwrap();
    }
    let took = started.elapsed();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut boards = 0;
    while heard.try_recv().is_ok() {
        boards += 1;
    }
    let (first, last) = time_changes(server, &logins[0], &mut heard).await;
    tasks.iter().for_each(|it| it.abort());
    let updates = SESSIONS * UPDATES;
    Game { bytes_per_listener, updates, took, first, last, boards: boards as f64 / LISTENERS as f64 }
}

async fn listen(address: &str, login: &str) -> Socket {
    let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
    let (mut socket, _) = connect_async(url).await.unwrap();
    socket.send(Message::text(format!("40{{\"token\":\"{login}\"}}"))).await.unwrap();
    // Open packet, connect packet, greeting, board.
    for _ in 0..4 {
        socket.next().await.unwrap().unwrap();
    }
    socket
}

async fn follow(mut socket: Socket, tell: mpsc::UnboundedSender<Heard>) {
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        if text.as_str() == "2" {
            socket.send(Message::text("3")).await.unwrap();
        } else if text.starts_with("42[\"scoreboard:update\"") {
            let now = Instant::now();
            // The first score in the packet is the leader's.
            let score = text.split("\"score\":").nth(1).and_then(|it| it.split('}').next()).unwrap();
            let _ = tell.send((score.parse().unwrap(), now));
        }
    }
}

/// One session: start, ten updates, end. Every answer has to be the right one.
async fn play(address: String, login: String) {
    let mut connection = Connection::open(&address).await;
    let mut token = start(&mut connection, &login).await;
    let mut score = None;
    for _ in 0..UPDATES {
        let answer = update(&mut connection, &login, &token).await;
        let now = answer["data"]["newScore"].as_u64().unwrap();
        assert!(score.is_none_or(|it| now == it + 10), "{answer}");
        score = Some(now);
        token = answer["data"]["newActionToken"].as_str().unwrap().to_owned();
    }
    let end = connection.post("/api/game/end", &login, "{}").await;
    let end: Value = serde_json::from_str(&end).unwrap();
    assert_eq!(
        (end["data"]["finalScore"].as_u64(), end["data"]["actionsCompleted"].as_u64()),
        (score, Some(10))
    );
}

async fn start(connection: &mut Connection, login: &str) -> String {
    let started: Value =
        serde_json::from_str(&connection.post("/api/game/start", login, "{}").await).unwrap();
    http::field(&started["data"].to_string(), "actionToken").unwrap()
}

async fn update(connection: &mut Connection, login: &str, token: &str) -> Value {
    let body = format!(r#"{{"actionToken":"{token}","actionType":"watch_ad","points":10}}"#);
    serde_json::from_str(&connection.post("/api/score/update", login, &body).await).unwrap()
}

/// Lets one player lead, and times each further update to the listeners.
async fn time_changes(
    server: &Server,
    login: &str,
    heard: &mut mpsc::UnboundedReceiver<Heard>,
) -> (Histogram<u64>, Histogram<u64>) {
    let mut connection = Connection::open(&server.address).await;
    let mut token = start(&mut connection, login).await;
    let (mut first, mut last) = (Histogram::new(3).unwrap(), Histogram::new(3).unwrap());
    let mut leads = false;
    let mut timed = 0;
    while timed < CHANGES {
        let sent = Instant::now();
        let answer = update(&mut connection, login, &token).await;
        token = answer["data"]["newActionToken"].as_str().unwrap().to_owned();
        let score = answer["data"]["newScore"].as_u64().unwrap();
        // Until the player leads, the boards' first score is somebody else's.
        leads |= answer["data"]["rank"] == 1;
        if !leads {
            continue;
        }
        let mut times = Vec::with_capacity(LISTENERS);
        while times.len() < LISTENERS {
            let (shown, at) = heard.recv().await.unwrap();
            if shown == score {
                times.push(at.duration_since(sent).as_micros() as u64);
            }
        }
        if timed > 0 {
            first.record(*times.iter().min().unwrap()).unwrap();
            last.record(*times.iter().max().unwrap()).unwrap();
        }
        timed += 1;
        // Beyond the publication window: an isolated change goes out at once.
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    (first, last)
}
