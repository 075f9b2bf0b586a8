//! The Redis shards according to Postgres: their number, and each one's epoch and newest clock in the ledger. With one shard, the chain's
//! head holds both.

use std::collections::HashMap;

use sqlx::{PgConnection, Row};

use crate::db::{ANSWER_TIMEOUT, timed, with_timeout};
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::chain::{Head, SHARD};
use crate::ledger::leader::LeaderLock;
use crate::store::Entry;

/// State of a shard in the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardHead {
    /// The epoch it was opened in last.
    pub epoch: i64,
    /// Newest clock value in the ledger. An open board is never behind it.
    pub hlc_us: i64,
}

/// The shards in order.
///
/// # Errors
/// Postgres is unavailable, or the number of shards differs from the configured one.
pub async fn read(ledger: &Ledger, leader: &mut LeaderLock) -> Result<Vec<ShardHead>, Fault> {
    let shards = ledger.store.shard_count();
    read_for(ledger, leader, shards).await?.map_err(|actual| wrong_shard_count(actual, shards))
}

/// The error of a node that is configured for another number of shards.
pub fn wrong_shard_count(actual: usize, configured: usize) -> Fault {
    let problem = format!("it has {actual} shards, but redis.shards is {configured}: see docs/scaling.md");
    Fault::new("open_board", problem)
}

/// The shards of a board with `shards` shards. If it has another number, returns that as the inner error.
///
/// # Errors
/// Postgres is unavailable.
pub async fn read_for(
    ledger: &Ledger,
    leader: &mut LeaderLock,
    shards: usize,
) -> Result<Result<Vec<ShardHead>, usize>, Fault> {
    let query_name = "read_ledger_head";
    let sql = "SELECT (SELECT shards FROM board_layout) AS shards, epoch, hlc_us FROM ledger_heads WHERE shard = $1";
    let head = sqlx::query(sql).bind(SHARD).fetch_one(leader.connection());
    let head = with_timeout(query_name, ANSWER_TIMEOUT, timed(&ledger.metrics, query_name, head)).await?;
    let actual: Option<i32> = head.get("shards");
    if let Some(actual) = actual.filter(|actual| *actual as usize != shards) {
        return Ok(Err(actual as usize));
    }
    if shards == 1 {
        return Ok(Ok(vec![ShardHead { epoch: head.get("epoch"), hlc_us: head.get("hlc_us") }]));
    }
    let rows =
        sqlx::query("SELECT shard, epoch, hlc_us FROM board_shards WHERE shards = $1").bind(shards as i32);
    let rows = with_timeout(
        query_name,
        ANSWER_TIMEOUT,
        timed(&ledger.metrics, query_name, rows.fetch_all(leader.connection())),
    )
    .await?;
    let mut heads = vec![ShardHead::default(); shards];
    for row in rows {
        let head = ShardHead { epoch: row.get("epoch"), hlc_us: row.get("hlc_us") };
        heads[row.get::<i32, _>("shard") as usize] = head;
    }
    Ok(Ok(heads))
}

/// Number of shards of the board. None if no board was ever opened.
///
/// # Errors
/// Postgres is unavailable.
pub async fn shard_count(ledger: &Ledger) -> Result<Option<usize>, Fault> {
    let query_name = "read_board_layout";
    let count = sqlx::query_scalar("SELECT shards FROM board_layout").fetch_one(&ledger.database);
    let count: Option<i32> =
        with_timeout(query_name, ANSWER_TIMEOUT, timed(&ledger.metrics, query_name, count)).await?;
    Ok(count.map(|count| count as usize))
}

/// Changes the number of shards. Each shard gets an epoch later than any before, so boards that Redis still has count as left behind. Each
/// shard gets the ledger's newest clock, so new awards are above it.
///
/// # Errors
/// Postgres is unavailable.
pub async fn write_shard_count(ledger: &Ledger, leader: &mut LeaderLock, shards: usize) -> Result<(), Fault> {
    let query_name = "write_board_layout";
    let update = sqlx::query(
        "WITH next AS (SELECT greatest(max(epoch), (SELECT max(epoch) FROM board_shards)) + 1 AS epoch FROM ledger_heads),
         layout AS (UPDATE board_layout SET shards = $1),
         head AS (UPDATE ledger_heads SET epoch = next.epoch FROM next WHERE $1 = 1)
         INSERT INTO board_shards (shards, shard, epoch, hlc_us)
         SELECT $1, shard, next.epoch, (SELECT max(hlc_us) FROM ledger_heads) FROM next, generate_series(0, $1 - 1) AS shard
         ON CONFLICT (shards, shard) DO UPDATE SET epoch = excluded.epoch, hlc_us = excluded.hlc_us",
    )
    .bind(shards as i32);
    with_timeout(
        query_name,
        ANSWER_TIMEOUT,
        timed(&ledger.metrics, query_name, update.execute(leader.connection())),
    )
    .await
    .map(drop)
}

/// Notes that a shard was opened.
///
/// # Errors
/// Postgres is unavailable.
pub async fn write_epoch(
    ledger: &Ledger,
    leader: &mut LeaderLock,
    shard: usize,
    epoch: i64,
) -> Result<(), Fault> {
    let query_name = "write_epoch";
    let shards = ledger.store.shard_count();
    let sql = if shards == 1 {
        "WITH layout AS (UPDATE board_layout SET shards = $1 WHERE shards IS NULL)
         UPDATE ledger_heads SET epoch = $3 WHERE shard = $2"
    } else {
        "WITH layout AS (UPDATE board_layout SET shards = $1 WHERE shards IS NULL)
         INSERT INTO board_shards (shards, shard, epoch) VALUES ($1, $2, $3)
         ON CONFLICT (shards, shard) DO UPDATE SET epoch = excluded.epoch"
    };
    let update = sqlx::query(sql).bind(shards as i32).bind(shard as i32).bind(epoch);
    with_timeout(
        query_name,
        ANSWER_TIMEOUT,
        timed(&ledger.metrics, query_name, update.execute(leader.connection())),
    )
    .await
    .map(drop)
}

/// Advances the clocks of a batch's shards, also for tokens that were spent without an award. With one shard only `head` changes, which the
/// caller saves.
pub async fn advance(
    transaction: &mut PgConnection,
    head: &mut Head,
    shards: usize,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    let mut newest: HashMap<i32, i64> = HashMap::new();
    for (shard, hlc_us) in entries.iter().filter_map(|entry| Some((entry.shard as i32, entry.hlc_us()?))) {
        let known = newest.entry(shard).or_insert(hlc_us);
        *known = hlc_us.max(*known);
    }
    head.hlc_us = newest.values().copied().fold(head.hlc_us, i64::max);
    if shards == 1 || newest.is_empty() {
        return Ok(());
    }
    let (numbers, hlcs_us): (Vec<i32>, Vec<i64>) = newest.into_iter().unzip();
    sqlx::query(
        "INSERT INTO board_shards (shards, shard, hlc_us) SELECT $1, * FROM unnest($2::int[], $3::bigint[])
         ON CONFLICT (shards, shard) DO UPDATE SET hlc_us = greatest(board_shards.hlc_us, excluded.hlc_us)",
    )
    .bind(shards as i32)
    .bind(numbers)
    .bind(hlcs_us)
    .execute(transaction)
    .await
    .map(drop)
}
