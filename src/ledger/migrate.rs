//! Database migrations. Expand steps run at once, beside older nodes; contract steps wait until the last older node is gone. See
//! migrations/README.md.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{PgPool, Row, SqlSafeStr};
use uuid::Uuid;

use crate::db::sql_fault;
use crate::error::Fault;
use crate::ledger::partitions::create_months;

/// Embeds files of `migrations/`. `sqlx::migrate!` would find them by itself, but its proc macro compiles sqlx, rustls and aws-lc a second
/// time, for the build host.
macro_rules! embed {
    ($($file:literal)*) => {
        &[$(($file, include_str!(concat!("../../migrations/", $file, ".sql")))),*]
    };
}

/// File names without `.sql`, and the SQL.
type Files = [(&'static str, &'static str)];

const EXPAND: &Files = embed!["0001_baseline"];
const CONTRACT: &Files = embed![];

/// Both kinds of migrations. They share one sequence of numbers.
pub struct Migrations {
    expand: Migrator,
    contract: Migrator,
}

impl Migrations {
    /// The migrations in the binary.
    pub fn embedded() -> Self {
        Self::new(EXPAND, CONTRACT)
    }

    /// Migrations from files named `<number>_<description>` or `contract/<number>_<description>`.
    pub fn new(expand: &Files, contract: &Files) -> Self {
        Self { expand: migrator(expand), contract: migrator(contract) }
    }

    /// The number of the newest step.
    fn newest(&self) -> i64 {
        self.expand.iter().chain(self.contract.iter()).map(|step| step.version).max().unwrap_or(0)
    }

    /// Runs the expand steps that are missing. Nodes that start together wait for each other.
    ///
    /// # Errors
    /// A migration changed after it ran, or Postgres is unavailable.
    pub async fn expand(&self, database: &PgPool) -> Result<(), Fault> {
        run(&self.expand, database).await
    }

    /// Runs the contract steps that are missing, unless an older node is connected. Returns true once all of them ran.
    ///
    /// # Errors
    /// Postgres is unavailable, or a lock was not granted in time. The next call continues.
    pub async fn contract(&self, database: &PgPool) -> Result<bool, Fault> {
        let done = steps(database).await?;
        if self.contract.iter().all(|step| done.contains(&step.version)) {
            return Ok(true);
        }
        let older = older_nodes(database, self.newest()).await?;
        if !older.is_empty() {
            tracing::info!(
                older_nodes = older.join(", "),
                "contract migrations waiting for older nodes to stop"
            );
            return Ok(false);
        }
        run(&self.contract, database).await?;
        tracing::info!("contract migrations finished");
        Ok(true)
    }
}

fn migrator(files: &Files) -> Migrator {
    let step = |(file, sql): &(&'static str, &'static str)| {
        let (version, description) = version_and_description(file).expect("a test checks the names");
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let mut migrator = Migrator::with_migrations(files.iter().map(step).collect());
    // Steps of newer versions are none of our business, and each kind ignores the other.
    migrator.set_ignore_missing(true);
    migrator
}

/// `contract/0007_months` is version 7, `months`.
fn version_and_description(file: &str) -> Option<(i64, &str)> {
    let (version, description) = file.trim_start_matches("contract/").split_once('_')?;
    Some((version.parse().ok()?, description))
}

/// Name of this node's connections. It carries the newest migration that this node supports.
pub fn application_name() -> String {
    format!("laurel/{}", Migrations::embedded().newest())
}

/// Brings the tables up to date, as far as older nodes can work with them.
///
/// # Errors
/// A migration changed after it ran, or Postgres is unavailable.
pub async fn migrate(database: &PgPool) -> Result<(), Fault> {
    Migrations::embedded().expand(database).await
}

/// Runs contract migrations if no older node is connected, and creates the ledger's next months. Returns false while contract migrations
/// wait for older nodes.
///
/// # Errors
/// Postgres is unavailable, or a lock was not granted in time. The next call continues.
pub async fn contract(database: &PgPool) -> Result<bool, Fault> {
    let is_done = Migrations::embedded().contract(database).await?;
    create_months(database).await?;
    Ok(is_done)
}

/// Compares the schema with this version of Laurel. Read-only.
///
/// # Errors
/// The tables are missing, older or newer than this version, or Postgres is unavailable.
pub async fn check_tables(database: &PgPool) -> Result<(), Fault> {
    let fault = |problem: String| Fault::new("check_schema", problem);
    let migrations = Migrations::embedded();
    let done = steps(database).await?;
    if done.is_empty() {
        return Err(fault("Laurel's tables are missing: run laurel migrate".to_owned()));
    }
    // Contract steps may still wait for older nodes. The code works before and after them.
    if let Some(step) = migrations.expand.iter().map(|step| step.version).find(|step| !done.contains(step)) {
        return Err(fault(format!("migration {step} is missing: run laurel migrate")));
    }
    let newest = migrations.newest();
    match done.last() {
        Some(step) if *step > newest => Err(fault(format!(
            "the tables are at migration {step}, this version of Laurel supports {newest}: use a newer version"
        ))),
        _ => Ok(()),
    }
}

/// The deployment's id, drawn when the tables were created.
///
/// # Errors
/// Postgres is unavailable, or the row was deleted.
pub async fn deployment(database: &PgPool) -> Result<Uuid, Fault> {
    let read = sqlx::query_scalar("SELECT id FROM deployment").fetch_one(database).await;
    read.map_err(|error| sql_fault("read_deployment_id", error))
}

async fn run(migrator: &Migrator, database: &PgPool) -> Result<(), Fault> {
    let before = steps(database).await?;
    migrator.run(database).await.map_err(|error| Fault::new("migrate_postgres", error))?;
    let mut new = steps(database).await?;
    new.retain(|step| !before.contains(step));
    if !new.is_empty() {
        tracing::info!(steps = new.len(), newest = new.last(), "migrations applied");
    }
    Ok(())
}

/// Applied steps in ascending order. Empty if there are no tables.
async fn steps(database: &PgPool) -> Result<Vec<i64>, Fault> {
    let fault = |error| sql_fault("read_migrations", error);
    let exists = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
    if !sqlx::query_scalar::<_, bool>(exists).fetch_one(database).await.map_err(fault)? {
        return Ok(Vec::new());
    }
    let applied = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";
    sqlx::query_scalar(applied).fetch_all(database).await.map_err(fault)
}

/// Connections of nodes that do not support the newest step, by name and address.
async fn older_nodes(database: &PgPool, newest: i64) -> Result<Vec<String>, Fault> {
    let rows = sqlx::query(
        "SELECT application_name || ' ' || coalesce(host(client_addr), 'local') AS node FROM pg_stat_activity
         WHERE datname = current_database() AND substring(application_name FROM '^laurel/([0-9]{1,18})$')::bigint < $1
         GROUP BY 1 ORDER BY 1",
    );
    let rows = rows.bind(newest).fetch_all(database).await;
    let rows = rows.map_err(|error| sql_fault("find_older_nodes", error))?;
    Ok(rows.iter().map(|row| row.get("node")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_embedded() {
        for (folder, prefix, files) in
            [("migrations", "", EXPAND), ("migrations/contract", "contract/", CONTRACT)]
        {
            // Without contract steps there is no such folder.
            let entries = std::fs::read_dir(folder).into_iter().flatten();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> =
                names.filter_map(|name| Some(format!("{prefix}{}", name.strip_suffix(".sql")?))).collect();
            names.sort();
            assert_eq!(files.iter().map(|it| it.0).collect::<Vec<_>>(), names);
            assert_eq!(migrator(files).iter().count(), names.len());
        }
    }
}
