//! From the outbox to Postgres, and back.

mod acknowledge;
mod chain;
mod lead;
mod migrate;
mod older;
mod outbox;
mod parts;
mod rebuild;
mod rollup;
mod sessions;
mod verify;
mod write;
