//! What a player and an award leave behind: bytes in Redis, on its disk, and in Postgres.

use std::sync::Arc;

use sqlx::{Connection, PgConnection};

use crate::phase::{issue, redeem};
use crate::server::{Server, UNLIMITED};

const PLAYERS: usize = 200_000;
/// Of these, so many win one award after the other.
const ACTIVE: usize = 10_000;
const AWARDS: usize = 40_000;

/// Bytes.
#[derive(Clone, Copy)]
struct Sizes {
    redis: f64,
    /// What Redis has appended to its file.
    appended: f64,
    ledger: f64,
    attempts: f64,
    users: f64,
    sums: f64,
    /// What Postgres has written ahead.
    wal: f64,
}

/// What it came to.
pub struct Held {
    before: Sizes,
    seeded: Sizes,
    played: Sizes,
}

pub async fn measure() -> Held {
    let server = Server::start(1, UNLIMITED);
    let mut redis = server.redis().await;
    // Nothing is left out of the file that is measured.
    let mut keep = redis::cmd("CONFIG");
    keep.arg("SET").arg("auto-aof-rewrite-percentage").arg(0).exec_async(&mut redis).await.unwrap();
    let before = sizes(&server).await;
    server.seed(PLAYERS);
    let seeded = sizes(&server).await;
    let active = server.logins().into_iter().step_by(PLAYERS / ACTIVE).collect();
    let active = Arc::new(active);
    let tokens = issue(&server, &active, AWARDS).await.1;
    redeem(&server, &active, tokens).await;
    Held { before, seeded, played: sizes(&server).await }
}

async fn sizes(server: &Server) -> Sizes {
    let mut redis = server.redis().await;
    let info: redis::InfoDict = redis::cmd("INFO").query_async(&mut redis).await.unwrap();
    let url = format!("postgres:///laurel?host={}/data/postgres&user=laurel", server.folder().display());
    let mut postgres = PgConnection::connect(&url).await.unwrap();
    let mut ask = async |sql: &str| -> f64 {
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(&mut postgres).await.unwrap()
    };
    let tables = |names: &str| {
        format!(
            "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::float8 FROM pg_class
             WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname ~ '^({names})'"
        )
    };
    Sizes {
        redis: info.get("used_memory").unwrap(),
        appended: info.get("aof_current_size").unwrap(),
        ledger: ask(&tables("score_history")).await,
        attempts: ask(&tables("user_action")).await,
        users: ask(&tables("users$")).await,
        sums: ask(&tables("rollup_")).await,
        wal: ask("SELECT (pg_current_wal_insert_lsn() - '0/0')::float8").await,
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "Bytes that are left behind: by {PLAYERS} players who were seeded with a score (which is an entry of the ledger), and then by"
        )?;
        writeln!(
            f,
            "{AWARDS} awards (`init` and `finalize`) of {ACTIVE} of them within a minute. Tables with their indexes; in Redis' memory an award"
        )?;
        writeln!(
            f,
            "leaves what guards its token and the player's limits for as long as these last (here an hour; as it ships a minute or so).\n"
        )?;
        writeln!(
            f,
            "| by | Redis' memory | Redis' file | `score_history` | `user_action` | `users` | sums | Postgres' WAL |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        row(f, "a player", PLAYERS, &self.before, &self.seeded)?;
        row(f, "an award", AWARDS, &self.seeded, &self.played)
    }
}

fn row(
    f: &mut std::fmt::Formatter<'_>,
    by: &str,
    count: usize,
    before: &Sizes,
    after: &Sizes,
) -> std::fmt::Result {
    let parts: [fn(&Sizes) -> f64; 7] = [
        |it| it.redis,
        |it| it.appended,
        |it| it.ledger,
        |it| it.attempts,
        |it| it.users,
        |it| it.sums,
        |it| it.wal,
    ];
    write!(f, "| {by} |")?;
    for part in parts {
        write!(f, " {:.0} |", (part(after) - part(before)) / count as f64)?;
    }
    writeln!(f)
}
