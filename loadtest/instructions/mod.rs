//! How many instructions a node and Redis execute for an award: `make instructions` holds the counts against those that are kept in
//! `counts.json` beside this, and fails where one grew. Unlike times they are the same on a busy machine, so CI can compare them.
//!
//! One request after another goes to a node as it is released. What it executes by function is left in `target/instructions`, as a
//! table (`node.award.txt`) and for `callgrind_annotate --inclusive=yes`; so is its log.

mod callgrind;
mod counts;
mod functions;
mod stage;

use std::path::Path;
use std::time::{Duration, Instant};

use counts::{Count, Counts};
use stage::Stage;

use crate::http::{self, Connection};

/// Requests of each kind that are counted, and those before, which warm up: one for each user.
const REQUESTS: usize = 1000;
const WARM_UP: usize = 200;
/// How long is listened to what both do when nobody asks anything.
const IDLE: Duration = Duration::from_secs(5);

/// Counts, and keeps it or compares it with what is kept.
pub async fn run(update: bool) {
    let profiles = Path::new("target/instructions");
    let _ = std::fs::remove_dir_all(profiles);
    std::fs::create_dir_all(profiles).unwrap();
    let measured = measure(&profiles.canonicalize().unwrap()).await;
    if update {
        measured.keep();
        println!("{measured}");
        return;
    }
    let (report, grew) = measured.compare(&Counts::kept());
    println!("{report}");
    assert!(!grew, "more instructions than were kept");
}

async fn measure(profiles: &Path) -> Counts {
    let mut stage = Stage::start(profiles).await;
    let mut connection = Connection::open(&stage.address).await;
    let tokens = issue(&mut connection, &stage.logins, WARM_UP).await;
    redeem(&mut connection, &stage.logins, &tokens).await;
    read(&mut connection, WARM_UP).await;

    let mut clock = Clock::start(&mut stage);
    tokio::time::sleep(IDLE).await;
    clock.learn_idle(&mut stage);
    let tokens = issue(&mut connection, &stage.logins, REQUESTS).await;
    let issue = clock.count(&mut stage, "issue");
    redeem(&mut connection, &stage.logins, &tokens).await;
    let award = clock.count(&mut stage, "award");
    read(&mut connection, REQUESTS).await;
    let board = clock.count(&mut stage, "board");
    stage.write_down(WARM_UP + REQUESTS).await;
    let mut ledger = clock.count(&mut stage, "ledger");
    // Those of the warm-up are written too.
    for count in [&mut ledger.node, &mut ledger.redis] {
        *count = *count * REQUESTS as u64 / (WARM_UP + REQUESTS) as u64;
    }
    Counts { by: counts::programs(), issue, award, board, ledger }
}

/// Starts so many actions, each user in turn.
async fn issue(connection: &mut Connection, logins: &[String], count: usize) -> Vec<String> {
    let mut tokens = Vec::new();
    for login in logins.iter().cycle().take(count) {
        let answer = connection.post("/api/v1/actions/init", login, r#"{"actionType":"watch_ad"}"#).await;
        tokens.push(http::field(&answer, "antiSpamToken").unwrap());
    }
    tokens
}

async fn redeem(connection: &mut Connection, logins: &[String], tokens: &[String]) {
    for (login, token) in logins.iter().cycle().zip(tokens) {
        let body = format!(r#"{{"antiSpamToken":"{token}"}}"#);
        connection.post("/api/v1/actions/finalize", login, &body).await;
    }
}

async fn read(connection: &mut Connection, count: usize) {
    for _ in 0..count {
        connection.get("/api/v1/scores/leaderboard").await;
    }
}

/// What was executed from one moment to the next, without what would have been if nobody had asked.
struct Clock {
    since: Instant,
    idle_per_second: [f64; 2],
}

impl Clock {
    fn start(stage: &mut Stage) -> Self {
        let mut clock = Self { since: Instant::now(), idle_per_second: [0.0; 2] };
        clock.lap(stage, "warm");
        clock
    }

    fn lap(&mut self, stage: &mut Stage, name: &str) -> ([f64; 2], f64) {
        let counted = [&mut stage.node, &mut stage.redis].map(|it| {
            let count = it.instructions();
            it.name(name, REQUESTS);
            count as f64
        });
        let took = self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
        (counted, took)
    }

    fn learn_idle(&mut self, stage: &mut Stage) {
        let (counted, took) = self.lap(stage, "idle");
        self.idle_per_second = counted.map(|it| it / took);
    }

    /// By request.
    fn count(&mut self, stage: &mut Stage, name: &str) -> Count {
        let (counted, took) = self.lap(stage, name);
        let own = |it: usize| (counted[it] - self.idle_per_second[it] * took).max(0.0) / REQUESTS as f64;
        eprintln!("{name}: {REQUESTS} in {took:.0} s");
        Count { node: own(0) as u64, redis: own(1) as u64 }
    }
}
