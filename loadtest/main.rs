//! Awards per second, and what each process spends on them: a node on its private, durable stores, and beside it
//! `redis-benchmark` on the same script, in the same run; game sessions while Socket.IO clients listen. Writes
//! `loadtest/RESULTS.md`. Then what each promise of durability costs, how far the ledger is behind, honest players while
//! hostile clients flood the node, a board on its way to 100,000 sockets, nodes that end under theirs, what metrics and traces cost,
//! what operators ask over a ledger of ten million entries, a browser that opens the page, what it costs that the board is split,
//! and, alone, what the number of players does to a request, and an hour does to a node.
//!
//! `make bench`; `make bench-` and the name of a part measures that alone and leaves the other results as they are.

#![allow(clippy::unwrap_used, reason = "a measurement that fails should stop where it fails")]

mod analytics;
mod cpu;
mod durability;
mod fanout;
mod flood;
mod flood_report;
mod game;
mod growth;
mod hostile;
mod http;
mod ledger;
mod metrics;
mod page;
mod players;
mod report;
mod script;
mod server;
mod session;
mod shards;
mod soak;
mod traces;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use cpu::Cpu;
use fanout::{Options, storms};
use http::Connection;
use report::{Phase, Report};
use server::{Server, UNLIMITED};

const RESULTS: &str = "loadtest/RESULTS.md";
/// Requests under way at once.
const CONNECTIONS: usize = 64;
/// Tokens that are issued, then redeemed.
const AWARDS: usize = 40_000;
const USERS: usize = 10_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let part = arguments.first().map(String::as_str);
    if part == Some("fanout-worker") {
        return fanout::worker::run(&arguments[1..]);
    }
    let options = Options::read(&arguments);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let results = runtime.block_on(async {
        match part {
            None => {
                let first = measure().await.to_string();
                let rest = [
                    durability::measure().await.to_string(),
                    ledger::measure().await.to_string(),
                    flood::measure().await.to_string(),
                    fanout::measure(&options).await.to_string(),
                    storms::measure(&options).await.to_string(),
                    metrics::measure().await.to_string(),
                    traces::measure().await.to_string(),
                    analytics::measure().await.to_string(),
                    page::measure().to_string(),
                    shards::measure().await.to_string(),
                ];
                format!("{first}\n{}", rest.join("\n"))
            }
            Some("durability") => anew(durability::HEADING, &durability::measure().await.to_string()),
            Some("ledger") => anew(ledger::HEADING, &ledger::measure().await.to_string()),
            Some("growth") => anew(growth::HEADING, &growth::measure().await.to_string()),
            Some("flood") => anew(flood_report::HEADING, &flood::measure().await.to_string()),
            Some("fanout") => anew(fanout::HEADING, &fanout::measure(&options).await.to_string()),
            Some("metrics") => anew(metrics::HEADING, &metrics::measure().await.to_string()),
            Some("storms") => anew(storms::HEADING, &storms::measure(&options).await.to_string()),
            Some("traces") => anew(traces::HEADING, &traces::measure().await.to_string()),
            Some("analytics") => anew(analytics::HEADING, &analytics::measure().await.to_string()),
            Some("soak") => anew(soak::HEADING, &soak::measure().await.to_string()),
            Some("shards") => anew(shards::HEADING, &shards::measure().await.to_string()),
            Some("page") => anew(page::HEADING, &page::measure().to_string()),
            Some(other) => panic!("there is no part {other}; the Makefile lists them"),
        }
    });
    println!("{results}");
    if options.is_whole() {
        std::fs::write(RESULTS, results).unwrap();
    }
}

/// The results with one part written anew, in its place or at the end.
fn anew(heading: &str, part: &str) -> String {
    println!("{part}");
    let text = std::fs::read_to_string(RESULTS).unwrap();
    let (before, old) = text.split_once(heading).unwrap_or((&text, ""));
    let after = old.find("\n## ").map_or("", |place| &old[place + 1..]);
    [before.trim_end(), part.trim_end(), after.trim_end()].join("\n\n").trim_end().to_owned() + "\n"
}

async fn measure() -> Report {
    let server = Server::start(USERS, UNLIMITED);
    let logins = Arc::new(server.logins());
    // One of each for every connection, to warm up.
    let warm = issue(&server, &logins, CONNECTIONS).await.1;
    redeem(&server, &logins, warm).await;

    let (issued, tokens) = issue(&server, &logins, AWARDS).await;
    let redeemed = redeem(&server, &logins, tokens).await;
    server.wait_until_written().await;
    let mut verified = server.verify();
    drop(server);

    // A fresh node, so that what its listeners hold can be told from what awards left behind.
    let server = Server::start(game::SESSIONS + game::LISTENERS, UNLIMITED);
    let game = game::measure(&server, &Arc::new(server.logins())).await;
    server.wait_until_written().await;
    verified.push_str("; after the sessions: ");
    verified.push_str(&server.verify());
    let alone = script::redis_benchmark(AWARDS).await;
    Report { issued, redeemed, game, alone, verified }
}

/// Starts so many actions. Gives the tokens, each with its user's place.
async fn issue(server: &Server, logins: &Arc<Vec<String>>, count: usize) -> (Phase, Vec<(usize, String)>) {
    let body = |_: &()| r#"{"actionType":"watch_ad"}"#.to_owned();
    let work = (0..count).map(|it| (it % logins.len(), ())).collect();
    run(server, logins, "/api/v1/actions/init", work, body).await
}

/// Redeems tokens.
async fn redeem(server: &Server, logins: &Arc<Vec<String>>, tokens: Vec<(usize, String)>) -> Phase {
    let body = |token: &String| format!(r#"{{"antiSpamToken":"{token}"}}"#);
    run(server, logins, "/api/v1/actions/finalize", tokens, body).await.0
}

/// Sends one request for each piece of work, over all connections, each as soon as its last one is answered.
async fn run<T: Send + Sync + 'static>(
    server: &Server,
    logins: &Arc<Vec<String>>,
    path: &'static str,
    work: Vec<(usize, T)>,
    body: fn(&T) -> String,
) -> (Phase, Vec<(usize, String)>) {
    let (work, next) = (Arc::new(work), Arc::new(AtomicUsize::new(0)));
    let (before, started) = (Cpu::of(server), Instant::now());
    let players = (0..CONNECTIONS).map(|_| {
        let (work, next, logins, address) =
            (work.clone(), next.clone(), logins.clone(), server.address.clone());
        tokio::spawn(async move {
            let mut connection = Connection::open(&address).await;
            let mut times = Histogram::<u64>::new(3).unwrap();
            let mut tokens = Vec::new();
            while let Some((user, piece)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                let sent = Instant::now();
                let answer = connection.post(path, &logins[*user], &body(piece)).await;
                times.record(sent.elapsed().as_micros() as u64).unwrap();
                if let Some(token) = http::field(&answer, "antiSpamToken") {
                    tokens.push((*user, token));
                }
            }
            (times, tokens)
        })
    });
    let mut times = Histogram::<u64>::new(3).unwrap();
    let mut tokens = Vec::new();
    for player in futures::future::join_all(players).await {
        let (some_times, some_tokens) = player.unwrap();
        times.add(some_times).unwrap();
        tokens.extend(some_tokens);
    }
    let took = started.elapsed();
    server.wait_until_written().await;
    (Phase { count: work.len(), took, times, cpu: Cpu::of(server).since(&before) }, tokens)
}

/// Waits for something, looking every 50 ms.
pub async fn wait_until(mut holds: impl AsyncFnMut() -> bool) {
    while !holds().await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
