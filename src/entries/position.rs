//! What a cursor of a board's entries says: before or after which entry of which period. An entry is a place in the order, so a player
//! who does not move is on exactly one page while others move.

use uuid::Uuid;

use crate::store::{Place, Ranked};

/// A position in a board's entries.
pub struct Position {
    /// `After` or `Before` an entry.
    pub place: Place,
    /// Id of the period.
    pub period: String,
}

const AFTER: u8 = 0;
const BEFORE: u8 = 1;

impl Position {
    /// Its bytes in a cursor: the direction, score, subscore (-1: none), clock, user and period.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (direction, result, user) = match self.place {
            Place::Before(result, user) => (BEFORE, result, user),
            Place::After(result, user) => (AFTER, result, user),
            Place::At(_) | Place::Around(_) => unreachable!("pages follow entries"),
        };
        let mut bytes = vec![direction];
        for number in [result.score, result.subscore.unwrap_or(-1), result.hlc_us] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(user.as_bytes());
        bytes.extend_from_slice(self.period.as_bytes());
        bytes
    }

    /// Reads the bytes of a cursor.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (direction, bytes) = bytes.split_first()?;
        let (numbers, bytes) = bytes.split_at_checked(24)?;
        let (user, period) = bytes.split_at_checked(16)?;
        let number = |at: usize| Some(i64::from_be_bytes(numbers.get(at..at + 8)?.try_into().ok()?));
        let subscore = number(8)?;
        let result =
            Ranked { score: number(0)?, subscore: (subscore >= 0).then_some(subscore), hlc_us: number(16)? };
        let user = Uuid::from_slice(user).ok()?;
        let place = match *direction {
            AFTER => Place::After(result, user),
            BEFORE => Place::Before(result, user),
            _ => return None,
        };
        Some(Self { place, period: String::from_utf8(period.to_vec()).ok()? })
    }
}
