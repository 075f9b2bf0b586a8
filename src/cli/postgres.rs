//! The commands that need Postgres alone: what is there is brought up to date, or held against itself.

use std::process::ExitCode;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

use super::report;
use crate::app::receipt_keys;
use crate::config::Config;
use crate::ledger::{self, Difference};

/// `laurel migrate`.
pub async fn migrate(config: &Config) -> Result<ExitCode> {
    let database = ledger::connect(&config.database).await?;
    ledger::migrate(&database).await?;
    if config.auth.jwt_secret.is_empty() {
        println!("Postgres is up to date, but for what needs JWT_SECRET: the nodes do that");
    } else if ledger::contract(&database, &receipt_keys(&config.auth)?).await? {
        println!("Postgres is up to date");
    } else {
        println!("Postgres is up to date, but for what waits until older nodes are gone");
    }
    Ok(ExitCode::SUCCESS)
}

/// `laurel verify --ledger`.
pub async fn verify(config: &Config) -> Result<ExitCode> {
    let keys = receipt_keys(&config.auth)?;
    let database = ledger::connect(&config.database).await?;
    ledger::migrate(&database).await?;
    let style = ProgressStyle::with_template("{spinner} {pos} entries, {per_sec}")?;
    let bar = ProgressBar::new_spinner().with_style(style);
    let mut print = |it: Difference| bar.suspend(|| println!("{}: {}", it.of, it.what));
    let progress = |done| bar.set_position(done);
    let verified = ledger::verify_ledger(&database, keys.verifier(), &progress, &mut print).await?;
    bar.finish_and_clear();
    if verified.unchained > 0 {
        println!("{} more entries are of older nodes, and not chained yet", verified.unchained);
    }
    Ok(report(verified))
}
