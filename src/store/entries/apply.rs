//! `lua/apply_entries.lua`.

use redis::Cmd;
use uuid::Uuid;

use crate::error::Fault;
use crate::store::Store;
use crate::store::entries::PeriodKey;
use crate::store::entries::order::{EntryOrder, Ranked};
use crate::store::keys::entries_channel;
use crate::store::script::declaration::{Encode, script};

script! {
    apply_entries as ApplyEntriesCall needs [clock entry_order]
    keys [board state]
    args {
        from_seq: i64,
        to_seq: i64,
        as_of_ms: i64,
        aggregate: &'static str,
        order_bytes: usize => tonumber,
        is_dense: bool => tonumber,
        is_total: bool => tonumber,
        max_attempts: u32 => tonumber,
        top: u32 => tonumber,
        floor: i64 => tonumber,
        channel: &'a str,
        period: &'a str,
    }
    more_args { changes: EntryChange }
}

/// What a change does to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// An award counts.
    Add(Ranked),
    /// The entry has this result, from so many awards.
    Set(Ranked, u32),
    /// The user has no entry, on the boards of all values.
    Remove,
}

/// A change of one user's entry.
#[derive(Clone, Debug)]
pub struct EntryChange {
    /// How the board orders entries.
    pub order: EntryOrder,
    /// The value of the tag that the board is split by; `None`: the board of all values.
    pub split: Option<String>,
    /// The user.
    pub user: Uuid,
    /// The user's name.
    pub username: String,
    /// The change.
    pub change: Change,
}

impl Encode for EntryChange {
    fn encode(&self, command: &mut Cmd) {
        let split = split_suffix(self.split.as_deref());
        let (kind, result) = match self.change {
            Change::Add(result) => (format!("+{split}"), Some(result)),
            Change::Set(result, attempts) => (format!("={attempts}{split}"), Some(result)),
            Change::Remove => ("-".to_owned(), None),
        };
        let mut member = result.map(|result| self.order.key(result)).unwrap_or_default();
        member.extend_from_slice(self.user.as_bytes());
        command.arg(kind).arg(member);
        command.arg(result.map_or(0, |result| self.order.stored_score(result.score))).arg(&self.username);
    }
}

/// What the key and the channel of one value's board end with.
pub fn split_suffix(value: Option<&str>) -> String {
    value.map(|value| format!("@{value}")).unwrap_or_default()
}

/// How a period's entries follow from awards.
#[derive(Clone, Copy, Debug)]
pub struct EntryRules {
    /// `sum`, `best` or `latest`.
    pub aggregate: &'static str,
    /// How entries are ordered.
    pub order: EntryOrder,
    /// Whether ranks are dense.
    pub is_dense: bool,
    /// Whether an entry with the score 0 is removed, as on `global`.
    pub is_total: bool,
    /// The awards that count for a player; 0: any number.
    pub max_attempts: u32,
    /// The entries of which a change is announced as a change of the top.
    pub top: u32,
}

/// Where a period stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The batch was applied.
    Yes,
    /// The period stands at another sequence number; `None`: it is not loaded.
    StandsAt(Option<i64>),
}

/// A batch of changes from one sequence number of the ledger to another.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// The period stands here before.
    pub from_seq: i64,
    /// And here afterwards.
    pub to_seq: i64,
    /// Everything redeemed until then is counted (ms by Redis' clock).
    pub as_of_ms: i64,
    /// Versions must be above this.
    pub floor: i64,
}

impl Store {
    /// Applies a batch to a period.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn apply_entries(
        &self,
        key: PeriodKey<'_>,
        rules: EntryRules,
        batch: Batch,
        changes: &[EntryChange],
    ) -> Result<Applied, Fault> {
        let place = self.board_place(key.board);
        let scores = key.scores(&place);
        let Batch { from_seq, to_seq, as_of_ms, floor } = batch;
        let call = ApplyEntriesCall {
            state: format!("{scores}:state").into(),
            board: scores.into(),
            from_seq,
            to_seq,
            as_of_ms,
            aggregate: rules.aggregate,
            order_bytes: rules.order.key_bytes(),
            is_dense: rules.is_dense,
            is_total: rules.is_total,
            max_attempts: rules.max_attempts,
            top: rules.top,
            floor,
            channel: &entries_channel(key.board),
            period: key.period,
            changes,
        };
        let mut reply = self.run(&place, &call).await?;
        let stands_at: i64 = reply.next()?;
        Ok(match stands_at {
            _ if stands_at == to_seq => Applied::Yes,
            -1 => Applied::StandsAt(None),
            stands_at => Applied::StandsAt(Some(stands_at)),
        })
    }

    /// The sequence number of the ledger at which a period stands; `None`: it is not loaded.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn entries_seq(&self, key: PeriodKey<'_>) -> Result<Option<i64>, Fault> {
        let place = self.board_place(key.board);
        let mut get = redis::cmd("HGET");
        get.arg(format!("{}:state", key.scores(&place))).arg("seq");
        self.ask(&place, "read_entries_seq", &get).await
    }

    /// Deletes a period.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn delete_entries(&self, key: PeriodKey<'_>) -> Result<(), Fault> {
        let place = self.board_place(key.board);
        let scores = key.scores(&place);
        let values = self.split_values(key).await?;
        let mut unlink = redis::cmd("UNLINK");
        for split in [None].into_iter().chain(values.iter().map(|value| Some(value.as_str()))) {
            let scores = format!("{scores}{}", split_suffix(split));
            for ending in ["", ":entries", ":results", ":result_counts"] {
                unlink.arg(format!("{scores}{ending}"));
            }
        }
        unlink.arg(format!("{scores}:state"));
        self.ask(&place, "delete_entries", &unlink).await
    }
}
