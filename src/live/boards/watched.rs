//! The boards that somebody watches on this node, and the newest state of each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use parking_lot::Mutex;
use prometheus::IntGauge;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

use crate::board::{Definition, Viewer, Visibility};
use crate::live::fanout::{ENCODINGS, Encoding};
use crate::live::{Board, Row};
use crate::metrics::Metrics;
use crate::store::{PlacedEntry, Ranked};

/// Users whose entries changed, each with the id of the period.
pub type ChangedEntries = HashMap<Uuid, Arc<str>>;

/// The best entries of a board's current period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopEntries {
    /// Id of the period.
    pub period: String,
    /// Version of the board.
    pub version: i64,
    /// Whether the entries may be older than the ledger.
    pub is_stale: bool,
    /// Best first.
    pub entries: Vec<PlacedEntry>,
}

impl TopEntries {
    /// The top list of `global`.
    pub fn of_global(board: &Board) -> Self {
        let entry = |(index, row): (usize, &Row)| PlacedEntry {
            user: row.user,
            username: row.username.clone(),
            result: Ranked { score: row.score as i64, subscore: None, hlc_us: 0 },
            attempts: None,
            position: index as u64 + 1,
            rank: row.rank,
        };
        let entries = board.rows.iter().enumerate().map(entry).collect();
        Self { period: "all".to_owned(), version: board.version, is_stale: false, entries }
    }

    /// Whether subscribers who have `shown` must get this.
    fn differs_from(&self, shown: &Self) -> bool {
        self.period != shown.period || self.is_stale != shown.is_stale || self.entries != shown.entries
    }
}

/// The best entries of a board with their encodings: each is made once, for the first subscriber that needs it.
pub struct EncodedTop {
    /// Number of this state among those of this node that subscribers must get, from 1.
    pub number: u32,
    top: TopEntries,
    events: [OnceLock<Bytes>; ENCODINGS],
}

impl EncodedTop {
    /// The `board_updated` event, ready to be written.
    pub fn event(&self, address: &str, encoding: Encoding) -> Bytes {
        self.events[encoding.index()].get_or_init(|| encoding.board_updated(address, &self.top)).clone()
    }
}

/// A player's own entry after a change.
#[derive(Clone, Debug)]
pub struct OwnEntry {
    /// Id of the period.
    pub period: String,
    /// `None`: the player has no entry any more.
    pub entry: Option<PlacedEntry>,
}

/// A board that somebody watches on this node.
pub struct WatchedBoard {
    /// Its id, or `id@value`.
    pub address: String,
    /// Tells it from all other boards that are or were watched on this node.
    pub id: u64,
    /// Admins may change it while the board is watched.
    visibility: Mutex<Visibility>,
    newest: ArcSwapOption<EncodedTop>,
    /// Number of the last read that began.
    begun: AtomicU64,
    /// Number of the last read that ended.
    ended: AtomicU64,
    has_new_watchers: AtomicBool,
    read_requested: Notify,
    watchers: Mutex<Watchers>,
    gauge: IntGauge,
}

#[derive(Default)]
struct Watchers {
    count: usize,
    /// Watchers with a login, by user.
    users: HashMap<Uuid, usize>,
    /// Those of them whose entry changed since the last read.
    changed: ChangedEntries,
}

impl WatchedBoard {
    /// The newest state; `None` if none was read yet.
    pub fn newest(&self) -> Option<Arc<EncodedTop>> {
        self.newest.load_full()
    }

    /// Takes the visibility that the definition has now.
    pub fn set_visibility(&self, visibility: Visibility) {
        *self.visibility.lock() = visibility;
    }

    /// Whether a read has ended that began after the one with this number.
    pub fn was_read_after(&self, number: u64) -> bool {
        self.ended.load(Ordering::Acquire) > number
    }

    /// Waits until a read is wanted before its time.
    pub async fn read_requested(&self) {
        self.read_requested.notified().await;
    }

    /// Notes an announced change in a period: whether the best entries changed, and the users whose entries did.
    pub fn announce(&self, period: &str, top_changed: bool, users: impl Iterator<Item = Uuid>) {
        let period: Arc<str> = period.into();
        let mut watchers = self.watchers.lock();
        let Watchers { users: watching, changed, .. } = &mut *watchers;
        changed.extend(users.filter(|user| watching.contains_key(user)).map(|user| (user, period.clone())));
        if top_changed || !changed.is_empty() {
            self.read_requested.notify_one();
        }
    }

    /// Begins a read. Returns the watchers whose entries changed, and whether there are new watchers, who wait for its end.
    pub fn begin_read(&self) -> (ChangedEntries, bool) {
        self.begun.fetch_add(1, Ordering::AcqRel);
        let has_new_watchers = self.has_new_watchers.swap(false, Ordering::AcqRel);
        (std::mem::take(&mut self.watchers.lock().changed), has_new_watchers)
    }

    /// Notes that the entries of these watchers are still to be read.
    pub fn put_back(&self, changed: ChangedEntries) {
        let mut watchers = self.watchers.lock();
        let newer = std::mem::replace(&mut watchers.changed, changed);
        watchers.changed.extend(newer);
    }

    /// Ends a read.
    pub fn end_read(&self) {
        self.ended.store(self.begun.load(Ordering::Acquire), Ordering::Release);
    }

    /// Takes the entries that a read found, unless they are older than the newest state. Returns true if subscribers must get them.
    ///
    /// Only the task that reads the board calls this.
    pub fn learn(&self, mut top: TopEntries) -> bool {
        let known = self.newest.load();
        let known = known.as_ref();
        let is_new_period = known.is_some_and(|known| known.top.period != top.period);
        if let Some(known) = known {
            let version = known.top.version;
            if is_new_period && top.version <= version {
                // Redis' clock was set back.
                top.version = version + 1;
            } else if top.version < version || top == known.top {
                return false;
            }
        }
        let is_change = known.is_none_or(|known| top.differs_from(&known.top));
        let number = known.map_or(0, |known| known.number).wrapping_add(is_change.into());
        self.newest.store(Some(Arc::new(EncodedTop { number, top, events: Default::default() })));
        is_change
    }
}

/// A subscriber's watch of a board. Dropping it ends the watch.
pub struct BoardWatch {
    board: Arc<WatchedBoard>,
    user: Option<Uuid>,
    /// What the client was when the watch began.
    viewer: Viewer,
    /// The last read that had begun when the watch did. States from before it may be older than what the client has seen elsewhere.
    pub after_read: u64,
}

impl BoardWatch {
    /// The board.
    pub fn board(&self) -> &Arc<WatchedBoard> {
        &self.board
    }

    /// Whether the client may see the board now.
    pub fn is_allowed(&self) -> bool {
        self.board.visibility.lock().is_open_to(self.viewer)
    }
}

impl Drop for BoardWatch {
    fn drop(&mut self) {
        let mut watchers = self.board.watchers.lock();
        watchers.count -= 1;
        self.board.gauge.dec();
        let Some(user) = self.user else { return };
        if let Some(count) = watchers.users.get_mut(&user) {
            *count -= 1;
            if *count == 0 {
                watchers.users.remove(&user);
                watchers.changed.remove(&user);
            }
        }
    }
}

/// The boards that somebody watches on this node.
pub struct WatchedBoards {
    boards: Mutex<HashMap<String, Arc<WatchedBoard>>>,
    next_id: AtomicU64,
    max_split_boards: usize,
    metrics: Arc<Metrics>,
    /// Boards to follow from now on, and boards that are not followed any more.
    changes: UnboundedSender<Arc<WatchedBoard>>,
}

impl WatchedBoards {
    /// No boards. `changes` gets each board when its first watcher comes, and again after its last one left.
    pub fn new(
        max_split_boards: usize,
        metrics: Arc<Metrics>,
        changes: UnboundedSender<Arc<WatchedBoard>>,
    ) -> Self {
        Self { boards: Mutex::default(), next_id: AtomicU64::new(1), max_split_boards, metrics, changes }
    }

    /// Watches the board of this definition, or that of a tag's value. `None`: it is the latter, and this node follows as many as it may.
    pub fn watch(
        &self,
        address: &str,
        definition: &Definition,
        user: Option<Uuid>,
        viewer: Viewer,
    ) -> Option<BoardWatch> {
        let mut boards = self.boards.lock();
        let board = match boards.get(address) {
            Some(board) => board.clone(),
            None if is_split(address)
                && boards.keys().filter(|it| is_split(it)).count() >= self.max_split_boards =>
            {
                return None;
            }
            None => {
                let board = Arc::new(WatchedBoard {
                    address: address.to_owned(),
                    id: self.next_id.fetch_add(1, Ordering::Relaxed),
                    visibility: Mutex::new(definition.visibility),
                    newest: ArcSwapOption::empty(),
                    begun: AtomicU64::new(0),
                    ended: AtomicU64::new(0),
                    has_new_watchers: AtomicBool::new(false),
                    read_requested: Notify::new(),
                    watchers: Mutex::default(),
                    gauge: self.metrics.board_subscribers.with_label_values(&[&definition.id]),
                });
                boards.insert(address.to_owned(), board.clone());
                let _ = self.changes.send(board.clone());
                board
            }
        };
        let mut watchers = board.watchers.lock();
        watchers.count += 1;
        board.gauge.inc();
        if let Some(user) = user {
            *watchers.users.entry(user).or_default() += 1;
        }
        drop(watchers);
        let after_read = board.begun.load(Ordering::Acquire);
        board.has_new_watchers.store(true, Ordering::Release);
        board.read_requested.notify_one();
        Some(BoardWatch { board, user, viewer, after_read })
    }

    /// Whether somebody watches a board. If not, the node follows it no more: the caller must stop to read it.
    pub fn keep(&self, board: &Arc<WatchedBoard>) -> bool {
        let mut boards = self.boards.lock();
        if board.watchers.lock().count > 0 {
            return true;
        }
        if boards.get(&board.address).is_some_and(|known| known.id == board.id) {
            boards.remove(&board.address);
            let _ = self.changes.send(board.clone());
        }
        false
    }

    /// Finds a followed board.
    pub fn find(&self, address: &str) -> Option<Arc<WatchedBoard>> {
        self.boards.lock().get(address).cloned()
    }

    /// All followed boards.
    pub fn all(&self) -> Vec<Arc<WatchedBoard>> {
        self.boards.lock().values().cloned().collect()
    }
}

/// Whether a board is that of one value of a tag.
fn is_split(address: &str) -> bool {
    address.contains('@')
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::board::Boards;

    fn top(period: &str, version: i64, scores: &[i64]) -> TopEntries {
        let entry = |(index, score): (usize, &i64)| PlacedEntry {
            user: Uuid::from_u128(index as u128),
            username: "ada".to_owned(),
            result: Ranked { score: *score, subscore: None, hlc_us: 1 },
            attempts: None,
            position: index as u64 + 1,
            rank: index as u64 + 1,
        };
        let entries = scores.iter().enumerate().map(entry).collect();
        TopEntries { period: period.to_owned(), version, is_stale: false, entries }
    }

    #[test]
    fn subscribers_get_changes_of_the_top_with_growing_versions() {
        let (changes, _changed) = mpsc::unbounded_channel();
        let boards = WatchedBoards::new(1, Arc::default(), changes);
        let weekly = Boards::load("", &[]).unwrap().find("weekly").unwrap();
        let watch = boards.watch("weekly", &weekly, None, Viewer::Player).unwrap();
        let board = watch.board();
        let shown = || board.newest().map(|newest| (newest.number, newest.top.version));
        assert!(board.learn(top("w1", 10, &[5])));
        assert_eq!(shown(), Some((1, 10)));
        assert!(!board.learn(top("w1", 10, &[5])), "the same again");
        assert!(!board.learn(top("w1", 9, &[4])), "an older copy of Redis");
        assert!(!board.learn(top("w1", 12, &[5])), "a change below the top");
        assert_eq!(shown(), Some((1, 12)), "a new subscriber may have seen this version elsewhere");
        assert!(board.learn(TopEntries { is_stale: true, ..top("w1", 12, &[5]) }));
        assert!(board.learn(top("w1", 13, &[6])));
        assert!(board.learn(top("w2", 11, &[])), "a new period after the clock was set back");
        assert_eq!(shown(), Some((4, 14)));
        assert!(board.learn(top("w3", 20, &[])));
        assert_eq!(shown(), Some((5, 20)));
    }

    #[test]
    fn a_board_is_followed_from_the_first_watcher_until_nobody_watches_it() {
        let (changes, mut changed) = mpsc::unbounded_channel();
        let metrics = Arc::new(Metrics::default());
        let boards = WatchedBoards::new(1, metrics.clone(), changes);
        let weekly = Boards::parse("[[board]]\nid = \"weekly\"\nsplit_by = \"country\"", &[])
            .unwrap()
            .find("weekly")
            .unwrap();
        let user = Uuid::from_u128(7);
        let first = boards.watch("weekly@DE", &weekly, Some(user), Viewer::Player).unwrap();
        let board = first.board().clone();
        assert_eq!(changed.try_recv().unwrap().id, board.id);
        assert!(
            boards.watch("weekly@FR", &weekly, None, Viewer::Player).is_none(),
            "the node follows enough boards"
        );
        let second = boards.watch("weekly@DE", &weekly, None, Viewer::Player).unwrap();
        assert_eq!(metrics.board_subscribers.with_label_values(&["weekly"]).get(), 2);
        board.announce("w1", false, [user, Uuid::from_u128(8)].into_iter());
        assert_eq!(board.begin_read(), (HashMap::from([(user, "w1".into())]), true));
        assert!(!board.was_read_after(second.after_read));
        board.end_read();
        assert!(board.was_read_after(second.after_read));
        drop(first);
        board.announce("w1", false, [user].into_iter());
        assert_eq!(board.begin_read(), (HashMap::new(), false), "the user watches no more");
        assert!(boards.keep(&board) && changed.try_recv().is_err());
        drop(second);
        assert!(!boards.keep(&board) && boards.all().is_empty());
        assert_eq!(changed.try_recv().unwrap().id, board.id);
        assert_eq!(metrics.board_subscribers.with_label_values(&["weekly"]).get(), 0);
    }
}
