//! `lua/open_board.lua`, `lua/raise_version.lua`, and the gate: which run of Redis holds the board, and in which epoch it was found so.

use super::keys::BOARD_CHANNEL;
use super::shard::Seen;
use super::{Load, Store};
use crate::error::Fault;

impl Store {
    /// The newest that this node has seen of a shard, by its number.
    pub fn seen(&self, shard: usize) -> Seen {
        self.shards[shard].seen()
    }

    /// The epochs that this node knows, in one number that grows with each.
    pub fn known_epochs(&self) -> i64 {
        self.shards.iter().map(|it| it.seen().epoch).sum()
    }

    /// Opens a shard, by its number, under an epoch and lifts its version above `least_moment` (µs), if Redis is still in the `run` that was
    /// looked at. A board that was loaded is opened by who loaded it. Returns when the board may be published (ms; 0: it was);
    /// `None` if nothing was done: it is another run, or somebody else loads the board or has opened it.
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn open_board(
        &self,
        shard: usize,
        run: &str,
        epoch: i64,
        min_hlc_us: i64,
        publish_interval_ms: u64,
        load: Option<&Load<'_>>,
    ) -> Result<Option<u64>, Fault> {
        let shard = &self.shards[shard];
        let keys = [shard.keys.state.as_str(), &shard.keys.top, &shard.keys.throttle];
        let arguments = [
            run.to_owned(),
            epoch.to_string(),
            min_hlc_us.to_string(),
            self.board_channel(),
            publish_interval_ms.to_string(),
            load.map(|it| it.loader.clone()).unwrap_or_default(),
        ];
        let mut reply = self.run(shard, &self.scripts.open_board, &keys, &arguments).await?;
        let done = reply.next::<u8>()? == 1;
        if !done {
            return Ok(None);
        }
        shard.see(epoch, 0);
        Ok(Some(self.see_to(shard, reply.next()?, publish_interval_ms).await))
    }

    /// Lifts the version of an open board above one that was shown. Returns when it may be published (ms; 0: it was, or it
    /// had been lifted before).
    ///
    /// # Errors
    /// Redis is away, or answers what the script cannot.
    pub async fn raise_version(&self, shown_version: i64, publish_interval_ms: u64) -> Result<u64, Fault> {
        let shown = self.shown();
        let keys = [shown.keys.state.as_str(), &shown.keys.top, &shown.keys.throttle];
        let arguments =
            [shown_version.to_string(), BOARD_CHANNEL.to_owned(), publish_interval_ms.to_string()];
        self.run(shown, &self.scripts.raise_version, &keys, &arguments).await?.next()
    }

    /// Closes a shard, by its number, until this run is confirmed anew; its epoch stays known.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn suspend(&self, shard: usize) -> Result<(), Fault> {
        let shard = &self.shards[shard];
        let mut command = redis::cmd("HDEL");
        command.arg(&shard.keys.state).arg("run");
        self.ask::<i64>(shard, "suspend_shard", &command).await.map(drop)
    }

    /// Closes the board: awards are refused until it was loaded again.
    ///
    /// # Errors
    /// Redis is away; some shards may be closed.
    pub async fn close_board(&self) -> Result<(), Fault> {
        for shard in &self.shards {
            let mut command = redis::cmd("HDEL");
            command.arg(&shard.keys.state).arg("epoch");
            self.ask::<i64>(shard, "close_board", &command).await?;
        }
        Ok(())
    }
}
