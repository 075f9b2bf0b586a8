//! Redis from the ledger: opening the board after a comparison, loading it, rebuilding on request, changing the number of shards, seeding.

pub mod board_opening;
mod limit_counters;
pub mod rebuild;
pub mod reshard;
pub mod seed;
pub mod shard_heads;
pub mod top_list;
pub mod used_proofs;
