//! Leader election.

use sqlx::PgConnection;

use crate::harness::{TestRedis, TestStores, assert_ledger_matches, eventually};

/// Takes the lock from the current leader and sends no more queries.
async fn hold_and_pause(stores: &TestStores) -> PgConnection {
    let app = stores.build_app().await;
    let mut holder = app.database.acquire().await.unwrap().detach();
    let lock = "SELECT pg_advisory_lock(x'6c617572656c'::bigint)";
    let others = "SELECT pg_terminate_backend(pid) FROM pg_locks
                  WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()
                        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let mut ended = app.database.acquire().await.unwrap();
    let (_, locked) =
        futures::join!(async { sqlx::query(others).execute(&mut *ended).await.unwrap() }, async {
            sqlx::query(lock).execute(&mut holder).await.unwrap()
        },);
    assert_eq!(locked.rows_affected(), 1);
    holder
}

#[tokio::test]
async fn an_idle_leader_is_disconnected() {
    let stores = TestStores::new().await;
    let mut paused = hold_and_pause(&stores).await;
    // The node cannot be ready before it leads: no other node opens the board.
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    node.wait_for_ledger().await;
    let late = sqlx::query("SELECT 1").execute(&mut paused).await;
    assert!(late.is_err(), "a disconnected leader cannot write");
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn the_next_leader_writes_what_a_dead_one_left() {
    let stores = TestStores::new().await;
    let mut first = stores.start_process(&[]).await;
    let second = stores.start_node().await;
    let ada = second.register("ada").await;
    first.kill();
    second.award(&ada, "watch_ad").await;
    second.wait_for_ledger().await;
    let leader = eventually("the second node to become the leader", async || {
        let text = second.get("/metrics").await.text;
        text.lines().find(|it| *it == "laurel_ledger_leader 1").map(str::to_owned)
    })
    .await;
    assert!(!leader.is_empty());
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn a_locked_row_delays_the_ledger_and_skips_nothing() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let mut holder = node.app.database.begin().await.unwrap();
    sqlx::query("SELECT seq FROM ledger_heads FOR UPDATE").execute(&mut *holder).await.unwrap();
    node.award(&ada, "watch_ad").await;
    // Longer than one attempt to acquire the leader lock.
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
                 AND query_start < clock_timestamp() - interval '1.5 s'";
    eventually("the leader to wait", async || {
        let waiting: i64 = sqlx::query_scalar(waits).fetch_one(&node.app.database).await.unwrap();
        (waiting == 1).then_some(())
    })
    .await;
    holder.rollback().await.unwrap();
    node.wait_for_ledger().await;
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn a_command_with_another_redis_than_the_leader_fails() {
    let mut stores = TestStores::with_shards(1).await;
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    let lock = stores.block_ledger_writes().await;
    for _ in 0..3 {
        node.award(&ada, "watch_ad").await;
    }
    stores.redis.kill().await;
    let copy = stores.redis.copy_data();
    stores.redis.restart().await;
    drop(lock);
    node.wait_for_ledger().await;
    // A second server with the same data, which is a mistake. The node keeps using the first.
    let mut other = TestRedis::start(&stores.folder.path().join("other")).await;
    other.kill().await;
    other.restore_data(&copy);
    other.restart().await;
    // At least the awards: `issued` entries may be written while `score_history` is locked, if they are a batch of their own.
    let waiting: u64 = other.redis_client().await.query("XLEN outbox").await;
    assert!(waiting >= 3, "{waiting}");
    let first = std::mem::replace(&mut stores.config.redis.url, other.url.clone().into());
    let waited =
        laurel::ledger::await_board(&stores.build_app().await.ledger, |_| ()).await.unwrap_err().to_string();
    let expected = format!("the {waiting} entries in the outbox");
    assert!(waited.contains(&expected) && waited.contains("another Redis"), "{waited}");
    stores.config.redis.url = first;
    assert_ledger_matches(&stores).await;
}
