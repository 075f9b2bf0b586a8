//! Background tasks that keep the watched boards current. They are stateless, like those of the hub: an announcement only says when to
//! read, and each board is read at least once a second.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};
use uuid::Uuid;

use super::watched::ChangedEntries;
use super::{OwnEntry, TopEntries, WatchedBoard};
use crate::board::GLOBAL;
use crate::entries::Top;
use crate::error::{Error, Fault, Result};
use crate::live::Live;
use crate::store::entries_channel;
use crate::supervise::Backoff;

/// A lost announcement, and a new period, are found within this time.
const READ_INTERVAL: Duration = Duration::from_secs(1);
/// A silent subscription is pinged this often.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Follows the boards that somebody watches on this node.
pub async fn follow_watched(live: Arc<Live>, mut changes: UnboundedReceiver<Arc<WatchedBoard>>) {
    let mut readers = Readers { live: live.clone(), tasks: JoinSet::new(), newest: 0 };
    let mut backoff = Backoff::default();
    loop {
        if let Err(fault) = entries_subscription(&live, &mut changes, &mut readers, &mut backoff).await {
            tracing::warn!(%fault, "subscription to watched boards lost, subscribing again");
        }
        backoff.wait().await;
    }
}

/// One connection. A board is first read after its channel is subscribed to, so that no change between the two is missed.
async fn entries_subscription(
    live: &Live,
    changes: &mut UnboundedReceiver<Arc<WatchedBoard>>,
    readers: &mut Readers,
    backoff: &mut Backoff,
) -> Result<(), Fault> {
    let watched = live.fanout.watched();
    let mut followed = watched.all();
    followed.sort_by_key(|board| board.id);
    let channels: Vec<String> = followed.iter().map(|board| entries_channel(&board.address)).collect();
    let mut subscription = live.store.subscribe(&channels).await?;
    followed.into_iter().for_each(|board| readers.start(board));
    backoff.reset();
    let mut pings = tokio::time::interval(PING_INTERVAL);
    loop {
        tokio::select! {
            message = subscription.next_bytes() => {
                let Some((channel, message)) = message else {
                    return Err(Fault::retryable("follow_watched_boards", "the connection ended"));
                };
                let board = channel.split_once(':').and_then(|(_, address)| watched.find(address));
                if let (Some(board), Some((period, top_changed, users))) = (board, read_announcement(&message)) {
                    board.announce(period, top_changed, users);
                }
            }
            Some(board) = changes.recv() => {
                let channel = [entries_channel(&board.address)];
                // A board that is watched again has another id, and its own change comes after this one.
                if watched.find(&board.address).is_some_and(|known| known.id == board.id) {
                    subscription.add(&channel).await?;
                    readers.start(board);
                } else {
                    subscription.drop(&channel).await?;
                }
            }
            Some(ended) = readers.tasks.join_next() => {
                if let Err(error) = ended && error.is_panic() {
                    std::panic::resume_unwind(error.into_panic());
                }
            }
            _ = pings.tick() => subscription.ping().await?,
        }
    }
}

/// Reads an announcement of `lua/apply_entries.lua`: `period version 1|0 users`, where users have 16 bytes each.
fn read_announcement(message: &[u8]) -> Option<(&str, bool, impl Iterator<Item = Uuid>)> {
    let mut words = message.splitn(4, |byte| *byte == b' ');
    let period = std::str::from_utf8(words.next()?).ok()?;
    let (_version, top_changed, users) = (words.next()?, words.next()?, words.next()?);
    let (users, _) = users.as_chunks::<16>();
    Some((period, top_changed == b"1", users.iter().map(|user| Uuid::from_bytes(*user))))
}

/// The tasks that read the watched boards.
struct Readers {
    live: Arc<Live>,
    tasks: JoinSet<()>,
    /// Id of the newest board that has a task.
    newest: u64,
}

impl Readers {
    /// Starts to read a board, unless that was done before.
    fn start(&mut self, board: Arc<WatchedBoard>) {
        if board.id <= self.newest {
            return;
        }
        self.newest = board.id;
        let live = self.live.clone();
        if board.address == GLOBAL {
            self.tasks.spawn(follow_global(live, board));
        } else {
            self.tasks.spawn(read_forever(live, board));
        }
    }
}

/// Reads a board until nobody watches it.
async fn read_forever(live: Arc<Live>, board: Arc<WatchedBoard>) {
    let interval = Duration::from_millis(live.config.live.board_publish_interval_ms);
    while live.fanout.watched().keep(&board) {
        let began = Instant::now();
        let mut next_read = began + READ_INTERVAL.max(interval);
        match read(&live, &board).await {
            Ok(Some(left)) => next_read = next_read.min(Instant::now() + left),
            Ok(None) => {}
            // The poll logs that Redis does not answer, and `status` says so to subscribers.
            Err(fault) => tracing::debug!(%fault, board = board.address, "board read failed, retrying"),
        }
        sleep_until(began + interval).await;
        let _ = timeout_at(next_read, board.read_requested()).await;
    }
}

/// Reads a board once and notifies its subscribers. Returns the time left until the end of its period, if it has one.
async fn read(live: &Live, board: &Arc<WatchedBoard>) -> Result<Option<Duration>, Fault> {
    let (changed, has_new_watchers) = board.begin_read();
    let found = find_top(live, board, &changed).await;
    let is_changed = match &found {
        Ok(top) => board.learn(TopEntries {
            period: top.period.id.clone(),
            version: top.version,
            is_stale: top.is_stale,
            entries: top.entries.clone(),
        }),
        Err(_) => false,
    };
    // Also after an error: then this node's state is the newest that there is.
    board.end_read();
    if is_changed || has_new_watchers {
        live.fanout.board_changed(board);
    }
    let Some(top) = notify_watchers(live, board, changed, found)? else { return Ok(None) };
    let now_ms = live.health.redis_now_ms(live.clock.now_ms());
    let has_end = top.period.ends_us < i64::MAX;
    Ok(has_end.then(|| Duration::from_millis((top.period.ends_us / 1000 - now_ms).max(0) as u64)))
}

/// Reads the best entries, and those of the watchers whose entries changed.
async fn find_top(live: &Live, board: &WatchedBoard, changed: &ChangedEntries) -> Result<Top> {
    let users: Vec<Uuid> = changed.keys().copied().collect();
    let definition = live.entries.boards.find(&board.address)?;
    board.set_visibility(definition.visibility);
    live.entries.top(&definition, &board.address, &users).await
}

/// Sends the watchers their entries that changed. `None`: the board has no period now.
fn notify_watchers(
    live: &Live,
    board: &Arc<WatchedBoard>,
    changed: ChangedEntries,
    found: Result<Top>,
) -> Result<Option<Top>, Fault> {
    let top = match found {
        Ok(top) => top,
        Err(Error::Refused(_)) => return Ok(None),
        Err(Error::Fault(fault)) => {
            board.put_back(changed);
            return Err(fault);
        }
    };
    for (user, _) in changed.iter().filter(|(_, period)| ***period == *top.period.id) {
        let entry = top.users.iter().find(|entry| entry.user == *user).cloned();
        let own_entry = Arc::new(OwnEntry { period: top.period.id.clone(), entry });
        live.fanout.notify_entry(*user, board, &own_entry);
    }
    Ok(Some(top))
}

/// Follows `global` until nobody watches it by name: its top list, which the hub has before the ledger, and the watchers' own entries.
async fn follow_global(live: Arc<Live>, board: Arc<WatchedBoard>) {
    let interval = Duration::from_millis(live.config.live.board_publish_interval_ms);
    let mut published = live.hub.follow_board();
    while live.fanout.watched().keep(&board) {
        let began = Instant::now();
        let (changed, has_new_watchers) = board.begin_read();
        if has_new_watchers && live.health.is_current() {
            // Another node may have published a newer one.
            let newest = live.store.published().await.unwrap_or(0);
            let arrives = published.wait_for(|published| published.board.version >= newest);
            let _ = timeout_at(began + READ_INTERVAL, arrives).await;
        }
        let is_changed = board.learn(TopEntries::of_global(&published.borrow_and_update().board));
        board.end_read();
        if is_changed || has_new_watchers {
            live.fanout.board_changed(&board);
        }
        if !changed.is_empty() {
            let found = find_top(&live, &board, &changed).await;
            // After an error they are read at the next turn.
            let _ = notify_watchers(&live, &board, changed, found);
        }
        sleep_until(began + interval).await;
        tokio::select! {
            _ = published.changed() => {}
            () = board.read_requested() => {}
            () = sleep_until(began + READ_INTERVAL) => {}
        }
    }
}
