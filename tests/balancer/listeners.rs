//! Listeners of every protocol through the balancer, and somebody who asks for boards. Each listener checks on every board that none
//! is older than what it saw before, over all its connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;

use crate::harness::PATIENCE;
use crate::live::clients::{ALL, Listener, Protocol};

/// Listeners until there is a board newer than `enough`.
pub struct Listeners {
    enough: Arc<AtomicI64>,
    running: Vec<JoinHandle<Ended>>,
}

/// What a listener came to.
#[derive(Clone, Debug)]
pub struct Ended {
    pub protocol: Protocol,
    /// The last board that it was shown.
    pub shown: i64,
    /// How often it was connected anew.
    pub moved: u64,
}

impl Listeners {
    /// A few of each protocol.
    pub async fn start(base: &str, login: &str, each: usize) -> Self {
        let enough = Arc::new(AtomicI64::new(i64::MAX));
        let mut running = Vec::new();
        for protocol in ALL.repeat(each) {
            let listener = Listener::open(base, protocol, login).await;
            running.push(tokio::spawn(listen(listener, base.to_owned(), login.to_owned(), enough.clone())));
        }
        Self { enough, running }
    }

    /// A board newer than this one, which has to come yet, is the last that each waits for.
    pub fn end_after(&self, version: i64) {
        self.enough.store(version, Ordering::Relaxed);
    }

    /// Waits until all have ended.
    pub async fn ended(self) -> Vec<Ended> {
        let ended = futures::future::join_all(self.running);
        let ended = tokio::time::timeout(PATIENCE, ended).await;
        ended.expect("all come to the newest board").into_iter().map(Result::unwrap).collect()
    }
}

async fn listen(mut listener: Listener, base: String, login: String, enough: Arc<AtomicI64>) -> Ended {
    let mut moved = 0;
    while listener.shown <= enough.load(Ordering::Relaxed) {
        if listener.hear().await.is_some() {
            continue;
        }
        moved += 1;
        while !listener.reopen(&base, &login).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ended { protocol: listener.protocol(), shown: listener.shown, moved }
}

/// What somebody was answered who only reads.
#[derive(Default)]
pub struct Reader {
    pub stop: AtomicBool,
    pub answers: AtomicU64,
    /// Boards older than the one before: asked over HTTP, each node tells what it knows.
    pub older: AtomicU64,
}

impl Reader {
    /// Reads until the stop; each answer has to be a board.
    pub async fn read(self: Arc<Self>, client: reqwest::Client, base: String) {
        let mut seen = 0;
        while !self.stop.load(Ordering::Relaxed) {
            for path in ["/api/v1/scores/leaderboard", "/api/scoreboard/top10"] {
                let answer = client.get(format!("{base}{path}")).send().await.unwrap();
                let (status, text) = (answer.status(), answer.text().await.unwrap());
                assert_eq!(status, 200, "{path}: {text}");
                self.answers.fetch_add(1, Ordering::Relaxed);
                let body: Value = serde_json::from_str(&text).unwrap();
                if let Some(version) = body["version"].as_i64() {
                    self.older.fetch_add(u64::from(version < seen), Ordering::Relaxed);
                    seen = version;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
