//! Request coalescing: requests that wait at the same time share one call. Each waits for its reply; one task, or one of the requests,
//! takes all that wait, makes the call and replies to each.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

/// A waiting request. To drop it without a reply ends the wait as well.
pub struct Waiter<T, R> {
    /// What it wants to know.
    pub request: T,
    reply: oneshot::Sender<R>,
}

impl<T, R> Waiter<T, R> {
    /// Whether the request has been canceled.
    pub fn is_gone(&self) -> bool {
        self.reply.is_closed()
    }

    /// Ends the wait. Returns the request if it was canceled.
    ///
    /// # Errors
    /// The request was canceled.
    pub fn reply(self, reply: R) -> Result<(), T> {
        self.reply.send(reply).map_err(|_| self.request)
    }
}

/// The waiting requests, oldest first. Bounded by the number of requests in progress.
pub struct Batch<T, R> {
    waiting: Mutex<VecDeque<Waiter<T, R>>>,
    added: Notify,
}

impl<T, R> Default for Batch<T, R> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), added: Notify::new() }
    }
}

impl<T, R> Batch<T, R> {
    /// Adds a request. The receiver gets its reply, or an error if nobody replies.
    pub fn add(&self, request: T) -> oneshot::Receiver<R> {
        let (reply, receiver) = oneshot::channel();
        self.waiting.lock().push_back(Waiter { request, reply });
        self.added.notify_one();
        receiver
    }

    /// Takes all waiting requests, oldest first.
    pub fn take(&self) -> Vec<Waiter<T, R>> {
        std::mem::take(&mut *self.waiting.lock()).into()
    }

    /// The same, but waits until there is one.
    pub async fn next(&self) -> Vec<Waiter<T, R>> {
        loop {
            let waiting = self.take();
            if !waiting.is_empty() {
                return waiting;
            }
            self.added.notified().await;
        }
    }

    /// Puts requests that were taken before the ones that came since.
    pub fn put_back(&self, waiting: Vec<Waiter<T, R>>) {
        let mut newer = self.waiting.lock();
        let mut all = VecDeque::from(waiting);
        all.append(&mut newer);
        *newer = all;
        self.added.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_share_a_call_and_keep_their_order() {
        let batch = Batch::<u8, u8>::default();
        let (first, second) = (batch.add(1), batch.add(2));
        let mut taken = batch.next().await;
        let third = batch.add(3);
        taken.remove(0).reply(10).unwrap();
        assert_eq!(first.await, Ok(10));
        batch.put_back(taken);
        drop(third);
        let taken = batch.next().await;
        let requests: Vec<_> = taken.iter().map(|waiter| (waiter.request, waiter.is_gone())).collect();
        assert_eq!(requests, [(2, false), (3, true)]);
        drop(taken);
        assert!(second.await.is_err(), "no reply");
        assert!(batch.take().is_empty());
    }
}
