//! The commands (contract, section 10). Each starts what it needs, does one thing, and says in one line what went wrong.

mod admin;
mod letters;
mod output;
mod postgres;
mod receipt;
mod serve;
mod signals;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use crate::app::App;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::embedded::{Embedded, Purpose};
use crate::ledger::{self, SeedOptions, Verified};
use crate::{http, telemetry};
use output::Output;
use telemetry::Log;

/// A tamper-proof, real-time leaderboard service.
#[derive(Parser)]
#[command(name = "laurel", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Migrate, check, serve
    Serve,
    /// Bring Postgres' tables up to date, and only that
    Migrate,
    /// Add users, with scores, for a test or a demo
    Seed {
        /// How many
        #[arg(long)]
        users: u64,
        /// Scores are drawn from 0 to this
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..1 << 53))]
        max_score: u64,
        /// File for the users' login JWTs, one a line
        #[arg(long)]
        tokens: Option<PathBuf>,
    },
    /// Compare Redis with the ledger; exit 1 if they differ
    Verify {
        /// Check the ledger itself instead: its chain, its checkpoints and each user's history
        #[arg(long)]
        ledger: bool,
    },
    /// Load Redis from the ledger, while nodes serve; split as the settings say
    Rebuild {
        /// The URL of the Redis that the board was in, if redis.shards was another number and it was another Redis
        #[arg(long, env = "REDIS_URL_FROM", hide_env_values = true)]
        from: Option<String>,
        /// The Redis that the board was in is lost, and what it had not written with it
        #[arg(long, conflicts_with = "from")]
        lost: bool,
    },
    /// Look after the ledger's months
    Ledger {
        #[command(subcommand)]
        command: postgres::LedgerCommand,
    },
    /// Ban, adjust, grant: what operators do, audited
    Admin {
        /// Who asked for it, for the audit, beside the account that runs the command
        #[arg(long = "as", value_name = "NAME", global = true, value_parser = admin::read_name)]
        on_behalf_of: Option<String>,
        #[command(subcommand)]
        command: admin::AdminCommand,
    },
    /// Check what nodes signed
    Receipt {
        #[command(subcommand)]
        command: receipt::ReceiptCommand,
    },
    /// Print the OpenAPI document
    Openapi,
    /// Print the AsyncAPI document: what is said over sockets and streams
    Asyncapi,
    /// Show a node's live board in the terminal
    Watch {
        /// The node
        #[arg(long, default_value = "http://localhost:3000")]
        url: String,
        /// A login JWT
        #[arg(long, env = "TOKEN", hide_env_values = true)]
        token: String,
    },
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    let mut output = Output::default();
    let (mut log, result) = match config_for(&command) {
        Err(problems) => (Log::start(&problems.log, "warn"), Err(problems.into())),
        Ok(config) => {
            if config.postgres.url.is_empty() {
                forget_pg_variables();
            }
            let begins = matches!(command, Command::Serve | Command::Migrate);
            let log = Log::start(&config.log, if begins { "laurel=info,warn" } else { "warn" });
            let result = run(command, config, &log, &mut output);
            (log, result)
        }
    };
    result.and_then(|code| output.finish(code)).unwrap_or_else(|error| {
        log.fail(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// The settings; the defaults for what has none.
fn config_for(command: &Command) -> Result<Config, config::Problems> {
    match command {
        Command::Watch { .. } | Command::Receipt { .. } | Command::Openapi | Command::Asyncapi => {
            config::load([])
        }
        _ => config::load(std::env::vars_os()),
    }
}

/// libpq's variables are for other servers than the private one: neither it nor those who connect to it should hear of them.
fn forget_pg_variables() {
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.as_encoded_bytes().starts_with(b"PG")) {
        // SAFETY: this is the only thread so far.
        unsafe { std::env::remove_var(name) };
    }
}

fn run(command: Command, config: Config, log: &Log, output: &mut Output) -> Result<ExitCode> {
    match command {
        Command::Openapi => output.line(format_args!("{:#}", http::openapi())),
        Command::Asyncapi => output.line(format_args!("{:#}", http::asyncapi())),
        Command::Receipt { command } => return receipt::run(command, output),
        command => {
            // Whatever speaks TLS uses this provider; a second start keeps the first.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            return runtime.context("cannot start")?.block_on(async {
                match command {
                    Command::Watch { url, token } => watch::watch(&url, &token, output).await,
                    Command::Serve => serve::serve(config, log).await,
                    command => once(command, config, output).await,
                }
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a command wants of the private stores. Beside `serve` only these two may make them (contract, section 10): what asks a question
/// must not answer it from stores that were made for the asking.
fn purpose(command: &Command) -> Purpose {
    match command {
        Command::Seed { .. } | Command::Migrate => Purpose::Make,
        Command::Verify { ledger: true } => Purpose::UsePostgres,
        _ => Purpose::Use,
    }
}

async fn once(command: Command, mut config: Config, output: &mut Output) -> Result<ExitCode> {
    let stores = Embedded::start(&mut config, purpose(&command)).await?;
    let result = on_stores(command, config, output).await;
    stores.stop().await;
    result
}

async fn on_stores(command: Command, config: Config, output: &mut Output) -> Result<ExitCode> {
    match command {
        Command::Migrate => return postgres::migrate(&config, output).await,
        Command::Verify { ledger: true } => {
            output.line(format_args!("Postgres: {}", config.postgres.url.without_login()));
            return postgres::verify(&config, output).await;
        }
        Command::Verify { .. } | Command::Rebuild { .. } => {
            output.line(format_args!("Redis: {}", config.redis.url.without_login()));
            output.line(format_args!("Postgres: {}", config.postgres.url.without_login()));
        }
        _ => {}
    }
    // Only what may make stores makes their tables.
    let (app, _turns) = match command {
        Command::Seed { .. } => App::build(config, Clock::default()).await?,
        _ => App::build_to_read(config, Clock::default()).await?,
    };
    let code = match command {
        Command::Seed { users, max_score, tokens } => {
            ledger::wait_open(&app, |_| ()).await?;
            seed(&app, SeedOptions { users, max_score, tokens }, output).await?
        }
        Command::Verify { .. } => verify(&app, output).await?,
        Command::Rebuild { from, lost } => rebuild(&app, &ledger::From { url: from, lost }, output).await?,
        Command::Ledger { command } => postgres::look_after(&app, command, output).await?,
        Command::Admin { command, on_behalf_of } => {
            if command.needs_an_open_board() {
                ledger::wait_open(&app, |_| ()).await?;
            }
            admin::run(&app, command, on_behalf_of.as_deref(), output).await?;
            ExitCode::SUCCESS
        }
        Command::Serve
        | Command::Migrate
        | Command::Watch { .. }
        | Command::Receipt { .. }
        | Command::Openapi
        | Command::Asyncapi => {
            unreachable!("these do not come here")
        }
    };
    app.database.close().await;
    Ok(code)
}

async fn seed(app: &Arc<App>, options: SeedOptions, output: &mut Output) -> Result<ExitCode> {
    let bar = progress(options.users);
    ledger::seed(app, &options, |done| bar.set_position(done)).await?;
    bar.finish_and_clear();
    output.line(format_args!("Seeded {} users", options.users));
    if let Some(path) = options.tokens {
        output.line(format_args!("Their login tokens are in {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

async fn verify(app: &App, output: &mut Output) -> Result<ExitCode> {
    let verified = ledger::verify(app, &mut |it| output.line(format_args!("{}: {}", it.of, it.what))).await?;
    Ok(report(verified, output))
}

fn report(Verified { users, entries, differences, .. }: Verified, output: &mut Output) -> ExitCode {
    output.line(format_args!("{users} users, {entries} ledger entries, {differences} differences"));
    if differences == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn rebuild(app: &App, from: &ledger::From, output: &mut Output) -> Result<ExitCode> {
    let bar =
        ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {pos} users loaded")?);
    let users = ledger::rebuild_as_told(app, from, |done| bar.set_position(done)).await?;
    bar.finish_and_clear();
    output.line(format_args!("Loaded {users} users from the ledger"));
    Ok(ExitCode::SUCCESS)
}

fn progress(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} users, {per_sec}, {eta} left");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
