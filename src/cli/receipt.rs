//! `laurel receipt`: verifies receipts offline.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use clap::Subcommand;

use super::output::Output;
use crate::clock::rfc3339;
use crate::config;
use crate::embedded;
use crate::receipt::{Receipt, ReceiptKeys, ReceiptVerifier};

#[derive(Subcommand)]
pub enum ReceiptCommand {
    /// Verify receipts offline; exit code 1 if one is not genuine
    Verify {
        /// File with the public keys from /.well-known/laurel-receipts.json. Default: the configured keys
        #[arg(long)]
        keys: Option<PathBuf>,
        /// The receipt. Default: standard input, one receipt per line
        receipt: Option<String>,
    },
}

/// Verifies all receipts, also after a wrong one.
pub fn run(command: ReceiptCommand, output: &mut Output) -> Result<ExitCode> {
    let ReceiptCommand::Verify { keys, receipt } = command;
    let verifier = match keys {
        Some(path) => ReceiptVerifier::open(&path).map_err(|problem| anyhow!(problem))?,
        None => own_keys()?,
    };
    let texts: Box<dyn Iterator<Item = std::io::Result<String>>> = match receipt {
        Some(text) => Box::new(std::iter::once(Ok(text))),
        None => Box::new(std::io::stdin().lock().lines()),
    };
    let (mut genuine, mut wrong) = (0u64, 0u64);
    for (index, text) in texts.enumerate() {
        let text = text?;
        if text.trim().is_empty() {
            continue;
        }
        match verifier.receipt(text.trim()) {
            Ok(receipt) => {
                genuine += 1;
                output.line(shown(&receipt));
            }
            Err(problem) => {
                wrong += 1;
                let _ = writeln!(std::io::stderr(), "laurel: receipt {}: {problem}", index + 1);
            }
        }
    }
    match (genuine, wrong) {
        (0, 0) => bail!("no receipt was given"),
        (_, 0) => Ok(ExitCode::SUCCESS),
        _ => Ok(ExitCode::FAILURE),
    }
}

/// The keys of nodes with this configuration.
fn own_keys() -> Result<ReceiptVerifier> {
    let mut config = config::load(std::env::vars_os())?;
    embedded::read_secret(&mut config)?;
    if config.auth.jwt_secret.is_empty() {
        bail!("JWT_SECRET is not set; set it or use --keys with the published keys");
    }
    Ok(ReceiptKeys::new(&config.auth).map_err(|problem| anyhow!(problem))?.into_verifier())
}

fn shown(it: &Receipt) -> String {
    let (at, points) = (rfc3339(it.iat.saturating_mul(1000)), it.points);
    format!(
        "genuine: {at} user {} action {} points {points} score {} board {} event {}",
        it.sub, it.act, it.score, it.version, it.jti
    )
}
