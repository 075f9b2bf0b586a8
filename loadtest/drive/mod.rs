//! The load generator: `loadtest run`. One thread drives a Laurel from outside, at a steady rate or as fast as possible, and reports
//! what players experience and what it costs. `docs/benchmarks.md` explains the numbers.

pub mod bare_handler;
pub mod command;
mod engine;
pub mod flow;
pub mod job;
pub mod lane;
pub mod players;
pub mod record;
pub mod schedule;
mod subscribers;
mod tally;
