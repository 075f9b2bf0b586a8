//! Operators' answers over a ledger of ten million entries: how long each takes, how fast the sums catch up with such a ledger, and
//! what they cost beside awards.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use laurel::app::App;
use laurel::clock::Clock;
use laurel::config::{self, Config};
use laurel::embedded::{DataFolder, Holder, Postgres, Redis};
use laurel::ledger;
use laurel::serve::Node;
use sqlx::AssertSqlSafe;

use crate::cpu;
use crate::report;

/// What the part begins with, so that it can be written anew alone.
pub const HEADING: &str = "## Operators' answers";

/// How much there is.
#[derive(Clone, Copy)]
struct Size {
    entries: i64,
    users: i64,
    sessions: i64,
    /// Attempts that are kept with their proofs: the newest.
    attempts: i64,
    /// Attempts that came to nothing.
    unfinished: i64,
}

impl Size {
    /// Ten million entries, or `BENCH_ENTRIES` for a trial.
    fn read() -> Self {
        let entries = std::env::var("BENCH_ENTRIES").map_or(10_000_000, |it| it.parse().unwrap());
        Self {
            entries,
            users: entries / 10,
            sessions: entries / 10,
            attempts: entries / 10,
            unfinished: entries / 20,
        }
    }
}

/// Nobody else is connected, and the rows are right.
const QUICK: &str = "SET session_replication_role = replica; SET synchronous_commit = off;";
/// Indexes that are made afterwards are made faster.
const UNINDEXED: &str = "ALTER TABLE score_history DROP CONSTRAINT score_history_pkey;
                         DROP INDEX score_history_user_hlc; DROP INDEX score_history_shard_seq";
const INDEXED: &str = "SET maintenance_work_mem = '512MB';
                       ALTER TABLE score_history ADD PRIMARY KEY (event_id, created_at);
                       CREATE INDEX score_history_user_hlc ON score_history (user_id, hlc_us);
                       CREATE INDEX score_history_shard_seq ON score_history (shard, seq)";
/// How often each is asked.
const TIMES: usize = 20;

/// Everything that was measured.
pub struct Analytics {
    size: Size,
    caught_up_in: Duration,
    caught_up_cpu: f64,
    gigabytes: f64,
    /// By how many users 60,000 awards were, the CPU seconds of Postgres and of the node.
    steady: Vec<(i64, f64, f64)>,
    /// Each path with its times in ms, sorted.
    answers: Vec<(String, Vec<f64>, usize)>,
}

pub async fn measure() -> Analytics {
    let size = Size::read();
    let folder = tempfile::Builder::new().prefix("laurel-analytics").tempdir().unwrap();
    let Holder::Us(data) = DataFolder::open(folder.path()).await.unwrap() else { unreachable!() };
    // The defaults, but that the filling need not be safe.
    let postgres = Postgres::start(&data, &["fsync=off", "max_wal_size=4GB"]).await.unwrap();
    let redis = Redis::start(&data, &[]).await.unwrap();
    let mut config = config::load([]).unwrap();
    config.postgres.url =
        format!("postgres:///laurel?host={}/postgres&user=laurel", data.root().display()).into();
    config.redis.url = format!("unix://{}/redis/redis.sock", data.root().display()).into();
    config.auth.jwt_secret = "only to measure, only to measure, only to measure".to_owned().into();
    config.limits.requests_per_minute_per_user = 0;
    config.server.port = 0;
    let app = App::build(config.clone(), Clock::default()).await.unwrap().0;
    fill(&app, size).await;

    let postmaster = postgres.pid().unwrap();
    let (before, started) = (cpu::of_postgres(postmaster), Instant::now());
    catch_up(&app).await;
    let (caught_up_in, caught_up_cpu) = (started.elapsed(), cpu::of_postgres(postmaster) - before);
    let bytes = "SELECT sum(pg_total_relation_size(oid))::float8 / 1e9 FROM pg_class WHERE relkind = 'r'";
    let gigabytes: f64 = sqlx::query_scalar(bytes).fetch_one(&app.database).await.unwrap();
    run(&app, "VACUUM ANALYZE").await;
    let mut steady = Vec::new();
    for users in [400, 12_000] {
        steady.push(cost(&app, postmaster, users).await);
    }
    app.database.close().await;
    let answers = ask(config).await;
    postgres.stop().await;
    redis.stop().await;
    Analytics { size, caught_up_in, caught_up_cpu, gigabytes, steady, answers }
}

async fn run(app: &App, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&app.database).await.unwrap();
}

async fn catch_up(app: &App) {
    while ledger::roll_up(&app.ledger, true).await.unwrap() {}
}

/// A year of awards; few users have most of them.
async fn fill(app: &App, size: Size) {
    let Size { entries: all, users, sessions, attempts, unfinished } = size;
    let user = |n: &str| format!("md5(({n})::bigint::text)::uuid");
    let random_user = user(&format!("1 + {users} * random() ^ 3"));
    run(
        app,
        &format!(
            "{QUICK} INSERT INTO users (id, username, email, password_hash, score, created_at)
         SELECT {}, 'player_' || n, 'player_' || n || '@example.com', '!', (1000000 * random() ^ 4)::bigint,
                now() - interval '1 year' * (1 - n / {users}.0)
         FROM generate_series(1, {users}) n",
            user("n")
        ),
    )
    .await;
    run(app, "UPDATE users SET role = 'admin' WHERE username = 'player_500'").await;
    run(app, UNINDEXED).await;
    let at = format!("now() - interval '1 year' * (1 - n / {all}.0)");
    run(app, &entries(&random_user, &at, 1, all)).await;
    run(app, INDEXED).await;
    run(app, &format!(
        "{QUICK} INSERT INTO user_action (id, user_id, action_type, score_value, token_hash, created_at, expires_at, completed_at)
         SELECT event_id, user_id, action_type, points_earned, action_token_hash, created_at, created_at + interval '30 s', created_at
         FROM score_history WHERE seq > {all} - {attempts}"
    ))
    .await;
    run(app, &format!(
        "{QUICK} INSERT INTO user_action (id, user_id, action_type, score_value, created_at, expires_at, refused_at)
         SELECT gen_random_uuid(), {random_user}, 'demo_quiz', 10, at, at + interval '30 s', CASE WHEN n % 2 = 0 THEN at END
         FROM generate_series(1, {unfinished}) n, LATERAL (SELECT now() - interval '1 year' * (1 - n / {unfinished}.0) AS at) it;
         INSERT INTO game_sessions (session_id, user_id, is_active, created_at, expires_at, ended_at, actions_count)
         SELECT 'sess_' || n, {random_user}, FALSE, at, at + interval '30 min', at + interval '30 min' * random(), (30 * random() ^ 2)::int
         FROM generate_series(1, {sessions}) n, LATERAL (SELECT now() - interval '1 year' * (1 - n / {sessions}.0) AS at) it;
         INSERT INTO abuse_signals (suspect, is_user, signal, hour, count)
         SELECT md5((n % 5000)::text)::uuid::text, TRUE, (ARRAY['forged', 'replayed', 'too_fast'])[1 + n % 3],
                date_trunc('hour', now()) - interval '1 hour' * (n / 15000), 3
         FROM generate_series(0, 200000) n ON CONFLICT DO NOTHING;
         INSERT INTO rollup_refusals SELECT date_trunc('hour', now(), 'UTC') - interval '1 hour' * n, 'CODE_' || code, 10
         FROM generate_series(0, 8759) n, generate_series(1, 10) code;
         UPDATE rollup_heads SET seen_number = {users}, seen_number_at = now() - interval '1 hour';
         UPDATE ledger_heads SET seq = {all}"
    ))
    .await;
}

/// Rows of the ledger, but for hashes that chain.
fn entries(user: &str, at: &str, first: i64, last: i64) -> String {
    format!(
        "{QUICK} INSERT INTO score_history (event_id, user_id, action_type, points_earned, action_token_hash, score_before, score_after,
                                            hlc_us, created_at, seq, hash)
         SELECT gen_random_uuid(), {user}, 'watch_ad', 10, repeat('0', 64), 0, 10, (extract(epoch FROM at) * 1000000)::bigint, at, n,
                decode(repeat('00', 32), 'hex')
         FROM generate_series({first}, {last}) n, LATERAL (SELECT {at} AS at) it"
    )
}

/// Half a minute of 2,000 awards a second, summed up as it is when it is busy.
async fn cost(app: &App, postmaster: u32, users: i64) -> (i64, f64, f64) {
    const AWARDS: i64 = 60_000;
    // The first time their rows are read from the disk.
    let mut costs = (users, 0.0, 0.0);
    for _ in 0..2 {
        let head: i64 =
            sqlx::query_scalar("SELECT seq FROM ledger_heads").fetch_one(&app.database).await.unwrap();
        let user = format!("md5((1 + n % {users})::text)::uuid");
        run(app, &entries(&user, "now()", head + 1, head + AWARDS)).await;
        run(app, &format!("UPDATE ledger_heads SET seq = {}", head + AWARDS)).await;
        let (before, own) = (cpu::of_postgres(postmaster), cpu::exactly(std::process::id()));
        for _ in 0..3 {
            ledger::roll_up(&app.ledger, true).await.unwrap();
        }
        let spent = |seconds: f64| seconds * 1e6 / AWARDS as f64;
        let node = cpu::exactly(std::process::id()) - own;
        costs = (users, spent(cpu::of_postgres(postmaster) - before), spent(node));
    }
    costs
}

/// Asks a node, one question after the other.
async fn ask(config: Config) -> Vec<(String, Vec<f64>, usize)> {
    let node = Node::start(config, Clock::default()).await.unwrap();
    let app: &Arc<App> = &node.app;
    ledger::await_board(&app.ledger, |_| ()).await.unwrap();
    let find = async |name: &str| laurel::admin::find_user(&app.admin, name).await.unwrap();
    let login = app.accounts.logins.sign(&find("player_500").await, app.clock.now_s()).unwrap();
    let (busiest, suspect) = (find("player_1").await.id, find("player_42").await.id);
    let history = format!("/api/admin/users/{busiest}/history?limit=200");
    let client = reqwest::Client::new();
    let base = format!("http://{}", node.address);
    let get = async |path: &str| {
        let answer = client.get(format!("{base}{path}")).bearer_auth(&login).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    };
    let mut before = String::new();
    for _ in 0..10 {
        let page: serde_json::Value =
            serde_json::from_str(&get(&format!("{history}{before}")).await).unwrap();
        before = format!("&before={}", page["data"]["next"].as_str().unwrap());
    }
    let paths = [
        "/api/admin/activity?hours=24".to_owned(),
        "/api/admin/activity?hours=8760&step=day".to_owned(),
        "/api/admin/activity?hours=8760&step=hour".to_owned(),
        "/api/admin/most-active?period=hour&limit=100".to_owned(),
        "/api/admin/most-active?period=month&limit=100".to_owned(),
        "/api/admin/peak-hours?days=365".to_owned(),
        "/api/admin/scores".to_owned(),
        "/api/admin/sessions?days=365".to_owned(),
        "/api/admin/users".to_owned(),
        "/api/admin/users?search=player_1&limit=100".to_owned(),
        "/api/admin/users?search=player_77@example.com".to_owned(),
        format!("/api/admin/users/{busiest}"),
        history.clone(),
        format!("{history}{before}"),
        "/api/admin/suspects?hours=720".to_owned(),
        format!("/api/admin/suspects/{suspect}?hours=720"),
        "/api/admin/audit".to_owned(),
    ];
    let mut answers = Vec::new();
    for path in paths {
        let (mut times, mut bytes) = (Vec::new(), 0);
        for _ in 0..TIMES {
            let asked = Instant::now();
            bytes = get(&path).await.len();
            times.push(asked.elapsed().as_secs_f64() * 1000.0);
        }
        times.sort_by(f64::total_cmp);
        let shown = path.replace(&before, "&before=…").replace(&busiest.to_string(), ":busiest");
        answers.push((shown.replace(&suspect.to_string(), ":suspect"), times, bytes));
    }
    node.stop().await;
    answers
}

impl fmt::Display for Analytics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { entries: all, users, sessions, .. } = self.size;
        let (seconds, entries) = (self.caught_up_in.as_secs_f64(), all as f64);
        writeln!(f, "{HEADING}\n\n{}\n", report::provenance("make bench-analytics"))?;
        writeln!(
            f,
            "A ledger of {all} awards over a year by {users} users, few of whom have most, {sessions} game sessions, as many attempts \
             ({:.1} GB). The sums\ncaught up with it in {seconds:.0} s: **{:.0} entries a second**, {:.1} µs of Postgres' CPU each.",
            self.gigabytes,
            entries / seconds,
            self.caught_up_cpu * 1e6 / entries
        )?;
        writeln!(
            f,
            "\nWhat the sums cost an award at 2000 a second, when half a minute of them is added at once:\n"
        )?;
        writeln!(f, "| by so many users | Postgres µs | node µs |\n|---|---|---|")?;
        for (users, postgres, node) in &self.steady {
            writeln!(f, "| {users} | {postgres:.1} | {node:.1} |")?;
        }
        writeln!(f, "\nEach question {TIMES} times, one after the other, over HTTP; the goal is 100 ms:\n")?;
        writeln!(f, "| `GET` | p50 ms | worst ms | KiB |\n|---|---|---|---|")?;
        for (path, times, bytes) in &self.answers {
            let (middle, worst) = (times[times.len() / 2], times[times.len() - 1]);
            writeln!(f, "| `{path}` | {middle:.1} | {worst:.1} | {} |", bytes.div_ceil(1024))?;
        }
        Ok(())
    }
}
