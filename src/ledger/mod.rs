//! Postgres as the ledger. The outbox becomes rows, each exactly once; Redis is compared with the ledger and loaded from it. Nothing here
//! decides what an award is worth.

mod award_history;
mod board_corrections;
mod boards;
mod chain;
mod leader;
mod migrate;
mod outbox;
mod partitions;
mod pg_time;
mod restore;
mod rollup;

pub use award_history::{AwardPage, PastAward, award_history};
pub use board_corrections::record as record_board_correction;
pub use boards::{
    AttemptRules, Committed, KnownVersion, RecentEntries, close_periods_forever, follow_attempts_forever,
    follow_boards_forever, follow_created_boards_forever, load_created_boards, observe_boards_forever,
    read_created_boards, rebuild_board, request_loads as request_board_loads, verify_boards,
};
pub use chain::verify::{Mismatch, VerifyReport, check_forever, check_sample, verify, verify_ledger};
pub use chain::{GENESIS_HASH, Hash, Link};
pub use migrate::{Migrations, application_name, check_tables, contract, deployment, migrate};
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

use std::sync::Arc;

use tokio::sync::Notify;

use crate::account::Accounts;
use crate::action::Catalogue;
use crate::board::Boards;
use crate::clock::Clock;
use crate::config::Config;
use crate::cursor::Cursors;
use crate::db::Database;
use crate::health::Health;
use crate::live::Hub;
use crate::metrics::Metrics;
use crate::receipt::ReceiptKeys;
use crate::store::Store;
use crate::traces::Traces;

/// What the ledger works with.
#[allow(missing_docs, reason = "each part is documented at its type")]
pub struct Ledger {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub store: Arc<Store>,
    pub database: Database,
    pub health: Arc<Health>,
    pub accounts: Arc<Accounts>,
    pub cursors: Arc<Cursors>,
    /// The newest board that this node has shown: a board that opens must be newer.
    pub hub: Arc<Hub>,
    pub catalogue: Arc<Catalogue>,
    pub boards: Arc<Boards>,
    pub boards_version: KnownVersion,
    pub attempts: AttemptRules,
    pub receipts: Arc<ReceiptKeys>,
    pub commits: Commits,
    pub recent_entries: RecentEntries,
    /// Notified when entries were committed, to wake the follower of the boards.
    pub committed: Notify,
    pub failures: WriteFailures,
    /// `None` if tracing is off.
    pub traces: Option<Arc<Traces>>,
}
