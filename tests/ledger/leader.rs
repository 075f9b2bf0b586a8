//! Leader election.

use sqlx::PgConnection;

use crate::harness::{TestRedis, TestStores, assert_ledger_matches, eventually};

/// Takes the leader lock from the current leader. The returned connection is idle until the test uses it.
async fn take_leader_lock(stores: &TestStores) -> PgConnection {
    let app = stores.build_app().await;
    let mut holder = app.database.acquire().await.unwrap().detach();
    let lock = "SELECT pg_advisory_lock(x'6c617572656c'::bigint)";
    let end_others = "SELECT pg_terminate_backend(pid) FROM pg_locks
                  WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()
                        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let mut connection = app.database.acquire().await.unwrap();
    let (_, locked) =
        futures::join!(async { sqlx::query(end_others).execute(&mut *connection).await.unwrap() }, async {
            sqlx::query(lock).execute(&mut holder).await.unwrap()
        },);
    assert_eq!(locked.rows_affected(), 1);
    holder
}

#[tokio::test]
async fn an_idle_leader_is_disconnected() {
    let stores = TestStores::new().await;
    let mut paused = take_leader_lock(&stores).await;
    // The node is ready only when it is the leader: no other node opens the board.
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    node.wait_for_ledger().await;
    let write = sqlx::query("SELECT 1").execute(&mut paused).await;
    assert!(write.is_err(), "a disconnected leader cannot write");
    assert_ledger_matches(&stores).await;
}

#[tokio::test]
async fn a_new_leader_writes_the_entries_of_a_dead_one() {
    let stores = TestStores::new().await;
    let mut first = stores.start_process(&[]).await;
    let second = stores.start_node().await;
    let ada = second.register("ada").await;
    first.kill();
    second.award(&ada, "watch_ad").await;
    second.wait_for_ledger().await;
    let leader = eventually("the second node to become the leader", async || {
        let text = second.get("/metrics").await.text;
        text.lines().find(|line| *line == "laurel_ledger_leader 1").map(str::to_owned)
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
    // For longer than one attempt to acquire the leader lock takes.
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
                 AND query_start < clock_timestamp() - interval '1.5 s'";
    eventually("the leader to wait", async || {
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&node.app.database).await.unwrap();
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
    // By mistake there is a second server with the same data. The node continues with the first.
    let mut other = TestRedis::start(&stores.folder.path().join("other")).await;
    other.kill().await;
    other.restore_data(&copy);
    other.restart().await;
    // At least the awards: `issued` entries may be written while `score_history` is locked, if they are a batch of their own.
    let waiting: u64 = other.redis_client().await.query("XLEN outbox").await;
    assert!(waiting >= 3, "{waiting}");
    let first = std::mem::replace(&mut stores.config.redis.url, other.url.clone().into());
    let error =
        laurel::ledger::await_board(&stores.build_app().await.ledger, |_| ()).await.unwrap_err().to_string();
    let expected = format!("the {waiting} entries in the outbox");
    assert!(error.contains(&expected) && error.contains("another Redis"), "{error}");
    stores.config.redis.url = first;
    assert_ledger_matches(&stores).await;
}
