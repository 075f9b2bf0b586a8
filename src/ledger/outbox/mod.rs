//! The way of an entry from the Redis stream to Postgres: the leader reads a batch (`consume`), writes it in one transaction (`write`), and
//! removes it from the stream after the commit (`commit`).

pub mod acknowledge;
pub mod awards;
mod batch_users;
pub mod commit;
pub mod consume;
pub mod dead_letters;
mod game_sessions;
pub mod held_decisions;
pub mod write;
