//! From the outbox to Postgres, and back.

mod rebuild;
mod sessions;
mod verify;
mod write;
