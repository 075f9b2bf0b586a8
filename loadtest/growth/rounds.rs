//! One round: the same number of each kind of request, as fast as possible.

use sqlx::PgConnection;

use super::population::Population;
use crate::drive::flow::Step;
use crate::drive::job::Job;
use crate::drive::players::SavedTokens;
use crate::drive::schedule::Pace;
use crate::usage::Usage;

/// The kinds of requests.
pub const KINDS: [(&str, Step); 4] = [
    ("`init`", Step::Init),
    ("`finalize` (an award)", Step::Finalize),
    ("own rank", Step::Rank),
    ("board", Step::Board),
];
/// Requests of a kind in a round.
pub const REQUESTS: usize = 10_000;
const CONNECTIONS: usize = 32;

/// The requests of one kind in one round.
pub struct Round {
    /// Until the last response.
    pub took_seconds: f64,
    /// Until the ledger has every award.
    pub usage: Usage,
    /// WAL that Postgres wrote.
    pub wal_bytes: f64,
}

/// Plays one round. The next one has other players, if there are enough.
pub async fn play(population: &mut Population) -> Vec<Round> {
    let mut tokens = SavedTokens::default();
    let mut rounds = Vec::with_capacity(KINDS.len());
    for (name, step) in KINDS {
        tokens.is_saving = step == Step::Init;
        rounds.push(send(population, name, step, &mut tokens).await);
    }
    population.players.rotate(REQUESTS);
    rounds
}

async fn send(population: &Population, name: &str, step: Step, tokens: &mut SavedTokens) -> Round {
    let job = Job {
        name,
        steps: vec![step],
        address: population.server.socket_address(),
        players: &population.players,
        server: Some(&population.server),
        pace: Pace::Closed,
        connections: CONNECTIONS,
        seconds: 600.0,
        max_requests: REQUESTS as u64,
        subscribers: 0,
        changes: 0.0,
        includes_ledger: true,
        command: "make bench-growth",
    };
    let mut database = population.database().await;
    let wal_before = wal_bytes(&mut database).await;
    let record = job.measure_with(tokens).await;
    assert_eq!(record.of(step).count, REQUESTS as u64, "{record}");
    let usage = record.processes.expect("the server is ours");
    let wal_bytes = wal_bytes(&mut database).await - wal_before;
    Round { took_seconds: record.took_seconds, usage, wal_bytes }
}

async fn wal_bytes(database: &mut PgConnection) -> f64 {
    let sql = "SELECT (pg_current_wal_insert_lsn() - '0/0')::float8";
    sqlx::query_scalar(sql).fetch_one(database).await.unwrap()
}
