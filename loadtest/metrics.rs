//! What metrics cost: what is recorded for one award, a look at `/metrics`, and an award on a node that is scraped every second
//! beside the same node unscraped, in turns.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use laurel::metrics::Metrics;
use tokio::sync::Mutex;

use crate::cpu::{self, Cpu};
use crate::http::Connection;
use crate::players::pace;
use crate::report;
use crate::server::{Server, UNLIMITED};
use crate::session::Session;

/// What the part begins with, so that it can be written anew alone.
pub const HEADING: &str = "## Metrics";

const PLAYERS: usize = 64;
const PER_SECOND: usize = 1000;
/// Awards of a turn, and turns of each of the two kinds.
const AWARDS: usize = 5000;
const TURNS: usize = 8;
/// Looks at `/metrics` one after the other, and those before that are not measured.
const LOOKS: usize = 500;
const WARM_UP: usize = 50;
/// Awards whose records are timed.
const RECORDS: u32 = 1_000_000;

/// Everything that was measured.
pub struct Cost {
    recorded: Recorded,
    looked: Looked,
    /// Node's CPU seconds for an award, turn by turn.
    alone: Vec<f64>,
    scraped: Vec<f64>,
    /// The part of the machine that others used meanwhile.
    others: f64,
    verified: String,
}

/// What one award records, in nanoseconds of CPU.
struct Recorded {
    one_thread: f64,
    two_threads: f64,
}

struct Looked {
    bytes: usize,
    series: usize,
    /// Microseconds from request to answer, of a node that does nothing else.
    times: Histogram<u64>,
    cpu: f64,
}

pub async fn measure() -> Cost {
    let recorded = Recorded { one_thread: record(1), two_threads: record(2) };
    let server = Server::start(PLAYERS, UNLIMITED);
    let mut players = Vec::new();
    for login in server.logins() {
        players.push(Arc::new(Mutex::new(Session::start(&server.address, &login).await)));
    }
    // A turn of each that is not counted, so that the pages and the pool are there.
    turn(&server, &players).await;
    let (before, started) = (Cpu::of(&server), Instant::now());
    let (mut alone, mut scraped) = (Vec::new(), Vec::new());
    for round in 0..TURNS {
        // Whichever comes first, the other does the next time.
        for scrapes in [round % 2 == 0, round % 2 == 1] {
            let scraper = scrapes.then(|| tokio::spawn(scrape_forever(server.address.clone())));
            let cost = turn(&server, &players).await;
            if let Some(scraper) = scraper {
                scraper.abort();
                scraped.push(cost);
            } else {
                alone.push(cost);
            }
        }
    }
    let cores = std::thread::available_parallelism().unwrap().get() as f64;
    let others = Cpu::of(&server).since(&before).others() / cores / started.elapsed().as_secs_f64();
    let looked = look(&server).await;
    server.wait_until_written().await;
    Cost { recorded, looked, alone, scraped, others, verified: server.verify() }
}

/// Records what `update` does, on some threads at once; nanoseconds of each thread's CPU for an award.
fn record(threads: usize) -> f64 {
    let metrics = Metrics::default();
    let work = || {
        let (before, took) = (cpu::of_this_thread(), black_box(Duration::from_micros(900)));
        for _ in 0..RECORDS {
            metrics.http(black_box("POST"), black_box("/api/score/update"), black_box("200"), took);
            metrics.redis_call(black_box("redeem"), took, true);
            metrics.proof(black_box("none"), true);
            metrics.award(black_box("watch_ad"));
        }
        (cpu::of_this_thread() - before) / f64::from(RECORDS) * 1e9
    };
    let mean = |all: Vec<f64>| all.iter().sum::<f64>() / all.len() as f64;
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        mean(all.into_iter().map(|it| it.join().unwrap()).collect())
    })
}

/// Awards at a steady pace; the node's CPU seconds for each.
async fn turn(server: &Server, players: &[Arc<Mutex<Session>>]) -> f64 {
    let before = cpu::exactly(server.node.id());
    let (mut due, mut under_way) = (pace(AWARDS, PER_SECOND), Vec::with_capacity(AWARDS));
    while due.recv().await.is_some() {
        let player = players[under_way.len() % players.len()].clone();
        under_way.push(tokio::spawn(async move { player.lock().await.win("watch_ad").await }));
    }
    for award in under_way {
        assert!(award.await.unwrap(), "every award is made");
    }
    // Until the ledger has the last of them too.
    tokio::time::sleep(Duration::from_millis(500)).await;
    (cpu::exactly(server.node.id()) - before) / AWARDS as f64
}

async fn scrape_forever(address: String) {
    let mut connection = Connection::open(&address).await;
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        connection.get("/metrics").await;
    }
}

async fn look(server: &Server) -> Looked {
    let mut connection = Connection::open(&server.address).await;
    let (mut times, mut text) = (Histogram::new(3).unwrap(), String::new());
    for _ in 0..WARM_UP {
        connection.get("/metrics").await;
    }
    let node = server.node.id();
    let (before, started) = (cpu::exactly(node), Instant::now());
    for _ in 0..LOOKS {
        let sent = Instant::now();
        text = connection.get("/metrics").await;
        times.record(sent.elapsed().as_micros() as u64).unwrap();
    }
    let (cpu, took) = (cpu::exactly(node) - before, started.elapsed());
    // What the node does anyhow is not the looks' part.
    let before = cpu::exactly(node);
    tokio::time::sleep(took).await;
    let idle = cpu::exactly(node) - before;
    let series = text.lines().filter(|it| !it.starts_with('#')).count();
    Looked { bytes: text.len(), series, times, cpu: (cpu - idle) / LOOKS as f64 }
}

fn least(all: &[f64]) -> f64 {
    all.iter().copied().fold(f64::INFINITY, f64::min)
}

fn median(all: &[f64]) -> f64 {
    let mut all = all.to_vec();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recorded, looked, alone, scraped, others, verified } = self;
        writeln!(f, "{HEADING}\n\n{}\n", report::provenance("make bench-metrics"))?;
        writeln!(
            f,
            "One node, its private stores, and {PLAYERS} players who win {PER_SECOND} awards a second between them (`update`), {AWARDS} a turn, {TURNS}
turns with nobody at `/metrics` and as many with a look every second, in turns; others used {:.0} % of the machine.\n",
            others * 100.0
        )?;
        writeln!(f, "| node's CPU for an award | least of the turns, µs | × | median, µs | × |")?;
        writeln!(f, "|---|---|---|---|---|")?;
        for (name, all) in [("nobody looks", alone), ("looked at every second", scraped)] {
            writeln!(
                f,
                "| {name} | {:.1} | {:.3} | {:.1} | {:.3} |",
                least(all) * 1e6,
                least(all) / least(alone),
                median(all) * 1e6,
                median(all) / median(alone)
            )?;
        }
        let ms = |quantile| looked.times.value_at_quantile(quantile) as f64 / 1000.0;
        writeln!(
            f,
            "\nA look at a node that does nothing else: {} series, {:.1} KiB, p50 {:.2} ms, p99 {:.2} ms, and {:.2} ms of CPU: at one a
second {:.2} % of a core, at one in 15 s {:.3} %.\n",
            looked.series,
            looked.bytes as f64 / 1024.0,
            ms(0.5),
            ms(0.99),
            looked.cpu * 1e3,
            looked.cpu * 100.0,
            looked.cpu * 100.0 / 15.0,
        )?;
        writeln!(
            f,
            "What an award records (request, script, proof, award; looked up by their labels and added) takes {:.0} ns of CPU, {:.0} ns on each of
two threads that do nothing else: {:.2} % of what an award takes of the node.\n",
            recorded.one_thread,
            recorded.two_threads,
            recorded.one_thread / 1e9 / least(alone) * 100.0,
        )?;
        writeln!(f, "`laurel verify` afterwards: {verified}")
    }
}
