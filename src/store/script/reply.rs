//! Reads a script's reply from the front. A reply that does not have the declared fields is an internal error.

use redis::{FromRedisValue, ParsingError, Value};

use crate::error::{Fault, RateWindow};

macro_rules! codes {
    ($($code:ident)*) => {
        /// The codes of `lua/lib/reply.lua`, from 0.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ReplyCode {
            $($code,)*
        }

        impl ReplyCode {
            const ALL: &'static [Self] = &[$(Self::$code),*];
        }
    };
}

codes! {
    Ok
    RateLimited
    Banned
    TokenUnknown
    TokenExpired
    TokenUsed
    ActionLimited
    ProofInvalid
    ScoreFull
    BoardClosed
    OutboxFull
    KeyReused
    NoSession
    SessionMismatch
    TokenForeign
    NotOpen
    Quarantined
    TooSoon
    Judging
    Reserved
}

impl FromRedisValue for ReplyCode {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let code = Self::ALL.get(usize::from_redis_value(value)?);
        code.copied().ok_or_else(|| "unknown reply code".into())
    }
}

/// The state of a rate-limit window; `None` if there is no limit.
pub fn window(limit: u32, used: u32, reset_ms: u64) -> Option<RateWindow> {
    (limit > 0).then_some(RateWindow { limit, used, reset_ms })
}

/// The unread rest of a reply.
pub struct Reply {
    script: &'static str,
    elements: Elements,
}

enum Elements {
    Values(std::vec::IntoIter<Value>),
    /// The lines of a text. Redis takes less time for one text than for its parts.
    Lines {
        text: Vec<u8>,
        /// Where the next line begins; `None` after the last one.
        at: Option<usize>,
    },
}

impl Iterator for Elements {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        match self {
            Self::Values(values) => values.next(),
            Self::Lines { text, at } => {
                let rest = text.get((*at)?..)?;
                let end = rest.iter().position(|byte| *byte == b'\n');
                let line = rest.get(..end.unwrap_or(rest.len()))?.to_vec();
                *at = end.and_then(|end| Some((*at)? + end + 1));
                Some(Value::BulkString(line))
            }
        }
    }
}

impl Reply {
    pub fn new(script: &'static str, reply: Value) -> Self {
        let elements = match reply {
            Value::Array(values) => Elements::Values(values.into_iter()),
            Value::BulkString(text) => Elements::Lines { text, at: Some(0) },
            value => Elements::Values(vec![value].into_iter()),
        };
        Self { script, elements }
    }

    /// The next element. Numbers come as integers or as text.
    pub fn next<T: FromRedisValue>(&mut self) -> Result<T, Fault> {
        let value = self.elements.next().ok_or_else(|| Fault::new(self.script, "the reply is too short"))?;
        T::from_redis_value(value).map_err(|error| Fault::new(self.script, error))
    }

    /// The next `count` elements.
    pub fn take<T: FromRedisValue>(&mut self, count: usize) -> Result<Vec<T>, Fault> {
        (0..count).map(|_| self.next()).collect()
    }

    /// All further elements.
    pub fn rest<T: FromRedisValue>(self) -> Result<Vec<T>, Fault> {
        self.elements
            .map(|value| T::from_redis_value(value).map_err(|error| Fault::new(self.script, error)))
            .collect()
    }

    /// The code, which comes first.
    pub fn code(&mut self) -> Result<ReplyCode, Fault> {
        self.next()
    }

    /// The state of a rate-limit window: attempts used, ms until it closes. `None` if there is no limit.
    pub fn rate(&mut self, limit: u32) -> Result<Option<RateWindow>, Fault> {
        let (used, reset_ms) = self.window()?;
        Ok(window(limit, used, reset_ms))
    }

    /// Attempts used, and ms until the window closes.
    pub fn window(&mut self) -> Result<(u32, u64), Fault> {
        Ok((self.next()?, self.next::<i64>()?.max(0) as u64))
    }

    /// The error for a code that the script does not return.
    pub fn impossible(&self, code: ReplyCode) -> Fault {
        Fault::new(self.script, format!("unexpected reply code {code:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lua_has_the_same_codes() {
        let lua = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/lib/reply.lua"))
            .lines()
            .filter(|line| line.starts_with("local "));
        let codes = ReplyCode::ALL.iter().enumerate().map(|(number, code)| {
            let name = format!("{code:?}");
            let letters = name.chars().enumerate().map(|(at, letter)| match letter {
                'A'..='Z' if at > 0 => format!("_{letter}"),
                _ => letter.to_ascii_uppercase().to_string(),
            });
            format!("local {} = {number}", letters.collect::<String>())
        });
        assert_eq!(lua.collect::<Vec<_>>(), codes.collect::<Vec<_>>());
    }
}
