//! Things that die in the middle. Afterwards every acknowledged award is there once, and the ledger agrees.

mod clock_back;
mod postgres_away;
mod redis_away;
mod redis_refuses;
mod replicas;
mod rights;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Player, TestNode, World, assert_verified, eventually};

/// Between a player's awards, so that what a fault stops is not stopped by a busy machine before.
const PAUSE: Duration = Duration::from_millis(300);

/// Players who award themselves over some addresses until they are stopped, retrying under an idempotency key, as the
/// contract tells clients to.
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

    /// Plays until the stop; gives the last total that was acknowledged.
    async fn play(&self, player: &Player) -> u64 {
        let (mut total, mut turn) = (0, player.identity.number as usize);
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
            // A lost answer is asked for again, on the next node, until there is one.
            for _ in 0..200 {
                turn += 1;
                if let Some(answer) = self.post(turn, "/api/v1/actions/finalize", player, &key, &body).await {
                    total = answer["newScore"].as_u64().unwrap();
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
        total
    }

    /// Waits for so many more acknowledged awards.
    async fn wait_for(&self, more: usize) {
        let until = self.acknowledged.load(Ordering::Relaxed) + more;
        eventually("more awards", async || {
            (self.acknowledged.load(Ordering::Relaxed) >= until).then_some(())
        })
        .await;
    }
}

async fn under_load(seed: &TestNode, addresses: &[String], faults: impl AsyncFnOnce(&Load<'_>)) {
    let players = seed.players(12).await;
    let load = Load {
        client: reqwest::Client::new(),
        addresses,
        stop: AtomicBool::new(false),
        acknowledged: AtomicUsize::new(0),
    };
    let play = stream::iter(&players).map(|it| load.play(it)).buffered(12).collect::<Vec<u64>>();
    let faults = async {
        faults(&load).await;
        load.stop.store(true, Ordering::Relaxed);
    };
    let (totals, ()) = futures::join!(play, faults);
    let ids: Vec<_> = players.iter().map(|it| it.identity.user).collect();
    let there = eventually("Redis to answer", async || seed.app.store.totals(&ids).await.ok()).await;
    let lost: HashMap<_, _> = players
        .iter()
        .zip(totals.iter().zip(there))
        .filter(|(_, (acknowledged, there))| there.board.unwrap_or(0) != **acknowledged)
        .map(|(player, it)| (player.identity.number, it))
        .collect();
    assert!(lost.is_empty(), "acknowledged, and there: {lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_killed_under_load() {
    let world = World::new().await;
    let survivor = world.node().await;
    let settings = [("LAUREL_LIMITS__UPDATES_PER_MINUTE", "0"), ("LAUREL_LIMITS__INITS_PER_MINUTE", "0")];
    let mut first = world.process(&settings).await;
    let mut second = world.process(&settings).await;
    let addresses = [survivor.base.clone(), first.base.clone(), second.base.clone()];
    under_load(&survivor, &addresses, async |load| {
        load.wait_for(25).await;
        first.kill();
        load.wait_for(25).await;
        second.kill();
        load.wait_for(25).await;
    })
    .await;
    assert_verified(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_under_load() {
    let mut world = World::new().await;
    let (one, two) = (world.node().await, world.node().await);
    let addresses = [one.base.clone(), two.base.clone()];
    let redis = &mut world.redis;
    under_load(&one, &addresses, async |load| {
        for _ in 0..3 {
            load.wait_for(25).await;
            redis.kill().await;
            redis.restart().await;
        }
        load.wait_for(25).await;
    })
    .await;
    assert_verified(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_node_drains_and_exits_with_zero() {
    let world = World::new().await;
    let survivor = world.node().await;
    let settings = [
        ("LAUREL_LIMITS__UPDATES_PER_MINUTE", "0"),
        ("LAUREL_LIMITS__INITS_PER_MINUTE", "0"),
        ("LAUREL_SERVER__DRAIN_SECONDS", "2"),
    ];
    let mut leaving = world.process(&settings).await;
    let addresses = [survivor.base.clone(), leaving.base.clone()];
    let mut exit = None;
    under_load(&survivor, &addresses, async |load| {
        load.wait_for(25).await;
        exit = leaving.terminate();
        load.wait_for(25).await;
    })
    .await;
    assert_eq!(exit, Some(0));
    assert_verified(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_that_is_full_refuses_awards_until_it_is_written() {
    let world = World::new().await;
    let node = world.node_with(|it| it.outbox.max_entries = 6).await;
    let ada = node.register("ada").await;
    eventually("the outbox to be full", async || {
        let mut busy = world.look().await;
        // Entries that no consumer of ours may have: nobody writes them.
        let _: redis::Value = busy.ask("XADD outbox * kind unknown").await;
        (node.get("/readyz/awards").await.status == 503).then_some(())
    })
    .await;
    node.init(&ada, "watch_ad").await.assert_refused(503, "SERVICE_UNAVAILABLE");
    let _: u64 = world.look().await.ask("XTRIM outbox MAXLEN 0").await;
    eventually("awards to be open again", async || {
        (node.init(&ada, "watch_ad").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn awards_go_on_while_postgres_is_away_and_are_written_when_it_is_back() {
    let world = World::new().await;
    let node = world.node().await;
    let players = node.players(5).await;
    // Postgres is there but lets nobody write.
    let holder = world.nobody_writes().await;
    for player in &players {
        for _ in 0..20 {
            node.award(player, "watch_ad").await;
        }
    }
    let written: i64 =
        sqlx::query_scalar("SELECT count(*) FROM score_history").fetch_one(&node.app.database).await.unwrap();
    assert_eq!(written, 0);
    assert!(node.app.store.poll_state().await.unwrap().outbox >= 100, "all of them wait");
    drop(holder);
    node.written().await;
    assert_verified(&world).await;
}
