//! Which awards are refused because every board that would count them has `attempts` and is full: the rules that the award script needs,
//! for each action that such a board counts. Every node computes them twice a second; without such an action it reads nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde::Serialize;
use sqlx::{PgConnection, Row};

use super::counting::entries_query;
use super::periods::{OpenPeriod, list_open, read_open};
use crate::action::{Action, Catalogue};
use crate::board::{Definition, Recurrence, Rules};
use crate::ledger::Ledger;
use crate::store::AttemptCount;

const INTERVAL: Duration = Duration::from_millis(500);
/// How old the present may be by the time when the rules are used, or ahead of Redis' clock.
const SLACK_US: i64 = 60_000_000;
/// The current period of a board and the next one, if no leader has begun it.
const PERIODS: usize = 2;

/// The rules by action type, in the JSON of `lua/lib/attempts.lua`.
#[derive(Default)]
pub struct AttemptRules(ArcSwap<HashMap<String, Arc<str>>>);

impl AttemptRules {
    /// The rules for an action; `None` if no award of it is counted.
    pub fn of(&self, action: &str) -> Option<Arc<str>> {
        self.0.load().get(action).cloned()
    }
}

#[derive(Serialize)]
struct ActionRules<'a> {
    refuses: bool,
    periods: Vec<&'a CountedPeriod<'a>>,
}

/// A period as the script sees it.
#[derive(Serialize)]
struct CountedPeriod<'a> {
    board: &'a str,
    id: String,
    from_us: i64,
    until_us: i64,
    attempts: u32,
    needs_value: bool,
    tags: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    split_by: Option<&'a str>,
    #[serde(skip)]
    rules: &'a Rules,
}

impl<'a> CountedPeriod<'a> {
    fn new(board: &'a str, id: String, from_us: i64, until_us: i64, rules: &'a Rules) -> Self {
        Self {
            board,
            id,
            from_us,
            until_us,
            attempts: rules.attempts,
            needs_value: rules.needs_value(),
            tags: &rules.tags,
            split_by: rules.split_by.as_deref(),
            rules,
        }
    }
}

/// Keeps the rules current for ever.
pub async fn follow_attempts_forever(ledger: Arc<Ledger>) {
    let mut open = Vec::new();
    loop {
        let boards = ledger.boards.all();
        let refusable = find_refusable(&ledger.catalogue, &boards);
        if !refusable.is_empty() {
            match read_open(&ledger).await {
                Ok(periods) => open = periods,
                Err(fault) => tracing::debug!(%fault, "open periods not read, using the older list"),
            }
        }
        let now_us = ledger.health.redis_now_ms(ledger.clock.now_ms()) * 1000;
        let rules = compute(&ledger.catalogue, &boards, &open, &refusable, now_us);
        ledger.attempts.0.store(Arc::new(rules));
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The actions of 0 points, which `global` does not count, without those that another board always counts.
fn find_refusable<'a>(catalogue: &'a Catalogue, boards: &[Arc<Definition>]) -> Vec<&'a Action> {
    let always_counts = |board: &Definition, kind: &str| {
        let is_endless = matches!(board.schedule.recurrence, Recurrence::None | Recurrence::Calendar { .. });
        let Rules { is_total, attempts, .. } = board.rules;
        let is_plain = board.rules.tags.is_empty() && !board.rules.needs_value();
        is_endless && !is_total && attempts == 0 && is_plain && board.rules.counts_action(kind)
    };
    let is_refusable = |action: &&Action| {
        action.most_points() == 0 && !boards.iter().any(|board| always_counts(board, &action.kind))
    };
    catalogue.all().iter().filter(is_refusable).collect()
}

/// Whether a board's counts can decide about an award: it also counts an action whose awards may be refused.
fn is_decisive(rules: &Rules, refusable: &[&Action]) -> bool {
    rules.attempts > 0 && refusable.iter().any(|action| rules.counts_action(&action.kind))
}

fn compute(
    catalogue: &Catalogue,
    boards: &[Arc<Definition>],
    open: &[OpenPeriod],
    refusable: &[&Action],
    now_us: i64,
) -> HashMap<String, Arc<str>> {
    if refusable.is_empty() {
        return HashMap::new();
    }
    let mut periods = Vec::new();
    for board in boards.iter().filter(|board| !board.rules.is_total) {
        let begun: Vec<_> = open.iter().filter(|period| period.board == board.id).collect();
        for period in begun.iter().filter(|period| period.ends_us > now_us - SLACK_US) {
            let span = period.span(i64::MAX);
            periods.push(CountedPeriod::new(
                &board.id,
                period.id.clone(),
                span.from_us,
                span.until_us,
                &period.rules,
            ));
        }
        let begun_until_us = begun.iter().map(|period| period.ends_us).max().unwrap_or(i64::MIN);
        let first = Timestamp::from_microsecond((now_us - SLACK_US).max(begun_until_us)).ok();
        let first = first.and_then(|at| board.schedule.at_or_after(at));
        for period in std::iter::successors(first, |period| board.schedule.next(period)).take(PERIODS) {
            let (from_us, until_us) = (period.starts_us().max(begun_until_us), period.ends_us());
            periods.push(CountedPeriod::new(&board.id, period.id, from_us, until_us, &board.rules));
        }
    }
    let mut by_action = HashMap::new();
    for action in catalogue.all() {
        let refuses = refusable.iter().any(|it| it.kind == action.kind);
        let is_needed = |period: &&CountedPeriod<'_>| {
            period.rules.counts_action(&action.kind) && (refuses || is_decisive(period.rules, refusable))
        };
        let periods: Vec<_> = periods.iter().filter(is_needed).collect();
        if periods.iter().any(|period| period.attempts > 0) {
            let rules = ActionRules { refuses, periods };
            let json = serde_json::to_string(&rules).expect("numbers and texts are JSON");
            by_action.insert(action.kind.clone(), json.into());
        }
    }
    by_action
}

/// What players have of their attempts in open periods, by the ledger. Periods that end later come later.
pub async fn count_attempts(
    ledger: &Ledger,
    connection: &mut PgConnection,
) -> Result<Vec<AttemptCount>, sqlx::Error> {
    let boards = ledger.boards.all();
    let refusable = find_refusable(&ledger.catalogue, &boards);
    let mut counts = Vec::new();
    if refusable.is_empty() {
        return Ok(counts);
    }
    let mut open = list_open(connection, &boards).await?;
    open.retain(|period| is_decisive(&period.rules, &refusable));
    open.sort_by_key(|period| period.ends_us);
    for period in &open {
        let mut query = entries_query(&period.rules, period.span(i64::MAX));
        for row in query.build().fetch_all(&mut *connection).await? {
            let split: Option<String> = row.try_get("split")?;
            counts.push(AttemptCount {
                user: row.try_get("user_id")?,
                address: split.map_or(period.board.clone(), |value| format!("{}@{value}", period.board)),
                period: period.id.clone(),
                awards: row.try_get("attempts")?,
                until_ms: (period.ends_us < i64::MAX).then_some(period.ends_us / 1000),
            });
        }
    }
    Ok(counts)
}
