//! A node with so many players. Postgres gets them by statements that make them there, and the node loads its empty Redis from it, as
//! after a loss.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use laurel::account::User;
use laurel::app::App;
use laurel::clock::Clock;
use laurel::config;
use laurel::embedded::{DataFolder, Holder, Postgres, Redis};
use redis::InfoDict;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use crate::http::Connection as Http;
use crate::server::{Server, UNLIMITED};

/// Players who play, drawn by lot from all.
const CALLERS: u64 = 20_000;
const SECRET: &str = "only to measure, only to measure, only to measure";

pub struct Population {
    pub players: u64,
    pub server: Server,
    pub callers: Arc<Vec<Caller>>,
    /// How long Postgres took to get them, and the node to load Redis from it.
    pub filled_in: Duration,
    pub loaded_in: Duration,
    /// Of Redis, before anybody played.
    pub redis_bytes: f64,
}

/// Somebody who plays.
pub struct Caller {
    pub user: uuid::Uuid,
    pub login: String,
}

/// Nobody else is connected, the rows are right, and a crash would begin anew.
const QUICK: &str = "SET session_replication_role = replica; SET synchronous_commit = off; SET maintenance_work_mem = '512MB';";
const FILLING: [&str; 7] = [
    "fsync=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=4GB",
    "shared_buffers=512MB",
    "autovacuum=off",
];
/// Indexes that are made afterwards are made faster.
const UNINDEXED: &str = "
    DROP INDEX users_number_key, users_username_key, users_email_key, users_username_trigrams;
    ALTER TABLE score_history DROP CONSTRAINT score_history_pkey;
    DROP INDEX score_history_user_hlc; DROP INDEX score_history_shard_seq";
const INDEXED_USERS: &str = "
    CREATE UNIQUE INDEX users_number_key ON users (number);
    CREATE UNIQUE INDEX users_username_key ON users (lower(username));
    CREATE UNIQUE INDEX users_email_key ON users (lower(email));
    CREATE INDEX users_username_trigrams ON users USING gin (lower(username) gin_trgm_ops)";
const INDEXED_HISTORY: &str = "
    ALTER TABLE score_history ADD PRIMARY KEY (event_id, created_at);
    CREATE INDEX score_history_user_hlc ON score_history (user_id, hlc_us);
    CREATE INDEX score_history_shard_seq ON score_history (shard, seq)";

/// Ids as nodes make them: by time, with the rest by lot.
fn id(seed: &str, number: &str) -> String {
    format!(
        "(lpad(to_hex(1750000000000 + {number} / 100), 12, '0') || '7' || substr(md5('{seed}' || {number}), 1, 3) || '8'
          || substr(md5('{seed}' || {number}), 4, 15))::uuid"
    )
}

impl Population {
    /// Makes so many players, each with one award in the ledger, and starts a node that has them.
    pub async fn fill(players: u64) -> Self {
        let folder = tempfile::Builder::new().prefix("laurel-growth").tempdir().unwrap();
        let started = Instant::now();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let Holder::Us(held) = DataFolder::open(&data).await.unwrap() else { unreachable!() };
        let postgres = Postgres::start(&held, &FILLING).await.unwrap();
        let redis = Redis::start(&held, &[]).await.unwrap();
        let mut config = config::load([("JWT_SECRET".into(), SECRET.into())]).unwrap();
        config.postgres.url = postgres_url(&data).into();
        config.redis.url = format!("unix://{}/redis/redis.sock", data.display()).into();
        let app = App::build(config, Clock::default()).await.unwrap().0;
        insert(&app, players).await;
        let callers = Arc::new(draw(&app, players).await);
        app.database.close().await;
        drop(app);
        postgres.stop().await;
        redis.stop().await;
        drop(held);
        // What was not waited for is not to be written while something is measured.
        std::process::Command::new("sync").status().unwrap();
        let filled_in = started.elapsed();
        eprintln!("{players} players are in Postgres after {} s", filled_in.as_secs());

        let started = Instant::now();
        let mut settings = UNLIMITED.to_vec();
        // While that much is loaded, the disk may keep Redis waiting.
        settings.extend([("JWT_SECRET", SECRET), ("LAUREL_REDIS__TIMEOUT_MS", "20000")]);
        let server = Server::open(folder, &settings);
        let mut connection = Http::open(&server.address).await;
        let begin = r#"{"actionType":"watch_ad"}"#;
        crate::wait_until(async || {
            connection.try_post("/api/v1/actions/init", &callers[0].login, begin).await.is_ok()
        })
        .await;
        let loaded_in = started.elapsed();
        eprintln!("they are in Redis after {} s more", loaded_in.as_secs());
        crate::wait_until(async || info(&server, "aof_rewrite_in_progress").await == 0.0).await;
        let redis_bytes = info(&server, "used_memory").await - info(&server, "used_memory_startup").await;
        Self { players, server, callers, filled_in, loaded_in, redis_bytes }
    }

    /// The private Postgres, past the node.
    pub async fn database(&self) -> PgConnection {
        PgConnection::connect(&postgres_url(&self.server.folder().join("data"))).await.unwrap()
    }

    /// Whether all who played have the same total in both stores.
    pub async fn totals_agree(&self) -> bool {
        let mut redis = self.server.redis().await;
        let mut database = self.database().await;
        let users: Vec<uuid::Uuid> = self.callers.iter().map(|it| it.user).collect();
        let rows = sqlx::query("SELECT id, score FROM users WHERE id = ANY($1)")
            .bind(&users)
            .fetch_all(&mut database)
            .await
            .unwrap();
        let mut ask = redis::cmd("MGET");
        rows.iter().for_each(|row| {
            ask.arg(format!("user:score:{}", row.get::<uuid::Uuid, _>("id")));
        });
        let totals: Vec<i64> = ask.query_async(&mut redis).await.unwrap();
        rows.iter().map(|row| row.get::<i64, _>("score")).eq(totals)
    }
}

fn postgres_url(data: &Path) -> String {
    format!("postgres:///laurel?host={}/postgres&user=laurel", data.display())
}

/// A number that Redis says of itself.
pub async fn info(server: &Server, name: &str) -> f64 {
    let said: InfoDict = redis::cmd("INFO").query_async(&mut server.redis().await).await.unwrap();
    said.get(name).unwrap()
}

async fn run(app: &App, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(format!("{QUICK} {sql}"))).execute(&app.database).await.unwrap();
}

async fn insert(app: &App, players: u64) {
    run(app, UNINDEXED).await;
    let users = format!(
        "INSERT INTO users (id, username, email, password_hash, score)
         SELECT {}, 'player_' || n, 'player_' || n || '@example.com', '!', 1 + (1000000 * random())::bigint
         FROM generate_series(1, {players}) n",
        id("user", "n")
    );
    run(app, &users).await;
    // But for hashes that chain: nobody walks it.
    let history = format!(
        "INSERT INTO score_history (event_id, user_id, action_type, points_earned, action_token_hash, score_before, score_after,
                                    hlc_us, created_at, seq, hash)
         SELECT {}, id, 'seed', score, repeat('0', 64), 0, score, (extract(epoch FROM at) * 1000000)::bigint, at, number,
                decode(repeat('00', 32), 'hex')
         FROM users, LATERAL (SELECT now() - interval '1 s' - interval '1 us' * ({players} - number) AS at) it",
        id("event", "number")
    );
    tokio::join!(run(app, INDEXED_USERS), run(app, &history));
    let sums =
        "INSERT INTO rollup_users SELECT id, now(), 1, 1, score, 1, score, 1, score, 1, score FROM users";
    tokio::join!(run(app, INDEXED_HISTORY), run(app, sums));
    let heads = format!(
        "UPDATE ledger_heads SET seq = {players}, hlc_us = (SELECT max(hlc_us) FROM score_history);
         UPDATE rollup_heads SET seq = {players}, user_number = {players}, seen_number = {players}"
    );
    run(app, &heads).await;
    sqlx::raw_sql("VACUUM ANALYZE").execute(&app.database).await.unwrap();
}

/// Players drawn by lot, with logins.
async fn draw(app: &App, players: u64) -> Vec<Caller> {
    let rows = players / CALLERS.min(players);
    let rows = sqlx::query(
        "SELECT id, number, username FROM users WHERE number % $1 = 0 ORDER BY random() LIMIT $2",
    )
    .bind(rows as i64)
    .bind(CALLERS as i64)
    .fetch_all(&app.database)
    .await
    .unwrap();
    let caller = |row: &sqlx::postgres::PgRow| {
        let (user, number, username) = (row.get("id"), row.get("number"), row.get("username"));
        let player = User { id: user, number, username, role: "player".into(), score: 0 };
        Caller { user, login: app.accounts.logins.sign(&player, app.clock.now_s()).unwrap() }
    };
    rows.iter().map(caller).collect()
}
