//! Each kind of request once for so many players: as fast as they are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqlx::PgConnection;

use super::population::{Caller, Population};
use crate::cpu::Cpu;
use crate::http::{self, Connection};

/// The kinds of requests.
pub const KINDS: [&str; 4] = ["`init`", "`finalize` (an award)", "own rank", "board"];
/// Requests of a kind in a round.
pub const REQUESTS: usize = 10_000;
const CONNECTIONS: usize = 32;

/// One kind in one round.
pub struct Round {
    /// Until the last one was answered.
    pub took: Duration,
    /// Until the ledger had all of them.
    pub cpu: Cpu,
    /// What Postgres wrote ahead.
    pub wal_bytes: f64,
}

/// What is sent: path, and the body of what is posted.
type Request = (String, Option<String>);

/// Plays one round. The players are others than in the last one, if there are enough.
pub async fn play(population: &Population, number: usize) -> [Round; KINDS.len()] {
    let begin =
        |_: usize| ("/api/v1/actions/init".to_owned(), Some(r#"{"actionType":"watch_ad"}"#.to_owned()));
    let first = number * REQUESTS;
    let caller = |it: usize| (first + it) % population.callers.len();
    let (issued, answers) = ask(population, first, (0..REQUESTS).map(begin).collect()).await;
    let finish = |answer: &String| {
        let token = http::field(answer, "antiSpamToken").unwrap();
        ("/api/v1/actions/finalize".to_owned(), Some(format!(r#"{{"antiSpamToken":"{token}"}}"#)))
    };
    let awarded = ask(population, first, answers.iter().map(finish).collect()).await.0;
    let rank = |it: usize| (format!("/api/scoreboard/user/{}", population.callers[caller(it)].user), None);
    let ranked = ask(population, first, (0..REQUESTS).map(rank).collect()).await.0;
    let board = |_: usize| ("/api/v1/scores/leaderboard".to_owned(), None);
    let read = ask(population, first, (0..REQUESTS).map(board).collect()).await.0;
    [issued, awarded, ranked, read]
}

/// Asks everything, over all connections. The first is asked by this caller, the next by the next. Gives the answers, in order.
async fn ask(population: &Population, first: usize, requests: Vec<Request>) -> (Round, Vec<String>) {
    let (server, requests) = (&population.server, Arc::new(requests));
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(&server.address).await);
    }
    let mut database = population.database().await;
    let wal_before = written_ahead(&mut database).await;
    let next = Arc::new(AtomicUsize::new(0));
    let (before, started) = (Cpu::of(server), Instant::now());
    let asking = connections.into_iter().map(|connection| {
        tokio::spawn(go_on(connection, population.callers.clone(), first, requests.clone(), next.clone()))
    });
    let asked = futures::future::join_all(asking).await;
    let took = started.elapsed();
    server.wait_until_written().await;
    let cpu = Cpu::of(server).since(&before);
    let wal_bytes = written_ahead(&mut database).await - wal_before;
    let mut answers: Vec<(usize, String)> = asked.into_iter().flat_map(Result::unwrap).collect();
    answers.sort_unstable_by_key(|it| it.0);
    (Round { took, cpu, wal_bytes }, answers.into_iter().map(|it| it.1).collect())
}

async fn written_ahead(database: &mut PgConnection) -> f64 {
    let sql = "SELECT (pg_current_wal_insert_lsn() - '0/0')::float8";
    sqlx::query_scalar(sql).fetch_one(database).await.unwrap()
}

async fn go_on(
    mut connection: Connection,
    callers: Arc<Vec<Caller>>,
    first: usize,
    requests: Arc<Vec<Request>>,
    next: Arc<AtomicUsize>,
) -> Vec<(usize, String)> {
    let mut answers = Vec::new();
    loop {
        let place = next.fetch_add(1, Ordering::Relaxed);
        let Some((path, body)) = requests.get(place) else { return answers };
        let login = &callers[(first + place) % callers.len()].login;
        let answer = match body {
            Some(body) => connection.post(path, login, body).await,
            None => connection.get_as(path, login).await,
        };
        answers.push((place, answer));
    }
}
