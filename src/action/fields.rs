//! Tables of the catalogue's file, field by field. What is wrong with one is noted with its line, and the rest is read all the same.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::config::{did_you_mean, line_of, one_line};

/// What was found to be wrong with a file, by line.
pub struct Notes<'a> {
    text: &'a str,
    found: RefCell<BTreeSet<(usize, String)>>,
}

impl<'a> Notes<'a> {
    /// Of a text in which nothing was found yet.
    pub fn new(text: &'a str) -> Self {
        Self { text, found: RefCell::default() }
    }

    fn add(&self, line: usize, problem: String) {
        self.found.borrow_mut().insert((line, problem));
    }

    /// All of them in the order of the file.
    pub fn into_problems(self) -> Vec<String> {
        let found = self.found.into_inner();
        found.into_iter().map(|(line, problem)| format!("line {line}: {problem}")).collect()
    }
}

/// One table.
pub struct Fields<'a> {
    notes: &'a Notes<'a>,
    /// What it is, such as `action watch_ad`; empty for the whole file.
    name: String,
    /// What stands before its fields' names in problems, such as `proof.`
    prefix: &'static str,
    line: usize,
    values: BTreeMap<String, Spanned<DeValue<'a>>>,
    lines: BTreeMap<String, usize>,
    known: Vec<String>,
}

impl<'a> Fields<'a> {
    /// The table that is the whole file.
    pub fn of_file(notes: &'a Notes<'a>, table: DeTable<'a>) -> Self {
        Self::new(notes, String::new(), "", 1, table)
    }

    fn new(
        notes: &'a Notes<'a>,
        name: String,
        prefix: &'static str,
        line: usize,
        table: DeTable<'a>,
    ) -> Self {
        let line_of = |key: &Spanned<_>| line_of(notes.text, key.span());
        let lines = table.keys().map(|key| (key.get_ref().clone().into_owned(), line_of(key))).collect();
        let values = table.into_iter().map(|(key, value)| (key.into_inner().into_owned(), value)).collect();
        Self { notes, name, prefix, line, values, lines, known: Vec::new() }
    }

    /// A value that should be a table.
    fn table_of(&self, name: String, prefix: &'static str, value: Spanned<DeValue<'a>>) -> Option<Self> {
        let line = line_of(self.notes.text, value.span());
        match value.into_inner() {
            DeValue::Table(table) => Some(Self::new(self.notes, name, prefix, line, table)),
            _ => {
                self.notes.add(line, format!("{name}: must be a table"));
                None
            }
        }
    }

    /// What it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Notes a problem of the field whose name it begins with, or else of the table.
    pub fn note(&self, problem: impl Into<String>) {
        let problem = problem.into();
        let word = problem.split([' ', ':']).next().unwrap_or_default();
        let line = self.lines.get(word.strip_prefix(self.prefix).unwrap_or(word)).unwrap_or(&self.line);
        let name = if self.name.is_empty() { String::new() } else { format!("{}: ", self.name) };
        self.notes.add(*line, format!("{name}{problem}"));
    }

    /// Notes a problem unless something holds.
    pub fn require(&self, holds: bool, problem: &str) {
        if !holds {
            self.note(problem);
        }
    }

    /// A field as it stands there, to name the table by.
    pub fn shown(&self, key: &str) -> Option<String> {
        match self.values.get(key)?.get_ref() {
            DeValue::String(text) => Some(text.clone().into_owned()),
            DeValue::Integer(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The line of a field, or of the table.
    pub fn line_of(&self, key: &str) -> usize {
        *self.lines.get(key).unwrap_or(&self.line)
    }

    /// The names of all its fields.
    pub fn names(&self) -> Vec<String> {
        self.values.keys().cloned().collect()
    }

    fn value(&mut self, key: &str) -> Option<Spanned<DeValue<'a>>> {
        self.known.push(key.to_owned());
        self.values.remove(key)
    }

    fn read<T: DeserializeOwned>(&self, key: &str, value: Spanned<DeValue<'a>>) -> Option<T> {
        let read = T::deserialize(ValueDeserializer::from(value));
        read.map_err(|error| self.note(format!("{}{key} {}", self.prefix, expected(&error)))).ok()
    }

    /// A field that may be left out.
    pub fn take<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        self.value(key).and_then(|value| self.read(key, value))
    }

    /// A field that has to be there.
    pub fn need<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        self.require(self.values.contains_key(key), &format!("{}{key} is missing", self.prefix));
        self.take(key)
    }

    /// A list that may be left out; what cannot be read of it is.
    pub fn list<T: DeserializeOwned>(&mut self, key: &str) -> Option<Vec<T>> {
        let items = self.items(key)?;
        Some(items.into_iter().filter_map(|item| self.read(key, item)).collect())
    }

    fn items(&mut self, key: &str) -> Option<Vec<Spanned<DeValue<'a>>>> {
        match self.value(key)?.into_inner() {
            DeValue::Array(items) => Some(items.into_iter().collect()),
            _ => {
                self.note(format!("{}{key} must be a list", self.prefix));
                None
            }
        }
    }

    /// A table inside that may be left out, under a name and with what stands before its fields' names.
    pub fn table(&mut self, key: &str, name: &str, prefix: &'static str) -> Option<Self> {
        let value = self.value(key)?;
        self.table_of(name.to_owned(), prefix, value)
    }

    /// A table inside that has to be there, and is part of this one.
    pub fn need_table(&mut self, key: &str, prefix: &'static str) -> Option<Self> {
        self.require(self.values.contains_key(key), &format!("{key} is missing"));
        self.table(key, &self.name.clone(), prefix)
    }

    /// A list of tables, each named by its place and what is in it.
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

    /// Notes the fields that nobody asked for.
    pub fn finish(self) {
        for key in self.values.keys() {
            let meant = did_you_mean(key, self.known.iter().map(String::as_str));
            self.note(format!("{}{key}: unknown{meant}", self.prefix));
        }
    }
}

/// What a value must be, without the value itself, which may be a secret in the wrong place.
fn expected(error: &toml::de::Error) -> String {
    let told = one_line(error);
    let Some((found, expected)) = told.rsplit_once(", expected ") else {
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
