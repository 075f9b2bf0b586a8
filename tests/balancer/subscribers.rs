//! Subscribers of every protocol and an HTTP client that reads boards, through the load balancer. Each subscriber checks that no older
//! board follows a newer one, over all its connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;

use crate::harness::TEST_TIMEOUT;
use crate::live::clients::{ALL, Protocol, Subscriber};

/// Subscribers that run until they have a board newer than `end_after_version`.
pub struct Subscribers {
    end_after_version: Arc<AtomicI64>,
    running: Vec<JoinHandle<Outcome>>,
}

/// The outcome of a subscriber.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub protocol: Protocol,
    /// Version of the last board.
    pub version: i64,
    /// Number of reconnects.
    pub reconnects: u64,
}

impl Subscribers {
    /// Starts subscribers, `per_protocol` of each protocol.
    pub async fn start(base: &str, login: &str, per_protocol: usize) -> Self {
        let end_after_version = Arc::new(AtomicI64::new(i64::MAX));
        let mut running = Vec::new();
        for protocol in ALL.repeat(per_protocol) {
            let subscriber = Subscriber::open(base, protocol, login).await;
            running.push(tokio::spawn(follow(
                subscriber,
                base.to_owned(),
                login.to_owned(),
                end_after_version.clone(),
            )));
        }
        Self { end_after_version, running }
    }

    /// Each subscriber ends at the first board newer than this version.
    pub fn end_after(&self, version: i64) {
        self.end_after_version.store(version, Ordering::Relaxed);
    }

    /// Waits until all subscribers have ended.
    pub async fn ended(self) -> Vec<Outcome> {
        let ended = futures::future::join_all(self.running);
        let ended = tokio::time::timeout(TEST_TIMEOUT, ended).await;
        ended.expect("all subscribers get the newest board").into_iter().map(Result::unwrap).collect()
    }
}

async fn follow(
    mut subscriber: Subscriber,
    base: String,
    login: String,
    end_after_version: Arc<AtomicI64>,
) -> Outcome {
    let mut reconnects = 0;
    while subscriber.version <= end_after_version.load(Ordering::Relaxed) {
        if subscriber.receive().await.is_some() {
            continue;
        }
        reconnects += 1;
        while !subscriber.reopen(&base, &login).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Outcome { protocol: subscriber.protocol(), version: subscriber.version, reconnects }
}

/// A client that only reads boards over HTTP.
#[derive(Default)]
pub struct Reader {
    pub stop: AtomicBool,
    pub answers: AtomicU64,
    /// Boards older than the previous one. Over HTTP, each node answers with the newest board that it has.
    pub older: AtomicU64,
}

impl Reader {
    /// Reads until `stop`; each response must be a board.
    pub async fn read(self: Arc<Self>, client: reqwest::Client, base: String) {
        let mut newest = 0;
        while !self.stop.load(Ordering::Relaxed) {
            for path in ["/api/v1/scores/leaderboard", "/api/scoreboard/top10"] {
                let answer = client.get(format!("{base}{path}")).send().await.unwrap();
                let (status, text) = (answer.status(), answer.text().await.unwrap());
                assert_eq!(status, 200, "{path}: {text}");
                self.answers.fetch_add(1, Ordering::Relaxed);
                let body: Value = serde_json::from_str(&text).unwrap();
                if let Some(version) = body["version"].as_i64() {
                    self.older.fetch_add(u64::from(version < newest), Ordering::Relaxed);
                    newest = version;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
