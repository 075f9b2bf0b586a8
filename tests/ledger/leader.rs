//! Who writes the ledger.

use sqlx::PgConnection;

use crate::harness::{KeptRedis, World, assert_verified, eventually};

/// Takes the lead away from whoever has it, and asks nothing.
async fn hold_and_pause(world: &World) -> PgConnection {
    let app = world.app().await;
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
async fn a_leader_that_asks_nothing_is_ended() {
    let world = World::new().await;
    let mut paused = hold_and_pause(&world).await;
    // A node cannot be ready before it has the lead: nobody else opens its board.
    let node = world.node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    node.written().await;
    let late = sqlx::query("SELECT 1").execute(&mut paused).await;
    assert!(late.is_err(), "whoever was ended cannot write any more");
    assert_verified(&world).await;
}

#[tokio::test]
async fn what_a_dead_leader_left_is_written_by_the_next() {
    let world = World::new().await;
    let mut first = world.process(&[]).await;
    let second = world.node().await;
    let ada = second.register("ada").await;
    first.kill();
    second.award(&ada, "watch_ad").await;
    second.written().await;
    let leads = eventually("the second node to lead", async || {
        let text = second.get("/metrics").await.text;
        text.lines().find(|it| *it == "laurel_ledger_leader 1").map(str::to_owned)
    })
    .await;
    assert!(!leads.is_empty());
    assert_verified(&world).await;
}

#[tokio::test]
async fn a_row_that_somebody_holds_delays_the_ledger_and_skips_nothing() {
    let world = World::new().await;
    let node = world.node().await;
    let ada = node.register("ada").await;
    let mut holder = node.app.database.begin().await.unwrap();
    sqlx::query("SELECT seq FROM ledger_heads FOR UPDATE").execute(&mut *holder).await.unwrap();
    node.award(&ada, "watch_ad").await;
    // Longer than the leader waits for its lead.
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
                 AND query_start < clock_timestamp() - interval '1.5 s'";
    eventually("the leader to wait", async || {
        let waiting: i64 = sqlx::query_scalar(waits).fetch_one(&node.app.database).await.unwrap();
        (waiting == 1).then_some(())
    })
    .await;
    holder.rollback().await.unwrap();
    node.written().await;
    assert_verified(&world).await;
}

#[tokio::test]
async fn a_command_at_another_redis_than_the_leaders_says_so() {
    let mut world = World::with_shards(1).await;
    let node = world.node().await;
    let ada = node.register("ada").await;
    let lock = world.nobody_writes().await;
    for _ in 0..3 {
        node.award(&ada, "watch_ad").await;
    }
    world.redis.kill().await;
    let copy = world.redis.copy_data();
    world.redis.restart().await;
    drop(lock);
    node.written().await;
    // A second server on the same data, as nobody should start one. The node goes on with the first.
    let mut other = KeptRedis::start(&world.folder.path().join("other")).await;
    other.kill().await;
    other.restore_data(&copy);
    other.restart().await;
    // At least the awards; who began an action is written while `score_history` is locked, if it is a batch of its own.
    let waiting: u64 = other.look().await.ask("XLEN outbox").await;
    assert!(waiting >= 3, "{waiting}");
    let first = std::mem::replace(&mut world.config.redis.url, other.url.clone().into());
    let waited = laurel::ledger::wait_open(&*world.app().await, |_| ()).await.unwrap_err().to_string();
    let expected = format!("{waiting} entries wait in its outbox");
    assert!(waited.contains(&expected) && waited.contains("another Redis"), "{waited}");
    world.config.redis.url = first;
    assert_verified(&world).await;
}
