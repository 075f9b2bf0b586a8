//! Compares the recorded requests and responses with the rows of the ledger.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use uuid::Uuid;

use super::history::{Event, Response};
use super::queries::Row;

/// A period whose changes Redis lost. Events that Postgres had by then must remain.
pub struct Loss {
    pub from: Duration,
    pub until: Duration,
    pub written: HashSet<Uuid>,
}

/// The counts of a round.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundCounts {
    pub events: usize,
    /// Events without a response that are in the ledger, and that are not.
    pub uncertain_written: usize,
    pub uncertain_not_written: usize,
    pub replays_refused: usize,
    pub lost: usize,
}

/// The comparison, with what is known from earlier rounds.
#[derive(Default)]
pub struct Audit {
    /// The highest `seq` of the ledger that was compared.
    pub seq: i64,
    /// Each user's total, and the `hlc_us` of the award that reached it.
    pub totals: HashMap<Uuid, (i64, i64)>,
    /// Descriptions of violations.
    pub violations: Vec<String>,
}

impl Audit {
    /// Every row belongs to a token that was issued to that user and redeemed, and each user's rows continue one another.
    pub fn check_rows(&mut self, rows: &[Row], events: &HashMap<Uuid, Event>) {
        for row in rows {
            self.seq = self.seq.max(row.seq.unwrap_or_default());
            let event = events.get(&row.event_id);
            let is_redeemed = event.is_some_and(|event| {
                event.user == row.user_id && event.points == row.points && !event.attempts.is_empty()
            });
            if !is_redeemed {
                let text = event
                    .map_or("it belongs to no issued token".into(), |event| event.describe(row.event_id));
                self.violations.push(format!("the ledger has {row:?}: {text}"));
            }
            let before = self.totals.get(&row.user_id).map_or(0, |total| total.0);
            if row.before != before || row.after != row.before + row.points {
                let text = format!("the ledger has {row:?}, but the user's previous row ends at {before}");
                self.violations.push(text);
            }
            self.totals.insert(row.user_id, (row.after, row.hlc_us));
        }
    }

    /// Acknowledged awards are in the ledger once, refused ones are not.
    pub fn check_events(
        &mut self,
        rows: &[Row],
        events: &HashMap<Uuid, Event>,
        losses: &[Loss],
    ) -> RoundCounts {
        let rows: HashMap<Uuid, &Row> = rows.iter().map(|row| (row.event_id, row)).collect();
        let new = events.values().filter(|event| !event.is_from_last_round).count();
        let mut counts = RoundCounts { events: new, ..RoundCounts::default() };
        for (id, event) in events {
            let row = rows.get(id);
            let mut is_lost = false;
            for (attempt, score) in event.awarded() {
                let may_be_lost = !event.is_acknowledged_by_ledger
                    && losses.iter().any(|loss| {
                        attempt.end > loss.from && attempt.start < loss.until && !loss.written.contains(id)
                    });
                let violation = match row {
                    Some(row) if row.after == score || may_be_lost => continue,
                    Some(row) => format!("{row:?} differs from the response: {}", event.describe(*id)),
                    None if may_be_lost => {
                        is_lost = true;
                        continue;
                    }
                    None => format!("an acknowledged award is lost: {}", event.describe(*id)),
                };
                self.violations.push(violation);
            }
            counts.lost += usize::from(is_lost);
            let is_awarded = event.awarded().next().is_some();
            let refused =
                event.attempts.iter().find(|attempt| matches!(attempt.response, Response::Refused(_)));
            match (is_awarded, row) {
                (true, _) => counts.replays_refused += usize::from(refused.is_some()),
                (false, Some(_)) if event.is_uncertain() => counts.uncertain_written += 1,
                (false, Some(row)) => {
                    self.violations.push(format!("{row:?} was refused: {}", event.describe(*id)));
                }
                (false, None) => {
                    counts.uncertain_not_written +=
                        usize::from(event.is_uncertain() && !event.is_from_last_round);
                }
            }
            // A retry under the same key gets the first response, unless Redis lost it.
            if let Some(refused) = refused
                && row.is_some()
                && losses.is_empty()
                && !refused.key.is_empty()
                && event.attempts.iter().all(|attempt| attempt.key == refused.key)
            {
                let text = event.describe(*id);
                self.violations.push(format!("a retry was refused, but its award counts: {text}"));
            }
        }
        counts
    }
}
