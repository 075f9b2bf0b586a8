//! The commands (contract, section 10). Each starts what it needs, does one thing, and says in one line what went wrong.

mod admin;
mod letters;
mod postgres;
mod receipt;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::embedded::{Embedded, Purpose};
use crate::ledger::{self, SeedOptions, Verified};
use crate::serve::Node;
use crate::{http, telemetry};

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
        /// The URL of the Redis that the board was in, if store.shards was another number and it was another Redis
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
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("laurel: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli.command)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("laurel: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode> {
    if let Command::Watch { url, token } = command {
        watch::watch(&url, &token).await?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Command::Receipt { command } = command {
        return receipt::run(command);
    }
    if let Command::Openapi = command {
        println!("{:#}", http::openapi());
        return Ok(ExitCode::SUCCESS);
    }
    if let Command::Asyncapi = command {
        println!("{:#}", http::asyncapi());
        return Ok(ExitCode::SUCCESS);
    }
    let mut config = config::load(std::env::vars())?;
    telemetry::start(&config.log);
    // Whatever speaks TLS uses this provider; a second start keeps the first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let serves = matches!(command, Command::Serve);
    let mut stores = Embedded::start(&mut config, purpose(&command)).await?;
    let result = if serves { serve(config, &mut stores).await } else { once(command, config).await };
    stores.stop().await;
    result
}

/// What a command wants of the private stores. Only these three may make them (contract, section 10): what asks a question must
/// not answer it from stores that were made for the asking.
fn purpose(command: &Command) -> Purpose {
    match command {
        Command::Serve => Purpose::Node,
        Command::Seed { .. } | Command::Migrate => Purpose::Make,
        Command::Verify { ledger: true } => Purpose::UsePostgres,
        _ => Purpose::Use,
    }
}

/// The private stores are started on this thread and looked after on it: the kernel ends them when the thread ends.
async fn serve(config: Config, stores: &mut Embedded) -> Result<ExitCode> {
    let hint = stores.join_hint();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    // A board that has to be loaded first may take a while.
    let mut node = tokio::select! {
        started = Node::start(config, Clock::default()) => started?,
        _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
        _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
        () = stores.keep_alive() => bail!("a private store ended"),
    };
    println!("Laurel serves on http://{}", shown(node.address));
    if let Some(address) = node.admin_address {
        println!("Operators: http://{}/admin", shown(address));
    }
    if let Some(hint) = hint {
        println!("A second node joins its stores with:");
        println!("  {hint}PORT=3001 laurel serve");
    }
    let died = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        why = node.died() => Some(why),
        () = stores.keep_alive() => None,
    };
    tracing::info!("stopping: sockets leave, requests under way finish");
    node.stop().await;
    match died {
        Some(why) => bail!(why),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// `localhost` for people, where that is what is meant.
fn shown(address: std::net::SocketAddr) -> String {
    if address.ip().is_loopback() { format!("localhost:{}", address.port()) } else { address.to_string() }
}

async fn once(command: Command, config: Config) -> Result<ExitCode> {
    match command {
        Command::Migrate => return postgres::migrate(&config).await,
        Command::Verify { ledger: true } => return postgres::verify(&config).await,
        _ => {}
    }
    let (app, _turns) = match command {
        Command::Verify { .. } => App::build_to_read(config, Clock::default()).await?,
        _ => App::build(config, Clock::default()).await?,
    };
    let code = match command {
        Command::Seed { users, max_score, tokens } => {
            ledger::wait_open(&app, |_| ()).await?;
            seed(&app, SeedOptions { users, max_score, tokens }).await?
        }
        Command::Verify { .. } => verify(&app).await?,
        Command::Rebuild { from, lost } => rebuild(&app, &ledger::From { url: from, lost }).await?,
        Command::Ledger { command } => postgres::look_after(&app, command).await?,
        Command::Admin { command } => {
            if command.needs_an_open_board() {
                ledger::wait_open(&app, |_| ()).await?;
            }
            admin::run(&app, command).await?;
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

async fn seed(app: &Arc<App>, options: SeedOptions) -> Result<ExitCode> {
    let bar = progress(options.users);
    ledger::seed(app, &options, |done| bar.set_position(done)).await?;
    bar.finish_and_clear();
    println!("Seeded {} users", options.users);
    if let Some(path) = options.tokens {
        println!("Their login tokens are in {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

async fn verify(app: &App) -> Result<ExitCode> {
    Ok(report(ledger::verify(app, &mut |it| println!("{}: {}", it.of, it.what)).await?))
}

fn report(Verified { users, entries, differences, .. }: Verified) -> ExitCode {
    println!("{users} users, {entries} ledger entries, {differences} differences");
    if differences == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn rebuild(app: &App, from: &ledger::From) -> Result<ExitCode> {
    let bar =
        ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {pos} users loaded")?);
    let users = ledger::rebuild_as_told(app, from, |done| bar.set_position(done)).await?;
    bar.finish_and_clear();
    println!("Loaded {users} users from the ledger");
    Ok(ExitCode::SUCCESS)
}

fn progress(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} users, {per_sec}, {eta} left");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
