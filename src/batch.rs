//! Request coalescing: requests that wait at the same time share one call. Each waits for its reply; one task, or one of the requests,
//! takes all that wait, makes the call and replies to each.

use std::collections::VecDeque;
use std::sync::Arc;

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

/// Requests that come while as many calls as may be are under way, for the next call: the busier, the more of them share one. Nobody waits
/// in order to gather more (smart batching, as in group commit).
pub struct Gathering<T, R> {
    max_calls: usize,
    state: Mutex<Gathered<T, R>>,
}

struct Gathered<T, R> {
    waiting: VecDeque<Waiter<T, R>>,
    calls: usize,
}

impl<T, R> Gathering<T, R> {
    /// No requests, and at most so many calls at the same time.
    pub fn new(max_calls: usize) -> Self {
        Self { max_calls, state: Mutex::new(Gathered { waiting: VecDeque::new(), calls: 0 }) }
    }

    /// A turn to make calls, unless there are as many as may be.
    ///
    /// # Errors
    /// The request waits for the next call: the receiver gets its reply, or an error if the calls ended without one.
    pub fn begin(self: &Arc<Self>, request: impl FnOnce() -> T) -> Result<Turn<T, R>, oneshot::Receiver<R>> {
        let mut state = self.state.lock();
        if state.calls < self.max_calls {
            state.calls += 1;
            return Ok(Turn(Some(self.clone())));
        }
        let (reply, receiver) = oneshot::channel();
        state.waiting.push_back(Waiter { request: request(), reply });
        Err(receiver)
    }
}

/// A turn to make one call after the other. Dropping the last one before its end fails the requests that wait.
pub struct Turn<T, R>(Option<Arc<Gathering<T, R>>>);

impl<T, R> Turn<T, R> {
    /// Ends the turn and returns true if no request waits.
    pub fn end(&mut self) -> bool {
        if let Some(gathering) = &self.0 {
            let mut state = gathering.state.lock();
            if !state.waiting.is_empty() {
                return false;
            }
            state.calls -= 1;
        }
        self.0 = None;
        true
    }

    /// The requests of the next call, oldest first and at most `max`.
    pub fn next(&mut self, max: usize) -> Vec<Waiter<T, R>> {
        let Some(gathering) = &self.0 else { return Vec::new() };
        let waiting = &mut gathering.state.lock().waiting;
        waiting.drain(..waiting.len().min(max)).collect()
    }
}

impl<T, R> Drop for Turn<T, R> {
    fn drop(&mut self) {
        if let Some(gathering) = &self.0 {
            let mut state = gathering.state.lock();
            state.calls -= 1;
            if state.calls == 0 {
                state.waiting.clear();
            }
        }
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

    #[tokio::test]
    async fn requests_gather_while_calls_are_under_way() {
        let gathering = Arc::new(Gathering::<u8, u8>::new(2));
        let begin = |request| gathering.begin(|| request);
        let (Ok(mut turn), Ok(mut other)) = (begin(0), begin(1)) else {
            panic!("two calls at the same time")
        };
        let mut receivers = [2, 3, 4].map(|request| begin(request).err().unwrap()).into_iter();
        assert!(!turn.end());
        let mut taken = turn.next(2);
        let numbers =
            |taken: &[Waiter<u8, u8>]| taken.iter().map(|waiter| waiter.request).collect::<Vec<_>>();
        assert_eq!((numbers(&taken), numbers(&other.next(2))), (vec![2, 3], vec![4]));
        taken.remove(0).reply(10).unwrap();
        assert_eq!(receivers.next().unwrap().await, Ok(10));
        assert!(turn.end());
        let Ok(turn) = begin(5) else { panic!("one turn has ended") };
        let sixth = begin(6).err().unwrap();
        drop(other);
        assert_eq!(gathering.state.lock().waiting.len(), 1, "the other turn goes on");
        drop(turn);
        assert!(sixth.await.is_err(), "the tasks that make the calls were killed");
        assert!(begin(7).is_ok());
    }
}
