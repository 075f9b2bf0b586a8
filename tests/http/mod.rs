//! The doors, over real HTTP.

mod actions;
mod address;
mod auth;
mod bad_input;
mod edge;
mod game;
mod idempotency;
mod limits;
mod operations;
mod proofs;
mod scoreboard;
mod scores;
