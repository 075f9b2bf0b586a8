//! From the outbox to Postgres, and back.

mod acknowledge;
mod audit;
mod begin;
mod chain;
mod leader;
mod letters;
mod limits;
mod migrate;
mod older;
mod outbox;
mod parts;
mod pooler;
mod rebuild;
mod reshard;
mod rollup;
mod seed;
mod sessions;
mod taken_over;
mod verify;
mod write;
