//! How many entries in a row could not be written. One player's, or a handful, are those entries' fault; if nothing at all can be
//! written, it is ours, or it is the wrong Postgres. Then entries stay in the outbox, which loses nothing, rather than all become dead letters.

use std::collections::HashSet;

use parking_lot::Mutex;

use super::Reason;

/// So many players, or entries of nobody, in a row. More than one attacker has accounts that Postgres refuses something of; and a
/// mistake of ours costs an operator no more than this to retry.
const MOST: usize = 100;

/// Whose entries failed since the last one that was written.
#[derive(Default)]
pub struct Failures {
    since_written: Mutex<HashSet<(Reason, String)>>,
}

impl Failures {
    /// An entry that cannot be written, by its user or, if it has none, its place. Returns whether it may become a dead letter.
    pub fn note(&self, reason: Reason, whose: String) -> bool {
        let mut since_written = self.since_written.lock();
        let source = (reason, whose);
        if since_written.len() >= MOST && !since_written.contains(&source) {
            return false;
        }
        since_written.insert(source);
        true
    }

    /// Some entry was written, so others can be.
    pub fn written(&self) {
        self.since_written.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_players_in_a_row_and_no_more_until_one_is_written() {
        let failures = Failures::default();
        let note = |user: usize| failures.note(Reason::Refused, user.to_string());
        assert!((0..MOST).all(note));
        assert!(note(0), "any number of the same player's");
        assert!(!note(MOST) && !note(MOST + 1));
        failures.written();
        assert!(note(MOST));
    }
}
