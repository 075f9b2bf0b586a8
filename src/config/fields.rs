//! Reads files of tables, such as the catalogue of actions, field by field. Each problem is reported with its line, and reading goes on.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::problem::{did_you_mean, line_of, one_line, read_toml};

/// Reads a file, or the built-in text if the name is empty, and parses it.
///
/// # Errors
/// The file cannot be read, or all its problems, each with the file's name.
pub fn load<T>(
    file: &str,
    built_in: &str,
    parse: impl FnOnce(&str) -> Result<T, Vec<String>>,
) -> Result<T, Vec<String>> {
    if file.is_empty() {
        return parse(built_in);
    }
    let text = std::fs::read_to_string(file).map_err(|error| vec![format!("cannot read {file}: {error}")])?;
    parse(&text).map_err(|problems| problems.iter().map(|problem| format!("{file} {problem}")).collect())
}

/// Parses a text and reads its top-level table.
///
/// # Errors
/// All problems of the text, each with its line.
pub fn parse<T>(text: &str, read: impl FnOnce(Fields<'_>) -> T) -> Result<T, Vec<String>> {
    let table = read_toml(text)?;
    let problems = Problems { text, found: RefCell::default() };
    let value = read(Fields::new(&problems, String::new(), "", 1, table));
    let problems = problems.into_list();
    if problems.is_empty() { Ok(value) } else { Err(problems) }
}

/// Reports each value of a key that an earlier table has too.
pub fn check_unique(tables: &[Fields<'_>], key: &str) {
    let mut lines = BTreeMap::new();
    for table in tables {
        let Some(value) = table.text_of(key) else { continue };
        let line = table.line_of(key);
        let first = *lines.entry(value.clone()).or_insert(line);
        table.check(first == line, &format!("{key} {value} is already used in line {first}"));
    }
}

/// The problems of a file, by line.
struct Problems<'a> {
    text: &'a str,
    found: RefCell<BTreeSet<(usize, String)>>,
}

impl Problems<'_> {
    fn add(&self, line: usize, problem: String) {
        self.found.borrow_mut().insert((line, problem));
    }

    /// All problems in the order of the file.
    fn into_list(self) -> Vec<String> {
        let found = self.found.into_inner();
        found.into_iter().map(|(line, problem)| format!("line {line}: {problem}")).collect()
    }
}

/// One table of the file.
pub struct Fields<'a> {
    problems: &'a Problems<'a>,
    /// Its name in problems, such as `action watch_ad`; empty for the whole file.
    name: String,
    /// The prefix of its fields in problems, such as `proof.`.
    prefix: &'static str,
    line: usize,
    values: BTreeMap<String, Spanned<DeValue<'a>>>,
    lines: BTreeMap<String, usize>,
    read: Vec<String>,
}

impl<'a> Fields<'a> {
    fn new(
        problems: &'a Problems<'a>,
        name: String,
        prefix: &'static str,
        line: usize,
        table: DeTable<'a>,
    ) -> Self {
        let line_of = |key: &Spanned<_>| line_of(problems.text, key.span());
        let lines = table.keys().map(|key| (key.get_ref().clone().into_owned(), line_of(key))).collect();
        let values = table.into_iter().map(|(key, value)| (key.into_inner().into_owned(), value)).collect();
        Self { problems, name, prefix, line, values, lines, read: Vec::new() }
    }

    /// Converts a value to a table; reports a problem if it is none.
    fn table_of(&self, name: String, prefix: &'static str, value: Spanned<DeValue<'a>>) -> Option<Self> {
        let line = line_of(self.problems.text, value.span());
        match value.into_inner() {
            DeValue::Table(table) => Some(Self::new(self.problems, name, prefix, line, table)),
            _ => {
                self.problems.add(line, format!("{name}: must be a table"));
                None
            }
        }
    }

    /// The table's name in problems.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reports a problem at the line of the field that its text begins with, or else at the table's line.
    pub fn report(&self, problem: impl Into<String>) {
        let problem = problem.into();
        let word = problem.split([' ', ':']).next().unwrap_or_default();
        let line = self.lines.get(word.strip_prefix(self.prefix).unwrap_or(word)).unwrap_or(&self.line);
        let name = if self.name.is_empty() { String::new() } else { format!("{}: ", self.name) };
        self.problems.add(*line, format!("{name}{problem}"));
    }

    /// Reports a problem unless the condition is true.
    pub fn check(&self, is_valid: bool, problem: &str) {
        if !is_valid {
            self.report(problem);
        }
    }

    /// True if the table has a field that was not read yet.
    pub fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// True if a field is a table.
    pub fn is_table(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(|value| value.get_ref().is_table())
    }

    /// A text or number field as text, without marking it as read.
    pub fn text_of(&self, key: &str) -> Option<String> {
        match self.values.get(key)?.get_ref() {
            DeValue::String(text) => Some(text.clone().into_owned()),
            DeValue::Integer(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The line of a field, or of the table.
    fn line_of(&self, key: &str) -> usize {
        *self.lines.get(key).unwrap_or(&self.line)
    }

    /// The names of all fields.
    pub fn names(&self) -> Vec<String> {
        self.values.keys().cloned().collect()
    }

    fn take(&mut self, key: &str) -> Option<Spanned<DeValue<'a>>> {
        self.read.push(key.to_owned());
        self.values.remove(key)
    }

    fn convert<T: DeserializeOwned>(&self, key: &str, value: Spanned<DeValue<'a>>) -> Option<T> {
        let converted = T::deserialize(ValueDeserializer::from(value));
        converted.map_err(|error| self.report(format!("{}{key} {}", self.prefix, expected(&error)))).ok()
    }

    /// Reads an optional field.
    pub fn optional<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        self.take(key).and_then(|value| self.convert(key, value))
    }

    /// Reads a required field.
    pub fn required<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        self.check(self.values.contains_key(key), &format!("{}{key} is missing", self.prefix));
        self.optional(key)
    }

    /// Reads an optional text with its own parser, whose error says what the text must be.
    pub fn parsed<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text: String = self.optional(key)?;
        parse(&text).map_err(|problem| self.report(format!("{}{key} {problem}", self.prefix))).ok()
    }

    /// The same with a default; `None` if the value is invalid, which is reported.
    pub fn parsed_or<T>(
        &mut self,
        key: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let is_missing = !self.has(key);
        let parsed = self.parsed(key, parse);
        if is_missing { Some(default) } else { parsed }
    }

    /// Reads an optional whole number in a range.
    pub fn number(&mut self, key: &str, range: RangeInclusive<u32>, default: u32) -> u32 {
        let number = self.optional(key).unwrap_or(default);
        let (least, most) = (range.start(), range.end());
        self.check(
            range.contains(&number),
            &format!("{}{key} must be between {least} and {most}", self.prefix),
        );
        number
    }

    /// Reads an optional list. Invalid items are reported and left out.
    pub fn list<T: DeserializeOwned>(&mut self, key: &str) -> Option<Vec<T>> {
        let items = self.items(key)?;
        Some(items.into_iter().filter_map(|item| self.convert(key, item)).collect())
    }

    fn items(&mut self, key: &str) -> Option<Vec<Spanned<DeValue<'a>>>> {
        match self.take(key)?.into_inner() {
            DeValue::Array(items) => Some(items.into_iter().collect()),
            _ => {
                self.report(format!("{}{key} must be a list", self.prefix));
                None
            }
        }
    }

    /// An optional nested table. `name` and `prefix` identify its fields in problems.
    pub fn table(&mut self, key: &str, name: &str, prefix: &'static str) -> Option<Self> {
        self.check(!self.has(key) || self.is_table(key), &format!("{key} must be a table"));
        let value = self.take(key).filter(|value| value.get_ref().is_table())?;
        self.table_of(name.to_owned(), prefix, value)
    }

    /// A required nested table that has the name of this one in problems.
    pub fn required_table(&mut self, key: &str, prefix: &'static str) -> Option<Self> {
        self.check(self.values.contains_key(key), &format!("{key} is missing"));
        self.table(key, &self.name.clone(), prefix)
    }

    /// A list of nested tables. `name` gets each table and its place, counted from 1.
    pub fn tables(
        &mut self,
        key: &str,
        prefix: &'static str,
        name: impl Fn(usize, &Self) -> String,
    ) -> Vec<Self> {
        let items = self.items(key).unwrap_or_default();
        let tables = items.into_iter().enumerate().filter_map(|(place, item)| {
            let mut table = self.table_of(format!("{key} {}", place + 1), prefix, item)?;
            table.name = name(place + 1, &table);
            Some(table)
        });
        tables.collect()
    }

    /// Reports all fields that were not read.
    pub fn reject_unknown(self) {
        for key in self.values.keys() {
            let meant = did_you_mean(key, self.read.iter().map(String::as_str));
            self.report(format!("{}{key}: unknown{meant}", self.prefix));
        }
    }
}

/// What the value must be. The text never contains the value, which may be a secret in the wrong field.
fn expected(error: &toml::de::Error) -> String {
    let message = one_line(error);
    let Some((found, expected)) = message.rsplit_once(", expected ") else {
        return "has a value of the wrong kind".to_owned();
    };
    let expected = match expected {
        "u64" => "a whole number",
        "u32" => "a whole number up to 4294967295",
        "a string" => "a text in quotes",
        "a sequence" => "a list",
        other => other,
    };
    let meant = match found.strip_prefix("unknown variant ") {
        Some(word) => {
            let words = expected.split('`').skip(1).step_by(2);
            did_you_mean(word.trim_matches('`'), words)
        }
        None => String::new(),
    };
    format!("must be {expected}{meant}")
}

/// Compares problems with a text in which each invalid line ends in a comment with its expected problems, separated by ` & `.
#[cfg(test)]
#[track_caller]
pub fn assert_problems(text: &str, found: &[String]) {
    let wanted: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .filter_map(|(place, line)| Some((place + 1, line.split_once("# ")?.1)))
        .flat_map(|(line, expected)| expected.split(" & ").map(move |part| (line, part)))
        .collect();
    for (line, expected) in &wanted {
        let fits =
            |problem: &String| problem.starts_with(&format!("line {line}: ")) && problem.contains(expected);
        assert!(found.iter().any(fits), "line {line}, {expected:?} is missing in {found:#?}");
    }
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
}
