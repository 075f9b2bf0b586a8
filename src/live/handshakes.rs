//! How many clients come in at a time. All clients of a node that died come to the others at once: they wait in line for their
//! turn, so that those who play are served meanwhile, and when the line is long they are told to come back later.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

/// The line.
pub struct Handshakes {
    turns: Semaphore,
    waiting: AtomicUsize,
    max_waiting: usize,
}

impl Handshakes {
    /// So many at once, while at most so many wait.
    pub fn new(at_once: usize, max_waiting: usize) -> Self {
        Self { turns: Semaphore::new(at_once), waiting: AtomicUsize::new(0), max_waiting }
    }

    /// Waits for a turn, which lasts as long as what is returned; `None` if the line is too long already.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Some(turn);
        }
        let _place = Place::take(&self.waiting, self.max_waiting)?;
        self.turns.acquire().await.ok()
    }
}

/// A place in the line, also of a client that gives up waiting.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let place = Self(waiting);
        (before < most).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_that_is_too_long_is_not_joined() {
        let handshakes = Handshakes::new(1, 1);
        let turn = handshakes.turn().await;
        assert!(turn.is_some());
        let waits = handshakes.turn();
        tokio::pin!(waits);
        assert!(futures::poll!(waits.as_mut()).is_pending());
        assert!(handshakes.turn().await.is_none(), "one waits already");
        drop(turn);
        assert!(waits.await.is_some());
        assert!(handshakes.turn().await.is_some(), "those who left are not counted");
    }
}
