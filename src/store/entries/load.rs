//! Loads a whole period beside the one that is shown, and then replaces that: `lua/replace_entries.lua`.

use std::sync::Arc;

use uuid::Uuid;

use crate::error::Fault;
use crate::store::Store;
use crate::store::entries::PeriodKey;
use crate::store::entries::apply::{Applied, Batch, EntryChange, EntryRules};
use crate::store::keys::entries_channel;
use crate::store::script::declaration::script;
use crate::store::shard::Shard;

script! {
    replace_entries as ReplaceEntriesCall needs [clock]
    keys [board state loaded loaded_state]
    args {
        batches: i64,
        to_seq: i64 => tonumber,
        as_of_ms: i64,
        floor: i64 => tonumber,
        channel: &'a str,
        period: &'a str,
    }
}

/// How long an unfinished load stays in Redis.
const EXPIRES_MS: u64 = 600_000;

/// A period that is being loaded.
pub struct EntriesLoad<'a> {
    store: &'a Store,
    place: Arc<Shard>,
    key: PeriodKey<'a>,
    rules: EntryRules,
    /// Stands in for the period's id in keys.
    id: String,
    batches: i64,
    entries: usize,
}

impl Store {
    /// Begins to load a period. It has no effect until `replace_entries`.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn load_entries<'a>(
        &'a self,
        key: PeriodKey<'a>,
        rules: EntryRules,
    ) -> Result<EntriesLoad<'a>, Fault> {
        let place = self.board_place(key.board);
        let id = format!("{}:{}", key.period, Uuid::new_v4().simple());
        let load = EntriesLoad { store: self, place, key, rules, id, batches: 0, entries: 0 };
        let state = format!("{}:state", load.scores());
        let mut begin = redis::pipe();
        begin.cmd("HSET").arg(&state).arg("seq").arg(0).ignore();
        begin.cmd("PEXPIRE").arg(&state).arg(EXPIRES_MS).ignore();
        self.ask_all::<()>(&load.place, "begin_entries_load", &begin).await?;
        Ok(load)
    }
}

impl EntriesLoad<'_> {
    fn scores(&self) -> String {
        PeriodKey { period: &self.id, ..self.key }.scores(&self.place)
    }

    fn progress_key(&self) -> String {
        format!("{}:loading", self.key.scores(&self.place))
    }

    /// Adds entries, each of which is `Change::Set`.
    ///
    /// # Errors
    /// Redis is unavailable, or it lost the load.
    pub async fn add(&mut self, changes: &[EntryChange]) -> Result<(), Fault> {
        let batch = Batch { from_seq: self.batches, to_seq: self.batches + 1, as_of_ms: 0, floor: 0 };
        let key = PeriodKey { period: &self.id, ..self.key };
        if self.store.apply_entries(key, self.rules, batch, changes).await? != Applied::Yes {
            return Err(Fault::retryable("load_entries", "Redis lost a part of the load"));
        }
        self.batches += 1;
        self.entries += changes.len();
        let mut progress = redis::cmd("SET");
        progress.arg(self.progress_key()).arg(self.entries).arg("PX").arg(EXPIRES_MS);
        self.store.ask(&self.place, "show_entries_load", &progress).await
    }

    /// Shows the loaded entries instead of the period's, which stand at `to_seq` of the ledger. False if the period stands later already.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn replace_entries(self, to_seq: i64, as_of_ms: i64, floor: i64) -> Result<bool, Fault> {
        let (scores, loaded) = (self.key.scores(&self.place), self.scores());
        let call = ReplaceEntriesCall {
            state: format!("{scores}:state").into(),
            loaded_state: format!("{loaded}:state").into(),
            board: scores.into(),
            loaded: loaded.into(),
            batches: self.batches,
            to_seq,
            as_of_ms,
            floor,
            channel: &entries_channel(self.key.board),
            period: self.key.period,
        };
        let mut reply = self.store.run(&self.place, &call).await?;
        let mut end = redis::cmd("DEL");
        end.arg(self.progress_key());
        self.store.ask::<()>(&self.place, "end_entries_load", &end).await?;
        reply.next()
    }
}
