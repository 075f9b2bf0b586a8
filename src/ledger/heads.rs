//! What Postgres knows of the shards: over how many the board is split, in which epoch each was confirmed last, and the greatest moment
//! of each in the ledger. With one shard the chain's head has both, where nodes of older releases look too.

use std::collections::HashMap;

use sqlx::{PgConnection, Row};

use super::chain::{Head, SHARD};
use super::database::{HANGS_AFTER, in_time, timed};
use super::leader::LeaderLock;
use crate::app::App;
use crate::error::Fault;
use crate::store::Entry;

/// Where a shard stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardHead {
    /// The epoch that was confirmed last.
    pub epoch: i64,
    /// The greatest moment in the ledger: an open board is never behind it.
    pub hlc_us: i64,
}

/// Over how many shards the board was split when it was opened last; none if it never was.
const LAYOUT: &str = "coalesce((SELECT shards FROM board_layout), CASE WHEN epoch > 0 OR seq > 0 THEN 1 END)";

/// Where each shard stands, in their order.
///
/// # Errors
/// Postgres is away; or the board is split otherwise than this node is told.
pub async fn read(app: &App, leader: &mut LeaderLock) -> Result<Vec<ShardHead>, Fault> {
    let shards = app.store.shard_count();
    read_of(app, leader, shards).await?.map_err(|split| is_split_otherwise(split, shards))
}

/// What a node says that is told of another number of shards.
pub fn is_split_otherwise(split: usize, shards: usize) -> Fault {
    let told = format!("it is split over {split} shards, but redis.shards is {shards}: see docs/scaling.md");
    Fault::new("open the board", told)
}

/// The same of a board of so many shards; or over how many it is split in truth.
///
/// # Errors
/// Postgres is away.
pub async fn read_of(
    app: &App,
    leader: &mut LeaderLock,
    shards: usize,
) -> Result<Result<Vec<ShardHead>, usize>, Fault> {
    let doing = "read the ledger's head";
    let sql = format!(
        "SELECT {LAYOUT} AS layout, epoch,
                greatest(hlc_us, (SELECT max(hlc_us) FROM score_history WHERE seq IS NULL)) AS hlc_us
         FROM ledger_heads WHERE shard = $1"
    );
    let asked = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(SHARD).fetch_one(leader.connection());
    let head = in_time(doing, HANGS_AFTER, timed(&app.metrics, doing, asked)).await?;
    let layout: Option<i32> = head.get("layout");
    if let Some(layout) = layout.filter(|it| *it as usize != shards) {
        return Ok(Err(layout as usize));
    }
    if shards == 1 {
        return Ok(Ok(vec![ShardHead { epoch: head.get("epoch"), hlc_us: head.get("hlc_us") }]));
    }
    let asked =
        sqlx::query("SELECT shard, epoch, hlc_us FROM board_shards WHERE shards = $1").bind(shards as i32);
    let rows =
        in_time(doing, HANGS_AFTER, timed(&app.metrics, doing, asked.fetch_all(leader.connection()))).await?;
    let mut heads = vec![ShardHead::default(); shards];
    for row in rows {
        let head = ShardHead { epoch: row.get("epoch"), hlc_us: row.get("hlc_us") };
        heads[row.get::<i32, _>("shard") as usize] = head;
    }
    Ok(Ok(heads))
}

/// Over how many shards the board is split; none if it was never opened.
///
/// # Errors
/// Postgres is away.
pub async fn layout(app: &App) -> Result<Option<usize>, Fault> {
    let doing = "read the board's layout";
    let sql = format!("SELECT {LAYOUT} FROM ledger_heads WHERE shard = $1");
    let asked = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(SHARD).fetch_one(&app.database);
    let layout: Option<i32> = in_time(doing, HANGS_AFTER, timed(&app.metrics, doing, asked)).await?;
    Ok(layout.map(|it| it as usize))
}

/// Says over how many shards the board is split from now on. Each of them is in a later epoch than any ever was: whatever Redis still
/// has of such a board was left behind. And each is at the ledger's moment, so that its own go on from there.
///
/// # Errors
/// Postgres is away.
pub async fn write_layout(app: &App, leader: &mut LeaderLock, shards: usize) -> Result<(), Fault> {
    let doing = "write the board's layout";
    let update = sqlx::query(
        "WITH next AS (SELECT greatest(max(epoch), (SELECT max(epoch) FROM board_shards)) + 1 AS epoch FROM ledger_heads),
         layout AS (UPDATE board_layout SET shards = $1),
         one AS (UPDATE ledger_heads SET epoch = next.epoch FROM next WHERE $1 = 1)
         INSERT INTO board_shards (shards, shard, epoch, hlc_us)
         SELECT $1, shard, next.epoch, (SELECT max(hlc_us) FROM ledger_heads) FROM next, generate_series(0, $1 - 1) AS shard
         ON CONFLICT (shards, shard) DO UPDATE SET epoch = excluded.epoch, hlc_us = excluded.hlc_us",
    )
    .bind(shards as i32);
    in_time(doing, HANGS_AFTER, timed(&app.metrics, doing, update.execute(leader.connection())))
        .await
        .map(drop)
}

/// Notes that a shard was confirmed.
///
/// # Errors
/// Postgres is away.
pub async fn write_epoch(app: &App, leader: &mut LeaderLock, shard: usize, epoch: i64) -> Result<(), Fault> {
    let doing = "write the epoch";
    let shards = app.store.shard_count();
    let sql = if shards == 1 {
        "WITH layout AS (UPDATE board_layout SET shards = $1 WHERE shards IS NULL)
         UPDATE ledger_heads SET epoch = $3 WHERE shard = $2"
    } else {
        "WITH layout AS (UPDATE board_layout SET shards = $1 WHERE shards IS NULL)
         INSERT INTO board_shards (shards, shard, epoch) VALUES ($1, $2, $3)
         ON CONFLICT (shards, shard) DO UPDATE SET epoch = excluded.epoch"
    };
    let update = sqlx::query(sql).bind(shards as i32).bind(shard as i32).bind(epoch);
    in_time(doing, HANGS_AFTER, timed(&app.metrics, doing, update.execute(leader.connection())))
        .await
        .map(drop)
}

/// Notes how far a batch brings its shards: by awards, and by tokens that were spent without one. With one shard the head has it,
/// which the caller saves.
pub async fn write_hlcs(
    transaction: &mut PgConnection,
    head: &mut Head,
    shards: usize,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    let mut newest: HashMap<i32, i64> = HashMap::new();
    for (shard, hlc_us) in entries.iter().filter_map(|it| Some((it.shard as i32, it.hlc_us()?))) {
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
