//! A shard of the board is opened by the leader alone, and only after this run of Redis was compared with the ledger. One that holds what
//! the ledger holds is confirmed; one that was emptied, is an older copy or was left behind is loaded from the ledger first.

use std::time::Duration;

use super::consume::drain;
use super::heads::{self, ShardHead};
use super::leader::LeaderLock;
use super::letters;
use super::rebuild;
use crate::app::App;
use crate::error::Fault;
use crate::store::{Load, OutboxReader, ShardState};

/// Between two looks at a board that somebody else opens.
const PAUSE: Duration = Duration::from_millis(100);

/// Why a board has to be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It has no epoch: Redis lost its data, a load was cut short, or an operator asked for one.
    Missing,
    /// A later epoch is known: this Redis was cut off, and others went on without it.
    LeftBehind,
    /// The ledger, or this node, has seen what this Redis does not have: it was restored, or failed over to, with older data.
    Older,
    /// A load of it was cut short.
    Unfinished,
}

impl Why {
    /// As the log has it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "no_board",
            Self::LeftBehind => "left_behind",
            Self::Older => "older_copy",
            Self::Unfinished => "unfinished_load",
        }
    }
}

/// A shard that is closed, and what is known of it.
struct Closed {
    shard: usize,
    look: ShardState,
    head: ShardHead,
    /// Why it has to be loaded; none if it lacks nothing.
    why: Option<Why>,
}

impl Closed {
    fn new(app: &App, shard: usize, look: ShardState, head: ShardHead) -> Self {
        let latest = head.epoch.max(app.store.seen(shard).epoch);
        let why = match look.epoch {
            ..0 => Some(Why::Missing),
            _ if look.loading => Some(Why::Unfinished),
            epoch if epoch < latest => Some(Why::LeftBehind),
            _ if look.hlc_us < head.hlc_us || look.behind => Some(Why::Older),
            _ => None,
        };
        Self { shard, look, head, why }
    }

    /// Whether what it holds may have been true once, and is not any more.
    fn is_older_copy(&self) -> bool {
        self.why.is_some_and(|it| it != Why::Missing || self.look.hlc_us < self.head.hlc_us)
    }
}

/// Opens the shards that are closed, and closes and loads one that is open, but behind the ledger. Nothing is done to one that is open in
/// its latest epoch, or that does not answer, which holds up no other.
///
/// # Errors
/// A store is away, or the board is split otherwise than this node is told; what is closed stays closed.
pub async fn open(app: &App, leader: &mut LeaderLock, reader: &mut OutboxReader) -> Result<(), Fault> {
    let shards = app.store.shard_count();
    let heads = match heads::read_of(app, leader, shards).await? {
        Ok(heads) => heads,
        Err(split) => {
            // Whoever split it otherwise may not have reached this Redis: nobody reads its outbox any more.
            for shard in 0..shards {
                app.store.suspend(shard).await?;
            }
            return Err(heads::is_split_otherwise(split, shards));
        }
    };
    let mut closed = Vec::new();
    for (shard, head) in heads.into_iter().enumerate() {
        let look = match app.store.poll_shard_state(shard).await {
            Ok(look) => look,
            Err(fault) if shards > 1 => {
                tracing::warn!(shard, %fault, "a shard cannot be looked at");
                continue;
            }
            Err(fault) => return Err(fault),
        };
        // The ledger was asked first, and is written from what Redis has: so an open board that is behind it is an older copy.
        let older = look.hlc_us < head.hlc_us;
        if !look.open || older || look.epoch < head.epoch.max(app.store.seen(shard).epoch) {
            closed.push(Closed::new(app, shard, look, head));
        } else if head.epoch < look.epoch {
            heads::write_epoch(app, leader, shard, look.epoch).await?;
        }
    }
    if closed.is_empty() {
        return Ok(());
    }
    let (lacking, whole): (Vec<Closed>, Vec<Closed>) = closed.into_iter().partition(|it| it.why.is_some());
    // Those that lack nothing do not wait for those that are loaded.
    confirm(app, leader, &whole, &[]).await?;
    let loads = load(app, leader, &lacking).await?;
    reader.rewind();
    confirm(app, leader, &lacking, &loads).await
}

/// Loads shards that lack something, all at once, since that takes a walk through all users.
async fn load<'a>(app: &'a App, leader: &mut LeaderLock, lacking: &[Closed]) -> Result<Vec<Load<'a>>, Fault> {
    let mut loads = Vec::new();
    for it in lacking {
        let (shard, epoch, latest) = (it.shard, it.look.epoch, it.head.epoch);
        let reason = it.why.map(Why::as_str);
        if it.head.hlc_us == 0 {
            // A first start: nothing was ever awarded.
            tracing::info!(reason, shard, "opening an empty board");
        } else {
            tracing::warn!(reason, shard, epoch, latest, "loading board from ledger");
        }
        app.metrics.rebuilds.inc();
        app.store.suspend(shard).await?;
        // If nothing can be written the board stays closed, but nothing is undone: an operator's rebuild is given up then.
        drain(app, &app.store, leader, shard, it.is_older_copy()).await?;
    }
    for it in lacking {
        loads.push((app.store.begin_load(it.shard).await?, it.is_older_copy()));
    }
    if !loads.is_empty() {
        let users = rebuild::load(app, leader, &loads).await?;
        let shards: Vec<usize> = lacking.iter().map(|it| it.shard).collect();
        letters::note_loaded(app, leader, &shards).await?;
        tracing::info!(users, "board loaded from ledger");
    }
    Ok(loads.into_iter().map(|(load, _)| load).collect())
}

async fn confirm(
    app: &App,
    leader: &mut LeaderLock,
    closed: &[Closed],
    loads: &[Load<'_>],
) -> Result<(), Fault> {
    // What was shown here is passed, and so is every moment in the ledger.
    let heads = heads::read(app, leader).await?;
    let mut due_ms = 0;
    for it in closed {
        if it.why.is_none() {
            tracing::info!(run = it.look.run, "another run of Redis holds what the ledger holds");
        }
        let seen = app.store.seen(it.shard);
        let newest = heads[it.shard].hlc_us.max(app.hub.newest().version).max(seen.hlc_us);
        let epoch = it.head.epoch.max(seen.epoch).max(it.look.epoch) + 1;
        let begun = loads.iter().find(|load| load.shard() == it.shard);
        let window_ms = app.config.live.publish_interval_ms;
        let confirmed = app.store.open_board(it.shard, &it.look.run, epoch, newest, window_ms, begun).await?;
        let Some(due) = confirmed else {
            return Err(Fault::retryable(
                "open the board",
                "Redis is another one by now, or somebody else opens it",
            ));
        };
        heads::write_epoch(app, leader, it.shard, epoch).await?;
        due_ms = due_ms.max(due);
    }
    show(app, due_ms).await
}

/// Waits until the board is open, and opens it where nobody else does. `progress` hears how many users are loaded. Returns their
/// number.
///
/// # Errors
/// A store is away, or the board does not come to be open.
pub async fn wait_open(app: &App, progress: impl Fn(u64)) -> Result<u64, Fault> {
    let (mut seen, mut tries) = (None, 0);
    loop {
        let look = app.store.poll_state().await?;
        progress(look.loaded);
        if look.open {
            return Ok(look.loaded);
        }
        let stuck = look.outbox > 0 && seen == Some((look.outbox, look.loaded));
        tries = if stuck { tries + 1 } else { 0 };
        seen = Some((look.outbox, look.loaded));
        if tries > MOST_TRIES {
            // Whoever cannot write would have said so; this is somebody who has the lead, and does not see these entries.
            let told = format!(
                "{} entries wait in its outbox, and who has the ledger's lead does not write them: is that a node at another Redis?",
                look.outbox
            );
            return Err(Fault::new("open the board", told));
        }
        if let Some(mut leader) = LeaderLock::try_take(&app.database).await? {
            let mut reader = app.store.outbox_reader().await?;
            open(app, &mut leader, &mut reader).await?;
            leader.release().await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Looks without any change; each takes about a second.
const MOST_TRIES: u32 = 30;

/// Publishes a board that was held back.
///
/// # Errors
/// Redis is away; the next look finds the board.
pub async fn show(app: &App, mut due_ms: u64) -> Result<(), Fault> {
    while due_ms > 0 {
        tokio::time::sleep(Duration::from_millis(due_ms)).await;
        due_ms = app.store.flush(app.config.live.publish_interval_ms).await?;
    }
    Ok(())
}
