//! Which ledger entries count on a board, and for what. Twice: for the next entries of the chain in Rust, and for whole periods in SQL.
//! `laurel verify` compares the two.

use std::collections::BTreeMap;

use serde::Deserialize;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row};
use uuid::Uuid;

use crate::board::{ActionFilter, Aggregate, Measure, Order, Ranking, Rules};
use crate::ledger::chain::{Link, SHARD};
use crate::ledger::outbox::held_decisions::Marks;
use crate::store::{Change, EntryChange, EntryOrder, EntryRules, Ranked};

/// The largest score, and the negative of the smallest: doubles are exact up to here.
const LARGEST_SCORE: i64 = (1 << 53) - 1;

/// What a proof established about an award, from the ledger entry's note.
#[derive(Debug, Default, Deserialize)]
struct AwardResult {
    value: Option<i64>,
    subscore: Option<i64>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

impl AwardResult {
    /// Reads the note of an award. Redis wrote it, so it has this form or is empty.
    fn read(note: &str) -> Self {
        if note.is_empty() { Self::default() } else { serde_json::from_str(note).unwrap_or_default() }
    }
}

/// The user of an entry, as far as boards depend on them.
#[derive(Debug)]
pub struct EntryUser {
    pub username: String,
    pub is_banned: bool,
    pub is_quarantined: bool,
}

/// A ledger entry, as far as boards depend on it.
#[derive(Debug, Default)]
pub struct LedgerEntry {
    pub seq: i64,
    pub hlc_us: i64,
    user: Uuid,
    username: String,
    is_banned: bool,
    is_quarantined: bool,
    is_held: bool,
    /// An award, and not an adjustment.
    is_award: bool,
    action: String,
    points: i64,
    result: AwardResult,
}

/// The actions of ledger entries without a token that count as points.
const ADJUSTMENTS: [&str; 2] = ["adjust", "seed"];

impl LedgerEntry {
    /// An entry that was added to the chain; `None` if it was voided before it arrived.
    pub fn added(seq: i64, link: &Link<'_>, marks: Marks, user: &EntryUser) -> Option<Self> {
        let is_award = !link.token_hash.is_empty();
        marks.voided_by.is_none().then(|| Self {
            seq,
            hlc_us: link.hlc_us,
            user: link.user,
            username: user.username.clone(),
            is_banned: user.is_banned,
            is_quarantined: user.is_quarantined,
            is_held: marks.held,
            is_award,
            action: link.action.to_owned(),
            points: link.points,
            result: if is_award { AwardResult::read(link.note) } else { AwardResult::default() },
        })
    }

    /// Reads entries of the chain after `from`, at most `limit`.
    pub async fn read(
        connection: &mut PgConnection,
        from: i64,
        limit: i64,
    ) -> Result<Vec<Self>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT seq, hlc_us, user_id, username, banned_at IS NOT NULL AS is_banned, quarantined_at IS NOT NULL AS is_quarantined,
                    held, action_token_hash <> '' AS is_award, action_type, points_earned,
                    CASE WHEN action_token_hash <> '' THEN note::text END AS result
             FROM score_history JOIN users ON users.id = user_id
             WHERE shard = $1 AND seq > $2 AND seq <= $2 + $3 AND voided_by IS NULL ORDER BY seq",
        );
        let rows = rows.bind(SHARD).bind(from).bind(limit).fetch_all(connection).await?;
        rows.iter().map(Self::from_row).collect()
    }

    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let result: Option<String> = row.try_get("result")?;
        let result = AwardResult::read(&result.unwrap_or_default());
        Ok(Self {
            seq: row.try_get("seq")?,
            hlc_us: row.try_get("hlc_us")?,
            user: row.try_get("user_id")?,
            username: row.try_get("username")?,
            is_banned: row.try_get("is_banned")?,
            is_quarantined: row.try_get("is_quarantined")?,
            is_held: row.try_get("held")?,
            is_award: row.try_get("is_award")?,
            action: row.try_get("action_type")?,
            points: row.try_get("points_earned")?,
            result,
        })
    }

    /// The changes of a board's entries: one on the board, and one more on the board of the award's value of the tag that it is split by.
    pub fn changes(&self, rules: &Rules) -> impl Iterator<Item = EntryChange> {
        let score = self.score(rules);
        let split = rules.split_by.as_ref().and_then(|tag| self.result.tags.get(tag)).cloned();
        let splits = [None].into_iter().chain(split.map(Some));
        score.into_iter().zip(std::iter::repeat(splits)).flat_map(move |(score, splits)| {
            let subscore = self.result.subscore.filter(|_| rules.has_subscores());
            let change = Change::Add(Ranked { score, subscore, hlc_us: self.hlc_us });
            splits.map(move |split| EntryChange {
                order: order(rules),
                split,
                user: self.user,
                username: self.username.clone(),
                change,
            })
        })
    }

    /// What the entry is worth; `None` if it does not count.
    fn score(&self, rules: &Rules) -> Option<i64> {
        if rules.is_total {
            // A void removes entries that do not count any more, and what was carried has been counted.
            let is_change = self.is_award || !["void", "carried"].contains(&self.action.as_str());
            let is_held = self.is_held && self.is_quarantined;
            return (is_change && !is_held && !self.is_banned).then_some(self.points);
        }
        if self.is_banned || self.is_quarantined {
            return None;
        }
        if !self.is_award {
            let counts = rules.counts_adjustments() && ADJUSTMENTS.contains(&self.action.as_str());
            return counts.then_some(self.points);
        }
        let is_counted = rules.counts_action(&self.action);
        let has_tags = rules.tags.iter().all(|(name, value)| self.result.tags.get(name) == Some(value));
        match rules.measure {
            _ if !is_counted || !has_tags => None,
            Measure::Points => Some(self.points),
            Measure::Count => Some(1),
            Measure::Value => self.result.value,
        }
    }
}

/// How Redis orders the entries.
pub fn order(rules: &Rules) -> EntryOrder {
    EntryOrder { ascending: rules.order == Order::Asc, has_subscores: rules.has_subscores() }
}

/// How Redis makes entries of awards.
pub fn entry_rules(rules: &Rules) -> EntryRules {
    let aggregate = match rules.aggregate {
        Aggregate::Sum => "sum",
        Aggregate::Best => "best",
        Aggregate::Latest => "latest",
    };
    EntryRules {
        aggregate,
        order: order(rules),
        is_dense: rules.ranking == Ranking::Dense,
        is_total: rules.is_total,
        max_attempts: rules.attempts,
        top: rules.top,
    }
}

/// Some awards of a period.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// Clocks from here on…
    pub from_us: i64,
    /// … up to here, exclusive.
    pub until_us: i64,
    /// Entries of the chain up to this one.
    pub to_seq: i64,
    /// Of these users only.
    pub users: Option<&'a [Uuid]>,
}

impl Span<'_> {
    /// Whether an award with this clock can count.
    pub fn contains(&self, hlc_us: i64) -> bool {
        (self.from_us..self.until_us).contains(&hlc_us)
    }
}

/// The query for the entries of a period: `split`, `user_id`, `username`, `score`, `subscore`, `hlc_us` and `attempts`, in no order.
pub fn entries_query(rules: &Rules, span: Span<'_>) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new("");
    push_entries(&mut query, rules, span);
    query
}

/// Appends `entries_query`.
pub fn push_entries(query: &mut QueryBuilder<Postgres>, rules: &Rules, span: Span<'_>) {
    query.push("WITH counted AS (SELECT user_id, hlc_us, seq, ");
    query.push(match rules.measure {
        Measure::Points => "points_earned",
        Measure::Count => "1::bigint",
        Measure::Value => "(note->>'value')::bigint",
    });
    query.push(" AS score, ");
    query.push(if rules.has_subscores() { "(note->>'subscore')::bigint" } else { "NULL::bigint" });
    query.push(" AS subscore, ");
    match &rules.split_by {
        Some(tag) => query.push("note->'tags'->>").push_bind(tag.clone()),
        None => query.push("NULL::text"),
    };
    query.push(" AS split FROM score_history WHERE voided_by IS NULL AND shard = ").push_bind(SHARD);
    query.push(" AND hlc_us >= ").push_bind(span.from_us).push(" AND hlc_us < ").push_bind(span.until_us);
    query.push(" AND seq <= ").push_bind(span.to_seq);
    if let Some(users) = span.users {
        query.push(" AND user_id = ANY(").push_bind(users.to_vec()).push(")");
    }
    if rules.is_total {
        query.push(
            " AND (NOT held OR EXISTS (SELECT FROM users WHERE id = user_id AND quarantined_at IS NULL))
             AND (action_token_hash <> '' OR action_type <> 'void')",
        );
    } else {
        push_counted(query, rules);
    }
    query.push(
        "), on_boards AS (
             SELECT NULL::text AS split, user_id, hlc_us, seq, score, subscore FROM counted
             UNION ALL SELECT split, user_id, hlc_us, seq, score, subscore FROM counted WHERE split IS NOT NULL), ",
    );
    if rules.attempts > 0 {
        query.push(
            "numbered AS (SELECT *, row_number() OVER (PARTITION BY split, user_id ORDER BY hlc_us, seq) AS number FROM on_boards),
             counted_attempts AS (SELECT * FROM numbered WHERE number <= ",
        );
        query.push_bind(i64::from(rules.attempts)).push("), ");
    } else {
        query.push("counted_attempts AS (SELECT * FROM on_boards), ");
    }
    query.push("results AS (");
    query.push(match (rules.aggregate, rules.order) {
        // An award of 0 does not make a player late.
        (Aggregate::Sum, _) => {
            "SELECT split, user_id, sum(score) AS score, NULL::bigint AS subscore,
                    coalesce(max(hlc_us) FILTER (WHERE score <> 0), min(hlc_us)) AS hlc_us, count(*) AS attempts
             FROM counted_attempts GROUP BY split, user_id"
        }
        (Aggregate::Best, Order::Desc) => {
            "SELECT DISTINCT ON (split, user_id) split, user_id, score, subscore, hlc_us,
                    count(*) OVER (PARTITION BY split, user_id) AS attempts
             FROM counted_attempts ORDER BY split, user_id, score DESC, subscore DESC NULLS LAST, hlc_us, seq"
        }
        (Aggregate::Best, Order::Asc) => {
            "SELECT DISTINCT ON (split, user_id) split, user_id, score, subscore, hlc_us,
                    count(*) OVER (PARTITION BY split, user_id) AS attempts
             FROM counted_attempts ORDER BY split, user_id, score, subscore NULLS LAST, hlc_us, seq"
        }
        (Aggregate::Latest, _) => {
            "SELECT DISTINCT ON (split, user_id) split, user_id, score, subscore, hlc_us,
                    count(*) OVER (PARTITION BY split, user_id) AS attempts
             FROM counted_attempts ORDER BY split, user_id, hlc_us DESC, seq DESC"
        }
    });
    query.push(") SELECT split, user_id, username, greatest(least(results.score, ");
    query.push_bind(LARGEST_SCORE).push("), ").push_bind(-LARGEST_SCORE);
    query.push(")::bigint AS score, subscore, hlc_us, attempts FROM results JOIN users ON users.id = user_id WHERE banned_at IS NULL");
    query.push(if rules.is_total { " AND results.score > 0" } else { " AND quarantined_at IS NULL" });
}

/// The condition on a ledger entry to count on a board.
fn push_counted(query: &mut QueryBuilder<Postgres>, rules: &Rules) {
    query.push(" AND (action_token_hash <> ''");
    if let ActionFilter::Types(types) = &rules.actions {
        query.push(" AND action_type = ANY(").push_bind(types.clone()).push(")");
    }
    if rules.needs_value() {
        query.push(" AND note ? 'value'");
    }
    if !rules.tags.is_empty() {
        query.push(" AND note->'tags' @> ").push_bind(sqlx::types::Json(rules.tags.clone()));
    }
    if rules.counts_adjustments() {
        let actions: Vec<String> = ADJUSTMENTS.map(str::to_owned).into();
        query.push(" OR action_token_hash = '' AND action_type = ANY(").push_bind(actions).push(")");
    }
    query.push(")");
}

/// Reads a row of `entries_query` as a change that sets the entry.
pub fn set_entry(rules: &Rules, row: &PgRow) -> Result<EntryChange, sqlx::Error> {
    let result = Ranked {
        score: row.try_get("score")?,
        subscore: row.try_get("subscore")?,
        hlc_us: row.try_get("hlc_us")?,
    };
    let attempts: i64 = row.try_get("attempts")?;
    Ok(EntryChange {
        order: order(rules),
        split: row.try_get("split")?,
        user: row.try_get("user_id")?,
        username: row.try_get("username")?,
        change: Change::Set(result, u32::try_from(attempts).unwrap_or(u32::MAX)),
    })
}
