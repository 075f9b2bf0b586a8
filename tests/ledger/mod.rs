//! From the outbox to Postgres, and back.

mod acknowledge;
mod rebuild;
mod sessions;
mod verify;
mod write;
