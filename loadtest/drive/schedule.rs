//! When requests are sent, and on which lane.

use super::flow::Step;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Each lane sends as soon as it has a response.
    Closed,
    /// Requests a second, over all lanes in turn.
    Open(f64),
}

/// Lanes that go through the same steps at one pace.
pub struct Group {
    pub steps: Vec<Step>,
    pub lanes: usize,
    pub pace: Pace,
}

/// The schedule of a group.
pub struct Schedule {
    pub group: Group,
    /// The group's first lane.
    pub first: usize,
    assigned: u64,
}

impl Schedule {
    pub fn new(group: Group, first: usize) -> Self {
        Self { group, first, assigned: 0 }
    }

    /// When the next request of the open loop is due, in ns.
    pub fn next_due_ns(&self) -> Option<u64> {
        (self.group.lanes > 0).then(|| self.due_ns(self.assigned)).flatten()
    }

    /// Assigns the next request to a lane, and returns the lane.
    pub fn assign(&mut self) -> usize {
        let lane = self.first + (self.assigned % self.group.lanes as u64) as usize;
        self.assigned += 1;
        lane
    }

    /// When the n-th request of a lane was due. Lanes take turns, so no list is needed. None: closed loop.
    pub fn due_ns_of(&self, lane: usize, n: u64) -> Option<u64> {
        self.due_ns(n * self.group.lanes as u64 + (lane - self.first) as u64)
    }

    fn due_ns(&self, request: u64) -> Option<u64> {
        match self.group.pace {
            Pace::Open(per_second) => Some((request as f64 * 1e9 / per_second) as u64),
            Pace::Closed => None,
        }
    }
}
