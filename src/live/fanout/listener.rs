//! One listener: what it was told, what it is still to be told, and when it is over. No queue but for what the protocol itself
//! answers: board, status and news are the newest of each, so a client that reads slowly skips, and costs no more than others.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use uuid::Uuid;

use super::dialect::{Addressee, Dialect};
use super::end::End;
use super::sink::{Sink, Written};
use super::world::World;
use crate::account::Identity;
use crate::live::{Seat, websocket};
use crate::store::PersonalNews;

/// Answers of the protocol itself that may wait. A client that asks for more without reading them is closed.
const MAX_WAITING: usize = 64;
/// How long a client may take to read its last words and to close.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long a board that a newcomer may have seen elsewhere is waited for: two looks at Redis, which find what got lost.
const LEAST_FOR: Duration = Duration::from_secs(3);

/// A listener that is about to come.
pub struct Newcomer {
    /// Where it is written to.
    pub sink: Sink,
    /// How it is spoken to.
    pub dialect: Dialect,
    /// Who it is; `None` is a spectator.
    pub caller: Option<Identity>,
    /// When its login runs out.
    pub login_ends: Option<Instant>,
    /// Its seat.
    pub seat: Seat,
    /// The newest board that it may have seen elsewhere.
    pub least_version: i64,
}

/// A listener.
pub struct Listener {
    sink: Sink,
    dialect: Dialect,
    whose: Option<Addressee>,
    _seat: Seat,
    login_ends: Option<Instant>,
    /// Tells it from others that had its place before.
    pub serial: u32,
    /// What was begun and is to be written to its end.
    rest: Option<Bytes>,
    waiting: VecDeque<Bytes>,
    shown: i64,
    /// Which of the shard's boards that was.
    nth: u32,
    /// No older board than this is shown, until a moment by which a newer one would have been found.
    least: Option<(i64, Instant)>,
    told_degraded: bool,
    news: Option<PersonalNews>,
    /// The newest award that it was told of.
    news_hlc_us: i64,
    heard: bool,
    ping_at: Instant,
    /// Since when nothing could be written.
    blocked: Option<Instant>,
    closing: Option<Instant>,
}

impl Listener {
    /// A newcomer, who is pinged from a moment on.
    pub fn new(newcomer: Newcomer, serial: u32, ping_at: Instant) -> Self {
        let Newcomer { sink, dialect, caller, login_ends, seat, least_version } = newcomer;
        Self {
            sink,
            dialect,
            whose: caller.as_ref().map(|it| Addressee { user: it.user, number: it.number }),
            _seat: seat,
            login_ends,
            serial,
            rest: Some(dialect.greeting(caller.as_ref())),
            waiting: VecDeque::new(),
            shown: -1,
            nth: 0,
            least: Some((least_version, Instant::now() + LEAST_FOR)),
            told_degraded: false,
            news: None,
            news_hlc_us: 0,
            heard: true,
            ping_at,
            blocked: None,
            closing: None,
        }
    }

    /// The user, if it is not a spectator.
    pub fn user(&self) -> Option<Uuid> {
        self.whose.map(|it| it.user)
    }

    /// How it is spoken to.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The client may take something again.
    pub fn unblock(&mut self) {
        self.blocked = None;
    }

    /// Whether it is on its way out.
    pub fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Writes all that is due, as far as the client takes it. If it stops taking, here is what to wait for.
    pub fn advance(&mut self, world: &World) -> Option<Sink> {
        if self.blocked.is_some() {
            return None;
        }
        while let Some(bytes) = self.rest.take().or_else(|| self.next(world)) {
            match self.sink.write(&bytes) {
                Written::Some(count) if count == bytes.len() => {}
                Written::Some(count) => self.rest = Some(bytes.slice(count..)),
                Written::Blocked => {
                    self.rest = Some(bytes);
                    self.blocked = Some(Instant::now());
                    return Some(self.sink.clone());
                }
                Written::Gone => {
                    // Perhaps it only moves, and is told there.
                    self.rest = Some(bytes);
                    self.sink = Sink::Closed;
                    return None;
                }
            }
        }
        None
    }

    fn next(&mut self, world: &World) -> Option<Bytes> {
        if let Some(bytes) = self.waiting.pop_front() {
            return Some(bytes);
        }
        if self.closing.is_some() {
            self.sink.finish();
            return None;
        }
        if self.shown < world.frame.board.version && self.may_show(world) {
            self.shown = world.frame.board.version;
            self.nth = world.tell_after(self.nth);
            return Some(world.frame.told(self.dialect));
        }
        if self.told_degraded != world.status.is_degraded() {
            self.told_degraded = world.status.is_degraded();
            return Some(world.status.told(self.dialect));
        }
        let (whose, news) = (self.whose?, self.news.take()?);
        Some(self.dialect.news(whose, news))
    }

    /// While Redis is away nothing newer comes.
    fn may_show(&mut self, world: &World) -> bool {
        let waits = self.least.is_some_and(|(least, _)| world.frame.board.version < least);
        let may = !waits || world.status.is_degraded();
        if may {
            self.least = None;
        }
        may
    }

    /// Takes news, unless newer ones are known.
    pub fn tell(&mut self, news: PersonalNews) {
        if self.news_hlc_us < news.hlc_us {
            self.news_hlc_us = news.hlc_us;
            self.news = Some(news);
        }
    }

    /// Takes bytes of the protocol's own.
    pub fn say(&mut self, bytes: Bytes) {
        if self.waiting.len() >= MAX_WAITING {
            self.sink.abort();
        } else if self.closing.is_none() {
            self.waiting.push_back(bytes);
        }
    }

    /// Goes on elsewhere: from long polling to a WebSocket.
    pub fn move_to(&mut self, sink: Sink, dialect: Dialect) {
        self.sink = sink;
        self.dialect = dialect;
        self.blocked = None;
        self.heard = true;
        // Over polling the session pinged; nobody knows when it did so last.
        self.ping_at = Instant::now();
        // A packet that polling did not take any more.
        self.rest =
            self.rest.take().and_then(|it| it.try_into().ok()).map(|it: Utf8Bytes| websocket::text(it));
        if self.closing.is_some() {
            self.sink.abort();
        }
    }

    /// The client lives.
    pub fn heard(&mut self) {
        self.heard = true;
    }

    /// Ends the connection, whatever is still to be written.
    pub fn abort(&mut self) {
        self.sink.abort();
    }

    /// Says good-bye. Nothing else is told from here on.
    pub fn end(&mut self, why: &End, now: Instant) {
        self.waiting = self.dialect.farewell(why).into();
        self.closing = Some(now + FAREWELL);
    }

    /// Looks at the time: what is due, if anything is.
    pub fn tick(&mut self, limits: &Limits, now: Instant) -> Option<Due> {
        if let Some(deadline) = self.closing {
            if now >= deadline {
                self.sink.abort();
            }
            return None;
        }
        if self.login_ends.is_some_and(|it| now >= it) {
            return Some(Due::End(End::LoginOver));
        }
        if self.blocked.is_some_and(|since| now >= since + limits.write_timeout) {
            return Some(Due::End(End::TooSlow));
        }
        if self.least.is_some_and(|(_, until)| now >= until) {
            self.least = None;
            return Some(Due::Write);
        }
        if now >= self.ping_at {
            self.ping_at = now + limits.ping_every;
            if !std::mem::replace(&mut self.heard, !self.dialect.answers_pings()) {
                return Some(Due::Silence);
            } else {
                // It goes out before any board, so that a client that reads slowly is still heard of.
                self.waiting.extend(self.dialect.ping());
                return Some(Due::Write);
            }
        }
        None
    }
}

/// What time has brought.
pub enum Due {
    /// Something waits to be written.
    Write,
    /// The client did not answer the last one.
    Silence,
    /// It is over.
    End(End),
}

/// How long a listener is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time between two pings; the answer to one has come by the next.
    pub ping_every: Duration,
    /// A client that takes nothing for so long is closed.
    pub write_timeout: Duration,
}
