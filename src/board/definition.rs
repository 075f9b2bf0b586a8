//! A board as its definition describes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Period, Schedule, Span};

/// Which awards a board counts by their action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionFilter {
    /// Awards of all actions.
    All,
    /// Awards of these action types.
    Types(Vec<String>),
}

/// What an award is worth on a board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// The points that it earned.
    #[default]
    Points,
    /// 1.
    Count,
    /// The value that its proof established, such as milliseconds.
    Value,
}

/// How the awards of a player become a score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    /// Their sum.
    #[default]
    Sum,
    /// The best one.
    Best,
    /// The latest one.
    Latest,
}

/// Which scores are better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// High scores.
    #[default]
    Desc,
    /// Low scores, such as times.
    Asc,
}

/// The ranks of equal results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ranking {
    /// 1, 2, 2, 4
    #[default]
    Competition,
    /// 1, 2, 2, 3
    Dense,
    /// 1, 2, 3, 4
    Ordinal,
}

/// Who may see a board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everyone.
    #[default]
    Public,
    /// Callers with a login.
    Players,
    /// Callers with the role `admin`.
    Admins,
}

impl Visibility {
    /// True if the caller may see the board.
    pub fn is_open_to(self, viewer: Viewer) -> bool {
        match self {
            Self::Public => true,
            Self::Players => viewer != Viewer::Anonymous,
            Self::Admins => viewer == Viewer::Admin,
        }
    }
}

/// A caller, as far as visibility depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// A caller without a login.
    Anonymous,
    /// A caller with a login.
    Player,
    /// A caller with the role `admin`.
    Admin,
}

/// How awards become entries. The rules of a period do not change while it is open, so they are stored with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Scores are the totals that `global` shows: the sum of all points that are not held, whatever they came from.
    pub is_total: bool,
    /// The actions whose awards count.
    pub actions: ActionFilter,
    /// The tags that an award must have, by name.
    pub tags: BTreeMap<String, String>,
    /// What an award is worth.
    pub measure: Measure,
    /// How awards become a score.
    pub aggregate: Aggregate,
    /// Which scores are better.
    pub order: Order,
    /// The ranks of equal results.
    pub ranking: Ranking,
    /// The tag for each of whose values there is one more board.
    pub split_by: Option<String>,
    /// The entries that are pushed to subscribers.
    pub top: u32,
    /// The awards that count for a player in a period; 0: any number.
    pub attempts: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            is_total: false,
            actions: ActionFilter::All,
            tags: BTreeMap::new(),
            measure: Measure::Points,
            aggregate: Aggregate::Sum,
            order: Order::Desc,
            ranking: Ranking::Competition,
            split_by: None,
            top: 10,
            attempts: 0,
        }
    }
}

impl Definition {
    /// When a period is closed, in µs since the Unix epoch; `i64::MAX` if it never ends.
    pub fn closes_us(&self, period: &Period) -> i64 {
        period.ends_us().saturating_add(self.settle.micros())
    }
}

impl Rules {
    /// Whether results have a subscore. A sum has none.
    pub fn has_subscores(&self) -> bool {
        self.aggregate != Aggregate::Sum
    }

    /// Whether awards of this action type can count.
    pub fn counts_action(&self, kind: &str) -> bool {
        match &self.actions {
            ActionFilter::All => true,
            ActionFilter::Types(types) => types.iter().any(|it| it == kind),
        }
    }

    /// Whether only awards with a value count.
    pub fn needs_value(&self) -> bool {
        self.measure == Measure::Value
    }

    /// Whether adjustments count: only on sums of points over all awards.
    pub fn counts_adjustments(&self) -> bool {
        (self.measure, self.aggregate) == (Measure::Points, Aggregate::Sum)
            && self.actions == ActionFilter::All
            && self.tags.is_empty()
    }
}

/// A board's definition. docs/boards.md explains each key of `boards.toml`.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its name in paths and keys.
    pub id: String,
    /// Its name for players.
    pub title: String,
    /// How awards become entries.
    pub rules: Rules,
    /// Its periods.
    pub schedule: Schedule,
    /// The time from the end of a period to its close.
    pub settle: Span,
    /// The closed periods that stay readable entry by entry.
    pub keep_periods: u32,
    /// The decimal places of a displayed score. Scores are integers.
    pub decimals: u32,
    /// Whether awards that are older than the definition count.
    pub backfill: bool,
    /// Who may see it.
    pub visibility: Visibility,
}

/// True for a tag's name: 1 to 40 characters of `a-z`, `0-9` or `_`.
pub fn is_tag_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=40).contains(&text.len()) && text.bytes().all(is_allowed)
}

/// True for a tag's value: 1 to 40 letters, digits, `_`, `.` or `-`. Values are parts of paths and keys.
pub fn is_tag_value(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=40).contains(&text.len()) && text.bytes().all(is_allowed)
}
