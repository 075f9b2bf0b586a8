//! Connections to Postgres: through PgBouncer, without rights, and canceled in the middle of a `BEGIN`.

use std::time::Duration;

use laurel::db::begin;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, Row};

use crate::harness::{PgBouncer, TestPostgres, TestStores, assert_ledger_matches, eventually};

async fn start_behind_pooler(settings: &str) -> (TestStores, TestPostgres, PgBouncer) {
    let (mut stores, postgres) = TestStores::with_own_postgres().await;
    let folder = stores.folder.path().join("own/postgres");
    let pooler = PgBouncer::start(stores.folder.path(), &folder, settings).await;
    stores.config.postgres.url = pooler.url().into();
    (stores, postgres, pooler)
}

/// Selects the Postgres process whose connection holds the leader lock.
const LEADER_PID: &str = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
                      AND (classid::bigint << 32) | objid::bigint = x'6c617572656c'::bigint";

#[tokio::test]
async fn a_pooler_in_session_mode_works() {
    for settings in ["pool_mode = session", "ignore_startup_parameters = extra_float_digits, options"] {
        let (stores, _postgres, mut pooler) = start_behind_pooler(settings).await;
        let node = stores.start_node().await;
        let ada = node.register("ada").await;
        node.award(&ada, "watch_ad").await;
        node.wait_for_ledger().await;
        // Each session has the timeout for idle transactions.
        let mut sessions = Vec::new();
        for _ in 0..stores.config.postgres.max_connections - 1 {
            sessions.push(node.app.database.acquire().await.unwrap());
        }
        for session in &mut sessions {
            let show = "SHOW idle_in_transaction_session_timeout";
            let idle: String = sqlx::query_scalar(show).fetch_one(&mut **session).await.unwrap();
            assert_eq!(idle, "10s", "{settings}");
        }
        drop(sessions);
        let leader: i32 = sqlx::query_scalar(LEADER_PID).fetch_one(&node.app.database).await.unwrap();

        // All sessions end at once, and with them the leader lock.
        pooler.kill();
        node.award(&ada, "watch_ad").await;
        pooler.restart().await;
        node.wait_for_ledger().await;
        let next: i32 = sqlx::query_scalar(LEADER_PID).fetch_one(&node.app.database).await.unwrap();
        assert_ne!(leader, next);
        assert_ledger_matches(&stores).await;
        node.stop().await;
    }
}

#[tokio::test]
async fn an_idle_leader_behind_a_pooler_is_disconnected() {
    let (stores, _postgres, _pooler) = start_behind_pooler("pool_mode = session").await;
    let first = stores.build_app().await;
    let mut paused = first.database.acquire().await.unwrap();
    let lock = "SELECT pg_advisory_lock(x'6c617572656c'::bigint)";
    sqlx::query(lock).execute(&mut *paused).await.unwrap();
    let node = stores.start_node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    node.wait_for_ledger().await;
    assert!(
        sqlx::query("SELECT 1").execute(&mut *paused).await.is_err(),
        "a disconnected leader cannot write"
    );
}

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_refused() {
    for (settings, hint) in [
        ("pool_mode = transaction", "pool_mode"),
        ("pool_mode = transaction\nserver_round_robin = 1", "pool_mode"),
        ("pool_mode = transaction\nmin_pool_size = 3", "pool_mode"),
        ("pool_mode = statement", "statement pooling"),
    ] {
        let (stores, _postgres, _pooler) = start_behind_pooler(settings).await;
        // The second attempt gets connections that the first left in the pool.
        for _ in 0..2 {
            let error = laurel::db::connect(&stores.config.postgres, "laurel").await.unwrap_err().to_string();
            assert!(error.contains(hint), "{settings}: {error}");
        }
    }
}

/// Lost rights cause 503 until they are restored.
#[tokio::test]
async fn a_postgres_without_rights_counts_as_unavailable() {
    let (stores, postgres) = TestStores::with_own_postgres().await;
    let node = stores.start_node().await;
    let mut operator = PgConnection::connect(&postgres.url.replace("/laurel?", "/postgres?")).await.unwrap();
    let disconnect = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'laurel'";
    let changes = [
        ("ALTER DATABASE laurel SET default_transaction_read_only = on", "ALTER DATABASE laurel RESET ALL"),
        ("ALTER DATABASE laurel SET role = pg_monitor", "ALTER DATABASE laurel RESET ALL"),
        ("ALTER ROLE laurel NOLOGIN", "ALTER ROLE laurel LOGIN"),
        ("ALTER DATABASE laurel ALLOW_CONNECTIONS false", "ALTER DATABASE laurel ALLOW_CONNECTIONS true"),
    ];
    for (number, (change, undo)) in changes.into_iter().enumerate() {
        sqlx::raw_sql(change).execute(&mut operator).await.unwrap();
        sqlx::raw_sql(disconnect).execute(&mut operator).await.unwrap();
        let username = format!("ada{number}");
        let body = serde_json::json!({ "username": username, "email": format!("{username}@example.com"), "password": "correct horse" });
        eventually(change, async || {
            let response = node.post("/api/auth/register", "", &body).await;
            (response.status == 503 && response.header("retry-after") == "1").then_some(())
        })
        .await;
        sqlx::raw_sql(undo).execute(&mut operator).await.unwrap();
        sqlx::raw_sql(disconnect).execute(&mut operator).await.unwrap();
        eventually(undo, async || {
            (node.post("/api/auth/register", "", &body).await.status == 201).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_canceled_begin_leaves_no_transaction_in_the_pool() {
    let stores = TestStores::new().await;
    let pool =
        PgPoolOptions::new().max_connections(1).connect(stores.config.postgres.url.expose()).await.unwrap();
    for microseconds in 0..200 {
        let begin = begin(&pool, "BEGIN");
        drop(tokio::time::timeout(Duration::from_micros(microseconds), begin).await);
        // In an open transaction, now() is the start of the transaction.
        let row = sqlx::raw_sql("SELECT now() = statement_timestamp()").fetch_one(&pool).await.unwrap();
        let is_idle: bool = row.get(0);
        assert!(is_idle, "after {microseconds} µs a transaction was left open");
    }
}
