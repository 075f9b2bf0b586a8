//! The same `redeem` script by `redis-benchmark`, on a Redis of its own with the same durable settings: what the store
//! alone can do on this machine, in this run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use laurel::embedded::{DataFolder, Holder, Redis};
use redis::aio::MultiplexedConnection;
use serde::Serialize;

use crate::cpu::of_process;

/// Tokens to redeem at random: so many that few come twice.
const TOKENS: usize = 1_000_000;
const USER: &str = "00000000-0000-4000-8000-000000000001";

/// What it measured.
#[derive(Serialize)]
pub struct Alone {
    pub per_second: f64,
    /// CPU of Redis for 1,000 calls.
    pub cpu_seconds_per_1000: f64,
    /// Calls that won points; the others met a token that was spent.
    pub awarded: u64,
    pub calls: usize,
}

/// The script with the parts that its header names, bound to a run of Redis as a node binds it.
fn source(name: &str, run_id: &str) -> String {
    let text = std::fs::read_to_string(format!("lua/{name}.lua")).unwrap();
    let needs = text.lines().find_map(|it| it.strip_prefix("-- Needs ")).unwrap().trim_end_matches('.');
    let parts = needs.split(", ").map(|it| std::fs::read_to_string(format!("lua/{it}.lua")).unwrap());
    format!("local RUN = '{run_id}'\n") + &parts.map(|it| it + "\n").collect::<String>() + &text
}

/// A Redis with the script, a board and the tokens.
pub struct Script {
    server: Redis,
    socket: PathBuf,
    connection: MultiplexedConnection,
    sha: String,
    /// What was won so far.
    score: u64,
    _data: DataFolder,
    _folder: tempfile::TempDir,
}

impl Script {
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("laurel-alone").tempdir().unwrap();
        let Holder::Us(data) = DataFolder::open(folder.path()).await.unwrap() else { unreachable!() };
        let server = Redis::start(&data, &[]).await.unwrap();
        let socket = data.root().join("redis/redis.sock");
        let mut connection = crate::server::connect(&socket).await;
        let info: redis::InfoDict = redis::cmd("INFO").query_async(&mut connection).await.unwrap();
        let run_id: String = info.get("run_id").unwrap();
        prepare(&mut connection, &run_id).await;
        let load = redis::cmd("SCRIPT").arg("LOAD").arg(source("redeem", &run_id)).to_owned();
        let sha = load.query_async(&mut connection).await.unwrap();
        Self { server, socket, connection, sha, score: 0, _data: data, _folder: folder }
    }

    /// Lets `redis-benchmark` call it so often.
    pub async fn benchmark(&mut self, calls: usize) -> Alone {
        let pid = self.server.pid().unwrap();
        let (before, started) = (of_process(pid), Instant::now());
        let output = benchmark(&self.socket, calls, &self.sha);
        let (cpu, took) = (of_process(pid) - before, started.elapsed());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut ask = redis::cmd("ZSCORE");
        let score: u64 =
            ask.arg("leaderboard:global").arg(USER).query_async(&mut self.connection).await.unwrap();
        let won = score - std::mem::replace(&mut self.score, score);
        Alone {
            per_second: calls as f64 / took.as_secs_f64(),
            cpu_seconds_per_1000: cpu / calls as f64 * 1000.0,
            awarded: won / 10,
            calls,
        }
    }

    pub async fn stop(self) {
        self.server.stop().await;
    }
}

/// A board of 10,000, and the tokens.
async fn prepare(connection: &mut MultiplexedConnection, run_id: &str) {
    let run = async |pipeline: redis::Pipeline, connection: &mut MultiplexedConnection| {
        pipeline.exec_async(connection).await.unwrap();
    };
    let mut first = redis::pipe();
    first.cmd("HSET").arg("leaderboard:global:state").arg("epoch").arg(1).arg("run").arg(run_id);
    for place in 0..10_000u32 {
        first
            .cmd("ZADD")
            .arg("leaderboard:global")
            .arg(place)
            .arg(format!("00000000-0000-4000-9000-{place:012}"));
    }
    run(first, connection).await;
    for some in (0..TOKENS).collect::<Vec<_>>().chunks(10_000) {
        let mut pipeline = redis::pipe();
        for token in some {
            let key = format!("token:00000000-0000-4000-8000-{token:012}");
            pipeline.cmd("SET").arg(key).arg(format!("{USER} watch_ad - 1 -"));
        }
        run(pipeline, connection).await;
    }
}

/// The arguments are those of `src/store/redeem.rs`; `__rand_int__` is twelve digits.
fn benchmark(socket: &Path, calls: usize, sha: &str) -> std::process::Output {
    let token = "00000000-0000-4000-8000-__rand_int__";
    let keys = [
        "leaderboard:global",
        "leaderboard:global:state",
        "leaderboard:global:top",
        "leaderboard:global:throttle",
        "outbox",
        &format!("user:score:{USER}"),
        &format!("token:{token}"),
        &format!("spent:{token}"),
        &format!("rate:awards:{USER}"),
        &format!("ban:{USER}"),
        &format!("limit:{USER}:watch_ad"),
        &format!("points:{USER}"),
        "answer",
        "session",
        "next",
        "quarantined",
    ]
    .map(str::to_owned);
    let hash = "0".repeat(64);
    let arguments = [
        USER,
        "1",
        "somebody",
        "watch_ad",
        "10",
        token,
        &hash,
        "actions",
        "4294967295",
        "",
        "",
        "1",
        "",
        "0",
        "",
        "0",
        "100000000",
        "9007199254740991",
        "50",
        "board:global",
        "personal:1",
        "",
        "",
        "1",
        "key",
        "",
        "",
    ];
    let (count, range, clients) = (calls.to_string(), TOKENS.to_string(), crate::CONNECTIONS.to_string());
    Command::new("redis-benchmark")
        .args([
            "-s",
            socket.to_str().unwrap(),
            "-n",
            &count,
            "-r",
            &range,
            "-c",
            &clients,
            "-q",
            "EVALSHA",
            sha,
            "16",
        ])
        .args(keys)
        .args(arguments)
        .output()
        .expect("redis-benchmark is in Debian's package redis-tools")
}
