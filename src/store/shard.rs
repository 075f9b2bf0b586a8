//! The shards: parts of the board that live each in one slot of Redis, so that all that one award touches is in one place. How many
//! there are is a setting; which one a user belongs to follows from the user's id alone. With one, it is the whole board.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use uuid::Uuid;

use super::Store;
use super::connection::server::Server;
use super::keys::Keys;

/// The shard of so many that what has these bytes belongs to: FNV-1a (64 bits), folded. It is a part of where data lies, and
/// never changes.
pub fn shard_of(bytes: &[u8], shards: usize) -> usize {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    ((hash ^ (hash >> 32)) % shards as u64) as usize
}

/// How far a node has seen a shard come. Later epochs are later, whatever their moments: another Redis' clock may be behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// The epoch that was confirmed; 0 at first. A Redis in an earlier one was left behind.
    pub epoch: i64,
    /// The board's moment in it (µs). A Redis that is behind it has lost something.
    pub hlc_us: i64,
}

/// One shard, or the board that is merged of them.
pub struct Shard {
    pub number: usize,
    pub keys: Keys,
    /// Who serves its slot, as far as this node knows.
    server: Arc<ArcSwap<Server>>,
    /// The newest that this node has seen of it, in replies and looks.
    seen: Mutex<Seen>,
    /// The newest version of its ten that is known to be in the merged board.
    gathered: AtomicI64,
}

impl Shard {
    /// Under a tag, served by whom is known.
    pub fn new(number: usize, tag: String, server: Arc<Server>) -> Self {
        Self {
            number,
            keys: Keys::new(tag),
            server: Arc::new(ArcSwap::new(server)),
            seen: Mutex::default(),
            gathered: AtomicI64::new(-1),
        }
    }

    pub fn server(&self) -> Arc<Server> {
        self.server.load_full()
    }

    /// Who serves it, for somebody to look at again.
    pub fn serving(&self) -> Arc<ArcSwap<Server>> {
        self.server.clone()
    }

    /// Takes another server; it may be the same.
    pub fn move_to(&self, server: Arc<Server>) {
        if !Arc::ptr_eq(&self.server.load(), &server) {
            tracing::info!(
                tag = self.keys.tag,
                address = &*server.address,
                "served by another Redis from now on"
            );
            self.server.store(server);
        }
    }

    /// The newest that this node has seen.
    pub fn seen(&self) -> Seen {
        *self.seen.lock()
    }

    /// The same as the scripts take it: see `lua/lib/epoch.lua`.
    pub fn least(&self) -> String {
        let Seen { epoch, hlc_us } = self.seen();
        format!("{epoch} {hlc_us:016}")
    }

    /// Notes what was seen of an open board.
    pub fn see(&self, epoch: i64, hlc_us: i64) {
        let mut seen = self.seen.lock();
        *seen = Seen { epoch, hlc_us }.max(*seen);
    }

    pub fn gathered(&self) -> i64 {
        self.gathered.load(Ordering::Relaxed)
    }

    /// What the merged board has of this shard, -1 if nothing that counts.
    pub fn note_gathered(&self, version: i64) {
        self.gathered.store(version, Ordering::Relaxed);
    }
}

/// What tags of shards look like: the number of all is part of it, so that a board that was split otherwise is another board.
pub fn tag(shard: usize, shards: usize) -> String {
    if shards == 1 { String::new() } else { format!("{{{shards}.{shard}}}") }
}

/// The tag of the board that is merged of so many shards.
pub fn face_tag(shards: usize) -> String {
    format!("{{{shards}.all}}")
}

impl Store {
    /// How many shards there are.
    pub fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// The number of the shard that a user belongs to.
    pub fn shard_number(&self, user: Uuid) -> usize {
        shard_of(user.as_bytes(), self.shards.len())
    }

    /// Whether an entry `score moment userId …` is of a shard.
    pub fn is_in(&self, shard: usize, entry: &str) -> bool {
        let user = entry.split(' ').nth(2).and_then(|it| it.parse().ok());
        user.is_some_and(|it| self.shard_number(it) == shard)
    }

    pub(super) fn shard(&self, user: Uuid) -> &Shard {
        &self.shards[self.shard_number(user)]
    }

    /// The shard of what is no user's: an address, a name's digest.
    pub(super) fn shard_by(&self, text: &str) -> &Shard {
        &self.shards[shard_of(text.as_bytes(), self.shards.len())]
    }

    /// Where the board lies that everybody is shown: of one shard its own ten.
    pub(super) fn shown(&self) -> &Shard {
        self.face.as_ref().unwrap_or(&self.shards[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_data_lies_never_changes() {
        let user = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0001);
        assert_eq!([1, 2, 8, 64].map(|it| shard_of(user.as_bytes(), it)), [0, 0, 6, 22]);
        assert_eq!([tag(0, 1), tag(3, 8), face_tag(8)], ["", "{8.3}", "{8.all}"]);
    }

    #[test]
    fn shards_are_alike() {
        let mut counts = [0; 8];
        for n in 0..80_000_u128 {
            counts[shard_of(Uuid::from_u128((n << 64) | (n * n)).as_bytes(), 8)] += 1;
        }
        assert!(counts.iter().all(|it| (9_500..10_500).contains(it)), "{counts:?}");
    }
}
