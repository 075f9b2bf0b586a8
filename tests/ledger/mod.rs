//! From the outbox to Postgres, and back.

mod lead;
mod outbox;
mod rebuild;
mod sessions;
mod verify;
mod write;
