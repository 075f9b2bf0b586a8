//! The board: entries, the top list, the merged board of several shards, ranks, loading and opening.

pub(in crate::store) mod advance_clock;
pub(in crate::store) mod board_shape;
pub(in crate::store) mod entry;
pub(in crate::store) mod id;
pub(in crate::store) mod load;
pub(in crate::store) mod load_totals;
pub(in crate::store) mod merged;
pub(in crate::store) mod opening;
pub(in crate::store) mod personal_update;
pub(in crate::store) mod poll;
pub(in crate::store) mod rank;
