//! When requests are sent, and by which lane.

use super::step::Step;

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Each lane as soon as it is answered.
    Closed,
    /// So many a second, over all lanes in turn.
    Open(f64),
}

/// Lanes that go through the same steps at one pace.
pub struct Group {
    pub steps: Vec<Step>,
    pub lanes: usize,
    pub pace: Pace,
}

/// A group as it runs: its lanes begin at a place, and so many turns were given to them.
pub struct Turns {
    pub group: Group,
    pub first: usize,
    given: u64,
}

impl Turns {
    pub fn new(group: Group, first: usize) -> Self {
        Self { group, first, given: 0 }
    }

    /// When the next request is due, in the open loop.
    pub fn due(&self) -> Option<u64> {
        (self.group.lanes > 0).then(|| self.due_at(self.given)).flatten()
    }

    /// Gives the next turn to its lane.
    pub fn give(&mut self) -> usize {
        let lane = self.first + (self.given % self.group.lanes as u64) as usize;
        self.given += 1;
        lane
    }

    /// When a lane's turn of this number was due: the lanes take turns, so it needs no list. None: as soon as it is answered.
    pub fn due_of(&self, lane: usize, turn: u64) -> Option<u64> {
        self.due_at(turn * self.group.lanes as u64 + (lane - self.first) as u64)
    }

    fn due_at(&self, turn: u64) -> Option<u64> {
        match self.group.pace {
            Pace::Open(per_second) => Some((turn as f64 * 1e9 / per_second) as u64),
            Pace::Closed => None,
        }
    }
}
