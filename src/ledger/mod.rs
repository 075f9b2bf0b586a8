//! Postgres as the ledger. The outbox becomes rows, each exactly once; Redis is compared with the ledger and loaded from it. Nothing here
//! decides what an award is worth.

mod chain;
mod connection;
mod database;
mod flush;
mod leader;
mod migrate;
mod outbox;
mod partitions;
mod pg_time;
mod restore;
mod rollup;
mod sweep;

pub use chain::verify::{Mismatch, VerifyReport, check_forever, check_sample, verify, verify_ledger};
pub use chain::{GENESIS_HASH, Hash, Link};
pub use database::{begin, connect, log_server, sql_fault, timed, watch_forever};
pub use flush::{flush_abuse_signals_forever, flush_refusals, flush_refusals_forever};
pub use migrate::{Migrations, check_tables, contract, deployment, migrate};
pub use outbox::acknowledge::{Commits, acknowledge_forever};
pub use outbox::awards::DUPLICATE_WINDOW_DAYS;
pub use outbox::consume::consume_forever;
pub use outbox::dead_letters::{WriteFailures, retry_dead_letters};
pub use outbox::write::{Origin, write_batch};
pub use partitions::detach::{DetachReport, detach};
pub use partitions::month::Month;
pub use restore::board_opening::await_board;
pub use restore::rebuild::rebuild;
pub use restore::reshard::{OldBoard, rebuild_or_reshard};
pub use restore::seed::{SeedOptions, seed};
pub use restore::top_list::{await_top, candidates_for, refill_top_forever};
pub use rollup::{HOUR_MS, Period, SESSION_CLASSES, UNCOUNTED_SESSIONS, roll_up, roll_up_forever};
pub use sqlx::PgPool as Database;
pub use sweep::{sweep, sweep_forever};
