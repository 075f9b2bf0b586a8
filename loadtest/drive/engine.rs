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
use super::turns::{Pace, Turns};
use crate::fanout::poll::{Poll, Ready};

/// Answers that have not come so long after the last request are missing.
const GRACE_NS: u64 = 10_000_000_000;
/// What is read at once.
pub const BUFFER: usize = 64 * 1024;
/// What an update of the leader adds.
const POINTS: u64 = 10;

pub struct Engine<'a> {
    pub(super) address: SocketAddr,
    pub(super) players: &'a Players,
    pub(super) poll: Poll,
    pub(super) lanes: Vec<Lane>,
    pub(super) groups: Vec<Turns>,
    pub(super) audience: Option<Audience>,
    pub(super) hoard: &'a mut Hoard,
    pub(super) tally: Tally,
    pub(super) request: Vec<u8>,
    pub(super) started: Instant,
    pub(super) ends_ns: u64,
    /// Requests that may still be sent, and those that wait for their answers.
    pub(super) left: u64,
    pub(super) flying: usize,
    /// The leader's score, once it is known.
    pub(super) leading: Option<u64>,
}

impl Engine<'_> {
    /// Sends everything. `tell` hears of each second.
    pub fn run(mut self, mut tell: impl FnMut(&Second)) -> (Tally, Option<Audience>) {
        let (mut ready, mut buffer) = (Vec::new(), vec![0; BUFFER]);
        self.prepare(&mut buffer);
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
            let due = if over { u64::MAX } else { self.next_due() };
            let until = due.min(self.tally.second_ends_ns());
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
    pub(super) fn next(&mut self, place: usize) {
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
        if step == Step::LeaderLock
            && let (Some(score), Some(audience)) = (self.leading, &mut self.audience)
        {
            audience.asked(score + POINTS, since);
        }
        if !lane.send(&self.request) {
            self.lost(place);
        }
    }

    pub(super) fn ready(&mut self, ready: Ready, buffer: &mut [u8]) {
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
            Step::LeaderLock => self.leading = number(answer.body, b"\"newScore\":"),
            _ => {}
        }
        // What was asked for want of a token is not the lane's next step.
        let group = self.groups.iter().rev().find(|it| place >= it.first).expect("a lane has a group");
        if group.group.steps[lane.place] == step {
            lane.place = (lane.place + 1) % group.group.steps.len();
            // A session is its player's, to the end.
            if lane.place == 0 && lane.session.is_empty() && step != Step::LeaderLock {
                lane.user = (lane.user + group.group.lanes) % (self.players.count() - 1);
            }
        }
    }

    fn advance(&mut self, place: usize) {
        if !self.is_over(self.now_ns()) || self.lanes[place].backlog > 0 {
            self.next(place);
        }
    }

    pub(super) fn connect(&mut self, place: usize) {
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
