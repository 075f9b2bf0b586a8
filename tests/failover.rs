//! Redis failovers under load. The ledger and the new master have every acknowledged award, and no subscriber gets an older board.

mod cluster;
mod sentinels;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use laurel::ledger::SeedOptions;
use laurel::store::shard_of;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::balancer::play::{Play, check_after_losses, try_award};
use crate::balancer::subscribers::Subscribers;
use crate::balancer::suite::audit::Loss;
use crate::balancer::suite::flows::{CATALOGUE, Player};
use crate::balancer::suite::history::{History, Response};
use crate::harness::{TestNode, TestStores, eventually};

const PLAYERS: u64 = 12;

/// Two nodes on a Redis with replicas, players under load, and subscribers of every protocol at each node.
struct Scenario {
    stores: TestStores,
    nodes: Vec<TestNode>,
    players: Vec<Player>,
    client: reqwest::Client,
    subscribers: Vec<Subscribers>,
    play: Play,
}

impl Scenario {
    async fn start(stores: TestStores) -> Self {
        let file = stores.folder.path().join("actions.toml");
        std::fs::write(&file, CATALOGUE).unwrap();
        let mut nodes = Vec::new();
        for _ in 0..2 {
            let node = stores.start_node_with(|config| {
                config.actions.file = file.to_str().unwrap().to_owned();
                config.tokens.action_interval_seconds = 0;
                config.redis.wait_replicas = 1;
                // The default: a node disconnects from a hung server soon. The players retry their requests.
                config.redis.timeout_ms = 1000;
                config.redis.wait_timeout_ms = 1000;
            });
            nodes.push(node.await);
        }
        let logins = stores.folder.path().join("logins");
        let options = SeedOptions { users: PLAYERS, max_score: 0, tokens: Some(logins.clone()) };
        laurel::ledger::seed(&nodes[0].app.ledger, &nodes[0].app.accounts.logins, &options, |_| ())
            .await
            .unwrap();
        let players: Vec<_> = std::fs::read_to_string(logins).unwrap().lines().map(Player::of).collect();
        let mut subscribers = Vec::new();
        for node in &nodes {
            subscribers.push(Subscribers::start(&node.base, &players[0].login, 1).await);
        }
        let client = reqwest::Client::new();
        let play = Play::at(&client, nodes.iter().map(|it| it.base.clone()).collect(), &players);
        play.wait_for_awards().await;
        Self { stores, nodes, players, client, subscribers, play }
    }

    /// Waits until each node acknowledges an award in this shard again. Returns the time since `since`.
    async fn wait_for_awards(&self, shard: usize, since: Instant) -> Duration {
        let shards = self.nodes[0].app.store.shard_count();
        let is_in_shard = |player: &&Player| shard_of(player.user.as_bytes(), shards) == shard;
        let player = self.players.iter().find(is_in_shard).unwrap();
        for node in &self.nodes {
            eventually("awards to be acknowledged again", async || {
                self.try_award(node, player, self.play.history()).await
            })
            .await;
        }
        since.elapsed()
    }

    async fn try_award(&self, node: &TestNode, player: &Player, history: &History) -> Option<()> {
        let response = try_award(&self.client, &node.base, player, history).await;
        matches!(response, Ok(Response::Awarded { .. })).then_some(())
    }

    /// Waits until the board accepts awards, with or without a replica.
    async fn wait_until_open(&self) {
        for node in &self.nodes {
            eventually("the board to be open", async || {
                node.app.store.poll_state().await.ok().filter(|it| it.open).map(drop)
            })
            .await;
        }
    }

    /// Ends the load and checks the results.
    async fn finish(self) {
        let (nodes, history) = (&self.nodes, self.play.stop().await);
        let newest_version = eventually("every node to have the newest board", async || {
            let state = nodes[0]
                .app
                .store
                .poll(0, i64::MAX)
                .await
                .ok()
                .filter(|state| state.open && !state.has_unmerged_shards)?;
            let is_newest = nodes.iter().all(|node| node.app.hub.newest().version == state.version);
            (is_newest && state.version == state.published).then_some(state.version)
        });
        let before = newest_version.await;
        self.subscribers.iter().for_each(|it| it.end_after(before));
        let leader = top_of_ledger(&self.stores).await[0].0;
        let player = self.players.iter().find(|player| player.user == leader).unwrap();
        let response = try_award(&self.client, &nodes[0].base, player, &history).await;
        assert!(matches!(response, Ok(Response::Awarded { .. })), "{response:?}");
        for subscribers in self.subscribers {
            for end in subscribers.ended().await {
                assert!(end.reconnects == 0 && end.version > before, "{end:?} after {before}");
            }
        }
        // An award that only the old master had was never acknowledged. It counts if the ledger has read it, but the answer that Redis kept is
        // lost, so a retry may be refused. No award may be lost.
        let lost_answers = Loss { from: Duration::MAX, until: Duration::ZERO, written: HashSet::new() };
        let repeated = check_after_losses(&self.stores, &history, &[lost_answers]).await;
        println!("{} tokens had a request without a response", repeated.len());
        let top = top_of_ledger(&self.stores).await;
        for node in nodes {
            assert_eq!(top_of_node(node).await, top);
        }
    }
}

/// Computes the top list from the ledger. Players with equal scores are in the order in which they reached them.
async fn top_of_ledger(stores: &TestStores) -> Vec<(Uuid, i64)> {
    let sql = "SELECT user_id, max(score_after) AS score FROM score_history GROUP BY user_id
               ORDER BY score DESC, max(hlc_us) LIMIT 10";
    let mut connection = PgConnection::connect(stores.config.postgres.url.expose()).await.unwrap();
    sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap()
}

/// The top list that a node serves.
async fn top_of_node(node: &TestNode) -> Vec<(Uuid, i64)> {
    let body = node.get("/api/v1/scores/leaderboard").await.body;
    let row = |it: &Value| (it["userId"].as_str().unwrap().parse().unwrap(), it["score"].as_i64().unwrap());
    body["leaderboard"].as_array().unwrap().iter().map(row).collect()
}
