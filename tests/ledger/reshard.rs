//! The number of shards changes while players earn awards.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use laurel::app::App;
use laurel::config::Config;
use laurel::ledger::{OldBoard, rebuild_or_reshard};
use laurel::serve::Node;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::harness::{
    Player, TestNode, TestRedis, TestStores, assert_ledger_matches, connect_redis, eventually,
};

/// Pause between a player's awards, so that the operation under test makes progress on a busy machine.
const PAUSE: Duration = Duration::from_millis(100);

/// Players who earn awards on the current nodes, and the points that the responses acknowledged.
struct Load {
    nodes: Mutex<Vec<Arc<TestNode>>>,
    players: Vec<Player>,
    acknowledged: Mutex<HashMap<Uuid, u64>>,
    stop: AtomicBool,
}

impl Load {
    fn start(nodes: Vec<Arc<TestNode>>, players: Vec<Player>) -> (Arc<Self>, JoinHandle<()>) {
        let (acknowledged, stop) = (Mutex::default(), AtomicBool::new(false));
        let load = Arc::new(Self { nodes: Mutex::new(nodes), players, acknowledged, stop });
        let shared = load.clone();
        let task = tokio::spawn(async move {
            let play = |index| shared.play(index);
            futures::future::join_all((0..shared.players.len()).map(play)).await;
        });
        (load, task)
    }

    async fn play(&self, index: usize) {
        let player = &self.players[index];
        let mut turn = index;
        while !self.stop.load(Ordering::Relaxed) {
            turn += 1;
            let node = {
                let nodes = self.nodes.lock();
                nodes[turn % nodes.len()].clone()
            };
            let response = node.init(player, "watch_ad").await;
            if response.status != 200 {
                assert_eq!(response.status, 503, "{}", response.text);
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let token = response.body["antiSpamToken"].as_str().unwrap();
            let response = node.finalize(player, token, Value::Null).await;
            match response.status {
                200 => *self.acknowledged.lock().entry(player.identity.user).or_default() += 10,
                // The token belongs to the board before the reshard.
                401 | 503 => {}
                _ => panic!("{}", response.text),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn points(&self) -> u64 {
        self.acknowledged.lock().values().sum()
    }

    async fn wait_for_awards(&self) {
        let before = self.points();
        eventually("more awards", async || (self.points() > before + 500).then_some(())).await;
    }
}

/// Starts a node, which waits for a board with its number of shards.
fn start_waiting_node(stores: &TestStores, config: &Config) -> JoinHandle<TestNode> {
    let (config, clock) = (config.clone(), stores.clock.clone());
    tokio::spawn(async move { TestNode::new(Node::start(config, clock).await.unwrap()) })
}

async fn reshard(stores: &TestStores, config: &Config, from: &OldBoard) -> u64 {
    let (app, _inboxes) = App::build(config.clone(), stores.clock.clone()).await.unwrap();
    rebuild_or_reshard(&app.ledger, from, |_| ()).await.unwrap()
}

/// Changes the number of shards under load. Afterwards nodes with the old configuration take no award, and every acknowledged point counts
/// exactly once.
async fn reshard_under_load(stores: &mut TestStores, config: Config, from: &OldBoard) {
    let old = Arc::new(stores.start_node().await);
    let players = old.create_players(12).await;
    let (load, task) = Load::start(vec![old.clone()], players.clone());
    load.wait_for_awards().await;
    let next = start_waiting_node(stores, &config);
    reshard(stores, &config, from).await;
    let next = Arc::new(next.await.unwrap());
    load.nodes.lock().push(next.clone());
    load.wait_for_awards().await;
    load.stop.store(true, Ordering::Relaxed);
    task.await.unwrap();
    eventually("the old node to refuse awards", async || {
        (old.get("/readyz/awards").await.status == 503
            && old.init(&players[0], "watch_ad").await.status == 503)
            .then_some(())
    })
    .await;
    let acknowledged = load.acknowledged.lock().clone();
    for player in &players {
        let user = player.identity.user;
        let response = next.post_with("/api/v1/actions/init", &player.token, &[], &Value::Null).await;
        assert_ne!(response.status, 503, "{}", response.text);
        let standing = next.app.store.standing(user).await.unwrap().unwrap();
        assert_eq!(standing.0, acknowledged.get(&user).copied().unwrap_or(0), "{user}");
    }
    stores.config = config;
    assert_ledger_matches(stores).await;
    assert!(next.get("/api/v1/scores/leaderboard").await.body["version"].as_i64() > Some(0));
    // A node that is dropped without a stop could keep the leader lock.
    drop(load);
    for node in [old, next] {
        Arc::into_inner(node).expect("the players have stopped").stop().await;
    }
}

#[tokio::test]
async fn the_number_of_shards_changes_under_load() {
    let mut stores = TestStores::with_shards(1).await;
    for shards in [4, 2, 1] {
        let mut config = stores.config.clone();
        config.redis.shards = shards;
        reshard_under_load(&mut stores, config, &OldBoard::default()).await;
        let pattern = |shards: u32| {
            if shards == 1 { "leaderboard:global*".to_owned() } else { format!("{{{shards}.*") }
        };
        let mut connection = connect_redis(&stores.redis.url).await.unwrap();
        for other in [1, 2, 4].into_iter().filter(|other| *other != shards) {
            let keys: Vec<String> =
                redis::cmd("KEYS").arg(pattern(other)).query_async(&mut connection).await.unwrap();
            // Old nodes still count requests for the rate limits.
            let left: Vec<_> = keys.iter().filter(|it| !it.contains("rate:")).collect();
            assert!(left.is_empty(), "keys of {other} shards: {left:?}");
        }
    }
}

#[tokio::test]
async fn a_board_moves_from_one_redis_to_a_cluster_under_load() {
    let mut stores = TestStores::with_shards(1).await;
    let cluster = TestRedis::on_cluster(8).await;
    let mut config = stores.config.clone();
    config.redis.shards = 8;
    config.redis.url = cluster.url.clone().into();
    let from = OldBoard { url: Some(stores.redis.url.clone()), lost: false };
    reshard_under_load(&mut stores, config, &from).await;
}

#[tokio::test]
async fn resharding_needs_the_right_old_board() {
    let stores = TestStores::with_shards(1).await;
    let node = stores.start_node().await;
    let player = node.register("ada").await;
    node.award(&player, "watch_ad").await;
    node.wait_for_ledger().await;
    let other_stores = TestStores::with_shards(1).await;
    let mut config = stores.config.clone();
    config.redis.shards = 2;
    let (app, _inboxes) = App::build(config.clone(), stores.clock.clone()).await.unwrap();
    let error =
        async |from: &OldBoard| rebuild_or_reshard(&app.ledger, from, |_| ()).await.unwrap_err().to_string();
    let from = OldBoard { url: Some(other_stores.redis.url.clone()), lost: false };
    assert!(error(&from).await.contains("name its Redis with --from"));
    assert_eq!(node.award(&player, "watch_ad").await.body["newScore"], 20, "nothing was changed");
    node.wait_for_ledger().await;
    node.stop().await;

    assert_eq!(reshard(&stores, &config, &OldBoard { url: None, lost: true }).await, 1);
    assert!(error(&from).await.contains("already"));
    let node = TestNode::new(Node::start(config, stores.clock.clone()).await.unwrap());
    assert_eq!(node.award(&player, "watch_ad").await.body["newScore"], 30);
}
