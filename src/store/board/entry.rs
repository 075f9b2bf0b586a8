//! One entry of a top list. `lua/lib/entry.lua` is the same in Lua.

use std::fmt;
use std::str::FromStr;

use redis::{FromRedisValue, ParsingError, Value};
use uuid::Uuid;

/// One entry, as text `score hlc userId number username` with single spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardEntry {
    /// The score that the board shows.
    pub score: u64,
    /// When the user reached it; users with equal scores stand in this order.
    pub hlc_us: i64,
    /// The user's UUID.
    pub user: Uuid,
    /// The user's serial number.
    pub number: i64,
    /// The name that the board shows. It comes last in the text and may have spaces, but no line break.
    pub username: String,
}

/// A text that is not a board entry.
#[derive(Debug, thiserror::Error)]
#[error("not a board entry")]
pub struct NotABoardEntry;

impl FromStr for BoardEntry {
    type Err = NotABoardEntry;

    fn from_str(text: &str) -> Result<Self, NotABoardEntry> {
        let mut words = text.splitn(5, ' ');
        let mut next = || words.next().ok_or(NotABoardEntry);
        Ok(Self {
            score: next()?.parse().map_err(|_| NotABoardEntry)?,
            hlc_us: next()?.parse().map_err(|_| NotABoardEntry)?,
            user: next()?.parse().map_err(|_| NotABoardEntry)?,
            number: next()?.parse().map_err(|_| NotABoardEntry)?,
            username: next()?.to_owned(),
        })
    }
}

impl fmt::Display for BoardEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { score, hlc_us, user, number, username } = self;
        write!(f, "{score} {hlc_us} {user} {number} {username}")
    }
}

impl FromRedisValue for BoardEntry {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let Value::BulkString(text) = value else { return Err("a board entry is not a text".into()) };
        let text = str::from_utf8(&text).map_err(|_| ParsingError::from("a board entry is not UTF-8"))?;
        text.parse().map_err(|error: NotABoardEntry| error.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_is_written() {
        let text = "90 1790000000000000 0198c0de-0000-7000-8000-000000000001 7 a name";
        let entry: BoardEntry = text.parse().unwrap();
        assert_eq!((entry.score, entry.number, entry.username.as_str()), (90, 7, "a name"));
        assert_eq!(entry.to_string(), text);
        for wrong in ["", "90", "90 1 someone 7 a name", "90 1 0198c0de-0000-7000-8000-000000000001 7"] {
            assert!(wrong.parse::<BoardEntry>().is_err(), "{wrong}");
        }
    }
}
