//! The same `redeem` script by `redis-benchmark`, on a Redis of its own with the same durable settings: what the store
//! alone can do on this machine, in this run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use laurel::action::{Flow, Limits, ProofResult};
use laurel::embedded::{DataFolder, Holder, Redis};
use laurel::metrics::Metrics;
use laurel::store::{BoardId, Judging, Redeem, internals};
use redis::aio::MultiplexedConnection;
use serde::Serialize;

use crate::cpu::of_process;

/// Tokens to redeem at random: so many that few come twice.
const TOKENS: usize = 1_000_000;
const USER: &str = "00000000-0000-4000-8000-000000000001";

/// What it internals.
#[derive(Serialize)]
pub struct Alone {
    pub per_second: f64,
    /// CPU of Redis for 1,000 calls.
    pub cpu_seconds_per_1000: f64,
    /// Calls that won points; the others met a token that was spent.
    pub awarded: u64,
    pub calls: usize,
}

/// The script, bound to a run of Redis as a node binds it.
fn source(name: &str, run_id: &str) -> String {
    let declaration = internals::DECLARATIONS.iter().find(|script| script.name == name).unwrap();
    internals::script_text(declaration, run_id)
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
    first.cmd("HSET").arg("shard:state").arg("epoch").arg(1).arg("run").arg(run_id);
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

/// Calls the script as a node does; redis-benchmark replaces `__rand_int__` by twelve digits.
fn benchmark(socket: &Path, calls: usize, sha: &str) -> std::process::Output {
    let (limits, verdict) = (Limits::default(), ProofResult::default());
    let request = Redeem {
        board: BoardId::GLOBAL,
        user: USER.parse().unwrap(),
        number: 1,
        username: "somebody",
        action: "watch_ad",
        points: 10,
        most_points: 10,
        limits: &limits,
        attempt_id: USER.parse().unwrap(),
        token_id: "00000000-0000-4000-8000-__rand_int__",
        token_hash: &"0".repeat(64),
        flow: Flow::Actions,
        expires_s: i64::from(u32::MAX),
        named_session: "",
        proof: "",
        verdict: &verdict,
        judging: Judging::Local,
        per_minute: 0,
        points_per_hour: 0,
        outbox_max: 100_000_000,
        known_version: (1 << 53) - 1,
        known_top: &Vec::new,
        publish_interval_ms: 50,
        idempotency: None,
        next: None,
        receipt_kid: "key",
    };
    let mut config =
        laurel::config::load([("JWT_SECRET".into(), "only for measuring, only for measuring".into())])
            .expect("the defaults are complete")
            .redis;
    config.url = format!("unix://{}", socket.display()).into();
    let store = internals::unconnected(&config, Arc::new(Metrics::default())).unwrap();
    let call = internals::redeem_call(&store, &request);
    // EVALSHA and the script come first.
    let arguments = call.args_iter().skip(2).map(|argument| match argument {
        redis::Arg::Simple(text) => String::from_utf8(text.to_vec()).unwrap(),
        _ => unreachable!("a call has texts only"),
    });
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
        ])
        .args(arguments)
        .output()
        .expect("redis-benchmark is in Debian's package redis-tools")
}
