//! The load generator: `loadtest run`. One thread drives a Laurel from outside, at a pace or as fast as it is answered, and
//! says what players would have met with and what it cost. `README.md` beside this folder explains the numbers.

pub mod answer;
pub mod audience;
pub mod bare;
pub mod command;
pub mod engine;
pub mod hoard;
pub mod lane;
pub mod plan;
pub mod players;
pub mod plot;
pub mod prepare;
pub mod program;
pub mod record;
pub mod spent;
pub mod step;
pub mod table;
pub mod tally;
pub mod turns;
