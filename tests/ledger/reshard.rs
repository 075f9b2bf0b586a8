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

/// Players who keep playing on the current nodes, and the points in the responses they got.
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
        let all = load.clone();
        let running = tokio::spawn(async move {
            let play = |place| all.play(place);
            futures::future::join_all((0..all.players.len()).map(play)).await;
        });
        (load, running)
    }

    async fn play(&self, place: usize) {
        let player = &self.players[place];
        let mut turn = place;
        while !self.stop.load(Ordering::Relaxed) {
            turn += 1;
            let node = {
                let nodes = self.nodes.lock();
                nodes[turn % nodes.len()].clone()
            };
            let answer = node.init(player, "watch_ad").await;
            if answer.status != 200 {
                assert_eq!(answer.status, 503, "{}", answer.text);
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let token = answer.body["antiSpamToken"].as_str().unwrap();
            let answer = node.finalize(player, token, Value::Null).await;
            match answer.status {
                200 => *self.acknowledged.lock().entry(player.identity.user).or_default() += 10,
                // The token belongs to the board before the reshard.
                401 | 503 => {}
                _ => panic!("{}", answer.text),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn points(&self) -> u64 {
        self.acknowledged.lock().values().sum()
    }

    async fn goes_on(&self) {
        let before = self.points();
        eventually("more awards", async || (self.points() > before + 500).then_some(())).await;
    }
}

/// A node that waits for a board with its number of shards.
fn waiting(stores: &TestStores, config: &Config) -> JoinHandle<TestNode> {
    let (config, clock) = (config.clone(), stores.clock.clone());
    tokio::spawn(async move { TestNode::new(Node::start(config, clock).await.unwrap()) })
}

async fn split(stores: &TestStores, config: &Config, from: &OldBoard) -> u64 {
    let (app, _inboxes) = App::build(config.clone(), stores.clock.clone()).await.unwrap();
    rebuild_or_reshard(&app.ledger, from, |_| ()).await.unwrap()
}

/// Changes the number of shards under load. Afterwards nodes with the old configuration take no award, and every point in a response is
/// there exactly once.
async fn split_under_load(stores: &mut TestStores, config: Config, from: &OldBoard) {
    let old = Arc::new(stores.start_node().await);
    let players = old.create_players(12).await;
    let (load, running) = Load::start(vec![old.clone()], players.clone());
    load.goes_on().await;
    let next = waiting(stores, &config);
    split(stores, &config, from).await;
    let next = Arc::new(next.await.unwrap());
    load.nodes.lock().push(next.clone());
    load.goes_on().await;
    load.stop.store(true, Ordering::Relaxed);
    running.await.unwrap();
    eventually("the old node to refuse awards", async || {
        (old.get("/readyz/awards").await.status == 503
            && old.init(&players[0], "watch_ad").await.status == 503)
            .then_some(())
    })
    .await;
    let acknowledged = load.acknowledged.lock().clone();
    for player in &players {
        let user = player.identity.user;
        let answer = next.post_with("/api/v1/actions/init", &player.token, &[], &Value::Null).await;
        assert_ne!(answer.status, 503, "{}", answer.text);
        let standing = next.app.store.standing(user).await.unwrap().unwrap();
        assert_eq!(standing.0, acknowledged.get(&user).copied().unwrap_or(0), "{user}");
    }
    stores.config = config;
    assert_ledger_matches(stores).await;
    assert!(next.get("/api/v1/scores/leaderboard").await.body["version"].as_i64() > Some(0));
}

#[tokio::test]
async fn the_number_of_shards_changes_under_load() {
    let mut stores = TestStores::with_shards(1).await;
    for shards in [4, 2, 1] {
        let mut config = stores.config.clone();
        config.redis.shards = shards;
        split_under_load(&mut stores, config, &OldBoard::default()).await;
        let tag = |it: u32| if it == 1 { "leaderboard:*".to_owned() } else { format!("{{{it}.*") };
        let mut connection = connect_redis(&stores.redis.url).await.unwrap();
        for other in [1, 2, 4].into_iter().filter(|it| *it != shards) {
            let keys: Vec<String> =
                redis::cmd("KEYS").arg(tag(other)).query_async(&mut connection).await.unwrap();
            // Old nodes still count requests.
            let left: Vec<_> = keys.iter().filter(|it| !it.contains("rate:")).collect();
            assert!(left.is_empty(), "of {other} shards: {left:?}");
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
    split_under_load(&mut stores, config, &from).await;
}

#[tokio::test]
async fn resharding_needs_the_right_old_board() {
    let stores = TestStores::with_shards(1).await;
    let node = stores.start_node().await;
    let player = node.register("ada").await;
    node.award(&player, "watch_ad").await;
    node.wait_for_ledger().await;
    let elsewhere = TestStores::with_shards(1).await;
    let mut config = stores.config.clone();
    config.redis.shards = 2;
    let (app, _inboxes) = App::build(config.clone(), stores.clock.clone()).await.unwrap();
    let refused =
        async |from: &OldBoard| rebuild_or_reshard(&app.ledger, from, |_| ()).await.unwrap_err().to_string();
    let from = OldBoard { url: Some(elsewhere.redis.url.clone()), lost: false };
    assert!(refused(&from).await.contains("name its Redis with --from"));
    assert_eq!(node.award(&player, "watch_ad").await.body["newScore"], 20, "nothing was changed");
    node.wait_for_ledger().await;
    node.stop().await;

    assert_eq!(split(&stores, &config, &OldBoard { url: None, lost: true }).await, 1);
    assert!(refused(&from).await.contains("already"));
    let node = TestNode::new(Node::start(config, stores.clock.clone()).await.unwrap());
    assert_eq!(node.award(&player, "watch_ad").await.body["newScore"], 30);
}
