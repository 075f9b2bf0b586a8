//! How far the ledger is behind at a steady pace, and how fast it takes what piled up.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use laurel::embedded::{DataFolder, Holder, Postgres};
use sqlx::{Connection, PgConnection};
use tokio::sync::Mutex;

use crate::cpu::Cpu;
use crate::lead::Holding;
use crate::players::pace;
use crate::report;
use crate::server::{Server, UNLIMITED};
use crate::session::Session;

/// What the part begins with, so that it can be written anew alone.
pub const HEADING: &str = "## Ledger";

const PER_SECOND: usize = 2000;
const STEADY: Duration = Duration::from_secs(30);
const PLAYERS: usize = 400;
/// Entries that pile up.
const PILE: u64 = 1_000_000;

/// Everything that was measured.
pub struct Ledger {
    /// Milliseconds from Redis' time of an award to the time of its commit: p50, p99, largest.
    lag_ms: (f64, f64, f64),
    /// Microseconds from the moment when an award was due to its answer.
    times: Histogram<u64>,
    failed: usize,
    others: f64,
    piled: u64,
    bytes_per_entry: f64,
    drained_in: Duration,
    drain_cpu: Cpu,
    verified: String,
}

type Players = Vec<Arc<Mutex<Session>>>;

pub async fn measure() -> Ledger {
    let folder = tempfile::Builder::new().prefix("laurel-ledger").tempdir().unwrap();
    let Holder::Us(data) = DataFolder::open(folder.path()).await.unwrap() else { unreachable!() };
    // The defaults, and when each transaction was committed is kept.
    let postgres = Postgres::start(&data, &["track_commit_timestamp=on"]).await.unwrap();
    let url = format!("postgres:///laurel?host={}/postgres&user=laurel", data.root().display());
    let mut settings = UNLIMITED.to_vec();
    settings.extend([("DATABASE_URL", url.as_str()), ("LAUREL_OUTBOX__MAX_ENTRIES", "2000000")]);
    let mut server = Server::start(PLAYERS, &settings);
    server.postmaster = postgres.pid();
    let mut players = Vec::new();
    for login in server.logins() {
        players.push(Arc::new(Mutex::new(Session::start(&server.address, &login).await)));
    }
    let mut database = PgConnection::connect(&url).await.unwrap();

    let (before, started) = (Cpu::of(&server), Instant::now());
    let (times, failed) = steadily(&players).await;
    let cores = std::thread::available_parallelism().unwrap().get() as f64;
    let others = Cpu::of(&server).since(&before).others() / cores / started.elapsed().as_secs_f64();
    server.wait_until_written().await;
    let lag_ms = lag_ms(&mut database).await;

    let holder = Holding::take_over(&url, &mut database).await;
    pile_up(&server, &players).await;
    let (piled, bytes) = outbox(&server).await;
    let (before, started) = (Cpu::of(&server), Instant::now());
    holder.end().await;
    while outbox(&server).await.0 > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (drained_in, drain_cpu) = (started.elapsed(), Cpu::of(&server).since(&before));
    let verified = server.verify();
    drop(server);
    postgres.stop().await;
    let bytes_per_entry = bytes / piled as f64;
    Ledger { lag_ms, times, failed, others, piled, bytes_per_entry, drained_in, drain_cpu, verified }
}

/// Every award is due at a moment that was settled before.
async fn steadily(players: &Players) -> (Histogram<u64>, usize) {
    let awards = PER_SECOND * STEADY.as_secs() as usize;
    let (mut due, mut under_way) = (pace(awards, PER_SECOND), Vec::with_capacity(awards));
    while let Some(hlc_us) = due.recv().await {
        let player = players[under_way.len() % players.len()].clone();
        under_way.push(tokio::spawn(async move {
            let won = player.lock().await.win("watch_ad").await;
            (hlc_us.elapsed(), won)
        }));
    }
    let (mut times, mut failed) = (Histogram::new(3).unwrap(), 0);
    for award in under_way {
        let (took, won) = award.await.unwrap();
        times.record(took.as_micros() as u64).unwrap();
        failed += usize::from(!won);
    }
    (times, failed)
}

async fn lag_ms(database: &mut PgConnection) -> (f64, f64, f64) {
    sqlx::query_as(
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY lag), percentile_cont(0.99) WITHIN GROUP (ORDER BY lag), max(lag)
         FROM (SELECT (extract(epoch FROM pg_xact_commit_timestamp(xmin) - created_at) * 1000)::float8 AS lag
               FROM score_history WHERE action_type = 'watch_ad') AS lags",
    )
    .fetch_one(database)
    .await
    .unwrap()
}

/// Awards as fast as they are answered, until enough wait.
async fn pile_up(server: &Server, players: &Players) {
    let enough = tokio_util::sync::CancellationToken::new();
    let playing: Vec<_> = players
        .iter()
        .take(crate::CONNECTIONS)
        .map(|player| {
            let (player, enough) = (player.clone(), enough.clone());
            tokio::spawn(async move {
                let mut session = player.lock().await;
                while !enough.is_cancelled() {
                    session.win("watch_ad").await;
                }
            })
        })
        .collect();
    crate::wait_until(async || outbox(server).await.0 >= PILE).await;
    enough.cancel();
    futures::future::join_all(playing).await;
}

/// Entries that wait, and the bytes they take.
async fn outbox(server: &Server) -> (u64, f64) {
    let mut redis = server.redis().await;
    let mut ask = redis::pipe();
    ask.cmd("XLEN").arg("outbox").cmd("MEMORY").arg("USAGE").arg("outbox");
    let (entries, bytes): (u64, Option<f64>) = ask.query_async(&mut redis).await.unwrap();
    (entries, bytes.unwrap_or_default())
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |quantile| self.times.value_at_quantile(quantile) as f64 / 1000.0;
        let (p50, p99, most) = self.lag_ms;
        let per_second = self.piled as f64 / self.drained_in.as_secs_f64();
        writeln!(f, "{HEADING}\n\n{}\n", report::provenance("make bench-ledger"))?;
        writeln!(
            f,
            "One node, its private Redis (`appendfsync always`) and a Postgres with its defaults and `track_commit_timestamp`; {PLAYERS}
players in game sessions, where an award (`update`) is one entry of the outbox, one row of `score_history` and one of `user_action`.\n"
        )?;
        writeln!(
            f,
            "At a steady {PER_SECOND} awards a second for {} s ({} failed; from the moment when an award was due to its answer p50 {:.1},
p99 {:.1} ms; others used {:.0} % of the machine), the ledger was behind, from Redis' time of an award to the time of
its commit, by p50 **{p50:.0} ms**, p99 **{p99:.0} ms**, at most {most:.0} ms.\n",
            STEADY.as_secs(),
            self.failed,
            ms(0.5),
            ms(0.99),
            self.others * 100.0,
        )?;
        writeln!(
            f,
            "{} entries that piled up ({:.0} bytes each in Redis) were drained in {:.1} s, from the moment when the lead was free: **{per_second:.0} a
second**, {:.1} × the {PER_SECOND} awards a second. CPU seconds for 1,000 of them: node {:.3}, Redis {:.3}, Postgres {:.3}.\n",
            self.piled,
            self.bytes_per_entry,
            self.drained_in.as_secs_f64(),
            per_second / PER_SECOND as f64,
            self.drain_cpu.node / self.piled as f64 * 1000.0,
            self.drain_cpu.redis / self.piled as f64 * 1000.0,
            self.drain_cpu.postgres / self.piled as f64 * 1000.0,
        )?;
        writeln!(f, "`laurel verify` afterwards: {}", self.verified)
    }
}
