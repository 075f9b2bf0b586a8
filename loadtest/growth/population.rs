//! A node with a number of players. SQL statements create them in Postgres, and the node loads its empty Redis from there, as after a
//! loss.

use std::process::Command;
use std::time::{Duration, Instant};

use laurel::account::User;
use laurel::app::App;
use laurel::clock::Clock;
use laurel::config;
use laurel::embedded::{DataFolder, Holder, Postgres, Redis};
use redis::InfoDict;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row};
use uuid::Uuid;

use crate::client::Connection;
use crate::drive::players::Players;
use crate::server::{self, Server, UNLIMITED};

/// Random players who send requests.
const ACTIVE: u64 = 20_000;
const SECRET: &str = "only to measure, only to measure, only to measure";

pub struct Population {
    pub count: u64,
    pub server: Server,
    /// The active players.
    pub players: Players,
    /// How long Postgres took to create the players, and the node to load Redis from it.
    pub filled_in: Duration,
    pub loaded_in: Duration,
    /// Memory of Redis before the first round.
    pub redis_bytes: f64,
}

/// Bytes of a row with its share of the indexes.
pub struct RowBytes {
    pub users: f64,
    pub rollup_users: f64,
    pub score_history: f64,
    pub user_action: f64,
}

/// Nobody else is connected, the rows are valid, and after a crash everything is created again.
const FAST: &str = "SET session_replication_role = replica; SET synchronous_commit = off; SET maintenance_work_mem = '512MB';";
const FAST_SETTINGS: [&str; 7] = [
    "fsync=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=4GB",
    "shared_buffers=512MB",
    "autovacuum=off",
];
/// Creating the indexes after the rows is faster.
const DROP_INDEXES: &str = "
    DROP INDEX users_number_key, users_username_key, users_email_key, users_username_trigrams;
    ALTER TABLE score_history DROP CONSTRAINT score_history_pkey;
    DROP INDEX score_history_user_hlc; DROP INDEX score_history_shard_seq";
const INDEX_USERS: &str = "
    CREATE UNIQUE INDEX users_number_key ON users (number);
    CREATE UNIQUE INDEX users_username_key ON users (lower(username));
    CREATE UNIQUE INDEX users_email_key ON users (lower(email));
    CREATE INDEX users_username_trigrams ON users USING gin (lower(username) gin_trgm_ops)";
const INDEX_HISTORY: &str = "
    ALTER TABLE score_history ADD PRIMARY KEY (event_id, created_at);
    CREATE INDEX score_history_user_hlc ON score_history (user_id, hlc_us);
    CREATE INDEX score_history_shard_seq ON score_history (shard, seq)";

/// SQL for a UUID like those of nodes: the first part is a time, the rest is random.
fn id(seed: &str, number: &str) -> String {
    format!(
        "(lpad(to_hex(1750000000000 + {number} / 100), 12, '0') || '7' || substr(md5('{seed}' || {number}), 1, 3) || '8'
          || substr(md5('{seed}' || {number}), 4, 15))::uuid"
    )
}

impl Population {
    /// Creates the players, each with one award in the ledger, and starts a node with these settings that has loaded them.
    pub async fn create(count: u64, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("laurel-growth").tempdir().unwrap();
        let started = Instant::now();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let Holder::Us(data_folder) = DataFolder::open(&data).await.unwrap() else { unreachable!() };
        let postgres = Postgres::start(&data_folder, &FAST_SETTINGS).await.unwrap();
        let redis = Redis::start(&data_folder, &[]).await.unwrap();
        let mut config = config::load([("JWT_SECRET".into(), SECRET.into())]).unwrap();
        config.postgres.url = server::postgres_url(&data).into();
        config.redis.url = format!("unix://{}/redis/redis.sock", data.display()).into();
        let app = App::build(config, Clock::default()).await.unwrap().0;
        insert(&app, count).await;
        let logins_file = folder.path().join("logins");
        std::fs::write(&logins_file, random_logins(&app, count).await).unwrap();
        app.database.close().await;
        drop(app);
        postgres.stop().await;
        redis.stop().await;
        drop(data_folder);
        // Writes that are still cached must not reach the disk during a measurement.
        Command::new("sync").status().unwrap();
        let filled_in = started.elapsed();
        eprintln!("{count} players are in Postgres after {} s", filled_in.as_secs());

        let started = Instant::now();
        let mut settings = [UNLIMITED, settings].concat();
        // Loading keeps the disk busy, and Redis waits for it.
        settings.extend([("JWT_SECRET", SECRET), ("LAUREL_REDIS__TIMEOUT_MS", "20000")]);
        let server = Server::open(folder, &settings);
        let mut connection = Connection::open(&server.address).await;
        let (login, init) = (server.logins().swap_remove(0), r#"{"actionType":"watch_ad"}"#);
        crate::wait_until(async || connection.post("/api/v1/actions/init", &login, init).await.is_ok()).await;
        let loaded_in = started.elapsed();
        eprintln!("Redis has loaded them after {} s more", loaded_in.as_secs());
        crate::wait_until(async || info(&server, "aof_rewrite_in_progress").await == 0.0).await;
        let redis_bytes = info(&server, "used_memory").await - info(&server, "used_memory_startup").await;
        let players = Players::read(&server.logins_file());
        Self { count, server, players, filled_in, loaded_in, redis_bytes }
    }

    /// Connects to its Postgres.
    pub async fn database(&self) -> PgConnection {
        PgConnection::connect(&self.server.postgres_url()).await.unwrap()
    }

    /// Whether Redis and Postgres have the same total of every active player.
    pub async fn totals_agree(&self) -> bool {
        let user = |place| Uuid::try_parse_ascii(self.players.id(place)).unwrap();
        let users: Vec<Uuid> = (0..self.players.count()).map(user).collect();
        let rows = sqlx::query_as("SELECT id, score FROM users WHERE id = ANY($1)").bind(&users);
        let rows: Vec<(Uuid, i64)> = rows.fetch_all(&mut self.database().await).await.unwrap();
        let mut mget = redis::cmd("MGET");
        rows.iter().for_each(|(user, _)| {
            mget.arg(format!("user:score:{user}"));
        });
        let totals: Vec<i64> = mget.query_async(&mut self.server.redis().await).await.unwrap();
        rows.iter().map(|(_, score)| *score).eq(totals)
    }

    pub async fn row_bytes(&self) -> RowBytes {
        let mut database = self.database().await;
        let mut bytes = async |table: &str| -> f64 {
            // A table without partitions is not in its own partition tree.
            let sql = format!(
                "SELECT greatest(pg_total_relation_size('{table}'), (SELECT sum(pg_total_relation_size(relid))
                                                                     FROM pg_partition_tree('{table}')))::float8 / count(*) FROM {table}"
            );
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut database).await.unwrap()
        };
        RowBytes {
            users: bytes("users").await,
            rollup_users: bytes("rollup_users").await,
            score_history: bytes("score_history").await,
            user_action: bytes("user_action").await,
        }
    }
}

/// A number in the output of Redis' INFO.
async fn info(server: &Server, name: &str) -> f64 {
    let info: InfoDict = redis::cmd("INFO").query_async(&mut server.redis().await).await.unwrap();
    info.get(name).unwrap()
}

async fn run(app: &App, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(format!("{FAST} {sql}"))).execute(&app.database).await.unwrap();
}

async fn insert(app: &App, count: u64) {
    run(app, DROP_INDEXES).await;
    let users = format!(
        "INSERT INTO users (id, username, email, password_hash, score)
         SELECT {}, 'player_' || n, 'player_' || n || '@example.com', '!', 1 + (1000000 * random())::bigint
         FROM generate_series(1, {count}) n",
        id("user", "n")
    );
    run(app, &users).await;
    // The hashes do not form a chain. Nothing verifies them here.
    let history = format!(
        "INSERT INTO score_history (event_id, user_id, action_type, points_earned, action_token_hash, score_before, score_after,
                                    hlc_us, created_at, seq, hash)
         SELECT {}, id, 'seed', score, repeat('0', 64), 0, score, (extract(epoch FROM at) * 1000000)::bigint, at, number,
                decode(repeat('00', 32), 'hex')
         FROM users, LATERAL (SELECT now() - interval '1 s' - interval '1 us' * ({count} - number) AS at) times",
        id("event", "number")
    );
    tokio::join!(run(app, INDEX_USERS), run(app, &history));
    let rollups =
        "INSERT INTO rollup_users SELECT id, now(), 1, 1, score, 1, score, 1, score, 1, score FROM users";
    tokio::join!(run(app, INDEX_HISTORY), run(app, rollups));
    let heads = format!(
        "UPDATE ledger_heads SET seq = {count}, hlc_us = (SELECT max(hlc_us) FROM score_history);
         UPDATE rollup_heads SET seq = {count}, user_number = {count}, seen_number = {count}"
    );
    run(app, &heads).await;
    sqlx::raw_sql("VACUUM ANALYZE").execute(&app.database).await.unwrap();
}

/// Logins of random players, one a line.
async fn random_logins(app: &App, count: u64) -> String {
    let sql = "SELECT id, number, username FROM users WHERE number % $1 = 0 ORDER BY random() LIMIT $2";
    let every = (count / ACTIVE.min(count)) as i64;
    let rows = sqlx::query(sql).bind(every).bind(ACTIVE as i64).fetch_all(&app.database).await.unwrap();
    let login = |row: &PgRow| {
        let (id, number, username) = (row.get("id"), row.get("number"), row.get("username"));
        let user = User { id, number, username, role: "player".into(), score: 0 };
        app.accounts.logins.sign(&user, app.clock.now_s()).unwrap() + "\n"
    };
    rows.iter().map(login).collect()
}
