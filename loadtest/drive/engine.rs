//! The generator's loop: one thread, raw sockets that do not block, and the kernel's queue of those that are ready. In the
//! closed loop a lane sends as soon as it is answered, which finds the most that can be done. In the open loop each request is
//! due at a moment settled beforehand, whatever became of the others, and is timed from that moment: a server that stalls
//! cannot hide it by being asked less meanwhile (Gil Tene's "coordinated omission"; wrk2 does the same).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::answer;
use super::audience::{Audience, FIRST_KEY};
use super::hoard::Hoard;
use super::lane::Lane;
use super::players::Players;
use super::step::{Step, number};
use super::tally::{LOST, Second, Tally, UNANSWERED};
use super::turns::{Group, Pace, Turns};
use crate::fanout::poll::{Poll, Ready};

/// Answers that have not come so long after the last request are missing.
const GRACE_NS: u64 = 10_000_000_000;
const BUFFER: usize = 64 * 1024;
/// What an update of the leader adds.
const POINTS: u64 = 10;

/// What is sent.
pub struct Plan<'a> {
    pub address: SocketAddr,
    pub players: &'a Players,
    /// Of all but the leader, who is the last player.
    pub crowd: Group,
    /// The leader's pace, on a lane of its own.
    pub leader: Option<f64>,
    pub listeners: usize,
    pub seconds: f64,
    /// It ends before, when so many were sent.
    pub requests: u64,
}

pub struct Engine<'a> {
    address: SocketAddr,
    players: &'a Players,
    poll: Poll,
    lanes: Vec<Lane>,
    groups: Vec<Turns>,
    audience: Option<Audience>,
    hoard: &'a mut Hoard,
    tally: Tally,
    request: Vec<u8>,
    started: Instant,
    ends_ns: u64,
    /// Requests that may still be sent, and those that wait for their answers.
    left: u64,
    flying: usize,
    /// The leader's score, once it is known.
    leading: Option<u64>,
}

impl<'a> Engine<'a> {
    /// Opens all connections.
    pub fn new(plan: Plan<'a>, hoard: &'a mut Hoard) -> Self {
        let poll = Poll::new();
        let crowd = plan.crowd.lanes;
        // Whoever is in two lanes at once would end their own session.
        assert!(plan.players.count() > crowd, "there have to be more players than connections");
        let steps = plan.crowd.steps.len();
        let mut lanes: Vec<Lane> =
            (0..crowd).map(|it| Lane::new(it, it * steps / crowd.max(1) % steps.max(1))).collect();
        let mut groups = vec![Turns::new(plan.crowd, 0)];
        if let Some(per_second) = plan.leader {
            lanes.push(Lane::new(plan.players.count() - 1, 0));
            let group = Group { steps: vec![Step::Lead], lanes: 1, pace: Pace::Open(per_second) };
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

    /// Sends everything. `tell` hears of each second.
    pub fn run(mut self, mut tell: impl FnMut(&Second)) -> (Tally, Option<Audience>) {
        let (mut ready, mut buffer) = (Vec::new(), vec![0; BUFFER]);
        self.started = Instant::now();
        self.begin();
        loop {
            let now = self.now_ns();
            let over = self.is_over(now);
            if over && self.is_done(now) {
                break;
            }
            if !over {
                self.take_turns(now);
            }
            if let Some(second) = self.tally.tick(now) {
                tell(&second);
                self.revive();
            }
            let until = self.next_due().min(self.tally.second_ends_ns());
            self.poll.wait_for(&mut ready, Duration::from_nanos(until.saturating_sub(self.now_ns())));
            for one in &ready {
                self.ready(*one, &mut buffer);
            }
        }
        self.tally.took_ns = self.now_ns().min(self.ends_ns.max(1));
        for lane in &self.lanes {
            if let Some((step, _)) = lane.flight {
                self.tally.failed(step, UNANSWERED);
            }
        }
        (self.tally, self.audience)
    }

    fn now_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    fn is_over(&self, now: u64) -> bool {
        now >= self.ends_ns || self.left == 0
    }

    /// Whether all answers came, and all requests that were due are sent; or it is too late for them.
    fn is_done(&self, now: u64) -> bool {
        let idle = self.flying == 0 && self.lanes.iter().all(|it| it.backlog == 0);
        idle || now > self.ends_ns.saturating_add(GRACE_NS)
    }

    /// In the closed loop every lane begins at once.
    fn begin(&mut self) {
        let closed = self.groups.iter().filter(|it| it.group.pace == Pace::Closed);
        let lanes: Vec<usize> = closed.flat_map(|it| it.first..it.first + it.group.lanes).collect();
        lanes.into_iter().for_each(|it| self.next(it));
    }

    /// Gives the requests that are due by now to their lanes.
    fn take_turns(&mut self, now: u64) {
        for place in 0..self.groups.len() {
            while let Some(due) = self.groups[place].due().filter(|it| *it <= now.min(self.ends_ns)) {
                let lane = self.groups[place].give();
                self.tally.late(now - due);
                self.lanes[lane].backlog += 1;
                if self.lanes[lane].flight.is_none() {
                    self.next(lane);
                }
            }
        }
    }

    /// When the next request of the open loop is due.
    fn next_due(&self) -> u64 {
        self.groups.iter().filter_map(Turns::due).min().unwrap_or(u64::MAX)
    }

    /// Sends a lane's next request, if it is its turn.
    fn next(&mut self, place: usize) {
        let turns = self.groups.iter().rev().find(|it| place >= it.first).expect("a lane has a group");
        let lane = &mut self.lanes[place];
        let due = turns.due_of(place, lane.turns);
        if self.left == 0 || due.is_some() && lane.backlog == 0 {
            return;
        }
        lane.turns += 1;
        lane.backlog = lane.backlog.saturating_sub(1);
        self.left = self.left.saturating_sub(1);
        let hoarded = self.hoard.take();
        lane.user = hoarded.unwrap_or(lane.user);
        let token = if hoarded.is_some() { self.hoard.token() } else { &lane.token };
        let step = turns.group.steps[lane.place].possible(lane, !token.is_empty());
        self.request.clear();
        step.write(lane, token, self.players, &mut self.request);
        let since = due.unwrap_or_else(|| self.started.elapsed().as_nanos() as u64);
        lane.flight = Some((step, since));
        self.flying += 1;
        if step == Step::Lead
            && let (Some(score), Some(audience)) = (self.leading, &mut self.audience)
        {
            audience.asked(score + POINTS, since);
        }
        if !lane.send(&self.request) {
            self.lost(place);
        }
    }

    fn ready(&mut self, ready: Ready, buffer: &mut [u8]) {
        if ready.key >= FIRST_KEY {
            let started = self.started;
            if let Some(audience) = &mut self.audience {
                audience.ready(ready, buffer, || started.elapsed().as_nanos() as u64);
            }
            return;
        }
        let place = ready.key as usize;
        match self.lanes[place].receive(buffer) {
            Ok(None) => {}
            Ok(Some(count)) => self.feed(place, &buffer[..count]),
            Err(()) => return self.lost(place),
        }
        if ready.ends {
            self.lost(place);
            self.connect(place);
        }
    }

    fn feed(&mut self, place: usize, bytes: &[u8]) {
        let mut carry = std::mem::take(&mut self.lanes[place].carry);
        if carry.is_empty() {
            match answer::read(bytes) {
                Some(answer) => self.answered(place, &answer),
                None => carry.extend_from_slice(bytes),
            }
        } else {
            carry.extend_from_slice(bytes);
            if let Some(answer) = answer::read(&carry) {
                self.answered(place, &answer);
                carry.clear();
            }
        }
        self.lanes[place].carry = carry;
        if self.lanes[place].flight.is_none() {
            self.advance(place);
        }
    }

    /// Counts an answer and keeps what it brought.
    fn answered(&mut self, place: usize, answer: &answer::Answer<'_>) {
        let now = self.now_ns();
        let lane = &mut self.lanes[place];
        let Some((step, since)) = lane.flight.take() else { return };
        self.flying -= 1;
        let good = matches!(answer.status, 200 | 304);
        if good {
            self.tally.answered(step, now.saturating_sub(since));
        } else {
            self.tally.failed(step, answer.status);
        }
        lane.keep(step, step.token(if good { answer.body } else { &[] }));
        match step {
            Step::Init if good => self.hoard.put(lane.user, &lane.token),
            Step::Lead => self.leading = number(answer.body, b"\"newScore\":"),
            _ => {}
        }
        // What was asked for want of a token is not the lane's next step.
        let group = self.groups.iter().rev().find(|it| place >= it.first).expect("a lane has a group");
        if group.group.steps[lane.place] == step {
            lane.place = (lane.place + 1) % group.group.steps.len();
            if lane.place == 0 && step != Step::Lead {
                lane.user = (lane.user + group.group.lanes) % (self.players.count() - 1);
            }
        }
    }

    fn advance(&mut self, place: usize) {
        if !self.is_over(self.now_ns()) || self.lanes[place].backlog > 0 {
            self.next(place);
        }
    }

    fn connect(&mut self, place: usize) {
        if let Some(stream) = self.lanes[place].connect(self.address) {
            self.poll.add_stream(stream, place as u64);
        }
    }

    fn lost(&mut self, place: usize) {
        let lane = &mut self.lanes[place];
        lane.disconnect();
        if let Some((step, _)) = lane.flight.take() {
            self.flying -= 1;
            self.tally.failed(step, LOST);
        }
    }

    /// Who lost the connection gets a new one with the next second.
    fn revive(&mut self) {
        for place in 0..self.lanes.len() {
            if !self.lanes[place].is_connected() {
                self.connect(place);
                if self.lanes[place].is_connected() {
                    self.advance(place);
                }
            }
        }
    }
}
