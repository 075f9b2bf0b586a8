//! From the outbox to Postgres, and back.

mod rebuild;
mod verify;
mod write;
