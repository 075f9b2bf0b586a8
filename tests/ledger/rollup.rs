//! Rollups match the ledger: in any order of entries, with several writers, and after interruptions.

use std::sync::Arc;
use std::time::Duration;

use laurel::app::App;
use laurel::ledger::{UNCOUNTED_SESSIONS, roll_up};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::insert_user;
use crate::harness::TestStores;

const HOUR_US: i64 = 3_600_000_000;

/// Random awards and adjustments of some users over the last six weeks. Most are in order of time, some are late.
pub struct RandomLedger {
    random: StdRng,
    users: Vec<Uuid>,
    seq: i64,
    now_us: i64,
}

impl RandomLedger {
    pub async fn new(app: &App, users: usize, seed: u64) -> Self {
        let mut all = Vec::new();
        for _ in 0..users {
            all.push(insert_user(app).await);
        }
        let now_us = app.clock.now_ms() * 1000;
        Self { random: StdRng::seed_from_u64(seed), users: all, seq: 0, now_us }
    }

    /// Appends entries. `progress`, from 0 to 1, is the position within the six weeks.
    pub async fn append(&mut self, app: &App, count: usize, progress: f64) {
        let mut sql = String::from(
            "INSERT INTO score_history (event_id, user_id, action_type, points_earned, action_token_hash, score_before, score_after,
                                        hlc_us, created_at, note, seq, hash) VALUES ",
        );
        for index in 0..count {
            self.seq += 1;
            // A few users have most of the awards.
            let user = (self.random.random_range(0.0..1.0f64).powi(2) * self.users.len() as f64) as usize;
            let position = match self.random.random_range(0..10) {
                0 => self.random.random_range(0.0..=progress),
                _ => progress,
            };
            let from_us = self.now_us - (1000 * HOUR_US);
            let jitter = self.random.random_range(0..HOUR_US * 3);
            let at_us = (from_us + (position * 1000.0) as i64 * HOUR_US + jitter).min(self.now_us);
            let (action, hash, note, points) = match self.random.random_range(0..20) {
                0 => ("adjust", "", r#"'{"actor":"root","reason":"x"}'"#, -5),
                1 => ("carried", "", "NULL", 100),
                _ => ("watch_ad", "f00d", "NULL", self.random.random_range(1..50)),
            };
            let comma = if index == 0 { "" } else { "," };
            sql += &format!(
                "{comma}('{}', '{}', '{action}', {points}, '{hash}', 0, {points}, {}, to_timestamp({at_us} / 1000000.0), {note}, {}, '\\x00')",
                Uuid::from_u128(self.random.random()),
                self.users[user],
                self.seq,
                self.seq,
            );
        }
        let sql = format!("{sql}; UPDATE ledger_heads SET seq = {}", self.seq);
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&app.database).await.unwrap();
    }
}

/// The rows of a query as sorted text.
async fn rows(app: &App, sql: &str) -> Vec<String> {
    let sql = format!("SELECT coalesce(row(rows.*)::text, '') AS row FROM ({sql}) rows ORDER BY 1");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&app.database).await.unwrap();
    rows.iter().map(|row| row.get("row")).collect()
}

const AWARDS: &str =
    "(SELECT *, date_trunc('hour', created_at, 'UTC') AS hour, date_trunc('day', created_at, 'UTC') AS day
                       FROM score_history WHERE action_token_hash <> '') a";

/// Compares every rollup with the ledger.
pub async fn assert_rollups_match(app: &App) {
    let pairs = [
        (
            "SELECT hour, awards, points, users FROM rollup_hours WHERE awards > 0".to_owned(),
            format!("SELECT hour, count(*), sum(points_earned), count(DISTINCT user_id) FROM {AWARDS} GROUP BY hour"),
        ),
        (
            "SELECT date_trunc('day', hour, 'UTC'), sum(day_users) FROM rollup_hours WHERE awards > 0 GROUP BY 1".to_owned(),
            format!("SELECT day, count(DISTINCT user_id) FROM {AWARDS} GROUP BY day"),
        ),
        (
            "SELECT hour, last_users FROM rollup_hours WHERE last_users <> 0".to_owned(),
            format!("SELECT hour, count(*) FROM (SELECT user_id, max(hour) AS hour FROM {AWARDS} GROUP BY user_id) last GROUP BY hour"),
        ),
        (
            "SELECT user_id, awards, last_at FROM rollup_users".to_owned(),
            format!("SELECT user_id, count(*), max(created_at) FROM {AWARDS} GROUP BY user_id"),
        ),
    ];
    for (sums, ledger) in pairs {
        assert_eq!(rows(app, &sums).await, rows(app, &ledger).await, "{sums}");
    }
    for period in ["hour", "day", "week", "month"] {
        let now = format!("date_trunc('{period}', to_timestamp({}), 'UTC')", app.clock.now_s());
        let best = format!(
            "SELECT user_id, awards, points FROM rollup_best WHERE period = '{period}' AND period_start = {now}"
        );
        let ledger = format!(
            "SELECT user_id, count(*) AS awards, sum(points_earned) AS points FROM {AWARDS} WHERE created_at >= {now}
             GROUP BY user_id ORDER BY awards DESC, points DESC, user_id LIMIT 100"
        );
        assert_eq!(rows(app, &best).await, rows(app, &ledger).await, "{period}");
    }
}

async fn roll_up_all(app: &App) {
    while roll_up(&app.ledger, true).await.unwrap() {}
}

#[tokio::test]
async fn rollups_match_the_ledger_after_every_batch() {
    let stores = TestStores::new().await;
    let app = stores.build_app().await;
    let mut ledger = RandomLedger::new(&app, 250, 7).await;
    for round in 1..=12 {
        ledger.append(&app, 400, f64::from(round) / 12.0).await;
        roll_up_all(&app).await;
        assert_rollups_match(&app).await;
    }
}

/// A node that is killed in the middle of a batch counts nothing of it. Concurrent writers take turns.
#[tokio::test]
async fn interrupted_rollups_count_everything_once() {
    let stores = TestStores::new().await;
    let apps: [Arc<App>; 2] = [stores.build_app().await, stores.build_app().await];
    let mut ledger = RandomLedger::new(&apps[0], 60, 8).await;
    let mut interrupted = 0;
    for round in 1..=40_u8 {
        ledger.append(&apps[0], 100, f64::from(round) / 40.0).await;
        let timeout = Duration::from_micros(ledger.random.random_range(100..20_000));
        interrupted += usize::from(
            tokio::time::timeout(timeout, roll_up(&apps[usize::from(round) % 2].ledger, true)).await.is_err(),
        );
        if round % 4 == 0 {
            let (one, other) = tokio::join!(roll_up(&apps[0].ledger, true), roll_up(&apps[1].ledger, true));
            one.and(other).unwrap();
        }
    }
    assert!(interrupted > 5, "only {interrupted} batches were interrupted");
    roll_up_all(&apps[0]).await;
    assert_rollups_match(&apps[0]).await;
}

async fn register(app: &App) {
    let id = app.clock.new_id();
    let sql = "INSERT INTO users (id, username, email, password_hash) VALUES ($1, $2, $2, '!')";
    sqlx::query(sql).bind(id).bind(id.to_string()).execute(&app.database).await.unwrap();
}

/// A registration enters the rollups when no smaller user number can appear any more.
#[tokio::test]
async fn users_are_counted_once() {
    let stores = TestStores::new().await;
    let app = stores.build_app().await;
    let make_final = "UPDATE rollup_heads SET seen_number_at = now() - interval '2 minutes'";
    let counted = "SELECT sum(new_users) FROM rollup_hours";
    for round in 1..=3 {
        for _ in 0..5 {
            register(&app).await;
        }
        roll_up(&app.ledger, true).await.unwrap();
        let before = if round < 3 { "()".to_owned() } else { format!("({})", (round - 2) * 5) };
        assert_eq!(rows(&app, counted).await, [before], "only final registrations count");
        sqlx::raw_sql(make_final).execute(&app.database).await.unwrap();
        roll_up(&app.ledger, true).await.unwrap();
    }
    sqlx::raw_sql(make_final).execute(&app.database).await.unwrap();
    roll_up_all(&app).await;
    assert_eq!(rows(&app, counted).await, ["(15)"]);
    let hours = "SELECT hour, new_users FROM rollup_hours WHERE new_users > 0";
    let users = "SELECT date_trunc('hour', created_at, 'UTC'), count(*) FROM users GROUP BY 1";
    assert_eq!(rows(&app, hours).await, rows(&app, users).await);
}

/// A session enters the rollups when it and all sessions before it have ended. Until then, the query of uncounted sessions returns it.
#[tokio::test]
async fn sessions_are_counted_once() {
    let stores = TestStores::new().await;
    let app = stores.build_app().await;
    let play = "INSERT INTO game_sessions (session_id, user_id, is_active, created_at, expires_at, ended_at, actions_count)
        SELECT 'sess_' || n, $1, n = 3, now() - interval '3 hours', now() + make_interval(hours => CASE WHEN n = 3 THEN 1 ELSE -2 END),
               CASE WHEN n <> 3 THEN now() - interval '3 hours' + make_interval(secs => n) END, n
        FROM generate_series(1, 5) n";
    sqlx::query(play).bind(insert_user(&app).await).execute(&app.database).await.unwrap();
    let all = format!(
        "SELECT min_actions, sum(sessions), sum(actions), sum(seconds) FROM
         (SELECT hour, min_actions, sessions, actions, seconds FROM rollup_sessions UNION ALL {UNCOUNTED_SESSIONS}) sessions GROUP BY min_actions"
    );
    let counted = "SELECT sum(sessions) FROM rollup_sessions";
    for _ in 0..2 {
        assert_eq!(rows(&app, &all).await, ["(1,1,1,1)", "(2,2,6,6)", "(5,1,5,5)"]);
        roll_up_all(&app).await;
        assert_eq!(rows(&app, counted).await, ["(2)"], "only those before the active one");
    }
    let end = "UPDATE game_sessions SET ended_at = created_at + interval '3 seconds', expires_at = now() - interval '1 hour' WHERE is_active";
    sqlx::raw_sql(end).execute(&app.database).await.unwrap();
    for _ in 0..2 {
        assert_eq!(rows(&app, &all).await, ["(1,1,1,1)", "(2,3,9,9)", "(5,1,5,5)"]);
        roll_up_all(&app).await;
        assert_eq!(rows(&app, counted).await, ["(5)"]);
    }
}
