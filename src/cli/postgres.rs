//! Commands on Postgres: `migrate`, `verify --ledger`, `ledger detach`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};

use super::output::Output;
use super::{exit_code, print};
use crate::app::{App, receipt_keys};
use crate::config::Config;
use crate::db::{self, Database};
use crate::ledger::{self, DetachReport, Mismatch, Month, VerifyReport};
use crate::receipt::ReceiptVerifier;

/// The actions on the ledger's partitions.
#[derive(Subcommand)]
pub enum LedgerCommand {
    /// Detach old months into plain tables that can be dumped and dropped; totals are carried over
    Detach {
        /// Detach partitions that end before this month, as in 2026-12
        #[arg(long)]
        before: Month,
    },
}

/// `laurel ledger`.
pub async fn ledger(app: &App, command: LedgerCommand, output: &mut Output) -> Result<ExitCode> {
    let LedgerCommand::Detach { before } = command;
    // Detaching signs the entries and carries the totals over, so they must be correct.
    if verify_chain(&app.database, app.receipts.verifier(), output).await?.mismatches > 0 {
        bail!("nothing was detached: the ledger has mismatches, see above");
    }
    let DetachReport { tables, entries, carried } = ledger::detach(&app.ledger, before).await?;
    for table in &tables {
        output.line(format_args!("DetachReport {table}"));
    }
    let parts = tables.len();
    output.line(format_args!(
        "{parts} partitions with {entries} entries detached, {carried} totals carried over"
    ));
    Ok(ExitCode::SUCCESS)
}

/// `laurel migrate`.
pub async fn migrate(config: &Config, output: &mut Output) -> Result<ExitCode> {
    let database = db::connect(&config.postgres, &ledger::application_name()).await?;
    ledger::migrate(&database).await?;
    if ledger::contract(&database).await? {
        output.line("Postgres is up to date");
    } else {
        output.line("Postgres is up to date, except for contract migrations, which wait until older nodes have stopped");
    }
    database.close().await;
    Ok(ExitCode::SUCCESS)
}

/// `laurel verify --ledger`. It only reads, so it also works for an auditor's role and on a standby.
pub async fn verify(config: &Config, output: &mut Output) -> Result<ExitCode> {
    let keys = receipt_keys(&config.auth)?;
    let database = db::connect(&config.postgres, &ledger::application_name()).await?;
    ledger::check_tables(&database).await?;
    let verified = verify_chain(&database, keys.verifier(), output).await?;
    database.close().await;
    let VerifyReport { users, entries, mismatches, .. } = verified;
    output.line(format_args!("{users} users, {entries} ledger entries, {mismatches} mismatches"));
    Ok(exit_code(mismatches))
}

async fn verify_chain(
    database: &Database,
    keys: &ReceiptVerifier,
    output: &mut Output,
) -> Result<VerifyReport> {
    let style = ProgressStyle::with_template("{spinner} {pos} entries, {per_sec}")?;
    let bar = ProgressBar::new_spinner().with_style(style);
    let mut report = |found: Mismatch| bar.suspend(|| print(&found, output));
    let progress = |done| bar.set_position(done);
    let verified = ledger::verify_ledger(database, keys, &progress, &mut report).await?;
    bar.finish_and_clear();
    Ok(verified)
}
