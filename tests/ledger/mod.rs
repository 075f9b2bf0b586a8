//! The ledger: from the outbox to Postgres, and from Postgres to Redis.

mod acknowledge;
mod audit;
mod begin;
mod chain;
mod dead_letters;
mod game_sessions;
mod leader;
mod limits;
mod migrate;
mod older_copy;
mod outbox;
mod partitions;
mod pooler;
mod rebuild;
mod redis_failover;
mod reshard;
mod rollup;
mod seed;
mod verify;
mod write;
