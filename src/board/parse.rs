//! Reads the entries of the boards' file.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Span;
use super::boards::GLOBAL;
use super::definition::{ActionFilter, Aggregate, Definition, Measure, Rules, is_tag_name, is_tag_value};
use super::schedule::read_schedule;
use crate::config::did_you_mean;
use crate::config::fields::{self, Fields};
use crate::error::FieldError;

/// The default of `settle` and its longest value.
const SETTLE: Span = Span::Seconds(600);
const LONGEST_SETTLE: Span = Span::Days(30);

/// Reads all valid boards of a file and reports the problems of the others.
pub fn read_boards(mut file: Fields<'_>, action_types: &[&str]) -> Vec<Definition> {
    let entries = file.tables("board", "", |place, entry| match entry.text_of("id") {
        Some(id) => format!("board {id}"),
        None => format!("board {place}"),
    });
    file.reject_unknown();
    fields::check_unique(&entries, "id");
    entries.into_iter().filter_map(|entry| read_board(entry, Some(action_types))).collect()
}

/// Reads the keys of one board from JSON. Without `action_types` its actions need not be in the catalogue.
///
/// # Errors
/// All problems, by key.
pub fn read_keys(
    keys: &Map<String, Value>,
    action_types: Option<&[&str]>,
) -> Result<Definition, Vec<FieldError>> {
    let unreadable =
        "must have the keys of boards.toml with texts, whole numbers, true or false, lists and objects";
    let text = toml::to_string(keys).map_err(|_| vec![FieldError::new("body", unreadable)])?;
    let read = fields::parse(&text, |fields| read_board(fields, action_types));
    let problems = match read {
        Ok(Some(definition)) => return Ok(definition),
        Ok(None) => Vec::new(),
        Err(problems) => problems,
    };
    Err(problems.iter().map(|problem| field_error(problem)).collect())
}

/// Reads `line 3: period.until must be …`: each problem begins with its key.
fn field_error(problem: &str) -> FieldError {
    let text = problem.split_once(": ").map_or(problem, |(_, text)| text);
    let (key, problem) = text.split_once([' ', ':']).unwrap_or((text, ""));
    FieldError::new(key, problem.trim_start())
}

/// Reads a board; `None` if it is invalid, which is reported.
fn read_board(mut fields: Fields<'_>, action_types: Option<&[&str]>) -> Option<Definition> {
    fields.check(fields.has("id"), "id is missing");
    let id = fields.parsed("id", parse_id);
    let title = fields.parsed_or("title", id.clone().unwrap_or_default(), parse_title);
    let actions = read_actions(&mut fields, action_types);
    let tags = read_tags(&mut fields);
    let measure: Measure = fields.optional("measure").unwrap_or_default();
    let aggregate: Aggregate = fields.optional("aggregate").unwrap_or_default();
    let order = fields.optional("order").unwrap_or_default();
    let schedule = read_schedule(&mut fields);
    let settle = fields
        .parsed("settle", |text| Span::parse_within(text, Span::Seconds(0), LONGEST_SETTLE))
        .unwrap_or(SETTLE);
    let keep_periods = fields.number("keep_periods", 1..=10_000, 104);
    let ranking = fields.optional("ranking").unwrap_or_default();
    let split_by = fields.parsed("split_by", parse_tag_name);
    let top = fields.number("top", 3..=100, 10);
    let decimals = fields.number("decimals", 0..=9, 0);
    let attempts = fields.number("attempts", 0..=1_000_000, 0);
    let backfill = fields.optional("backfill").unwrap_or(true);
    let visibility = fields.optional("visibility").unwrap_or_default();
    fields.check(
        measure != Measure::Count || aggregate == Aggregate::Sum,
        "aggregate must be \"sum\" with measure = \"count\", where every award is 1",
    );
    fields.reject_unknown();
    Some(Definition {
        id: id?,
        title: title?,
        rules: Rules {
            is_total: false,
            actions,
            tags,
            measure,
            aggregate,
            order,
            ranking,
            split_by,
            top,
            attempts,
        },
        schedule: schedule?,
        settle,
        keep_periods,
        decimals,
        backfill,
        visibility,
    })
}

fn parse_id(text: &str) -> Result<String, String> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(1..=40).contains(&text.len()) || !text.bytes().all(is_allowed) {
        return Err("must be 1 to 40 characters: a-z, 0-9 or -".to_owned());
    }
    if text == GLOBAL {
        return Err("must not be global, which always exists and cannot be defined".to_owned());
    }
    Ok(text.to_owned())
}

fn parse_title(text: &str) -> Result<String, String> {
    let is_title = (1..=100).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    is_title.then(|| text.to_owned()).ok_or_else(|| "must be 1 to 100 characters on one line".to_owned())
}

fn parse_tag_name(text: &str) -> Result<String, String> {
    is_tag_name(text)
        .then(|| text.to_owned())
        .ok_or_else(|| "must be a tag's name: 1 to 40 characters of a-z, 0-9 or _".to_owned())
}

/// Reads `actions`: `"*"`, or a list of types of the catalogue.
fn read_actions(fields: &mut Fields<'_>, action_types: Option<&[&str]>) -> ActionFilter {
    if fields.text_of("actions").is_some() {
        let _: Option<()> = fields.parsed("actions", |text| match text {
            "*" => Ok(()),
            _ => Err("must be \"*\" or a list of action types".to_owned()),
        });
        return ActionFilter::All;
    }
    let Some(types) = fields.list::<String>("actions") else { return ActionFilter::All };
    fields.check(!types.is_empty(), "actions must name at least one, or be \"*\" for all");
    for (place, kind) in types.iter().enumerate() {
        if let Some(known) = action_types.filter(|known| !known.contains(&kind.as_str())) {
            let meant = did_you_mean(kind, known.iter().copied());
            fields.report(format!("actions: the catalogue has no action {kind}{meant}"));
        }
        fields.check(!types[..place].contains(kind), &format!("actions has {kind} twice"));
    }
    ActionFilter::Types(types)
}

/// Reads `where`: the values that an award's tags must have.
fn read_tags(fields: &mut Fields<'_>) -> BTreeMap<String, String> {
    let name = fields.name().to_owned();
    let Some(mut table) = fields.table("where", &name, "where.") else { return BTreeMap::new() };
    let mut tags = BTreeMap::new();
    for tag in table.names() {
        table.check(
            is_tag_name(&tag),
            &format!("where.{tag} must be a tag's name: 1 to 40 characters of a-z, 0-9 or _"),
        );
        let value = table.parsed(&tag, |value| match is_tag_value(value) {
            true => Ok(value.to_owned()),
            false => Err("must be 1 to 40 letters, digits, _, . or -".to_owned()),
        });
        tags.extend(value.map(|value| (tag, value)));
    }
    table.reject_unknown();
    tags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::boards::tests::parse;
    use crate::board::{Order, Ranking, Recurrence, Unit, Visibility};
    use crate::config::fields::assert_problems;

    #[test]
    fn every_key_is_read() {
        let text = r#"
            [[board]]
            id = "weekly-1"
            title = "This week"
            actions = ["race"]
            where = { mode = "ranked", map = "Nordschleife" }
            measure = "value"
            aggregate = "best"
            order = "asc"
            period = "week"
            resets_at = "Mon 09:00"
            time_zone = "Europe/Berlin"
            settle = "1d"
            keep_periods = 52
            ranking = "dense"
            split_by = "country"
            top = 100
            decimals = 3
            attempts = 3
            backfill = false
            visibility = "players"
        "#;
        let boards = parse(text).unwrap();
        let board = &boards.all()[1];
        assert_eq!((board.id.as_str(), board.title.as_str()), ("weekly-1", "This week"));
        assert_eq!(board.rules.actions, ActionFilter::Types(vec!["race".to_owned()]));
        assert_eq!((board.rules.tags["mode"].as_str(), board.rules.tags.len()), ("ranked", 2));
        assert_eq!(
            (board.rules.measure, board.rules.aggregate, board.rules.order),
            (Measure::Value, Aggregate::Best, Order::Asc)
        );
        assert!(matches!(board.schedule.recurrence, Recurrence::Calendar { unit: Unit::Week, .. }));
        assert_eq!(board.schedule.time_zone.iana_name(), Some("Europe/Berlin"));
        assert_eq!(
            (board.settle, board.keep_periods, board.rules.ranking),
            (Span::Days(1), 52, Ranking::Dense)
        );
        assert_eq!(
            (board.rules.split_by.as_deref(), board.rules.top, board.decimals),
            (Some("country"), 100, 3)
        );
        assert_eq!((board.rules.attempts, board.backfill, board.visibility), (3, false, Visibility::Players));
    }

    #[test]
    fn only_the_id_is_required() {
        let boards = parse("[[board]]\nid = \"a\"\n").unwrap();
        let board = &boards.all()[1];
        assert_eq!(
            (board.title.as_str(), &board.rules.actions, board.rules.tags.len()),
            ("a", &ActionFilter::All, 0)
        );
        assert_eq!(
            (board.rules.measure, board.rules.aggregate, board.rules.order),
            (Measure::Points, Aggregate::Sum, Order::Desc)
        );
        assert_eq!(board.schedule.recurrence, Recurrence::None);
        assert_eq!(
            (board.settle, board.keep_periods, board.rules.ranking),
            (SETTLE, 104, Ranking::Competition)
        );
        assert_eq!((board.rules.top, board.decimals, board.rules.attempts), (10, 0, 0));
        assert_eq!((board.backfill, board.visibility), (true, Visibility::Public));
    }

    #[test]
    fn all_problems_are_reported_with_lines_and_suggestions() {
        let text = r#"
            colour = "red" # colour: unknown
            [[board]] # board 1: id is missing
            titel = "x" # board 1: titel: unknown; did you mean title?
            [[board]]
            id = "global" # board global: id must not be global
            [[board]]
            id = "Weekly" # board Weekly: id must be 1 to 40 characters
            title = "" # title must be 1 to 100 characters
            actions = ["race", "rase", "race", 1] # the catalogue has no action rase; did you mean race? & actions has race twice & actions must be a text in quotes
            where = { mode = "a b", "M" = "x", n = 1 } # where.mode must be 1 to 40 letters & where.M must be a tag's name & where.n must be a text in quotes
            measure = "point" # did you mean points?
            aggregate = "summ" # did you mean sum?
            order = "down" # order must be `desc` or `asc`
            period = "weeks" # or a table with every or until; did you mean week?
            time_zone = "Europe/Berln" # did you mean Europe/Berlin?
            settle = "31d" # settle must be between "0s" and "30d"
            keep_periods = 0 # keep_periods must be between 1 and 10000
            ranking = "dens" # did you mean dense?
            split_by = "@" # split_by must be a tag's name
            top = 2 # top must be between 3 and 100
            decimals = -1 # decimals must be a whole number
            attempts = "3" # attempts must be a whole number
            backfill = "no" # backfill must be
            visibility = "admin" # did you mean admins?
            [[board]]
            id = "a"
            actions = "race" # actions must be "*" or a list of action types
            measure = "count"
            aggregate = "best" # aggregate must be "sum" with measure
            resets_at = "09:00" # resets_at needs period
            [[board]]
            id = "a" # id a is already used in line 27
            period = "month"
            resets_at = "31 09:00" # resets_at must be like "1 09:00"
            [[board]]
            id = "c"
            actions = [] # actions must name at least one
            period = { every = "9s" } # period.every must be between "10s" and "3660d" & period.from is missing
            [[board]]
            id = "d"
            period = { from = "2026-12-02T00:00:00", until = "2026-12-02T00:00:00", untl = 1 } # period.until must be after from & period.untl: unknown; did you mean until?
            [[board]]
            id = "e"
            period = { from = "2026-12-02T00:00:00" } # period must have either every or until
            resets_at = "09:00"
            [[board]]
            id = "f"
            period = { from = "2026-12-02T00:00:00", every = "1d", until = "soon" } # period must have either every or until & period.until must be a time
            [[board]]
            id = "g"
            period = 7 # period must be a text in quotes
            [[bord]] # bord: unknown; did you mean board?
            id = "h"
        "#;
        assert_problems(text, &parse(text).unwrap_err());
    }
}
