//! The ten as Redis keeps them against the ten as the ledger says.

use std::time::Instant;

use super::{Difference, PAUSE, is_settled};
use crate::app::App;
use crate::error::Fault;
use crate::ledger::best::{best_at_hand, best_of_all};

/// Whose ten the ledger is asked for.
#[derive(Clone, Copy)]
pub enum Of {
    /// All users'.
    All,
    /// Those of the users who have the most in Redis: no table is read as a whole.
    AtHand,
}

/// Each place that differs, once the outbox is empty.
pub async fn compare(app: &App, of: Of) -> Result<Vec<Difference>, Fault> {
    let started = Instant::now();
    loop {
        let kept = app.store.poll(0, i64::MAX).await?.top;
        let wanted = match of {
            Of::All => best_of_all(&app.database).await?,
            Of::AtHand => best_at_hand(app).await?,
        };
        let differences = places(&kept, &wanted);
        if differences.is_empty() || is_settled(app, started).await? {
            return Ok(differences);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn places(kept: &[String], wanted: &[String]) -> Vec<Difference> {
    let place = |entries: &[String], at: usize| entries.get(at).map(|it| shown(it));
    (0..kept.len().max(wanted.len()))
        .filter_map(|at| {
            let (kept, wanted) = (place(kept, at), place(wanted, at));
            let text = |it: Option<String>| it.unwrap_or_else(|| "nobody".to_owned());
            (kept != wanted).then(|| Difference {
                of: format!("place {}", at + 1),
                what: format!("the board lists {}, the ledger {}", text(kept), text(wanted)),
            })
        })
        .collect()
}

/// What is seen of an entry `score moment userId number username`: all but the moment, which only settles the order.
fn shown(entry: &str) -> String {
    let mut words: Vec<&str> = entry.splitn(5, ' ').collect();
    if words.len() > 1 {
        words.remove(1);
    }
    words.join(" ")
}
