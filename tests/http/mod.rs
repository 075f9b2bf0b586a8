//! The doors, over real HTTP.

mod actions;
mod auth;
mod bad_input;
mod edge;
mod game;
mod idempotency;
mod limits;
mod operations;
mod outside;
mod proofs;
mod scoreboard;
mod scores;
