//! Requests that were refused, counted in memory by code and written to Postgres by `ledger::refusals` every few seconds: so a flood
//! costs an addition a request. What was not written when a node ends is lost: these are statistics, nothing is decided by them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Code;

/// The refusals since the last write.
pub struct Refusals {
    counts: Vec<AtomicU64>,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { counts: Code::ALL.iter().map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Refusals {
    /// Counts one.
    pub fn note(&self, code: Code) {
        self.add(code, 1);
    }

    /// Takes what was counted.
    pub fn take(&self) -> Vec<(Code, u64)> {
        let all = Code::ALL.iter().zip(&self.counts);
        all.map(|(code, count)| (*code, count.swap(0, Ordering::Relaxed))).filter(|it| it.1 > 0).collect()
    }

    /// Gives back what could not be written.
    pub fn give_back(&self, counts: &[(Code, u64)]) {
        counts.iter().for_each(|(code, count)| self.add(*code, *count));
    }

    /// `Code::ALL` has the codes in the order in which they are declared.
    fn add(&self, code: Code, count: u64) {
        if let Some(known) = self.counts.get(code as usize) {
            known.fetch_add(count, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_counted_as_itself_and_taken_once() {
        let refusals = Refusals::default();
        for (times, code) in Code::ALL.iter().enumerate() {
            (0..times).for_each(|_| refusals.note(*code));
        }
        let taken = refusals.take();
        let wanted: Vec<_> = Code::ALL.iter().copied().zip(0u64..).skip(1).collect();
        assert_eq!(taken, wanted);
        assert_eq!(refusals.take(), []);
        refusals.give_back(&taken);
        refusals.note(Code::NotFound);
        assert_eq!(
            refusals.take().iter().map(|it| it.1).sum::<u64>(),
            taken.iter().map(|it| it.1).sum::<u64>() + 1
        );
    }
}
