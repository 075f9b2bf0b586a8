//! `lua/look.lua`, `lua/flush.lua`, `lua/mend.lua`.

use uuid::Uuid;

use super::{Load, Store, fault, keys};
use crate::error::Fault;

/// What a node sees when it looks.
#[derive(Debug)]
pub struct Look {
    /// Whether this run of Redis was found to hold what the ledger holds, so that awards can be taken.
    pub open: bool,
    /// The epoch in which some run of it was: -1 if none, 0 if that was before epochs had numbers.
    pub epoch: i64,
    /// Redis' `run_id`.
    pub run: String,
    /// The last award's moment, µs by Redis' clock.
    pub moment: i64,
    /// Whether a load from the ledger goes on, or was cut short.
    pub loading: bool,
    /// Users whom the last load from the ledger has loaded so far.
    pub loaded: u64,
    /// Whether nobody is known to be missing among the ten.
    pub whole: bool,
    /// Entries that Postgres does not have yet.
    pub outbox: u64,
    /// When this was, in ms by Redis' clock.
    pub at_ms: i64,
    /// The board's version.
    pub version: i64,
    /// The newest version that was published.
    pub published: i64,
    /// Who was banned from the moment on that was asked for.
    pub banned: Vec<Uuid>,
    /// The ten, best first, if they are newer than the caller's.
    pub ten: Vec<String>,
}

/// The ten after something else than an award.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mended {
    /// When the changed board may be published, if the script could not; 0: it was.
    pub flush_due_ms: u64,
    /// Whether the ten hold the ten best scores. If not, somebody's newest award was not in the ledger yet.
    pub whole: bool,
}

impl Store {
    /// Looks at the board, the outbox, and the bans from a moment on (ms by Redis' clock).
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn look(&self, known_version: i64, bans_since_ms: i64) -> Result<Look, Fault> {
        let keys = [keys::BOARD_STATE, keys::BOARD_TEN, keys::OUTBOX, keys::BANNED];
        let arguments = [known_version.to_string(), bans_since_ms.to_string()];
        let mut reply = self.run("look", &self.scripts.look, &keys, &arguments).await?;
        let (open, epoch, run) = (reply.next::<u8>()? == 1, reply.next()?, reply.next()?);
        let (moment, loading, loaded) = (reply.next()?, reply.next::<u8>()? == 1, reply.next()?);
        let (whole, outbox) = (reply.next::<u8>()? == 1, reply.next()?);
        let (at_ms, version, published, bans) = (reply.next()?, reply.next()?, reply.next()?, reply.next()?);
        let banned = reply.take::<String>(bans)?.iter().filter_map(|it| it.parse().ok()).collect();
        // A Redis that was left behind in an earlier epoch may think that it is open.
        let open = open && self.learn_epoch(epoch);
        Ok(Look {
            open,
            epoch,
            run,
            moment,
            loading,
            loaded,
            whole,
            outbox,
            at_ms,
            version,
            published,
            banned,
            ten: reply.rest()?,
        })
    }

    /// Looks without the board itself.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn glance(&self) -> Result<Look, Fault> {
        self.look(i64::MAX, i64::MAX).await
    }

    /// The version of the newest board that was published.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn published(&self) -> Result<i64, Fault> {
        let mut get = redis::cmd("HGET");
        get.arg(keys::BOARD_STATE).arg("published");
        let version: Option<i64> = self.ask("look for the published version", &get).await?;
        Ok(version.unwrap_or(0))
    }

    /// Publishes a board that was held back. Returns the ms until it should be called again, 0 if nothing is left.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn flush(&self, publish_window_ms: u64) -> Result<u64, Fault> {
        let keys = [keys::BOARD_STATE, keys::BOARD_TEN, keys::BOARD_WINDOW];
        let arguments = [keys::BOARD_CHANNEL.to_owned(), publish_window_ms.to_string()];
        self.run("flush", &self.scripts.flush, &keys, &arguments).await?.next()
    }

    /// Merges candidates (`score moment userId number username`) into the ten, of an open board or of one that this load fills.
    /// Of any other nothing changes.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn mend(
        &self,
        candidates: &[String],
        publish_window_ms: u64,
        load: Option<&Load<'_>>,
    ) -> Result<Mended, Fault> {
        let keys = [keys::BOARD, keys::BOARD_STATE, keys::BOARD_TEN, keys::BOARD_WINDOW];
        let mut arguments = vec![
            keys::BOARD_CHANNEL.to_owned(),
            publish_window_ms.to_string(),
            load.map(|it| it.loader.clone()).unwrap_or_default(),
        ];
        arguments.extend_from_slice(candidates);
        self.run("mend", &self.scripts.mend, &keys, &arguments).await?.mended()
    }

    /// The best members of the board with their scores; within a tie in no order that matters.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn best(&self, count: usize) -> Result<Vec<(Uuid, u64)>, Fault> {
        let mut range = redis::cmd("ZREVRANGE");
        range.arg(keys::BOARD).arg(0).arg(count.saturating_sub(1)).arg("WITHSCORES");
        let best: Vec<(String, f64)> =
            range.query_async(&mut self.command()).await.map_err(|error| fault("read the best", error))?;
        Ok(best.into_iter().filter_map(|(user, score)| Some((user.parse().ok()?, score as u64))).collect())
    }
}
