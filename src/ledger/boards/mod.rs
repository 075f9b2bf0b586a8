//! The boards that follow the ledger: the leader derives their entries from the chain, in its order, and keeps them in Redis.

mod counting;
mod follow;
mod load;
mod observe;
mod periods;
mod rebuild;
mod verify;

pub use follow::follow_boards_forever;
pub use observe::observe_boards_forever;
pub use rebuild::{rebuild_board, request_loads};
pub use verify::verify_boards;
