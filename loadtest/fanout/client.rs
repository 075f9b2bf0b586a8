//! One subscriber: it connects, authenticates, answers pings, and reads only the version of a board.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};

use socket2::{Domain, Socket, Type};

use super::deliveries::Deliveries;
use super::messages::Protocol;
use super::wire::{self, CLOSE, PING, PONG, TEXT};
use crate::epoll::Ready;

pub struct Client {
    pub address: SocketAddrV4,
    protocol: Protocol,
    login: String,
    stream: Option<TcpStream>,
    stage: Stage,
    /// The bytes of an incomplete response head, frame or chunk.
    partial: Vec<u8>,
    /// The bytes of an event that arrives in several chunks.
    partial_event: Vec<u8>,
    /// The version of the last board.
    version: u64,
    /// The highest top score so far, if top scores are collected.
    top_score: u64,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Stage {
    Connecting,
    AwaitsHead,
    AwaitsBoard,
    Open,
}

/// Why a connection ended.
#[derive(Debug)]
pub enum Disconnect {
    /// Without a close frame.
    Lost,
    /// By a close frame with this code.
    Closed(u16),
    /// The handshake was refused.
    Refused { status: u64, retry_after_s: Option<u64> },
}

/// Begins a connection from any address.
pub fn connect_from_any(to: SocketAddrV4) -> io::Result<TcpStream> {
    connect_from(Ipv4Addr::UNSPECIFIED, to)
}

/// Begins a connection from an address of this machine, without waiting for it.
pub fn connect_from(from: Ipv4Addr, to: SocketAddrV4) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
    socket.set_tcp_nodelay(true)?;
    if !from.is_unspecified() {
        socket.bind(&SocketAddrV4::new(from, 0).into())?;
    }
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket.into()),
    }
}

impl Client {
    pub fn new(protocol: Protocol, address: SocketAddrV4, login: String) -> Self {
        Self {
            address,
            protocol,
            login,
            stream: None,
            stage: Stage::Connecting,
            partial: Vec::new(),
            partial_event: Vec::new(),
            version: 0,
            top_score: 0,
        }
    }

    /// Begins the handshake on a connection.
    pub fn begin(&mut self, stream: TcpStream) {
        (self.stream, self.stage) = (Some(stream), Stage::Connecting);
        (self.partial, self.partial_event) = (Vec::new(), Vec::new());
    }

    /// Whether it has a connection and a board.
    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    pub fn disconnect(&mut self) {
        (self.stream, self.stage) = (None, Stage::Connecting);
    }

    /// Reads what arrived.
    pub fn on_ready(
        &mut self,
        ready: Ready,
        buffer: &mut [u8],
        deliveries: &mut Deliveries,
    ) -> Result<(), Disconnect> {
        if self.stage == Stage::Connecting && ready.is_writable {
            self.send_handshake()?;
        }
        loop {
            match self.stream.as_ref().ok_or(Disconnect::Lost)?.read(buffer) {
                Ok(0) => return Err(Disconnect::Lost),
                Ok(count) => {
                    self.on_bytes(&buffer[..count], deliveries)?;
                    if count < buffer.len() && !ready.is_closed {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(Disconnect::Lost),
            }
        }
    }

    fn send_handshake(&mut self) -> Result<(), Disconnect> {
        let error = self.stream.as_ref().and_then(|stream| stream.take_error().transpose());
        if error.is_some() {
            return Err(Disconnect::Lost);
        }
        self.stage = Stage::AwaitsHead;
        let upgrade = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let login = &self.login;
        let (path, headers) = match self.protocol {
            Protocol::WebSocket => ("/api/v1/ws", format!("authorization: Bearer {login}\r\n{upgrade}")),
            Protocol::SocketIo => ("/socket.io/?EIO=4&transport=websocket", upgrade.to_owned()),
            Protocol::Events => ("/api/v1/leaderboard/stream", "accept: text/event-stream\r\n".to_owned()),
            Protocol::BareSend => {
                self.stage = Stage::AwaitsBoard;
                return Ok(());
            }
        };
        self.send(format!("GET {path} HTTP/1.1\r\nhost: laurel\r\n{headers}\r\n").as_bytes())
    }

    /// Messages are short, so a connection that does not take one at once is lost.
    fn send(&mut self, bytes: &[u8]) -> Result<(), Disconnect> {
        let mut stream = self.stream.as_ref().ok_or(Disconnect::Lost)?;
        stream.write_all(bytes).map_err(|_| Disconnect::Lost)
    }

    /// Handles the complete units, and keeps the rest until more arrives.
    fn on_bytes(&mut self, bytes: &[u8], deliveries: &mut Deliveries) -> Result<(), Disconnect> {
        if self.partial.is_empty() {
            let used = self.handle_units(bytes, deliveries)?;
            self.partial.extend(&bytes[used..]);
        } else {
            let mut partial = std::mem::take(&mut self.partial);
            partial.extend(bytes);
            let used = self.handle_units(&partial, deliveries)?;
            if used < partial.len() {
                partial.drain(..used);
                self.partial = partial;
            }
        }
        Ok(())
    }

    /// Returns how many bytes were handled.
    fn handle_units(&mut self, bytes: &[u8], deliveries: &mut Deliveries) -> Result<usize, Disconnect> {
        let mut used = 0;
        while used < bytes.len() {
            let rest = &bytes[used..];
            let unit = match (self.stage, self.protocol) {
                (Stage::AwaitsHead, _) => wire::head(rest),
                (_, Protocol::Events) => wire::chunk(rest),
                _ => wire::frame(rest),
            };
            let Some((unit, length)) = unit else { break };
            match (self.stage, self.protocol) {
                (Stage::AwaitsHead, _) => self.on_head(unit)?,
                (_, Protocol::Events) => self.on_chunk(unit, deliveries),
                _ => self.on_frame(rest[0] & 0x0f, unit, deliveries)?,
            }
            used += length;
        }
        Ok(used)
    }

    fn on_head(&mut self, head: &[u8]) -> Result<(), Disconnect> {
        let status = wire::number_after(head, b"HTTP/1.1 ").unwrap_or_default();
        if ![101, 200].contains(&status) {
            let retry_after_s = wire::number_after(head, b"retry-after: ");
            return Err(Disconnect::Refused { status, retry_after_s });
        }
        self.stage = Stage::AwaitsBoard;
        Ok(())
    }

    fn on_frame(
        &mut self,
        opcode: u8,
        payload: &[u8],
        deliveries: &mut Deliveries,
    ) -> Result<(), Disconnect> {
        match opcode {
            TEXT => self.on_text(payload, deliveries),
            PING => self.send(&wire::masked(PONG, payload)),
            CLOSE => {
                let code = payload.first_chunk().map_or(1005, |bytes| u16::from_be_bytes(*bytes));
                let _ = self.send(&wire::masked(CLOSE, payload));
                Err(Disconnect::Closed(code))
            }
            other => panic!("the node sent a frame with opcode {other}"),
        }
    }

    fn on_text(&mut self, text: &[u8], deliveries: &mut Deliveries) -> Result<(), Disconnect> {
        match self.protocol {
            Protocol::SocketIo if text == b"2" => return self.send(&wire::masked(TEXT, b"3")),
            Protocol::SocketIo if text.starts_with(b"0{") => {
                let connect = format!("40{{\"token\":\"{}\"}}", self.login);
                return self.send(&wire::masked(TEXT, connect.as_bytes()));
            }
            Protocol::SocketIo if text.starts_with(b"44") => {
                return Err(Disconnect::Refused { status: 401, retry_after_s: None });
            }
            Protocol::SocketIo if text.starts_with(b"42[\"scoreboard:update\"") => {
                self.on_board(text, deliveries);
            }
            Protocol::WebSocket if text.starts_with(b"{\"event\":\"leaderboard_updated\"") => {
                self.on_board(text, deliveries);
            }
            Protocol::BareSend => self.on_board(text, deliveries),
            _ => {}
        }
        Ok(())
    }

    fn on_chunk(&mut self, chunk: &[u8], deliveries: &mut Deliveries) {
        let mut events = std::mem::take(&mut self.partial_event);
        events.extend(chunk);
        let mut start = 0;
        while let Some(length) = events[start..].windows(2).position(|bytes| bytes == b"\n\n") {
            let event = &events[start..start + length];
            if event.starts_with(b"event: leaderboard_updated\n") {
                self.on_board(event, deliveries);
            }
            start += length + 2;
        }
        if start < events.len() {
            self.partial_event = events.split_off(start);
        }
    }

    fn on_board(&mut self, board: &[u8], deliveries: &mut Deliveries) {
        let version = wire::version(board);
        if self.stage == Stage::Open {
            deliveries.add(self.version, version);
        } else {
            self.stage = Stage::Open;
            deliveries.add_first(version);
        }
        self.version = self.version.max(version);
        if let Some(top_scores) = &mut deliveries.top_scores
            && let Some(score) = wire::number_after(board, b"\"score\":")
            && score > self.top_score
        {
            self.top_score = score;
            top_scores.push(score);
        }
    }
}
