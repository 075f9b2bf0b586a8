//! The test harness: a Redis and a database for each test, nodes, and players.

mod balancer;
mod cluster;
mod collector;
mod fake_time_redis;
mod node;
mod pgbouncer;
mod process;
mod provider;
mod proxy;
mod redis_client;
mod sentinels;
mod signer;
mod store_processes;
mod test_redis;

pub use balancer::{Balancer, haproxy_path};
pub use cluster::TestCluster;
pub use collector::{Collector, ReceivedSpan};
pub use node::{Player, TestNode, TestResponse, rows};
pub use pgbouncer::PgBouncer;
pub use process::{NodeProcess, laurel_binary, laurel_command};
pub use provider::IdentityProvider;
pub use proxy::Proxy;
pub use redis_client::{RedisClient, connect_redis};
pub use sentinels::TestSentinels;
pub use signer::{Signer, jwks};
pub use store_processes::{DataFile, TestPostgres};
pub use test_redis::TestRedis;

use std::sync::Arc;
use std::time::{Duration, Instant};

use laurel::app::App;
use laurel::clock::Clock;
use laurel::config::{self, Config};
use laurel::ledger::Mismatch;
use laurel::metrics::Metrics;
use laurel::serve::Node;
use laurel::store::{PeriodKey, Store};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

/// The stores of one test.
pub struct TestStores {
    pub config: Config,
    pub redis: TestRedis,
    pub folder: TempDir,
    pub clock: Clock,
}

impl TestStores {
    /// Starts a Redis and creates a database. Rate limits are off: tests of limits set them.
    ///
    /// With `LAUREL_TEST_SHARDS=8` the Redis is a cluster with 8 shards.
    pub async fn new() -> Self {
        match std::env::var("LAUREL_TEST_SHARDS").map_or(1, |shards| shards.parse().unwrap()) {
            1 => Self::with_shards(1).await,
            shards => Self::on_cluster(shards).await,
        }
    }

    /// A single Redis with this number of shards. Ignores `LAUREL_TEST_SHARDS`.
    pub async fn with_shards(shards: usize) -> Self {
        let folder = create_folder();
        Self::on(TestRedis::with_shards(folder.path(), shards).await, folder, shards).await
    }

    /// A cluster. Ignores `LAUREL_TEST_SHARDS`.
    pub async fn on_cluster(shards: usize) -> Self {
        Self::on(TestRedis::on_cluster(shards).await, create_folder(), shards).await
    }

    /// A single Redis whose clock the test sets.
    pub async fn with_fake_clock() -> Self {
        Self::with_fake_clock_and_shards(1).await
    }

    /// A single Redis with this number of shards, whose clock the test sets.
    pub async fn with_fake_clock_and_shards(shards: usize) -> Self {
        let folder = create_folder();
        Self::on(TestRedis::with_fake_clock(folder.path(), shards).await, folder, shards).await
    }

    async fn on(redis: TestRedis, folder: TempDir, shards: usize) -> Self {
        let mut config = config::load([]).unwrap();
        config.redis.url = redis.url.clone().into();
        config.redis.shards = u32::try_from(shards).unwrap();
        config.postgres.max_connections = 4;
        config.auth.jwt_secret = "only for tests, only for tests, only for tests".to_owned().into();
        config.postgres.url = store_processes::create_database(&config).await.into();
        config.server.port = 0;
        config.server.drain_seconds = 1;
        // Long enough for a busy machine. A killed store refuses connections at once. Tests of a time-out set it.
        config.redis.timeout_ms = 10_000;
        config.redis.wait_timeout_ms = 10_000;
        config.postgres.acquire_timeout_ms = 60_000;
        config.server.request_timeout_ms = 60_000;
        config.server.header_timeout_ms = 120_000;
        config.limits.updates_per_minute = 0;
        config.limits.inits_per_minute = 0;
        config.limits.starts_per_hour = 0;
        config.limits.logins_per_minute = 0;
        config.limits.logins_per_minute_per_ip = 0;
        config.limits.registers_per_minute_per_ip = 0;
        config.limits.requests_per_minute_per_ip = 0;
        config.limits.requests_per_minute_per_user = 0;
        config.limits.sockets_per_ip = 0;
        config.limits.connections_per_ip = 0;
        Self { config, redis, folder, clock: Clock::default() }
    }

    /// Like `new`, with a database without tables.
    pub async fn without_tables() -> Self {
        let mut stores = Self::new().await;
        stores.config.postgres.url = store_processes::create_empty_database().await.into();
        stores
    }

    /// Like `new`, with a separate Postgres that the test may stop.
    pub async fn with_own_postgres() -> (Self, TestPostgres) {
        let mut stores = Self::new().await;
        let postgres = TestPostgres::start(&stores.folder.path().join("own")).await;
        stores.config.postgres.url = postgres.url.clone().into();
        stores.config.postgres.acquire_timeout_ms = 3000;
        (stores, postgres)
    }

    /// Starts a node in this process.
    pub async fn start_node(&self) -> TestNode {
        self.start_node_with(|_| ()).await
    }

    /// Starts a node with changed settings.
    pub async fn start_node_with(&self, change: impl FnOnce(&mut Config)) -> TestNode {
        let mut config = self.config.clone();
        change(&mut config);
        TestNode::new(Node::start(config, self.clock.clone()).await.unwrap())
    }

    /// Writes a catalogue of actions into the folder. Returns the path, for the setting `actions.file`.
    pub fn write_catalogue(&self, text: &str) -> String {
        self.write_file("actions.toml", text)
    }

    /// Writes definitions of boards into the folder. Returns the path, for the setting `boards.file`.
    pub fn write_boards(&self, text: &str) -> String {
        self.write_file("boards.toml", text)
    }

    fn write_file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.into_os_string().into_string().unwrap()
    }

    /// Builds the `App` of a node, without its listener and tasks.
    pub async fn build_app(&self) -> Arc<App> {
        App::build(self.config.clone(), self.clock.clone()).await.unwrap().0
    }

    /// Connects a `Store` and opens its board, for tests of scripts.
    pub async fn open_store(&self) -> Arc<Store> {
        let store = Arc::new(Store::connect(&self.config.redis, Arc::new(Metrics::default())).await.unwrap());
        open_board(&store).await;
        store
    }

    /// A Redis client that does not use the code of Laurel.
    pub async fn redis_client(&self) -> RedisClient {
        self.redis.redis_client().await
    }

    /// Blocks writes to the ledger until the returned connection is dropped.
    pub async fn block_ledger_writes(&self) -> PgConnection {
        let mut connection = PgConnection::connect(self.config.postgres.url.expose()).await.unwrap();
        let lock = "BEGIN; LOCK TABLE score_history IN EXCLUSIVE MODE";
        sqlx::raw_sql(lock).execute(&mut connection).await.unwrap();
        connection
    }

    /// Starts a node in its own process, which the test may kill.
    pub async fn start_process(&self, settings: &[(&str, &str)]) -> NodeProcess {
        NodeProcess::start(&self.config, settings).await
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn create_folder() -> TempDir {
    tempfile::Builder::new().prefix("laurel").tempdir().unwrap()
}

/// Opens the board of every shard, as the leader does after a successful check.
pub async fn open_board(store: &Store) {
    for shard in 0..store.shard_count() {
        let state = store.poll_shard_state(shard).await.unwrap();
        store
            .open_board(shard, &state.run, store.latest_position(shard).epoch + 1, 0, 0, None)
            .await
            .unwrap()
            .unwrap();
    }
}

/// The time-out of a wait in a test, long enough for a busy machine.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(300);

/// Polls a condition at increasing intervals until it returns a value. Panics with `what` after five minutes.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut poll: impl FnMut() -> F) -> T {
    let (started, mut pause) = (Instant::now(), Duration::from_millis(10));
    while started.elapsed() < TEST_TIMEOUT {
        if let Some(value) = poll().await {
            return value;
        }
        tokio::time::sleep(pause).await;
        pause = (pause + pause / 4).min(Duration::from_millis(50));
    }
    panic!("waited five minutes for {what}")
}

/// Waits until the outbox is empty and the boards follow, then asserts that Redis and the ledger agree.
pub async fn assert_ledger_matches(stores: &TestStores) {
    let app = stores.build_app().await;
    eventually("the outbox to be empty", async || {
        (app.store.poll(0, i64::MAX).await.ok()?.outbox == 0).then_some(())
    })
    .await;
    let node = if lacks_leader(&app).await { Some(stores.start_node().await) } else { None };
    wait_until_boards_follow(&app).await;
    assert_eq!(mismatches(&app).await, []);
    assert_eq!(ledger_mismatches(&app).await, []);
    if let Some(node) = node {
        node.stop().await;
    }
}

/// Whether no node holds the leader lock, so that boards do not follow the ledger.
async fn lacks_leader(app: &App) -> bool {
    let lacks_leader = "SELECT EXISTS (SELECT FROM board_periods WHERE closed_at IS NULL)
                           AND NOT EXISTS (SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
                                           WHERE datname = current_database() AND locktype = 'advisory' AND granted)";
    sqlx::query_scalar(lacks_leader).fetch_one(&app.database).await.unwrap()
}

/// Waits until all open periods of the boards have the whole ledger, and all corrections.
pub async fn wait_until_boards_follow(app: &App) {
    eventually("the boards to follow the ledger", async || {
        let head = "SELECT seq, EXISTS (SELECT FROM board_corrections) FROM ledger_heads";
        let (seq, has_corrections): (i64, bool) = sqlx::query_as(head).fetch_one(&app.database).await.ok()?;
        let open = "SELECT board, period FROM board_periods WHERE closed_at IS NULL";
        let open: Vec<(String, String)> = sqlx::query_as(open).fetch_all(&app.database).await.ok()?;
        for (board, period) in open.iter().filter(|it| app.boards.all().iter().any(|board| board.id == it.0))
        {
            let stands_at = app.store.entries_seq(PeriodKey { board, period }).await.ok()?;
            if stands_at != Some(seq) {
                return None;
            }
        }
        // Without an open period nothing follows the ledger.
        (open.is_empty() || !has_corrections).then_some(())
    })
    .await;
}

/// The mismatches between Redis and the ledger.
pub async fn mismatches(app: &App) -> Vec<Mismatch> {
    let mut found = Vec::new();
    laurel::ledger::verify(&app.ledger, &mut |mismatch| found.push(mismatch)).await.unwrap();
    found
}

/// The mismatches within the ledger.
pub async fn ledger_mismatches(app: &App) -> Vec<Mismatch> {
    let mut found = Vec::new();
    laurel::ledger::verify_ledger(&app.database, app.receipts.verifier(), &|_| (), &mut |mismatch| {
        found.push(mismatch)
    })
    .await
    .unwrap();
    found
}
