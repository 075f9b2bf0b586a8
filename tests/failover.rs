//! Redis failover under load. Acknowledged awards are compared with the ledger and with the new master, and no subscriber gets an older
//! board.

mod cluster;
mod sentinels;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use laurel::ledger::SeedOptions;
use laurel::store::shard_of;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::balancer::play::{Play, judge_after, try_award};
use crate::balancer::subscribers::Subscribers;
use crate::balancer::suite::audit::Loss;
use crate::balancer::suite::flows::{CATALOGUE, Player};
use crate::balancer::suite::history::{History, Response};
use crate::harness::{TestNode, TestStores, eventually};

const PLAYERS: u64 = 12;

/// Two nodes on a Redis with replicas, players who go on, and subscribers of every protocol at each node.
struct Scene {
    stores: TestStores,
    nodes: Vec<TestNode>,
    players: Vec<Player>,
    client: reqwest::Client,
    subscribers: Vec<Subscribers>,
    play: Play,
}

impl Scene {
    async fn start(stores: TestStores) -> Self {
        let file = stores.folder.path().join("actions.toml");
        std::fs::write(&file, CATALOGUE).unwrap();
        let mut nodes = Vec::new();
        for _ in 0..2 {
            let node = stores.start_node_with(|it| {
                it.actions.file = file.to_str().unwrap().to_owned();
                it.tokens.action_interval_seconds = 0;
                it.redis.wait_replicas = 1;
                // As in the default settings, so that a server that hangs is given up soon. The players retry requests.
                it.redis.timeout_ms = 1000;
                it.redis.wait_timeout_ms = 1000;
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
        play.goes_on().await;
        Self { stores, nodes, players, client, subscribers, play }
    }

    /// Waits until each node acknowledges an award in this shard again. Returns the time since `since`.
    async fn wait_for_awards(&self, shard: usize, since: Instant) -> Duration {
        let shards = self.nodes[0].app.store.shard_count();
        let of_shard = |it: &&Player| shard_of(it.user.as_bytes(), shards) == shard;
        let player = self.players.iter().find(of_shard).unwrap();
        for node in &self.nodes {
            eventually("awards to be acknowledged again", async || {
                self.try_award(node, player, self.play.history()).await
            })
            .await;
        }
        since.elapsed()
    }

    async fn try_award(&self, node: &TestNode, player: &Player, history: &History) -> Option<()> {
        let answer = try_award(&self.client, &node.base, player, history).await;
        matches!(answer, Ok(Response::Awarded { .. })).then_some(())
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
        let quiet = eventually("every node to show what Redis has", async || {
            let redis_client = nodes[0]
                .app
                .store
                .poll(0, i64::MAX)
                .await
                .ok()
                .filter(|it| it.open && !it.has_unmerged_shards)?;
            let shown = nodes.iter().all(|it| it.app.hub.newest().version == redis_client.version);
            (shown && redis_client.version == redis_client.published).then_some(redis_client.version)
        });
        let before = quiet.await;
        self.subscribers.iter().for_each(|it| it.end_after(before));
        let leading = best(&self.stores).await[0].0;
        let first = self.players.iter().find(|it| it.user == leading).unwrap();
        let answer = try_award(&self.client, &nodes[0].base, first, &history).await;
        assert!(matches!(answer, Ok(Response::Awarded { .. })), "{answer:?}");
        for subscribers in self.subscribers {
            for it in subscribers.ended().await {
                assert!(it.reconnects == 0 && it.version > before, "{it:?} after {before}");
            }
        }
        // An award that only the old master had was never acknowledged. It counts if the ledger has read it, but its kept answer is lost,
        // so a retry may be refused. This excuses no lost award.
        let answers = Loss { from: Duration::MAX, until: Duration::ZERO, written: HashSet::new() };
        let repeated = judge_after(&self.stores, &history, &[answers]).await;
        println!("{} tokens had a request without an answer", repeated.len());
        let best = best(&self.stores).await;
        for node in nodes {
            assert_eq!(board(node).await, best);
        }
    }
}

/// The top list computed from the ledger. Of equal scores, the one that was reached first comes first.
async fn best(stores: &TestStores) -> Vec<(Uuid, i64)> {
    let sql = "SELECT user_id, max(score_after) AS score FROM score_history GROUP BY user_id
               ORDER BY score DESC, max(hlc_us) LIMIT 10";
    let mut connection = PgConnection::connect(stores.config.postgres.url.expose()).await.unwrap();
    sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap()
}

async fn board(node: &TestNode) -> Vec<(Uuid, i64)> {
    let body = node.get("/api/v1/scores/leaderboard").await.body;
    let row = |it: &Value| (it["userId"].as_str().unwrap().parse().unwrap(), it["score"].as_i64().unwrap());
    body["leaderboard"].as_array().unwrap().iter().map(row).collect()
}
