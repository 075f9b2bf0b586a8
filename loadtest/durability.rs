//! The cost of each durability setting (docs/durability.md): the same players under one setting after the other, on nodes of the same
//! run.

use std::fmt;
use std::time::{Duration, Instant};

use futures::future::join_all;
use hdrhistogram::Histogram;
use laurel::embedded::{DataFolder, Holder, Redis};
use redis::aio::MultiplexedConnection;

use crate::client::Session;
use crate::results;
use crate::server::{self, Server, UNLIMITED};
use crate::usage::{Cpu, process_seconds, share_of_machine};

pub const HEADING: &str = "## Durability";

const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(6);
/// Concurrent players, each with one award at a time.
const PLAYERS: [usize; 2] = [64, 512];

const CATALOGUE: &str = r#"
[[action]]
type = "acknowledged_by_redis"
number = 1
points = 10
proof = { kind = "none" }

[[action]]
type = "acknowledged_by_ledger"
number = 2
points = 10
proof = { kind = "none" }
acknowledge = "ledger"
"#;
const BY_REDIS: &str = "acknowledged_by_redis";
const BY_LEDGER: &str = "acknowledged_by_ledger";

/// The results of the durability test.
pub struct Durability {
    rows: Vec<Row>,
    verified: String,
}

struct Row {
    setting: &'static str,
    players: usize,
    /// Microseconds from request to response, of acknowledged awards.
    times: Histogram<u64>,
    failed: usize,
    /// CPU seconds of the nodes, their stores and the replica.
    cpu_seconds: f64,
    /// Share of the machine that other programs took, 0 to 1.
    others: f64,
}

/// Two nodes with private stores. The Redis of the second one has a replica.
struct Stage {
    plain: Server,
    replicated: Server,
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
    let replicated = Server::start(PLAYERS[1], &settings);
    let Holder::Us(data) = DataFolder::open(folder.path()).await.unwrap() else { unreachable!() };
    let replica = Redis::start(&data, &[]).await.unwrap();
    replicate(&mut replicated.redis().await, &data).await;
    let stage = Stage { plain, replicated, replica };

    let mut rows = Vec::new();
    for players in PLAYERS {
        let (plain, replicated) = (&stage.plain, &stage.replicated);
        let mut redis = plain.redis().await;
        set(&mut redis, "appendfsync", "everysec").await;
        rows.push(stage.measure("`appendfsync everysec`", plain, players, BY_REDIS).await);
        set(&mut redis, "appendfsync", "always").await;
        rows.push(stage.measure("`appendfsync always` (default)", plain, players, BY_REDIS).await);
        rows.push(stage.measure("`always`, `wait_replicas = 1`", replicated, players, BY_REDIS).await);
        rows.push(stage.measure("`always`, `acknowledge = \"ledger\"`", plain, players, BY_LEDGER).await);
    }
    let verified = format!("{}; {}", stage.plain.verify(), stage.replicated.verify());
    stage.replica.stop().await;
    Durability { rows, verified }
}

async fn set(redis: &mut MultiplexedConnection, name: &str, value: &str) {
    let mut command = redis::cmd("CONFIG");
    command.arg("SET").arg(name).arg(value).exec_async(redis).await.unwrap();
}

/// Makes the Redis in a folder a replica of another one, and waits until it is in sync.
async fn replicate(primary: &mut MultiplexedConnection, data: &DataFolder) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    set(primary, "bind", "127.0.0.1").await;
    set(primary, "port", &port.to_string()).await;
    let mut replica = server::connect(&data.root().join("redis/redis.sock")).await;
    redis::cmd("REPLICAOF").arg("127.0.0.1").arg(port).exec_async(&mut replica).await.unwrap();
    crate::wait_until(async || {
        let mut replica = replica.clone();
        let info: String = redis::cmd("INFO").arg("replication").query_async(&mut replica).await.unwrap();
        info.contains("master_link_status:up")
    })
    .await;
}

impl Stage {
    async fn measure(
        &self,
        setting: &'static str,
        server: &Server,
        players: usize,
        action: &'static str,
    ) -> Row {
        let logins = server.logins().into_iter().take(players);
        let sessions =
            join_all(logins.map(async |login| Session::start(&server.address, &login).await)).await;
        let (before, start) = (self.cpu_seconds(), Instant::now() + WARM_UP);
        let playing: Vec<_> =
            sessions.into_iter().map(|session| tokio::spawn(play(session, action, start))).collect();
        let (mut times, mut failed) = (Histogram::new(3).unwrap(), 0);
        for player in playing {
            let (own_times, own_failed) = player.await.unwrap();
            times.add(own_times).unwrap();
            failed += own_failed;
        }
        let after = self.cpu_seconds();
        server.wait_until_written().await;
        let others = share_of_machine(after.1 - before.1, (WARM_UP + MEASURED).as_secs_f64());
        Row { setting, players, times, failed, cpu_seconds: after.0 - before.0, others }
    }

    /// CPU seconds so far: of the nodes and all stores; of all other programs.
    fn cpu_seconds(&self) -> (f64, f64) {
        let (plain, replicated) = (Cpu::of(&self.plain), Cpu::of(&self.replicated));
        let replica = process_seconds(self.replica.pid().unwrap());
        let server = |cpu: &Cpu| cpu.node + cpu.redis + cpu.postgres;
        (server(&plain) + server(&replicated) + replica, plain.others() - server(&replicated) - replica)
    }
}

/// Makes awards one after the other. Counts those that begin after the warm-up.
async fn play(mut session: Session, action: &str, start: Instant) -> (Histogram<u64>, usize) {
    let (mut times, mut failed) = (Histogram::new(3).unwrap(), 0);
    while Instant::now() < start + MEASURED {
        let sent = Instant::now();
        let is_acknowledged = session.award(action).await;
        if sent < start {
            continue;
        }
        failed += usize::from(!is_acknowledged);
        if is_acknowledged {
            times.record(sent.elapsed().as_micros() as u64).unwrap();
        }
    }
    (times, failed)
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADING}\n\n{}\n", results::provenance("make bench-durability"))?;
        writeln!(
            f,
            "| setting | players | per second | p50 ms | p99 ms | × `always` p50 | failed | CPU | others % |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|")?;
        self.rows.iter().try_for_each(|row| row.show(f, &self.rows))?;
        writeln!(f, "\n`laurel verify` afterwards, node by node: {}", self.verified)
    }
}

impl Row {
    fn show(&self, f: &mut fmt::Formatter<'_>, rows: &[Self]) -> fmt::Result {
        let ms = |row: &Self, quantile| row.times.value_at_quantile(quantile) as f64 / 1000.0;
        let default = rows.iter().find(|row| row.players == self.players && row.setting.contains("default"));
        let awards = self.times.len() as f64;
        let measured_share = MEASURED.as_secs_f64() / (WARM_UP + MEASURED).as_secs_f64();
        writeln!(
            f,
            "| {} | {} | {:.0} | {:.1} | {:.1} | {:.1} | {} | {:.3} | {:.0} |",
            self.setting,
            self.players,
            awards / MEASURED.as_secs_f64(),
            ms(self, 0.5),
            ms(self, 0.99),
            ms(self, 0.5) / ms(default.unwrap_or(self), 0.5),
            self.failed,
            self.cpu_seconds / awards * measured_share * 1000.0,
            self.others * 100.0,
        )
    }
}
