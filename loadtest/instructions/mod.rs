//! Instructions that a node and Redis execute for an award. `make instructions` compares them with the committed `counts.json` and
//! fails if one is larger. Unlike times they do not depend on the load of the machine, so CI can compare them.
//!
//! Requests go one at a time to a release build. `target/instructions` gets the counts by function, as a table (`node.award.txt`) and
//! for `callgrind_annotate --inclusive=yes`, and the node's log.

mod callgrind;
mod counts;
mod setup;

use std::path::Path;
use std::time::{Duration, Instant};

use counts::{Count, Counts};
use setup::Setup;

use crate::client::{self, Connection};

/// Requests of each kind that are counted, and requests before them as warm-up: one per user.
const REQUESTS: usize = 1000;
const WARM_UP: usize = 200;
/// How long the idle work is counted.
const IDLE: Duration = Duration::from_secs(5);

/// Counts, and saves or compares the counts.
pub async fn run(update: bool) {
    let profiles = Path::new("target/instructions");
    let _ = std::fs::remove_dir_all(profiles);
    std::fs::create_dir_all(profiles).unwrap();
    let counts = measure(&profiles.canonicalize().unwrap()).await;
    if update {
        counts.save();
        println!("{counts}");
        return;
    }
    let (report, is_larger) = counts.compare(&Counts::committed());
    println!("{report}");
    assert!(!is_larger, "more instructions than committed");
}

async fn measure(profiles: &Path) -> Counts {
    let mut setup = Setup::start(profiles).await;
    let mut connection = Connection::open(&setup.address).await;
    let tokens = issue(&mut connection, &setup.logins, WARM_UP).await;
    redeem(&mut connection, &setup.logins, &tokens).await;
    read_boards(&mut connection, WARM_UP).await;

    let mut counter = Counter::start(&mut setup);
    tokio::time::sleep(IDLE).await;
    counter.count_idle(&mut setup);
    let tokens = issue(&mut connection, &setup.logins, REQUESTS).await;
    let issue = counter.count(&mut setup, "issue");
    redeem(&mut connection, &setup.logins, &tokens).await;
    let award = counter.count(&mut setup, "award");
    read_boards(&mut connection, REQUESTS).await;
    let board = counter.count(&mut setup, "board");
    setup.write_ledger(WARM_UP + REQUESTS).await;
    let mut ledger = counter.count(&mut setup, "ledger");
    // The awards of the warm-up are written too.
    for count in [&mut ledger.node, &mut ledger.redis] {
        *count = *count * REQUESTS as u64 / (WARM_UP + REQUESTS) as u64;
    }
    Counts { by: counts::programs(), issue, award, board, ledger }
}

/// Sends `init` for each user in turn, and returns the tokens.
async fn issue(connection: &mut Connection, logins: &[String], count: usize) -> Vec<String> {
    let mut tokens = Vec::new();
    for login in logins.iter().cycle().take(count) {
        let response = connection.post("/api/v1/actions/init", login, r#"{"actionType":"watch_ad"}"#).await;
        tokens.push(client::field(&response.unwrap(), "antiSpamToken").unwrap());
    }
    tokens
}

async fn redeem(connection: &mut Connection, logins: &[String], tokens: &[String]) {
    for (login, token) in logins.iter().cycle().zip(tokens) {
        let body = format!(r#"{{"antiSpamToken":"{token}"}}"#);
        connection.post("/api/v1/actions/finalize", login, &body).await.unwrap();
    }
}

async fn read_boards(connection: &mut Connection, count: usize) {
    for _ in 0..count {
        connection.get("/api/v1/scores/leaderboard").await;
    }
}

/// Instructions of each phase, without the idle work during it.
struct Counter {
    since: Instant,
    /// Of the node and of Redis.
    idle_per_second: [f64; 2],
}

impl Counter {
    fn start(setup: &mut Setup) -> Self {
        let mut counter = Self { since: Instant::now(), idle_per_second: [0.0; 2] };
        counter.end_phase(setup, "warm-up");
        counter
    }

    /// Returns the instructions and the seconds since the last phase.
    fn end_phase(&mut self, setup: &mut Setup, name: &str) -> ([f64; 2], f64) {
        let counts = [&mut setup.node, &mut setup.redis].map(|program| {
            let count = program.instructions();
            program.name_dump(name, REQUESTS);
            count as f64
        });
        let took = self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
        (counts, took)
    }

    fn count_idle(&mut self, setup: &mut Setup) {
        let (counts, took) = self.end_phase(setup, "idle");
        self.idle_per_second = counts.map(|count| count / took);
    }

    /// Instructions per request.
    fn count(&mut self, setup: &mut Setup, name: &str) -> Count {
        let (counts, took) = self.end_phase(setup, name);
        let per_request = |program: usize| {
            (counts[program] - self.idle_per_second[program] * took).max(0.0) / REQUESTS as f64
        };
        eprintln!("{name}: {REQUESTS} in {took:.0} s");
        Count { node: per_request(0) as u64, redis: per_request(1) as u64 }
    }
}
