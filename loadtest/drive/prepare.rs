//! Before a run: its connections, its listeners, and what lanes need so that they can begin.

use std::time::{Duration, Instant};

use super::audience::Audience;
use super::engine::{BUFFER, Engine};
use super::hoard::Hoard;
use super::lane::Lane;
use super::plan::Plan;
use super::step::Step;
use super::tally::Tally;
use super::turns::{Group, Pace, Turns};
use crate::fanout::poll::Poll;

/// What is not answered by then will not be.
const PATIENCE: Duration = Duration::from_secs(10);

impl<'a> Engine<'a> {
    /// Opens all connections.
    pub fn new(plan: Plan<'a>, hoard: &'a mut Hoard) -> Self {
        let poll = Poll::new();
        let crowd = plan.crowd.lanes;
        // Whoever is in two lanes at once would end their own session.
        assert!(plan.players.count() > crowd, "there have to be more players than connections");
        let steps = plan.crowd.steps.len();
        let mut lanes: Vec<Lane> = (0..crowd).map(|it| Lane::new(it, it % steps)).collect();
        let mut groups = vec![Turns::new(plan.crowd, 0)];
        if let Some(per_second) = plan.leader {
            lanes.push(Lane::new(plan.players.count() - 1, 0));
            let group = Group { steps: vec![Step::LeaderLock], lanes: 1, pace: Pace::Open(per_second) };
            groups.push(Turns::new(group, crowd));
        }
        let audience =
            (plan.listeners > 0).then(|| Audience::gather(plan.listeners, plan.address, plan.players, &poll));
        let mut engine = Self {
            address: plan.address,
            players: plan.players,
            poll,
            lanes,
            groups,
            audience,
            hoard,
            tally: Tally::new(),
            request: Vec::with_capacity(BUFFER),
            started: Instant::now(),
            ends_ns: (plan.seconds * 1e9) as u64,
            left: plan.requests,
            flying: 0,
            leading: None,
        };
        (0..engine.lanes.len()).for_each(|it| engine.connect(it));
        assert!(engine.lanes.iter().all(Lane::is_connected), "{} takes no connection", engine.address);
        engine
    }

    /// Lanes begin in the middle of the flow, each at another step, so that all kinds of requests are sent at any time. What they need for
    /// that is asked for first, and not counted.
    pub(super) fn prepare(&mut self, buffer: &mut [u8]) {
        let left = self.left;
        let lacks =
            |it: &Lane, steps: &[Step]| steps[it.place].possible(it, !it.token.is_empty()) != steps[it.place];
        let mut lanes = Vec::new();
        for Turns { group, first, .. } in self.groups.iter().filter(|_| self.hoard.count() == 0) {
            lanes.extend((*first..first + group.lanes).filter(|it| lacks(&self.lanes[*it], &group.steps)));
        }
        self.left = lanes.len() as u64;
        for lane in lanes {
            self.lanes[lane].backlog = 1;
            self.next(lane);
        }
        let mut ready = Vec::new();
        while self.flying > 0 && self.started.elapsed() < PATIENCE {
            self.poll.wait(&mut ready, 100);
            ready.iter().for_each(|it| self.ready(*it, buffer));
        }
        self.lanes.iter_mut().for_each(Lane::forget_turns);
        (self.left, self.tally) = (left, Tally::new());
    }
}
