//! From the outbox to Postgres, and back.

mod chain;
mod lead;
mod migrate;
mod outbox;
mod rebuild;
mod sessions;
mod verify;
mod write;
