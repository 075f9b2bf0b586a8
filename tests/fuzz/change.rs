//! Random changes to valid inputs.

use proptest::prelude::*;
use proptest::sample::Index;

#[derive(Clone, Debug)]
pub enum Change {
    FlipBit(Index, u8),
    Replace(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, Index),
    /// Repeats a part.
    Repeat(Index, Index),
    /// Joins the start of this input and the end of another valid input.
    Splice(Index, Index),
}

/// One to four changes.
pub fn changes() -> impl Strategy<Value = Vec<Change>> {
    let index = any::<Index>;
    let change = prop_oneof![
        (index(), 0..8_u8).prop_map(|(at, bit)| Change::FlipBit(at, bit)),
        (index(), any::<u8>()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (index(), prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (index(), index()).prop_map(|(from, to)| Change::Remove(from, to)),
        (index(), index()).prop_map(|(from, to)| Change::Repeat(from, to)),
        (index(), index()).prop_map(|(from, to)| Change::Splice(from, to)),
    ];
    prop::collection::vec(change, 1..5)
}

/// Applies the changes one after another. The result can equal the input.
pub fn apply(input: &[u8], other: &[u8], changes: &[Change]) -> Vec<u8> {
    changes.iter().fold(input.to_vec(), |bytes, change| change.apply(bytes, other))
}

impl Change {
    fn apply(&self, mut bytes: Vec<u8>, other: &[u8]) -> Vec<u8> {
        let length = bytes.len();
        let range = |from: &Index, to: &Index| {
            let (from, to) = (from.index(length + 1), to.index(length + 1));
            from.min(to)..from.max(to)
        };
        match self {
            Self::FlipBit(_, _) | Self::Replace(_, _) if bytes.is_empty() => {}
            Self::FlipBit(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Self::Replace(at, byte) => bytes[at.index(length)] = *byte,
            Self::Insert(at, more) => {
                let at = at.index(length + 1);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Remove(from, to) => drop(bytes.drain(range(from, to))),
            Self::Repeat(from, to) => {
                let range = range(from, to);
                let part = bytes[range.clone()].to_vec();
                bytes.splice(range.end..range.end, part);
            }
            Self::Splice(from, to) => {
                bytes.truncate(from.index(length + 1));
                bytes.extend_from_slice(&other[to.index(other.len() + 1)..]);
            }
        }
        bytes
    }
}
