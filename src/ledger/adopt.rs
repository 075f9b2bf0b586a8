//! Entries that nodes wrote which did not chain yet are put into the chain, oldest first.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool};

use super::chain::{Hash, Head, SHARD};
use super::checkpoint::{self, Checkpoint};
use super::entry::{COLUMNS, link};
use super::{begin, sql_fault};
use crate::error::Fault;
use crate::receipt::ReceiptKeys;

/// Entries a transaction.
const PAGE: i64 = 5000;

/// Chains all that is not. Any node may help.
///
/// # Errors
/// Postgres is away; the next try goes on.
pub async fn adopt(database: &PgPool, keys: &ReceiptKeys) -> Result<(), Fault> {
    let mut adopted = 0;
    loop {
        let page =
            adopt_page(database, keys).await.map_err(|error| sql_fault("chain older entries", error))?;
        adopted += page;
        if page > 0 {
            tracing::info!(adopted, "entries of older nodes were chained");
        }
        if page < PAGE as u64 {
            return Ok(());
        }
    }
}

async fn adopt_page(database: &PgPool, keys: &ReceiptKeys) -> Result<u64, sqlx::Error> {
    let mut transaction = begin(database, "BEGIN").await?;
    let mut head = Head::take(&mut transaction).await?;
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM score_history WHERE seq IS NULL ORDER BY hlc_us LIMIT $1"
    )))
    .bind(PAGE)
    .fetch_all(&mut *transaction)
    .await?;
    let mut places = Vec::with_capacity(rows.len());
    for row in &rows {
        places.push(head.append(&link(row)?));
    }
    set_places(&mut transaction, &rows, &places).await?;
    head.save(&mut transaction).await?;
    let checkpoint = checkpoint::write_if_due(&mut transaction, keys, &head).await?;
    transaction.commit().await?;
    checkpoint.iter().for_each(Checkpoint::log);
    Ok(rows.len() as u64)
}

async fn set_places(
    transaction: &mut PgConnection,
    rows: &[PgRow],
    places: &[(i64, Hash)],
) -> Result<(), sqlx::Error> {
    let ids: Result<Vec<_>, _> = rows.iter().map(|row| link(row).map(|it| it.event_id)).collect();
    sqlx::query(
        "UPDATE score_history SET shard = $4, seq = it.seq, hash = it.hash
         FROM unnest($1::uuid[], $2::bigint[], $3::bytea[]) AS it (event_id, seq, hash)
         WHERE score_history.event_id = it.event_id AND score_history.seq IS NULL",
    )
    .bind(ids?)
    .bind(places.iter().map(|(seq, _)| *seq).collect::<Vec<i64>>())
    .bind(places.iter().map(|(_, hash)| hash.as_slice()).collect::<Vec<&[u8]>>())
    .bind(SHARD)
    .execute(transaction)
    .await
    .map(drop)
}
