//! What each promise costs: the same players, one setting after the other, on nodes of the same run (docs/durability.md).

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use laurel::embedded::{DataFolder, Holder, Redis};
use redis::aio::MultiplexedConnection;

use crate::cpu::{self, Cpu};
use crate::report;
use crate::server::{self, Server, UNLIMITED};
use crate::session::Session;

/// What the part begins with, so that it can be written anew alone.
pub const HEADING: &str = "## Durability";

const WARM_UP: Duration = Duration::from_secs(1);
const LASTS: Duration = Duration::from_secs(6);
/// Players at once, each with an award under way all the time.
const PLAYERS: [usize; 2] = [64, 512];

const CATALOGUE: &str = r#"
[[action]]
type = "fast"
number = 1
points = 10
proof = { kind = "none" }

[[action]]
type = "safe"
number = 2
points = 10
proof = { kind = "none" }
acknowledge = "ledger"
"#;

/// Everything that was measured.
pub struct Durability {
    rows: Vec<Row>,
    verified: String,
}

struct Row {
    setting: &'static str,
    players: usize,
    /// Microseconds from request to answer, of awards that were acknowledged.
    times: Histogram<u64>,
    failed: usize,
    /// CPU seconds of the nodes, their stores and the replica.
    ours: f64,
    /// The part of the machine's cores that others used meanwhile.
    others: f64,
}

/// Two nodes with stores of their own; the second one's Redis has a replica, whose process comes with them.
struct Stage {
    plain: Server,
    waiting: Server,
    replica: Redis,
}

pub async fn measure() -> Durability {
    let folder = tempfile::Builder::new().prefix("laurel-replica").tempdir().unwrap();
    let catalogue = folder.path().join("actions.toml");
    std::fs::write(&catalogue, CATALOGUE).unwrap();
    let mut settings = UNLIMITED.to_vec();
    settings.push(("LAUREL_ACTIONS__FILE", catalogue.to_str().unwrap()));
    let plain = Server::start(PLAYERS[1], &settings);
    settings.push(("LAUREL_REDIS__WAIT_REPLICAS", "1"));
    let waiting = Server::start(PLAYERS[1], &settings);
    let Holder::Us(data) = DataFolder::open(folder.path()).await.unwrap() else { unreachable!() };
    let replica = Redis::start(&data, &[]).await.unwrap();
    follow(&mut waiting.redis().await, &data).await;
    let stage = Stage { plain, waiting, replica };

    let mut rows = Vec::new();
    for players in PLAYERS {
        let mut redis = stage.plain.redis().await;
        set(&mut redis, "appendfsync", "everysec").await;
        rows.push(stage.row("`appendfsync everysec`", &stage.plain, players, "fast").await);
        set(&mut redis, "appendfsync", "always").await;
        rows.push(stage.row("`appendfsync always` (default)", &stage.plain, players, "fast").await);
        rows.push(stage.row("`always`, `wait_replicas = 1`", &stage.waiting, players, "fast").await);
        rows.push(stage.row("`always`, `acknowledge = \"ledger\"`", &stage.plain, players, "safe").await);
    }
    let verified = format!("{}; {}", stage.plain.verify(), stage.waiting.verify());
    stage.replica.stop().await;
    Durability { rows, verified }
}

async fn set(redis: &mut MultiplexedConnection, name: &str, value: &str) {
    let mut command = redis::cmd("CONFIG");
    command.arg("SET").arg(name).arg(value).exec_async(redis).await.unwrap();
}

/// Lets the Redis in a folder be the replica of another, and waits until it is in step.
async fn follow(primary: &mut MultiplexedConnection, data: &DataFolder) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    set(primary, "bind", "127.0.0.1").await;
    set(primary, "port", &port.to_string()).await;
    let mut replica = server::connect(&data.root().join("redis/redis.sock")).await;
    redis::cmd("REPLICAOF").arg("127.0.0.1").arg(port).exec_async(&mut replica).await.unwrap();
    crate::wait_until(async || {
        let mut replica = replica.clone();
        let told: String = redis::cmd("INFO").arg("replication").query_async(&mut replica).await.unwrap();
        told.contains("master_link_status:up")
    })
    .await;
}

impl Stage {
    async fn row(&self, setting: &'static str, server: &Server, players: usize, action: &'static str) -> Row {
        let sessions = server.logins().into_iter().take(players);
        let sessions =
            futures::future::join_all(sessions.map(async |it| Session::start(&server.address, &it).await))
                .await;
        let (before, from) = (self.cpu(), Instant::now() + WARM_UP);
        let playing: Vec<_> =
            sessions.into_iter().map(|it| tokio::spawn(play(it, action, from, from + LASTS))).collect();
        let (mut times, mut failed) = (Histogram::new(3).unwrap(), 0);
        for player in playing {
            let (some_times, some_failed) = player.await.unwrap();
            times.add(some_times).unwrap();
            failed += some_failed;
        }
        let after = self.cpu();
        let cores = std::thread::available_parallelism().unwrap().get() as f64;
        let (ours, others) = (after.0 - before.0, after.1 - before.1);
        server.wait_until_written().await;
        Row {
            setting,
            players,
            times,
            failed,
            ours,
            others: others / cores / (WARM_UP + LASTS).as_secs_f64(),
        }
    }

    /// CPU seconds so far: of the nodes and all stores; of others than those and the load.
    fn cpu(&self) -> (f64, f64) {
        let (plain, waiting) = (Cpu::of(&self.plain), Cpu::of(&self.waiting));
        let replica = cpu::of_process(self.replica.pid().unwrap());
        let stores = |it: &Cpu| it.node + it.redis + it.postgres;
        (stores(&plain) + stores(&waiting) + replica, plain.others() - stores(&waiting) - replica)
    }
}

/// Wins awards until the end; those that were begun before the start are not counted.
async fn play(
    mut session: Session,
    action: &str,
    from: Instant,
    until: Instant,
) -> (Arc<Histogram<u64>>, usize) {
    let (mut times, mut failed) = (Histogram::new(3).unwrap(), 0);
    while Instant::now() < until {
        let sent = Instant::now();
        let won = session.win(action).await;
        if sent < from {
            continue;
        }
        failed += usize::from(!won);
        if won {
            times.record(sent.elapsed().as_micros() as u64).unwrap();
        }
    }
    (Arc::new(times), failed)
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}\n\n{}\n", report::provenance("make bench-durability"))?;
        writeln!(f, "{}\n", EXPLANATION)?;
        writeln!(
            f,
            "| an award is answered under | players | per second | p50 ms | p99 ms | × `always` p50 | failed | CPU | others % |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|")?;
        self.rows.iter().try_for_each(|it| it.show(f, &self.rows))?;
        writeln!(f, "\n`laurel verify` afterwards, node by node: {}", self.verified)
    }
}

const EXPLANATION: &str =
    "Players in game sessions win awards (`update`), each the next as soon as the last was acknowledged, for 6 s under
each setting in turn, on two nodes with private stores that stay the same but for the setting; the replica, too, is on this machine
and this disk (`appendfsync always`). So a setting that makes an answer wait makes fewer awards at as many players: what it
costs a player is the time, what it costs the machine is in the CPU column (seconds of nodes and stores for 1,000 awards;
the ledger's part is in all of them). \"Failed\" are awards that were not acknowledged in time.";

impl Row {
    fn show(&self, f: &mut fmt::Formatter<'_>, rows: &[Self]) -> fmt::Result {
        let ms = |it: &Self, quantile| it.times.value_at_quantile(quantile) as f64 / 1000.0;
        let usual = rows.iter().find(|it| it.players == self.players && it.setting.contains("default"));
        let awards = self.times.len() as f64;
        writeln!(
            f,
            "| {} | {} | {:.0} | {:.1} | {:.1} | {:.1} | {} | {:.3} | {:.0} |",
            self.setting,
            self.players,
            awards / LASTS.as_secs_f64(),
            ms(self, 0.5),
            ms(self, 0.99),
            ms(self, 0.5) / ms(usual.unwrap_or(self), 0.5),
            self.failed,
            self.ours / awards * LASTS.as_secs_f64() / (WARM_UP + LASTS).as_secs_f64() * 1000.0,
            self.others * 100.0,
        )
    }
}
