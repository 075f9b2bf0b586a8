//! `lua/advance_clock.lua`.

use crate::error::Fault;
use crate::store::Store;
use crate::store::script::declaration::script;
use crate::store::shard::ShardPosition;

script! {
    advance_clock as AdvanceClockCall needs [clock epoch]
    keys [shard_state outbox]
    args {
        passed_us: i64 => tonumber,
        latest: ShardPosition,
    }
}

impl Store {
    /// Raises a shard's HLC to a time that has passed, so that no later award is before it. Returns the id of the newest entry of its outbox,
    /// which may be empty; `None` if the shard is closed, or its clock is before the time.
    ///
    /// # Errors
    /// Redis is unavailable, or the reply has another shape.
    pub async fn advance_clock(&self, shard: usize, passed_us: i64) -> Result<Option<String>, Fault> {
        let shard = &self.shards[shard];
        let call = AdvanceClockCall {
            shard_state: (&shard.keys.shard_state).into(),
            outbox: (&shard.keys.outbox).into(),
            passed_us,
            latest: shard.latest_position(),
        };
        let mut reply = self.run(shard, &call).await?;
        let (is_advanced, newest): (u8, String) = (reply.next()?, reply.next()?);
        Ok((is_advanced == 1).then_some(newest))
    }
}
