//! `open_board`, `raise_version`, `begin_load`, and the reasons that keep a board closed. The users are in the first shard.

use std::sync::Arc;

use laurel::store::{AdminRefusal, OLDEST, Redeem, ScriptRefusal, Standing, Store};
use uuid::Uuid;

use super::admin::{adjustment, restriction};
use super::first_shard_user as user;
use super::{INVALID_PROOF, award, board_entry, redeem, token};
use crate::harness::{RedisClient, TestStores, eventually, open_board};

#[tokio::test]
async fn a_board_is_open_only_in_the_compared_run() {
    let mut stores = TestStores::new().await;
    let store = stores.open_store().await;
    award(&store, user(1), 10).await;
    let (id, before) = (token(&store, user(1)).await, store.poll_shard_state(0).await.unwrap());
    assert!(before.open && before.epoch == 1);
    stores.redis.kill().await;
    stores.redis.restart().await;
    let after = loop {
        if let Ok(state) = store.poll_shard_state(0).await {
            break state;
        }
    };
    assert!(!after.open && after.epoch == 1 && after.run != before.run && after.hlc_us == before.hlc_us);
    assert_eq!(store.redeem(&redeem(user(1), &id)).await.unwrap().outcome, Err(ScriptRefusal::BoardClosed));
    assert_eq!(store.open_board(0, &before.run, 2, 0, 0, None).await.unwrap(), None, "that run has ended");
    assert!(!store.poll_shard_state(0).await.unwrap().open);
    assert_eq!(store.open_board(0, &after.run, 2, 0, 0, None).await.unwrap(), Some(0));
    assert!(store.poll_shard_state(0).await.unwrap().open);
    assert!(matches!(
        store.redeem(&redeem(user(1), &id)).await.unwrap().outcome,
        Ok(awarded) if awarded.score == 20
    ));
}

/// Makes awards in every shard until no script reads the run id from Redis: then the scripts are bound to the run.
async fn bind_scripts(stores: &TestStores, store: &Arc<Store>) {
    let user_of = |shard| (0..).map(Uuid::from_u128).find(|user| store.shard_number(*user) == shard);
    let users: Vec<Uuid> = (0..store.shard_count()).filter_map(user_of).collect();
    eventually("the scripts to be bound", async || {
        let mut redis_client = stores.redis_client().await;
        let _: String = redis_client.query("CONFIG RESETSTAT").await;
        for user in &users {
            award(store, *user, 10).await;
        }
        let stats: String = redis_client.query("INFO commandstats").await;
        (!stats.contains("cmdstat_info:")).then_some(())
    })
    .await;
}

/// Also with several shards: each award that changes the merged board checks the run.
#[tokio::test]
async fn bound_scripts_do_not_read_the_run_id() {
    for stores in
        [TestStores::with_shards(1).await, TestStores::with_shards(8).await, TestStores::on_cluster(8).await]
    {
        bind_scripts(&stores, &stores.open_store().await).await;
    }
}

#[tokio::test]
async fn a_bound_script_refuses_after_a_restart() {
    let mut stores = TestStores::new().await;
    let store = stores.open_store().await;
    open_board(&store).await;
    bind_scripts(&stores, &store).await;
    let id = token(&store, user(1)).await;
    stores.redis.kill().await;
    stores.redis.restart().await;
    let closed = eventually("Redis to answer", async || store.redeem(&redeem(user(1), &id)).await.ok()).await;
    assert_eq!(closed.outcome, Err(ScriptRefusal::BoardClosed));
    eventually("every shard to answer", async || store.poll_state().await.ok()).await;
    open_board(&store).await;
    bind_scripts(&stores, &store).await;
    let _: String = stores.redis_client().await.query("SCRIPT FLUSH").await;
    award(&store, user(1), 10).await;
    bind_scripts(&stores, &store).await;
}

#[tokio::test]
async fn a_redis_with_an_earlier_epoch_accepts_no_award() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    open_board(&store).await;
    let id = token(&store, user(1)).await;
    // As if the nodes had used another Redis in between.
    let _: i64 = stores.redis_client().await.query("HSET shard:state epoch 1").await;
    assert_eq!(store.redeem(&redeem(user(1), &id)).await.unwrap().outcome, Err(ScriptRefusal::BoardClosed));
    assert!(!store.poll_shard_state(0).await.unwrap().open);
}

#[tokio::test]
async fn an_opened_or_raised_board_is_newer_than_the_published_one() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    award(&store, user(1), 10).await;
    let state = store.poll_shard_state(0).await.unwrap();
    let shown = state.version + 3_600_000_000;
    store.open_board(0, &state.run, 2, shown, 0, None).await.unwrap().unwrap();
    assert!(store.poll_shard_state(0).await.unwrap().version > shown);
    // With several shards, the node that finds the merged board behind raises its version separately.
    let merged = store.shard_count() > 1;
    if merged {
        store.raise_version(shown, 0).await.unwrap();
    }
    let raised = store.poll(shown, i64::MAX).await.unwrap();
    assert!(raised.version > shown && raised.top.len() == 1);
    assert_eq!(store.raise_version(shown, 0).await.unwrap(), 0);
    let version = async || store.poll(shown, i64::MAX).await.unwrap().version;
    assert_eq!(version().await, raised.version, "an older version changes nothing");
    store.raise_version(raised.version + 5, 0).await.unwrap();
    let again = store.poll(raised.version + 5, i64::MAX).await.unwrap();
    assert_eq!(again.top, raised.top, "the same board under a newer version");
    if !merged {
        store.close_board().await.unwrap();
        store.raise_version(again.version + 5, 0).await.unwrap();
        assert_eq!(version().await, again.version, "a closed board keeps its version");
    }
}

#[tokio::test]
async fn a_load_ends_when_another_begins() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    award(&store, user(1), 10).await;
    let run = store.poll_shard_state(0).await.unwrap().run;
    let paused = store.begin_load(0).await.unwrap();
    assert!(!store.poll_shard_state(0).await.unwrap().open, "the board is closed during a load");
    assert_eq!(store.open_board(0, &run, 2, 0, 0, None).await.unwrap(), None, "the load is not finished");
    let next = store.begin_load(0).await.unwrap();
    next.totals(&[Standing::of(user(1), 30)]).await.unwrap();
    assert!(paused.totals(&[Standing::of(user(1), 20)]).await.is_err());
    assert!(paused.load([["DEL", "leaderboard:global"].map(str::to_owned).to_vec()]).await.is_err());
    assert!(paused.empty_some(0, true).await.is_err());
    assert_eq!(store.open_board(0, &run, 3, 0, 0, Some(&paused)).await.unwrap(), None);
    assert_eq!(store.open_board(0, &run, 3, 0, 0, Some(&next)).await.unwrap(), Some(0));
    assert!(next.totals(&[Standing::of(user(1), 40)]).await.is_err(), "the load is finished");
    assert_eq!(store.open_board(0, &run, 3, 0, 0, None).await.unwrap(), None, "the epoch must grow");
    let state = store.poll_shard_state(0).await.unwrap();
    assert_eq!((state.open, state.epoch, state.loaded), (true, 3, 1));
    assert_eq!(store.standing(user(1)).await.unwrap(), Some((30, Some(1))));
}

#[tokio::test]
async fn a_run_ends_when_redis_becomes_a_replica() {
    for shards in [1, 4] {
        let stores = TestStores::with_shards(shards).await;
        let store = stores.open_store().await;
        bind_scripts(&stores, &store).await;
        let (id, before) = (token(&store, user(1)).await, store.poll_shard_state(0).await.unwrap());
        let shown = store.poll(0, i64::MAX).await.unwrap();
        // The data is the same here, but after a real failover it may differ.
        let mut redis_client = stores.redis_client().await;
        let _: () = redis_client.query("REPLICAOF 127.0.0.1 1").await;
        let _: () = redis_client.query("REPLICAOF NO ONE").await;
        assert!(!store.poll(0, i64::MAX).await.unwrap().shows);
        let after = store.poll_shard_state(0).await.unwrap();
        assert!(!after.open && after.run != before.run && after.run[..40] == before.run[..40]);
        let closed = store.redeem(&redeem(user(1), &id)).await.unwrap();
        assert_eq!(closed.outcome, Err(ScriptRefusal::BoardClosed), "no script is bound to the new run");
        assert_eq!(
            store.open_board(0, &before.run, 2, 0, 0, None).await.unwrap(),
            None,
            "that run has ended"
        );
        open_board(&store).await;
        assert_eq!(store.poll(0, i64::MAX).await.unwrap().top, shown.top);
        let awarded = store.redeem(&redeem(user(1), &id)).await.unwrap();
        assert!(awarded.outcome.is_ok());
        bind_scripts(&stores, &store).await;
    }
}

#[tokio::test]
async fn a_board_behind_a_node_accepts_no_award() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    award(&store, user(1), 10).await;
    let older = store.poll_shard_state(0).await.unwrap().hlc_us;
    award(&store, user(1), 10).await;
    let (id, newest) = (token(&store, user(1)).await, store.latest_position(0));
    assert!(newest.hlc_us > older, "an award's reply has the HLC of the board");
    let mut redis_client = stores.redis_client().await;
    let set_back = format!("HSET shard:state hlc_us {older}");
    let _: i64 = redis_client.query(&set_back).await;
    assert_eq!(store.redeem(&redeem(user(1), &id)).await.unwrap().outcome, Err(ScriptRefusal::BoardClosed));
    let behind = store.poll_shard_state(0).await.unwrap();
    assert!(!behind.open && behind.behind && behind.epoch == newest.epoch);
    // The next epoch continues from any HLC.
    store.open_board(0, &behind.run, newest.epoch + 1, 0, 0, None).await.unwrap().unwrap();
    // With several shards, `open_board` polls the opened shard, so the node has an HLC of this epoch.
    if store.shard_count() == 1 {
        let _: i64 = redis_client.query(&set_back).await;
    }
    assert!(store.poll_shard_state(0).await.unwrap().open, "the node has no HLC of this epoch yet");
    assert!(matches!(
        store.redeem(&redeem(user(1), &id)).await.unwrap().outcome,
        Ok(awarded) if awarded.score == 30
    ));
}

/// The state of the shard, and of its board.
async fn read_states(redis_client: &mut RedisClient) -> [Vec<String>; 2] {
    [
        redis_client.query("HGETALL shard:state").await,
        redis_client.query("HGETALL leaderboard:global:state").await,
    ]
}

/// An older copy of Redis in the same run looks like this. A change by an admin or the ledger's leader would make it newer than the ledger.
#[tokio::test]
async fn a_board_behind_a_node_is_not_changed() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    award(&store, user(1), 10).await;
    let mut redis_client = stores.redis_client().await;
    let _: i64 = redis_client.query("HINCRBY shard:state hlc_us -1").await;
    let before = read_states(&mut redis_client).await;
    let candidate = board_entry(user(2), 50, 1);
    let refilled = store.refill_top(0, &[candidate], 0, None).await.unwrap();
    assert!(!refilled.top_is_complete && refilled.flush_due_ms == 0);
    let ban = restriction(user(1), (true, false), &[]);
    assert_eq!(store.apply_restrictions(&ban).await.unwrap().unwrap_err(), AdminRefusal::Unavailable);
    let adjust = adjustment(user(1), Some(5), &[]);
    assert_eq!(store.adjust(&adjust).await.unwrap().unwrap_err(), AdminRefusal::Unavailable);
    assert_eq!(read_states(&mut redis_client).await, before);
    assert_eq!(redis_client.query::<i64>(&format!("EXISTS ban:{}", user(1))).await, 0);
    let (run, epoch) = (store.poll_shard_state(0).await.unwrap().run, store.latest_position(0).epoch + 1);
    store.open_board(0, &run, epoch, 0, 0, None).await.unwrap().unwrap();
    store.apply_restrictions(&ban).await.unwrap().unwrap();
    assert_eq!(redis_client.query::<i64>(&format!("EXISTS ban:{}", user(1))).await, 1);
}

#[tokio::test]
async fn a_failed_proof_advances_the_hlc() {
    let stores = TestStores::new().await;
    let store = stores.open_store().await;
    award(&store, user(1), 10).await;
    let (id, before) = (token(&store, user(1)).await, store.poll_shard_state(0).await.unwrap().hlc_us);
    let failed = Redeem { verdict: &INVALID_PROOF, ..redeem(user(1), &id) };
    assert!(matches!(store.redeem(&failed).await.unwrap().outcome, Err(ScriptRefusal::ProofInvalid { .. })));
    let after = store.poll_shard_state(0).await.unwrap().hlc_us;
    assert!(after > before);
    let (entries, _, _) = store.entries_after(0, OLDEST, 100).await.unwrap();
    assert_eq!(entries.last().unwrap().hlc_us(), Some(after), "the ledger gets the HLC");
}
