//! A semaphore that serves networks in rotation: one network with a thousand requests waits behind its own, and delays the others by one
//! request at most.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::network::Network;

#[derive(Default)]
struct State {
    free: usize,
    waiting: HashMap<Network, VecDeque<oneshot::Sender<Permit>>>,
    /// Waiting networks, each once, in the order of service.
    rotation: VecDeque<Network>,
}

/// The semaphore.
pub struct FairSemaphore(Mutex<State>);

/// A permit. Dropping it passes it on.
pub struct Permit(Option<Arc<FairSemaphore>>);

impl FairSemaphore {
    /// With a number of permits.
    pub fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { free: permits, ..State::default() })))
    }

    /// Waits for a permit. Cancel-safe: a dropped future gives up its place in the queue.
    pub async fn acquire(self: &Arc<Self>, network: Network) -> Permit {
        let receiver = {
            let mut state = self.0.lock();
            if state.free > 0 {
                state.free -= 1;
                return Permit(Some(self.clone()));
            }
            let (sender, receiver) = oneshot::channel();
            let State { waiting, rotation, .. } = &mut *state;
            let queue = waiting.entry(network).or_insert_with(|| {
                rotation.push_back(network);
                VecDeque::new()
            });
            queue.push_back(sender);
            receiver
        };
        // Senders are dropped only after use, so this does not fail.
        receiver.await.unwrap_or(Permit(None))
    }
}

impl State {
    fn next(&mut self) -> Option<oneshot::Sender<Permit>> {
        let network = self.rotation.pop_front()?;
        let queue = self.waiting.get_mut(&network)?;
        let sender = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&network);
        } else {
            self.rotation.push_back(network);
        }
        sender
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(semaphore) = self.0.take() else { return };
        loop {
            let mut state = semaphore.0.lock();
            let Some(sender) = state.next() else { return state.free += 1 };
            drop(state);
            // A receiver that is gone returns the permit, now or when its channel is dropped.
            match sender.send(Self(Some(semaphore.clone()))) {
                Ok(()) => return,
                Err(mut permit) => permit.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, poll};

    use super::*;

    #[tokio::test]
    async fn networks_are_served_in_rotation() {
        let semaphore = FairSemaphore::new(1);
        let network = |host: u8| Network::household([192, 0, 2, host].into());
        let permit = semaphore.acquire(network(1)).await;
        let mut flood: Vec<_> = (0..100).map(|_| Box::pin(semaphore.acquire(network(1)))).collect();
        for waiting in &mut flood {
            assert!(poll!(waiting).is_pending());
        }
        let mut other = Box::pin(semaphore.acquire(network(2)));
        assert!(poll!(&mut other).is_pending());
        drop(permit);
        // One request of the flood came first; the other network is next.
        let first = flood.remove(0).now_or_never().unwrap();
        assert!(poll!(&mut other).is_pending());
        drop(first);
        let permit = other.now_or_never().unwrap();

        // Futures that are dropped before or after they get a permit do not lose it.
        let served = flood.remove(0);
        let last = flood.pop().unwrap();
        drop(flood);
        drop(permit);
        drop(served);
        let permit = last.now_or_never().unwrap();
        drop(permit);
        assert!(semaphore.acquire(network(3)).now_or_never().is_some());
    }
}
