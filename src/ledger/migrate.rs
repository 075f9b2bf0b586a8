//! Migrations that expand and that contract: see migrations/README.md.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{PgPool, Row, SqlSafeStr};

use super::adopt::adopt;
use super::parts::make_months;
use super::sql_fault;
use crate::error::Fault;
use crate::receipt::ReceiptKeys;

/// Compiles files of `migrations/` in. `sqlx::migrate!` would find them by itself, but its crate needs sqlx, rustls and aws-lc compiled a
/// second time, for the compiler to run.
macro_rules! compile_in {
    ($($file:literal)*) => {
        &[$(($file, include_str!(concat!("../../migrations/", $file, ".sql")))),*]
    };
}

const EXPAND: &[(&str, &str)] = compile_in![
    "0001_accounts"
    "0002_ledger"
    "0003_game"
    "0004_operators"
    "0005_outside_users"
    "0006_chain"
    "0008_used_proofs"
    "0009_rollups"
    "0010_shards"
    "0011_room"
    "0013_next_token"
    "0016_deployment"
    "0018_dead_letters"
    "0019_search"
    "0020_suspect_addresses"
];

const CONTRACT: &[(&str, &str)] = compile_in![
    "contract/0007_parts"
    "contract/0014_tokens"
    "contract/0015_names"
    "contract/0017_audit"
];

fn expand() -> Migrator {
    migrator(EXPAND)
}

fn contracting() -> Migrator {
    migrator(CONTRACT)
}

fn migrator(files: &[(&'static str, &'static str)]) -> Migrator {
    let step = |(file, sql): &(&'static str, &'static str)| {
        let (version, description) = version_and_description(file).expect("a test reads the names");
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(files.iter().map(step).collect())
}

/// Of `contract/0007_parts`: 7 and `parts`.
fn version_and_description(file: &str) -> Option<(i64, &str)> {
    let (version, description) = file.trim_start_matches("contract/").split_once('_')?;
    Some((version.parse().ok()?, description))
}

/// What a node calls itself at Postgres, so that others know which steps it can live with.
pub fn application_name() -> String {
    format!("laurel/{}", newest_step())
}

fn newest_step() -> i64 {
    let newest = |it: Migrator| it.iter().map(|it| it.version).max();
    newest(expand()).max(newest(contracting())).unwrap_or(0)
}

/// Brings the tables up to date, as far as older nodes can live with it. Nodes that start together wait for each other.
///
/// # Errors
/// A migration that was changed after it ran, or Postgres away.
pub async fn migrate(database: &PgPool) -> Result<(), Fault> {
    run(expand(), database).await
}

/// Does what older nodes could not live with, if none is connected. Returns whether it is done.
///
/// # Errors
/// Postgres is away or busy, or an older node wrote in the middle of it: the next try goes on.
pub async fn contract(database: &PgPool, keys: &ReceiptKeys) -> Result<bool, Fault> {
    if !is_contracted(database).await? {
        end_ghosts(database).await?;
        let older = older_nodes(database).await?;
        if !older.is_empty() {
            tracing::info!(older = older.join(", "), "contract migrations wait until these connections end");
            return Ok(false);
        }
        adopt(database, keys).await?;
        run(contracting(), database).await?;
        tracing::info!("contract migrations finished");
    }
    make_months(database).await?;
    Ok(true)
}

/// Compares the tables with this version of Laurel, without writing anything: for those who may only read.
///
/// # Errors
/// One line: the tables are older or newer, or there are none; or Postgres is away.
pub async fn check_tables(database: &PgPool) -> Result<(), Fault> {
    let wrong = |told: String| Fault::new("read Postgres' tables", told);
    let done = steps(database).await?;
    if done.is_empty() {
        return Err(wrong("there are none of Laurel's: laurel migrate makes them".to_owned()));
    }
    // What contracts may wait for older nodes: the code works before and after it.
    if let Some(step) = expand().iter().map(|it| it.version).find(|it| !done.contains(it)) {
        let told = format!(
            "they are older than this version of Laurel, which needs step {step}: run laurel migrate first"
        );
        return Err(wrong(told));
    }
    let newest = newest_step();
    match done.last() {
        Some(step) if *step > newest => Err(wrong(format!(
            "they are newer than this version of Laurel, which knows steps up to {newest}: use the one that made step {step}"
        ))),
        _ => Ok(()),
    }
}

/// Steps of newer nodes are theirs.
async fn run(mut migrator: Migrator, database: &PgPool) -> Result<(), Fault> {
    migrator.set_ignore_missing(true);
    let before = steps(database).await?;
    migrator.run(database).await.map_err(|error| Fault::new("migrate Postgres", error))?;
    let mut new = steps(database).await?;
    new.retain(|step| !before.contains(step));
    if !new.is_empty() {
        tracing::info!(steps = new.len(), newest = new.last(), "migrations applied");
    }
    Ok(())
}

/// The steps that were done, in order; none where there are no tables yet.
async fn steps(database: &PgPool) -> Result<Vec<i64>, Fault> {
    let fault = |error| sql_fault("look at the migrations", error);
    let there = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
    if !sqlx::query_scalar::<_, bool>(there).fetch_one(database).await.map_err(fault)? {
        return Ok(Vec::new());
    }
    let done = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";
    sqlx::query_scalar(done).fetch_all(database).await.map_err(fault)
}

async fn is_contracted(database: &PgPool) -> Result<bool, Fault> {
    let steps: Vec<i64> = contracting().iter().map(|it| it.version).collect();
    sqlx::query_scalar("SELECT count(*) = $2 FROM _sqlx_migrations WHERE version = ANY($1) AND success")
        .bind(&steps)
        .bind(steps.len() as i64)
        .fetch_one(database)
        .await
        .map_err(|error| sql_fault("look at the migrations", error))
}

/// Older nodes wait for the ledger's lock, which the leader keeps. Postgres does not notice that such a node is gone while its
/// connection waits; one that is there comes again.
async fn end_ghosts(database: &PgPool) -> Result<(), Fault> {
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = 'laurel' AND wait_event = 'advisory'
                     AND state_change < now() - interval '5 s'";
    let ended = sqlx::query(end).execute(database).await;
    ended.map(drop).map_err(|error| sql_fault("end connections of nodes that are gone", error))
}

/// Connections of nodes that do not know the newest step, by name and address.
async fn older_nodes(database: &PgPool) -> Result<Vec<String>, Fault> {
    let rows = sqlx::query(
        "SELECT application_name || ' ' || coalesce(host(client_addr), 'local') AS node FROM pg_stat_activity
         WHERE datname = current_database()
               AND (application_name = 'laurel'
                    OR substring(application_name FROM '^laurel/([0-9]{1,18})$')::bigint < $1)
         GROUP BY 1 ORDER BY 1",
    );
    let rows = rows.bind(newest_step()).fetch_all(database).await;
    let rows = rows.map_err(|error| sql_fault("look for older nodes", error))?;
    Ok(rows.iter().map(|row| row.get("node")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_compiled_in() {
        for (folder, prefix, files) in
            [("migrations", "", EXPAND), ("migrations/contract", "contract/", CONTRACT)]
        {
            let names =
                std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> =
                names.filter_map(|it| Some(format!("{prefix}{}", it.strip_suffix(".sql")?))).collect();
            names.sort();
            assert_eq!(files.iter().map(|it| it.0).collect::<Vec<_>>(), names);
            assert_eq!(migrator(files).iter().count(), names.len());
        }
    }
}
