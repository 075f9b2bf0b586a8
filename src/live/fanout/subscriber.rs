//! State of one subscriber: the last version sent, what is pending, and when the connection must be closed; and the sink that its
//! bytes are written to.
//!
//! Board, status and personal update are not queued: only the newest of each is kept, so a slow client skips to the newest board and
//! costs no more than others. Only answers of the protocol itself, such as pongs, have a queue, which is bounded.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use uuid::Uuid;

use super::broadcast::Broadcast;
use super::encoding::{CloseReason, Encoding, UserIds};
use super::watch::Watch;
use crate::account::Identity;
use crate::connections::Connection;
use crate::live::engineio::{Session, Wire};
use crate::live::{ConnectionPermit, websocket};
use crate::store::PersonalUpdate;

/// Queued answers of the protocol itself. A client that asks for more without reading them is closed.
const MAX_QUEUED: usize = 64;
/// How long a client may take to read the last bytes and to close.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait for a board that the client may have seen on another node: two polls of Redis, which find lost publications.
const MIN_VERSION_TIMEOUT: Duration = Duration::from_secs(3);

/// A subscriber to add.
pub struct NewSubscriber {
    /// Where it is written to.
    pub sink: Sink,
    /// How events are encoded.
    pub encoding: Encoding,
    /// The user; `None` without a login.
    pub caller: Option<Identity>,
    /// When the login expires.
    pub login_expires: Option<Instant>,
    /// Counts it against the connection limits.
    pub permit: ConnectionPermit,
    /// Version of the newest board that it may have seen on another node.
    pub min_version: i64,
}

/// A subscriber.
pub struct Subscriber {
    sink: Sink,
    encoding: Encoding,
    ids: Option<UserIds>,
    _permit: ConnectionPermit,
    login_expires: Option<Instant>,
    /// Tells it from earlier subscribers in the same slot.
    pub serial: u32,
    /// The unwritten rest of a partly written message.
    partial: Option<Bytes>,
    queue: VecDeque<Bytes>,
    sent_version: i64,
    /// Number of that board in `Broadcast`.
    sent_number: u32,
    /// No older board than this version is sent before the deadline.
    min_version: Option<(i64, Instant)>,
    sent_degraded: bool,
    update: Option<PersonalUpdate>,
    /// Clock of the newest personal update.
    update_hlc_us: i64,
    /// The boards that it watches by name.
    pub watches: Vec<Watch>,
    is_alive: bool,
    ping_at: Instant,
    /// Since when the client has taken nothing.
    blocked_since: Option<Instant>,
    close_deadline: Option<Instant>,
}

impl Subscriber {
    /// A subscriber that is first pinged at `ping_at`.
    pub fn new(subscriber: NewSubscriber, serial: u32, ping_at: Instant) -> Self {
        let NewSubscriber { sink, encoding, caller, login_expires, permit, min_version } = subscriber;
        Self {
            sink,
            encoding,
            ids: caller.as_ref().map(|caller| UserIds { user: caller.user, number: caller.number }),
            _permit: permit,
            login_expires,
            serial,
            partial: Some(encoding.greeting(caller.as_ref())),
            queue: VecDeque::new(),
            sent_version: -1,
            sent_number: 0,
            min_version: Some((min_version, Instant::now() + MIN_VERSION_TIMEOUT)),
            sent_degraded: false,
            update: None,
            update_hlc_us: 0,
            watches: Vec::new(),
            is_alive: true,
            ping_at,
            blocked_since: None,
            close_deadline: None,
        }
    }

    /// The user; `None` without a login.
    pub fn user(&self) -> Option<Uuid> {
        self.ids.map(|it| it.user)
    }

    /// How events are encoded.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The client takes bytes again.
    pub fn unblock(&mut self) {
        self.blocked_since = None;
    }

    /// Whether the connection is being closed.
    pub fn is_closing(&self) -> bool {
        self.close_deadline.is_some()
    }

    /// Writes everything that is due until the client takes no more; then returns the sink to wait for.
    pub fn advance(&mut self, broadcast: &Broadcast) -> Option<Sink> {
        if self.blocked_since.is_some() {
            return None;
        }
        while let Some(bytes) = self.partial.take().or_else(|| self.next(broadcast)) {
            match self.sink.write(&bytes) {
                WriteOutcome::Accepted(count) if count == bytes.len() => {}
                WriteOutcome::Accepted(count) => self.partial = Some(bytes.slice(count..)),
                WriteOutcome::Blocked => {
                    self.partial = Some(bytes);
                    self.blocked_since = Some(Instant::now());
                    return Some(self.sink.clone());
                }
                WriteOutcome::Gone => {
                    // The subscriber may be moving to another sink, which then gets these bytes.
                    self.partial = Some(bytes);
                    self.sink = Sink::Closed;
                    return None;
                }
            }
        }
        None
    }

    fn next(&mut self, broadcast: &Broadcast) -> Option<Bytes> {
        if let Some(bytes) = self.queue.pop_front() {
            return Some(bytes);
        }
        if self.close_deadline.is_some() {
            self.sink.finish();
            return None;
        }
        if self.sent_version < broadcast.board.board.version && self.may_send_board(broadcast) {
            self.sent_version = broadcast.board.board.version;
            self.sent_number = broadcast.number_after(self.sent_number);
            return Some(broadcast.board.event(self.encoding));
        }
        if self.sent_degraded != broadcast.status.is_degraded() {
            self.sent_degraded = broadcast.status.is_degraded();
            return Some(broadcast.status.event(self.encoding));
        }
        if let (Some(ids), Some(update)) = (self.ids, self.update.take()) {
            return Some(self.encoding.personal_update(ids, update));
        }
        self.watches.iter_mut().find_map(|watch| watch.next(self.encoding, broadcast.skipped()))
    }

    /// Whether the board is as new as one that the client may have seen. While Redis does not answer, no newer one can arrive.
    fn may_send_board(&mut self, broadcast: &Broadcast) -> bool {
        let is_older = self.min_version.is_some_and(|(min, _)| broadcast.board.board.version < min);
        let may_send = !is_older || broadcast.status.is_degraded();
        if may_send {
            self.min_version = None;
        }
        may_send
    }

    /// Takes a personal update, unless it has a newer one.
    pub fn notify(&mut self, update: PersonalUpdate) {
        if self.update_hlc_us < update.hlc_us {
            self.update_hlc_us = update.hlc_us;
            self.update = Some(update);
        }
    }

    /// Queues bytes of the protocol itself.
    pub fn send(&mut self, bytes: Bytes) {
        if self.queue.len() >= MAX_QUEUED {
            self.sink.abort();
        } else if self.close_deadline.is_none() {
            self.queue.push_back(bytes);
        }
    }

    /// Moves to another sink: from long polling to a WebSocket.
    pub fn move_to(&mut self, sink: Sink, encoding: Encoding) {
        self.sink = sink;
        self.encoding = encoding;
        self.blocked_since = None;
        self.is_alive = true;
        // The Engine.IO session pinged until now; when it did so last is not known here.
        self.ping_at = Instant::now();
        // A packet that the poll did not take any more becomes a frame.
        let packet: Option<Utf8Bytes> = self.partial.take().and_then(|it| it.try_into().ok());
        self.partial = packet.map(websocket::text);
        if self.close_deadline.is_some() {
            self.sink.abort();
        }
    }

    /// Records that the client is alive.
    pub fn mark_alive(&mut self) {
        self.is_alive = true;
    }

    /// Ends the connection and drops pending bytes.
    pub fn abort(&mut self) {
        self.sink.abort();
    }

    /// Queues the last bytes; nothing is sent after them.
    pub fn close(&mut self, reason: &CloseReason, now: Instant) {
        self.queue = self.encoding.farewell(reason).into();
        self.close_deadline = Some(now + FAREWELL_TIMEOUT);
    }

    /// Checks the timeouts, and returns what is due.
    pub fn tick(&mut self, timeouts: &Timeouts, now: Instant) -> Option<Due> {
        if let Some(deadline) = self.close_deadline {
            if now >= deadline {
                self.sink.abort();
            }
            return None;
        }
        if self.login_expires.is_some_and(|expires| now >= expires) {
            return Some(Due::Close(CloseReason::LoginExpired));
        }
        if self.blocked_since.is_some_and(|since| now >= since + timeouts.write) {
            return Some(Due::Close(CloseReason::TooSlow));
        }
        if self.min_version.is_some_and(|(_, deadline)| now >= deadline) {
            self.min_version = None;
            return Some(Due::Write);
        }
        if now >= self.ping_at {
            self.ping_at = now + timeouts.ping_interval;
            let answered = std::mem::replace(&mut self.is_alive, !self.encoding.answers_pings());
            if !answered {
                return Some(Due::Abort);
            }
            // Pings go out before boards, so that a slow reader still answers in time.
            self.queue.extend(self.encoding.ping());
            return Some(Due::Write);
        }
        None
    }
}

/// What a tick found due.
pub enum Due {
    /// Something can be written.
    Write,
    /// The client did not answer the last ping: end the connection.
    Abort,
    /// Close the connection.
    Close(CloseReason),
}

/// Timeouts of subscribers.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Time between two pings; the answer must arrive before the next one.
    pub ping_interval: Duration,
    /// A client that takes no bytes for this long is closed.
    pub write: Duration,
}

/// Where a subscriber's bytes go. Writing never waits.
#[derive(Clone)]
pub enum Sink {
    /// The TCP connection of a WebSocket.
    Socket(Arc<Connection>),
    /// The body of an HTTP response; the channel holds one chunk.
    Body(mpsc::Sender<Bytes>),
    /// A Socket.IO session over long polling.
    Session(Arc<Session>),
    /// A TCP connection shut down for writing; the client closes it.
    Finished(Arc<Connection>),
    /// Closed.
    Closed,
}

/// The outcome of a write.
pub enum WriteOutcome {
    /// The number of bytes taken.
    Accepted(usize),
    /// None: the client has not read the bytes before.
    Blocked,
    /// The client is gone, or the subscriber is moving to another sink.
    Gone,
}

impl Sink {
    /// Writes as much as the client takes now.
    pub fn write(&self, bytes: &Bytes) -> WriteOutcome {
        match self {
            Self::Socket(stream) => match stream.try_write(bytes) {
                Ok(count) => WriteOutcome::Accepted(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => WriteOutcome::Blocked,
                Err(_) => WriteOutcome::Gone,
            },
            Self::Body(chunks) => match chunks.try_send(bytes.clone()) {
                Ok(()) => WriteOutcome::Accepted(bytes.len()),
                Err(mpsc::error::TrySendError::Full(_)) => WriteOutcome::Blocked,
                Err(mpsc::error::TrySendError::Closed(_)) => WriteOutcome::Gone,
            },
            Self::Session(session) => {
                let packet = bytes.clone().try_into().map(Wire::Text);
                match packet.ok().and_then(|packet| session.offer(packet)) {
                    Some(true) => WriteOutcome::Accepted(bytes.len()),
                    Some(false) => WriteOutcome::Blocked,
                    None => WriteOutcome::Gone,
                }
            }
            Self::Finished(_) | Self::Closed => WriteOutcome::Gone,
        }
    }

    /// Waits until more can be written, or nothing ever can.
    pub async fn writable(self) {
        match self {
            Self::Socket(stream) => drop(stream.writable().await),
            Self::Body(chunks) => drop(chunks.reserve().await),
            Self::Session(session) => session.drained().await,
            Self::Finished(_) | Self::Closed => {}
        }
    }

    /// Ends the stream after everything was written. The client, or else the deadline, closes the connection.
    pub fn finish(&mut self) {
        *self = match std::mem::replace(self, Self::Closed) {
            Self::Socket(stream) => {
                let _ = SockRef::from(&**stream.as_ref()).shutdown(Shutdown::Write);
                Self::Finished(stream)
            }
            Self::Session(session) => {
                session.close();
                Self::Closed
            }
            Self::Finished(stream) => Self::Finished(stream),
            Self::Body(_) | Self::Closed => Self::Closed,
        };
    }

    /// Closes at once, drops unwritten bytes and wakes the tasks that wait for the sink. A body that HTTP is still writing ends when
    /// the client reads on, or when the kernel gives the connection up.
    pub fn abort(&mut self) {
        match self {
            Self::Socket(stream) | Self::Finished(stream) => {
                drop(SockRef::from(&**stream.as_ref()).shutdown(Shutdown::Both))
            }
            Self::Session(session) => session.close(),
            Self::Body(_) | Self::Closed => {}
        }
        *self = Self::Closed;
    }
}
