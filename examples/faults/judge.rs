//! The record of requests and answers against the ledger's rows: what must hold of each token.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use uuid::Uuid;

use super::history::{Answer, Event};
use super::ledger::Row;

/// Redis lost what it did since a moment; what Postgres had by then must be there still.
pub struct Loss {
    pub from: Duration,
    pub until: Duration,
    pub written: HashSet<Uuid>,
}

/// What a round came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    pub events: usize,
    pub unsure_counted: usize,
    pub unsure_not: usize,
    pub replays_refused: usize,
    pub lost: usize,
}

/// What is known of earlier rows, and what is wrong.
#[derive(Default)]
pub struct Judge {
    /// The newest place in the ledger that was checked.
    pub seq: i64,
    /// Each user's total, and when it was reached.
    pub standings: HashMap<Uuid, (i64, i64)>,
    pub wrong: Vec<String>,
}

impl Judge {
    pub fn say(&mut self, what: String) {
        self.wrong.push(what);
    }

    /// Every row is of a token that was given to that user and handed in, and each user's rows chain.
    pub fn check_rows(&mut self, rows: &[Row], events: &HashMap<Uuid, Event>) {
        for row in rows {
            self.seq = self.seq.max(row.seq.unwrap_or_default());
            let known = events.get(&row.event_id);
            let fits = known.is_some_and(|it| {
                it.user == row.user_id && it.points == row.points && !it.attempts.is_empty()
            });
            if !fits {
                let told = known.map_or("of no token that was given out".into(), |it| it.tell(row.event_id));
                self.say(format!("the ledger has {row:?}: {told}"));
            }
            let before = self.standings.get(&row.user_id).map_or(0, |it| it.0);
            if row.before != before || row.after != row.before + row.points {
                self.say(format!("the ledger has {row:?}, but the user's last entry came to {before}"));
            }
            self.standings.insert(row.user_id, (row.after, row.hlc_us));
        }
    }

    /// What was acknowledged is there once, what was refused is not.
    pub fn check_events(&mut self, rows: &[Row], events: &HashMap<Uuid, Event>, losses: &[Loss]) -> Outcome {
        let rows: HashMap<Uuid, &Row> = rows.iter().map(|it| (it.event_id, it)).collect();
        let new = events.values().filter(|it| !it.late).count();
        let mut outcome = Outcome { events: new, ..Outcome::default() };
        for (id, event) in events {
            let row = rows.get(id);
            let mut lost = false;
            for (attempt, score) in event.awarded() {
                let excused = !event.by_ledger
                    && losses.iter().any(|it| {
                        attempt.end > it.from && attempt.start < it.until && !it.written.contains(id)
                    });
                match row {
                    Some(row) if row.after == score || excused => {}
                    Some(row) => self.say(format!("{row:?} is not what was answered: {}", event.tell(*id))),
                    None if excused => lost = true,
                    None => self.say(format!("an acknowledged award is lost: {}", event.tell(*id))),
                }
            }
            outcome.lost += usize::from(lost);
            let awarded = event.awarded().next().is_some();
            let refused = event.attempts.iter().find(|it| matches!(it.answer, Answer::Refused(_)));
            match (awarded, row) {
                (true, _) => outcome.replays_refused += usize::from(refused.is_some()),
                (false, Some(_)) if event.is_unsure() => outcome.unsure_counted += 1,
                (false, Some(row)) => self.say(format!("{row:?} was refused: {}", event.tell(*id))),
                (false, None) => outcome.unsure_not += usize::from(event.is_unsure() && !event.late),
            }
            // A repeat under a key gets the first answer, unless Redis lost it.
            if let Some(refused) = refused
                && row.is_some()
                && losses.is_empty()
                && !refused.key.is_empty()
                && event.attempts.iter().all(|it| it.key == refused.key)
            {
                self.say(format!("a repeat was refused, but its award counts: {}", event.tell(*id)));
            }
        }
        outcome
    }
}
