//! A lane: one connection, on which one player after the other goes through the flow, one request at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::step::Step;

/// A server that does not take a connection by then is away. Nothing else is done meanwhile, which "late" shows.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

pub struct Lane {
    stream: Option<TcpStream>,
    /// Bytes of an answer whose end has not come yet.
    pub carry: Vec<u8>,
    pub user: usize,
    /// Where in the program it is.
    pub place: usize,
    /// The anti-spam token that `finalize` will bring; empty: none.
    pub token: Vec<u8>,
    /// The token that the session's next `update` will bring; empty: no session.
    pub session: Vec<u8>,
    /// What waits for its answer, and the moment that it is timed from.
    pub flight: Option<(Step, u64)>,
    /// Turns that have come and were not taken yet, since an answer was missing.
    pub backlog: u64,
    /// Turns taken.
    pub turns: u64,
}

impl Lane {
    pub fn new(user: usize, place: usize) -> Self {
        Self {
            stream: None,
            carry: Vec::new(),
            user,
            place,
            token: Vec::new(),
            session: Vec::new(),
            flight: None,
            backlog: 0,
            turns: 0,
        }
    }

    /// Opens its connection anew.
    pub fn connect(&mut self, address: SocketAddr) -> Option<&TcpStream> {
        self.carry.clear();
        self.stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).ok();
        let stream = self.stream.as_ref()?;
        stream.set_nodelay(true).and_then(|()| stream.set_nonblocking(true)).ok()?;
        Some(stream)
    }

    /// Keeps what an answer brought for the requests to come.
    pub fn keep(&mut self, step: Step, token: &[u8]) {
        let place = match step {
            Step::Init | Step::Finalize => &mut self.token,
            Step::Start | Step::Update | Step::LeaderLock | Step::End => &mut self.session,
            Step::Board | Step::Rank => return,
        };
        place.clear();
        place.extend_from_slice(token);
    }

    /// Its turns are counted anew.
    pub fn forget_turns(&mut self) {
        (self.backlog, self.turns) = (0, 0);
    }

    pub fn disconnect(&mut self) {
        self.stream = None;
    }

    pub fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    /// A request is short, and nothing else is on its way: a connection that does not take it at once is lost.
    pub fn send(&mut self, request: &[u8]) -> bool {
        let sent = self.stream.as_ref().map(|mut it| it.write(request));
        matches!(sent, Some(Ok(count)) if count == request.len())
    }

    /// Reads what is there; none: nothing yet.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, ()> {
        match self.stream.as_ref().ok_or(())?.read(buffer) {
            Ok(0) => Err(()),
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(_) => Err(()),
        }
    }
}
