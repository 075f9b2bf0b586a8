//! So many requests of one kind over as many connections as are kept, for parts that compare nodes with each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::cpu::Cpu;
use crate::http::{self, Connection};
use crate::server::Server;

/// One kind of request, sent as fast as it was answered.
pub struct Phase {
    pub took: Duration,
    /// Microseconds.
    pub times: Histogram<u64>,
    pub cpu: Cpu,
}

/// Starts so many actions. Gives the tokens, each with its user's place.
pub async fn issue(
    server: &Server,
    logins: &Arc<Vec<String>>,
    count: usize,
) -> (Phase, Vec<(usize, String)>) {
    let body = |_: &()| r#"{"actionType":"watch_ad"}"#.to_owned();
    let work = (0..count).map(|it| (it % logins.len(), ())).collect();
    run(server, logins, "/api/v1/actions/init", work, body).await
}

/// Redeems tokens.
pub async fn redeem(server: &Server, logins: &Arc<Vec<String>>, tokens: Vec<(usize, String)>) -> Phase {
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
    let players = (0..crate::CONNECTIONS).map(|_| {
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
    (Phase { took, times, cpu: Cpu::of(server).since(&before) }, tokens)
}
