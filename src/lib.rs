//! Laurel: a tamper-proof, real-time leaderboard service.
//!
//! The modules in the order in which a request meets them; `ARCHITECTURE.md` has the bird's view. Arrows go one way:
//! `http`, `live` → `award` → `token`, `action`; `award`, `live`, `ledger`, `rate_limit` → `store`.

// A print panics where it cannot be written: commands write by `cli/output.rs`, and everything else logs.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod cli;
pub mod config;
pub mod embedded;

pub mod app;
pub mod connections;
pub mod network;
pub mod serve;
pub mod supervise;

pub mod http;
pub mod rate_limit;

pub mod abuse;
pub mod account;
pub mod action;
pub mod award;
pub mod board;
pub mod cursor;
pub mod game;
pub mod keyring;
pub mod receipt;
pub mod refusals;
pub mod token;

pub mod admin;
pub mod db;
pub mod flush;
pub mod health;
pub mod ledger;
pub mod live;
pub mod retention;
pub mod store;
pub mod web;

pub mod batch;
pub mod circuit_breaker;
pub mod clock;
pub mod crypto;
pub mod entries;
pub mod error;
pub mod metrics;
pub mod telemetry;
pub mod traces;

#[doc(hidden)]
pub mod fuzzing;
