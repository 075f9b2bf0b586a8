//! Postgres as the ledger: the outbox becomes rows, exactly once; totals are compared with Redis and loaded back into it.
//! With `account` the only importer of `sqlx`. Nothing here decides what an award is worth.

mod acknowledge;
mod adopt;
mod awards;
mod best;
mod chain;
mod checkpoint;
mod consume;
mod database;
mod detach;
mod entry;
mod lead;
mod limits;
mod migrate;
mod month;
mod open;
mod parts;
mod rebuild;
mod refusals;
mod rollup;
mod seed;
mod sessions;
mod suspicions;
mod sweep;
mod traced;
mod used;
mod verify;
mod write;

pub use acknowledge::{Commits, acknowledge_forever};
pub use awards::AGAIN_WITHIN_DAYS;
pub use best::contenders;
pub use consume::consume_forever;
pub use database::{connect, sql_fault, timed, watch_forever};
pub use detach::{Detached, detach};
pub use migrate::{contract, migrate};
pub use month::Month;
pub use open::wait_open;
pub use rebuild::{finish, keep_whole_forever, rebuild};
pub use refusals::{note_refusals, note_refusals_forever};
pub use rollup::{HOUR_MS, Period, SESSION_CLASSES, UNCOUNTED_SESSIONS, roll_up, roll_up_forever};
pub use seed::{SeedOptions, seed};
pub use sqlx::PgPool as Database;
pub use suspicions::note_suspicions_forever;
pub use sweep::{sweep, sweep_forever};
pub use verify::{Difference, Verified, check, check_forever, verify, verify_ledger};
pub use write::write;
