//! The connections that are open, and which of them are closed for new ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;

use super::Slot;
use crate::network::Network;

/// A full pool closes this part of its connections at once, if so many are idle: looking for the idle ones costs a pass over all.
const EVICTED_SHARE: usize = 64;
/// A look that found nobody idle is not repeated sooner.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
/// Connections that were told to end and have not done so; beyond, nobody new comes in. They are files of the reserve.
const MAX_ENDING: usize = 128;
/// A connection is idle for so long before it may be closed: an answer that was just written is on its way out.
const MIN_IDLE_MS: u64 = 100;

/// The open connections of one listener.
#[derive(Default)]
pub struct Open {
    /// Those that count. One that was told to end counts no more.
    pub slots: Slab<Arc<Slot>>,
    /// How many each network has.
    pub by_network: HashMap<Network, u32>,
    /// Those that were told to end and have not done so.
    pub ending: usize,
    /// When a look found nobody idle.
    pub looked_at: Option<Instant>,
}

impl Open {
    /// One more counts, at this place.
    pub fn insert(&mut self, slot: Arc<Slot>) -> usize {
        for network in slot.networks.into_iter().flatten() {
            *self.by_network.entry(network).or_default() += 1;
        }
        self.slots.insert(slot)
    }

    /// Tells those that are idle for longest to end, of at most `most`; how many there were. Idle times count from `epoch`.
    pub fn end_some(&mut self, most: usize, epoch: Instant) -> usize {
        let now = Instant::now();
        if self.ending >= MAX_ENDING || self.looked_at.is_some_and(|it| now < it + BETWEEN_LOOKS) {
            return 0;
        }
        let idle_before_ms = (epoch.elapsed().as_millis() as u64).saturating_sub(MIN_IDLE_MS);
        let since = |(place, slot): (usize, &Arc<Slot>)| Some((slot.idle_since_ms()?, place));
        let mut idle: Vec<(u64, usize)> = self.slots.iter().filter_map(since).collect();
        idle.retain(|(since_ms, _)| *since_ms <= idle_before_ms);
        let count = (most / EVICTED_SHARE).clamp(1, MAX_ENDING).min(idle.len());
        // Only a look in vain is worth remembering.
        self.looked_at = (count == 0).then_some(now);
        if count == 0 {
            return 0;
        }
        idle.select_nth_unstable(count - 1);
        let mut ended = 0;
        for (_, place) in &idle[..count] {
            if self.slots[*place].evict() {
                self.forget(*place);
                ended += 1;
            }
        }
        self.ending += ended;
        ended
    }

    /// One counts no more.
    pub fn forget(&mut self, place: usize) -> Option<Arc<Slot>> {
        let slot = self.slots.try_remove(place)?;
        for network in slot.networks.iter().flatten() {
            if let Some(count) = self.by_network.get_mut(network) {
                *count -= 1;
                if *count == 0 {
                    self.by_network.remove(network);
                }
            }
        }
        Some(slot)
    }
}
