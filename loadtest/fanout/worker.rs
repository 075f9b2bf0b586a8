//! A process full of clients: `loadtest fanout-worker LOGINS SKIP ADDRESS`. It reads orders on its standard input and
//! ends with it. Its logins begin after so many others; its connections come from this address.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;

use super::client::{Client, End};
use super::now_us;
use super::orders::{Order, Reply};
use super::poll::{self, Poll, Ready};
use super::tally::Tally;

/// The standard input's key; a client's key is its place.
const INPUT: u64 = u64::MAX;
/// Close codes from here on say that the node is displeased with the client.
const OURS: u16 = 4000;
const BUFFER: usize = 64 * 1024;

struct Worker {
    poll: Poll,
    from: Ipv4Addr,
    logins: std::iter::Skip<std::io::Lines<BufReader<File>>>,
    clients: Vec<Client>,
    /// Clients that have not connected yet, and how many may at once.
    queue: VecDeque<usize>,
    at_once: usize,
    /// Handshakes.
    under_way: usize,
    /// When who comes again.
    timers: BinaryHeap<Reverse<(u64, usize)>>,
    /// Where to come again; empty: nobody may lose a connection.
    targets: Vec<SocketAddrV4>,
    /// What cannot be answered yet.
    waiting: Option<Order>,
    tally: Tally,
    buffer: Vec<u8>,
    /// The standard input past its buffer, of which the queue knows nothing; and what came of a line.
    input: File,
    line: Vec<u8>,
}

pub fn run(arguments: &[String]) {
    let [logins, skip, from] = arguments else { panic!("what a worker is told is logins, skip and address") };
    let poll = Poll::new();
    let input = File::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    poll.add_pipe(&input, INPUT);
    let worker = Worker {
        poll,
        from: from.parse().unwrap(),
        logins: BufReader::new(File::open(logins).unwrap()).lines().skip(skip.parse().unwrap()),
        clients: Vec::new(),
        queue: VecDeque::new(),
        at_once: 0,
        under_way: 0,
        timers: BinaryHeap::new(),
        targets: Vec::new(),
        waiting: None,
        tally: Tally::new(),
        buffer: vec![0; BUFFER],
        input,
        line: Vec::new(),
    };
    worker.work();
}

impl Worker {
    fn work(mut self) {
        let mut ready = Vec::new();
        loop {
            self.poll.wait(&mut ready, self.timeout_ms());
            for one in &ready {
                match one.key {
                    INPUT if !self.listen() => return,
                    INPUT => {}
                    place => self.ready(place as usize, *one),
                }
            }
            self.begin_due();
            self.answer();
        }
    }

    fn timeout_ms(&self) -> i32 {
        match self.timers.peek() {
            Some(Reverse((due_us, _))) => due_us.saturating_sub(now_us()).div_ceil(1000) as i32,
            None => -1,
        }
    }

    /// Reads orders. False: there will be none any more.
    fn listen(&mut self) -> bool {
        let count = self.input.read(&mut self.buffer).unwrap();
        self.line.extend(&self.buffer[..count]);
        while let Some(end) = self.line.iter().position(|it| *it == b'\n') {
            let line: Vec<u8> = self.line.drain(..=end).collect();
            self.obey(serde_json::from_slice(&line).unwrap());
        }
        count > 0
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Connect { protocol, count, address, at_once } => {
                for _ in 0..count {
                    let login = self.logins.next().expect("a login for each client").unwrap();
                    self.queue.push_back(self.clients.len());
                    self.clients.push(Client::new(protocol, address, login));
                }
                self.at_once = at_once;
                self.waiting = Some(order);
            }
            Order::Await { .. } | Order::Settle => self.waiting = Some(order),
            Order::Flee { to, lost_from_us } => {
                self.targets = to;
                self.tally.count_closed_from(lost_from_us);
                reply(&Reply::Done);
            }
            Order::Report => reply(&Reply::Report(self.tally.report())),
        }
    }

    /// Says what was waited for, once it holds.
    fn answer(&mut self) {
        if self.tally.open < self.clients.len() {
            return;
        }
        let answer = match self.waiting {
            Some(Order::Connect { .. }) => Reply::Done,
            Some(Order::Await { version })
                if self.tally.newest >= version && self.tally.have == self.clients.len() =>
            {
                Reply::Has { last_us: self.tally.newest_last_us }
            }
            Some(Order::Settle) if self.clients.iter().all(|it| self.targets.contains(&it.address)) => {
                Reply::Settled { at_us: self.tally.last_back_us }
            }
            _ => return,
        };
        reply(&answer);
        self.waiting = None;
    }

    fn begin_due(&mut self) {
        let now = now_us();
        while self.timers.peek().is_some_and(|Reverse((due_us, _))| *due_us <= now) {
            let Some(Reverse((_, place))) = self.timers.pop() else { return };
            if !self.targets.is_empty() {
                self.clients[place].address = self.targets[rand::random_range(0..self.targets.len())];
            }
            self.begin(place);
        }
        while self.under_way < self.at_once {
            let Some(place) = self.queue.pop_front() else { return };
            self.begin(place);
        }
    }

    fn begin(&mut self, place: usize) {
        self.under_way += 1;
        match poll::connect(self.from, place, self.clients[place].address) {
            Ok(stream) => {
                self.poll.add_stream(&stream, place as u64);
                self.clients[place].begin(stream);
            }
            Err(_) => self.ended(place, &End::Lost),
        }
    }

    fn ready(&mut self, place: usize, ready: Ready) {
        let client = &mut self.clients[place];
        let was_open = client.is_open();
        let result = client.ready(ready, &mut self.buffer, &mut self.tally);
        // A board may have come before the end, even the first.
        self.under_way -= usize::from(!was_open && client.is_open());
        if let Err(end) = result {
            self.ended(place, &end);
        }
    }

    fn ended(&mut self, place: usize, end: &End) {
        let client = &mut self.clients[place];
        if client.is_open() {
            let displeased = matches!(end, End::Closed { code: OURS.., .. });
            assert!(!self.targets.is_empty() && !displeased, "a client lost its connection: {end:?}");
            self.tally.lost(now_us());
        } else {
            let may_retry = !matches!(end, End::Refused { status, .. } if ![429, 503].contains(status));
            assert!(may_retry, "a handshake was refused: {end:?}");
            self.under_way -= 1;
            self.tally.refused();
        }
        let delay_ms = client.leave(end);
        self.timers.push(Reverse((now_us() + delay_ms * 1000, place)));
    }
}

fn reply(reply: &Reply) {
    let mut output = std::io::stdout().lock();
    serde_json::to_writer(&mut output, reply).unwrap();
    output.write_all(b"\n").unwrap();
    output.flush().unwrap();
}
