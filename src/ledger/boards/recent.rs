//! The newest entries of the chain that this node has written, so that its follower of the boards need not read them again.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::counting::LedgerEntry;

/// Most entries that are kept; some 300 bytes each.
const MAX_ENTRIES: usize = 10_000;

/// Committed entries that follow each other in the chain.
#[derive(Debug, Default)]
pub struct Committed {
    /// They are all entries after this sequence number…
    pub from_seq: i64,
    /// … up to this one, but for those that were voided before they arrived.
    pub to_seq: i64,
    /// In the order of the chain.
    pub entries: Vec<LedgerEntry>,
}

/// The newest of them, without gaps.
#[derive(Default)]
pub struct RecentEntries(Mutex<Recent>);

#[derive(Default)]
struct Recent {
    from_seq: i64,
    to_seq: i64,
    entries: VecDeque<Arc<LedgerEntry>>,
}

impl RecentEntries {
    /// Adds entries. Those before are dropped if some are missing between them: another node wrote these.
    pub fn add(&self, committed: Committed) {
        let mut recent = self.0.lock();
        if recent.to_seq != committed.from_seq {
            *recent = Recent { from_seq: committed.from_seq, ..Recent::default() };
        }
        recent.to_seq = committed.to_seq;
        recent.entries.extend(committed.entries.into_iter().map(Arc::new));
        while recent.entries.len() > MAX_ENTRIES {
            recent.from_seq = recent.entries.pop_front().map_or(recent.to_seq, |oldest| oldest.seq);
        }
    }

    /// The entries after a sequence number, up to another one; `None` if not all of them are here.
    pub fn read(&self, from_seq: i64, to_seq: i64) -> Option<Vec<Arc<LedgerEntry>>> {
        let recent = self.0.lock();
        if from_seq < recent.from_seq || to_seq > recent.to_seq {
            return None;
        }
        let first = recent.entries.partition_point(|entry| entry.seq <= from_seq);
        Some(recent.entries.range(first..).take_while(|entry| entry.seq <= to_seq).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: i64) -> LedgerEntry {
        let mut entry = LedgerEntry::default();
        entry.seq = seq;
        entry
    }

    fn add(recent: &RecentEntries, from_seq: i64, to_seq: i64) {
        let entries = (from_seq + 1..=to_seq).filter(|seq| seq % 10 != 0).map(entry).collect();
        recent.add(Committed { from_seq, to_seq, entries });
    }

    fn read(recent: &RecentEntries, from_seq: i64, to_seq: i64) -> Option<Vec<i64>> {
        Some(recent.read(from_seq, to_seq)?.iter().map(|entry| entry.seq).collect())
    }

    #[test]
    fn only_entries_without_gaps_are_read() {
        let recent = RecentEntries::default();
        assert_eq!(read(&recent, 4, 5), None);
        add(&recent, 4, 8);
        add(&recent, 8, 12);
        assert_eq!(read(&recent, 4, 12), Some(vec![5, 6, 7, 8, 9, 11, 12]), "a voided entry is left out");
        assert_eq!(read(&recent, 7, 10), Some(vec![8, 9]));
        assert_eq!(read(&recent, 3, 8), None);
        assert_eq!(read(&recent, 8, 13), None);
        add(&recent, 15, 16);
        assert_eq!(read(&recent, 4, 12), None, "13 to 15 are missing");
        assert_eq!(read(&recent, 15, 16), Some(vec![16]));
    }

    #[test]
    fn the_newest_are_kept() {
        let recent = RecentEntries::default();
        let many = 2 * MAX_ENTRIES as i64;
        add(&recent, 0, many);
        assert_eq!(read(&recent, 5000, many), None);
        let oldest = recent.0.lock().from_seq;
        assert_eq!(read(&recent, oldest, many).map(|entries| entries.len()), Some(MAX_ENTRIES));
    }
}
