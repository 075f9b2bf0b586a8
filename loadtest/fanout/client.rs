//! One client: it connects, says who it is, answers pings, and looks at nothing of a board but its version.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpStream};

use super::now_us;
use super::orders::Protocol;
use super::poll::Ready;
use super::tally::Tally;
use super::wire::{self, CLOSE, PING, PONG, TEXT};

pub struct Client {
    pub address: SocketAddrV4,
    protocol: Protocol,
    login: String,
    stream: Option<TcpStream>,
    stage: Stage,
    /// Bytes of a unit whose end has not come yet.
    carry: Vec<u8>,
    /// The same of an event that comes in several chunks.
    event: Vec<u8>,
    /// The version of the last board; it stays over connections.
    pub version: u64,
    /// The leader's score in the highest board so far, if the tally wants it.
    leading: u64,
    lost_at_us: Option<u64>,
    /// Attempts to come back that failed in a row.
    attempts: u32,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Stage {
    Connecting,
    Head,
    Greeted,
    Open,
}

/// Why a connection ended.
#[derive(Debug)]
pub enum End {
    /// Without a word.
    Lost,
    /// By a frame, which may say when to come again.
    Closed { code: u16, retry_ms: Option<u64> },
    /// The handshake was answered so.
    Refused { status: u64, retry_s: Option<u64> },
}

impl Client {
    pub fn new(protocol: Protocol, address: SocketAddrV4, login: String) -> Self {
        Self {
            address,
            protocol,
            login,
            stream: None,
            stage: Stage::Connecting,
            carry: Vec::new(),
            event: Vec::new(),
            version: 0,
            leading: 0,
            lost_at_us: None,
            attempts: 0,
        }
    }

    pub fn begin(&mut self, stream: TcpStream) {
        (self.stream, self.stage) = (Some(stream), Stage::Connecting);
        self.carry = Vec::new();
        self.event = Vec::new();
    }

    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Reads what came.
    pub fn ready(&mut self, ready: Ready, buffer: &mut [u8], tally: &mut Tally) -> Result<(), End> {
        if self.stage == Stage::Connecting && ready.writable {
            self.ask()?;
        }
        loop {
            match self.stream.as_ref().ok_or(End::Lost)?.read(buffer) {
                Ok(0) => return Err(End::Lost),
                Ok(count) => {
                    self.feed(&buffer[..count], tally)?;
                    if count < buffer.len() && !ready.ends {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(End::Lost),
            }
        }
    }

    /// Lets go of the connection, and says how many milliseconds later the client comes again: as the official client of
    /// Socket.IO does, others as they were told or within two seconds.
    pub fn leave(&mut self, end: &End) -> u64 {
        self.stream = None;
        if self.is_open() {
            (self.lost_at_us, self.attempts) = (Some(now_us()), 0);
        }
        self.stage = Stage::Connecting;
        let attempt = self.attempts;
        self.attempts += 1;
        match end {
            _ if self.protocol == Protocol::SocketIo => {
                let delay_ms = 1000.0 * f64::from(1 << attempt.min(10)) * rand::random_range(0.5..1.5);
                delay_ms.min(5000.0) as u64
            }
            End::Closed { retry_ms: Some(retry_ms), .. } => *retry_ms,
            End::Refused { retry_s: Some(retry_s), .. } => retry_s * 1000 + rand::random_range(0..2000),
            _ => rand::random_range(0..2000),
        }
    }

    fn ask(&mut self) -> Result<(), End> {
        let error = self.stream.as_ref().and_then(|it| it.take_error().transpose());
        if error.is_some() {
            return Err(End::Lost);
        }
        self.stage = Stage::Head;
        let upgrade = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let request = match self.protocol {
            Protocol::WebSocket => {
                let login = &self.login;
                format!(
                    "GET /api/v1/ws HTTP/1.1\r\nhost: laurel\r\nauthorization: Bearer {login}\r\n{upgrade}\r\n"
                )
            }
            Protocol::SocketIo => {
                let path = "/socket.io/?EIO=4&transport=websocket";
                format!("GET {path} HTTP/1.1\r\nhost: laurel\r\n{upgrade}\r\n")
            }
            Protocol::Events => {
                "GET /api/v1/leaderboard/stream HTTP/1.1\r\nhost: laurel\r\naccept: text/event-stream\r\n\r\n"
                    .into()
            }
            Protocol::Bare => {
                self.stage = Stage::Greeted;
                return Ok(());
            }
        };
        self.say(request.as_bytes())
    }

    /// What is said is short: a connection that does not take it at once is lost.
    fn say(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.stream.as_ref().ok_or(End::Lost)?.write_all(bytes).map_err(|_| End::Lost)
    }

    /// Takes the units that are whole, and keeps the rest for what comes next.
    fn feed(&mut self, bytes: &[u8], tally: &mut Tally) -> Result<(), End> {
        if self.carry.is_empty() {
            let used = self.take(bytes, tally)?;
            self.carry.extend(&bytes[used..]);
        } else {
            let mut carry = std::mem::take(&mut self.carry);
            carry.extend(bytes);
            let used = self.take(&carry, tally)?;
            if used < carry.len() {
                carry.drain(..used);
                self.carry = carry;
            }
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8], tally: &mut Tally) -> Result<usize, End> {
        let mut used = 0;
        while used < bytes.len() {
            let rest = &bytes[used..];
            let unit = match (self.stage, self.protocol) {
                (Stage::Head, _) => wire::head(rest),
                (_, Protocol::Events) => wire::chunk(rest),
                _ => wire::frame(rest),
            };
            let Some((unit, length)) = unit else { break };
            match (self.stage, self.protocol) {
                (Stage::Head, _) => self.answered(unit)?,
                (_, Protocol::Events) => self.chunk(unit, tally),
                _ => self.frame(rest[0] & 0x0f, unit, tally)?,
            }
            used += length;
        }
        Ok(used)
    }

    fn answered(&mut self, head: &[u8]) -> Result<(), End> {
        let status = wire::number_after(head, b"HTTP/1.1 ").unwrap_or_default();
        if ![101, 200].contains(&status) {
            return Err(End::Refused { status, retry_s: wire::number_after(head, b"retry-after: ") });
        }
        self.stage = Stage::Greeted;
        Ok(())
    }

    fn frame(&mut self, kind: u8, payload: &[u8], tally: &mut Tally) -> Result<(), End> {
        match kind {
            TEXT => self.text(payload, tally),
            PING => self.say(&wire::masked(PONG, payload)),
            CLOSE => {
                let code = payload.first_chunk().map_or(1005, |it| u16::from_be_bytes(*it));
                let _ = self.say(&wire::masked(CLOSE, payload));
                Err(End::Closed { code, retry_ms: wire::number_after(payload, b"retry in ") })
            }
            other => panic!("the node sent a frame of kind {other}"),
        }
    }

    fn text(&mut self, text: &[u8], tally: &mut Tally) -> Result<(), End> {
        match self.protocol {
            Protocol::SocketIo if text == b"2" => return self.say(&wire::masked(TEXT, b"3")),
            Protocol::SocketIo if text.starts_with(b"0{") => {
                let connect = format!("40{{\"token\":\"{}\"}}", self.login);
                return self.say(&wire::masked(TEXT, connect.as_bytes()));
            }
            Protocol::SocketIo if text.starts_with(b"44") => {
                return Err(End::Refused { status: 401, retry_s: None });
            }
            Protocol::SocketIo if text.starts_with(b"42[\"scoreboard:update\"") => self.board(text, tally),
            Protocol::WebSocket if text.starts_with(b"{\"event\":\"leaderboard_updated\"") => {
                self.board(text, tally)
            }
            Protocol::Bare => self.board(text, tally),
            _ => {}
        }
        Ok(())
    }

    fn chunk(&mut self, chunk: &[u8], tally: &mut Tally) {
        const BOARD: &[u8] = b"event: leaderboard_updated\n";
        let mut events = std::mem::take(&mut self.event);
        events.extend(chunk);
        let mut from = 0;
        while let Some(end) = events[from..].windows(2).position(|it| it == b"\n\n") {
            let event = &events[from..from + end];
            if event.starts_with(BOARD) {
                self.board(event, tally);
            }
            from += end + 2;
        }
        if from < events.len() {
            self.event = events.split_off(from);
        }
    }

    fn board(&mut self, board: &[u8], tally: &mut Tally) {
        let version = wire::version(board);
        if self.stage == Stage::Open {
            tally.pushed(self.version, version);
        } else {
            self.stage = Stage::Open;
            tally.opened(self.version, version, self.lost_at_us.take());
        }
        self.version = self.version.max(version);
        if let Some(leading) = &mut tally.leading
            && let Some(score) = wire::number_after(board, b"\"score\":")
            && score > self.leading
        {
            self.leading = score;
            leading.push(score);
        }
    }
}
