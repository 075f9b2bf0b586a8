//! Outages of nodes and stores. Afterwards every acknowledged award exists once, and Redis and the ledger agree.

mod clock_set_back;
mod postgres_unavailable;
mod redis_reconnect;
mod redis_refuses_writes;
mod redis_unavailable;
mod replicas;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Player, TestNode, TestStores, assert_ledger_matches, eventually};

/// The pause between two awards of a player, so that the load alone does not overload a busy machine.
const PAUSE: Duration = Duration::from_millis(300);

/// Players who earn awards at several nodes until `stop`. They retry requests with an idempotency key, as clients should.
struct Load<'a> {
    client: reqwest::Client,
    addresses: &'a [String],
    stop: AtomicBool,
    acknowledged: AtomicUsize,
}

impl Load<'_> {
    async fn post(&self, turn: usize, path: &str, player: &Player, key: &str, body: &Value) -> Option<Value> {
        let address = &self.addresses[turn % self.addresses.len()];
        let request = self.client.post(format!("{address}{path}")).bearer_auth(&player.token).json(body);
        let response =
            request.header("idempotency-key", key).timeout(Duration::from_secs(5)).send().await.ok()?;
        if response.status() != 200 {
            return None;
        }
        response.json().await.ok()
    }

    /// Plays until `stop`. Returns the last acknowledged score.
    async fn play(&self, player: &Player) -> u64 {
        let (mut score, mut turn) = (0, player.identity.number as usize);
        while !self.stop.load(Ordering::Relaxed) {
            let init = self
                .post(turn, "/api/v1/actions/init", player, "-", &json!({ "actionType": "watch_ad" }))
                .await;
            let Some(issued) = init else {
                turn += 1;
                continue;
            };
            let body = json!({ "antiSpamToken": issued["antiSpamToken"] });
            let key = Uuid::new_v4().to_string();
            // Retry at the next node until one acknowledges the award.
            for _ in 0..200 {
                turn += 1;
                if let Some(response) = self.post(turn, "/api/v1/actions/finalize", player, &key, &body).await
                {
                    score = response["newScore"].as_u64().unwrap();
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
        score
    }

    /// Waits until `more` awards are acknowledged.
    async fn wait_for_awards(&self, more: usize) {
        let target = self.acknowledged.load(Ordering::Relaxed) + more;
        eventually("more awards", async || {
            (self.acknowledged.load(Ordering::Relaxed) >= target).then_some(())
        })
        .await;
    }
}

/// Causes faults while players earn awards, and checks that each acknowledged award counts.
async fn run_under_load(seed: &TestNode, addresses: &[String], faults: impl AsyncFnOnce(&Load<'_>)) {
    let players = seed.create_players(12).await;
    let load = Load {
        client: reqwest::Client::new(),
        addresses,
        stop: AtomicBool::new(false),
        acknowledged: AtomicUsize::new(0),
    };
    let play = stream::iter(&players).map(|player| load.play(player)).buffered(12).collect::<Vec<u64>>();
    let faults = async {
        faults(&load).await;
        load.stop.store(true, Ordering::Relaxed);
    };
    let (acknowledged, ()) = futures::join!(play, faults);
    let ids: Vec<_> = players.iter().map(|it| it.identity.user).collect();
    let actual = eventually("Redis to answer", async || seed.app.store.totals(&ids).await.ok()).await;
    let lost: HashMap<_, _> = players
        .iter()
        .zip(acknowledged.iter().zip(actual))
        .filter(|(_, (acknowledged, actual))| actual.board.unwrap_or(0) != **acknowledged)
        .map(|(player, scores)| (player.identity.number, scores))
        .collect();
    assert!(lost.is_empty(), "acknowledged and actual scores: {lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_killed_under_load() {
    let stores = TestStores::new().await;
    let survivor = stores.start_node().await;
    let settings = [("LAUREL_LIMITS__UPDATES_PER_MINUTE", "0"), ("LAUREL_LIMITS__INITS_PER_MINUTE", "0")];
    let mut first = stores.start_process(&settings).await;
    let mut second = stores.start_process(&settings).await;
    let addresses = [survivor.base.clone(), first.base.clone(), second.base.clone()];
    run_under_load(&survivor, &addresses, async |load| {
        load.wait_for_awards(25).await;
        first.kill();
        load.wait_for_awards(25).await;
        second.kill();
        load.wait_for_awards(25).await;
    })
    .await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_under_load() {
    let mut stores = TestStores::new().await;
    let (one, two) = (stores.start_node().await, stores.start_node().await);
    let addresses = [one.base.clone(), two.base.clone()];
    let redis = &mut stores.redis;
    run_under_load(&one, &addresses, async |load| {
        for _ in 0..3 {
            load.wait_for_awards(25).await;
            redis.kill().await;
            redis.restart().await;
        }
        load.wait_for_awards(25).await;
    })
    .await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_node_drains_and_exits_with_zero() {
    let stores = TestStores::new().await;
    let survivor = stores.start_node().await;
    let settings = [
        ("LAUREL_LIMITS__UPDATES_PER_MINUTE", "0"),
        ("LAUREL_LIMITS__INITS_PER_MINUTE", "0"),
        ("LAUREL_SERVER__DRAIN_SECONDS", "2"),
    ];
    let mut terminated = stores.start_process(&settings).await;
    let addresses = [survivor.base.clone(), terminated.base.clone()];
    let mut exit = None;
    run_under_load(&survivor, &addresses, async |load| {
        load.wait_for_awards(25).await;
        exit = terminated.terminate();
        load.wait_for_awards(25).await;
    })
    .await;
    assert_eq!(exit, Some(0));
    assert_ledger_matches(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_outbox_refuses_awards() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|it| it.outbox.max_entries = 6).await;
    let ada = node.register("ada").await;
    eventually("the outbox to be full", async || {
        let mut redis_client = stores.redis_client().await;
        // Unreadable entries may stay in the outbox.
        let _: redis::Value = redis_client.query("XADD outbox * kind unknown").await;
        (node.get("/readyz/awards").await.status == 503).then_some(())
    })
    .await;
    node.init(&ada, "watch_ad").await.assert_refused(503, "SERVICE_UNAVAILABLE");
    let _: u64 = stores.redis_client().await.query("XTRIM outbox MAXLEN 0").await;
    eventually("awards to be open again", async || {
        (node.init(&ada, "watch_ad").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn awards_go_on_while_postgres_refuses_writes() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let players = node.create_players(5).await;
    // A lock blocks writes to Postgres.
    let holder = stores.block_ledger_writes().await;
    for player in &players {
        for _ in 0..20 {
            node.award(player, "watch_ad").await;
        }
    }
    let written: i64 =
        sqlx::query_scalar("SELECT count(*) FROM score_history").fetch_one(&node.app.database).await.unwrap();
    assert_eq!(written, 0);
    assert!(node.app.store.poll_state().await.unwrap().outbox >= 100, "all awards are in the outbox");
    drop(holder);
    node.wait_for_ledger().await;
    assert_ledger_matches(&stores).await;
}
