//! What the number of players does to a request: awards, own ranks and boards with ten thousand, a million and ten million players, in
//! turn, so that the load of the machine affects all of them alike.

pub mod population;
mod report;
mod rounds;

use population::{Population, RowBytes};
use rounds::{KINDS, Round};

pub use report::HEADING;

/// The numbers of players that the results show.
pub const PLAYERS: [u64; 3] = [10_000, 1_000_000, 10_000_000];
/// The first round is not counted.
const ROUNDS: usize = 6;

/// The results with one number of players.
struct Stage {
    population: Population,
    /// By kind of request.
    rounds: [Vec<Round>; KINDS.len()],
    row_bytes: RowBytes,
    totals_agree: bool,
}

/// The results of the growth test.
pub struct Growth(Vec<Stage>);

pub async fn measure(players: &[u64]) -> Growth {
    let mut stages = Vec::new();
    for players in players {
        stages.push((Population::create(*players, &[]).await, KINDS.map(|_| Vec::new())));
    }
    for number in 0..ROUNDS {
        // The order changes each time.
        let turns = stages.iter_mut();
        let turns: Vec<_> = if number % 2 == 0 { turns.collect() } else { turns.rev().collect() };
        for (population, rounds) in turns {
            eprintln!("round {number} of {ROUNDS}: {} players", population.count);
            for (kind, round) in rounds::play(population).await.into_iter().enumerate() {
                if number > 0 {
                    rounds[kind].push(round);
                }
            }
        }
    }
    let mut measured = Vec::new();
    for (population, rounds) in stages {
        let row_bytes = population.row_bytes().await;
        let totals_agree = population.totals_agree().await;
        measured.push(Stage { population, rounds, row_bytes, totals_agree });
    }
    Growth(measured)
}
