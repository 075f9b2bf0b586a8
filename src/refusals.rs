//! Refused requests, counted per code in memory and flushed to Postgres by `flush` every few seconds, so a flood costs one
//! addition per request. Counts since the last flush are lost when a node ends: they are statistics only.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Code;

/// Refusals since the last flush.
pub struct Refusals {
    counts: Vec<AtomicU64>,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { counts: Code::ALL.iter().map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Refusals {
    /// Counts a refusal.
    pub fn note(&self, code: Code) {
        self.add(code, 1);
    }

    /// Takes all counts.
    pub fn take(&self) -> Vec<(Code, u64)> {
        let all = Code::ALL.iter().zip(&self.counts);
        all.map(|(code, count)| (*code, count.swap(0, Ordering::Relaxed))).filter(|it| it.1 > 0).collect()
    }

    /// Puts back counts that could not be written.
    pub fn put_back(&self, counts: &[(Code, u64)]) {
        counts.iter().for_each(|(code, count)| self.add(*code, *count));
    }

    // `Code::ALL` is in the order of declaration, so the discriminant is the index.
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
    fn counts_by_code_and_takes_once() {
        let refusals = Refusals::default();
        for (times, code) in Code::ALL.iter().enumerate() {
            (0..times).for_each(|_| refusals.note(*code));
        }
        let taken = refusals.take();
        let wanted: Vec<_> = Code::ALL.iter().copied().zip(0u64..).skip(1).collect();
        assert_eq!(taken, wanted);
        assert_eq!(refusals.take(), []);
        refusals.put_back(&taken);
        refusals.note(Code::NotFound);
        assert_eq!(
            refusals.take().iter().map(|it| it.1).sum::<u64>(),
            taken.iter().map(|it| it.1).sum::<u64>() + 1
        );
    }
}
