//! Boards: rankings of players over periods, as `boards.toml` defines them. No store and no clock: callers pass the time.

mod boards;
mod definition;
mod parse;
mod period;
mod schedule;
mod span;

pub use boards::{BoardProblems, Boards, GLOBAL};
pub use definition::{
    ActionFilter, Aggregate, Definition, Measure, Order, Ranking, Rules, Viewer, Visibility, is_tag_name,
    is_tag_value,
};
pub use parse::read_keys;
pub use period::{Period, Recurrence, Reset, Schedule, Unit};
pub use span::Span;
