//! Approvals and voids of held points. They arrive in the outbox like the awards that they decide about. The first decision at or after a
//! held award's own clock decides about it, whichever of them arrives first: a dead letter may be written long after its time.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::ledger::board_corrections;
use crate::store::{Entry, EntryKind};

/// The columns of a ledger entry that a decision changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The points count in the total but are not shown.
    pub held: bool,
    /// The void that removed the points.
    pub voided_by: Option<Uuid>,
}

/// The marks of new entries by event id, as far as they have any. They follow from the entries' own clocks, not from those that `awards`
/// gives to late ones: decisions have clocks of the same kind.
pub async fn marks(
    transaction: &mut PgConnection,
    entries: impl Iterator<Item = &Entry>,
) -> Result<HashMap<Uuid, Marks>, sqlx::Error> {
    let held: Vec<(&Entry, i64)> =
        entries.filter(|entry| entry.held).filter_map(|entry| Some((entry, entry.award?.2))).collect();
    if held.is_empty() {
        return Ok(HashMap::new());
    }
    let marks: Vec<(Uuid, bool, Option<Uuid>)> = sqlx::query_as(
        "SELECT it.event_id, decision.event_id IS NULL, CASE WHEN decision.is_void THEN decision.event_id END
         FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS it (event_id, user_id, hlc_us)
         LEFT JOIN LATERAL (SELECT event_id, is_void FROM held_decisions
                            WHERE user_id = it.user_id AND hlc_us >= it.hlc_us ORDER BY hlc_us LIMIT 1) decision ON TRUE",
    )
    .bind(held.iter().map(|(entry, _)| entry.id).collect::<Vec<Uuid>>())
    .bind(held.iter().map(|(entry, _)| entry.user).collect::<Vec<Uuid>>())
    .bind(held.iter().map(|(_, hlc_us)| *hlc_us).collect::<Vec<i64>>())
    .fetch_all(transaction)
    .await?;
    Ok(marks.into_iter().map(|(event, held, voided_by)| (event, Marks { held, voided_by })).collect())
}

/// What a void removed beyond the entries that it marks: points of entries that are not in the ledger yet.
pub async fn unmarked_points(transaction: &mut PgConnection, void: Uuid) -> Result<i64, sqlx::Error> {
    let points: Option<i64> = sqlx::query_scalar(
        "SELECT greatest(0, -void.points_earned - coalesce(sum(marked.points_earned), 0))::bigint
         FROM score_history void LEFT JOIN score_history marked ON marked.user_id = void.user_id AND marked.voided_by = void.event_id
         WHERE void.event_id = $1 GROUP BY void.points_earned",
    )
    .bind(void)
    .fetch_optional(transaction)
    .await?;
    // A void in a detached month is not known any more.
    Ok(points.unwrap_or(i64::MAX))
}

/// Writes the decisions among the entries, each once, and marks the rows that they decide about: all held rows up to the decision's clock,
/// and rows that a later void claimed because it arrived first. If the entry is the user's pending void, it also ends the quarantine: only
/// now does the void survive a loss of Redis, so nothing else may clear these two columns.
pub async fn write(transaction: &mut PgConnection, entries: &[Entry]) -> Result<(), sqlx::Error> {
    for entry in entries {
        let Some(hlc_us) = entry.clears else { continue };
        let is_void = entry.kind == EntryKind::Voided;
        let inserted = sqlx::query(
            "INSERT INTO held_decisions (event_id, user_id, hlc_us, is_void) VALUES ($1, $2, $3, $4)
             ON CONFLICT (event_id) DO NOTHING",
        );
        let inserted = inserted.bind(entry.id).bind(entry.user).bind(hlc_us).bind(is_void);
        if inserted.execute(&mut *transaction).await?.rows_affected() == 0 {
            continue;
        }
        sqlx::query(
            "UPDATE score_history SET held = FALSE, voided_by = $3
             WHERE user_id = $1 AND hlc_us <= $2
                   AND (held OR voided_by = (SELECT event_id FROM held_decisions
                                             WHERE user_id = $1 AND hlc_us > $2 ORDER BY hlc_us LIMIT 1))",
        )
        .bind(entry.user)
        .bind(hlc_us)
        .bind(is_void.then_some(entry.id))
        .execute(&mut *transaction)
        .await?;
        if is_void {
            sqlx::query(
                "UPDATE users SET quarantined_at = NULL, voids_id = NULL WHERE id = $1 AND voids_id = $2",
            )
            .bind(entry.user)
            .bind(entry.id)
            .execute(&mut *transaction)
            .await?;
            let note: Value = serde_json::from_str(&entry.proof).unwrap_or_default();
            let text = |name: &str| note[name].as_str().unwrap_or_default();
            let (actor, reason) = (text("actor"), text("reason"));
            board_corrections::record(transaction, entry.user, "void", actor, reason).await?;
        }
    }
    Ok(())
}
