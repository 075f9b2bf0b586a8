//! A script's reply, read from the front. A reply of another shape than the script's header says is a fault of ours.

use redis::{FromRedisValue, Value};

use crate::error::{Fault, RateWindow};

/// The numbers of `lua/lib/reply.lua`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyCode {
    Ok,
    RateLimited,
    Banned,
    TokenUnknown,
    TokenExpired,
    TokenUsed,
    ActionLimited,
    ProofInvalid,
    ScoreFull,
    BoardClosed,
    OutboxFull,
    KeyReused,
    NoSession,
    SessionMismatch,
    TokenForeign,
    NotOpen,
    Quarantined,
    TooSoon,
    Judging,
    Reserved,
}

impl ReplyCode {
    const ALL: [Self; 20] = [
        Self::Ok,
        Self::RateLimited,
        Self::Banned,
        Self::TokenUnknown,
        Self::TokenExpired,
        Self::TokenUsed,
        Self::ActionLimited,
        Self::ProofInvalid,
        Self::ScoreFull,
        Self::BoardClosed,
        Self::OutboxFull,
        Self::KeyReused,
        Self::NoSession,
        Self::SessionMismatch,
        Self::TokenForeign,
        Self::NotOpen,
        Self::Quarantined,
        Self::TooSoon,
        Self::Judging,
        Self::Reserved,
    ];
}

/// Where a window stands, if there is a limit.
pub fn window(limit: u32, used: u32, reset_ms: u64) -> Option<RateWindow> {
    (limit > 0).then_some(RateWindow { limit, used, reset_ms })
}

/// What is left to read of a reply.
pub struct Reply {
    script: &'static str,
    values: std::vec::IntoIter<Value>,
}

impl Reply {
    pub fn new(script: &'static str, values: Vec<Value>) -> Self {
        Self { script, values: values.into_iter() }
    }

    /// The next element. Redis gives numbers as integers or, from a kept answer, as text; both are read.
    pub fn next<T: FromRedisValue>(&mut self) -> Result<T, Fault> {
        let value = self.values.next().ok_or_else(|| Fault::new(self.script, "the reply is too short"))?;
        T::from_redis_value(value).map_err(|error| Fault::new(self.script, error))
    }

    /// So many elements.
    pub fn take<T: FromRedisValue>(&mut self, count: usize) -> Result<Vec<T>, Fault> {
        (0..count).map(|_| self.next()).collect()
    }

    /// All that is left.
    pub fn rest<T: FromRedisValue>(self) -> Result<Vec<T>, Fault> {
        self.values
            .map(|it| T::from_redis_value(it).map_err(|error| Fault::new(self.script, error)))
            .collect()
    }

    /// The first element.
    pub fn code(&mut self) -> Result<ReplyCode, Fault> {
        let number: usize = self.next()?;
        ReplyCode::ALL
            .get(number)
            .copied()
            .ok_or_else(|| Fault::new(self.script, "the reply's code is unknown"))
    }

    /// Attempts used and ms until the window closes, where `limit` attempts are allowed; `None` where any are.
    pub fn rate(&mut self, limit: u32) -> Result<Option<RateWindow>, Fault> {
        let (used, reset_ms) = self.window()?;
        Ok(window(limit, used, reset_ms))
    }

    /// Attempts used and ms until the window closes.
    pub fn window(&mut self) -> Result<(u32, u64), Fault> {
        Ok((self.next()?, self.next::<i64>()?.max(0) as u64))
    }

    /// A reply that a script cannot give.
    pub fn impossible(&self, code: ReplyCode) -> Fault {
        Fault::new(self.script, format!("the reply {code:?} is not one of this script's"))
    }
}
