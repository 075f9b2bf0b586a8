//! The load of the fault suite through the load balancer or at nodes directly, and the suite's checks of the responses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;

use super::Cluster;
use super::subscribers::Subscribers;
use super::suite::audit::{Audit, Loss};
use super::suite::flows::{Flow, Player, get_token, post, read};
use super::suite::history::{Attempt, Event, History, Response};
use super::suite::load::Load;
use super::suite::queries;
use super::suite::random::Random;
use crate::harness::{TestStores, assert_ledger_matches, eventually};

/// Number of acknowledged awards to wait for.
const MORE: u64 = 30;

/// Time between a player's awards, so that the machine does not limit the load.
const PAUSE: Duration = Duration::from_millis(500);

/// A running load.
pub struct Play {
    load: Arc<Load>,
    running: Vec<JoinHandle<()>>,
}

impl Play {
    pub fn start(cluster: &Cluster) -> Self {
        Self::at(&cluster.client, vec![cluster.balancer.base.clone()], &cluster.players)
    }

    /// Starts the load at these base URLs.
    pub fn at(client: &Client, bases: Vec<String>, players: &[Player]) -> Self {
        let load = Arc::new(Load {
            client: client.clone(),
            bases,
            pause: PAUSE,
            history: Arc::new(History::new()),
            stop: AtomicBool::new(false),
        });
        let play = |(index, player): (usize, &Player)| {
            let player = Arc::new(Player { user: player.user, login: player.login.clone() });
            tokio::spawn(load.clone().play(player, Random::new(8, 0, index as u64)))
        };
        let running = players.iter().enumerate().map(play).collect();
        Self { load, running }
    }

    /// Waits for more acknowledged awards.
    pub async fn wait_for_awards(&self) {
        let acknowledged = || self.load.history.acknowledged.load(Ordering::Relaxed);
        let target = acknowledged() + MORE;
        eventually("more awards", async || (acknowledged() >= target).then_some(())).await;
    }

    /// The record so far.
    pub fn history(&self) -> &History {
        &self.load.history
    }

    /// Stops the load after its running requests, and returns the record.
    pub async fn stop(self) -> Arc<History> {
        self.load.stop.store(true, Ordering::Relaxed);
        futures::future::join_all(self.running).await.into_iter().for_each(Result::unwrap);
        self.load.history.clone()
    }
}

/// Makes one more award for the first player, and records it. All subscribers end at its board. Returns the version of the board.
pub async fn last_award(cluster: &Cluster, subscribers: &[&Subscribers], history: &History) -> i64 {
    let version = async || -> i64 {
        cluster.stores.redis_client().await.query("HGET leaderboard:global:state version").await
    };
    let (base, client, before) = (&cluster.balancer.base, &cluster.client, version().await);
    subscribers.iter().for_each(|group| group.end_after(before));
    let board = client.get(format!("{base}/api/v1/scores/leaderboard")).send().await.unwrap();
    let board: Value = board.json().await.unwrap();
    let first = board["leaderboard"][0]["userId"].as_str().unwrap();
    let player = cluster.players.iter().find(|player| player.user.to_string() == first).unwrap();
    award(cluster, player, history).await;
    version().await
}

/// Makes an award and records it like an award of the load.
pub async fn award(cluster: &Cluster, player: &Player, history: &History) {
    let response = try_award(&cluster.client, &cluster.balancer.base, player, history).await;
    assert!(matches!(response, Ok(Response::Awarded { .. })), "{response:?}");
}

/// Tries to make an award, and records it. The error is the reason why no token was issued.
pub async fn try_award(
    client: &Client,
    base: &str,
    player: &Player,
    history: &History,
) -> Result<Response, String> {
    let flow = Flow::Actions;
    let token = get_token(client, base, player, flow, 0, None).await?;
    let (user, attempts) = (player.user, Vec::new());
    let event = Event {
        user,
        flow: flow.name(),
        points: 10,
        is_acknowledged_by_ledger: false,
        is_from_last_round: false,
        attempts,
    };
    history.add_issued(token.event_id, event);
    let start = history.now();
    let (response, _) = read(post(client, base, token.path, player, "", &token.body).await);
    let (end, key) = (history.now(), String::new());
    let attempt = Attempt { node: 0, key, start, end, response: response.clone() };
    history.add_attempt(token.event_id, attempt);
    Ok(response)
}

/// Compares Redis with the ledger, and the record with the ledger, like the fault suite. Returns the requests without a response.
pub async fn check(stores: &TestStores, history: &History) -> Vec<String> {
    check_after_losses(stores, history, &[]).await
}

/// Like `check`, after Redis lost data.
pub async fn check_after_losses(stores: &TestStores, history: &History, losses: &[Loss]) -> Vec<String> {
    assert_ledger_matches(stores).await;
    let events = history.take();
    let mut connection = PgConnection::connect(stores.config.postgres.url.expose()).await.unwrap();
    let rows = queries::rows(&mut connection, 0).await;
    let mut audit = Audit::default();
    audit.check_rows(&rows, &events);
    let counts = audit.check_events(&rows, &events, losses);
    println!("{} rows; {counts:?}", rows.len());
    assert!(audit.violations.is_empty(), "{}", audit.violations.join("\n"));
    assert!(queries::duplicates(&mut connection).await.is_empty());
    let uncertain = events.iter().filter(|(_, event)| event.is_uncertain());
    uncertain.map(|(id, event)| event.describe(*id)).collect()
}
