//! A lane: one connection, on which one player after another goes through the flow, one request at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use memchr::{memchr, memmem};

use super::flow::Step;

/// The generator does nothing else while it connects, so a slow connect counts as "late".
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A step that waits for its response.
#[derive(Clone, Copy)]
pub struct InFlight {
    pub step: Step,
    /// The time that the response time counts from.
    pub since_ns: u64,
}

pub struct Lane {
    stream: Option<TcpStream>,
    /// The bytes of an incomplete response.
    pub partial: Vec<u8>,
    /// The player.
    pub user: usize,
    /// Index into the flow's steps.
    pub place: usize,
    /// The anti-spam token for `finalize`; empty: none.
    pub token: Vec<u8>,
    /// The token for the session's next `update`; empty: no session.
    pub session: Vec<u8>,
    pub in_flight: Option<InFlight>,
    /// Requests that are due and not sent yet, because a response is missing.
    pub backlog: u64,
    /// Requests sent.
    pub sent: u64,
}

impl Lane {
    pub fn new(user: usize, place: usize) -> Self {
        Self {
            stream: None,
            partial: Vec::new(),
            user,
            place,
            token: Vec::new(),
            session: Vec::new(),
            in_flight: None,
            backlog: 0,
            sent: 0,
        }
    }

    /// Opens a new connection.
    pub fn connect(&mut self, address: SocketAddr) -> Option<&TcpStream> {
        self.partial.clear();
        self.stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).ok();
        let stream = self.stream.as_ref()?;
        stream.set_nodelay(true).and_then(|()| stream.set_nonblocking(true)).ok()?;
        Some(stream)
    }

    /// Keeps a response's token for the next request.
    pub fn keep_token(&mut self, step: Step, token: &[u8]) {
        let place = match step {
            Step::Init | Step::Finalize => &mut self.token,
            Step::Start | Step::Update | Step::TopUpdate | Step::End => &mut self.session,
            Step::Board | Step::Rank => return,
        };
        place.clear();
        place.extend_from_slice(token);
    }

    pub fn reset_counts(&mut self) {
        (self.backlog, self.sent) = (0, 0);
    }

    pub fn disconnect(&mut self) {
        self.stream = None;
    }

    pub fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    /// Returns whether the connection took the whole request. Requests are short and go out one at a time, so a connection that does
    /// not take one at once is lost.
    pub fn send(&mut self, request: &[u8]) -> bool {
        let sent = self.stream.as_ref().map(|mut stream| stream.write(request));
        matches!(sent, Some(Ok(count)) if count == request.len())
    }

    /// Reads what has arrived. `Ok(None)`: nothing yet.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, ()> {
        match self.stream.as_ref().ok_or(())?.read(buffer) {
            Ok(0) => Err(()),
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(_) => Err(()),
        }
    }
}

/// What the generator needs of an HTTP response.
pub struct Response<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

/// Reads the response at the start of these bytes. None: it is incomplete.
pub fn read_response(bytes: &[u8]) -> Option<Response<'_>> {
    let head = memmem::find(bytes, b"\r\n\r\n")?;
    let status =
        bytes.get(9..12)?.iter().fold(0, |number, digit| number * 10 + u16::from(digit.wrapping_sub(b'0')));
    let start = head + 4;
    let end = start + if matches!(status, 204 | 304) { 0 } else { content_length(&bytes[..head + 2]) };
    (bytes.len() >= end).then(|| Response { status, body: &bytes[start..end] })
}

/// Every response has this header: no endpoint that is measured sends chunks.
fn content_length(mut head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    while let Some(end) = memchr(b'\n', head) {
        let (line, rest) = head.split_at(end);
        if line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME) {
            let digits = line[NAME.len()..].iter().filter(|byte| byte.is_ascii_digit());
            return digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
        }
        head = &rest[1..];
    }
    panic!("a response has no content-length")
}
