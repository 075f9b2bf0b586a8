//! Shards: each is a part of the board in one slot of Redis, so that all keys of one award are in one place. Their number is a setting. A user's
//! shard follows from the user's id.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use uuid::Uuid;

use super::Store;
use super::commands::redeem::GatheredRedeem;
use super::connection::server::Server;
use super::keys::Keys;
use super::script::reply::Reply;
use crate::batch::Gathering;
use crate::error::Fault;

/// The number of the shard for some bytes: FNV-1a (64 bits), folded, modulo the number of shards. Stored data depends on it, so it never
/// changes.
pub fn shard_of(bytes: &[u8], shards: usize) -> usize {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    ((hash ^ (hash >> 32)) % shards as u64) as usize
}

/// The newest state of a shard that a node has seen. Epochs compare first, since another Redis' clock may be behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShardPosition {
    /// The epoch; 0 at first. A Redis in an earlier one was left behind.
    pub epoch: i64,
    /// The HLC in this epoch. A Redis that is behind it has lost data.
    pub hlc_us: i64,
}

/// Calls that redeem tokens and are under way at the same time, before further tokens gather for lists. One alone made awards wait twice as
/// long at a third of the load that a node can bear.
const MAX_REDEEM_CALLS: usize = 4;

/// One shard, or the place of the merged board.
pub struct Shard {
    pub number: usize,
    pub keys: Keys,
    /// The server of its slot, as far as this node knows.
    server: Arc<ArcSwap<Server>>,
    /// The newest state that this node has seen, in replies and polls.
    seen: Mutex<ShardPosition>,
    /// Tokens that wait to be redeemed.
    pub redeems: Arc<Gathering<GatheredRedeem, Result<Reply, Fault>>>,
    /// The newest version of its top list that the merged board is known to have.
    merged_version: AtomicI64,
}

impl Shard {
    /// A shard with these keys, on this server.
    pub fn new(number: usize, keys: Keys, server: Arc<Server>) -> Self {
        Self {
            number,
            keys,
            server: Arc::new(ArcSwap::new(server)),
            seen: Mutex::default(),
            redeems: Arc::new(Gathering::new(MAX_REDEEM_CALLS)),
            merged_version: AtomicI64::new(-1),
        }
    }

    pub fn server(&self) -> Arc<Server> {
        self.server.load_full()
    }

    /// Its server, as a cell that follows failovers.
    pub fn serving(&self) -> Arc<ArcSwap<Server>> {
        self.server.clone()
    }

    /// Changes the server; it may be the same.
    pub fn move_to(&self, server: Arc<Server>) {
        if !Arc::ptr_eq(&self.server.load(), &server) {
            tracing::info!(
                tag = self.keys.tag,
                address = &*server.address,
                "shard moved to another redis server"
            );
            self.server.store(server);
        }
    }

    /// The newest state that this node has seen.
    pub fn latest_position(&self) -> ShardPosition {
        *self.seen.lock()
    }

    /// Notes the state of an open shard.
    pub fn record_position(&self, epoch: i64, hlc_us: i64) {
        let mut seen = self.seen.lock();
        *seen = ShardPosition { epoch, hlc_us }.max(*seen);
    }

    pub fn merged_version(&self) -> i64 {
        self.merged_version.load(Ordering::Relaxed)
    }

    /// Notes the version that the merged board has of this shard; -1: none of this epoch.
    pub fn set_merged_version(&self, version: i64) {
        self.merged_version.store(version, Ordering::Relaxed);
    }
}

/// The tag of a shard. The number of shards is part of it, so boards with different numbers of shards have different keys.
pub fn tag(shard: usize, shards: usize) -> String {
    if shards == 1 { String::new() } else { format!("{{{shards}.{shard}}}") }
}

/// The tag of the merged board.
pub fn merged_tag(shards: usize) -> String {
    format!("{{{shards}.all}}")
}

impl Store {
    /// Number of shards.
    pub fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// The number of the shard that a user belongs to.
    pub fn shard_number(&self, user: Uuid) -> usize {
        shard_of(user.as_bytes(), self.shards.len())
    }

    pub(super) fn shard(&self, user: Uuid) -> &Shard {
        &self.shards[self.shard_number(user)]
    }

    /// The shard of a key without a user: of an address, or a name's digest.
    pub(super) fn shard_by(&self, text: &str) -> &Shard {
        &self.shards[shard_of(text.as_bytes(), self.shards.len())]
    }

    /// The place of a board that follows the ledger.
    pub(super) fn board_place(&self, board: &str) -> Arc<Shard> {
        let mut places = self.board_places.lock();
        if let Some(place) = places.get(board) {
            return place.clone();
        }
        let keys = Keys::of_shard(format!("{{{board}}}"));
        // A wrong server redirects, and then the right one is found.
        let place = Arc::new(Shard::new(0, keys, self.shown().server()));
        places.insert(board.to_owned(), place.clone());
        place
    }

    /// The place of the board that clients see: the merged board, or the only shard.
    pub(super) fn shown(&self) -> &Shard {
        self.merged.as_ref().unwrap_or(&self.shards[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_data_lies_never_changes() {
        let user = Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0001);
        assert_eq!([1, 2, 8, 64].map(|shards| shard_of(user.as_bytes(), shards)), [0, 0, 6, 22]);
        assert_eq!([tag(0, 1), tag(3, 8), merged_tag(8)], ["", "{8.3}", "{8.all}"]);
    }

    #[test]
    fn shards_are_alike() {
        let mut counts = [0; 8];
        for n in 0..80_000_u128 {
            counts[shard_of(Uuid::from_u128((n << 64) | (n * n)).as_bytes(), 8)] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }
}
