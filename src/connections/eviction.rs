//! The open connections of a pool, and the eviction of idle ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;

use super::Slot;
use crate::network::Network;

/// A full pool evicts 1 in this many of its connections at once, if so many are idle: finding idle ones takes a pass over all.
const EVICTED_SHARE: usize = 64;
/// Minimum time after a search that found no idle connection.
const SEARCH_INTERVAL: Duration = Duration::from_millis(10);
/// Most evicted connections that have not closed yet; until then no new one is accepted. They use files of the reserve.
const MAX_EVICTED: usize = 128;
/// Minimum idle time before an eviction: a response that was just written is still on its way.
const MIN_IDLE_MS: u64 = 100;

/// The open connections of one pool.
#[derive(Default)]
pub struct OpenConnections {
    /// Those that count. An evicted one does not.
    pub slots: Slab<Arc<Slot>>,
    /// Connections per network.
    pub by_network: HashMap<Network, u32>,
    /// Number of evicted connections that have not closed yet.
    pub evicted: usize,
    /// When a search found no idle connection.
    pub searched_at: Option<Instant>,
}

impl OpenConnections {
    /// Counts a connection, and returns its key.
    pub fn insert(&mut self, slot: Arc<Slot>) -> usize {
        for network in slot.networks.into_iter().flatten() {
            *self.by_network.entry(network).or_default() += 1;
        }
        self.slots.insert(slot)
    }

    /// Evicts the connections that are idle for longest from a pool of at most `max`; returns how many. Idle times count from `epoch`.
    pub fn evict_idle(&mut self, max: usize, epoch: Instant) -> usize {
        let now = Instant::now();
        if self.evicted >= MAX_EVICTED
            || self.searched_at.is_some_and(|searched_at| now < searched_at + SEARCH_INTERVAL)
        {
            return 0;
        }
        let idle_before_ms = (epoch.elapsed().as_millis() as u64).saturating_sub(MIN_IDLE_MS);
        let since = |(key, slot): (usize, &Arc<Slot>)| Some((slot.idle_since_ms()?, key));
        let mut idle: Vec<(u64, usize)> = self.slots.iter().filter_map(since).collect();
        idle.retain(|(since_ms, _)| *since_ms <= idle_before_ms);
        let count = (max / EVICTED_SHARE).clamp(1, MAX_EVICTED).min(idle.len());
        self.searched_at = (count == 0).then_some(now);
        if count == 0 {
            return 0;
        }
        idle.select_nth_unstable(count - 1);
        let mut evicted = 0;
        for (_, key) in &idle[..count] {
            if self.slots[*key].evict() {
                self.remove(*key);
                evicted += 1;
            }
        }
        self.evicted += evicted;
        evicted
    }

    /// Stops counting a connection.
    pub fn remove(&mut self, key: usize) -> Option<Arc<Slot>> {
        let slot = self.slots.try_remove(key)?;
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
