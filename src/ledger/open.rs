//! The board is opened by the leader alone, and only after this run of Redis was compared with the ledger. One that holds what
//! the ledger holds is confirmed; one that was emptied, is an older copy or was left behind is loaded from the ledger first.

use std::time::Duration;

use super::chain::SHARD;
use super::consume::drain;
use super::database::{HANGS_AFTER, in_time, timed};
use super::lead::Lead;
use super::rebuild::load;
use crate::app::App;
use crate::error::Fault;
use crate::store::{Look, OutboxReader};

/// Between two looks at a board that somebody else opens.
const PAUSE: Duration = Duration::from_millis(100);

/// Why a board has to be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It has no epoch: Redis lost its data, a load was cut short, or an operator asked for one.
    Missing,
    /// A later epoch is known: this Redis was cut off, and others went on without it.
    LeftBehind,
    /// The ledger has awards that this Redis does not: it was restored, or failed over to, with older data.
    Older,
    /// A load of it was cut short.
    Unfinished,
}

/// Opens the board if it is closed. Nothing is done to one that is open in the latest epoch.
///
/// # Errors
/// A store is away; the board stays closed.
pub async fn open(app: &App, lead: &mut Lead, reader: &mut OutboxReader) -> Result<(), Fault> {
    let look = app.store.glance().await?;
    let (written, newest) = read_head(app, lead).await?;
    let latest = written.max(app.store.known_epoch());
    if look.open && look.epoch >= latest {
        if written < look.epoch {
            write_epoch(app, lead, look.epoch).await?;
        }
        return Ok(());
    }
    let mut loaded = None;
    match why(&look, latest, newest) {
        None => tracing::info!(run = look.run, "another run of Redis holds what the ledger holds"),
        Some(why) => {
            tracing::warn!(?why, epoch = look.epoch, latest, "the board is loaded from the ledger");
            app.metrics.rebuilds.inc();
            app.store.suspend_board().await?;
            // What cannot be written keeps the board closed, but undoes nothing: an operator's rebuild is given up then.
            let older_copy = why != Why::Missing || look.moment < newest;
            drain(app, lead, reader, older_copy).await?;
            let begun = loaded.insert(app.store.begin_load().await?);
            let users = load(app, lead, begun, older_copy).await?;
            tracing::info!(users, "the board was loaded from the ledger");
        }
    }
    reader.rewind();
    // What was shown here is passed, and so is every moment in the ledger.
    let newest = read_head(app, lead).await?.1.max(app.hub.newest().version);
    let epoch = latest.max(look.epoch) + 1;
    let window_ms = app.config.live.min_interval_ms;
    let Some(due_ms) = app.store.confirm(&look.run, epoch, newest, window_ms, loaded.as_ref()).await? else {
        return Err(Fault::away("open the board", "Redis is another one by now, or somebody else opens it"));
    };
    write_epoch(app, lead, epoch).await?;
    show(app, due_ms).await
}

fn why(look: &Look, latest: i64, newest_moment: i64) -> Option<Why> {
    match look.epoch {
        ..0 => Some(Why::Missing),
        _ if look.loading => Some(Why::Unfinished),
        epoch if epoch < latest => Some(Why::LeftBehind),
        _ if look.moment < newest_moment => Some(Why::Older),
        _ => None,
    }
}

/// Waits until the board is open, and opens it where nobody else does. `progress` hears how many users are loaded. Returns their
/// number.
///
/// # Errors
/// A store is away, or the board does not come to be open.
pub async fn wait_open(app: &App, progress: impl Fn(u64)) -> Result<u64, Fault> {
    let (mut seen, mut tries) = (None, 0);
    loop {
        let look = app.store.glance().await?;
        progress(look.loaded);
        if look.open {
            return Ok(look.loaded);
        }
        let stuck = look.outbox > 0 && seen == Some((look.outbox, look.loaded));
        tries = if stuck { tries + 1 } else { 0 };
        seen = Some((look.outbox, look.loaded));
        if tries > MOST_TRIES {
            let left = format!("{} entries in the outbox cannot be written; the log says why", look.outbox);
            return Err(Fault::new("open the board", left));
        }
        if let Some(mut lead) = Lead::try_take(&app.database).await? {
            let mut reader = app.store.outbox_reader().await?;
            open(app, &mut lead, &mut reader).await?;
            lead.release().await;
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
        due_ms = app.store.flush(app.config.live.min_interval_ms).await?;
    }
    Ok(())
}

/// The epoch that was confirmed last, and the newest moment in the ledger: what an older node writes is not in the head.
async fn read_head(app: &App, lead: &mut Lead) -> Result<(i64, i64), Fault> {
    let head = sqlx::query_as(
        "SELECT epoch, greatest(moment, (SELECT max(moment) FROM score_history WHERE seq IS NULL))
         FROM ledger_heads WHERE shard = $1",
    );
    let doing = "read the ledger's head";
    let asked = timed(&app.metrics, doing, head.bind(SHARD).fetch_one(lead.connection()));
    in_time(doing, HANGS_AFTER, asked).await
}

async fn write_epoch(app: &App, lead: &mut Lead, epoch: i64) -> Result<(), Fault> {
    let update = sqlx::query("UPDATE ledger_heads SET epoch = $2 WHERE shard = $1").bind(SHARD).bind(epoch);
    let doing = "write the epoch";
    let asked = timed(&app.metrics, doing, update.execute(lead.connection()));
    in_time(doing, HANGS_AFTER, asked).await.map(drop)
}
