//! The boards that follow the ledger: the leader derives their entries from the chain, in its order, and keeps them in Redis until their
//! period is closed, and then in Postgres.

mod attempts;
mod close;
mod closing;
mod counting;
mod created;
mod follow;
mod load;
mod observe;
mod periods;
mod rebuild;
mod recent;
mod revise;
mod root;
mod sweep;
mod verify;
mod verify_closed;

pub use attempts::{AttemptRules, count_attempts, follow_attempts_forever};
pub use closing::close_periods_forever;
pub use counting::{EntryUser, LedgerEntry};
pub use created::{KnownVersion, follow_created_boards_forever, load_created_boards, read_created_boards};
pub use follow::follow_boards_forever;
pub use observe::observe_boards_forever;
pub use rebuild::{rebuild_board, request_loads};
pub use recent::{Committed, RecentEntries};
pub use verify::verify_boards;
