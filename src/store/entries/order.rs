//! How results are ordered: the score and the member of the sorted set.

use uuid::Uuid;

/// Bytes of a time and of a subscore in an order key.
const NUMBER_BYTES: usize = 8;
/// Bytes of a user's id in a member.
const USER_BYTES: usize = 16;

/// How the entries of a board are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryOrder {
    /// Low scores are better.
    pub ascending: bool,
    /// Results have a subscore.
    pub has_subscores: bool,
}

/// A result and when it was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// The score, from -(2^53 - 1) to 2^53 - 1.
    pub score: i64,
    /// Decides between equal scores; a result without one is worse than any with one.
    pub subscore: Option<i64>,
    /// The clock of the award that reached it.
    pub hlc_us: i64,
}

impl EntryOrder {
    /// Bytes of an order key.
    pub fn key_bytes(self) -> usize {
        NUMBER_BYTES * if self.has_subscores { 2 } else { 1 }
    }

    /// A score as the sorted set has it, where higher is better.
    pub fn stored_score(self, score: i64) -> i64 {
        if self.ascending { -score } else { score }
    }

    /// The order key: a greater one is better.
    pub fn key(self, result: Ranked) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.key_bytes());
        if self.has_subscores {
            let subscore = result.subscore.map_or(0, |subscore| {
                let subscore = subscore as u64;
                if self.ascending { u64::MAX - subscore } else { subscore + 1 }
            });
            key.extend_from_slice(&subscore.to_be_bytes());
        }
        key.extend_from_slice(&(!(result.hlc_us as u64)).to_be_bytes());
        key
    }

    /// Reads a member and its stored score; `None` if it has another length.
    pub fn read(self, member: &[u8], stored_score: i64) -> Option<(Uuid, Ranked)> {
        let key_bytes = self.key_bytes();
        if member.len() != key_bytes + USER_BYTES {
            return None;
        }
        let (key, user) = member.split_at(key_bytes);
        let (subscore, time) = key.split_at(key_bytes - NUMBER_BYTES);
        let subscore = match number(subscore) {
            None | Some(0) => None,
            Some(subscore) if self.ascending => Some((u64::MAX - subscore) as i64),
            Some(subscore) => Some((subscore - 1) as i64),
        };
        let result =
            Ranked { score: self.stored_score(stored_score), subscore, hlc_us: !number(time)? as i64 };
        Some((Uuid::from_slice(user).ok()?, result))
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_results_have_greater_keys() {
        for ascending in [false, true] {
            let order = EntryOrder { ascending, has_subscores: true };
            let best_first =
                [(Some(7), 5), (Some(7), 6), (Some(6), 1), (None, 1), (None, 2)].map(|(subscore, hlc_us)| {
                    let subscore = subscore.map(|it| if ascending { 20 - it } else { it });
                    Ranked { score: 3, subscore, hlc_us }
                });
            assert!(best_first.is_sorted_by(|better, worse| order.key(*better) > order.key(*worse)));
        }
    }

    #[test]
    fn members_are_read_as_they_were_written() {
        let user = Uuid::from_u128(7);
        for ascending in [false, true] {
            for subscore in [None, Some(0), Some(41), Some((1 << 53) - 1)] {
                let order = EntryOrder { ascending, has_subscores: true };
                let result = Ranked { score: -5, subscore, hlc_us: 1_764_000_000_000_000 };
                let member = [order.key(result), user.as_bytes().to_vec()].concat();
                assert_eq!(order.read(&member, order.stored_score(-5)), Some((user, result)));
                assert_eq!(order.read(&member[1..], 0), None);
            }
        }
    }
}
