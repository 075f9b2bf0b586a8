//! The command line. Each command starts what it needs, does one thing, and reports errors on one line.

mod admin;
mod dead_letters;
mod output;
mod postgres;
mod receipt;
mod serve;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use crate::app::App;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::embedded::{Embedded, Purpose};
use crate::ledger::{self, Mismatch, SeedOptions, VerifyReport};
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
    /// Start the server (runs migrations first)
    Serve,
    /// Apply the Postgres migrations and exit
    Migrate,
    /// Create users with random scores, for a test or a demo
    Seed {
        /// Number of users to create
        #[arg(long)]
        users: u64,
        /// Maximum score; scores are drawn from 0 to this
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..1 << 53))]
        max_score: u64,
        /// Write the users' login JWTs to this file, one per line
        #[arg(long)]
        tokens: Option<PathBuf>,
    },
    /// Compare Redis with the ledger; exit code 1 if they differ
    Verify {
        /// Check the ledger itself: hash chain, checkpoints and each user's history
        #[arg(long)]
        ledger: bool,
        /// Check only the open periods of this board
        #[arg(long, value_name = "ID", conflicts_with = "ledger")]
        board: Option<String>,
    },
    /// Load Redis from the ledger while nodes serve, with the configured number of shards
    Rebuild {
        /// URL of the previous Redis, if the number of shards and the Redis change at the same time
        #[arg(long, env = "REDIS_URL_FROM", hide_env_values = true)]
        from: Option<String>,
        /// The previous Redis is lost, with all awards that were not yet in the ledger
        #[arg(long, conflicts_with = "from")]
        lost: bool,
        /// Load only the open periods of this board; awards go on
        #[arg(long, value_name = "ID", conflicts_with_all = ["from", "lost"])]
        board: Option<String>,
    },
    /// Manage the ledger's monthly partitions
    Ledger {
        #[command(subcommand)]
        command: postgres::LedgerCommand,
    },
    /// Moderate players and manage roles; every action is audited
    Admin {
        /// Name for the audit log, added to the account that runs the command
        #[arg(long = "as", value_name = "NAME", global = true, value_parser = admin::read_name)]
        on_behalf_of: Option<String>,
        #[command(subcommand)]
        command: admin::AdminCommand,
    },
    /// Verify receipts
    Receipt {
        #[command(subcommand)]
        command: receipt::ReceiptCommand,
    },
    /// Print the OpenAPI document
    Openapi,
    /// Print the AsyncAPI document of WebSocket, Socket.IO and server-sent events
    Asyncapi,
    /// Show the live board of a node in the terminal
    Watch {
        /// URL of the node
        #[arg(long, default_value = "http://localhost:3000")]
        url: String,
        /// Login JWT
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
            let logs_info = matches!(command, Command::Serve | Command::Migrate);
            let log = Log::start(&config.log, if logs_info { "laurel=info,warn" } else { "warn" });
            let result = run(command, config, &log, &mut output);
            (log, result)
        }
    };
    result.and_then(|code| output.finish(code)).unwrap_or_else(|error| {
        log.fail(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// Loads the configuration; commands that need none get the defaults.
fn config_for(command: &Command) -> Result<Config, config::Problems> {
    match command {
        Command::Watch { .. } | Command::Receipt { .. } | Command::Openapi | Command::Asyncapi => {
            config::load([])
        }
        _ => config::load(std::env::vars_os()),
    }
}

/// Removes libpq's variables, which are for other servers than the private one.
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
            // All TLS connections use this provider. An error means that one is already installed.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            return runtime.context("cannot start")?.block_on(async {
                match command {
                    Command::Watch { url, token } => watch::watch(&url, &token, output).await,
                    Command::Serve => serve::serve(config, log).await,
                    command => run_with_stores(command, config, output).await,
                }
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// How a command uses the private stores. Only `serve`, `seed` and `migrate` may create them: a query on new, empty stores would give a
/// wrong answer.
fn purpose(command: &Command) -> Purpose {
    match command {
        Command::Seed { .. } | Command::Migrate => Purpose::Create,
        Command::Verify { ledger: true, .. } => Purpose::UsePostgres,
        _ => Purpose::Use,
    }
}

async fn run_with_stores(command: Command, mut config: Config, output: &mut Output) -> Result<ExitCode> {
    let stores = Embedded::start(&mut config, purpose(&command)).await?;
    let result = run_on_stores(command, config, output).await;
    stores.stop().await;
    result
}

async fn run_on_stores(command: Command, config: Config, output: &mut Output) -> Result<ExitCode> {
    match command {
        Command::Migrate => return postgres::migrate(&config, output).await,
        Command::Verify { ledger: true, .. } => {
            output.line(format_args!("Postgres: {}", config.postgres.url.without_login()));
            return postgres::verify(&config, output).await;
        }
        Command::Verify { .. } | Command::Rebuild { .. } => {
            output.line(format_args!("Redis: {}", config.redis.url.without_login()));
            output.line(format_args!("Postgres: {}", config.postgres.url.without_login()));
        }
        _ => {}
    }
    // Only commands that may create stores may create tables.
    let (app, _turns) = match command {
        Command::Seed { .. } => App::build(config, Clock::default()).await?,
        _ => App::build_to_read(config, Clock::default()).await?,
    };
    let code = match command {
        Command::Seed { users, max_score, tokens } => {
            ledger::await_board(&app.ledger, |_| ()).await?;
            seed(&app, SeedOptions { users, max_score, tokens }, output).await?
        }
        Command::Verify { board: Some(board), .. } => verify_board(&app, &board, output).await?,
        Command::Verify { .. } => verify(&app, output).await?,
        Command::Rebuild { board: Some(board), .. } => rebuild_board(&app, &board, output).await?,
        Command::Rebuild { from, lost, .. } => {
            rebuild(&app, &ledger::OldBoard { url: from, lost }, output).await?
        }
        Command::Ledger { command } => postgres::ledger(&app, command, output).await?,
        Command::Admin { command, on_behalf_of } => {
            if command.needs_an_open_board() {
                ledger::await_board(&app.ledger, |_| ()).await?;
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
            unreachable!("handled before the stores are started")
        }
    };
    app.database.close().await;
    Ok(code)
}

async fn seed(app: &Arc<App>, options: SeedOptions, output: &mut Output) -> Result<ExitCode> {
    let bar = progress(options.users);
    ledger::seed(&app.ledger, &app.accounts.logins, &options, |done| bar.set_position(done)).await?;
    bar.finish_and_clear();
    output.line(format_args!("Created {} users", options.users));
    if let Some(path) = options.tokens {
        output.line(format_args!("Wrote their login tokens to {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

async fn verify(app: &App, output: &mut Output) -> Result<ExitCode> {
    let verified = ledger::verify(&app.ledger, &mut |found| print(&found, output)).await?;
    let VerifyReport { users, entries, board_entries, mismatches } = verified;
    output.line(format_args!(
        "{users} users, {entries} ledger entries, {board_entries} board entries, {mismatches} mismatches"
    ));
    Ok(exit_code(mismatches))
}

async fn verify_board(app: &App, board: &str, output: &mut Output) -> Result<ExitCode> {
    check_board(app, board)?;
    let mut mismatches = 0;
    let entries = ledger::verify_boards(&app.ledger, Some(board), &mut |found| {
        mismatches += 1;
        print(&found, output);
    })
    .await?;
    output.line(format_args!("{entries} board entries, {mismatches} mismatches"));
    Ok(exit_code(mismatches))
}

/// Checks that there is a board with this id.
fn check_board(app: &App, id: &str) -> Result<()> {
    let boards = app.boards.all();
    let ids: Vec<&str> = boards.iter().map(|board| board.id.as_str()).collect();
    ensure!(ids.contains(&id), "--board: there is no board {id}, only {}", ids.join(", "));
    Ok(())
}

fn print(found: &Mismatch, output: &mut Output) {
    output.line(format_args!("{}: {}", found.subject, found.detail));
}

fn exit_code(mismatches: u64) -> ExitCode {
    if mismatches == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn rebuild(app: &App, from: &ledger::OldBoard, output: &mut Output) -> Result<ExitCode> {
    let bar = load_progress("users")?;
    let users = ledger::rebuild_or_reshard(&app.ledger, from, |done| bar.set_position(done)).await?;
    bar.finish_and_clear();
    output.line(format_args!("Loaded {users} users from the ledger"));
    Ok(ExitCode::SUCCESS)
}

async fn rebuild_board(app: &App, board: &str, output: &mut Output) -> Result<ExitCode> {
    check_board(app, board)?;
    let bar = load_progress("entries")?;
    let players = ledger::rebuild_board(&app.ledger, board, |done| bar.set_position(done)).await?;
    bar.finish_and_clear();
    output.line(format_args!("Loaded {players} players of board {board} from the ledger"));
    Ok(ExitCode::SUCCESS)
}

fn load_progress(what: &str) -> Result<ProgressBar> {
    let style = ProgressStyle::with_template(&format!("{{spinner}} {{pos}} {what} loaded"))?;
    Ok(ProgressBar::new_spinner().with_style(style))
}

fn progress(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} users, {per_sec}, {eta} left");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
