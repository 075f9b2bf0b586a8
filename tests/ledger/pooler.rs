//! PgBouncer before Postgres.

use sqlx::{Connection, PgConnection};

use crate::harness::{KeptPostgres, PgBouncer, World, assert_verified, eventually};

async fn pooled(settings: &str) -> (World, KeptPostgres, PgBouncer) {
    let (mut world, postgres) = World::with_postgres().await;
    let folder = world.folder.path().join("own/postgres");
    let pooler = PgBouncer::start(world.folder.path(), &folder, settings).await;
    world.config.postgres.url = pooler.url().into();
    (world, postgres, pooler)
}

/// Whose connection has the ledger's lead.
const LEADER: &str = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
                      AND (classid::bigint << 32) | objid::bigint = x'6c617572656c'::bigint";

#[tokio::test]
async fn a_pooler_that_keeps_sessions_is_like_none() {
    for settings in ["pool_mode = session", "ignore_startup_parameters = extra_float_digits, options"] {
        let (world, _postgres, mut pooler) = pooled(settings).await;
        let node = world.node().await;
        let ada = node.register("ada").await;
        node.award(&ada, "watch_ad").await;
        node.written().await;
        // Each session has what a transaction that is left alone needs to end.
        let mut sessions = Vec::new();
        for _ in 0..world.config.postgres.max_connections - 1 {
            sessions.push(node.app.database.acquire().await.unwrap());
        }
        for session in &mut sessions {
            let show = "SHOW idle_in_transaction_session_timeout";
            let idle: String = sqlx::query_scalar(show).fetch_one(&mut **session).await.unwrap();
            assert_eq!(idle, "10s", "{settings}");
        }
        drop(sessions);
        let leader: i32 = sqlx::query_scalar(LEADER).fetch_one(&node.app.database).await.unwrap();

        // All sessions go at once, and with the leader's its lock.
        pooler.kill();
        node.award(&ada, "watch_ad").await;
        pooler.restart().await;
        node.written().await;
        let next: i32 = sqlx::query_scalar(LEADER).fetch_one(&node.app.database).await.unwrap();
        assert_ne!(leader, next);
        assert_verified(&world).await;
        node.stop().await;
    }
}

#[tokio::test]
async fn behind_a_pooler_a_leader_that_asks_nothing_is_ended() {
    let (world, _postgres, _pooler) = pooled("pool_mode = session").await;
    let first = world.app().await;
    let mut paused = first.database.acquire().await.unwrap();
    let lock = "SELECT pg_advisory_lock(x'6c617572656c'::bigint)";
    sqlx::query(lock).execute(&mut *paused).await.unwrap();
    let node = world.node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    node.written().await;
    assert!(sqlx::query("SELECT 1").execute(&mut *paused).await.is_err(), "it cannot write any more");
}

#[tokio::test]
async fn a_pooler_that_shares_sessions_is_refused() {
    for (settings, hint) in [
        ("pool_mode = transaction", "pool_mode"),
        ("pool_mode = transaction\nserver_round_robin = 1", "pool_mode"),
        ("pool_mode = transaction\nmin_pool_size = 3", "pool_mode"),
        ("pool_mode = statement", "statement pooling"),
    ] {
        let (world, _postgres, _pooler) = pooled(settings).await;
        // The second try meets connections that the first has left there.
        for _ in 0..2 {
            let refused = laurel::ledger::connect(&world.config.postgres).await.unwrap_err().to_string();
            assert!(refused.contains(hint), "{settings}: {refused}");
        }
    }
}

/// What an operator changes while a node runs gets 503, and passes when it is changed back.
#[tokio::test]
async fn a_postgres_that_lets_nobody_in_or_write_is_away() {
    let (world, postgres) = World::with_postgres().await;
    let node = world.node().await;
    let mut operator = PgConnection::connect(&postgres.url.replace("/laurel?", "/postgres?")).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'laurel'";
    let changes = [
        ("ALTER DATABASE laurel SET default_transaction_read_only = on", "ALTER DATABASE laurel RESET ALL"),
        ("ALTER DATABASE laurel SET role = pg_monitor", "ALTER DATABASE laurel RESET ALL"),
        ("ALTER ROLE laurel NOLOGIN", "ALTER ROLE laurel LOGIN"),
        ("ALTER DATABASE laurel ALLOW_CONNECTIONS false", "ALTER DATABASE laurel ALLOW_CONNECTIONS true"),
    ];
    for (number, (change, back)) in changes.into_iter().enumerate() {
        sqlx::raw_sql(change).execute(&mut operator).await.unwrap();
        sqlx::raw_sql(end).execute(&mut operator).await.unwrap();
        let username = format!("ada{number}");
        let body = serde_json::json!({ "username": username, "email": format!("{username}@example.com"), "password": "correct horse" });
        eventually(change, async || {
            let answer = node.post("/api/auth/register", "", &body).await;
            (answer.status == 503 && answer.header("retry-after") == "1").then_some(())
        })
        .await;
        sqlx::raw_sql(back).execute(&mut operator).await.unwrap();
        sqlx::raw_sql(end).execute(&mut operator).await.unwrap();
        eventually(back, async || {
            (node.post("/api/auth/register", "", &body).await.status == 201).then_some(())
        })
        .await;
    }
}
