//! Who listens: WebSocket, Socket.IO and SSE in equal parts. Timed is the way from the leader's request to the board at each
//! listener, told by the leader's new score in it.

use std::collections::VecDeque;
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use socket2::{Domain, Socket, Type};

use super::players::Players;
use super::tally::histogram;
use crate::fanout::client::Client;
use crate::fanout::orders::Protocol;
use crate::fanout::poll::{Poll, Ready};
use crate::fanout::tally::Tally;

/// Listeners' keys begin here; those below are lanes'.
pub const FIRST_KEY: u64 = 1 << 32;
/// Handshakes at once.
const AT_ONCE: usize = 64;
/// Until all listen.
const PATIENCE: Duration = Duration::from_secs(60);
/// Changes that may be on their way at once; older ones have been skipped by slow listeners.
const ON_THE_WAY: usize = 256;

pub struct Audience {
    clients: Vec<Client>,
    tally: Tally,
    asked: VecDeque<Change>,
    /// Microseconds from the request to a listener, and to the last of all.
    pub times: Histogram<u64>,
    pub lasts: Histogram<u64>,
    /// Connections that ended.
    pub lost: u64,
}

/// An award that changes the board.
struct Change {
    score: u64,
    asked_ns: u64,
    heard: usize,
}

impl Audience {
    /// Lets so many connect, and waits until each has a board.
    pub fn gather(count: usize, address: SocketAddr, players: &Players, poll: &Poll) -> Self {
        let SocketAddr::V4(address) = address else { panic!("listeners come by IPv4") };
        let protocols = [Protocol::WebSocket, Protocol::SocketIo, Protocol::Events];
        let client = |place: usize| {
            let login = String::from_utf8_lossy(players.login(place % players.count())).into_owned();
            Client::new(protocols[place % protocols.len()], address, login)
        };
        let mut tally = Tally::new();
        tally.leading = Some(Vec::new());
        let mut audience = Self {
            clients: (0..count).map(client).collect(),
            tally,
            asked: VecDeque::with_capacity(ON_THE_WAY),
            times: histogram(),
            lasts: histogram(),
            lost: 0,
        };
        audience.connect(poll, address);
        audience
    }

    fn connect(&mut self, poll: &Poll, address: SocketAddrV4) {
        let (started, mut begun, mut ready, mut buffer) = (Instant::now(), 0, Vec::new(), vec![0; 1 << 16]);
        while self.tally.open < self.clients.len() {
            assert!(started.elapsed() < PATIENCE, "{} of {begun} listeners got a board", self.tally.open);
            while begun < self.clients.len() && begun < self.tally.open + AT_ONCE {
                let stream = begin(address);
                poll.add_stream(&stream, FIRST_KEY + begun as u64);
                self.clients[begun].begin(stream);
                begun += 1;
            }
            poll.wait(&mut ready, 100);
            for one in ready.iter().filter(|it| it.key >= FIRST_KEY) {
                let client = &mut self.clients[(one.key - FIRST_KEY) as usize];
                client.ready(*one, &mut buffer, &mut self.tally).expect("a listener is let in");
            }
        }
        self.tally.leading = Some(Vec::new());
    }

    /// The leader asks for an award that makes this score.
    pub fn asked(&mut self, score: u64, now_ns: u64) {
        if self.asked.len() == ON_THE_WAY {
            self.asked.pop_front();
        }
        self.asked.push_back(Change { score, asked_ns: now_ns, heard: 0 });
    }

    /// Reads what came for one.
    pub fn ready(&mut self, ready: Ready, buffer: &mut [u8], now_ns: impl Fn() -> u64) {
        let client = &mut self.clients[(ready.key - FIRST_KEY) as usize];
        if let Err(end) = client.ready(ready, buffer, &mut self.tally) {
            client.leave(&end);
            self.lost += 1;
        }
        let Some(mut seen) = self.tally.leading.take() else { return };
        for score in seen.drain(..) {
            let Some(change) = self.asked.iter_mut().find(|it| it.score == score) else { continue };
            let took_us = (now_ns().saturating_sub(change.asked_ns) / 1000).max(1);
            self.times.saturating_record(took_us);
            change.heard += 1;
            if change.heard == self.clients.len() {
                self.lasts.saturating_record(took_us);
            }
        }
        self.tally.leading = Some(seen);
    }

    pub fn count(&self) -> usize {
        self.clients.len()
    }

    /// Boards that came after the first, and how many of them were not newer than the last: there must be none.
    pub fn deliveries(&mut self) -> (u64, u64) {
        let report = self.tally.report();
        (report.deliveries, report.violations)
    }
}

fn begin(address: SocketAddrV4) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).unwrap();
    socket.set_tcp_nodelay(true).unwrap();
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => panic!("{address}: {error}"),
        _ => socket.into(),
    }
}
