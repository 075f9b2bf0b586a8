//! Turns at work that is scarce, dealt out in rotation among the networks that wait: one that asks a thousand times waits for its own
//! requests, and keeps nobody else waiting for more than one of them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::network::Network;

#[derive(Default)]
struct State {
    free: usize,
    waiting: HashMap<Network, VecDeque<oneshot::Sender<Turn>>>,
    /// The networks that wait, each once, in the order in which they are served.
    rotation: VecDeque<Network>,
}

/// The turns.
pub struct Turns(Mutex<State>);

/// One turn; dropping it gives it to the next.
pub struct Turn(Option<Arc<Turns>>);

impl Turns {
    /// So many at once.
    pub fn new(at_once: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { free: at_once, ..State::default() })))
    }

    /// Waits for a turn. Who gives up waiting loses nothing but its place.
    pub async fn take(self: &Arc<Self>, network: Network) -> Turn {
        let waits = {
            let mut state = self.0.lock();
            if state.free > 0 {
                state.free -= 1;
                return Turn(Some(self.clone()));
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
        // Turns are kept until there is nobody who waits, so the sender is there.
        waits.await.unwrap_or(Turn(None))
    }
}

impl State {
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
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

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turns) = self.0.take() else { return };
        loop {
            let mut state = turns.0.lock();
            let Some(sender) = state.next() else { return state.free += 1 };
            drop(state);
            // Who has given up meanwhile hands the turn back, here or as it is dropped.
            match sender.send(Self(Some(turns.clone()))) {
                Ok(()) => return,
                Err(mut turn) => turn.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, poll};

    use super::*;

    #[tokio::test]
    async fn networks_wait_in_rotation_whoever_came_first() {
        let turns = Turns::new(1);
        let network = |it: u8| Network::household([192, 0, 2, it].into());
        let turn = turns.take(network(1)).await;
        let mut flood: Vec<_> = (0..100).map(|_| Box::pin(turns.take(network(1)))).collect();
        for waits in &mut flood {
            assert!(poll!(waits).is_pending());
        }
        let mut other = Box::pin(turns.take(network(2)));
        assert!(poll!(&mut other).is_pending());
        drop(turn);
        // One of the flood was there before; then it is the other's turn.
        let first = flood.remove(0).now_or_never().unwrap();
        assert!(poll!(&mut other).is_pending());
        drop(first);
        let turn = other.now_or_never().unwrap();

        // Those who gave up, before it was theirs or when it was, do not take it with them.
        let handed = flood.remove(0);
        let last = flood.pop().unwrap();
        drop(flood);
        drop(turn);
        drop(handed);
        let turn = last.now_or_never().unwrap();
        drop(turn);
        assert!(turns.take(network(3)).now_or_never().is_some());
    }
}
