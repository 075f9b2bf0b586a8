//! The root of a closed period: a digest of all its entries, signed by a receipt key. Who can write to Postgres but has no key cannot change
//! a result unnoticed.
//!
//! The root is the SHA-256 of one line per entry, in the order of positions: position, rank, user's UUID, score, subscore (empty if there is
//! none) and the time of the result as the API shows it, separated by tabs and ended by a line feed. So anyone can recompute it from the
//! API's pages, as docs/boards.md shows. It has no names, which players may change and which go when an account is deleted. Each value
//! of a tag has a root of its own, since its pages are a list of their own.

use std::collections::BTreeMap;
use std::fmt::Write;

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row};
use tokio::task::coop::consume_budget;
use uuid::Uuid;

use crate::clock::rfc3339;
use crate::receipt::ReceiptKeys;

/// The signed part of a row of `board_revisions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedRoot {
    /// The board's address: its id, or `id@value`.
    pub board: String,
    /// Id of the period.
    pub period: String,
    /// 1 for the close.
    pub revision: i32,
    /// The root, in hex.
    pub root: String,
    /// Number of entries.
    pub entries: i64,
    /// Time of the revision in ms, by Postgres' clock.
    pub at: i64,
}

/// The address of the board of all values (`split` is empty) or of one value.
pub fn address(board: &str, split: &str) -> String {
    if split.is_empty() { board.to_owned() } else { format!("{board}@{split}") }
}

/// The root of some entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The digest.
    pub hash: Vec<u8>,
    /// Number of entries.
    pub entries: i64,
}

/// Reads entries in their order into a root.
struct RootBuilder {
    digest: Context,
    line: String,
    entries: i64,
}

impl RootBuilder {
    fn new() -> Self {
        Self { digest: Context::new(&SHA256), line: String::new(), entries: 0 }
    }

    fn add(&mut self, row: &sqlx::postgres::PgRow) -> Result<(), sqlx::Error> {
        let (position, rank): (i64, i64) = (row.try_get("position")?, row.try_get("rank")?);
        let (user, score): (Uuid, i64) = (row.try_get("user_id")?, row.try_get("score")?);
        let subscore =
            row.try_get::<Option<i64>, _>("subscore")?.map(|it| it.to_string()).unwrap_or_default();
        let achieved_at = rfc3339(row.try_get::<i64, _>("achieved_us")? / 1000);
        self.line.clear();
        let line = writeln!(self.line, "{position}\t{rank}\t{user}\t{score}\t{subscore}\t{achieved_at}");
        line.map_err(|error| sqlx::Error::Encode(error.into()))?;
        self.digest.update(self.line.as_bytes());
        self.entries += 1;
        Ok(())
    }

    fn finish(self) -> Root {
        Root { hash: self.digest.finish().as_ref().to_vec(), entries: self.entries }
    }
}

/// The roots of a period's entries, by value of the tag. The board of all values is there even without entries.
pub async fn compute_roots(
    connection: &mut PgConnection,
    board: &str,
    period: &str,
) -> Result<BTreeMap<String, Root>, sqlx::Error> {
    let mut builders = BTreeMap::from([(String::new(), RootBuilder::new())]);
    let rows = sqlx::query(
        "SELECT split, position, rank, user_id, score, subscore, achieved_us FROM board_entries
         WHERE board = $1 AND period = $2 ORDER BY split, position",
    );
    let mut rows = rows.bind(board).bind(period).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        // Postgres is faster than this loop, so without it the thread would do nothing else for some 100,000 rows.
        consume_budget().await;
        let split: &str = row.try_get("split")?;
        match builders.get_mut(split) {
            Some(builder) => builder.add(&row)?,
            None => builders.entry(split.to_owned()).or_insert_with(RootBuilder::new).add(&row)?,
        }
    }
    Ok(builders.into_iter().map(|(split, builder)| (split, builder.finish())).collect())
}

/// Why a period has a new revision.
#[derive(Clone, Copy, Debug)]
pub struct Cause<'a> {
    /// As in `admin_audit`.
    pub actor: &'a str,
    /// The reason.
    pub reason: &'a str,
}

/// Signs and inserts a revision for each root that differs from the newest one. Returns the number of revisions.
pub async fn write_revisions(
    transaction: &mut PgConnection,
    keys: &ReceiptKeys,
    board: &str,
    period: &str,
    cause: Cause<'_>,
) -> Result<usize, sqlx::Error> {
    let mut roots = compute_roots(&mut *transaction, board, period).await?;
    let known: Vec<(String, i32, Vec<u8>)> = sqlx::query_as(
        "SELECT DISTINCT ON (split) split, revision, root FROM board_revisions WHERE board = $1 AND period = $2
         ORDER BY split, revision DESC",
    )
    .bind(board)
    .bind(period)
    .fetch_all(&mut *transaction)
    .await?;
    let mut revisions = BTreeMap::new();
    for (split, revision, hash) in known {
        let root = roots.entry(split.clone()).or_insert_with(|| RootBuilder::new().finish());
        if root.hash == hash {
            roots.remove(&split);
        } else {
            revisions.insert(split, revision);
        }
    }
    let at: i64 = sqlx::query_scalar("SELECT (extract(epoch FROM now()) * 1000)::bigint")
        .fetch_one(&mut *transaction)
        .await?;
    for (split, Root { hash, entries }) in &roots {
        let revision = revisions.get(split).copied().unwrap_or(0) + 1;
        let signed = SignedRoot {
            board: address(board, split),
            period: period.to_owned(),
            revision,
            root: HEXLOWER.encode(hash),
            entries: *entries,
            at,
        };
        let signature =
            keys.sign_board_root(&signed).map_err(|fault| sqlx::Error::Encode(fault.to_string().into()))?;
        sqlx::query(
            "INSERT INTO board_revisions (board, period, split, revision, root, entries, signature, actor, reason, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, to_timestamp($10::bigint / 1000.0))",
        )
        .bind(board)
        .bind(period)
        .bind(split)
        .bind(revision)
        .bind(hash)
        .bind(entries)
        .bind(signature)
        .bind(cause.actor)
        .bind(cause.reason)
        .bind(at)
        .execute(&mut *transaction)
        .await?;
    }
    Ok(roots.len())
}
