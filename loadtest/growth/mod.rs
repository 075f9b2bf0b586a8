//! What the number of players does to a request: awards, own ranks and boards at ten thousand, a million and ten million players, in
//! turns, so that whatever else the machine does meets all of them alike.

mod population;
mod report;
mod round;
mod sizes;

use population::Population;
use round::{KINDS, Round};
use sizes::Sizes;

pub use report::HEADING;

/// Each once a kind of request; the first time is not counted.
const ROUNDS: usize = 6;

/// One number of players, and what was measured of it.
pub struct Stage {
    population: Population,
    /// By kind of request.
    rounds: [Vec<Round>; KINDS.len()],
    sizes: Sizes,
    totals_agree: bool,
}

/// Everything that was measured.
pub struct Growth(Vec<Stage>);

/// How many players, or those in `BENCH_PLAYERS`, as `10000,1000000`, for a trial.
fn players() -> Vec<u64> {
    let asked = std::env::var("BENCH_PLAYERS").unwrap_or_else(|_| "10000,1000000,10000000".to_owned());
    asked.split(',').map(|it| it.parse().unwrap()).collect()
}

pub async fn measure() -> Growth {
    let mut stages = Vec::new();
    for players in players() {
        let population = Population::fill(players).await;
        stages.push((population, KINDS.map(|_| Vec::new())));
    }
    for number in 0..ROUNDS {
        // Nobody is always the first.
        let turns = stages.iter_mut();
        let turns: Vec<_> = if number % 2 == 0 { turns.collect() } else { turns.rev().collect() };
        for (population, rounds) in turns {
            eprintln!("round {number} of {ROUNDS}: {} players", population.players);
            for (kind, round) in round::play(population, number).await.into_iter().enumerate() {
                if number > 0 {
                    rounds[kind].push(round);
                }
            }
        }
    }
    let mut measured = Vec::new();
    for (population, rounds) in stages {
        let sizes = Sizes::of(&population).await;
        let totals_agree = population.totals_agree().await;
        measured.push(Stage { population, rounds, sizes, totals_agree });
    }
    Growth(measured)
}
