//! The JSON of an entry, in responses and in events.

use serde::Serialize;
use uuid::Uuid;

use super::Snapshot;
use crate::clock::rfc3339;
use crate::store::PlacedEntry;

/// An entry, in the documented order of fields.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryBody<'a> {
    position: u64,
    rank: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    percentile: Option<f64>,
    user_id: Uuid,
    username: &'a str,
    display_name: &'a str,
    score: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscore: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    achieved_at: Option<String>,
}

impl<'a> EntryBody<'a> {
    /// An entry without its percentile.
    pub fn new(entry: &'a PlacedEntry) -> Self {
        Self {
            position: entry.position,
            rank: entry.rank,
            percentile: None,
            user_id: entry.user,
            username: &entry.username,
            display_name: &entry.username,
            score: entry.result.score,
            subscore: entry.result.subscore,
            // The top list of `global` does not have it.
            achieved_at: (entry.result.hlc_us > 0).then(|| rfc3339(entry.result.hlc_us / 1000)),
        }
    }

    /// An entry with its percentile among those of its board.
    pub fn with_percentile(entry: &'a PlacedEntry, snapshot: &Snapshot) -> Self {
        Self { percentile: Some(snapshot.percentile(entry.rank)), ..Self::new(entry) }
    }
}
