//! Compares the entries of closed periods with the roots that were signed when they were closed, or revised.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, QueryBuilder, Row};
use uuid::Uuid;

use super::close::push_final_entries;
use super::root::{Root, SignedRoot, address, compute_roots};
use crate::db::{begin, sql_fault};
use crate::error::Fault;
use crate::ledger::Ledger;
use crate::ledger::chain::verify::{Mismatch, Report};
use crate::receipt::ReceiptVerifier;

/// Most entries of a period that are reported as different from the ledger.
const MAX_ENTRIES: i64 = 10;

/// Checks the closed periods of all boards, or of one: the signatures of all revisions, and the entries as far as they were not deleted. Returns
/// the number of entries.
///
/// # Errors
/// Postgres is unavailable.
pub async fn verify_closed(
    ledger: &Ledger,
    board: Option<&str>,
    report: &mut Report<'_>,
) -> Result<u64, Fault> {
    let fault = |error| sql_fault("verify_closed_periods", error);
    let closed = sqlx::query_as(
        "SELECT board, period FROM board_periods WHERE closed_at IS NOT NULL AND board = coalesce($1, board)
         ORDER BY board, starts_us",
    );
    let closed: Vec<(String, String)> =
        closed.bind(board).fetch_all(&ledger.database).await.map_err(fault)?;
    let mut entries = 0;
    for (board, period) in closed {
        // A revision changes the entries and the roots in one transaction.
        let statement = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let mut snapshot = begin(&ledger.database, statement).await.map_err(fault)?;
        let mut period = ClosedPeriod { board: &board, period: &period, connection: &mut snapshot };
        entries += period.verify(ledger.receipts.verifier(), report).await.map_err(fault)?;
    }
    Ok(entries)
}

struct ClosedPeriod<'a> {
    board: &'a str,
    period: &'a str,
    connection: &'a mut PgConnection,
}

impl ClosedPeriod<'_> {
    async fn verify(&mut self, keys: &ReceiptVerifier, report: &mut Report<'_>) -> Result<u64, sqlx::Error> {
        let row = sqlx::query(
            "SELECT counts_from_us, ends_us, rules, has_entries FROM board_periods WHERE board = $1 AND period = $2",
        );
        let row = row.bind(self.board).bind(self.period).fetch_one(&mut *self.connection).await?;
        let roots = self.check_revisions(keys, report).await?;
        if !row.try_get::<bool, _>("has_entries")? {
            return Ok(0);
        }
        let mut found = compute_roots(&mut *self.connection, self.board, self.period).await?;
        let entries = found.values().map(|root| root.entries as u64).sum();
        let mut is_changed = false;
        for (split, signed) in &roots {
            let is_match = match found.remove(split) {
                Some(root) => root == *signed,
                // A value that has no entries any more.
                None => signed.entries == 0,
            };
            if !is_match {
                is_changed = true;
                let detail = "its entries differ from its signed root".to_owned();
                report(Mismatch { subject: self.subject(split), detail });
            }
        }
        for split in found.into_keys() {
            is_changed = true;
            let detail = "it has no signed root".to_owned();
            report(Mismatch { subject: self.subject(&split), detail });
        }
        if is_changed {
            self.compare_with_ledger(&row, report).await?;
        }
        Ok(entries)
    }

    fn subject(&self, split: &str) -> String {
        format!("board {}, period {}", address(self.board, split), self.period)
    }

    /// Checks what was signed. Returns the newest root of each value's board.
    async fn check_revisions(
        &mut self,
        keys: &ReceiptVerifier,
        report: &mut Report<'_>,
    ) -> Result<BTreeMap<String, Root>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT split, revision, root, entries, signature, (extract(epoch FROM at) * 1000)::bigint AS at,
                    revision = row_number() OVER (PARTITION BY split ORDER BY revision) AS is_next
             FROM board_revisions WHERE board = $1 AND period = $2 ORDER BY split, revision",
        );
        let rows = rows.bind(self.board).bind(self.period).fetch_all(&mut *self.connection).await?;
        let mut roots = BTreeMap::new();
        for row in rows {
            let split: String = row.try_get("split")?;
            let root = Root { hash: row.try_get("root")?, entries: row.try_get("entries")? };
            let signed = SignedRoot {
                board: address(self.board, &split),
                period: self.period.to_owned(),
                revision: row.try_get("revision")?,
                root: HEXLOWER.encode(&root.hash),
                entries: root.entries,
                at: row.try_get("at")?,
            };
            let problem = match keys.board_root::<SignedRoot>(row.try_get("signature")?) {
                Err(error) => Some(error.to_string()),
                Ok(claims) if claims != signed => Some("it differs from what was signed".to_owned()),
                Ok(_) if !row.try_get::<bool, _>("is_next")? => {
                    Some("the one before it is missing".to_owned())
                }
                Ok(_) => None,
            };
            if let Some(problem) = problem {
                let detail = format!("revision {}: {problem}", signed.revision);
                report(Mismatch { subject: self.subject(&split), detail });
            }
            roots.insert(split, root);
        }
        Ok(roots)
    }

    /// Reports the best entries that are not what the ledger says.
    async fn compare_with_ledger(
        &mut self,
        period: &PgRow,
        report: &mut Report<'_>,
    ) -> Result<(), sqlx::Error> {
        let columns = "split, position, rank, user_id, score, subscore, achieved_us";
        let mut query = QueryBuilder::new("WITH computed AS (SELECT ");
        query.push(columns).push(" FROM (");
        push_final_entries(&mut query, period)?;
        query
            .push(") AS entries), closed AS (SELECT ")
            .push(columns)
            .push(" FROM board_entries WHERE board = ");
        query.push_bind(self.board.to_owned()).push(" AND period = ").push_bind(self.period.to_owned());
        query.push(
            "), differing AS (
                 SELECT TRUE AS is_closed, extra.* FROM (TABLE closed EXCEPT TABLE computed) AS extra
                 UNION ALL SELECT FALSE, missing.* FROM (TABLE computed EXCEPT TABLE closed) AS missing),
             described AS (
                 SELECT split, position, user_id, is_closed,
                        concat_ws(' ', 'position', position, 'rank', rank, 'score', score, 'subscore ' || subscore, 'at', achieved_us) AS entry
                 FROM differing)
             SELECT split, user_id, coalesce(max(entry) FILTER (WHERE is_closed), 'no entry') AS closed,
                    coalesce(max(entry) FILTER (WHERE NOT is_closed), 'no entry') AS computed
             FROM described GROUP BY split, user_id ORDER BY split, min(position) LIMIT ",
        );
        query.push_bind(MAX_ENTRIES);
        for row in query.build().fetch_all(&mut *self.connection).await? {
            let (split, user): (String, Uuid) = (row.try_get("split")?, row.try_get("user_id")?);
            let (closed, computed): (String, String) = (row.try_get("closed")?, row.try_get("computed")?);
            let subject = format!("{}, user {user}", self.subject(&split));
            report(Mismatch { subject, detail: format!("it has {closed}, the ledger {computed}") });
        }
        Ok(())
    }
}
