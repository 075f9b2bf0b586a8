//! The generator's loop: one thread, non-blocking raw sockets and epoll. In the closed loop a lane sends as soon as it has a response,
//! which finds the maximum throughput. In the open loop each request has a due time that was fixed before the run, and is timed from
//! it: a server that stalls cannot hide it by getting fewer requests meanwhile (Gil Tene's "coordinated omission"; wrk2 does the same).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::flow::Step;
use super::lane::{InFlight, Lane, Response, read_response};
use super::players::{Players, SavedTokens};
use super::schedule::{Group, Pace, Schedule};
use super::subscribers::{FIRST_KEY, Subscribers};
use super::tally::{LOST, Second, Tally, UNANSWERED};
use crate::epoll::{Epoll, Ready};
use crate::fanout::wire::number_after;

/// Responses that are missing this long after the last request count as unanswered.
const GRACE_NS: u64 = 10_000_000_000;
/// Bytes per read.
const BUFFER: usize = 64 * 1024;
/// Points of the top player's update.
const POINTS: u64 = 10;
/// Preparing lanes may take this long.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(10);

/// What is sent, by whom, and for how long.
pub struct Plan<'a> {
    pub address: SocketAddr,
    pub players: &'a Players,
    /// Of all players but the top player, who is the last one.
    pub crowd: Group,
    /// The top player's updates a second, on a separate lane.
    pub top_per_second: Option<f64>,
    pub subscribers: usize,
    pub seconds: f64,
    /// The run ends earlier once this many requests were sent.
    pub max_requests: u64,
}

pub struct Engine<'a> {
    address: SocketAddr,
    players: &'a Players,
    epoll: Epoll,
    lanes: Vec<Lane>,
    schedules: Vec<Schedule>,
    subscribers: Option<Subscribers>,
    tokens: &'a mut SavedTokens,
    tally: Tally,
    request: Vec<u8>,
    started: Instant,
    ends_ns: u64,
    /// Requests that may still be sent.
    remaining: u64,
    in_flight: usize,
    /// The top player's score, once it is known.
    top_score: Option<u64>,
}

impl<'a> Engine<'a> {
    /// Opens all connections.
    pub fn new(plan: Plan<'a>, tokens: &'a mut SavedTokens) -> Self {
        let epoll = Epoll::new();
        let crowd = plan.crowd.lanes;
        // A player on two lanes at once would end their own session.
        assert!(plan.players.count() > crowd, "there must be more players than connections");
        let steps = plan.crowd.steps.len();
        let mut lanes: Vec<Lane> = (0..crowd).map(|place| Lane::new(place, place % steps)).collect();
        let mut schedules = vec![Schedule::new(plan.crowd, 0)];
        if let Some(per_second) = plan.top_per_second {
            lanes.push(Lane::new(plan.players.count() - 1, 0));
            let group = Group { steps: vec![Step::TopUpdate], lanes: 1, pace: Pace::Open(per_second) };
            schedules.push(Schedule::new(group, crowd));
        }
        let subscribers = (plan.subscribers > 0)
            .then(|| Subscribers::connect(plan.subscribers, plan.address, plan.players, &epoll));
        let mut engine = Self {
            address: plan.address,
            players: plan.players,
            epoll,
            lanes,
            schedules,
            subscribers,
            tokens,
            tally: Tally::new(),
            request: Vec::with_capacity(BUFFER),
            started: Instant::now(),
            ends_ns: (plan.seconds * 1e9) as u64,
            remaining: plan.max_requests,
            in_flight: 0,
            top_score: None,
        };
        (0..engine.lanes.len()).for_each(|lane| engine.connect(lane));
        assert!(engine.lanes.iter().all(Lane::is_connected), "{} takes no connection", engine.address);
        engine
    }

    /// Lanes begin in the middle of the flow, each at another step, so that all kinds of requests are sent at any time. This gets the
    /// tokens they need for that, which is not counted.
    fn prepare(&mut self, buffer: &mut [u8]) {
        let remaining = self.remaining;
        let lacks_token = |lane: &Lane, steps: &[Step]| {
            let step = steps[lane.place];
            step.possible(lane, !lane.token.is_empty()) != step
        };
        let mut lanes = Vec::new();
        for Schedule { group, first, .. } in self.schedules.iter().filter(|_| self.tokens.count() == 0) {
            let own = *first..first + group.lanes;
            lanes.extend(own.filter(|lane| lacks_token(&self.lanes[*lane], &group.steps)));
        }
        self.remaining = lanes.len() as u64;
        for lane in lanes {
            self.lanes[lane].backlog = 1;
            self.send_next(lane);
        }
        let mut ready = Vec::new();
        while self.in_flight > 0 && self.started.elapsed() < PREPARE_TIMEOUT {
            self.epoll.wait(&mut ready, Some(Duration::from_millis(100)));
            ready.iter().for_each(|event| self.on_ready(*event, buffer));
        }
        self.lanes.iter_mut().for_each(Lane::reset_counts);
        (self.remaining, self.tally) = (remaining, Tally::new());
    }

    /// Sends everything. `on_second` gets the counts of each second.
    pub fn run(mut self, mut on_second: impl FnMut(&Second)) -> (Tally, Option<Subscribers>) {
        let (mut ready, mut buffer) = (Vec::new(), vec![0; BUFFER]);
        self.prepare(&mut buffer);
        self.started = Instant::now();
        self.start_closed_loop();
        loop {
            let now = self.now_ns();
            // Also after the end: this thread may have slept past the last due times.
            if self.remaining > 0 {
                self.send_due(now);
            }
            let is_over = self.is_over(now);
            if is_over && self.is_done(now) {
                break;
            }
            if let Some(second) = self.tally.tick(now) {
                on_second(&second);
                self.reconnect_lost();
            }
            let due = if is_over { u64::MAX } else { self.next_due_ns() };
            let until = due.min(self.tally.second_ends_ns());
            let wait = Duration::from_nanos(until.saturating_sub(self.now_ns()));
            self.epoll.wait(&mut ready, Some(wait));
            for event in &ready {
                self.on_ready(*event, &mut buffer);
            }
        }
        self.tally.took_ns = self.now_ns().min(self.ends_ns.max(1));
        for in_flight in self.lanes.iter().filter_map(|lane| lane.in_flight) {
            self.tally.failed(in_flight.step, UNANSWERED);
        }
        (self.tally, self.subscribers)
    }

    fn now_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    fn is_over(&self, now_ns: u64) -> bool {
        now_ns >= self.ends_ns || self.remaining == 0
    }

    /// Whether all due requests were sent and all responses arrived, or it is too late for them.
    fn is_done(&self, now_ns: u64) -> bool {
        let is_idle = self.in_flight == 0 && self.lanes.iter().all(|lane| lane.backlog == 0);
        is_idle || now_ns > self.ends_ns.saturating_add(GRACE_NS)
    }

    fn start_closed_loop(&mut self) {
        let closed = self.schedules.iter().filter(|schedule| schedule.group.pace == Pace::Closed);
        let lanes = closed.flat_map(|schedule| schedule.first..schedule.first + schedule.group.lanes);
        lanes.collect::<Vec<usize>>().into_iter().for_each(|lane| self.send_next(lane));
    }

    /// Assigns the requests that are due to their lanes.
    fn send_due(&mut self, now_ns: u64) {
        let latest = now_ns.min(self.ends_ns.saturating_sub(1));
        for place in 0..self.schedules.len() {
            while let Some(due) = self.schedules[place].next_due_ns().filter(|due| *due <= latest) {
                let lane = self.schedules[place].assign();
                self.tally.late(now_ns - due);
                self.lanes[lane].backlog += 1;
                if self.lanes[lane].in_flight.is_none() {
                    self.send_next(lane);
                }
            }
        }
    }

    /// When the next request of the open loop is due.
    fn next_due_ns(&self) -> u64 {
        self.schedules.iter().filter_map(Schedule::next_due_ns).min().unwrap_or(u64::MAX)
    }

    /// Sends a lane's next request, if one is due.
    fn send_next(&mut self, place: usize) {
        let schedule = schedule_of(&self.schedules, place);
        let lane = &mut self.lanes[place];
        let due = schedule.due_ns_of(place, lane.sent);
        if self.remaining == 0 || due.is_some() && lane.backlog == 0 {
            return;
        }
        lane.sent += 1;
        lane.backlog = lane.backlog.saturating_sub(1);
        self.remaining = self.remaining.saturating_sub(1);
        let saved = self.tokens.take();
        lane.user = saved.unwrap_or(lane.user);
        let token = if saved.is_some() { self.tokens.taken() } else { &lane.token };
        let step = schedule.group.steps[lane.place].possible(lane, !token.is_empty());
        self.request.clear();
        step.write(lane, token, self.players, &mut self.request);
        let since_ns = due.unwrap_or_else(|| self.started.elapsed().as_nanos() as u64);
        lane.in_flight = Some(InFlight { step, since_ns });
        self.in_flight += 1;
        if step == Step::TopUpdate
            && let (Some(score), Some(subscribers)) = (self.top_score, &mut self.subscribers)
        {
            subscribers.expect(score + POINTS, since_ns);
        }
        if !lane.send(&self.request) {
            self.on_lost(place);
        }
    }

    fn on_ready(&mut self, ready: Ready, buffer: &mut [u8]) {
        if ready.key >= FIRST_KEY {
            let started = self.started;
            if let Some(subscribers) = &mut self.subscribers {
                subscribers.on_ready(ready, buffer, || started.elapsed().as_nanos() as u64);
            }
            return;
        }
        let place = ready.key as usize;
        match self.lanes[place].receive(buffer) {
            Ok(None) => {}
            Ok(Some(count)) => self.on_bytes(place, &buffer[..count]),
            Err(()) => return self.on_lost(place),
        }
        if ready.is_closed {
            self.on_lost(place);
            self.connect(place);
        }
    }

    fn on_bytes(&mut self, place: usize, bytes: &[u8]) {
        let mut partial = std::mem::take(&mut self.lanes[place].partial);
        if partial.is_empty() {
            match read_response(bytes) {
                Some(response) => self.on_response(place, &response),
                None => partial.extend_from_slice(bytes),
            }
        } else {
            partial.extend_from_slice(bytes);
            if let Some(response) = read_response(&partial) {
                self.on_response(place, &response);
                partial.clear();
            }
        }
        self.lanes[place].partial = partial;
        if self.lanes[place].in_flight.is_none() {
            self.advance(place);
        }
    }

    /// Counts a response and keeps its token.
    fn on_response(&mut self, place: usize, response: &Response<'_>) {
        let now = self.now_ns();
        let lane = &mut self.lanes[place];
        let Some(InFlight { step, since_ns }) = lane.in_flight.take() else { return };
        self.in_flight -= 1;
        let is_ok = matches!(response.status, 200 | 304);
        if is_ok {
            self.tally.succeeded(step, now.saturating_sub(since_ns));
        } else {
            self.tally.failed(step, response.status);
        }
        lane.keep_token(step, step.token(if is_ok { response.body } else { &[] }));
        match step {
            Step::Init if is_ok => self.tokens.save(lane.user, &lane.token),
            Step::TopUpdate => self.top_score = number_after(response.body, b"\"newScore\":"),
            _ => {}
        }
        // A request that only got a missing token is not the lane's step, which is still to come.
        let group = &schedule_of(&self.schedules, place).group;
        if group.steps[lane.place] == step {
            lane.place = (lane.place + 1) % group.steps.len();
            // A session stays with its player until its end.
            if lane.place == 0 && lane.session.is_empty() && step != Step::TopUpdate {
                lane.user = (lane.user + group.lanes) % (self.players.count() - 1);
            }
        }
    }

    fn advance(&mut self, place: usize) {
        if !self.is_over(self.now_ns()) || self.lanes[place].backlog > 0 {
            self.send_next(place);
        }
    }

    fn connect(&mut self, place: usize) {
        if let Some(stream) = self.lanes[place].connect(self.address) {
            self.epoll.add_stream(stream, place as u64);
        }
    }

    fn on_lost(&mut self, place: usize) {
        let lane = &mut self.lanes[place];
        lane.disconnect();
        if let Some(in_flight) = lane.in_flight.take() {
            self.in_flight -= 1;
            self.tally.failed(in_flight.step, LOST);
        }
    }

    /// Lanes that lost their connection get a new one with the next second.
    fn reconnect_lost(&mut self) {
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

fn schedule_of(schedules: &[Schedule], lane: usize) -> &Schedule {
    schedules.iter().rev().find(|schedule| lane >= schedule.first).expect("each lane is in a group")
}
