//! From the outbox to Postgres, and back.

mod chain;
mod rebuild;
mod sessions;
mod verify;
mod write;
