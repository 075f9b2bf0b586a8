//! Opening and closing the board: `lua/open_board.lua` and `lua/raise_version.lua`.

use crate::error::Fault;
use crate::store::script::declaration::script;
use crate::store::shard::ShardPosition;
use crate::store::{BoardId, Load, Store};

script! {
    open_board as OpenBoardCall needs [clock epoch entry board]
    keys [shard_state board_state top throttle]
    args {
        run: &'a str,
        epoch: i64,
        least_hlc_us: i64 => tonumber,
        board_channel: Option<&'a str>,
        publish_interval_ms: u64,
        loader: &'a str,
    }
}

script! {
    raise_version as RaiseVersionCall needs [clock epoch entry board]
    keys [shard_state board_state top throttle]
    args {
        shown_version: i64 => tonumber,
        board_channel: &'a str,
        publish_interval_ms: u64,
    }
}

impl Store {
    /// The newest epoch and HLC that this node has seen of a shard.
    pub fn latest_position(&self, shard: usize) -> ShardPosition {
        self.shards[shard].latest_position()
    }

    /// The sum of the shards' epochs that this node has seen. It grows with every new epoch.
    pub fn known_epochs(&self) -> i64 {
        self.shards.iter().map(|shard| shard.latest_position().epoch).sum()
    }

    /// Opens a shard under a new epoch and raises its version above an HLC, if Redis is still in the `run` that was compared with the ledger. A
    /// board that was loaded needs its load. Returns the ms until the board may be published (0: it was published); `None` if nothing was
    /// done, because this is another run, or another node loads or has opened the board.
    ///
    /// # Errors
    /// Redis is unavailable, or the reply has another shape.
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
        let (names, board) = (&shard.keys, shard.keys.board(BoardId::GLOBAL));
        let call = OpenBoardCall {
            shard_state: (&names.shard_state).into(),
            board_state: (&board.state).into(),
            top: (&board.top).into(),
            throttle: (&board.throttle).into(),
            run,
            epoch,
            least_hlc_us: min_hlc_us,
            board_channel: self.script_channel(board),
            publish_interval_ms,
            loader: load.map_or("", |load| &load.loader),
        };
        let mut reply = self.run(shard, &call).await?;
        let done = reply.next::<u8>()? == 1;
        if !done {
            return Ok(None);
        }
        shard.record_position(epoch, 0);
        Ok(Some(self.merge_if_due(shard, reply.next()?, publish_interval_ms).await))
    }

    /// Raises the version of an open board above one that was shown. Returns the ms until it may be published (0: it was published, or was
    /// newer already).
    ///
    /// # Errors
    /// Redis is unavailable, or the reply has another shape.
    pub async fn raise_version(&self, shown_version: i64, publish_interval_ms: u64) -> Result<u64, Fault> {
        let shown = self.shown();
        let (names, board) = (&shown.keys, shown.keys.board(BoardId::GLOBAL));
        let call = RaiseVersionCall {
            shard_state: (&names.shard_state).into(),
            board_state: (&board.state).into(),
            top: (&board.top).into(),
            throttle: (&board.throttle).into(),
            shown_version,
            board_channel: &board.channel,
            publish_interval_ms,
        };
        self.run(shown, &call).await?.next()
    }

    /// Closes a shard until its run is opened again. Its epoch stays.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn suspend(&self, shard: usize) -> Result<(), Fault> {
        let shard = &self.shards[shard];
        let mut command = redis::cmd("HDEL");
        command.arg(&shard.keys.shard_state).arg("run");
        self.ask::<i64>(shard, "suspend_shard", &command).await.map(drop)
    }

    /// Closes all shards: awards are refused until the board was loaded again.
    ///
    /// # Errors
    /// Redis is away; some shards may be closed.
    pub async fn close_board(&self) -> Result<(), Fault> {
        for shard in &self.shards {
            let mut command = redis::cmd("HDEL");
            command.arg(&shard.keys.shard_state).arg("epoch");
            self.ask::<i64>(shard, "close_board", &command).await?;
        }
        Ok(())
    }
}
