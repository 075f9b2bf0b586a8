//! Subscribers by WebSocket, Socket.IO and server-sent events in equal parts. Times the way from the top player's request to the board
//! at each subscriber, which is recognized by the top player's new score.

use std::collections::VecDeque;
use std::net::{SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::players::Players;
use super::tally::histogram;
use crate::epoll::{Epoll, Ready};
use crate::fanout::client::{Client, connect_from_any};
use crate::fanout::deliveries::Deliveries;
use crate::fanout::messages::Protocol;

/// Keys of subscribers begin here; those below are lanes'.
pub const FIRST_KEY: u64 = 1 << 32;
const MAX_CONCURRENT_HANDSHAKES: usize = 64;
/// All subscribers must have a board by then.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);
/// Changes that are awaited at a time. Slow subscribers have skipped older ones.
const MAX_AWAITED: usize = 256;

pub struct Subscribers {
    clients: Vec<Client>,
    deliveries: Deliveries,
    awaited: VecDeque<Change>,
    /// Microseconds from the request to a subscriber, and to the last subscriber.
    pub times: Histogram<u64>,
    pub last_times: Histogram<u64>,
    pub lost_connections: u64,
}

/// An award that changes the board.
struct Change {
    score: u64,
    requested_ns: u64,
    received: usize,
}

impl Subscribers {
    /// Connects subscribers, and waits until each has a board.
    pub fn connect(count: usize, address: SocketAddr, players: &Players, epoll: &Epoll) -> Self {
        let SocketAddr::V4(address) = address else { panic!("subscribers connect by IPv4") };
        let protocols = [Protocol::WebSocket, Protocol::SocketIo, Protocol::Events];
        let client = |place: usize| {
            let login = String::from_utf8_lossy(players.login(place % players.count())).into_owned();
            Client::new(protocols[place % protocols.len()], address, login)
        };
        let mut subscribers = Self {
            clients: (0..count).map(client).collect(),
            deliveries: Deliveries::new(),
            awaited: VecDeque::with_capacity(MAX_AWAITED),
            times: histogram(),
            last_times: histogram(),
            lost_connections: 0,
        };
        subscribers.connect_all(epoll, address);
        subscribers.deliveries.top_scores = Some(Vec::new());
        subscribers
    }

    fn connect_all(&mut self, epoll: &Epoll, address: SocketAddrV4) {
        let (begun_at, mut begun) = (Instant::now(), 0);
        let (mut ready, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        while self.deliveries.open < self.clients.len() {
            let open = self.deliveries.open;
            assert!(begun_at.elapsed() < CONNECT_TIMEOUT, "{open} of {begun} subscribers got a board");
            while begun < self.clients.len() && begun < open + MAX_CONCURRENT_HANDSHAKES {
                let stream = connect_from_any(address).unwrap_or_else(|error| panic!("{address}: {error}"));
                epoll.add_stream(&stream, FIRST_KEY + begun as u64);
                self.clients[begun].begin(stream);
                begun += 1;
            }
            epoll.wait(&mut ready, Some(Duration::from_millis(100)));
            for event in ready.iter().filter(|event| event.key >= FIRST_KEY) {
                let client = &mut self.clients[(event.key - FIRST_KEY) as usize];
                client.on_ready(*event, &mut buffer, &mut self.deliveries).expect("a subscriber is accepted");
            }
        }
    }

    /// The top player requests an award that makes this score.
    pub fn expect(&mut self, score: u64, now_ns: u64) {
        if self.awaited.len() == MAX_AWAITED {
            self.awaited.pop_front();
        }
        self.awaited.push_back(Change { score, requested_ns: now_ns, received: 0 });
    }

    /// Reads what arrived for a subscriber.
    pub fn on_ready(&mut self, ready: Ready, buffer: &mut [u8], now_ns: impl Fn() -> u64) {
        let client = &mut self.clients[(ready.key - FIRST_KEY) as usize];
        if client.on_ready(ready, buffer, &mut self.deliveries).is_err() {
            client.disconnect();
            self.lost_connections += 1;
        }
        let Some(mut scores) = self.deliveries.top_scores.take() else { return };
        for score in scores.drain(..) {
            let Some(change) = self.awaited.iter_mut().find(|change| change.score == score) else { continue };
            let took_us = (now_ns().saturating_sub(change.requested_ns) / 1000).max(1);
            self.times.saturating_record(took_us);
            change.received += 1;
            if change.received == self.clients.len() {
                self.last_times.saturating_record(took_us);
            }
        }
        self.deliveries.top_scores = Some(scores);
    }

    pub fn count(&self) -> usize {
        self.clients.len()
    }

    /// Boards after the first one, and how many of them were not newer than the previous one, which must be none.
    pub fn boards(&mut self) -> (u64, u64) {
        let report = self.deliveries.report();
        (report.deliveries, report.violations)
    }
}
